"""What no JSON Schema can say of a file: names that must be known, keys that must fit each other.

`CHECKS` is the whole list. Each looks at the merged values, in which parts that did not fit their form are missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, Final, TypeAlias

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.declared.document import Document
from gemmagraph.tools.declared.format import MERGED_TABLES
from gemmagraph.tools.declared.nodes import KeyPath
from gemmagraph.tools.declared.problems import MOST_SHOWN, Problem, did_you_mean
from gemmagraph.tools.fields import FieldError, compile_field

Finding: TypeAlias = tuple[KeyPath, str, str]
"""Key path, message, hint."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    says: str
    """What must hold."""
    look: Callable[[Document], Iterable[Finding]]
    names: bool = False
    """Whether it looks for names that another file may have."""


def check(document: Document, *, complete: bool = True) -> list[Problem]:
    """What the checks find, as much as can be shown; with `complete=False`, those that need not know all files."""
    findings = (finding for one in CHECKS if complete or not one.names for finding in one.look(document))
    return [document.problem(*finding) for finding in islice(findings, MOST_SHOWN)]


def check_tool_names(document: Document, names: Collection[str]) -> list[Problem]:
    """Names and globs that mean none of `names`: all tools, those of imports too."""
    return [document.problem(*finding) for finding in islice(_unmatched(document, set(names)), MOST_SHOWN)]


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _items(document: Document, section: str) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """Each tool, import or rule, with its path."""
    for index, item in enumerate(_list(document.values.get(section))):
        yield (section, index), _dict(item)


def _named(document: Document, section: str) -> Mapping[str, Any]:
    return _dict(document.values.get(section))


def _unknown(kind: str, name: str, known: Collection[str], path: KeyPath) -> Finding:
    near = did_you_mean(name, known)
    few = f"There are: {', '.join(sorted(known)[:12])}." if known else f"The file has no {kind}s."
    return path, f"there is no {kind} {name!r}" + (f"; {near}" if near else ""), "" if near else few


def _tool_twice(document: Document) -> Iterator[Finding]:
    first: dict[str, KeyPath] = {}
    for path, tool in _items(document, "tools"):
        name = tool.get("name")
        if isinstance(name, str):
            if name in first:
                place = document.place((*first[name], "name"))
                yield (*path, "name"), f"there are two tools {name!r}; the first is at {place}", ""
            first.setdefault(name, path)


def _clash(document: Document) -> Iterator[Finding]:
    for section in MERGED_TABLES:
        for position, file in enumerate(document.files):
            for name, value in _dict(file.values.get(section)).items():
                for earlier in document.files[:position]:
                    if _dict(earlier.values.get(section)).get(name, value) != value:
                        said = f"{file.place((section, name))} says something else under the same name"
                        yield (section, name), said, "Rename one of them."


def _connection(document: Document) -> Iterator[Finding]:
    known = _named(document, "connections")
    for kind in ("http", "sql"):
        fitting = {other for other, made in known.items() if kind in _dict(made) or not made}
        for path, tool in _items(document, "tools"):
            name = _dict(tool.get(kind)).get("connection")
            if isinstance(name, str) and name not in known:
                yield _unknown(f"{kind} connection", name, fitting, (*path, kind, "connection"))
            elif isinstance(name, str) and name not in fitting:
                yield (*path, kind, "connection"), f"the connection {name!r} is not one for {kind}", ""


_SECRET: Final = re.compile(r"\{\{\s*secrets\.([\w-]+)", re.ASCII)


def _secret(document: Document) -> Iterator[Finding]:
    known = _named(document, "secrets")
    for path, text in _texts(document.values, ()):
        for name in _SECRET.findall(text):
            if name not in known:
                yield _unknown("secret", name, known, path)


def _texts(value: JSON, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """The texts in a value that have placeholders."""
    if type(value) is str:
        if "{{" in value:
            yield path, value
    elif type(value) is dict:
        for key, child in value.items():
            if type(child) is not bool:
                yield from _texts(child, (*path, key))
    elif type(value) is list:
        for index, child in enumerate(value):
            yield from _texts(child, (*path, index))


def _placeholder(document: Document) -> Iterator[Finding]:
    """Those of tool bodies and results are looked at where these are made."""
    places: list[tuple[KeyPath, JSON, tuple[str, ...]]] = [
        ((section,), document.values.get(section), ("secrets",))
        for section in ("model", "store", "connections", "bots")
    ]
    for path, tool in _items(document, "tools"):
        places.append(((*path, "bind"), tool.get("bind"), ("context",)))
    for path, made in _items(document, "imports"):
        places += [((*path, key), made.get(key), ("secrets",)) for key in ("auth", "base_url", "mcp")]
    for path, value, roots in places:
        for key, text in _texts(value, path):
            try:
                compile_field(text, roots)
            except FieldError as problem:
                yield key, problem.message, problem.hint


def _bind(document: Document) -> Iterator[Finding]:
    for path, tool in _items(document, "tools"):
        for name in _dict(tool.get("bind")).keys() & _properties(tool).keys():
            yield (*path, "bind", name), f"{name!r} is a parameter too; the model would fill it in", "Rename one."


def _properties(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    return _dict(_dict(tool.get("parameters")).get("properties"))


_OPENING: Final = frozenset(("patternProperties", "$ref", "allOf", "anyOf", "oneOf", "if", "dependentSchemas"))


def _open(parameters: Mapping[str, Any]) -> bool:
    """Whether there may be arguments beside its `properties`."""
    return bool(parameters.get("additionalProperties")) or not _OPENING.isdisjoint(parameters)


def _required(document: Document) -> Iterator[Finding]:
    for path, tool in _items(document, "tools"):
        parameters = _dict(tool.get("parameters"))
        if _open(parameters):
            continue
        known = _properties(tool)
        for index, name in enumerate(_list(parameters.get("required"))):
            if isinstance(name, str) and name not in known:
                yield _unknown("property", name, known, (*path, "parameters", "required", index))


def _example(document: Document) -> Iterator[Finding]:
    for path, tool in _items(document, "tools"):
        parameters = tool.get("parameters")
        if not isinstance(parameters, dict) and "python" in tool:
            continue
        known, open_ended = _properties(tool), _open(_dict(parameters))
        for index, example in enumerate(_list(tool.get("examples"))):
            args, at = _dict(_dict(example).get("args")), (*path, "examples", index, "args")
            for name in () if open_ended else args.keys() - known.keys():
                yield _unknown("parameter", name, known, (*at, name))
            for name in _list(_dict(parameters).get("required")):
                if name not in args:
                    yield at, f"the argument {name!r} is missing", ""


def _marks(document: Document) -> Iterator[Finding]:
    for path, tool in _tools_and_overrides(document):
        marks = _dict(tool.get("annotations"))
        if marks.get("readOnlyHint") and marks.get("destructiveHint"):
            yield (*path, "annotations"), "a tool cannot be both read-only and destructive", ""


def _tools_and_overrides(document: Document) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    yield from _items(document, "tools")
    for path, made in _items(document, "imports"):
        for name, override in _dict(made.get("overrides")).items():
            yield (*path, "overrides", name), _dict(override)


def _cache(document: Document) -> Iterator[Finding]:
    for path, tool in _items(document, "tools"):
        if "cache" in tool and not _may_read_only(tool, document):
            yield (*path, "cache"), "only a read-only tool has a cache", "Say annotations: {readOnlyHint: true}."


def _retries(document: Document) -> Iterator[Finding]:
    for path, tool in _items(document, "tools"):
        idempotent = _dict(tool.get("annotations")).get("idempotentHint")
        if tool.get("retries") and not idempotent and not _may_read_only(tool, document):
            hint = "Say annotations: {readOnlyHint: true} or {idempotentHint: true}."
            yield (*path, "retries"), "only a read-only or idempotent tool is tried again", hint


def _may_read_only(tool: Mapping[str, Any], document: Document) -> bool:
    """Whether it reads only, by its marks or its body; of a Python function, whether it may."""
    said = _dict(tool.get("annotations")).get("readOnlyHint")
    if said is not None:
        return bool(said)
    if "http" in tool:
        http = _dict(tool["http"])
        sends = any(key in http for key in ("json", "form", "body"))
        return http.get("method", "POST" if sends else "GET") in ("GET", "HEAD")
    if "sql" in tool:
        made = _dict(_named(document, "connections").get(str(_dict(tool["sql"]).get("connection"))))
        return bool(_dict(made.get("sql")).get("read_only", True))
    return "python" in tool


_ASKING: Final = ("approvers", "four_eyes", "expires")


def _asking(document: Document) -> Iterator[Finding]:
    for path, rule in _items(document, "policy"):
        yield from _idle_asking(path, rule, "then")
    for path, tool in _tools_and_overrides(document):
        yield from _idle_asking((*path, "approval"), _dict(tool.get("approval")), "mode")


def _idle_asking(path: KeyPath, said: Mapping[str, Any], verdict: str) -> Iterator[Finding]:
    if said.get(verdict) in ("allow", "deny"):
        for key in _ASKING:
            if key in said:
                hint = f"Leave it out, or say {verdict}: ask."
                yield (*path, key), f"nobody is asked with {verdict}: {said[verdict]}", hint


def _group(document: Document) -> Iterator[Finding]:
    known = _named(document, "groups")
    lists: list[tuple[KeyPath, Any]] = []
    for path, rule in _items(document, "policy"):
        lists += [((*path, key), rule.get(key)) for key in ("users", "approvers")]
    if document.kind == "assistant":  # a tools file's groups are those of the file that includes it
        for path, tool in _tools_and_overrides(document):
            lists.append(((*path, "approval", "approvers"), _dict(tool.get("approval")).get("approvers")))
    for path, people in lists:
        for index, who in enumerate(_list(people)):
            if isinstance(who, str) and who.startswith("group:") and who.removeprefix("group:") not in known:
                yield _unknown("group", who.removeprefix("group:"), known, (*path, index))


def _toolset(document: Document) -> Iterator[Finding]:
    known = _named(document, "toolsets")
    for name, toolset in known.items():
        parent = _dict(toolset).get("extends")
        if isinstance(parent, str) and parent not in known:
            yield _unknown("toolset", parent, known, ("toolsets", name, "extends"))
    for bot, said in _named(document, "bots").items():
        for channel, chosen in _dict(_dict(said).get("channels")).items():
            if isinstance(chosen, str) and chosen not in known:
                yield _unknown("toolset", chosen, known, ("bots", bot, "channels", channel))


def _toolset_circle(document: Document) -> Iterator[Finding]:
    known = _named(document, "toolsets")
    done: set[str] = set()
    for first in known:
        way: dict[str, None] = {}
        name = first
        while name in known and name not in done:
            done.add(name)
            way[name] = None
            name = str(_dict(known[name]).get("extends"))
        if name in way:
            circle = list(way)[list(way).index(name) :]
            yield ("toolsets", circle[-1], "extends"), f"a circle: {_way([*circle, name])}", ""


def _way(names: list[str]) -> str:
    return " → ".join(names if len(names) <= 8 else [*names[:4], "…", *names[-3:]])


def _tool_name(document: Document) -> Iterator[Finding]:
    if _list(document.values.get("imports")):
        return  # whose tools are known later: `check_tool_names`
    yield from _unmatched(document, {str(tool.get("name")) for _, tool in _items(document, "tools")})


def _unmatched(document: Document, names: Collection[str]) -> Iterator[Finding]:
    said: list[tuple[KeyPath, Any]] = [
        ((*path, "tool"), rule.get("tool")) for path, rule in _items(document, "policy")
    ]
    for name, toolset in _named(document, "toolsets").items():
        tools = _list(_dict(toolset).get("tools"))
        said += [(("toolsets", name, "tools", index), tool) for index, tool in enumerate(tools)]
    for path, pattern in said:
        if not isinstance(pattern, str) or pattern == "*" or pattern in names:
            continue
        if not any(character in pattern for character in "*?["):
            yield _unknown("tool", pattern, names, path)
        elif not any(fnmatchcase(name, pattern) for name in names):
            yield path, f"{pattern!r} fits no tool", ""


def _same_call(document: Document) -> Iterator[Finding]:
    said = _dict(_named(document, "limits").get("same_call"))
    warn, stop = said.get("warn_at"), said.get("stop_at")
    if isinstance(warn, int) and isinstance(stop, int) and warn >= stop:
        yield ("limits", "same_call", "stop_at"), f"must be more than warn_at, which is {warn}", ""


def _pin(document: Document) -> Iterator[Finding]:
    for path, made in _items(document, "imports"):
        source = made.get("openapi")
        if isinstance(source, str) and "://" in source and "pin" not in made:
            yield (
                (*path, "openapi"),
                "a document from a URL must be pinned",
                "`gemmagraph tools pin` writes the digest.",
            )


CHECKS: Final = (
    Check("tool-twice", "No two tools have the same name.", _tool_twice),
    Check("clash", "Files that belong together say the same under the same name.", _clash),
    Check("connection", "A tool's connection is there, and of its kind.", _connection, names=True),
    Check("secret", "A secret that is used is there.", _secret, names=True),
    Check("placeholder", "Placeholders outside of tool bodies are paths, of what can be named there.", _placeholder),
    Check("bind", "A bound name is no parameter's name.", _bind),
    Check("required", "Required arguments are declared.", _required),
    Check("example", "Examples have the declared arguments, and all required ones.", _example),
    Check("marks", "No tool is both read-only and destructive.", _marks),
    Check("cache", "Only read-only tools have a cache.", _cache),
    Check("retries", "Only read-only and idempotent tools have retries.", _retries),
    Check("asking", "Approvers, four eyes and expiry stand where somebody is asked.", _asking),
    Check("group", "Groups that are named are there.", _group, names=True),
    Check("toolset", "Toolsets that are named are there.", _toolset),
    Check("toolset-circle", "No toolset extends itself.", _toolset_circle),
    Check("tool-name", "Names and globs of tools mean some tool.", _tool_name, names=True),
    Check("same-call", "A run ends later than it warns.", _same_call),
    Check("pin", "An OpenAPI document from a URL is pinned.", _pin),
)
