"""Tools that act by a body, from Python: `http_tool`, `shell_tool`, `sql_tool`. Files of tools end here too."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, Unpack, cast

from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.tools.bodies.base import Body
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.errors import Fault, ToolDefinitionError, refuse
from gemmagraph.tools.facts import Facts, argument_faults, normal
from gemmagraph.tools.failures import KINDS, is_kind
from gemmagraph.tools.fields import Field, field_or_fault
from gemmagraph.tools.hints import closed
from gemmagraph.tools.signature import CallPlan
from gemmagraph.tools.tool import Tool

if TYPE_CHECKING:
    from gemmagraph.tools.bodies.http_connection import HttpConnection
    from gemmagraph.tools.guards.databases import SqlConnection
    from gemmagraph.tools.secrets import Secrets

_NAMES: Final = ("args", "response")
"""What a text under `errors` can name."""


class Around(Facts, total=False):
    """What is done around the calls of a declared tool; the keys of a file of tools, and the facts of any tool."""

    bind: Mapping[str, str]
    errors: Mapping[str, str]
    examples: Sequence[Mapping[str, JSON]]


def declared_tool(
    name: str, description: str, parameters: Mapping[str, JSON], body: Body, **around: Unpack[Around]
) -> Tool:
    """A tool that acts by `body`.

    Raises:
        ToolDefinitionError: something is wrong with these; it holds all that is.
    """
    faults: list[Fault] = []
    facts = cast(dict[str, Any], dict(around))
    facts["bind"] = bound_fields(facts.get("bind") or {}, parameters, faults)
    facts["errors"] = error_fields(facts.get("errors") or {}, faults)
    examples = tuple(facts.pop("examples", ()))
    faults += [
        Fault(("errors", kind), f"no failure is called so: it is {KINDS}.")
        for kind in facts["errors"]
        if not is_kind(kind)
    ]
    spec = ToolSpec(name, description, closed(dict(parameters), name), examples)
    refuse(f"The tool {name}", [*faults, *argument_faults(spec)])
    return acting(spec, body, **normal(facts))


def acting(spec: ToolSpec, body: Body, **facts: Any) -> Tool:
    """A tool that acts by `body`; `facts` are as a `Tool` has them."""
    return Tool(spec, _Call(body, spec.name), CallPlan(), body=body, **facts)


def bound_fields(bind: Mapping[str, str], parameters: Mapping[str, JSON], faults: list[Fault]) -> dict[str, Field]:
    """What the application fills in."""
    taken = set(bind) & set(parameters.get("properties") or {})
    wrong = "is a parameter too; the model would fill it in"
    faults += [Fault(("bind", name), f"{name!r} {wrong}", "Rename one.") for name in sorted(taken)]
    return {name: field_or_fault(str(text), ("context",), ("bind", name), faults) for name, text in bind.items()}


def error_fields(errors: Mapping[str, str], faults: list[Fault]) -> dict[str, Field]:
    """What the model is told of failures."""
    return {str(kind): field_or_fault(text, _NAMES, ("errors", str(kind)), faults) for kind, text in errors.items()}


class _Call:
    """The function of a tool that has a body: what happens when the tool itself is called."""

    def __init__(self, body: Body, name: str) -> None:
        self._body = body
        self.__qualname__ = name
        self.__module__ = __name__

    async def __call__(self, **arguments: JSON) -> object:
        return await self._body.perform(self._body.render({"args": arguments}), ToolContext())


class HttpKeys(Around, total=False):
    """The keys of `http`."""

    connection: HttpConnection
    base_url: str
    url: str
    method: str
    path: str
    query: Mapping[str, JSON]
    json: JSON
    form: Mapping[str, JSON]
    body: str
    headers: Mapping[str, str]
    expect: Sequence[int | str]
    auth: Mapping[str, str | Mapping[str, str]]
    allow_hosts: Sequence[str]
    redirects: int
    max_bytes: str | int
    secrets: Secrets


class ShellKeys(Around, total=False):
    """The keys of `shell`."""

    argv: Sequence[str | Mapping[str, str]]
    stdin: str
    env: Mapping[str, str]
    cwd: str
    sandbox: Mapping[str, object]
    ok_exit_codes: Collection[int]
    secrets: Secrets


class SqlKeys(Around, total=False):
    """The keys of `sql`."""

    connection: SqlConnection
    statement: str


def http_tool(name: str, description: str, parameters: Mapping[str, JSON], **keys: Unpack[HttpKeys]) -> Tool:
    """A tool that is an HTTP request: `http_tool("issue", "…", {…}, connection=…, path="/issues/{{ args.n }}")`.

    Raises:
        ToolDefinitionError: something is wrong with these; it holds all that is.
    """
    from gemmagraph.tools.bodies.http import HttpBody

    own, around = _split("http_tool", keys, HttpKeys)
    return declared_tool(name, description, parameters, HttpBody(**own), **around)


def shell_tool(name: str, description: str, parameters: Mapping[str, JSON], **keys: Unpack[ShellKeys]) -> Tool:
    """A tool that is a program: `shell_tool("log", "…", {…}, argv=["journalctl", "--unit={{ args.unit }}"])`.

    Raises:
        ToolDefinitionError: something is wrong with these; it holds all that is.
    """
    from gemmagraph.tools.bodies.shell import ShellBody

    own, around = _split("shell_tool", keys, ShellKeys)
    return declared_tool(name, description, parameters, ShellBody(**own), **around)


def sql_tool(name: str, description: str, parameters: Mapping[str, JSON], **keys: Unpack[SqlKeys]) -> Tool:
    """A tool that is an SQL statement with named binds: `sql_tool("orders", "…", {…}, connection=…, statement="…")`.

    Raises:
        ToolDefinitionError: something is wrong with these; it holds all that is.
    """
    from gemmagraph.tools.bodies.sql import SqlBody

    own, around = _split("sql_tool", keys, SqlKeys)
    bind = tuple(around.get("bind") or ())
    return declared_tool(name, description, parameters, SqlBody(**own, parameters=parameters, bind=bind), **around)


def _split(function: str, keys: Mapping[str, Any], own: type) -> tuple[dict[str, Any], Any]:
    """The keys of a body, and those around it.

    Raises:
        ToolDefinitionError: there are others.
    """
    known = own.__annotations__.keys()
    if unknown := [key for key in keys if key not in known]:
        near = get_close_matches(unknown[0], known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(known))}."
        raise ToolDefinitionError(f"{function} has no keyword {unknown[0]!r}.", hint=hint)
    names = known - Around.__annotations__.keys()
    return {k: v for k, v in keys.items() if k in names}, {k: v for k, v in keys.items() if k not in names}
