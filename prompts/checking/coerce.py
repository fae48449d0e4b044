"""What a model wrote, turned into what a schema declares, where nothing is lost by that.

| declared | also read |
| --- | --- |
| integer | text of a number; a number without a fraction: `5.0`, `1e3` |
| number | text of a number |
| boolean | `true` and `false` as text, in any case |
| null | `null` as text, in any case: where text is allowed too, it stays text |
| string | a bare number, as it was written (`01234` keeps its zero) |
| array, object | JSON text of one |

Spaces around a number or word in text mean nothing and are dropped. Of a choice (`anyOf`, `oneOf`, several
types) the first branch that allows the value as it is wins; else the value changes only if the branches leave
it exactly one way to. What cannot be coerced stays as it is: the verdict on it is somebody else's.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from gemmagraph.prompts.checking.number import (
    MAX_DEPTH,
    MOST_VALUES,
    NotPlain,
    Number,
    identity,
    is_finite,
    may_be_json,
    plain,
    size,
)
from gemmagraph.prompts.checking.parameters import Schema
from gemmagraph.prompts.checking.verdict import Steps, TooMuchWork, Verdict
from gemmagraph.prompts.messages import JSON

_STEPS_AT_LEAST: Final = 20_000
_STEPS_PER_VALUE: Final = 500
_LONGEST_NUMBER: Final = 10_000
_WORDS: Final[Mapping[str, Mapping[str, object]]] = MappingProxyType(
    {"boolean": {"true": True, "false": False}, "null": {"null": None}}
)


class Coercion:
    """One call's arguments on their way to a schema."""

    def __init__(self, root: dict[str, JSON], value: object) -> None:
        self._defs = root.get("$defs", {})
        values = size(value)
        if values >= MOST_VALUES:
            raise TooMuchWork
        self._steps = Steps(_STEPS_AT_LEAST + _STEPS_PER_VALUE * values)
        self._known: dict[tuple[str, int], tuple[object, object]] = {}
        """What became of a value where a reference was followed, by the value's id; and that value."""
        self._plain: dict[int, tuple[object, JSON]] = {}
        """The same of values made plain."""
        self.verdict = Verdict(root, self._steps)

    def coerce(self, value: object, schema: Schema, depth: int = 0) -> object:
        """`value` as `schema` wants it, as far as possible; a `Number` it says nothing about stays one.

        Raises:
            TooMuchWork: the schema asks for endless work.
            NotPlain: the value is nested too deeply.
        """
        self._steps.spend()
        if isinstance(schema, bool):
            return value
        if depth > MAX_DEPTH:
            raise NotPlain(value, f"a value nested at most {MAX_DEPTH} levels deep")
        types = schema.get("type")
        if isinstance(types, list):
            return self._chosen(value, [{**schema, "type": name} for name in types], depth)
        if types is not None:
            value = self._typed(value, types)
        if isinstance(value, dict | list) and types not in (
            None,
            "object" if isinstance(value, dict) else "array",
        ):
            return value
        if isinstance(value, dict):
            entries = {key: self._property(key, item, schema, depth) for key, item in value.items()}
            value = value if all(map(operator.is_, entries.values(), value.values())) else entries
        elif isinstance(value, list):
            items = [self._item(index, item, schema, depth) for index, item in enumerate(value)]
            value = value if all(map(operator.is_, items, value)) else items
        if "$ref" in schema:
            value = self._referred(value, schema["$ref"], depth)
        for part in schema.get("allOf", ()):
            value = self.coerce(value, part, depth)
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                value = self._chosen(value, schema[choice], depth)
        return value

    def _referred(self, value: object, reference: str, depth: int) -> object:
        place = reference, id(value)
        if place not in self._known:
            target = self._defs[reference.removeprefix("#/$defs/")]
            self._known[place] = value, self.coerce(value, target, depth)
        return self._known[place][1]

    def _typed(self, value: object, name: str) -> object:
        if name == "string":
            if isinstance(value, Number):
                return value.text
            if isinstance(value, int | float) and not isinstance(value, bool) and is_finite(value):
                return json.dumps(value)
            return value
        if isinstance(value, str):
            if name in ("array", "object"):
                return self._parsed(value, list if name == "array" else dict)
            value = _from_text(value, name)
        if name in ("integer", "number"):
            return _as_number(value, name == "integer")
        return value

    def _parsed(self, text: str, kind: type) -> object:
        if not may_be_json(text):
            return text
        self._steps.spend(len(text) // 8)
        try:
            found = json.loads(
                text,
                object_pairs_hook=_once_each,
                parse_int=Number,
                parse_float=Number,
                parse_constant=_refuse,
            )
        except (ValueError, RecursionError):
            return text
        return found if isinstance(found, kind) else text

    def _property(self, key: str, value: object, schema: dict[str, JSON], depth: int) -> object:
        declared = schema.get("properties", {})
        parts = [declared[key]] if key in declared else []
        parts += [part for pattern, part in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
        for part in parts or [schema.get("additionalProperties", True)]:
            value = self.coerce(value, part, depth + 1)
        return value

    def _item(self, index: int, value: object, schema: dict[str, JSON], depth: int) -> object:
        first: Sequence[Schema] = schema.get("prefixItems", ())
        if index < len(first):
            return self.coerce(value, first[index], depth + 1)
        return self.coerce(value, schema["items"], depth + 1) if "items" in schema else value

    def _chosen(self, value: object, branches: Iterable[Schema], depth: int) -> object:
        as_it_is = _identity(value)
        fitting: dict[object, object] = {}
        close: list[object] = []
        for branch in branches:
            candidate = self.coerce(value, branch, depth)
            key = _identity(candidate)
            if key is _NO_IDENTITY:
                continue
            fault = self.verdict.first_misfit(branch, self._plainly(candidate, depth))
            if fault is None:
                if key == as_it_is:
                    return candidate
                fitting.setdefault(key, candidate)
            elif fault.path:
                close.append(candidate)
        if len(fitting) == 1:
            return next(iter(fitting.values()))
        # Wrong either way, but what is right inside should not be blamed.
        return close[0] if len(close) == 1 and not fitting else value

    def _plainly(self, value: object, depth: int) -> JSON:
        """`plain`, the same object each time: what is known of one is known by its id."""
        if id(value) not in self._plain:
            self._plain[id(value)] = value, plain(value, depth)
        return self._plain[id(value)][1]


_NO_IDENTITY = object()


def _identity(value: object) -> object:
    try:
        return identity(plain(value))
    except NotPlain:
        return _NO_IDENTITY


def _from_text(text: str, name: str) -> object:
    if len(text) > _LONGEST_NUMBER:
        return text
    word = text.strip()
    if name in ("integer", "number"):
        number = _as_number(Number(word), name == "integer")
        return text if isinstance(number, Number) else number
    return _WORDS.get(name, {}).get(word.lower(), text)


def _as_number(value: object, whole: bool) -> object:
    if isinstance(value, Number):
        try:
            return value.integer() if whole else value.value()
        except ValueError:
            return value
    return int(value) if whole and isinstance(value, float) and value.is_integer() else value


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _refuse(word: str) -> object:
    raise ValueError(f"{word} is no JSON")
