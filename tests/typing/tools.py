"""What type checkers know of tools. Checked by mypy (test_typing.py), never run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_type

from langchain_core.tools import BaseTool

from gemmagraph import Tool, ToolContext, tool, tool_from_schema
from gemmagraph.prompts.messages import ToolSpec
from gemmagraph.tools import Outcome, to_tool, to_tools


@tool
def plain(path: str) -> int:
    """How many files are in a folder?"""
    return len(path)


@tool(name="wait", read_only=True, idempotent=True, timeout=None, max_chars=500)
async def with_facts(seconds: float, context: ToolContext) -> str:
    """Waits."""
    return f"{context.user} waited {seconds}"


def function(path: str) -> int:
    return len(path)


assert_type(plain, Tool)
assert_type(with_facts, Tool)
assert_type(tool(function), Tool)
assert_type(tool(), Callable[[Callable[..., Any]], Tool])
assert_type(tool(destructive=True)(function), Tool)
assert_type(tool_from_schema("count", "Counts.", {"type": "object"}, function, read_only=True), Tool)
assert_type(to_tool(function), Tool)
assert_type(to_tools([function, [plain]]), list[Tool])

assert_type(plain.spec, ToolSpec)
assert_type(plain.name, str)
assert_type(plain.read_only, bool | None)
assert_type(plain.as_langchain(), BaseTool)


async def in_async_code() -> None:
    assert_type(await plain.run({"path": "/tmp"}), Outcome)


# What must not pass; an ignored error that is none is one (warn_unused_ignores).
tool(readonly=True)  # type: ignore[call-overload]
tool(read_only="yes")  # type: ignore[call-overload]
tool(approval="perhaps")  # type: ignore[call-overload]
tool(3)  # type: ignore[call-overload]
plain.timeout = 3.0  # type: ignore[misc]
