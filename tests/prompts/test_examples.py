"""The example of a right call that is shown to models."""

from __future__ import annotations

from typing import Any

import pytest

from gemmagraph.prompts.checking.arguments import ArgumentChecker, Number, example_arguments
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import ToolSpec

N = Number
STRING = {"type": "string"}
INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
BOOLEAN = {"type": "boolean"}
NULL = {"type": "null"}
POINT = {"type": "object", "properties": {"x": INTEGER, "label": STRING}, "required": ["x"]}


def checker(argument: object, **more: Any) -> ArgumentChecker:
    """A checker of a tool with one argument, `v`."""
    return ArgumentChecker(ToolSpec("f", "", {"properties": {"v": argument}, **more}))


EXAMPLES: list[tuple[dict[str, Any], dict[str, object]]] = [
    ({"properties": {"city": STRING}, "required": ["city"]}, {"city": "Paris"}),
    ({"properties": {"homeTown": STRING}, "required": ["homeTown"]}, {"homeTown": "Paris"}),
    ({"properties": {"unit": {"enum": ["celsius", "kelvin"]}}, "required": ["unit"]}, {"unit": "celsius"}),
    ({"properties": {"n": {**INTEGER, "minimum": 100}}, "required": ["n"]}, {"n": 100}),
    ({"properties": {"n": {**INTEGER, "multipleOf": 7}}, "required": ["n"]}, {"n": 0}),
    ({"properties": {"n": {**NUMBER, "exclusiveMinimum": 0, "exclusiveMaximum": 1}}, "required": ["n"]}, {"n": 0.5}),
    ({"properties": {"lines": {**INTEGER, "default": 30}}}, {"lines": 30}),
    ({"properties": {"day": {**STRING, "format": "date"}}, "required": ["day"]}, {"day": "2026-05-04"}),
    (
        {"properties": {"tags": {"type": "array", "items": STRING, "minItems": 2}}, "required": ["tags"]},
        {"tags": ["abc", "abc"]},
    ),
    ({"properties": {"p": POINT}, "required": ["p"]}, {"p": {"x": 5}}),
    ({"properties": {"p": {"$ref": "#/$defs/P"}}, "required": ["p"], "$defs": {"P": POINT}}, {"p": {"x": 5}}),
    ({"properties": {"n": {"anyOf": [INTEGER, NULL]}}, "required": ["n"]}, {"n": 5}),
    ({"properties": {"pod": {**STRING, "pattern": "^[a-z0-9.-]{1,253}$"}}, "required": ["pod"]}, {"pod": "abc"}),
    ({"properties": {"zip": {**STRING, "pattern": r"^\d{5}$"}}, "required": ["zip"]}, {"zip": "75001"}),
    ({"properties": {"code": {**STRING, "minLength": 12}}, "required": ["code"]}, {"code": "print(1)aaaa"}),
    ({"properties": {"ok": BOOLEAN}, "required": ["ok"]}, {"ok": True}),
    ({"allOf": [{"properties": {"a": INTEGER}, "required": ["a"]}]}, {"a": 5}),
    ({}, {}),
]


@pytest.mark.parametrize(("parameters", "expected"), EXAMPLES, ids=repr)
def test_example_is_made_up_from_the_schema_and_valid(
    parameters: dict[str, Any], expected: dict[str, object]
) -> None:
    spec = ToolSpec("f", "", parameters)
    found = example_arguments(spec)
    assert repr(found) == repr(expected)
    assert repr(ArgumentChecker(spec).check(found)) == repr(expected)


def test_example_of_the_author_is_preferred_if_it_is_right() -> None:
    parameters = {"properties": {"n": INTEGER}, "required": ["n"]}
    spec = ToolSpec("f", "", parameters, examples=({"args": {"n": "x"}}, {"user": "eight!", "args": {"n": 8}}))
    assert example_arguments(spec) == {"n": 8}
    assert ArgumentChecker(spec).example == "f(n=8)"


def test_example_that_cannot_be_made_up_is_not_shown() -> None:
    parameters = {"properties": {"v": {**STRING, "pattern": "^q{3}-[0-9]{7}$"}}, "required": ["v"]}
    checking = ArgumentChecker(ToolSpec("f", "", parameters))
    assert checking.example == ""
    with pytest.raises(InvalidArguments) as refusal:
        checking.check({"v": "x"})
    assert refusal.value.message == 'f: "v" was "x", expected a string matching ^q{3}-[0-9]{7}$.'
