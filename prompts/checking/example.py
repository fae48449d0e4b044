"""A right call to a tool, made up from its schema: for the messages that say how to do it better.

Only as good as the schema is telling: an example of the tool's author is always preferred.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from gemmagraph.prompts.checking.formats import FORMAT_EXAMPLES
from gemmagraph.prompts.checking.parameters import Schema
from gemmagraph.prompts.checking.quickcheck import MISS, quick_check
from gemmagraph.prompts.checking.verdict import Steps
from gemmagraph.prompts.messages import JSON

_DEEPEST: Final = 6
_MOST_VALUES: Final = 500
_MOST_MERGED: Final = 500
_MOST_CHECKS: Final = 3_000
"""Schemas that the checks of all these values are made of."""
_TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "base": "EUR", "body": "Hello", "branch": "main", "city": "Paris", "code": "print(1)", "color": "red",
        "command": "ls", "content": "Hello", "country": "France", "currency": "EUR", "date": "2026-05-04",
        "datetime": "2026-05-04T09:30:00Z", "day": "Monday", "directory": "/tmp", "email": "ann@example.org",
        "expression": "2 + 3", "file": "notes.txt", "filename": "notes.txt", "folder": "/tmp", "host": "db1",
        "id": "42", "ip": "192.0.2.1", "keyword": "gemma", "language": "en", "link": "https://example.org/page",
        "location": "Paris", "message": "Hello", "name": "Ann", "path": "notes.txt", "phone": "+33123456789",
        "place": "Paris", "postcode": "75001", "query": "gemma", "recipient": "ann@example.org",
        "service": "web", "subject": "Hello", "symbol": "GOOG", "text": "Hello", "time": "09:30",
        "timezone": "Europe/Paris", "title": "Weekly report", "topic": "gemma", "town": "Paris",
        "url": "https://example.org/page", "user": "ann", "word": "gemma", "zip": "75001",
    }
)  # fmt: skip
_NUMBERS: Final[Mapping[str, int | float]] = MappingProxyType(
    {
        "age": 30, "amount": 20, "day": 4, "hour": 9, "id": 42, "lat": 48.85, "latitude": 48.85, "limit": 5,
        "lon": 2.35, "longitude": 2.35, "minute": 30, "month": 5, "pid": 1234, "port": 8080, "price": 20,
        "temperature": 21, "timeout": 30, "year": 2026,
    }
)  # fmt: skip
_SHAPES: Final = (
    "abc", "a", "ABC", "A", "1", "42", "123", "1234", "12345", "web-1", "AB-123", "ABC-1234", "a1b2c3", "EUR",
    "en-US", "2026-05-04", "09:30", "v1.2.3", "1.2.3", "#ff0000", "+33123456789", "/tmp", "ann@example.org",
    "https://example.org/page", "Ann Lee",
)  # fmt: skip


class Examples:
    """Makes up values that fit the subschemas of a prepared schema, as far as the quick check can tell."""

    def __init__(self, root: dict[str, JSON]) -> None:
        self._root = root
        self._defs = root.get("$defs", {})
        self._left = _MOST_VALUES
        self._merges = _MOST_MERGED
        self._steps = Steps(_MOST_CHECKS)

    def arguments(self) -> dict[str, JSON]:
        """Required arguments, or the first one if none is required."""
        found = self.value(self._root, "", 0)
        return found if isinstance(found, dict) else {}

    def argument(self, name: str) -> dict[str, JSON]:
        """One declared argument with a value; empty if there is none of that name."""
        declared = self._root.get("properties", {})
        return {name: self.value(declared[name], name, 1)} if name in declared else {}

    def value(self, schema: Schema, name: str, depth: int) -> JSON:
        """A value for `schema`, plausible for something called `name`; a guess if nothing is sure to fit."""
        self._left -= 1
        if self._left < 0:
            return None
        fits = quick_check(self._root, schema, self._steps)
        guess: JSON = None
        for candidate in self._candidates(schema, name, depth):
            if fits is None or fits(candidate) is not MISS:
                return candidate
            guess = candidate if guess is None else guess
        return guess

    def _candidates(self, schema: Schema, name: str, depth: int) -> Iterator[JSON]:
        if isinstance(schema, bool):
            yield "abc"
            return
        yield from (item for item in (schema.get("example"), schema.get("default")) if item is not None)
        if isinstance(schema.get("examples"), list):
            yield from schema["examples"]
        if "enum" in schema:
            yield from schema["enum"][:20]
            return
        if depth > _DEEPEST:
            return
        whole = self._merged(schema, depth)
        for choice in ("anyOf", "oneOf"):
            for branch in whole.get(choice, ())[:10]:
                rest = {key: value for key, value in whole.items() if key != choice}
                yield self.value(_both(rest, branch), name, depth + 1)
        guess = "object" if "properties" in whole else "array" if "items" in whole else "string"
        types = whole.get("type", guess)
        for kind in [types] if isinstance(types, str) else types:
            yield from self._of_type(kind, whole, name, depth)

    def _merged(self, schema: dict[str, JSON], depth: int) -> dict[str, JSON]:
        """A schema together with what it refers to and all of `allOf`."""
        parts = list(schema.get("allOf", ()))
        if "$ref" in schema:
            parts.append(self._defs[schema["$ref"].removeprefix("#/$defs/")])
        found = {key: value for key, value in schema.items() if key not in ("allOf", "$ref")}
        self._merges -= 1
        for part in parts[:20] if depth <= _DEEPEST and self._merges > 0 else ():
            if isinstance(part, dict):
                found = _both(self._merged(part, depth + 1), found)
        return found

    def _of_type(self, kind: str, schema: dict[str, JSON], name: str, depth: int) -> Iterator[JSON]:
        if kind == "string":
            yield from _strings(schema, name)
        elif kind in ("integer", "number"):
            yield from _numbers(schema, name, kind == "integer")
        elif kind == "boolean":
            yield True
        elif kind == "array":
            yield self._array(schema, name, depth)
        elif kind == "object":
            yield self._object(schema, depth, schema.get("required", []))
            yield self._object(schema, depth, list(schema.get("properties", {})))
        else:
            yield None

    def _array(self, schema: dict[str, JSON], name: str, depth: int) -> list[JSON]:
        first = schema.get("prefixItems", [])
        found = [self.value(part, name, depth + 1) for part in first]
        items = schema.get("items", True)
        wanted = min(max(int(schema.get("minItems", 1)), 0 if first else 1), 20)
        if len(found) < wanted and items is not False:
            choices = [self.value(items, name.removesuffix("s"), depth + 1)]
            if schema.get("uniqueItems") and wanted > 1:
                choices = list(self._candidates(items, name.removesuffix("s"), depth + 1))
            if choices == [None] and not schema.get("minItems"):
                return found  # below this depth nothing is made up
            found += (choices * wanted)[: wanted - len(found)]
        return found[: int(schema.get("maxItems", 20))]

    def _object(self, schema: dict[str, JSON], depth: int, names: list[str]) -> dict[str, JSON]:
        properties = schema.get("properties", {})
        shown = names or list(properties)[:1]
        return {name: self.value(properties.get(name, True), name, depth + 1) for name in shown[:50]}


def _both(schema: dict[str, JSON], other: Schema) -> dict[str, JSON]:
    """A schema for what fits both, roughly: of a keyword in both the other's counts."""
    if isinstance(other, bool):
        return schema
    found = {**schema, **other}
    if "properties" in found:
        found["properties"] = {**schema.get("properties", {}), **other.get("properties", {})}
    if "required" in found:
        found["required"] = [*schema.get("required", ()), *other.get("required", ())]
    return found


def _strings(schema: dict[str, JSON], name: str) -> Iterator[str]:
    if schema.get("format") in FORMAT_EXAMPLES:
        yield FORMAT_EXAMPLES[schema["format"]]
    least, most = min(int(schema.get("minLength", 0)), 100), int(schema.get("maxLength", 100))
    for text in (*(_TEXTS[word] for word in _words(name) if word in _TEXTS), *_SHAPES):
        yield text.ljust(least, "a")[:most]


def _numbers(schema: dict[str, JSON], name: str, whole: bool) -> Iterator[int | float]:
    yield from (_NUMBERS[word] for word in _words(name) if word in _NUMBERS)
    yield 5
    low: Any = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high: Any = schema.get("maximum", schema.get("exclusiveMaximum", low))
    step = schema.get("multipleOf", 1)
    try:
        for bound in (low, high):
            nearest = math.ceil(bound / step) * step
            for number in (bound, nearest, nearest + step, nearest - step):
                yield math.ceil(number) if whole else number
        yield (low + high) // 2 if whole else low / 2 + high / 2
    except OverflowError:  # bounds that no float can hold: then there is no example
        return


def _words(name: str) -> list[str]:
    """The words of a name, the last one, which says what it is, first: `homeTown` -> town, home."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name[:100])[::-1]]
