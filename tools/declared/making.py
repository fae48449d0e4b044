"""What a file declares -> tools. Nothing is imported, connected or started here, but for `open_python`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from gemmagraph.prompts.messages import ToolSpec
from gemmagraph.tools.bodies.base import Body
from gemmagraph.tools.declared.document import Document, with_defaults
from gemmagraph.tools.declared.nodes import KeyPath
from gemmagraph.tools.declared.problems import FileErrors, Problem
from gemmagraph.tools.declaring import bound_fields, declared_tool, error_fields
from gemmagraph.tools.errors import Fault, ToolDefinitionError
from gemmagraph.tools.facts import normal
from gemmagraph.tools.files import load_object
from gemmagraph.tools.hints import closed
from gemmagraph.tools.secrets import Secret, Secrets
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
            self.problems += self.document.faults(path, exc.faults or [Fault((), exc.message, exc.hint)])
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
            return Entry(said["name"], kind, place, lambda: self._python(said, folder, place))
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
        bound_fields(said.get("bind") or {}, parameters, faults)
        error_fields(said.get("errors") or {}, faults)
        spec = _without_faults(faults, lambda: closed(dict(parameters), said["name"]))
        facts = _without_faults(faults, lambda: facts_of(said))
        if body is None or spec is None or facts is None or faults:
            raise ToolDefinitionError(f"The tool {said['name']}", faults=faults)
        extra = {key: said[key] for key in ("bind", "errors", "examples") if key in said}
        made = declared_tool(said["name"], said["description"], parameters, body, **extra, **facts)
        return replace(made, place=place)

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

    def _python(self, said: Mapping[str, Any], folder: Path, place: str) -> Tool:
        """A Python function, with what the file says of it.

        Raises:
            ToolDefinitionError: it cannot be imported, or does not take what the file says.
        """
        made = to_tool(load_object(said["python"], folder))
        faults: list[Fault] = []
        bind = bound_fields(said.get("bind") or {}, {}, faults)
        errors = error_fields(said.get("errors") or {}, faults)
        spec = ToolSpec(
            said["name"],
            said.get("description") or made.description,
            _parameters(said, made, bind),
            tuple(said.get("examples") or made.examples),
        )
        return replace(
            made,
            spec=spec,
            bind={**made.bind, **bind},
            errors={**made.errors, **errors},
            place=place,
            **facts_of(said),
        )


def facts_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that the keys of a tool, or of an override, say."""
    facts = {_HINTS[hint]: value for hint, value in (said.get("annotations") or {}).items() if hint in _HINTS}
    facts |= {key: said[key] for key in (*_PLAIN, "approval") if key in said}
    return normal(facts)


def _parameters(said: Mapping[str, Any], made: Tool, bind: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a function's arguments: that of the file, else the function's own without what is bound."""
    if "parameters" in said:
        return closed(dict(said["parameters"]), said["name"])
    own = dict(made.spec.parameters)
    own["properties"] = {name: schema for name, schema in own["properties"].items() if name not in bind}
    if "required" in own:
        own["required"] = [name for name in own["required"] if name not in bind]
    return own


def _without_faults(faults: list[Fault], make: Callable[[], T]) -> T | None:
    try:
        return make()
    except ToolDefinitionError as exc:
        faults += exc.faults or ([Fault((), exc.message, exc.hint)] if exc.message else [])
        return None
