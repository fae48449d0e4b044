"""What is no JSON Schema that can be checked is refused when the checker is made, with the tool and the key."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from gemmagraph.prompts.checking.arguments import ArgumentChecker
from gemmagraph.prompts.checking.formats import python_pattern
from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.messages import ToolSpec


def made(argument: Any, **more: Any) -> ArgumentChecker:
    return ArgumentChecker(ToolSpec("turn_on", "", {"properties": {"v": argument}, **more}))


BROKEN: dict[str, tuple[Any, str]] = {
    "type in capitals": ({"type": "STRING"}, "v.type is 'STRING'. It must be \"string\"."),
    "Python type": ({"type": "str"}, 'It must be "string".'),
    "Python type in a list": ({"type": ["int", "null"]}, 'It must be "integer".'),
    "unknown type": ({"type": "any"}, "It must be one of string, integer, number"),
    "type that is no word": ({"type": 5}, "v.type is 5"),
    "no type at all": ({"type": []}, "v.type is []"),
    "schema that is no object": ("string", "v is 'string'. It must be a schema"),
    "properties as a list": ({"properties": ["a"]}, "v.properties is ['a']"),
    "items as a list": ({"items": [{"type": "string"}]}, "v.items is"),
    "required as a flag": ({"required": True}, "v.required is True. It must be a list of names"),
    "required of numbers": ({"required": [1]}, "v.required is [1]"),
    "enum as text": ({"enum": "a, b"}, "v.enum is 'a, b'. It must be a list"),
    "enum of a set": ({"enum": [{1, 2}]}, "It must be a JSON value"),
    "NaN": ({"minimum": float("nan")}, "v.minimum is nan"),
    "bound as text": ({"minimum": "3"}, "v.minimum is '3'. It must be a number"),
    "bound as a flag": ({"minimum": 3, "exclusiveMinimum": True}, "v.exclusiveMinimum is True"),
    "negative length": ({"minLength": -1}, "v.minLength is -1. It must be a whole number of at least 0"),
    "length with a fraction": ({"maxItems": 1.5}, "v.maxItems is 1.5"),
    "multiple of nothing": ({"multipleOf": 0}, "v.multipleOf is 0. It must be a number above 0"),
    "flag as text": ({"uniqueItems": "yes"}, "v.uniqueItems is 'yes'"),
    "anyOf nothing": ({"anyOf": []}, "v.anyOf is []. It must be a list of schemas"),
    "anyOf words": ({"anyOf": ["string"]}, "v.anyOf[0] is 'string'"),
    "pattern that cannot be read": ({"pattern": "("}, "v.pattern is '('. It must be a pattern that Python can read"),
    "pattern of properties": ({"patternProperties": {"[": {}}}, "v.patternProperties is '['"),
    "pattern that is no text": ({"pattern": 5}, "v.pattern is 5"),
    "format that is no text": ({"format": 5}, "v.format is 5"),
    "dependentRequired as a list": ({"dependentRequired": ["a"]}, "v.dependentRequired is"),
    "deep inside": ({"items": {"properties": {"a": {"type": "Integer"}}}}, "v.items.properties.a.type is 'Integer'"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_schema_is_refused_with_tool_and_key(name: str) -> None:
    schema, words = BROKEN[name]
    with pytest.raises(NotationError) as refusal:
        made(schema)
    assert str(refusal.value).startswith("Tool 'turn_on': parameters.properties.")
    assert words in str(refusal.value)


LEFT_TO_US = ("NaN", "enum of a set", "pattern that cannot be read", "pattern of properties")
"""What the meta-schema of JSON Schema does not look at."""


@pytest.mark.parametrize("name", [name for name in BROKEN if name not in LEFT_TO_US])
def test_what_is_called_broken_is_no_valid_json_schema(name: str) -> None:
    with pytest.raises(jsonschema.SchemaError):
        jsonschema.Draft202012Validator.check_schema({"properties": {"v": BROKEN[name][0]}})


def in_itself(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


UNCHECKABLE: dict[str, tuple[Any, str]] = {
    "no object": ("string", "parameters is 'string'"),
    "another type": ({"type": "array"}, "parameters.type is 'array'. It must be \"object\""),
    "remote reference": (
        {"properties": {"v": {"$ref": "https://example.org/s.json"}}},
        "a reference inside this schema",
    ),
    "reference to a file": ({"properties": {"v": {"$ref": "other.json#/a"}}}, "a reference inside this schema"),
    "reference to nothing": ({"properties": {"v": {"$ref": "#/$defs/x"}}}, "a reference to something in this schema"),
    "reference that is no text": ({"properties": {"v": {"$ref": 5}}}, "v.$ref is 5"),
    "reference to what is no schema": ({"properties": {"v": {"$ref": "#/title"}}, "title": "t"}, "#/title is 't'"),
    "dynamic reference": ({"properties": {"v": {"$dynamicRef": "#a"}}}, "It must be a plain $ref"),
    "reference to itself": ({"$ref": "#"}, "parameters.$ref is '#'"),
    "references in a ring": (
        {
            "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}},
            "properties": {"v": {"$ref": "#/$defs/a"}},
        },
        "leads back to itself",
    ),
    "a ring seen through a property first": (
        {
            "$defs": {
                "x": {"properties": {"p": {"$ref": "#/$defs/y"}}, "anyOf": [{"$ref": "#/$defs/y"}]},
                "y": {"not": {"$ref": "#/$defs/x"}},
            },
            "properties": {"v": {"$ref": "#/$defs/x"}},
        },
        "leads back to itself",
    ),
    "too deep": (in_itself(100), "too large"),
    "much too deep": (in_itself(100_000), "too large"),
    "too many": ({"properties": {f"p{n}": {} for n in range(10_000)}}, "too large"),
    "a default of 5,000 digits": ({"properties": {"v": {"default": 10**5000}}}, "v.default is a int"),
    "a bound of 5,000 digits": ({"properties": {"v": {"minimum": 10**5000}}}, "v.minimum is a int"),
}


@pytest.mark.parametrize("name", UNCHECKABLE)
def test_schema_that_cannot_be_checked_is_refused(name: str) -> None:
    parameters, words = UNCHECKABLE[name]
    with pytest.raises(NotationError) as refusal:
        ArgumentChecker(ToolSpec("turn_on", "", parameters))
    assert str(refusal.value).startswith("Tool 'turn_on': ")
    assert words in str(refusal.value)
    assert len(str(refusal.value)) < 700


def test_draft_and_identifiers_do_not_change_what_is_checked() -> None:
    schema = {"type": "object", "$schema": "http://json-schema.org/draft-07/schema#", "$id": "https://example.org/v"}
    checking = made(
        {**schema, "properties": {"n": {"type": "integer", "const": 5}}, "unknown": 1},
        **{"$schema": "http://json-schema.org/draft-03/schema#", "$id": "https://example.org/whole"},
    )
    assert checking.check({"v": {"n": "5"}}) == {"v": {"n": 5}}


@pytest.mark.parametrize(
    ("pattern", "python"),
    [
        ("^a$", r"(?a:^a\Z)"),
        (r"\$5", r"(?a:\$5)"),
        ("[$a]$", r"(?a:[$a]\Z)"),
        (r"[\]$]+$", r"(?a:[\]$]+\Z)"),
        ("(a|b$)", r"(?a:(a|b\Z))"),
        ("(?<year>[0-9]+)", "(?a:(?P<year>[0-9]+))"),
        ("(?<=a)b(?<!c)", "(?a:(?<=a)b(?<!c))"),
        ("", "(?a:)"),
    ],
)
def test_pattern_means_what_ecma_means(pattern: str, python: str) -> None:
    assert python_pattern(pattern) == python
