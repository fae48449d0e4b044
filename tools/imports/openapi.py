"""Chosen operations of an OpenAPI document as tools: the `openapi:` of a file, and `openapi_tools` from Python."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.bodies.http_connection import HttpConnection
from gemmagraph.tools.bodies.http_request import check_path
from gemmagraph.tools.declared.problems import did_you_mean
from gemmagraph.tools.declared.tools import AROUND
from gemmagraph.tools.declaring import declared_tool
from gemmagraph.tools.errors import Fault, ToolDefinitionError, refuse
from gemmagraph.tools.imports.foreign import Import, Surroundings, overridden
from gemmagraph.tools.imports.openapi_arguments import inputs_of
from gemmagraph.tools.imports.openapi_body import OpenApiBody
from gemmagraph.tools.imports.openapi_document import (
    Document,
    bytes_of,
    digest,
    document_of,
    is_url,
    read_document,
)
from gemmagraph.tools.imports.openapi_operations import (
    MOST_SHOWN,
    Operation,
    chosen,
    means_one,
    operations_of,
)
from gemmagraph.tools.imports.openapi_request import Request
from gemmagraph.tools.imports.openapi_servers import Scheme, Servers, carried, lacking, schemes_of
from gemmagraph.tools.imports.openapi_texts import tool_name
from gemmagraph.tools.imports.schemas import limited
from gemmagraph.tools.imports.texts import readable
from gemmagraph.tools.runtime import in_thread, run_sync
from gemmagraph.tools.secrets import Secrets
from gemmagraph.tools.tool import Tool

if TYPE_CHECKING:
    from gemmagraph.tools.guards.transport import Resolver

Auth: TypeAlias = Mapping[str, str | Mapping[str, str]]

_OF_AN_OVERRIDE: Final = ("name", "description", *AROUND)
_ANYWHERE: Final = "https://localhost"
"""Stands for a server while only `auth` is looked at."""


@dataclass(frozen=True)
class _Asked:
    """What is said of one import, besides the document."""

    include: Sequence[Mapping[str, str]]
    overrides: Mapping[str, Mapping[str, Any]]
    auth: Auth | None
    base_url: str | None
    secrets: Secrets
    place: str
    resolver: Resolver | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] | None = None
    """Takes operations that are chosen among others and cannot be used, and why; None: that is an error."""


def openapi_import(said: Mapping[str, Any], around: Surroundings) -> Import:
    """The import that a file declares. The document is read when it is opened.

    Args:
        said: the mapping under `imports:`.

    Raises:
        ToolDefinitionError: something is wrong with what is said; it holds all that is.
    """
    source = said["openapi"]
    overrides, auth, base_url = said.get("overrides") or {}, said.get("auth"), said.get("base_url")
    secrets, place = around.secrets, around.place
    left_out: dict[str, str] = {}
    asked = _Asked(
        said["include"], overrides, auth, base_url, secrets, place, defaults=around.defaults, left_out=left_out
    )
    pin = said.get("pin") or ""
    faults = [*_of_connection(asked)]
    if is_url(source) and not pin:
        faults.append(
            Fault(("openapi",), "a document from a URL must be pinned", "`gemmagraph tools pin` writes the digest.")
        )
    refuse(f"The import of {source}", faults)

    async def open_() -> list[Tool]:
        content = await bytes_of(source, around.folder)
        return await in_thread(_read_and_made, content, source, around.folder, pin, asked)

    return Import(source, "openapi", place, open_, _names(said["include"], overrides), left_out)


def openapi_tools(
    source: str | os.PathLike[str] | Mapping[str, JSON],
    *,
    include: Sequence[Mapping[str, str]],
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    auth: Auth | None = None,
    base_url: str | None = None,
    pin: str = "",
    secrets: Secrets | None = None,
    resolver: Resolver | None = None,
    left_out: dict[str, str] | None = None,
) -> list[Tool]:
    """Operations of an OpenAPI document as tools: `openapi_tools("api.yaml", include=[{"operationId": "getPet"}])`.

    Args:
        source: a file, a URL that is pinned, or the document itself.
        include: which operations; each entry holds one or more of operationId, tag, method and path.
        overrides: what to say otherwise of a tool, by operationId: name, description, annotations, result, approval.
        auth: credentials, as `HttpConnection` takes them. What carries them leaves the schemas.
        base_url: the server, where the document names none or another. Only this one may be private.
        pin: the digest that the document must have, `sha256:…`. A pinned document may not refer to other files.
        secrets: what `{{ secrets.NAME }}` in `auth` and `base_url` names.
        resolver: stands in for the system's.
        left_out: takes what an entry chooses among others and cannot be used, and why. Without it, that is an error.

    Raises:
        ToolDefinitionError: the document or something said of it is wrong; it holds all that is.
    """
    secrets = secrets if secrets is not None else Secrets()
    asked = _Asked(include, overrides or {}, auth, base_url, secrets, "", resolver, left_out=left_out)
    if isinstance(source, Mapping):
        return _made(document_of(source, "the document"), asked)
    name = os.fspath(source)
    if is_url(name) and not pin:
        raise ToolDefinitionError(
            f"{name} is a URL, and not pinned.", hint="Look at it, and give the `pin` that `openapi_pin` says."
        )
    content = run_sync(bytes_of(name, Path(), resolver))
    return _read_and_made(content, name, Path(), pin, asked)


def openapi_pin(source: str | os.PathLike[str], resolver: Resolver | None = None) -> str:
    """The digest of a document as it is now: what to write as its `pin`.

    Raises:
        ToolDefinitionError: it cannot be had.
    """
    return digest(run_sync(bytes_of(os.fspath(source), Path(), resolver)))


def _names(include: Sequence[Mapping[str, str]], overrides: Mapping[str, Mapping[str, Any]]) -> list[str] | None:
    """What its tools are called, if that can be known without the document."""
    asked = [entry.get("operationId", "") for entry in include]
    names = [str(overrides.get(one, {}).get("name") or one) for one in asked]
    return names if all(name and name == tool_name(name, "") for name in names) else None


def _read_and_made(content: bytes, source: str, folder: Path, pin: str, asked: _Asked) -> list[Tool]:
    path = Path() if is_url(source) else folder / Path(source).expanduser()
    beside = None if is_url(source) else path.parent
    return _made(read_document(content, source, folder=beside, file=path.name, pin=pin), asked)


def _made(document: Document, asked: _Asked) -> list[Tool]:
    """The tools that are asked for."""
    broken: dict[str, str] = {}
    operations = operations_of(document, broken)
    found = chosen(operations, asked.include)
    if all(map(means_one, asked.include)):
        broken.clear()  # nobody asked for what else there is
    faults = [*_of_connection(asked), *_of_overrides(asked.overrides, [one.id for _, one in found])]
    refuse(f"The import of {document.name}", faults)
    servers = Servers(document, asked.base_url, asked.auth, asked.secrets, asked.resolver)
    schemes = schemes_of(document)
    tools: dict[str, tuple[Tool, Operation]] = {}
    for index, operation in found:
        key = ("include", index)
        try:
            tool = _tool(document, operation, servers, schemes)
        except ToolDefinitionError as problem:
            own = [fault for fault in problem.faults if fault.key[:1] == ("base_url",)]
            if not own and asked.left_out is not None and not _is_named(operation, asked.include):
                broken[readable(operation.id, MOST_SHOWN)] = str(problem)
                continue
            faults += own or [Fault(key, f"{operation.id[:80]}: {problem.message}", problem.hint)]
            continue
        tool = _overridden(tool, operation, asked, faults)
        _, other = tools.setdefault(tool.name, (tool, operation))
        if other is not operation:
            said = f"{operation.method} {operation.path} and {other.method} {other.path} would both be {tool.name!r}."
            faults.append(Fault(key, said, "Give one of them another name under `overrides`, or choose one."))
    if asked.left_out is None:
        faults += [Fault(("openapi",), f"{name}: {why}") for name, why in broken.items()]
    refuse(f"The import of {document.name}", [*dict.fromkeys(faults)])
    if asked.left_out is not None:
        asked.left_out.clear()
        asked.left_out.update(broken)
    return [tool for tool, _ in tools.values()]


def _is_named(operation: Operation, include: Sequence[Mapping[str, str]]) -> bool:
    """Whether an entry of `include` means it, and not just also it."""
    return any(means_one(entry) and operation.fits(entry) for entry in include)


def _tool(document: Document, operation: Operation, servers: Servers, schemes: Mapping[str, Scheme]) -> Tool:
    """One operation as a tool.

    Raises:
        ToolDefinitionError: the document is wrong there, or names no server that may be asked.
    """
    given = carried(schemes, servers.auth)
    inputs = inputs_of(operation.item, operation.value, old=document.old, carried=given)
    in_path = {argument.wire: argument for argument in inputs.arguments if argument.where == "path"}
    pieces = re.split(r"\{([^{}]*)\}", operation.path)
    if unknown := [name for name in pieces[1::2] if name not in in_path]:
        raise ToolDefinitionError(f"The path {operation.path[:200]!r} has no parameter {unknown[0]!r}.")
    faults: list[Fault] = []
    check_path(
        operation.path, [None if index % 2 else piece for index, piece in enumerate(pieces)], ("paths",), faults
    )
    if faults:
        raise ToolDefinitionError(faults[0].message)
    if inputs.content is not None and operation.method in ("GET", "HEAD"):
        inputs.missing = f"it is a {operation.method} that sends a body"
    elif ("header", "cookie") in given and any(argument.where == "cookie" for argument in inputs.arguments):
        inputs.missing = "its cookies would take the place of the credentials"
    request = Request(
        operation.method,
        [in_path[piece] if index % 2 else piece for index, piece in enumerate(pieces)],
        [argument for argument in inputs.arguments if argument.where != "path"],
        inputs.content,
        _accepted(operation),
    )
    connection = servers.connection(operation.item, operation.value)
    missing = inputs.missing or lacking(document, operation.value, schemes, bool(servers.auth))
    parameters = limited(operation.name, inputs.parameters)
    body = OpenApiBody(connection, request, missing)
    made = declared_tool(operation.name, operation.description, parameters, body)
    return replace(made, destructive=True) if operation.method == "DELETE" else made


def _accepted(operation: Operation) -> str:
    """What to say in `Accept`: nothing of its own where the operation answers with plain JSON or does not say."""
    medias: dict[str, None] = {}
    for status, entry in operation.value.entries("responses"):
        if status[:1] == "2":
            with suppress(ToolDefinitionError):  # what is wrong with an answer does no harm
                medias |= dict.fromkeys(media for media, _ in entry.followed().entries("content"))
    named = [media for media in medias if re.fullmatch(r"[A-Za-z0-9!#$&^_.+*/-]{1,100}", media)]
    if not named or "application/json" in named or "*/*" in named:
        return ""
    return ", ".join([*sorted(named, key=lambda media: not media.endswith("json"))[:5], "*/*;q=0.1"])


def _overridden(tool: Tool, operation: Operation, asked: _Asked, faults: list[Fault]) -> Tool:
    """The tool with what the import says of it. One that is said to read is no longer marked as a DELETE is."""
    said = asked.overrides.get(operation.id, {})
    marks = said.get("annotations") or {}
    if marks.get("readOnlyHint") and "destructiveHint" not in marks:
        tool = replace(tool, destructive=None)
    try:
        return overridden(tool, said, asked.place, asked.defaults)
    except ToolDefinitionError as problem:
        found = problem.faults or (Fault((), problem.message, problem.hint),)
        faults += [Fault(("overrides", operation.id, *one.key), one.message, one.hint) for one in found]
        return tool


def _of_overrides(overrides: Mapping[str, Mapping[str, Any]], there: Sequence[str]) -> list[Fault]:
    """What is wrong with the names that are overridden, and with the keys of each."""
    faults = [
        Fault(("overrides", name), "no operation that is included has this operationId.", did_you_mean(name, there))
        for name in overrides
        if name not in there
    ]
    for name, said in overrides.items():
        for key in said.keys() - set(_OF_AN_OVERRIDE):
            hint = did_you_mean(key, _OF_AN_OVERRIDE)
            faults.append(Fault(("overrides", name, key), "this cannot be said of a tool.", hint))
    return faults


def _of_connection(asked: _Asked) -> list[Fault]:
    """What is wrong with `auth` and `base_url` themselves."""
    try:
        HttpConnection(asked.base_url or _ANYWHERE, auth=asked.auth, secrets=asked.secrets)
    except ToolDefinitionError as problem:
        return [Fault(fault.key[1:], fault.message, fault.hint) for fault in problem.faults]
    return []
