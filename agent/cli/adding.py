"""`gemmagraph tools add`: entries of an assistant file, written from what is there. Each is opened before it is
written: what cannot be used does not get in."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final

from gemmagraph.assistant import load_assistant
from gemmagraph.cli.editing import append, scalar
from gemmagraph.cli.toolfiles import imported, introduced, opened
from gemmagraph.errors import AgentError, ToolDefinitionError
from gemmagraph.tools import to_tool
from gemmagraph.tools.declared.document import Document
from gemmagraph.tools.declared.loading import load_document
from gemmagraph.tools.files import load_object
from gemmagraph.tools.secrets import Secrets

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,59}")
_ROUTE: Final = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) +(/.*)", re.IGNORECASE)


def added_python(file: str, functions: Sequence[str]) -> str:
    """Adds Python functions, each `FILE.py:NAME` or `package.module:NAME`; returns what to tell.

    Raises:
        GemmagraphError: one of them is not there or no tool, or cannot be added.
    """
    told = []
    for source in functions:
        document = load_document(file)
        where, colon, name = source.rpartition(":")
        if not (where and colon and name):
            raise AgentError(f"{source!r} names no function.", hint="Write FILE.py:NAME or package.module:NAME.")
        written = f"{_relative(where, document)}:{name}" if where.endswith(".py") else source
        with redirect_stdout(sys.stderr):
            tool = to_tool(load_object(written, document.path.parent))
        own = _tool_name(tool.name)
        _check_new(file, [own])
        line = append(document, "tools", [f"name: {scalar(own)}", f"python: {scalar(written)}"])
        told += [f"Added at {file}:{line}:", introduced(tool)]
    return "\n".join(told)


def _tool_name(name: str) -> str:
    """A function's name as a file may have it."""
    return name if _NAME.fullmatch(name) else re.sub(r"[^a-z0-9_]", "_", name.lower()).lstrip("_0123456789")[:60]


def added_openapi(file: str, source: str, operations: Sequence[str], base_url: str | None) -> str:
    """Adds operations of an OpenAPI document, each an operationId or `METHOD /path`; returns what to tell."""
    from gemmagraph.tools.imports.foreign import Surroundings
    from gemmagraph.tools.imports.openapi import openapi_import, openapi_pin
    from gemmagraph.tools.imports.openapi_document import is_url

    document = load_document(file)
    include = [_chosen(operation) for operation in operations]
    said: dict[str, Any] = {"openapi": source, "include": include}
    if base_url:
        said["base_url"] = base_url
    if is_url(source):
        said["pin"] = openapi_pin(source)
    else:
        said["openapi"] = _relative(source, document)
    made = openapi_import(said, Surroundings(document.path.parent, Secrets(), file))
    with imported(made) as tools:
        names, told = [tool.name for tool in tools], [*map(introduced, tools)]
    _check_new(file, names)
    lines = [f"openapi: {scalar(said['openapi'])}", f"include: [{', '.join(map(_flow, include))}]"]
    lines += [f"{key}: {scalar(said[key])}" for key in ("base_url", "pin") if key in said]
    return "\n".join([f"Added at {file}:{append(document, 'imports', lines)}:", *told])


def added_mcp(file: str, command: Sequence[str], include: Sequence[str]) -> str:
    """Adds an MCP server, which is started or asked once, and pins what it offers; returns what to tell."""
    from gemmagraph.tools.imports.foreign import Surroundings
    from gemmagraph.tools.imports.mcp import mcp_import, pin_of

    document = load_document(file)
    first, *arguments = command
    is_url = re.match(r"https?://", first) is not None
    if is_url and arguments:
        raise AgentError(f"Behind an address nothing is expected, and there is {arguments[0]!r}.")
    server: dict[str, Any] = {"url": first} if is_url else {"command": first}
    if arguments:
        server["args"] = arguments
    said: dict[str, Any] = {"mcp": server, **({"include": [*include]} if include else {})}
    made = mcp_import(said, Surroundings(document.path.parent, Secrets(), file))
    with imported(made) as tools:
        pin, names, told = pin_of(tools), [tool.name for tool in tools], [*map(introduced, tools)]
    if not tools:
        raise AgentError(f"{made.name} offers no such tool.")
    _check_new(file, names)
    lines = [f"mcp: {_flow(server)}"]
    if include:
        lines.append(f"include: [{', '.join(map(scalar, include))}]")
    line = append(document, "imports", [*lines, f"pin: {pin}"])
    return "\n".join([f"Added at {file}:{line}:", *told])


def _check_new(file: str, names: Sequence[str]) -> None:
    """Opens what the file has already: what is imported is not known before.

    Raises:
        GemmagraphError: it has a tool of one of these names, or there is something wrong with it.
    """
    assistant = load_assistant(file)
    with opened(assistant, ()) as found:
        known = {tool.name: tool.place for tool in found.tools if tool.place is not None}
    known |= {entry.name: entry.place for entry in assistant.entries}
    if taken := [f"{name!r}, from {known[name]}" for name in names if name in known]:
        raise AgentError(
            f"{file} stays as it was: it has such a tool already: {'; '.join(taken)}.",
            hint="Choose others, or write the entry yourself, with another name.",
        )


def _chosen(operation: str) -> dict[str, str]:
    """An entry of `include`."""
    route = _ROUTE.fullmatch(operation)
    return {"method": route[1].upper(), "path": route[2]} if route else {"operationId": operation}


def _flow(value: Mapping[str, Any]) -> str:
    """A mapping in brackets."""
    pairs = [
        f"{key}: {scalar(each) if isinstance(each, str) else '[' + ', '.join(map(scalar, each)) + ']'}"
        for key, each in value.items()
    ]
    return f"{{{', '.join(pairs)}}}"


def _relative(path: str, document: Document) -> str:
    """A path from here as it is written in the file: relative to where that is.

    Raises:
        ToolDefinitionError: there is no such file.
    """
    there = Path(path).expanduser()
    if not there.is_file():
        raise ToolDefinitionError(f"There is no file {path!r}.")
    near = os.path.relpath(there.resolve(), document.path.parent.resolve())
    return near if near.startswith("..") else f"./{near}"
