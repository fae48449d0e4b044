"""The JSON Schema of a whole reply: calls or an answer, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.grammar.calls import Choice
from gemmagraph.prompts.grammar.reply import reply_schema, unwrapped
from gemmagraph.prompts.messages import ToolSpec
from gemmagraph.prompts.notation import notation_named, read
from gemmagraph.prompts.toolset import Toolset

NODE = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "$ref": {"$ref": "#/$defs/node"}},
    "required": ["id"],
    "additionalProperties": False,
}
TOOLS = Toolset(
    [
        ToolSpec(
            "get_weather",
            "",
            {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer", "nullable": True}},
                "required": ["city"],
            },
        ),
        ToolSpec(
            "walk", "", {"type": "object", "properties": {"node": {"$ref": "#/$defs/node"}}, "$defs": {"node": NODE}}
        ),
        ToolSpec("now"),
    ]
)
WEATHER = {"name": "get_weather", "arguments": {"city": "Oslo", "days": None}}
WALK = {"name": "walk", "arguments": {"node": {"id": 1, "$ref": {"id": 2}}}}
ANSWER = {"answer": "It is sunny."}


def allows(value: Any, choice: Choice, **options: Any) -> bool:
    schema = reply_schema(TOOLS, choice, **options)
    jsonschema.Draft202012Validator.check_schema(schema)
    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


@pytest.mark.parametrize(
    ("value", "choices"),
    [
        (WEATHER, {"auto", "required"}),
        (WALK, {"auto", "required"}),
        ({"name": "now", "arguments": {}}, {"auto", "required"}),
        ([WEATHER, WALK], {"auto", "required"}),
        (ANSWER, {"auto", "none"}),
        ([], set()),
        ([ANSWER], set()),
        ({}, set()),
        ({"name": "now"}, set()),
        ({"name": "later", "arguments": {}}, set()),
        ({"name": "now", "arguments": {"k": 1}}, set()),
        ({"name": "get_weather", "arguments": {"city": "Oslo", "unit": "c"}}, set()),
        ({"name": "walk", "arguments": {"node": {"id": 1, "$ref": {"id": "x"}}}}, set()),
        ({**WEATHER, **ANSWER}, set()),
        ("It is sunny.", set()),
    ],
)
def test_a_reply_is_calls_or_an_answer(value: Any, choices: set[str]) -> None:
    assert {choice for choice in ("auto", "required", "none") if allows(value, choice)} == choices


def test_one_call_or_one_tool_may_be_asked_for() -> None:
    assert not allows([WEATHER], "required", several=False)
    assert allows(WEATHER, "required", several=False)
    assert allows(WALK, "required", tool="walk")
    assert not allows(WEATHER, "required", tool="walk")


@pytest.mark.parametrize("calls", [[WEATHER], [WEATHER, WALK]])
def test_calls_are_read_as_json(calls: list[Any]) -> None:
    text = json.dumps(calls if len(calls) > 1 else calls[0])
    reply = unwrapped(read(notation_named("json"), text, TOOLS))
    assert [{"name": call.name, "arguments": call.arguments} for call in reply.calls] == calls
    assert not reply.bad_calls


def test_an_answer_is_taken_out_of_its_object() -> None:
    reply = unwrapped(read(notation_named("json"), json.dumps(ANSWER), TOOLS))
    assert (reply.text, reply.calls, reply.raw) == ("It is sunny.", (), json.dumps(ANSWER))
    for text in ("plain words", '{"answer": 5}', '{"answer": "a", "b": 1}', "[" * 5000):
        assert unwrapped(read(notation_named("json"), text, TOOLS)).text == text


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(NotationError, match="'later'"):
        reply_schema(TOOLS, "required", tool="later")
    with pytest.raises(NotationError, match="no tool"):
        reply_schema([], "required")
    assert reply_schema([]) == reply_schema(TOOLS, "none")


def test_a_server_is_asked_only_for_formats_that_others_know() -> None:
    formats = ("date", "date-time-or-local", "time-local")
    properties = {name: {"type": "string", "format": name} for name in formats}
    schema = reply_schema(
        [ToolSpec("f", "", {"type": "object", "properties": properties})], "required", several=False
    )
    asked = schema["properties"]["arguments"]["properties"]
    assert [found.get("format") for found in asked.values()] == ["date", "date-time", None]


def test_a_schema_with_an_address_of_its_own_refers_to_itself_where_it_stands() -> None:
    tree = {
        "$id": "https://example.org/tree",
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#"}}},
        "additionalProperties": False,
    }
    validator = jsonschema.Draft202012Validator(reply_schema([ToolSpec("f", "", tree)], "required", several=False))
    assert validator.is_valid({"name": "f", "arguments": {"children": [{"children": []}]}})
    assert not validator.is_valid({"name": "f", "arguments": {"children": [{"child": []}]}})
