"""What a file declares -> tools. Nothing is imported, connected or started here, but for `Entry.make`.

What has a fault hides nothing that is wrong elsewhere: what can be made of the rest is made, and thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from gemmagraph.prompts.messages import ToolSpec
from gemmagraph.tools.bodies.base import Body
from gemmagraph.tools.declared.checks_tools import named_secrets
from gemmagraph.tools.declared.connections import CONNECTION
from gemmagraph.tools.declared.document import Document, SourceFile, with_defaults
from gemmagraph.tools.declared.needs import unmet
from gemmagraph.tools.declared.nodes import KeyPath
from gemmagraph.tools.declared.parameters import misspelt, schema_faults
from gemmagraph.tools.declared.problems import MOST_SHOWN, FileErrors, Problem
from gemmagraph.tools.declared.tools import BODIES, TOOL
from gemmagraph.tools.declaring import acting, bound_fields, error_fields
from gemmagraph.tools.defaults import Defaults
from gemmagraph.tools.errors import Fault, ToolDefinitionError, Unavailable, refuse
from gemmagraph.tools.facts import normal
from gemmagraph.tools.files import absent, load_object
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
    """Imports what it needs. Raises Unavailable if that is not there, FileErrors if it is not as the file says."""
    tool: Tool | None = None
    """The tool, where it could be made already."""
    unavailable: str | None = None
    """Why it cannot run here."""
    lacking: bool = False
    """Whether that is something that the file itself says it needs."""


@dataclass
class Maker:
    """Makes the tools of one document, and what they share. All that is wrong is gathered in `problems`."""

    document: Document
    problems: list[Problem] = field(default_factory=list)
    secrets: Secrets = field(init=False)
    connections: dict[str, Any] = field(default_factory=dict)
    """Those of which nothing is wrong, and that have all their settings."""

    def __post_init__(self) -> None:
        self.problems += self.document.problems
        self.secrets = Secrets({name: self._secret(name, said) for name, said in self._declared()})
        for file in self.document.files:
            self._check_defaults(file)
        for name in self.document.values.get("connections") or ():
            path = ("connections", name)
            said = self.document.parts(path, CONNECTION)
            if not said or self.document.settings.missing(path):
                continue
            made = self.guarded(path, partial(self._connection, path, said))
            if made is not None and self.document.right(path):
                self.connections[name] = made

    def entries(self) -> list[Entry]:
        """The tools under `tools:`; those with faults are left out."""
        found: list[Entry] = []
        for index in range(len(self.document.values.get("tools") or ())):
            if len(self.problems) >= MOST_SHOWN:
                break
            entry = self._entry(("tools", index))
            found += [entry] if entry is not None else []
        return found

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

    def _declared(self) -> list[tuple[str, Any]]:
        """The secrets; also those that are named and not there, which is said of them already."""
        declared = self.document.values.get("secrets") or {}
        named = named_secrets(self.document) if self.document.problems else ()
        return [*({name: None for _, name in named} | declared).items()]

    def _secret(self, name: str, said: Any) -> Secret:
        keys = said if isinstance(said, Mapping) else {}
        if keys.get("file") is None:
            return Secret(name, keys.get("env"))
        return Secret(name, file=str(self.document.folder(("secrets", name)) / Path(keys["file"]).expanduser()))

    def _check_defaults(self, file: SourceFile) -> None:
        try:
            facts_of(file.defaults)
        except ToolDefinitionError as exc:
            faults = _faults_of(exc)
            self.problems += [file.problem(("defaults", *one.key), one.message, one.hint) for one in faults]

    def _connection(self, path: KeyPath, said: Mapping[str, Any]) -> Any:
        if "sql" in said:
            from gemmagraph.tools.guards.databases import SqlConnection

            return SqlConnection(**said["sql"], secrets=self.secrets, folder=self.document.folder(path))
        from gemmagraph.tools.bodies.http_connection import HttpConnection

        return HttpConnection(**said["http"], secrets=self.secrets)

    def _entry(self, path: KeyPath) -> Entry | None:
        document = self.document
        said = with_defaults(document.defaults(path), document.parts(path, TOOL))
        at = document.place(path)
        place = f"{at.file}:{at.line}"
        kind = next((kind for kind in BODIES if kind in said), "")
        unset = self._unset(path, said.get(kind))
        tool = self._checked(path, said, "" if unset else kind, place)
        if not kind or not document.right(path):
            return None
        lacking = unmet(said.get("needs") or ()) or unset
        if kind == "python":
            folder = document.folder(path)
            make = partial(self._imported, path, said, folder, place)
            why = lacking or absent(said["python"], folder)
        else:
            make = partial(_there, tool, lacking)
            why = lacking or (tool.body.unavailable() if tool is not None and tool.body is not None else None)
        return Entry(said["name"], kind, place, make, tool, why, lacking is not None)

    def _unset(self, path: KeyPath, body: Any) -> str | None:
        """Why a setting that the tool or its connection names has no value here."""
        settings = self.document.settings
        name = body.get("connection") if isinstance(body, Mapping) else None
        return settings.missing(path) or (settings.missing(("connections", name)) if name else None)

    def _checked(self, path: KeyPath, said: Mapping[str, Any], kind: str, place: str) -> Tool | None:
        """The tool, if it acts by http, shell or sql and nothing is wrong with it.

        Args:
            kind: what it acts by; empty where that cannot be looked at.
        """
        faults: list[Fault] = []
        parameters = said.get("parameters") or {}
        body = None
        if kind not in ("", "python"):
            body = _without_faults(faults, lambda: self._body(path, said, kind))
        faults += schema_faults(parameters)
        around = _without_faults(faults, lambda: around_of(said, parameters))
        self.problems += self.document.faults(path, faults)
        if faults or body is None or around is None or not self.document.right(path):
            return None
        schema = closed(dict(parameters), said["name"])
        spec = ToolSpec(said["name"], said["description"], schema, tuple(said.get("examples") or ()))
        return self.guarded(path, lambda: acting(spec, body, place=place, **around))

    def _body(self, path: KeyPath, said: Mapping[str, Any], kind: str) -> Body | None:
        """None where it cannot be made because of something that is wrong elsewhere.

        Raises:
            ToolDefinitionError: it is wrong itself.
        """
        keys = dict(said[kind])
        if kind == "shell":
            from gemmagraph.tools.bodies.shell import ShellBody

            return ShellBody(**keys, secrets=self.secrets, folder=self.document.folder(path))
        name = keys.pop("connection", None)
        shared = self.connections.get(name) if kind in (self._table("connections").get(name) or ()) else None
        if kind == "sql":
            parameters, bind = said.get("parameters") or {}, tuple(said.get("bind") or ())
            if not self.document.sure(path, "parameters", "bind") or misspelt(parameters):
                return None
            from gemmagraph.tools.bodies.sql import SqlBody
            from gemmagraph.tools.guards.databases import SqlConnection

            connection = shared or SqlConnection("sqlite:///stand-in", read_only=False)
            return SqlBody(connection, **keys, parameters=parameters, bind=bind)
        from gemmagraph.tools.bodies.http import HttpBody
        from gemmagraph.tools.bodies.http_connection import HttpConnection

        if name is not None and shared is None:
            if "url" in keys:
                return None
            shared = HttpConnection("https://stand-in.example")
        return HttpBody(shared, **keys, secrets=self.secrets)

    def _table(self, section: str) -> Mapping[str, Any]:
        return self.document.values.get(section) or {}

    def _imported(self, path: KeyPath, said: Mapping[str, Any], folder: Path, place: str) -> Tool:
        """A Python function as a tool.

        Raises:
            Unavailable: it cannot be had here.
            FileErrors: it is not what the file says.
        """
        try:
            return _python(said, around_of(said, {}), folder, place)
        except Unavailable:
            raise
        except ToolDefinitionError as exc:
            faults = exc.faults or [Fault(("python",), exc.message, exc.hint or "")]
            raise FileErrors(self.document.faults(path, faults)) from exc


def _there(tool: Tool | None, lacking: str | None) -> Tool:
    if tool is None:
        raise Unavailable(f"It cannot run here: {lacking}.")
    return tool


def _python(said: Mapping[str, Any], around: Mapping[str, Any], folder: Path, place: str) -> Tool:
    """A Python function, with what the file says of it.

    Raises:
        Unavailable: it cannot be had here.
        ToolDefinitionError: it is none, or does not take what the file says.
    """
    made = to_tool(load_object(said["python"], folder))
    parameters = _parameters(said, made, around["bind"])
    defaults = made.plan.defaults
    if "parameters" in said:
        taken = {**dict.fromkeys(around["bind"]), **parameters["properties"]}
        needed = [*parameters.get("required", ()), *around["bind"]]
        _check_fit(made, {"properties": taken, "required": needed})
        defaults = Defaults(parameters, nulls=True)
    spec = ToolSpec(
        said["name"],
        said.get("description") or made.description,
        parameters,
        tuple(said.get("examples") or made.examples),
    )
    changes = {**around, "bind": {**made.bind, **around["bind"]}, "errors": {**made.errors, **around["errors"]}}
    return replace(made, spec=spec, plan=replace(made.plan, defaults=defaults), place=place, **changes)


def _check_fit(made: Tool, parameters: Mapping[str, Any]) -> None:
    try:
        fit_function(made.function, parameters)
    except ToolDefinitionError as exc:
        raise ToolDefinitionError(
            exc.message, hint=exc.hint or "", faults=[Fault(("parameters",), exc.message, exc.hint or "")]
        ) from exc


def around_of(said: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What is said around the calls of a tool, as a `Tool` has it.

    Raises:
        ToolDefinitionError: something in it is wrong; it holds all that is.
    """
    faults: list[Fault] = []
    bind = bound_fields(said.get("bind") or {}, parameters, faults)
    errors = error_fields(said.get("errors") or {}, faults)
    facts = _without_faults(faults, lambda: facts_of(said)) or {}
    refuse(f"The tool {said.get('name')}", faults)
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
        message = f"{said['python']} has no parameter {unknown[0]!r}, which bind fills in."
        hint = f"Its parameters: {there}."
        raise ToolDefinitionError(message, hint=hint, faults=[Fault(("bind", unknown[0]), message, hint)])
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
