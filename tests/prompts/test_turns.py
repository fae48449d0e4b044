"""The turn formats agree with what Google publishes for each generation.

Prompts put together from them are compared with the published chat template in `test_prompt.py`.
"""

from __future__ import annotations

import re

import pytest

from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.turns import ALL_MARKS, FUNCTIONGEMMA, GEMMA, GEMMA4, TurnFormat, turn_format

FORMATS = (GEMMA, FUNCTIONGEMMA, GEMMA4)
each_format = pytest.mark.parametrize("form", FORMATS, ids=[form.name for form in FORMATS])


def turn(form: TurnFormat, role: str, text: str) -> str:
    return f"{form.open}{role}\n{text}{form.close}"


@pytest.mark.parametrize(
    ("form", "prompt"),
    [
        (GEMMA, "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n"),
        (FUNCTIONGEMMA, "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n"),
        (GEMMA4, "<bos><|turn>user\nHi<turn|>\n<|turn>model\n"),
    ],
    ids=["gemma", "functiongemma", "gemma4"],
)
def test_turns_are_spelled_as_each_generation_spells_them(form: TurnFormat, prompt: str) -> None:
    assert form.bos + turn(form, "user", "Hi") + f"{form.open}model\n" == prompt


def test_system_text_has_a_turn_where_the_model_was_taught_one() -> None:
    roles = {form.name: form.system_role for form in FORMATS}
    assert roles == {"gemma": "", "functiongemma": "developer", "gemma4": "system"}


@pytest.mark.parametrize(
    ("form", "stops"),
    [
        (GEMMA, {"<end_of_turn>"}),
        (FUNCTIONGEMMA, {"<end_of_turn>", "<start_function_response>"}),
        (GEMMA4, {"<turn|>", "<|tool_response>"}),
    ],
    ids=["gemma", "functiongemma", "gemma4"],
)
def test_model_is_stopped_at_the_end_of_its_turn_and_before_it_makes_up_a_result(
    form: TurnFormat, stops: set[str]
) -> None:
    assert stops <= set(form.stops)


@each_format
def test_whatever_the_format_writes_or_stops_at_may_stand_in_no_foreign_text(form: TurnFormat) -> None:
    written = {form.bos, form.open, form.close.strip(), *form.stops}
    assert written <= form.marks <= ALL_MARKS


@each_format
def test_no_mark_can_hide_in_another_or_form_anew(form: TurnFormat) -> None:
    """What `Defuser` relies on."""
    for mark in form.marks:
        assert re.fullmatch(r"<[^<\s]+>", mark), mark


@each_format
def test_format_is_found_by_its_name(form: TurnFormat) -> None:
    assert turn_format(form.name) is form


def test_unknown_format_is_refused_with_those_there_are() -> None:
    with pytest.raises(NotationError) as refusal:
        turn_format("chatml")
    assert str(refusal.value) == "There is no turn format 'chatml'. Known are: gemma, functiongemma, gemma4."
