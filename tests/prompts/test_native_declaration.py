"""How the native notations tell of tools: Google's own prints, and what its template loses or garbles put right."""

from __future__ import annotations

from typing import Any

import pytest

from gemmagraph.prompts.messages import ToolSpec
from gemmagraph.prompts.notation import notation_named
from gemmagraph.prompts.toolset import Toolset

TRIGGER = "You are a model that can do function calling with the following functions"
FULL_EVENT = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "description": "Event title"},
        "duration": {"type": "integer", "description": "Minutes"},
        "kind": {"type": "string", "enum": ["meeting", "call"], "description": "Kind of event"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "attendees": {
            "type": "array",
            "description": "Who comes",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "email": {"type": "string", "description": "Mail"}},
                "required": ["name"],
            },
        },
        "location": {
            "type": "object",
            "description": "Where",
            "properties": {"room": {"type": "string"}, "floor": {"type": "integer"}},
            "required": ["room"],
        },
        "note": {"type": "string", "nullable": True, "description": "Free text"},
        "notify": {"type": "boolean"},
        "price": {"type": "number"},
    },
    "required": ["title", "duration"],
}


def declared(notation: str, *specs: ToolSpec) -> str:
    return notation_named(notation).declare(Toolset(specs))


def spelled(text: str, quote: str) -> str:
    return text.replace("¦", quote)


def properties(declared: str) -> str:
    """The properties in the declaration of one tool, the delimiters as one character."""
    inside = declared.partition("properties:{")[2]
    return inside.rpartition("type:")[0].replace('<|"|>', "¦").replace("<escape>", "¦")


def parameter(schema: dict[str, Any], notation: str = "gemma4", defs: dict[str, Any] | None = None) -> str:
    """A parameter `x` as it is declared."""
    spec = ToolSpec("f", "F.", {"type": "object", "properties": {"x": schema}, "$defs": defs or {}})
    return properties(declared(notation, spec)).removesuffix(",").removeprefix("x:").removesuffix("}")


def test_tool_is_declared_as_the_template_of_gemma_4_does() -> None:
    assert declared("gemma4", ToolSpec("create_event", "Creates a calendar event.", FULL_EVENT)) == spelled(
        "<|tool>declaration:create_event{description:¦Creates a calendar event.¦,parameters:{properties:{"
        "attendees:{description:¦Who comes¦,items:{properties:{email:{description:¦Mail¦,type:¦STRING¦},"
        "name:{type:¦STRING¦}},required:[¦name¦],type:¦OBJECT¦},type:¦ARRAY¦},"
        "duration:{description:¦Minutes¦,type:¦INTEGER¦},"
        "kind:{description:¦Kind of event¦,enum:[¦meeting¦,¦call¦],type:¦STRING¦},"
        "location:{description:¦Where¦,properties:{floor:{type:¦INTEGER¦},room:{type:¦STRING¦}},"
        "required:[¦room¦],type:¦OBJECT¦},"
        "note:{description:¦Free text¦,nullable:true,type:¦STRING¦},notify:{type:¦BOOLEAN¦},"
        "price:{type:¦NUMBER¦},tags:{items:{type:¦STRING¦},type:¦ARRAY¦},"
        "title:{description:¦Event title¦,type:¦STRING¦}},"
        "required:[¦title¦,¦duration¦],type:¦OBJECT¦}}<tool|>",
        '<|"|>',
    )


def test_tools_are_declared_as_google_prints_them_for_functiongemma() -> None:
    wifi = ToolSpec("open_wifi_settings", "Opens the Wi-Fi settings.", {"type": "object", "properties": {}})
    weather = ToolSpec(
        "get_current_weather",
        "Gets the current weather in a given location.",
        {
            "type": "object",
            "properties": {
                "location": {
                    "type": "string",
                    "description": 'The city and state, e.g. "San Francisco, CA" or "Tokyo, JP"',
                },
                "unit": {
                    "type": "string",
                    "enum": ["celsius", "fahrenheit"],
                    "description": "The unit to return the temperature in.",
                },
            },
            "required": ["location"],
        },
    )
    assert declared("functiongemma", wifi, weather) == TRIGGER + spelled(
        "<start_function_declaration>declaration:open_wifi_settings{description:¦Opens the Wi-Fi settings.¦,"
        "parameters:{type:¦OBJECT¦}}<end_function_declaration>"
        "<start_function_declaration>declaration:get_current_weather{"
        "description:¦Gets the current weather in a given location.¦,parameters:{properties:{location:{"
        'description:¦The city and state, e.g. "San Francisco, CA" or "Tokyo, JP"¦,type:¦STRING¦},'
        "unit:{description:¦The unit to return the temperature in.¦,enum:[¦celsius¦,¦fahrenheit¦],type:¦STRING¦}},"
        "required:[¦location¦],type:¦OBJECT¦}}<end_function_declaration>",
        "<escape>",
    )


def test_functiongemma_is_told_an_empty_description() -> None:
    assert parameter({"type": "string"}, "functiongemma") == "{description:¦¦,type:¦STRING¦}"


@pytest.mark.parametrize("notation", ["gemma4", "functiongemma"])
def test_without_tools_nothing_is_declared(notation: str) -> None:
    assert declared(notation) == ""


PUT_RIGHT: dict[str, tuple[dict[str, Any], str]] = {
    "null-in-a-list-of-types": ({"type": ["string", "null"]}, "{nullable:true,type:¦STRING¦}"),
    "null-as-a-branch": (
        {"anyOf": [{"type": "integer", "description": "N"}, {"type": "null"}], "default": None, "title": "X"},
        "{description:¦N¦,nullable:true,type:¦INTEGER¦}",
    ),
    "null-among-choices": ({"enum": ["a", None]}, "{enum:[¦a¦],nullable:true,type:¦STRING¦}"),
    "union": (
        {"description": "D", "anyOf": [{"type": "integer"}, {"type": "string"}]},
        "{description:¦D (integer | string)¦,type:¦STRING¦}",
    ),
    "union-of-numbers": (
        {"type": ["integer", "number"]},
        "{description:¦(integer | number)¦,type:¦NUMBER¦}",
    ),
    "union-of-constants": ({"oneOf": [{"const": "a"}, {"const": "b"}]}, "{enum:[¦a¦,¦b¦],type:¦STRING¦}"),
    "union-in-a-union": (
        {"anyOf": [{"anyOf": [{"type": "boolean"}, {"type": "null"}]}]},
        "{nullable:true,type:¦BOOLEAN¦}",
    ),
    "constant": ({"const": "a"}, "{enum:[¦a¦],type:¦STRING¦}"),
    "choices-that-are-no-texts": (
        {"type": "integer", "enum": [1, 2], "description": "Level"},
        "{description:¦Level (one of 1, 2)¦,type:¦INTEGER¦}",
    ),
    "choices-without-a-type": ({"enum": [1, 2.5]}, "{description:¦(one of 1, 2.5)¦,type:¦NUMBER¦}"),
    "default": ({"type": "number", "default": 1.5}, "{description:¦(default 1.5)¦,type:¦NUMBER¦}"),
    "bounds": ({"type": "integer", "minimum": 1, "maximum": 9}, "{description:¦(1 to 9)¦,type:¦INTEGER¦}"),
    "pattern-and-format": (
        {"type": "string", "pattern": "^(a)$", "format": "date"},
        "{description:¦(like ^(a)$, format date)¦,type:¦STRING¦}",
    ),
    "no-type": ({}, "{type:¦STRING¦}"),
    "object-without-its-type": (
        {"properties": {"a": {"type": "string"}}},
        "{properties:{a:{type:¦STRING¦}},type:¦OBJECT¦}",
    ),
    "array-without-its-type": ({"items": {"type": "string"}}, "{items:{type:¦STRING¦},type:¦ARRAY¦}"),
    "object-with-any-keys": (
        {"type": "object", "additionalProperties": {"type": "integer"}},
        "{description:¦(any keys, values: integer)¦,properties:{},type:¦OBJECT¦}",
    ),
    "items-keep-what-they-have-a-place-for": (
        {"type": "array", "items": {"type": ["integer", "null"], "enum": [1, 2], "minimum": 1}},
        "{items:{enum:[1,2],minimum:1,nullable:true,type:¦INTEGER¦},type:¦ARRAY¦}",
    ),
    "all-of": (
        {"allOf": [{"type": "string", "description": "A"}, {"enum": ["x"]}]},
        "{description:¦A¦,enum:[¦x¦],type:¦STRING¦}",
    ),
}


@pytest.mark.parametrize(("schema", "expected"), PUT_RIGHT.values(), ids=PUT_RIGHT)
def test_what_the_template_loses_is_put_right(schema: dict[str, Any], expected: str) -> None:
    assert parameter(schema) == expected


@pytest.mark.parametrize("name", ["description", "type", "properties", "required", "nullable"])
def test_parameter_named_like_a_keyword_is_kept(name: str) -> None:
    spec = ToolSpec("f", "F.", {"type": "object", "properties": {name: {"type": "integer"}}})
    assert f'properties:{{{name}:{{type:<|"|>INTEGER<|"|>}}}}' in declared("gemma4", spec)


def test_schema_that_holds_itself_ends() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}, "v": {"type": "integer"}}}
    found = parameter({"$ref": "#/$defs/Node"}, defs={"Node": node})
    assert found == "{properties:{next:{type:¦STRING¦},v:{type:¦INTEGER¦}},type:¦OBJECT¦}"


def test_what_may_be_left_out_and_null_is_nullable() -> None:
    assert "nullable:true" in parameter({"anyOf": [{"type": "string"}, {"type": "null"}]})


def test_examples_stand_in_front_of_the_declarations() -> None:
    example = {"user": "The weather in Paris?", "args": {"city": "Paris"}}
    city = {"type": "object", "properties": {"city": {"type": "string"}}}
    specs = [ToolSpec(f"tool_{count}", "T.", city, examples=(example, example)) for count in range(7)]
    for notation, call in {
        "gemma4": '<|tool_call>call:tool_0{city:<|"|>Paris<|"|>}<tool_call|>',
        "functiongemma": "<start_function_call>call:tool_0{city:<escape>Paris<escape>}<end_function_call>",
    }.items():
        lines = declared(notation, *specs).split("\n")
        assert lines[0] == f'Example: to "The weather in Paris?" you write {call}'
        assert len(lines) == 6
        assert lines[5].startswith(("<|tool>declaration:tool_0{", f"{TRIGGER}<start_function_declaration>"))


@pytest.mark.parametrize("notation", ["functiongemma", "gemma4"])
def test_what_a_person_says_in_an_example_is_shown_as_it_stands(notation: str) -> None:
    spec = ToolSpec("now", "The time.", examples=({"user": "say {call} and {tools}", "args": {}},))
    assert 'to "say {call} and {tools}" you write' in declared(notation, spec)
