"""Whole prompts of the families with a notation of their own: FunctionGemma and Gemma 4."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.messages import Text, Thought, ToolCall, ToolResult, ToolSpec, Turn
from gemmagraph.prompts.notation import notation_named
from gemmagraph.prompts.prompt import PromptWriter, Transcript
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.turns import FUNCTIONGEMMA, GEMMA, GEMMA4, TurnFormat, turn_format

NATIVE = ("functiongemma", "gemma4")
each_native = pytest.mark.parametrize("notation", NATIVE)
PROMPTED = ("function_call", "json", "tool_code", "pythonic")
WEATHER = Toolset(
    [
        ToolSpec(
            "get_weather",
            "The weather in a city.",
            {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        )
    ]
)
NO_TOOLS = Toolset()
PARIS = ToolCall("1", "get_weather", {"city": "Paris"})


def user(text: str) -> Turn:
    return Turn("user", (Text(text),))


def system(text: str) -> Turn:
    return Turn("system", (Text(text),))


def model(text: str, *parts: Any, raw: str | None = None) -> Turn:
    return Turn("model", (*((Text(text),) if text else ()), *parts), raw)


def result(content: Any, is_error: bool = False) -> Turn:
    return Turn("tool", (ToolResult("1", "get_weather", content, is_error),))


def written(notation: str, tools: Toolset, turns: Sequence[Turn], **options: Any) -> str:
    form = turn_format(notation) if notation in NATIVE else GEMMA4
    transcript = Transcript(PromptWriter(form, notation_named(notation), tools, **options))
    transcript.update(turns)
    return transcript.completion()


DECLARED = {
    "functiongemma": (
        "<start_function_declaration>declaration:get_weather{description:<escape>The weather in a city.<escape>,"
        "parameters:{properties:{city:{description:<escape><escape>,type:<escape>STRING<escape>}},"
        "required:[<escape>city<escape>],type:<escape>OBJECT<escape>}}<end_function_declaration>"
    ),
    "gemma4": (
        '<|tool>declaration:get_weather{description:<|"|>The weather in a city.<|"|>,'
        'parameters:{properties:{city:{type:<|"|>STRING<|"|>}},'
        'required:[<|"|>city<|"|>],type:<|"|>OBJECT<|"|>}}<tool|>'
    ),
}
TRIGGER = "You are a model that can do function calling with the following functions"

TALK = [
    system("It is Monday."),
    user("Is it raining in Paris?"),
    model("", PARIS),
    result({"sky": "rain", "temp": 15}),
    model("Yes."),
    user("And now?"),
    model("I look.", PARIS),
    result("no city", is_error=True),
]
GOLDEN = {
    "functiongemma": (
        f"<bos><start_of_turn>developer\nIt is Monday.\n{TRIGGER}{DECLARED['functiongemma']}<end_of_turn>\n"
        "<start_of_turn>user\nIs it raining in Paris?<end_of_turn>\n"
        "<start_of_turn>model\n<start_function_call>call:get_weather{city:<escape>Paris<escape>}<end_function_call>"
        "<start_function_response>response:get_weather{sky:<escape>rain<escape>,temp:15}<end_function_response>"
        "Yes.<end_of_turn>\n"
        "<start_of_turn>user\nAnd now?<end_of_turn>\n"
        "<start_of_turn>model\n"
        "I look.<start_function_call>call:get_weather{city:<escape>Paris<escape>}<end_function_call>"
        "<start_function_response>response:get_weather{error:<escape>no city<escape>}<end_function_response>"
    ),
    "gemma4": (
        f"<bos><|turn>system\nIt is Monday.{DECLARED['gemma4']}<turn|>\n"
        "<|turn>user\nIs it raining in Paris?<turn|>\n"
        '<|turn>model\n<|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|>'
        '<|tool_response>response:get_weather{sky:<|"|>rain<|"|>,temp:15}<tool_response|>Yes.<turn|>\n'
        "<|turn>user\nAnd now?<turn|>\n"
        '<|turn>model\nI look.<|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|>'
        '<|tool_response>response:get_weather{error:<|"|>no city<|"|>}<tool_response|>'
    ),
}


@each_native
def test_prompt_is_the_one_that_the_family_was_taught(notation: str) -> None:
    assert written(notation, WEATHER, TALK) == GOLDEN[notation]


@each_native
def test_developer_or_system_turn_is_left_out_when_there_is_nothing_to_say(notation: str) -> None:
    form = turn_format(notation)
    assert written(notation, NO_TOOLS, [user("Hi")]) == f"<bos>{form.open}user\nHi{form.close}{form.open}model\n"


def test_functiongemma_hears_its_trigger_only_with_tools() -> None:
    assert TRIGGER in written("functiongemma", WEATHER, [user("Hi")])
    assert TRIGGER not in written("functiongemma", NO_TOOLS, [system("Be brief."), user("Hi")])


def test_thinking_is_switched_on_at_the_top_of_the_system_turn() -> None:
    prompt = written("gemma4", NO_TOOLS, [system("Be brief."), user("Hi")], thinking=True, empty_thought=True)
    assert prompt == "<bos><|turn>system\n<|think|>\nBe brief.<turn|>\n<|turn>user\nHi<turn|>\n<|turn>model\n"
    assert written("gemma4", NO_TOOLS, [user("Hi")], thinking=True).startswith(
        "<bos><|turn>system\n<|think|>\n<turn|>"
    )


@pytest.mark.parametrize("notation", ["gemma4", *PROMPTED])
def test_large_gemma_4_that_is_not_to_think_is_shown_an_empty_thought(notation: str) -> None:
    prompt = written(notation, NO_TOOLS, [user("Hi")], empty_thought=True)
    assert prompt.endswith("<|turn>model\n<|channel>thought\n<channel|>")
    more = written(notation, NO_TOOLS, [user("Hi"), model("Hello."), user("Bye")], empty_thought=True)
    assert more.count("<|channel>") == 1


RAW = '<|channel>thought\nParis, then.<channel|><|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|>'


def test_thought_stays_between_the_calls_of_a_turn_and_goes_before_the_next_question() -> None:
    turns = [user("Rain?"), model("", Thought("Paris, then."), PARIS, raw=RAW), result("yes")]
    between = written("gemma4", WEATHER, turns, thinking=True)
    assert between.endswith(
        f'<|turn>model\n{RAW}<|tool_response>response:get_weather{{value:<|"|>yes<|"|>}}<tool_response|>'
    )
    later = written("gemma4", WEATHER, [*turns, model("Yes."), user("Sure?")], thinking=True)
    assert "Paris, then." not in later
    assert '<|turn>model\n<|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|><|tool_response>' in later
    assert later.endswith("<tool_response|>Yes.<turn|>\n<|turn>user\nSure?<turn|>\n<|turn>model\n")


def test_thought_that_came_apart_from_the_text_is_written_where_it_was_thought() -> None:
    turns = [user("Rain?"), model("", Thought(" Paris <turn|> "), PARIS), result("yes")]
    assert "<|turn>model\n<|channel>thought\nParis ‹turn|>\n<channel|><|tool_call>" in written(
        "gemma4", WEATHER, turns
    )


@pytest.mark.parametrize("notation", PROMPTED)
@pytest.mark.parametrize("form", [FUNCTIONGEMMA, GEMMA4], ids=["functiongemma", "gemma4"])
def test_prompted_notation_declares_in_the_turn_for_system_text(form: TurnFormat, notation: str) -> None:
    writer = PromptWriter(form, notation_named(notation), WEATHER)
    transcript = Transcript(writer)
    transcript.update([system("Be brief."), user("Rain?"), model("", PARIS), result("yes")])
    prompt = transcript.completion()
    head = f"<bos>{form.open}{form.system_role}\nBe brief.\n\n{writer.declaration}{form.close}{form.open}user\nRain?"
    assert prompt.startswith(head)
    assert prompt.count(f"{form.open}user\n") == 2, "results come from a user"
    assert prompt.endswith(f"{form.close}{form.open}model\n")


@each_native
def test_native_notation_is_refused_with_other_turns(notation: str) -> None:
    with pytest.raises(NotationError, match="control tokens"):
        PromptWriter(GEMMA, notation_named(notation), WEATHER)


@each_native
def test_native_calls_are_not_sent_as_chat_messages(notation: str) -> None:
    transcript = Transcript(PromptWriter(turn_format(notation), notation_named(notation), WEATHER))
    transcript.update([user("Hi")])
    with pytest.raises(NotationError, match="completes a whole prompt"):
        transcript.chat()


# A prompt goes on as it began.


def some_conversation(notation: str, chance: random.Random) -> list[Turn]:
    made = notation_named(notation)
    turns = [system("Be brief.")] if chance.random() < 0.5 else []
    for _ in range(chance.randint(1, 5)):
        turns.append(user(chance.choice(["Is it raining?", " And now? ", "a<eos>b<turn|>"])))
        while chance.random() < 0.6:
            calls = [PARIS] * chance.randint(1, 3)
            parts: list[Any] = [Thought("Paris, then.")] if notation == "gemma4" and chance.random() < 0.4 else []
            thought = "<|channel>thought\nParis, then.<channel|>" if parts else ""
            raw = chance.choice([None, f"{thought}{made.write_calls(calls)}"])
            turns.append(model("" if raw else chance.choice(["", "I look."]), *parts, *calls, raw=raw))
            said = chance.choice(["rain", {"sky": "<pad>"}, ["<|turn>", 1]])
            turns += [result(said, is_error=chance.random() < 0.2) for _ in calls]
        turns.append(model(chance.choice(["No.", " Yes.\n"])))
    return turns


def reason(before: str, now: str, form: TurnFormat, thoughts: bool) -> str:
    """Why the next prompt does not begin with the whole of the one before."""
    if now.startswith(before):
        return "as it was"
    empty = "".join(form.thought)
    if empty and before.endswith(empty) and now.startswith(before.removesuffix(empty)):
        return "the empty thought is not repeated"
    assert thoughts
    assert form.thought[0] not in now.rpartition(f"{form.open}user")[0]
    return "thoughts are dropped"


@each_native
def test_next_prompt_begins_with_the_one_before(notation: str) -> None:
    """The prompts are those with which the model is asked: before each of its turns."""
    seen: Counter[str] = Counter()
    form = turn_format(notation)
    for seed in range(200):
        chance = random.Random(seed)
        turns = some_conversation(notation, chance)
        options = {"empty_thought": notation == "gemma4" and chance.random() < 0.5}
        growing = Transcript(PromptWriter(form, notation_named(notation), WEATHER, **options))
        before, thoughts = "", False
        for count, answer in enumerate(turns):
            growing.update(turns[:count])
            if answer.role != "model":
                continue
            prompt = growing.completion()
            assert prompt == written(notation, WEATHER, turns[:count], **options), (seed, count)
            if before:
                seen[reason(before, prompt, form, thoughts)] += 1
            before = prompt
            thoughts = thoughts or any(isinstance(part, Thought) for part in answer.parts)
            if turns[count - 1].role == "user":
                thoughts = any(isinstance(part, Thought) for part in answer.parts)
            if answer.raw is not None:
                growing.update(turns[: count + 1])
                assert answer.raw in growing.completion()
    assert seen["as it was"] > 100
    if notation == "gemma4":
        assert min(seen["the empty thought is not repeated"], seen["thoughts are dropped"]) > 20
    else:
        assert set(seen) == {"as it was"}
