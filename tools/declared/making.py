"""What a file declares -> tools. Nothing is imported, connected or started here, but for `open_python`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from gemmagraph.prompts.messages import ToolSpec
from gemmagraph.tools.bodies.base import Body
from gemmagraph.tools.declared.document import Document, with_defaults
from gemmagraph.tools.declared.nodes import KeyPath
from gemmagraph.tools.declared.problems import FileErrors, Problem
from gemmagraph.tools.declaring import acting, bound_fields, error_fields
from gemmagraph.tools.errors import Fault, ToolDefinitionError, refuse
from gemmagraph.tools.facts import normal
from gemmagraph.tools.files import load_object
from gemmagraph.tools.hints import closed
from gemmagraph.tools.secrets import Secret, Secrets
from gemmagraph.tools.signature import fit_function
from gemmagraph.tools.sources import to_tool
from gemmagraph.tools.tool import Tool

T = TypeVar("T")

_HINTS: Final = {
    "readOnlyHint": "read_only",
    "destructiveHint": "destructive",
    "idempotentHint": "idempotent",
    "openWorldHint": "open_world",
}
_PLAIN: Final = ("timeout", "retries", "cache", "concurrency", "sequential", "pinned", "return_direct", "result")
"""Keys that a `Tool` has by the same name."""


@dataclass
class Entry:
    """One tool of a file, as far as it is known without touching anything."""

    name: str
    kind: str
    place: str
    """File and line."""
    make: Callable[[], Tool]
    """Imports what it needs. Raises ToolDefinitionError if that is not there."""
    tool: Tool | None = None
    """The tool, where it could be made already."""
    unavailable: str | None = None
    """Why it cannot run here."""


@dataclass
class Maker:
    """Makes the tools of one document, and what they share. All that is wrong is gathered in `problems`."""

    document: Document
    problems: list[Problem] = field(default_factory=list)
    secrets: Secrets = field(init=False)
    connections: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.secrets = Secrets(
            {name: Secret(name, self._env(said), self._file(name, said)) for name, said in self._table("secrets")}
        )
        for name, said in self._table("connections"):
            path = ("connections", name)
            if (made := self.guarded(path, partial(self._connection, said))) is not None:
                self.connections[name] = made

    def entries(self) -> list[Entry]:
        """The tools under `tools:`."""
        tools = self.document.values.get("tools") or []
        return [self._entry(("tools", index), values) for index, values in enumerate(tools)]

    def finish(self) -> None:
        """Raises FileErrors if anything is wrong."""
        if self.problems:
            raise FileErrors(self.document.sorted(self.problems))

    def guarded(self, path: KeyPath, make: Callable[[], T]) -> T | None:
        """What `make` makes; None if it is wrong, and then what is wrong is noted under `path`."""
        try:
            return make()
        except ToolDefinitionError as exc:
            self.problems += self.document.faults(path, _faults_of(exc))
            return None

    def _table(self, section: str) -> list[tuple[str, Any]]:
        return [*(self.document.values.get(section) or {}).items()]

    def _env(self, said: Mapping[str, str]) -> str | None:
        return said.get("env")

    def _file(self, name: str, said: Mapping[str, str]) -> str | None:
        if said.get("file") is None:
            return None
        return str(self.document.folder(("secrets", name)) / Path(said["file"]).expanduser())

    def _connection(self, said: Mapping[str, Any]) -> Any:
        if "sql" in said:
            from gemmagraph.tools.guards.databases import SqlConnection

            return SqlConnection(**said["sql"], secrets=self.secrets)
        from gemmagraph.tools.bodies.http_connection import HttpConnection

        return HttpConnection(**said["http"], secrets=self.secrets)

    def _entry(self, path: KeyPath, own: Mapping[str, Any]) -> Entry:
        said = with_defaults(self.document.defaults(path), own)
        at = self.document.place(path)
        place = f"{at.file}:{at.line}"
        kind = next(key for key in ("python", "http", "shell", "sql") if key in said)
        if kind == "python":
            folder = self.document.folder(path)
            around = self.guarded(path, lambda: _around(said, {}))
            return Entry(said["name"], kind, place, lambda: _python(said, around or {}, folder, place))
        tool = self.guarded(path, lambda: self._declared(said, kind, place))
        reason = tool.body.unavailable() if tool is not None and tool.body is not None else None
        return Entry(said["name"], kind, place, lambda: self._there(tool), tool, reason)

    def _there(self, tool: Tool | None) -> Tool:
        assert tool is not None, "a file with problems is not used"
        return tool

    def _declared(self, said: Mapping[str, Any], kind: str, place: str) -> Tool:
        """A tool that acts by http, shell or sql."""
        faults: list[Fault] = []
        parameters = said.get("parameters") or {}
        body = _without_faults(faults, lambda: self._body(kind, said, parameters))
        schema = _without_faults(faults, lambda: closed(dict(parameters), said["name"]))
        around = _without_faults(faults, lambda: _around(said, parameters))
        if body is None or schema is None or around is None:
            raise ToolDefinitionError("", faults=faults)
        spec = ToolSpec(said["name"], said["description"], schema, tuple(said.get("examples") or ()))
        return acting(spec, body, place=place, **around)

    def _body(self, kind: str, said: Mapping[str, Any], parameters: Mapping[str, Any]) -> Body:
        keys = dict(said[kind])
        if kind == "shell":
            from gemmagraph.tools.bodies.shell import ShellBody

            return ShellBody(**keys, secrets=self.secrets)
        connection = keys.pop("connection", None)
        if connection is not None and connection not in self.connections:
            raise ToolDefinitionError("", faults=[])  # it is wrong itself, which is said where it stands
        if kind == "sql":
            from gemmagraph.tools.bodies.sql import SqlBody

            bind = tuple(said.get("bind") or ())
            return SqlBody(self.connections[connection], **keys, parameters=parameters, bind=bind)
        from gemmagraph.tools.bodies.http import HttpBody

        return HttpBody(self.connections.get(connection), **keys, secrets=self.secrets)


def _python(said: Mapping[str, Any], around: Mapping[str, Any], folder: Path, place: str) -> Tool:
    """A Python function, with what the file says of it.

    Raises:
        ToolDefinitionError: it cannot be imported, or does not take what the file says.
    """
    made = to_tool(load_object(said["python"], folder))
    parameters = _parameters(said, made, around["bind"])
    defaults = made.plan.defaults
    if "parameters" in said:
        taken = {**dict.fromkeys(around["bind"]), **parameters["properties"]}
        needed = [*parameters.get("required", ()), *around["bind"]]
        defaults = fit_function(made.function, {"properties": taken, "required": needed}).defaults
    spec = ToolSpec(
        said["name"],
        said.get("description") or made.description,
        parameters,
        tuple(said.get("examples") or made.examples),
    )
    changes = {**around, "bind": {**made.bind, **around["bind"]}, "errors": {**made.errors, **around["errors"]}}
    return replace(made, spec=spec, plan=replace(made.plan, defaults=defaults), place=place, **changes)


def _around(said: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What is said around the calls of a tool, as a `Tool` has it.

    Raises:
        ToolDefinitionError: something in it is wrong; it holds all that is.
    """
    faults: list[Fault] = []
    bind = bound_fields(said.get("bind") or {}, parameters, faults)
    errors = error_fields(said.get("errors") or {}, faults)
    facts = _without_faults(faults, lambda: facts_of(said)) or {}
    refuse(f"The tool {said['name']}", faults)
    return {**facts, "bind": bind, "errors": errors}


def facts_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that the keys of a tool, or of an override, say."""
    facts = {_HINTS[hint]: value for hint, value in (said.get("annotations") or {}).items() if hint in _HINTS}
    facts |= {key: said[key] for key in (*_PLAIN, "approval") if key in said}
    return normal(facts)


def _parameters(said: Mapping[str, Any], made: Tool, bind: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a function's arguments: that of the file, else the function's own without what is bound.

    Raises:
        ToolDefinitionError: the function does not take what is bound.
    """
    if "parameters" in said:
        return closed(dict(said["parameters"]), said["name"])
    own = dict(made.spec.parameters)
    if unknown := [name for name in bind if name not in own["properties"]]:
        there = ", ".join(own["properties"]) or "none"
        raise ToolDefinitionError(
            f"{said['python']} has no parameter {unknown[0]!r}, which bind fills in.",
            hint=f"Its parameters: {there}.",
        )
    own["properties"] = {name: schema for name, schema in own["properties"].items() if name not in bind}
    if "required" in own:
        own["required"] = [name for name in own["required"] if name not in bind]
    return own


def _without_faults(faults: list[Fault], make: Callable[[], T]) -> T | None:
    try:
        return make()
    except ToolDefinitionError as exc:
        faults += _faults_of(exc)
        return None


def _faults_of(error: ToolDefinitionError) -> Sequence[Fault]:
    """None where it says nothing: what is wrong is said elsewhere."""
    return error.faults or ([Fault((), error.message, error.hint)] if error.message else [])
