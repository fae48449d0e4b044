"""Messages to the model stay short and writable whatever stands in a call or a schema, and carry a right call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gemmagraph.prompts.checking.arguments import ArgumentChecker, unknown_tool_message
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import ToolSpec

WEATHER = ToolSpec(
    "get_weather",
    parameters={
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city"],
    },
)
LONG = "x" * 10_000


def test_example_is_written_as_the_notation_writes_calls() -> None:
    def write(name: str, arguments: Mapping[str, Any]) -> str:
        return f"CALL {name} {sorted(arguments)}"

    checking = ArgumentChecker(WEATHER, write)
    assert checking.example == "CALL get_weather ['city']"
    with pytest.raises(InvalidArguments) as refusal:
        checking.check({"city": "Paris", "days": 0})
    assert refusal.value.message.endswith("Example: CALL get_weather ['city', 'days']")


def test_type_is_named_where_only_a_bound_is_declared() -> None:
    parameters = {"properties": {"n": {"allOf": [{"minimum": 5}]}}, "required": ["n"]}
    with pytest.raises(InvalidArguments, match=r'"n" was 3, expected a number of at least 5\. Example: f\(n='):
        ArgumentChecker(ToolSpec("f", "", parameters)).check({"n": 3})


def test_example_gives_way_before_the_fault_does() -> None:
    long = "y" * 100
    parameters = {"properties": {"a": {"enum": [long]}, "b": {"type": "integer"}}, "required": ["a", "b"]}
    with pytest.raises(InvalidArguments) as refusal:
        ArgumentChecker(ToolSpec("f", "", parameters)).check({"a": "x", "b": "z" * 100})
    assert len(refusal.value.message) <= 240
    assert '"a" was "x"' in refusal.value.message


@pytest.mark.parametrize("text", [LONG, "\n" * 1000, "\ud800" * 500, "a\tb\x00", "<end_of_turn>" * 100])
def test_message_is_short_and_writable_whatever_names_and_words_a_schema_has(text: str) -> None:
    part = {"type": "string", "pattern": "^" + "a" * 1000 + "$", "description": text}
    parameters = {
        "properties": {
            text: part,
            f"{text}2": {"enum": [text, text + "b", *map(str, range(1000))]},
            "n": {"enum": [[text] * 50]},
        },
        "required": [text],
    }
    checking = ArgumentChecker(ToolSpec(text, "", parameters))
    for arguments in (
        {},
        {text: 1},
        {text: text},
        {f"{text}2": "b"},
        {"n": 1},
        {f"{text}3": text},
        {text: None, "n": None},
    ):
        with pytest.raises(InvalidArguments) as refusal:
            checking.check(arguments)
        assert 0 < len(refusal.value.message) <= 240
        refusal.value.message.encode()


UNKNOWN = [
    (
        "get_wether",
        ["get_weather"],
        ["now", "get_weather"],
        '"get_wether" is not a tool, did you mean "get_weather"? Tools: now, get_weather.',
    ),
    ("x", [], ["now", "get_weather"], '"x" is not a tool. Tools: now, get_weather.'),
    ("a", ["ab", "ac", "ad"], ["ab", "ac", "ad"], '"a" is not a tool, did you mean "ab" or "ac"? Tools: ab, ac, ad.'),
    ("x", [], [], '"x" is not a tool, and there are no others. Answer in words.'),
    ("a\nb\ud800", [], ["now"], '"a\\nb\\ud800" is not a tool. Tools: now.'),
]


@pytest.mark.parametrize(("name", "near", "names", "expected"), UNKNOWN, ids=[repr(row[:2]) for row in UNKNOWN])
def test_model_is_told_that_there_is_no_such_tool(
    name: str, near: list[str], names: list[str], expected: str
) -> None:
    assert unknown_tool_message(name, near, names) == expected


def test_message_about_an_unknown_tool_is_short_whatever_the_names_are() -> None:
    many = [f"a_tool_with_a_name_{number}" for number in range(5000)]
    assert unknown_tool_message("x", [], many).endswith(" and 4991 more.")
    for name in ("x", LONG):
        for names in (many, [LONG, LONG], ["n" * 100] * 10, ["\ud800" * 100]):
            for near in ([], names[:1], names[:2]):
                assert len(unknown_tool_message(name, near, names)) <= 240
