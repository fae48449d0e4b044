"""Defaults are filled in wherever the arguments lack them, and nothing of what was written is changed."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any

import pytest

from gemmagraph.prompts.messages import ToolSpec
from gemmagraph.tools import Tool, ToolContext, tool_from_schema
from gemmagraph.tools.bodies.base import Rendered
from gemmagraph.tools.defaults import Defaults

INNER = {"type": "object", "properties": {"n": {"type": "integer", "default": 1}, "s": {"type": "string"}}}
TREE = {
    "type": "object",
    "properties": {
        "next": {"$ref": "#/$defs/tree"},
        "all": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
        "n": {"default": 1},
    },
}
CASES: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "at the top": ({"a": {"default": 5}, "b": {}}, {"b": 2}, {"b": 2, "a": 5}),
    "what is given stays": ({"a": {"default": 5}}, {"a": None}, {"a": None}),
    "in an object": ({"o": INNER}, {"o": {"s": "x"}}, {"o": {"s": "x", "n": 1}}),
    "not in an object that is absent": ({"o": INNER}, {}, {}),
    "in an object that is a default": ({"o": {**INNER, "default": {}}}, {}, {"o": {"n": 1}}),
    "in a list": ({"l": {"items": INNER}}, {"l": [{"s": "x"}, {"n": 3}]}, {"l": [{"s": "x", "n": 1}, {"n": 3}]}),
    "not in what is no object": ({"o": INNER, "l": {"items": INNER}}, {"o": 3, "l": [1]}, {"o": 3, "l": [1]}),
    "deeper": ({"o": {"properties": {"p": INNER}}}, {"o": {"p": {}}}, {"o": {"p": {"n": 1}}}),
    "through a reference": ({"t": {"$ref": "#/$defs/inner"}}, {"t": {}}, {"t": {"n": 1}}),
    "in what holds itself": (
        {"t": {"$ref": "#/$defs/tree"}},
        {"t": {"next": {"next": {"n": 2}}, "all": [{}]}},
        {"t": {"next": {"next": {"n": 2}, "n": 1}, "all": [{"n": 1}], "n": 1}},
    ),
    "this or null": ({"o": {"anyOf": [INNER, {"type": "null"}]}}, {"o": {}}, {"o": {"n": 1}}),
    "null": ({"o": {"anyOf": [INNER, {"type": "null"}]}}, {"o": None}, {"o": None}),
    "one of several is not guessed": ({"o": {"anyOf": [INNER, {"type": "object"}]}}, {"o": {}}, {"o": {}}),
    "all of several": ({"o": {"allOf": [INNER]}}, {"o": {}}, {"o": {"n": 1}}),
    "a null for nothing": ({"o": {"properties": {"s": {"type": "string", "default": None}}}}, {"o": {}}, {"o": {}}),
    "a reference to nowhere": ({"o": {"$ref": "#/$defs/none"}}, {"o": {}}, {"o": {}}),
}  # fmt: skip


def schema(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "$defs": {"inner": INNER, "tree": TREE}}


@pytest.mark.parametrize("case", CASES)
def test_what_is_lacking_is_filled_in_and_what_was_written_stays(case: str) -> None:
    properties, written, filled = CASES[case]
    before = deepcopy(written)
    found = Defaults(schema(properties)).fill(written)
    assert found == filled
    assert written == before
    assert (found is written) is (filled == before)


def test_a_default_is_a_new_value_each_time() -> None:
    defaults = Defaults(schema({"l": {"default": []}, "o": {**INNER, "default": {"s": []}}}))
    first: Any = defaults.fill({})
    first["l"].append(1)
    first["o"]["s"].append(1)
    assert defaults.fill({}) == {"l": [], "o": {"s": [], "n": 1}}


class Echo:
    kind = "http"
    reads = True

    def unavailable(self) -> None: ...

    def render(self, scope: Any) -> Rendered:
        return Rendered("http", "GET", {"args": dict(scope["args"])}, scope["args"])

    async def perform(self, rendered: Rendered, context: ToolContext) -> object:
        return rendered.live

    async def close(self) -> None: ...


def test_a_body_a_policy_and_a_function_see_them_and_the_record_does_not() -> None:
    parameters = {**schema({"o": INNER}), "additionalProperties": False}
    seen: list[Any] = []

    def gate(tool: Tool, arguments: Any, context: ToolContext) -> Any:
        seen.append(arguments)
        return tool.own_ruling()

    written = {"o": {"s": "x"}}
    declared = Tool(ToolSpec("look", "Looks.", parameters), lambda: None, body=Echo(), gate=gate)
    declared.ruling(written, ToolContext())
    assert seen == [{"o": {"s": "x", "n": 1}}]
    assert asyncio.run(declared.run(written)).content == {"o": {"s": "x", "n": 1}}
    function = tool_from_schema("look", "Looks.", parameters, lambda o=None: o)
    assert asyncio.run(function.run(written)).content == {"s": "x", "n": 1}
    assert written == {"o": {"s": "x"}}
