"""How the native notations write calls and results."""

from __future__ import annotations

from typing import Any

import pytest

from gemmagraph.prompts.messages import ToolCall, ToolResult, ToolSpec
from gemmagraph.prompts.notation import notation_named, read
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.turns import ALL_MARKS

QUOTES = {"gemma4": '<|"|>', "functiongemma": "<escape>"}
each_notation = pytest.mark.parametrize("notation", QUOTES)
ANYTHING = Toolset([ToolSpec("f", "", {"type": "object", "additionalProperties": True})])


def call(notation: str, arguments: dict[str, Any]) -> str:
    return notation_named(notation).write_calls([ToolCall("", "f", arguments)])


def result(notation: str, content: Any, is_error: bool = False) -> str:
    return notation_named(notation).write_results([ToolResult("1", "f", content, is_error)])


def test_calls_are_written_as_the_template_of_gemma_4_does() -> None:
    arguments = {
        "tiny": 1e-07, "city": "Paris", "Days": 2, "frac": 0.5, "lst": ["a", 1, {"k": "v"}], "neg": -3,
        "none": None, "obj": {"b": 1, "a": "x"}, "ok": True,
    }  # fmt: skip
    assert call("gemma4", arguments) == (
        '<|tool_call>call:f{city:<|"|>Paris<|"|>,Days:2,frac:0.5,lst:[<|"|>a<|"|>,1,{k:<|"|>v<|"|>}],neg:-3,'
        'none:null,obj:{a:<|"|>x<|"|>,b:1},ok:true,tiny:1e-07}<tool_call|>'
    )


def test_calls_and_results_stand_side_by_side() -> None:
    notation = notation_named("functiongemma")
    calls = notation.write_calls([ToolCall("", "f", {}), ToolCall("", "g", {"a": [1, 2]})])
    assert calls == (
        "<start_function_call>call:f{}<end_function_call><start_function_call>call:g{a:[1,2]}<end_function_call>"
    )
    results = notation.write_results([ToolResult("", "f", {"sky": "sunny", "temp": 15}), ToolResult("", "g", [1])])
    assert results == (
        "<start_function_response>response:f{sky:<escape>sunny<escape>,temp:15}<end_function_response>"
        "<start_function_response>response:g{value:[1]}<end_function_response>"
    )


RESULTS: dict[str, tuple[Any, bool, str]] = {
    "mapping": ({"b": 1, "A": None}, False, "{A:null,b:1}"),
    "text": ("it is", False, "{value:¦it is¦}"),
    "json-text-stays-text": ('{"a": 1}', False, '{value:¦{"a": 1}¦}'),
    "text-that-ends-like-a-key": ("a, b:", False, "{value:¦a, b:¦}"),
    "number": (1.5, False, "{value:1.5}"),
    "nothing": (None, False, "{value:null}"),
    "error": ("no such city", True, "{error:¦no such city¦}"),
    "error-of-parts": ({"code": 5}, True, "{error:{code:5}}"),
}


@each_notation
@pytest.mark.parametrize(("content", "is_error", "expected"), RESULTS.values(), ids=RESULTS)
def test_result_is_written(notation: str, content: Any, is_error: bool, expected: str) -> None:
    assert f"response:f{expected.replace('¦', QUOTES[notation])}<" in result(notation, content, is_error)


@each_notation
@pytest.mark.parametrize("mark", sorted(ALL_MARKS | {"<unused7>"}))
def test_mark_in_an_argument_is_never_written_and_read_back(notation: str, mark: str) -> None:
    quiet = call(notation, {"a": "x", "b": {"c": "y"}})
    written = call(notation, {"a": f"x{mark}", "b": {f"c{mark}": f"{mark}{mark}y"}})
    assert all(written.count(each) <= quiet.count(each) for each in ALL_MARKS | {mark})
    (found,) = read(notation_named(notation), written, ANYTHING).calls
    assert found.arguments == {"a": f"x{mark}", "b": {f"c{mark}": f"{mark}{mark}y"}}


@each_notation
def test_keys_are_bare_where_they_can_be(notation: str) -> None:
    keys = ("city", "_x", "user.name", "x-y", "été", "$ref", "a key", "", "1st", "a:b", "@id")
    written = call(notation, dict.fromkeys(keys, 1))
    quote = QUOTES[notation]
    bare = [key for key in keys if f"{quote}{key}{quote}:1" not in written]
    assert bare == ["city", "_x", "user.name", "x-y", "été"]
