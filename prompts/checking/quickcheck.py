"""The quick road of the argument check: plain keywords compiled into closures, once per tool.

A closure answers with the value as it shall be, or with `MISS`, which says nothing but "ask the slow road".
There `coerce.py` and jsonschema decide, some thirty times slower. What the quick road answers, the slow one
would have answered too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, TypeAlias

from gemmagraph.prompts.checking.formats import is_format
from gemmagraph.prompts.checking.number import (
    MAX_DEPTH,
    MOST_VALUES,
    NotPlain,
    Number,
    identity,
    is_finite,
    plain,
    size,
)
from gemmagraph.prompts.checking.parameters import ASSERTIONS, Schema
from gemmagraph.prompts.checking.verdict import Steps, TooMuchWork, are_unique, is_multiple
from gemmagraph.prompts.messages import JSON

MISS: Final = object()
Check: TypeAlias = Callable[[object], object]
_Test: TypeAlias = Callable[[Any], bool]

_MOST_CHECKS: Final = 1_000
_SLOW: Final = frozenset(
    {"allOf", "not", "if", "dependentSchemas", "dependentRequired", "contains", "propertyNames",
     "unevaluatedItems", "unevaluatedProperties", "patternProperties"}
)  # fmt: skip


class _NotPlainEnough(Exception):
    """The schema has something that only the slow road understands."""


def quick_check(root: dict[str, JSON], schema: Schema | None = None, steps: Steps | None = None) -> Check | None:
    """A check of whole arguments under a prepared schema; None if it is not made of plain keywords, or of too many.

    Args:
        root: the whole schema.
        schema: the part of it to check for, if not all of it.
        steps: one is taken for each schema in it.
    """
    compiler = _Compiler(root.get("$defs", {}), steps or Steps(_MOST_CHECKS))
    try:
        return compiler.check(root if schema is None else schema, 0, False)
    except (_NotPlainEnough, TooMuchWork):
        return None


class _Compiler:
    def __init__(self, defs: dict[str, Schema], steps: Steps) -> None:
        self._defs = defs
        self._steps = steps
        self._followed: set[str] = set()

    def check(self, schema: Schema, depth: int, natural: bool) -> Check:
        """A closure for values at `depth`.

        Args:
            schema: what it checks for.
            depth: how deep in the arguments they stand.
            natural: whether a `Number` may only be what it is where no schema says more. Inside a choice the
                branches are asked for values "as they are", and there a closure must miss no valid one.
        """
        self._steps.spend()
        if depth > MAX_DEPTH // 2:
            raise _NotPlainEnough
        if isinstance(schema, bool):
            return _open(depth) if schema else _never
        asserted = schema.keys() & ASSERTIONS
        if asserted & _SLOW:
            raise _NotPlainEnough
        if asserted & {"anyOf", "oneOf", "$ref"}:
            if len(asserted) > 1:
                raise _NotPlainEnough
            return self._elsewhere(schema, depth, natural)
        types = schema.get("type")
        if isinstance(types, list):
            return _first_of([self.check({**schema, "type": name}, depth, True) for name in types])
        if types is not None:
            return self._typed(types, schema, depth, natural)
        if asserted:
            raise _NotPlainEnough
        return _open(depth)

    def _elsewhere(self, schema: dict[str, JSON], depth: int, natural: bool) -> Check:
        if "$ref" in schema:
            name = schema["$ref"].removeprefix("#/$defs/")
            if name in self._followed:  # a recursive schema has no end
                raise _NotPlainEnough
            self._followed.add(name)
            check = self.check(self._defs[name], depth, natural)
            self._followed.remove(name)
            return check
        choice = _first_of if "anyOf" in schema else _only_one_of
        return choice([self.check(branch, depth, True) for branch in schema.get("anyOf") or schema["oneOf"]])

    def _typed(self, name: str, schema: dict[str, JSON], depth: int, natural: bool) -> Check:
        tests = [make(schema[keyword]) for keyword, make in _TESTS[name].items() if keyword in schema]
        if name == "string":
            return _string(tests, natural)
        if name in ("integer", "number"):
            return _number(name == "integer", tests, natural)
        if name == "array":
            first = [self.check(part, depth + 1, natural) for part in schema.get("prefixItems", ())]
            return _array(first, self.check(schema.get("items", True), depth + 1, natural), tests)
        if name == "object":
            declared = {
                key: self.check(part, depth + 1, natural) for key, part in schema.get("properties", {}).items()
            }
            others = self.check(schema.get("additionalProperties", True), depth + 1, natural)
            return _object(declared, others, schema.get("required", ()), tests)
        return _exactly(bool if name == "boolean" else type(None), tests)


def _first_of(branches: list[Check]) -> Check:
    def check(value: object) -> object:
        for branch in branches:
            found = branch(value)
            if found is not MISS:
                return found
        return MISS

    return check


def _only_one_of(branches: list[Check]) -> Check:
    def check(value: object) -> object:
        found = [result for branch in branches if (result := branch(value)) is not MISS]
        return found[0] if len(found) == 1 else MISS

    return check


def _open(depth: int) -> Check:
    def check(value: object) -> object:
        if isinstance(value, list | dict) and size(value) == MOST_VALUES:
            return MISS
        try:
            return plain(value, depth)
        except NotPlain:
            return MISS

    return check


def _never(value: object) -> object:
    return MISS


def _exactly(kind: type, tests: list[_Test]) -> Check:
    def check(value: object) -> object:
        return value if type(value) is kind and (not tests or all(test(value) for test in tests)) else MISS

    return check


def _string(tests: list[_Test], natural: bool) -> Check:
    def check(value: object) -> object:
        if type(value) is not str:
            if type(value) is not Number or (natural and type(_natural(value)) is not str):
                return MISS
            value = value.text
        for test in tests:
            if not test(value):
                return MISS
        return value

    return check


def _number(whole: bool, tests: list[_Test], natural: bool) -> Check:
    def check(value: object) -> object:
        found: object = MISS
        if type(value) is Number:
            found = _resolved(value, whole)
            if natural and found != _natural(value):
                return MISS
        elif type(value) is float and whole:
            found = int(value) if value.is_integer() else MISS
        elif (type(value) is int or type(value) is float) and is_finite(value):
            found = value
        if found is MISS:
            return MISS
        for test in tests:
            if not test(found):
                return MISS
        return found

    return check


def _array(first: list[Check], others: Check, tests: list[_Test]) -> Check:
    def check(value: object) -> object:
        if type(value) is not list:
            return MISS
        found = []
        for index, item in enumerate(value):
            result = (first[index] if index < len(first) else others)(item)
            if result is MISS:
                return MISS
            found.append(result)
        return found if not tests or all(test(found) for test in tests) else MISS

    return check


def _object(declared: dict[str, Check], others: Check, required: Sequence[str], tests: list[_Test]) -> Check:
    def check(value: object) -> object:
        if type(value) is not dict:
            return MISS
        found = {}
        for key, item in value.items():
            part = declared.get(key)
            if part is None:
                if type(key) is not str:
                    return MISS
                part = others
            result = part(item)
            if result is MISS:
                return MISS
            found[key] = result
        for name in required:
            if name not in found:
                return MISS
        return found if not tests or all(test(found) for test in tests) else MISS

    return check


def _natural(number: Number) -> object:
    try:
        return number.natural()
    except ValueError:
        return MISS


def _resolved(number: Number, whole: bool) -> object:
    try:
        return number.integer() if whole else number.value()
    except ValueError:
        return MISS


def _identities(members: list[JSON]) -> frozenset[Hashable]:
    return frozenset(map(identity, members))


def _enum(members: list[JSON]) -> _Test:
    allowed = _identities(members)
    return lambda value: identity(value) in allowed


def _unique(wanted: bool) -> _Test:
    return (lambda value: are_unique(value)) if wanted else (lambda value: True)


def _pattern(pattern: str) -> _Test:
    search = re.compile(pattern).search
    return lambda value: search(value) is not None


def _sizes(keyword: str) -> dict[str, Callable[[Any], _Test]]:
    """`minLength` and `maxLength`, or the same for items and properties."""
    return {
        f"min{keyword}": lambda least: lambda value: len(value) >= least,
        f"max{keyword}": lambda most: lambda value: len(value) <= most,
    }


_ENUM: Final[dict[str, Callable[[Any], _Test]]] = {"enum": _enum}
_RANGE: Final[dict[str, Callable[[Any], _Test]]] = {
    "minimum": lambda least: lambda value: value >= least,
    "maximum": lambda most: lambda value: value <= most,
    "exclusiveMinimum": lambda below: lambda value: value > below,
    "exclusiveMaximum": lambda above: lambda value: value < above,
    "multipleOf": lambda of: lambda value: is_multiple(value, of),
    **_ENUM,
}
_TESTS: Final[dict[str, dict[str, Callable[[Any], _Test]]]] = {
    "string": {
        **_sizes("Length"),
        "enum": lambda members: _identities(members).__contains__,
        "pattern": _pattern,
        "format": lambda name: lambda value: is_format(name, value),
    },
    "integer": _RANGE,
    "number": _RANGE,
    "boolean": _ENUM,
    "null": _ENUM,
    "array": {**_sizes("Items"), **_ENUM, "uniqueItems": _unique},
    "object": {**_sizes("Properties"), **_ENUM},
}
