"""What is opened for an assistant, and that all of it is closed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gemmagraph import Agent, Gemma
from gemmagraph.assistant import load_assistant
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.prompts.messages import ToolSpec
from gemmagraph.tools.bodies.base import Rendered
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.declaring import acting
from gemmagraph.tools.fields import Scope
from gemmagraph.tools.imports.foreign import Import
from gemmagraph.tools.tool import Tool


class Closing:
    """A body that writes down its end, which may fail."""

    kind, reads = "mcp", True

    def __init__(self, name: str, ended: list[str], failure: Exception | None = None) -> None:
        self.name, self.ended, self.failure = name, ended, failure

    def unavailable(self) -> str | None:
        return None

    def render(self, scope: Scope) -> Rendered:
        return Rendered("mcp", self.name, {}, None)

    async def perform(self, rendered: Rendered, context: ToolContext) -> object:
        return self.name

    async def close(self) -> None:
        self.ended.append(self.name)
        if self.failure is not None:
            raise self.failure


def tool(name: str, ended: list[str], failure: Exception | None = None) -> Tool:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    return acting(ToolSpec(name, "", schema), Closing(name, ended, failure))


class Model(ScriptedBackend):
    def __init__(self, ended: list[str]) -> None:
        super().__init__([])
        self.ended = ended

    async def close(self) -> None:
        self.ended.append("model")


def test_an_agent_closes_all_that_it_has_and_raises_the_first_failure() -> None:
    ended: list[str] = []
    failures = [OSError("the first"), None, ValueError("the third")]
    tools = [tool(f"t{number}", ended, failure) for number, failure in enumerate(failures)]
    agent = Agent(Gemma(Model(ended)), tools)
    with pytest.raises(OSError, match="the first") as raised:
        agent.close()
    assert ended == ["t0", "t1", "t2", "model"]
    assert raised.value.__notes__ == ["Another could not be closed either: ValueError: the third"]


ASSISTANT = """
tools:
  - {name: look, description: Looks., shell: ["true"]}
imports:
  - {mcp: {command: /bin/sh, args: ["-c", "touch started"], cwd: .}, include: [start, "st?p"]}
toolsets:
  own: {tools: [look, "l*"]}
  all: {tools: ["*"]}
"""


def test_only_what_a_toolset_needs_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "assistant.yaml"
    file.write_text(ASSISTANT)
    own = load_assistant(file, toolset="own")
    assert [found.name for found in asyncio.run(own.open())] == ["look"]
    assert own.unavailable == {}
    assert not (tmp_path / "started").exists()
    every = load_assistant(file, toolset="all")
    asyncio.run(every.open())
    assert (tmp_path / "started").exists()
    assert len(every.unavailable) == 1


def test_an_import_that_turns_out_to_have_nothing_of_the_toolset_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "assistant.yaml"
    file.write_text(ASSISTANT)
    assistant = load_assistant(file, toolset="own")
    ended: list[str] = []

    async def with_it() -> list[Tool]:
        return [tool("lend", ended), tool("borrow", ended)]

    async def without() -> list[Tool]:
        return [tool("give", ended), tool("take", ended)]

    assistant.imports = [Import("a", "mcp", "x:1", with_it), Import("b", "mcp", "x:2", without)]
    assert [found.name for found in asyncio.run(assistant.open())] == ["look", "lend"]
    assert ended == ["give", "take"]
