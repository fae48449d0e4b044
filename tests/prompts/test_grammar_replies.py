"""What a grammar lets a whole reply be: thoughts, an answer, calls."""

from __future__ import annotations

import pytest
from grammars import NATIVE, NOTATIONS, PROMPTED, TOOLS, answers, each_notation, matcher, written

from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.grammar.calls import grammar
from gemmagraph.prompts.messages import ToolSpec


@each_notation
def test_choice_decides_between_an_answer_and_calls(notation: str) -> None:
    weather, both = ("get_weather", {"city": "Oslo"}), ("get_time", {})
    one, two = written(notation, weather), written(notation, weather, both)
    gap = "" if notation in NATIVE else "\n"
    answer = "It is `sunny` at 10:30 (see [1]).\n\n- a: b < c\n\n```python\nx = {1: 2}\n```"
    expected = {
        "auto": {
            answer: True,
            one: True,
            two: True,
            f"Let me see.{gap}{two}": True,
            "": False,
            f"{two}\n{answer}": False,
        },
        "required": {answer: False, one: True, two: True, f"Let me see.{gap}{two}": False},
        "none": {answer: True, one: False, two: False, f"Let me see.{gap}{two}": False, "": False},
    }
    for choice, texts in expected.items():
        accepted = answers(notation, choice)
        assert {text: accepted.accepts(text) for text in texts} == texts
    single = matcher(notation, TOOLS, "auto", several=False)
    assert [single.accepts(text) for text in (answer, one, two)] == [True, True, False]
    named = matcher(notation, TOOLS, "required", tool="get_time")
    assert [named.accepts(written(notation, call)) for call in (weather, both)] == [False, True]


@pytest.mark.parametrize(
    "text",
    [
        "FUNCTION_CALL: get_time()",
        "so: function calls : get_time()",
        "**Tool call**: x",
        "<tool_call>",
        "</TOOL_CALLS><tool_calls>",
        "```tool_code\nget_time()",
        "~~~~ tool_call",
        "a\n```tool\n",
        "<|tool_call>call:get_time{}",
        "<start_function_call>",
        "<eos>",
        "a<end_of_turn>b",
        "<unused12>",
    ],
)
@each_notation
def test_an_answer_cannot_begin_a_call(notation: str, text: str) -> None:
    for choice in ("auto", "none"):
        assert not answers(notation, choice).accepts(f"Well, {text}!")


@pytest.mark.parametrize(
    "text",
    ['{"name": "x"}', " [get_time()]", "get_time()", "[{'function_name': 1}]", '{\n"tool": 1', '\u3000{"name"'],
)
@pytest.mark.parametrize("notation", PROMPTED)
def test_an_answer_is_no_bare_call(notation: str, text: str) -> None:
    accepted = answers(notation, "none")
    assert not accepted.accepts(text)
    assert not accepted.accepts(f"Yes.\n{text}") or text == "get_time()"
    assert not accepted.accepts(f"\x1f{text}")
    assert accepted.accepts(f"Yes: {text}")


def test_marks_are_tokens_that_a_server_must_preserve() -> None:
    found = {notation: grammar(notation, TOOLS).preserved_tokens for notation in NOTATIONS}
    assert found == {
        **dict.fromkeys(PROMPTED, ()),
        "gemma4": ("<|tool_call>", "<tool_call|>", '<|"|>'),
        "functiongemma": ("<start_function_call>", "<end_function_call>", "<escape>"),
    }
    for notation, marks in found.items():
        text = grammar(notation, TOOLS).gbnf
        assert all(f" {mark}" in text for mark in marks)
        assert not any(end in text for end in ("<eos>", "<turn|>", "<end_of_turn>", "<|tool_response>"))
        assert grammar(notation, TOOLS, "none").preserved_tokens == ()


@each_notation
def test_without_tools_there_is_only_an_answer(notation: str) -> None:
    assert grammar(notation, []) == grammar(notation, TOOLS, "none")
    with pytest.raises(NotationError, match="no tool can be called"):
        grammar(notation, [], "required")


@each_notation
def test_a_tool_that_no_arguments_fit_is_not_called(notation: str) -> None:
    never = ToolSpec("never", "", {"type": "object", "properties": {"k": {"enum": []}}, "required": ["k"]})
    assert grammar(notation, [never, *TOOLS], "required") == grammar(notation, TOOLS, "required")
    with pytest.raises(NotationError, match="no tool can be called"):
        grammar(notation, [never], "required")


THOUGHT = "<|channel>thought\nIs it `get_time()`?\nNo: FUNCTION_CALL: get_weather\n<channel|>"


@pytest.mark.parametrize("notation", [*PROMPTED, "gemma4"])
def test_a_thought_may_stand_in_front_where_thoughts_are_asked_for(notation: str) -> None:
    call = written(notation, ("get_weather", {"city": "Oslo"}))
    for choice, said in (("required", call), ("auto", call), ("auto", "It is sunny."), ("none", "It is sunny.")):
        thinking = matcher(notation, TOOLS, choice, thoughts=True)
        for right in (said, THOUGHT + said, "<|channel>thought\n<channel|>" + said):
            assert thinking.accepts(right), right
        for wrong in (
            THOUGHT,
            THOUGHT + THOUGHT + said,
            said + THOUGHT,
            THOUGHT.removesuffix("<channel|>") + said,
            THOUGHT.replace("thought", "final") + said,
            *(THOUGHT.replace("No", mark) + said for mark in ("<|tool_call>", "<eos>", "<turn|>", "<unused7>")),
        ):
            assert not thinking.accepts(wrong), wrong
        assert not answers(notation, choice).accepts(THOUGHT + said)
        assert {"<|channel>", "<channel|>"} <= {*grammar(notation, TOOLS, choice, thoughts=True).preserved_tokens}


def test_a_family_that_does_not_think_has_no_thoughts() -> None:
    with pytest.raises(NotationError, match="'functiongemma' does not think"):
        grammar("functiongemma", TOOLS, thoughts=True)
