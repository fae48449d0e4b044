"""What an HTTP tool will send: each value escaped by the place it stands in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import quote, quote_plus

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.bodies.http_connection import (
    Key,
    Sending,
    check_header_name,
    header_value,
    joined,
    known_secrets,
    names_of,
)
from gemmagraph.tools.errors import Fault, ToolError
from gemmagraph.tools.fields import Absent, Field, Path, Scope, Tree, as_text, compile_tree, field_or_fault
from gemmagraph.tools.guards.targets import climbs, segment
from gemmagraph.tools.secrets import Secrets, mask, replacement

ROOTS: Final = frozenset({"args", "bind", "context", "secrets"})
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
BODIES: Final = ("json", "form", "body")

_LITERAL: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True, slots=True)
class Shape:
    """A request with placeholders, compiled."""

    method: str
    path: Field
    query: Tree
    headers: Mapping[str, Field]
    kind: str
    """What `content` is: json, form or body; empty if nothing is sent."""
    content: Tree

    @property
    def fields(self) -> Iterator[Field]:
        yield self.path
        yield from self.query.fields
        yield from self.headers.values()
        yield from self.content.fields

    def sending(self, scope: Scope, base: str) -> Sending:
        """The request, its values in their places.

        Raises:
            ToolError: one of them cannot stand there.
        """
        path = "".join(_segments(self.path, scope))
        if climbs(path):
            raise ToolError(f"{mask(path)[:200]!r} is no path to ask: it has a step '.' or '..'.")
        query = "&".join(f"{_quoted(name, name)}={_quoted(text, name)}" for name, text in pairs(self.query, scope))
        headers = dict(self._said(scope))
        content = b""
        if self.kind:
            content, media = self._content(scope)
            if not any(name.lower() == "content-type" for name in headers):
                headers["Content-Type"] = media
        return Sending(self.method, path + ("?" + query if query else ""), tuple(headers.items()), content, base)

    def facts(self, scope: Scope, base: str, secrets: Secrets) -> dict[str, JSON]:
        """The same for people and for a digest: JSON, each secret as its name.

        Raises:
            ToolError: a value cannot stand in its place.
        """
        shown = {**scope, "secrets": names_of(secrets)}
        sending = self.sending(shown, "")
        facts: dict[str, JSON] = {"method": self.method, "url": joined(base, _readable(sending.target, secrets))}
        if self.headers:
            facts["headers"] = dict(self._said(shown))
        if self.kind == "form":
            facts["form"] = [[name, text] for name, text in pairs(self.content, shown)]
        elif self.kind:
            facts[self.kind] = self._value(shown)
        return facts

    def _said(self, scope: Scope) -> Iterator[tuple[str, str]]:
        for name, field in self.headers.items():
            text = field.text(scope)
            if not isinstance(text, Absent):
                yield name, header_value(name, text)

    def _value(self, scope: Scope) -> JSON:
        """The JSON value or text that is sent."""
        value = self.content.value(scope)
        if isinstance(value, Absent):
            _needed(next(self.content.fields), scope, f"the {self.kind}")
        return value if self.kind == "json" else as_text(value)

    def _content(self, scope: Scope) -> tuple[bytes, str]:
        if self.kind == "form":
            fields = pairs(self.content, scope)
            text = "&".join(
                f"{_quoted(name, name, plus=True)}={_quoted(each, name, plus=True)}" for name, each in fields
            )
            return text.encode(), "application/x-www-form-urlencoded"
        value = self._value(scope)
        text = value if self.kind == "body" else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        media = "text/plain; charset=utf-8" if self.kind == "body" else "application/json"
        try:
            return text.encode(), media
        except UnicodeEncodeError:
            raise ToolError(f"What is to be sent has half a character in it: {mask(text)[:80]!r}.") from None


def compile_shape(
    *,
    method: str | None,
    path: str,
    query: Mapping[str, JSON] | None,
    headers: Mapping[str, str] | None,
    contents: Mapping[str, JSON],
    secrets: Secrets,
    path_key: Key,
    faults: list[Fault],
) -> Shape:
    """
    Args:
        contents: what of json, form and body is given.
        path_key: where the path was written.
        faults: takes what is wrong.
    """
    given = {kind: value for kind, value in contents.items() if value is not None}
    kind = next(iter(given), "")
    if len(given) > 1:
        faults.append(Fault(("http", list(given)[1]), f"only one of {', '.join(BODIES)} can be sent."))
    verb = (method or ("POST" if given else "GET")).upper()
    if verb not in METHODS:
        faults.append(Fault(("http", "method"), f"{method!r} is none of {', '.join(METHODS)}."))
    if given and verb in ("GET", "HEAD"):
        faults.append(Fault(("http", kind), f"a {verb} sends nothing.", "Use `query`, or another method."))
    shape = Shape(
        verb,
        _path(path, path_key, faults),
        _pairs(query or {}, ("http", "query"), faults),
        {name: _header(name, value, faults) for name, value in (headers or {}).items()},
        kind,
        _content(kind, given.get(kind), faults),
    )
    for fields, key in (
        ([shape.path], path_key),
        (shape.query.fields, ("http", "query")),
        (shape.content.fields, ("http", kind)),
    ):
        for field in fields:
            known_secrets(field, key, secrets, faults)
    for name, field in shape.headers.items():
        known_secrets(field, ("http", "headers", name), secrets, faults)
    return shape


def pairs(tree: Tree, scope: Scope) -> Iterator[tuple[str, str]]:
    """Names and texts for a query or a form: a list repeats its name, null is left out like what is absent."""
    values = tree.value(scope)
    for name, value in values.items() if isinstance(values, dict) else ():
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                yield name, as_text(each)


def check_path(source: str, pieces: Sequence[str | None], key: Key, faults: list[Fault]) -> None:
    """
    Args:
        pieces: what is written out, and None where a value will stand.
        faults: takes what is wrong.
    """
    if any(fault.key == key for fault in faults):
        return  # what is wrong with its placeholders was said
    literals = [piece for piece in pieces if piece is not None]
    if source and not (pieces[0] or "").startswith("/"):
        faults.append(Fault(key, f"{source!r} does not begin with a slash."))
    if any("?" in piece or "#" in piece for piece in literals):
        faults.append(Fault(key, f"{source!r} has a query in it.", "Write `query: {name: value}`."))
    elif wrong := next((piece for piece in literals if not _LITERAL.fullmatch(piece)), None):
        faults.append(Fault(key, f"{wrong!r} cannot stand in an URL.", f"Write {quote(wrong, safe='/%')!r}."))
    if climbs("".join("x" if piece is None else piece for piece in pieces)):
        faults.append(Fault(key, f"{source!r} has a step '.' or '..'."))


def _path(source: str, key: Key, faults: list[Fault]) -> Field:
    field = field_or_fault(source, ROOTS, key, faults)
    pieces = [piece if isinstance(piece, str) else None for piece in field.pieces]
    check_path(source, pieces, key, faults)
    return field


def _pairs(values: JSON, key: Key, faults: list[Fault]) -> Tree:
    if not isinstance(values, Mapping):
        faults.append(Fault(key, f"{values!r} is no mapping of names to values."))
        return Tree({})
    return compile_tree(dict(values), ROOTS, key, faults)


def _header(name: str, value: object, faults: list[Fault]) -> Field:
    key = ("http", "headers", name)
    check_header_name(name, key, faults)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        faults.append(Fault(key, f"{value!r} is no text."))
    field = field_or_fault(str(value), ROOTS, key, faults)
    try:
        header_value(name, "".join(piece for piece in field.pieces if isinstance(piece, str)))
    except ToolError as problem:
        faults.append(Fault(key, problem.message))
    return field


def _content(kind: str, value: JSON, faults: list[Fault]) -> Tree:
    key = ("http", kind)
    if kind == "form":
        return _pairs(value, key, faults)
    if kind == "body" and not isinstance(value, str):
        faults.append(Fault(key, f"{value!r} is no text.", "Use `json` for a value."))
        return Tree("")
    return compile_tree(value, ROOTS, key, faults)


def _segments(path: Field, scope: Scope) -> Iterator[str]:
    for piece in path.pieces:
        if not isinstance(piece, Path):
            yield piece
            continue
        value = piece.find(scope)
        if isinstance(value, Absent) or value is None:
            _needed(path, scope, "the path")
        if isinstance(value, dict | list):
            raise ToolError(
                f"{piece} cannot stand in a path: it is {'a list' if isinstance(value, list) else 'an object'}."
            )
        try:
            yield segment(as_text(value))
        except ToolError as problem:
            raise ToolError(f"{piece}: {problem.message}") from None


def _needed(field: Field, scope: Scope, where: str) -> NoReturn:
    absent = next(path for path in field.paths if isinstance(path.find(scope), Absent | None))
    raise ToolError(f"{absent} is needed for {where}.")


def _quoted(text: str, name: str, *, plus: bool = False) -> str:
    try:
        return quote_plus(text) if plus else quote(text, safe="")
    except UnicodeEncodeError:
        raise ToolError(f"The value for {name} has half a character in it: {text[:80]!r}.") from None


def _readable(target: str, names: Iterable[str]) -> str:
    """The names of secrets as they are written elsewhere."""
    for name in names:
        target = target.replace(quote(replacement(name), safe=""), replacement(name))
    return target
