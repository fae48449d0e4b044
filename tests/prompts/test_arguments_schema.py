"""References, formats, and what is declared: the argument check follows the whole schema."""

from __future__ import annotations

from types import MappingProxyType
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
POINT = {"type": "object", "properties": {"x": INTEGER, "label": STRING}, "required": ["x"]}


def checker(argument: object, **more: Any) -> ArgumentChecker:
    """A checker of a tool with one argument, `v`."""
    return ArgumentChecker(ToolSpec("f", "", {"properties": {"v": argument}, **more}))


def outcome(checking: ArgumentChecker, value: object) -> object:
    try:
        return checking.check({"v": value})["v"]
    except InvalidArguments:
        return "REFUSED"


FORMATS = [
    ("date", ["2026-05-04", "2024-02-29"], ["2026-5-4", "2026-02-30", "2026-05-04\n", "04.05.2026", "20260504"]),
    (
        "date-time",
        ["2026-05-04T09:30:00Z", "2026-05-04t09:30:00.25+02:00"],
        ["2026-05-04", "2026-05-04 09:30:00Z", "2026-05-04T09:30:00", "2026-02-30T09:30:00Z"],
    ),
    (
        "date-time-local",
        ["2026-05-04T09:30:00", "2026-05-04 09:30", "2026-05-04T09:30:00.25", "2026-05-04"],
        ["2026-05-04Z", "2026-05-04T09:30:00Z", "2026-05-04 09:30+02:00", "2026-02-30T09:30", "2026-05-04T"],
    ),
    (
        "date-time-or-local",
        ["2026-05-04T09:30:00Z", "2026-05-04T09:30:00", "2026-05-04 09:30", "2026-05-04t09:30+02:00", "2026-05-04"],
        ["2026-02-30", "tomorrow", "2026-05-04T24:30", "2026-05-0409:30", "2026-05-04T09:30\n"],
    ),
    ("time-local", ["09:30", "23:59:59.5"], ["9:30", "24:00", "09:30Z", "09:30\n"]),
    ("time-or-local", ["09:30", "09:30:00Z", "23:59:59.5-01:00"], ["9:30", "24:00", "09:30:00 Z"]),
    ("time", ["09:30:00Z", "23:59:59.5-01:00"], ["09:30", "24:00:00Z", "09:30:00", "09:30:00Z\n"]),
    ("email", ["a@example.org", "a+b@c"], ["a", "a@", "@b", "a b@c", "a@b@c"]),
    ("uuid", ["123e4567-e89b-42d3-a456-426614174000"], ["123e4567e89b42d3a456426614174000", "x"]),
    (
        "uri",
        ["https://a.org/b?c=d#e", "mailto:a@b.c", "http://[::1]:80/", "urn:x:y", "file:///etc/x", "http://a:8080"],
        ["a.org", "/path", "http://a b", "https://a/%zz", "http://é.org", "http://[x", ""],
    ),
    ("ipv4", ["192.0.2.1"], ["192.0.2", "192.0.2.256", "1.2.3.4.5", "01.2.3.4"]),
    ("ipv6", ["2001:db8::1", "::1"], ["2001:db8", "::1%eth0", "192.0.2.1", ":::"]),
    ("duration", ["no format that is asserted"], []),
]


@pytest.mark.parametrize(("name", "good", "bad"), FORMATS, ids=[row[0] for row in FORMATS])
def test_format_is_asserted_on_both_roads(name: str, good: list[str], bad: list[str]) -> None:
    plain = checker({"type": "string", "format": name})
    slow = checker({"allOf": [{"type": "string", "format": name}]})
    for text in good:
        assert (outcome(plain, text), outcome(slow, text)) == (text, text)
    for text in bad:
        assert (outcome(plain, text), outcome(slow, text)) == ("REFUSED", "REFUSED"), text


REFERENCES = {
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {"n": INTEGER, "next": {"anyOf": [{"$ref": "#/$defs/Node"}, NULL]}},
            "required": ["n"],
            "additionalProperties": False,
        },
        "a/b c": STRING,
    },
    "definitions": {"Old": INTEGER},
    "properties": {
        "node": {"$ref": "#/$defs/Node"},
        "odd": {"$ref": "#/$defs/a~1b%20c"},
        "old": {"$ref": "#/definitions/Old", "minimum": 3},
        "same": {"$ref": "#/properties/old"},
        "self": {"$ref": "#"},
    },
}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            {"node": {"n": "1", "next": {"n": N("2.0"), "next": None}}},
            {"node": {"n": 1, "next": {"n": 2, "next": None}}},
        ),
        ({"node": '{"n": 1, "next": {"n": "2"}}'}, {"node": {"n": 1, "next": {"n": 2}}}),
        ({"node": {"n": 1, "next": {"n": "x"}}}, None),
        ({"odd": N("007")}, {"odd": "007"}),
        ({"old": "3"}, {"old": 3}),
        ({"old": "2"}, None),
        ({"same": "3"}, {"same": 3}),
        ({"self": {"odd": N("1")}}, {"self": {"odd": "1"}}),
    ],
)
def test_references_are_followed(arguments: dict[str, object], expected: object) -> None:
    checking = ArgumentChecker(ToolSpec("f", "", REFERENCES))
    if expected is None:
        with pytest.raises(InvalidArguments):
            checking.check(arguments)
    else:
        assert repr(checking.check(arguments)) == repr(expected)


def test_undeclared_argument_is_refused_unless_the_schema_allows_it() -> None:
    assert outcome(checker(STRING), "a") == "a"
    with pytest.raises(InvalidArguments, match="no argument"):
        checker(STRING).check({"v": "a", "w": 1})
    open_ended = checker(STRING, additionalProperties=INTEGER)
    assert open_ended.check({"v": "a", "w": "1"}) == {"v": "a", "w": 1}
    assert ArgumentChecker(ToolSpec("f", "", {"additionalProperties": True})).check({"x": N("1")}) == {"x": 1}


def test_arguments_declared_by_the_parts_of_a_schema_are_declared() -> None:
    base = {"type": "object", "properties": {"a": INTEGER}, "required": ["a"]}
    spec = ToolSpec(
        "f", "", {"$defs": {"Base": base}, "allOf": [{"$ref": "#/$defs/Base"}, {"properties": {"b": STRING}}]}
    )
    assert ArgumentChecker(spec).check({"a": "1", "b": N("02")}) == {"a": 1, "b": "02"}
    with pytest.raises(InvalidArguments, match='no argument "c"'):
        ArgumentChecker(spec).check({"a": 1, "c": 1})
    alone = ToolSpec("f", "", {"$defs": {"Base": base}, "$ref": "#/$defs/Base"})
    with pytest.raises(InvalidArguments, match='no argument "c"'):
        ArgumentChecker(alone).check({"a": 1, "c": 1})


def test_tool_without_parameters_takes_none() -> None:
    for parameters in ({}, {"type": "object"}, {"type": "object", "properties": {}}):
        checking = ArgumentChecker(ToolSpec("f", "", parameters))
        assert checking.check({}) == {}
        with pytest.raises(InvalidArguments):
            checking.check({"a": 1})


def test_defaults_are_left_to_the_executor() -> None:
    assert checker({"type": "integer", "default": 5}).check({}) == {}


def test_neither_the_arguments_nor_the_schema_are_changed() -> None:
    schema = {"properties": {"v": {"type": "array", "items": {"type": "integer", "nullable": True}}}}
    before = repr(schema)
    inner: list[object] = ["1", N("2")]
    arguments = MappingProxyType({"v": inner})
    assert ArgumentChecker(ToolSpec("f", "", schema)).check(arguments) == {"v": [1, 2]}
    assert inner == ["1", N("2")]
    assert repr(schema) == before
