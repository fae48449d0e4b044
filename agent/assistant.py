"""`assistant.yaml` -> what an `Agent` is made of; `load_tools`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from gemmagraph.errors import AgentError
from gemmagraph.fallback import Fallback, Model
from gemmagraph.limits import Limits
from gemmagraph.model import Gemma
from gemmagraph.policy import Policy, Rule
from gemmagraph.tools import Tool, ToolDefinitionError, run_sync
from gemmagraph.tools.declared.checks import check_tool_names
from gemmagraph.tools.declared.document import Document
from gemmagraph.tools.declared.loading import load_document
from gemmagraph.tools.declared.making import Entry, Maker
from gemmagraph.tools.declared.problems import FileErrors
from gemmagraph.tools.imports.foreign import Import
from gemmagraph.tools.imports.importing import imports_of
from gemmagraph.tools.secrets import Secrets
from gemmagraph.tools.shaping.spill import READER
from gemmagraph.tools.shaping.spill_reader import with_reader

if TYPE_CHECKING:
    from gemmagraph.tools.bodies.http_connection import HttpConnection
    from gemmagraph.tools.guards.databases import SqlConnection
    from gemmagraph.tools.langchain import LangChainTool

DEFAULT_FILE: Final = "assistant.yaml"
LATER: Final = {
    "store": "threads on disk",
    "per_user": "limits of one user",
    "bots": "chat services",
}
"""Keys that are checked and kept, and do nothing yet."""


@dataclass
class Assistant:
    """An assistant file that was read and found right. Nothing was imported, connected or started yet."""

    document: Document
    secrets: Secrets
    entries: list[Entry]
    imports: list[Import]
    policy: Policy
    limits: Limits
    connections: Sequence[HttpConnection | SqlConnection] = ()
    """What the tools share; nothing is open before one of them is used."""
    toolset: str | None = None
    unavailable: dict[str, str] = field(default_factory=dict)
    """Tools that cannot run here, and why; complete once `open` has returned."""

    @property
    def name(self) -> str:
        return self.document.path.stem

    @property
    def values(self) -> Mapping[str, Any]:
        return self.document.values

    @property
    def instructions(self) -> str:
        """What the model is told: of the file, then of the toolset and those it extends."""
        said = [self.values.get("instructions") or ""]
        said += [toolset.get("instructions") or "" for toolset in reversed(self._lineage())]
        return "\n\n".join(text.strip() for text in said if text.strip())

    @property
    def waiting(self) -> list[str]:
        """Keys of the file that do nothing yet."""
        limits = self.values.get("limits") or {}
        return [key for key in LATER if key in self.values or (key == "per_user" and key in limits)]

    def model(self) -> Model | None:
        """The model that the file names."""
        said = self.values.get("model")
        if said is None:
            return None
        keys = {"name": said} if isinstance(said, str) else dict(said)
        for key in ("api_key", "base_url"):
            if key in keys:
                keys[key] = self._revealed(keys[key], ("model", key))
        others = keys.pop("fallback", [])
        first = Gemma(keys.pop("name"), **keys)
        return Fallback([first, *others]) if others else first

    async def open(self) -> list[Tool]:
        """The tools that can run here, of the toolset if there is one, with the policy in front of them. Python files
        are imported, MCP servers started; what fails is noted in `unavailable`.

        Raises:
            FileErrors: two tools have the same name, or the policy or a toolset names one that is not there.
        """
        wanted = (entry for entry in self.entries if self.includes(entry.name))
        found = [tool for entry in wanted if (tool := self._made(entry)) is not None]
        imported = await asyncio.gather(*(self._opened(one) for one in self.imports), return_exceptions=True)
        found += [tool for tools in imported if not isinstance(tools, BaseException) for tool in tools]
        try:
            for problem in imported:
                if isinstance(problem, BaseException):
                    raise problem
            tools = self._distinct(found)
            self._check_names(tools)
        except BaseException:
            await asyncio.gather(*(tool.close() for tool in found))
            raise
        return self.policy.guarded(with_reader([tool for name, tool in tools.items() if self.includes(name)]))

    async def close(self) -> None:
        """Ends what the tools share. Their own connections and servers end with each of them."""
        for connection in self.connections:
            await connection.close()

    def includes(self, name: str) -> bool:
        """Whether the toolset has a tool of this name."""
        globs = [glob for toolset in self._lineage() for glob in toolset.get("tools") or ()]
        return self.toolset is None or any(fnmatchcase(name, glob) for glob in globs)

    def _lineage(self) -> list[Mapping[str, Any]]:
        """The toolset, then those it extends."""
        toolsets = self.values.get("toolsets") or {}
        found, name = [], self.toolset
        while name is not None:
            found.append(toolsets[name])
            name = toolsets[name].get("extends")
        return found

    def _made(self, entry: Entry) -> Tool | None:
        reason = entry.unavailable
        if reason is None:
            try:
                return entry.make()
            except ToolDefinitionError as exc:
                reason = str(exc)
        self.unavailable[entry.name] = reason
        return None

    async def _opened(self, one: Import) -> list[Tool]:
        try:
            tools = await one.open()
        except ToolDefinitionError as exc:
            self.unavailable[one.name] = str(exc)
            return []
        self.unavailable |= one.left_out
        reasons = {tool.name: tool.body.unavailable() for tool in tools if tool.body is not None}
        self.unavailable |= {name: reason for name, reason in reasons.items() if reason and self.includes(name)}
        return [tool for tool in tools if not reasons.get(tool.name)]

    def _distinct(self, tools: Iterable[Tool]) -> dict[str, Tool]:
        by_name: dict[str, Tool] = {}
        for tool in tools:
            other = by_name.setdefault(tool.name, tool)
            if other is not tool:
                raise AgentError(
                    f"{tool.place}: there is a tool {tool.name!r} already, from {other.place}.",
                    hint="Give one of them another name; that of an import under its `overrides`.",
                )
        return by_name

    def _check_names(self, tools: Mapping[str, Tool]) -> None:
        """Globs can only be checked once all names are known, and only if all are."""
        if self.imports and not any(one.name in self.unavailable for one in self.imports):
            declared = (entry.name for entry in self.entries)
            problems = check_tool_names(self.document, {*tools, *declared, READER})
            if problems:
                raise FileErrors(self.document.sorted(problems))

    def _revealed(self, text: str, path: tuple[str, ...]) -> str:
        from gemmagraph.tools.fields import compile_field

        found = compile_field(text, ("secrets",)).text({"secrets": self.secrets})
        if not isinstance(found, str):
            raise AgentError(f"{self.document.place(path)}: {text!r} names no secret.")
        return found


def load_assistant(path: str | os.PathLike[str] = DEFAULT_FILE, *, toolset: str | None = None) -> Assistant:
    """The assistant that a file declares, or the tools of a tools file. Nothing is imported or connected.

    Raises:
        FileErrors: something is wrong with the file or one it includes; it holds all that is.
        AgentError: there is no such toolset.
    """
    document = load_document(path)
    maker = Maker(document)
    entries = maker.entries()
    imports = imports_of(maker)
    maker.finish()
    toolsets = document.values.get("toolsets") or {}
    if toolset is not None and toolset not in toolsets:
        known = ", ".join(toolsets) or "none"
        raise AgentError(f"{os.fspath(path)} has no toolset {toolset!r}.", hint=f"Toolsets that it has: {known}.")
    policy = Policy(_rules(document), document.values.get("groups") or {})
    shared = tuple(maker.connections.values())
    return Assistant(document, maker.secrets, entries, imports, policy, _limits(document), shared, toolset)


def load_tools(path: str | os.PathLike[str] = DEFAULT_FILE, *, toolset: str | None = None) -> list[LangChainTool]:
    """The tools of a file that can run here, with its policy in force, for LangChain and for an `Agent` alike: the
    `Tool` behind each is its `original`.

    Raises:
        FileErrors: something is wrong with the file or one it includes; it holds all that is.
        AgentError: there is no such toolset.
    """
    from gemmagraph.tools.langchain import LangChainTool

    return [LangChainTool(tool) for tool in run_sync(load_assistant(path, toolset=toolset).open())]


def _rules(document: Document) -> Iterable[Rule]:
    for index, said in enumerate(document.values.get("policy") or ()):
        at = document.place(("policy", index))
        keys: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in said.items()
        }
        yield Rule(**keys, place=f"{at.file}:{at.line}")


def _limits(document: Document) -> Limits:
    said = dict(document.values.get("limits") or {})
    said.pop("per_user", None)
    same = said.pop("same_call", None) or {}
    named = {"warn_at": "same_call_warn", "stop_at": "same_call_stop"}
    return Limits(**said, **{named[key]: value for key, value in same.items()})
