"""Arguments are coerced where nothing is lost, validated, and refused with `InvalidArguments` alone."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gemmagraph.prompts.checking.arguments import ArgumentChecker, Number
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import ToolSpec

N = Number
STRING = {"type": "string"}
INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
BOOLEAN = {"type": "boolean"}
NULL = {"type": "null"}
ARRAY = {"type": "array"}
OBJECT = {"type": "object"}
INTEGERS = {"type": "array", "items": INTEGER}
POINT = {"type": "object", "properties": {"x": INTEGER, "label": STRING}, "required": ["x"]}
EITHER = {
    "type": "object",
    "anyOf": [{"properties": {name: {"type": "integer"}}, "required": [name]} for name in "ab"],
}


def checker(argument: object, **more: Any) -> ArgumentChecker:
    """A checker of a tool with one argument, `v`."""
    return ArgumentChecker(ToolSpec("f", "", {"properties": {"v": argument}, **more}))


def outcome(checking: ArgumentChecker, value: object) -> object:
    try:
        return checking.check({"v": value})["v"]
    except InvalidArguments:
        return "REFUSED"


def exactly(value: object) -> str:
    """1, 1.0, True and "1" are four outcomes."""
    return repr(value)


def named(part: object) -> str:
    """A test id: 10**5000 has no repr."""
    return f"10**{len(bin(part)) // 3}" if isinstance(part, int) and part > 10**4000 else repr(part)[:50]


COERCED: list[tuple[Any, object, object]] = [
    # integer
    (INTEGER, N("5"), 5),
    (INTEGER, 5, 5),
    (INTEGER, "5", 5),
    (INTEGER, " 5 ", 5),
    (INTEGER, "-5", -5),
    (INTEGER, N("+7"), 7),
    (INTEGER, 5.0, 5),
    (INTEGER, N("5.0"), 5),
    (INTEGER, "5.0", 5),
    (INTEGER, N("-0"), 0),
    (INTEGER, N("1e3"), 1000),
    (INTEGER, "1e3", 1000),
    (INTEGER, N("0x1F"), 31),
    (INTEGER, N("1_000"), 1000),
    (INTEGER, N("007"), 7),
    (INTEGER, N("9007199254740993"), 9007199254740993),
    (INTEGER, N("9007199254740993.0"), 9007199254740993),
    (INTEGER, "123456789012345678901234567890", 123456789012345678901234567890),
    (INTEGER, N("1e300"), 10**300),
    (INTEGER, N("1" * 300 + ".000"), int("1" * 300)),
    (INTEGER, N("9" * 4000), int("9" * 4000)),
    # number
    (NUMBER, N("5"), 5),
    (NUMBER, N("5.0"), 5.0),
    (NUMBER, "5", 5),
    (NUMBER, "1.5", 1.5),
    (NUMBER, N("-2.50"), -2.5),
    (NUMBER, N(".5"), 0.5),
    (NUMBER, N("5."), 5.0),
    (NUMBER, "1e-3", 0.001),
    (NUMBER, "12345678901234567890", 12345678901234567890),
    # boolean
    (BOOLEAN, True, True),
    (BOOLEAN, "true", True),
    (BOOLEAN, "False", False),
    (BOOLEAN, " TRUE ", True),
    # null
    (NULL, None, None),
    (NULL, "null", None),
    (NULL, "NULL", None),
    # string
    (STRING, "x", "x"),
    (STRING, "", ""),
    (STRING, " padded ", " padded "),
    (STRING, "null", "null"),
    (STRING, N("01234"), "01234"),
    (STRING, N("1e3"), "1e3"),
    (STRING, N("5.0"), "5.0"),
    (STRING, N("+49151"), "+49151"),
    (STRING, N("1e400"), "1e400"),
    (STRING, N("9" * 9000), "9" * 9000),
    (STRING, 5, "5"),
    (STRING, 5.0, "5.0"),
    (STRING, "\udc80", "\udc80"),
    # array, object
    (ARRAY, [N("1"), "a", None], [1, "a", None]),
    (ARRAY, '[1, "a", null]', [1, "a", None]),
    (ARRAY, " [] ", []),
    (INTEGERS, ["1", N("2.0"), 3], [1, 2, 3]),
    (INTEGERS, '["1", 2.0, 3]', [1, 2, 3]),
    ({"type": "array", "items": STRING}, "[1.50, 1e3]", ["1.50", "1e3"]),
    ({"type": "array", "prefixItems": [INTEGER, STRING], "items": BOOLEAN}, ["1", N("02"), "true"], [1, "02", True]),
    (OBJECT, {"a": N("1.5")}, {"a": 1.5}),
    (OBJECT, '{"a": 1.5}', {"a": 1.5}),
    (POINT, {"x": "4", "label": N("007")}, {"x": 4, "label": "007"}),
    (POINT, '{"x": "4", "label": 7}', {"x": 4, "label": "7"}),
    ({"type": "object", "additionalProperties": INTEGER}, {"a": "1", "b": 2.0}, {"a": 1, "b": 2}),
    ({"type": "object", "properties": {"p": POINT}}, {"p": '{"x": 1}'}, {"p": {"x": 1}}),
    ({"type": "object", "properties": {"p": POINT}}, '{"p": "{\\"x\\": 1}"}', {"p": {"x": 1}}),
    (
        {"type": "object", "patternProperties": {"^x-": STRING}, "additionalProperties": INTEGER},
        {"x-a": N("5"), "b": "5"},
        {"x-a": "5", "b": 5},
    ),
    # nothing said
    ({}, N("5"), 5),
    ({}, N("1e3"), 1000.0),
    ({}, N("01234"), "01234"),
    ({}, {"a": [N("1"), {"b": N("2.0")}]}, {"a": [1, {"b": 2.0}]}),
    (True, N("5"), 5),
    ({"description": "anything"}, "5", "5"),
    # enum, const
    ({"enum": [1, 2, 3]}, "2", 2),
    ({"enum": [1, 2, 3]}, N("2.0"), 2),
    ({"enum": ["1", "2"]}, N("1"), "1"),
    ({"type": "string", "enum": ["1", "2"]}, N("1"), "1"),
    ({"type": "integer", "enum": [1, 2]}, "1", 1),
    ({"enum": [1, "1"]}, "1", "1"),
    ({"enum": [1, "1"]}, N("1"), 1),
    ({"enum": [True, "auto"]}, "true", True),
    ({"enum": ["a", None]}, None, None),
    ({"const": 5}, "5", 5),
    ({"const": "5"}, N("5"), "5"),
    ({"enum": [[1, 2], {"a": 1}]}, [1, 2.0], [1, 2.0]),
    ({"enum": [[1, 2], {"a": 1}]}, '{"a": 1}', {"a": 1}),
    # choices: as it is first, else the only way there is
    ({"type": ["integer", "null"]}, "5", 5),
    ({"type": ["integer", "null"]}, "null", None),
    ({"type": ["string", "null"]}, "null", "null"),
    ({"type": ["string", "null"]}, None, None),
    ({"type": ["string", "integer"]}, "5", "5"),
    ({"type": ["string", "integer"]}, N("5"), 5),
    ({"type": ["string", "integer"]}, N("05"), "05"),
    ({"type": ["string", "integer"]}, N("5.5"), "5.5"),
    ({"type": ["integer", "number"]}, "5", 5),
    ({"type": ["integer", "number"]}, "5.5", 5.5),
    ({"type": ["integer", "boolean"]}, "true", True),
    ({"anyOf": [INTEGER, NULL]}, "5", 5),
    ({"anyOf": [INTEGER, NULL]}, "null", None),
    ({"anyOf": [STRING, INTEGERS]}, '["1"]', '["1"]'),
    ({"anyOf": [BOOLEAN, INTEGERS]}, '["1"]', [1]),
    ({"anyOf": [{"type": "array", "items": STRING}, NULL]}, [N("01"), N("2")], ["01", "2"]),
    ({"anyOf": [POINT, NULL]}, {"x": "1"}, {"x": 1}),
    ({"anyOf": [POINT, NULL]}, '{"x": "1"}', {"x": 1}),
    ({"oneOf": [INTEGER, {"type": "array", "items": INTEGER}]}, "5", 5),
    ({"oneOf": [{"type": "string", "maxLength": 2}, {"type": "integer", "minimum": 100}]}, N("123"), 123),
    ({"oneOf": [{"type": "string", "maxLength": 2}, {"type": "integer", "minimum": 100}]}, N("12"), "12"),
    ({"type": "integer", "nullable": True}, "null", None),
    ({"type": "integer", "nullable": True}, "5", 5),
    ({"type": "string", "enum": ["a"], "nullable": True}, None, None),
    ({"allOf": [INTEGER, {"minimum": 3}]}, "5", 5),
    ({"allOf": [{"minimum": 3}, {"type": "string"}]}, N("05"), "05"),
    (
        {"type": "object", "properties": {"zip": STRING}, "anyOf": [{"required": ["zip"]}]},
        {"zip": N("1e3")},
        {"zip": "1e3"},
    ),
]


@pytest.mark.parametrize(("schema", "value", "expected"), COERCED, ids=named)
def test_value_is_coerced_without_loss(schema: Any, value: object, expected: object) -> None:
    assert exactly(outcome(checker(schema), value)) == exactly(expected)


REFUSED: list[tuple[Any, object]] = [
    (INTEGER, "5.5"),
    (INTEGER, N("5.5")),
    (INTEGER, 5.5),
    (INTEGER, True),
    (INTEGER, None),
    (INTEGER, ""),
    (INTEGER, "five"),
    (INTEGER, "1,000"),
    (INTEGER, "٥"),
    (INTEGER, "5 apples"),
    (INTEGER, [5]),
    (INTEGER, N("1e400")),
    (INTEGER, N("1e-400")),
    (INTEGER, N("5.000000000000000000000000000001")),
    ({"type": ["integer", "null"]}, N("5.000000000000000000000000000001")),
    (INTEGER, N("9" * 5000)),
    (INTEGER, N("0x" + "f" * 5000)),
    (INTEGER, 10**5000),
    (INTEGER, "9" * 100_000),
    (INTEGER, N("5_")),
    (NUMBER, "1e400"),
    (NUMBER, "NaN"),
    (NUMBER, "Infinity"),
    (NUMBER, "-inf"),
    (NUMBER, math.nan),
    (NUMBER, math.inf),
    (NUMBER, True),
    (NUMBER, "1/2"),
    ({}, math.nan),
    ({}, N("1e400")),
    ({}, (1, 2)),
    ({}, {1: 2}),
    ({}, b"x"),
    ({}, [{"a": {1, 2}}]),
    (BOOLEAN, 0),
    (BOOLEAN, N("1")),
    (BOOLEAN, "1"),
    (BOOLEAN, "yes"),
    (BOOLEAN, None),
    (NULL, ""),
    (NULL, 0),
    (NULL, "none"),
    (STRING, None),
    (STRING, True),
    (STRING, ["a"]),
    (STRING, {"a": 1}),
    (ARRAY, "a, b"),
    (ARRAY, "[1, 2"),
    (ARRAY, "['a']"),
    (ARRAY, "[NaN]"),
    (ARRAY, "[01]"),
    (ARRAY, '{"a": 1}'),
    (ARRAY, {"a": 1}),
    (INTEGERS, [1, "x"]),
    (OBJECT, "[]"),
    (OBJECT, '{"a": 1, "a": 2}'),
    (OBJECT, "a=1"),
    (POINT, {"label": "x"}),
    ({"enum": ["celsius"]}, "Celsius"),
    ({"enum": ["celsius"]}, " celsius"),
    ({"enum": [1, 2]}, True),
    ({"enum": [1, 2]}, "3"),
    ({"enum": [True]}, 1),
    ({"enum": []}, 1),
    ({"const": 1}, 2),
    ({"const": 1, "enum": [2]}, 2),
    ({"type": ["boolean", "integer"]}, "x"),
    ({"anyOf": [{"type": "array", "items": INTEGER}, {"type": "array", "items": BOOLEAN}]}, ["1", "true"]),
    ({"oneOf": [INTEGER, NUMBER]}, 5),
    (False, 1),
    ({"type": "string", "minLength": 2}, "a"),
    ({"type": "string", "maxLength": 2}, "abc"),
    ({"type": "string", "pattern": "^a$"}, "b"),
    ({"type": "string", "pattern": "^a$"}, "a\n"),
    ({"type": "integer", "minimum": 3}, "2"),
    ({"type": "integer", "exclusiveMinimum": 3}, 3),
    ({"type": "integer", "maximum": 3}, N("4")),
    ({"type": "number", "exclusiveMaximum": 3}, 3.0),
    ({"type": "number", "multipleOf": 0.1}, 0.35),
    ({"type": "integer", "multipleOf": 0.5}, "x"),
    ({"type": "array", "minItems": 1}, []),
    ({"type": "array", "maxItems": 1}, [1, 2]),
    ({"type": "array", "uniqueItems": True}, [{"a": 1}, {"a": 1.0}]),
    ({"type": "array", "items": False}, [1]),
    ({"type": "array", "contains": INTEGER}, ["a"]),
    ({"type": "object", "minProperties": 1}, {}),
    ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, {"b": 1}),
    ({"type": "object", "dependentRequired": {"a": ["b"]}}, {"a": 1}),
    ({"type": "object", "propertyNames": {"maxLength": 1}}, {"ab": 1}),
    ({"not": STRING}, "a"),
    ({**EITHER, "unevaluatedProperties": False}, {"a": 1, "b": "x"}),
    ({"if": INTEGER, "then": {"minimum": 3}}, 2),
]


@pytest.mark.parametrize(("schema", "value"), REFUSED, ids=named)
def test_value_that_does_not_fit_is_refused(schema: Any, value: object) -> None:
    with pytest.raises(InvalidArguments) as refusal:
        checker(schema).check({"v": value})
    assert len(refusal.value.message) <= 240
    assert refusal.value.message.isprintable()


ALLOWED: list[tuple[Any, object]] = [
    ({"type": "number", "multipleOf": 0.1}, 0.3),
    ({"type": "number", "multipleOf": 0.01}, 4.35),
    ({"type": "integer", "multipleOf": 7}, 7 * 10**400),
    ({"type": "array", "uniqueItems": True}, [1, True, "1", None, [1], [True]]),
    ({"type": "string", "pattern": "b"}, "abc"),
    ({"type": "string", "pattern": "[$]$"}, "5$"),
    ({"type": "string", "minLength": 1}, "é"),
    ({"type": "object", "patternProperties": {"^x-": INTEGER}, "additionalProperties": False}, {"x-a": 1}),
    ({"type": "array", "contains": INTEGER}, ["a", 1]),
    ({"type": "object"}, {"undeclared": 1}),
    ({"type": "object", "properties": {"a": {}}, "unevaluatedProperties": False}, {"a": [1]}),
    ({"type": "string", "format": "color"}, "no format that is asserted"),
    ({"minimum": 5}, "text"),
]


@pytest.mark.parametrize(("schema", "value"), ALLOWED, ids=named)
def test_valid_value_stays_as_it_is(schema: Any, value: object) -> None:
    assert exactly(outcome(checker(schema), value)) == exactly(value)
