"""Checks of tools, of what they use and of what they are imported from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.declared.checks_values import (
    Finding,
    items,
    listed,
    mapping,
    table,
    texts,
    tools_and_overrides,
    unknown,
)
from gemmagraph.tools.declared.document import Document
from gemmagraph.tools.declared.format import MERGED_TABLES
from gemmagraph.tools.declared.nodes import KeyPath
from gemmagraph.tools.declared.parameters import misspelt, misspelt_keywords
from gemmagraph.tools.declared.problems import nearest
from gemmagraph.tools.declared.tools import BODIES
from gemmagraph.tools.fields import FieldError, compile_field


def tool_twice(document: Document) -> Iterator[Finding]:
    first: dict[str, KeyPath] = {}
    for path, tool in items(document, "tools"):
        name = tool.get("name")
        if isinstance(name, str):
            if name in first:
                place = document.place((*first[name], "name"))
                yield (*path, "name"), f"there are two tools {name!r}; the first is at {place}", ""
            first.setdefault(name, path)


def clash(document: Document) -> Iterator[Finding]:
    for section in MERGED_TABLES:
        for position, file in enumerate(document.files):
            for name, value in mapping(file.values.get(section)).items():
                for earlier in document.files[:position]:
                    if (section, name) in file.touched or (section, name) in earlier.touched:
                        continue
                    if mapping(earlier.values.get(section)).get(name, value) != value:
                        said = f"{file.place((section, name))} says something else under the same name"
                        yield (section, name), said, "Rename one of them."


def connection(document: Document) -> Iterator[Finding]:
    known = table(document, "connections")
    for kind in ("http", "sql"):
        fitting = {other for other, made in known.items() if kind in mapping(made) or not made}
        for path, tool in items(document, "tools"):
            name = mapping(tool.get(kind)).get("connection")
            at = (*path, kind, "connection")
            if not isinstance(name, str) or not document.fits(at):
                continue
            if name not in known and document.lists("connections"):
                yield unknown(f"{kind} connection", name, fitting, at)
            elif name in known and name not in fitting and document.fits(("connections", name)):
                yield at, f"the connection {name!r} is not one for {kind}", ""


_SECRET: Final = re.compile(r"\{\{\s*secrets\.([\w-]+)", re.ASCII)


def secret(document: Document) -> Iterator[Finding]:
    known = table(document, "secrets")
    if document.lists("secrets"):
        for path, name in named_secrets(document):
            if name not in known:
                yield unknown("secret", name, known, path)


def named_secrets(document: Document) -> Iterator[tuple[KeyPath, str]]:
    """The secrets that are named anywhere, and where."""
    for path, text in texts(document.values, ()):
        for name in _SECRET.findall(text):
            yield path, name


def setting(document: Document) -> Iterator[Finding]:
    if document.lists("settings"):
        for path, name in document.settings.unknown.items():
            yield unknown("setting", name, document.settings.declared, path)


def placeholder(document: Document) -> Iterator[Finding]:
    """Those of tool bodies and results are looked at where these are made."""
    places: list[tuple[KeyPath, JSON, tuple[str, ...]]] = [
        ((section,), document.values.get(section), ("secrets",))
        for section in ("model", "store", "connections", "bots")
    ]
    for path, tool in items(document, "tools"):
        places.append(((*path, "bind"), tool.get("bind"), ("context",)))
    for path, made in items(document, "imports"):
        places += [((*path, key), made.get(key), ("secrets",)) for key in ("auth", "base_url", "mcp")]
    for path, value, roots in places:
        for key, text in texts(value, path):
            try:
                compile_field(text, roots)
            except FieldError as problem:
                yield key, problem.message, problem.hint


_VALUE: Final = re.compile(r"\{\{\s*(args|bind)\.([A-Za-z_][\w-]*)", re.ASCII)


def argument(document: Document) -> Iterator[Finding]:
    for path, tool in items(document, "tools"):
        parameters = tool.get("parameters")
        if not document.sure(path, "parameters", "bind", "python") or misspelt(parameters):
            continue
        open_ended = _open(mapping(parameters)) or (parameters is None and "python" in tool)
        known = {"args": _properties(tool), "bind": mapping(tool.get("bind"))}
        for key in ("http", "shell", "errors"):
            for at, text in texts(tool.get(key), (*path, key)):
                for root, name in _VALUE.findall(text):
                    if root == "bind" and name not in known[root] and key != "errors":
                        yield unknown("bound value", name, known[root], at, "tool")
                    elif root == "args" and name not in known[root] and not open_ended:
                        yield unknown("parameter", name, known[root], at, "tool")


_NEVER_TRUE: Final = ("string", "integer", "number", "array", "object", "null")


def flag(document: Document) -> Iterator[Finding]:
    for path, tool in items(document, "tools"):
        for index, element in enumerate(listed(mapping(tool.get("shell")).get("argv"))):
            named = _VALUE.search(str(mapping(element).get("if")))
            if named is None or named[1] != "args":
                continue
            kind = mapping(_properties(tool).get(named[2])).get("type")
            if all(one in _NEVER_TRUE for one in listed(kind) or [kind]):
                said = f"{named[2]!r} is declared as {kind!r}, which is never true or false"
                yield (*path, "shell", "argv", index, "if"), said, "Write type: boolean."


def bind(document: Document) -> Iterator[Finding]:
    for path, tool in items(document, "tools"):
        for name in mapping(tool.get("bind")).keys() & _properties(tool).keys():
            yield (*path, "bind", name), f"{name!r} is a parameter too; the model would fill it in", "Rename one."


def _properties(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(mapping(tool.get("parameters")).get("properties"))


_OPENING: Final = frozenset(("patternProperties", "$ref", "allOf", "anyOf", "oneOf", "if", "dependentSchemas"))


def _open(parameters: Mapping[str, Any]) -> bool:
    """Whether there may be arguments beside its `properties`."""
    return bool(parameters.get("additionalProperties")) or not _OPENING.isdisjoint(parameters)


def keyword(document: Document) -> Iterator[Finding]:
    for path, tool in items(document, "tools"):
        for at, word, meant in misspelt_keywords(mapping(tool.get("parameters"))):
            yield (*path, "parameters", *at, word), f"no word of JSON Schema; did you mean {meant!r}?", ""


def required(document: Document) -> Iterator[Finding]:
    for path, tool in items(document, "tools"):
        parameters = mapping(tool.get("parameters"))
        at = (*path, "parameters")
        unsure = not all(document.fits((*at, key)) for key in ("properties", "additionalProperties"))
        if unsure or _open(parameters) or misspelt(parameters):
            continue
        known = _properties(tool)
        for index, name in enumerate(listed(parameters.get("required"))):
            if isinstance(name, str) and name not in known:
                yield unknown("property", name, known, (*at, "required", index), "tool")


def example(document: Document) -> Iterator[Finding]:
    for path, tool in items(document, "tools"):
        parameters = tool.get("parameters")
        if (not isinstance(parameters, dict) and "python" in tool) or misspelt(parameters):
            continue
        if not document.sure(path, "parameters", "python"):
            continue
        known, open_ended = _properties(tool), _open(mapping(parameters))
        for index, example in enumerate(listed(tool.get("examples"))):
            args, at = mapping(mapping(example).get("args")), (*path, "examples", index, "args")
            if not (document.fits(at[:-1]) and document.sure(at[:-1], "args")):
                continue
            strange = [name for name in args if name not in known and not open_ended]
            for name in strange:
                yield unknown("parameter", name, known, (*at, name), "tool")
            for name in listed(mapping(parameters).get("required")):
                if name not in args and not (isinstance(name, str) and any(nearest(one, [name]) for one in strange)):
                    yield at, f"the argument {name!r} is missing", ""


def marks(document: Document) -> Iterator[Finding]:
    for path, tool in tools_and_overrides(document):
        marks = mapping(tool.get("annotations"))
        if marks.get("readOnlyHint") and marks.get("destructiveHint"):
            yield (*path, "annotations"), "a tool cannot be both read-only and destructive", ""


def cache(document: Document) -> Iterator[Finding]:
    for path, tool in items(document, "tools"):
        if "cache" in tool and not _may_read_only(path, tool, document):
            yield (*path, "cache"), "only a read-only tool has a cache", "Say annotations: {readOnlyHint: true}."


def retries(document: Document) -> Iterator[Finding]:
    for path, tool in items(document, "tools"):
        idempotent = mapping(tool.get("annotations")).get("idempotentHint")
        if tool.get("retries") and not idempotent and not _may_read_only(path, tool, document):
            hint = "Say annotations: {readOnlyHint: true} or {idempotentHint: true}."
            yield (*path, "retries"), "only a read-only or idempotent tool is tried again", hint


def _may_read_only(path: KeyPath, tool: Mapping[str, Any], document: Document) -> bool:
    """Whether it reads only, by its marks or its body; of a Python function and of what is not sure, whether it
    may."""
    kind = next((kind for kind in BODIES if kind in tool), None)
    if kind is None or not document.sure(path, "annotations", kind):
        return True
    marks = mapping(tool.get("annotations"))
    if marks.get("readOnlyHint") is not None:
        return bool(marks["readOnlyHint"])
    if marks.get("destructiveHint"):
        return False
    if kind == "http":
        http = mapping(tool["http"])
        sends = any(key in http for key in ("json", "form", "body"))
        return http.get("method", "POST" if sends else "GET") in ("GET", "HEAD")
    if kind == "sql":
        name = str(mapping(tool["sql"]).get("connection"))
        sql = mapping(mapping(table(document, "connections").get(name)).get("sql"))
        return bool(sql.get("read_only", True)) or not document.right(("connections", name))
    return kind == "python"


def pin(document: Document) -> Iterator[Finding]:
    for path, made in items(document, "imports"):
        source = made.get("openapi")
        if isinstance(source, str) and "://" in source and "pin" not in made and document.sure(path, "pin"):
            hint = "`gemmagraph tools pin` writes the digest."
            yield (*path, "openapi"), "a document from a URL must be pinned", hint
