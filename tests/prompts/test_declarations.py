"""How tools are told to the model: every parameter in few words, and nothing that could be taken for a call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gemmagraph.prompts.checking.schemas import flat, notes, signature, type_words
from gemmagraph.prompts.messages import ToolSpec
from gemmagraph.prompts.notation import notation_named, read
from gemmagraph.prompts.toolset import Toolset

NOTATIONS = ("function_call", "json", "tool_code", "pythonic")
each_notation = pytest.mark.parametrize("notation", NOTATIONS)

STREET = {"type": "object", "properties": {"street": {"type": "string", "description": "With number."}}}
NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}, "n": {"type": "integer"}}}

TYPES: dict[str, tuple[Any, str]] = {
    "string": ({"type": "string"}, "string"),
    "date": ({"type": "string", "format": "date"}, "string (date)"),
    "time": ({"type": "string", "format": "date-time-or-local"}, "string (date-time)"),
    "local-time": ({"type": "string", "format": "time-local"}, "string (time-local)"),
    "integer": ({"type": "integer", "minimum": 1}, "integer"),
    "list": ({"type": "array"}, "list"),
    "list-of-something": ({"type": "array", "items": {"type": "number"}}, "list of number"),
    "list-of-lists": ({"type": "array", "items": {"type": "array", "items": {"enum": [1]}}}, "list of list of 1"),
    "enum": ({"type": "string", "enum": ["a", 'b"', None, 1]}, '"a" | "b\\"" | null | 1'),
    "const": ({"const": "a"}, '"a"'),
    "type-list": ({"type": ["string", "null"]}, "string | null"),
    "any-of": ({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "string"}]}, "string | integer"),
    "one-of": ({"oneOf": [{"type": "array", "items": {"type": "string"}}, {"const": 0}]}, "list of string | 0"),
    "all-of": ({"allOf": [{"type": "string"}, {"enum": ["a"]}]}, '"a"'),
    "all-of-a-reference": ({"allOf": [{"$ref": "#/$defs/Street"}]}, "{street?: string}"),
    "object": ({"type": "object"}, "object"),
    "object-with-keys": (
        {"type": "object", "properties": {"x": {"type": "number"}, "y": True}, "required": ["x"]},
        "{x: number, y?: any}",
    ),
    "object-that-may-be-null": (
        {"properties": {"a": {"type": ["string", "null"]}, "b": {"type": ["string", "null"]}}, "required": ["a"]},
        "{a: string | null, b?: string}",
    ),
    "map": ({"type": "object", "additionalProperties": {"type": "integer"}}, "object of integer"),
    "reference": ({"$ref": "#/$defs/Street"}, "{street?: string}"),
    "lost-reference": ({"$ref": "#/$defs/Nothing"}, "any"),
    "foreign-reference": ({"$ref": "https://example.org/x"}, "any"),
    "reference-to-itself": ({"$ref": "#/$defs/Loop"}, "any"),
    "endless": ({"$ref": "#/$defs/Node"}, "{next?: any, n?: integer}"),
    "true": (True, "any"),
    "empty": ({}, "any"),
}
DEFS = {"Street": STREET, "Node": NODE, "Loop": {"$ref": "#/$defs/Loop"}}


@pytest.mark.parametrize(("schema", "words"), TYPES.values(), ids=TYPES)
def test_type_is_told_in_few_words(schema: Any, words: str) -> None:
    parameters = flat({"properties": {"a": schema}, "required": ["a"], "$defs": DEFS})
    assert type_words(parameters["properties"]["a"]) == words


@pytest.mark.parametrize(
    ("schema", "required", "words"),
    [
        ({"type": "string"}, True, "f(a: string)"),
        ({"type": "string"}, False, "f(a: string (optional))"),
        ({"type": "integer", "default": 3}, False, "f(a: integer = 3)"),
        ({"type": "boolean", "default": False}, False, "f(a: boolean = false)"),
        ({"type": "string", "default": "é"}, False, 'f(a: string = "é")'),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}, False, "f(a: string (optional))"),
        ({"type": ["string", "null"]}, True, "f(a: string | null)"),
        (True, False, "f(a: any (optional))"),
    ],
    ids=["required", "optional", "default", "false", "letters", "null-by-default", "null-or-text", "anything"],
)
def test_parameter_is_told_with_whether_it_must_be_given(schema: Any, required: bool, words: str) -> None:
    parameters = {"type": "object", "properties": {"a": schema}, "required": ["a"] if required else []}
    assert signature("f", flat(parameters)) == words


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"description": " The\n  city. "}, {"a": "The city."}),
        ({"minimum": 1, "maximum": 14}, {"a": "(1 to 14)"}),
        ({"minimum": 0}, {"a": "(at least 0)"}),
        ({"exclusiveMinimum": 0, "maximum": 1, "description": "Share."}, {"a": "Share. (at most 1, more than 0)"}),
        ({"type": "string", "minLength": 2, "maxLength": 5}, {"a": "(2 to 5 characters)"}),
        ({"type": "string", "pattern": "^[A-Z]+$"}, {"a": "(like ^[A-Z]+$)"}),
        (
            {"type": "array", "minItems": 1, "items": STREET},
            {"a": "(at least 1 items)", "a[].street": "With number."},
        ),
        ({"$ref": "#/$defs/Street", "description": "Where to."}, {"a": "Where to.", "a.street": "With number."}),
        ({"type": "string"}, {}),
        (True, {}),
    ],
)
def test_parameter_is_told_with_its_description_and_bounds(schema: Any, expected: dict[str, str]) -> None:
    assert dict(notes(flat({"properties": {"a": schema}, "$defs": DEFS}))) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"$ref": "#/$defs/Street", "title": "Street"}, STREET),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}, {"type": "string"}),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
         {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"type": ["string", "null"], "default": "x"}, {"type": "string", "default": "x"}),
        ({"type": "array", "items": {"allOf": [{"$ref": "#/$defs/Street"}]}}, {"type": "array", "items": STREET}),
        ({"type": "object", "properties": {"title": {"type": "string", "title": "T"}}, "additionalProperties": False},
         {"type": "object", "properties": {"title": {"type": "string"}}}),
        ({"type": "object", "additionalProperties": {"$ref": "#/$defs/Street"}},
         {"type": "object", "additionalProperties": STREET}),
        (True, {}),
    ],
)  # fmt: skip
def test_schema_is_flattened_for_the_model(schema: Any, expected: Any) -> None:
    parameters = {"type": "object", "properties": {"a": schema}, "$defs": DEFS, "additionalProperties": False}
    assert flat(parameters) == {"type": "object", "properties": {"a": expected}}


def test_required_parameter_may_still_be_null() -> None:
    schema = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    parameters = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    assert flat(parameters) == parameters


def test_schema_that_holds_itself_many_times_over_ends() -> None:
    again = {f"p{n}": {"$ref": f"#/$defs/{n}"} for n in range(20)}
    defs = {str(n): {"type": "object", "properties": again} for n in range(20)}
    text = json.dumps(flat({"properties": again, "$defs": defs}))
    assert len(text) < 100_000
    assert "$ref" not in text


# The whole text.

TOOLS = Toolset(
    [
        ToolSpec(
            "get_weather",
            "The weather.\n\nIn a city.",
            {"properties": {"city": {"type": "string"}}, "required": ["city"]},
        ),
        ToolSpec("now", "The time now.", {}),
        ToolSpec("quiet"),
        ToolSpec(
            "ship", "Ships it.", {"properties": {"to": STREET, "name": {"type": "string"}, "n": {"type": "integer"}}}
        ),
    ]
)


@each_notation
def test_without_tools_nothing_is_declared(notation: str) -> None:
    assert notation_named(notation).declare(Toolset()) == ""


def test_function_call_declares_a_tool_in_a_few_lines() -> None:
    assert notation_named("function_call").declare(TOOLS).partition("Tools:\n")[2].splitlines() == [
        "- get_weather(city: string)",
        "  The weather.",
        "  In a city.",
        "- now()",
        "  The time now.",
        "- quiet()",
        "- ship(to: {street?: string} (optional), name: string (optional), n: integer (optional))",
        "  Ships it.",
        "  to.street: With number.",
    ]


def test_json_declares_a_tool_as_one_object_on_a_line() -> None:
    lines = notation_named("json").declare(TOOLS).partition("Tools:\n")[2].splitlines()
    assert [json.loads(line)["name"] for line in lines] == list(TOOLS.names)
    assert json.loads(lines[1]) == {
        "name": "now",
        "description": "The time now.",
        "parameters": {"type": "object", "properties": {}},
    }


@each_notation
def test_instructions_stay_short(notation: str) -> None:
    """They are paid for with every conversation; about four characters make a token."""
    assert len(notation_named(notation).declare(TOOLS).partition("Tools:\n")[0]) < 500


@each_notation
def test_declaration_that_a_model_repeats_calls_nothing(notation: str) -> None:
    made = notation_named(notation)
    text = made.declare(TOOLS)
    for echo in (text, *text.splitlines(), text.partition("Tools:\n")[2]):
        assert read(made, echo, TOOLS).calls == (), echo


@each_notation
def test_form_that_the_model_is_shown_is_read_as_a_call(notation: str) -> None:
    """With a tool of that name: what we ask for is what we read."""
    form = "\n".join(notation_named(notation).declare(TOOLS).splitlines()[1 : 4 if notation == "tool_code" else 2])
    properties = {"text": {"type": "string"}, "number": {"type": "integer"}}
    reply = read(notation_named(notation), form, Toolset([ToolSpec("tool_name", "", {"properties": properties})]))
    assert [(call.name, dict(call.arguments)) for call in reply.calls] == [
        ("tool_name", {"text": "some text", "number": 3})
    ]
    assert not reply.repaired


@each_notation
@pytest.mark.parametrize(
    "parameters",
    [
        {"properties": {"a": False}},
        {"properties": {"a": {"type": ["object", "null"], "properties": {"b": {}}, "minProperties": 1}}},
        {"properties": {"a": {"items": [{"type": "string"}], "prefixItems": [True]}}},
        {"properties": {"a": {"enum": [[1, {"b": None}]], "const": {}, "default": [1]}}},
        {"properties": {"a": {"not": {"type": "string"}, "if": True, "dependentRequired": {}}}},
        {"properties": {"": {"description": None}, "\n": {"type": "string"}}},
        {"allOf": [{"properties": {"a": {}}}], "$defs": {}},
        {"properties": {"a": {"allOf": [{"allOf": [{"$ref": "#"}]}, {"$ref": "#/properties/a"}]}}},
        {"additionalProperties": {"type": "string"}, "required": []},
    ],
)
def test_unusual_schema_is_declared(notation: str, parameters: Any) -> None:
    declared = notation_named(notation).declare(Toolset([ToolSpec("f", "", parameters)]))
    assert "f" in declared.partition("Tools:\n")[2]
    assert len(declared) < 3000
