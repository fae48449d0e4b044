"""`assistant.yaml` -> what an `Agent` is made of; `load_tools`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gemmagraph.errors import AgentError
from gemmagraph.fallback import Fallback, Model
from gemmagraph.limits import Limits
from gemmagraph.model import Gemma
from gemmagraph.policy import Policy, Rule
from gemmagraph.prompts.messages import JSON
from gemmagraph.store.address import address_of
from gemmagraph.tools import Tool, ToolDefinitionError, run_sync
from gemmagraph.tools.declared.checks import check_tool_names
from gemmagraph.tools.declared.document import Document
from gemmagraph.tools.declared.loading import read_document
from gemmagraph.tools.declared.making import Entry, Maker
from gemmagraph.tools.declared.problems import FileErrors, Problem, did_you_mean
from gemmagraph.tools.declared.units import Rate
from gemmagraph.tools.imports.foreign import Import
from gemmagraph.tools.imports.importing import imports_of
from gemmagraph.tools.runtime import close_all
from gemmagraph.tools.secrets import Secrets, mask, mask_all
from gemmagraph.tools.shaping.spill import READER
from gemmagraph.tools.shaping.spill_reader import with_reader

if TYPE_CHECKING:
    from gemmagraph.tools.bodies.http_connection import HttpConnection
    from gemmagraph.tools.guards.databases import SqlConnection
    from gemmagraph.tools.langchain import LangChainTool

DEFAULT_FILE: Final = "assistant.yaml"
_FILES: Final = ("gguf", "scripted")
"""Backends whose models are files."""


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

    def model(self) -> Model | None:
        """The model that the file names. One that is a file, or a folder, is named relative to it."""
        said = self.values.get("model")
        if said is None:
            return None
        keys = {"name": said} if isinstance(said, str) else dict(said)
        for key, value in keys.items():
            why = self.document.settings.missing(("model", key))
            if why and (value == "" or key == "fallback"):  # else the command line has said another
                raise AgentError(f"{self.document.place(('model', key))}: the model cannot be asked: {why}.")
        for key in ("api_key", "base_url"):
            if key in keys:
                keys[key] = self._revealed(keys[key], ("model", key))
        folder = self.document.folder(("model",))
        others = [_beside(folder, other) for other in keys.pop("fallback", [])]
        first = Gemma(_beside(folder, keys.pop("name")), **keys)
        return Fallback([first, *others]) if others else first

    def store(self) -> str | Path | None:
        """Where the file says that threads are kept. A SQLite file is named relative to it.

        Raises:
            GemmagraphError: that is no store, or the secret or setting in it is not there.
        """
        path = ("store",)
        said = self.values.get("store")
        if said is None:
            return None
        if why := self.document.settings.missing(path):
            raise AgentError(f"{self.document.place(path)}: nothing can be kept: {why}.")
        revealed = self._revealed(said, path)
        try:
            address = address_of(revealed)
        except AgentError as exc:
            raise AgentError(f"{self.document.place(path)}: {exc.message}", hint=exc.hint) from None
        return self.document.folder(path) / address.target if address.kind == "sqlite" else revealed

    @property
    def bots(self) -> list[str]:
        """The chat services in which it answers."""
        return list(self.values.get("bots") or {})

    def bot(self, name: str) -> dict[str, Any]:
        """What stands below a chat service, secrets filled in.

        Raises:
            AgentError: there is no such one, or a secret or setting in it is not there.
        """
        path = ("bots", name)
        if name not in self.bots:
            known = f"Bots that it has: {', '.join(self.bots)}." if self.bots else "Name chat services below `bots:`."
            near = did_you_mean(name, [*self.bots, "terminal"]).replace("did", "Did", 1)
            raise AgentError(f"{self.document.path} has no bot {name!r}.", hint=near or known)
        if why := self.document.settings.missing(path):
            raise AgentError(f"{self.document.place(path)}: the bot cannot be started: {why}.")
        said = self.values["bots"][name] or {}
        return {key: self._filled(value, (*path, key)) for key, value in said.items()}

    async def open(self) -> list[Tool]:
        """The tools that can run here, of the toolset if there is one, with the policy in front of them. Python files
        are imported, MCP servers started; what fails is noted in `unavailable`.

        Raises:
            FileErrors: a Python file is not as the file says, two tools have the same name, or the policy or a
                toolset names one that is not there.
        """
        problems: list[Problem] = []
        wanted = (entry for entry in self.entries if self.includes(entry.name))
        found = [tool for entry in wanted if (tool := self._made(entry, problems)) is not None]
        imported = await asyncio.gather(*(self._opened(one) for one in self._needed()), return_exceptions=True)
        groups = [tools for tools in imported if not isinstance(tools, BaseException)]
        found += [tool for tools in groups for tool in tools]
        try:
            for failure in imported:
                if isinstance(failure, FileErrors):
                    problems += failure.problems
                elif isinstance(failure, BaseException):
                    raise failure
            tools = self._distinct(found, problems)
            if problems:
                raise FileErrors(self.document.sorted(problems))
            self._check_names(tools)
        except BaseException:
            await asyncio.gather(*(tool.close() for tool in found), return_exceptions=True)
            raise
        idle = (tools for tools in groups if not any(self.includes(tool.name) for tool in tools))
        await close_all(tool.close for tools in idle for tool in tools)
        return self.policy.guarded(with_reader([tool for name, tool in tools.items() if self.includes(name)]))

    async def close(self) -> None:
        """Ends what the tools share. Their own connections and servers end with each of them."""
        await close_all(connection.close for connection in self.connections)

    def includes(self, name: str) -> bool:
        """Whether the toolset has a tool of this name."""
        return self.toolset is None or any(fnmatchcase(name, glob) for glob in self._globs())

    def _needed(self) -> list[Import]:
        """The imports that may have tools of the toolset."""
        return [one for one in self.imports if self.toolset is None or one.may_have(self._globs())]

    def _globs(self) -> list[str]:
        return [glob for toolset in self._lineage() for glob in toolset.get("tools") or ()]

    def _lineage(self) -> list[Mapping[str, Any]]:
        """The toolset, then those it extends."""
        toolsets = self.values.get("toolsets") or {}
        found, name = [], self.toolset
        while name is not None:
            found.append(toolsets[name])
            name = toolsets[name].get("extends")
        return found

    def _made(self, entry: Entry, problems: list[Problem]) -> Tool | None:
        """The tool, unless it cannot run here, which is noted, or is wrong, which `problems` are told."""
        reason = entry.unavailable
        if reason is None:
            try:
                return entry.make()
            except FileErrors as exc:
                problems += exc.problems
                return None
            except ToolDefinitionError as exc:
                reason = str(exc)
        self.unavailable[entry.name] = mask(reason)
        return None

    async def _opened(self, one: Import) -> list[Tool]:
        try:
            tools = await one.open()
        except ToolDefinitionError as exc:
            self.unavailable[one.name] = mask(str(exc))
            return []
        self.unavailable |= mask_all(one.left_out)
        reasons = {tool.name: tool.body.unavailable() for tool in tools if tool.body is not None}
        self.unavailable |= {name: reason for name, reason in reasons.items() if reason and self.includes(name)}
        return [tool for tool in tools if not reasons.get(tool.name)]

    def _distinct(self, tools: Iterable[Tool], problems: list[Problem]) -> dict[str, Tool]:
        """The tools by their names; `problems` are told of each that has the name of another."""
        paths = {one.place: ("imports", index) for index, one in enumerate(self.imports)}
        by_name: dict[str, Tool] = {}
        for tool in tools:
            other = by_name.setdefault(tool.name, tool)
            if other is not tool and tool.place is not None:
                said = f"there is a tool {tool.name!r} already, from {other.place}"
                hint = "Give one of them another name; that of an import under its `overrides`."
                problems.append(self.document.problem(paths[tool.place], said, hint))
        return by_name

    def _check_names(self, tools: Mapping[str, Tool]) -> None:
        """Globs can only be checked once all names are known, and only if all are."""
        closed = len(self._needed()) < len(self.imports) or any(one.name in self.unavailable for one in self.imports)
        if self.imports and not closed:
            declared = (entry.name for entry in self.entries)
            problems = check_tool_names(self.document, {*tools, *declared, *self.unavailable, READER})
            if problems:
                raise FileErrors(self.document.sorted(problems))

    def _filled(self, value: JSON, path: tuple[str, ...]) -> Any:
        """With the secrets that are named anywhere in it."""
        if isinstance(value, Mapping):
            return {key: self._filled(one, path) for key, one in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [self._filled(one, path) for one in value]
        return self._revealed(value, path) if isinstance(value, str) else value

    def _revealed(self, text: str, path: tuple[str, ...]) -> str:
        from gemmagraph.tools.fields import compile_field

        found = compile_field(text, ("secrets",)).text({"secrets": self.secrets})
        if not isinstance(found, str):
            raise AgentError(f"{self.document.place(path)}: {text!r} names no secret.")
        return found


def _beside(folder: Path, model: str) -> str:
    """The name of a model; a path in it begins at the folder."""
    kind, _, rest = model.partition(":")
    path = folder / Path(rest).expanduser()
    return f"{kind}:{path}" if kind in _FILES or (kind == "transformers" and path.is_dir()) else model


def load_assistant(path: str | os.PathLike[str] = DEFAULT_FILE, *, toolset: str | None = None) -> Assistant:
    """The assistant that a file declares, or the tools of a tools file. Nothing is imported or connected.

    Raises:
        FileErrors: something is wrong with the file or one it includes; it holds all that is.
        AgentError: there is no such toolset.
    """
    document = read_document(path)
    maker = Maker(document)
    entries = maker.entries()
    imports = imports_of(maker)
    rules = _rules(maker)
    maker.finish()
    toolsets = document.values.get("toolsets") or {}
    if toolset is not None and toolset not in toolsets:
        known = ", ".join(toolsets) or "none"
        raise AgentError(f"{os.fspath(path)} has no toolset {toolset!r}.", hint=f"Toolsets that it has: {known}.")
    policy = Policy(rules, document.values.get("groups") or {})
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


def _rules(maker: Maker) -> list[Rule]:
    """The rules of the policy; what is wrong with one is noted in `maker`."""
    document, rules = maker.document, []
    for index, said in enumerate(document.values.get("policy") or ()):
        path = ("policy", index)
        at = document.place(path)
        if document.right(path):
            place = f"{at.file}:{at.line}"
            keys: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in said.items()
            }
            try:
                rules.append(Rule(**keys, place=place))
            except AgentError as exc:
                message = exc.message.removeprefix(f"the rule at {place}: ")
                maker.problems.append(document.problem(path, message, exc.hint))
    return rules


def _limits(document: Document) -> Limits:
    said = dict(document.values.get("limits") or {})
    rates = {what: Rate(**most) for what, most in (said.pop("per_user", None) or {}).items()}
    same = said.pop("same_call", None) or {}
    named = {"warn_at": "same_call_warn", "stop_at": "same_call_stop"}
    return Limits(**said, **{named[key]: value for key, value in same.items()}, per_user=rates)
