"""The tools that a command is about: those of an assistant file, and those that `--tools` names."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field

from gemmagraph.assistant import Assistant
from gemmagraph.cli.terminal import one_line, plain
from gemmagraph.fallback import Model
from gemmagraph.offering import offered
from gemmagraph.prompts.checking import schemas
from gemmagraph.tools import Tool, run_sync, to_tools
from gemmagraph.tools.files import load_python_tools
from gemmagraph.tools.imports.foreign import Import


@dataclass(frozen=True)
class Opened:
    """Tools, as far as they can be looked at here."""

    tools: list[Tool]
    idle: dict[str, str]
    """Those of `tools` that cannot run here, and why."""
    lost: dict[str, str]
    """Tools and imports of which nothing is known, and why: they could not be opened."""
    left_out: dict[str, str] = field(default_factory=dict)
    """What imports offer and cannot be used, and what the file says that it needs something which is not here."""


@contextmanager
def opened(assistant: Assistant | None, sources: Sequence[str]) -> Iterator[Opened]:
    """The tools of a file and of `sources`, with the file's policy in front of them. Python files are imported, MCP
    servers started; connections end with this.

    Raises:
        GemmagraphError: a source cannot be loaded, two tools have the same name, or the file is wrong in what can
            be seen only now.
    """
    with redirect_stdout(sys.stderr):  # what a file prints while it loads is not our output
        found = _opened(assistant, sources)
    try:
        yield found
    finally:
        run_sync(_closed(found.tools))
        if assistant is not None:
            run_sync(assistant.close())


def _opened(assistant: Assistant | None, sources: Sequence[str]) -> Opened:
    if assistant is None:
        return Opened(load_tools(sources), {}, {})
    tools = run_sync(assistant.open())
    declared = {entry.name for entry in assistant.entries if assistant.includes(entry.name)}
    there = declared | {one.name for one in assistant.imports}
    there -= {entry.name for entry in assistant.entries if entry.lacking and entry.tool is None}
    lost = {name: why for name, why in assistant.unavailable.items() if name in there}
    rest = {name: why for name, why in assistant.unavailable.items() if name not in there}
    known = {entry.name: entry.tool for entry in assistant.entries if entry.tool is not None}
    idle = {name: lost.pop(name) for name in known if name in lost}
    tools += assistant.policy.guarded([*(known[name] for name in idle), *load_tools(sources)])
    order = {entry.name: index for index, entry in enumerate(assistant.entries)}
    tools.sort(key=lambda tool: order.get(tool.name, len(order)))
    return Opened(to_tools(tools), idle, lost, rest)


@contextmanager
def imported(one: Import) -> Iterator[list[Tool]]:
    """The tools of one import; connections end with this.

    Raises:
        ToolDefinitionError: they cannot be had.
    """

    async def tools() -> list[Tool]:
        return await one.open()

    with redirect_stdout(sys.stderr):
        found = run_sync(tools())
    try:
        yield found
    finally:
        run_sync(_closed(found))


def introduced(tool: Tool) -> str:
    """A tool in a few lines, with all that it says of itself: somebody else may have written that, and a model reads
    it."""
    signature = schemas.signature(tool.name, schemas.flat(tool.spec.parameters))
    mark = {"ask": "   [asks a person]", "deny": "   [never runs]"}.get(tool.own_ruling().verdict, "")
    about = [f"    {line.strip()}" for line in tool.description.splitlines() if line.strip()]
    return plain("\n".join([f"  {one_line(signature)}{mark}", *about]))


async def _closed(tools: Sequence[Tool]) -> None:
    for tool in tools:
        await tool.close()


def load_tools(sources: Sequence[str]) -> list[Tool]:
    """The tools of all files and modules. What a file prints while it loads is not our output.

    Raises:
        ToolDefinitionError: a file cannot be loaded or has no tools, or two tools have the same name.
    """
    once = {os.path.realpath(source): source for source in sources}
    with redirect_stdout(sys.stderr):
        return to_tools([load_python_tools(source) for source in once.values()])


def left_out(tools: Sequence[Tool], gemma: Model) -> str:
    """What to say of the tools that this model is not shown; empty if it is shown all of them."""
    shown = {tool.name for tool in offered(tools, gemma)}
    kept = [tool.name for tool in tools if tool.name not in shown]
    return f"Left out, as they are not marked read-only: {', '.join(kept)}." if kept else ""
