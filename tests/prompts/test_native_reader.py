"""What is special about readers of the native notations: what they tell early, what they say of bad calls, which
replies may be replayed as they are, and native calls in replies of other families.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

from gemmagraph.prompts.messages import ToolSpec
from gemmagraph.prompts.notation import CallRead, notation_named, read
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.turns import ALL_MARKS

DATA = Path(__file__).parent.parent / "data"
CALL = '<|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|>'
FUNCTIONGEMMA_CALL = "<start_function_call>call:get_weather{city:<escape>Paris<escape>}<end_function_call>"


@functools.cache
def weather() -> Toolset:
    functions = [tool["function"] for tool in json.loads((DATA / "toolsets.json").read_text("utf-8"))["weather"]]
    return Toolset([ToolSpec(f["name"], f["description"], f["parameters"]) for f in functions])


REPLAYED = {
    "text": "It is sunny.",
    "call": CALL,
    "text-and-calls": f"I look.{CALL}{CALL}",
    "thought": f"<|channel>thought\nI need it.\n<channel|>{CALL}",
    "empty-thought": f"<|channel>thought\n<channel|>{CALL}",
    "json-texts": '<|tool_call>call:get_weather{"city":"Paris"}<tool_call|>',
    "bad-arguments": "<|tool_call>call:get_weather{days:3}<tool_call|>",
}
NOT_REPLAYED = {
    "no-closing-mark": CALL.removesuffix("<tool_call|>"),
    "no-opening-mark": CALL.removeprefix("<|tool_call>"),
    "cut-call": CALL[:40],
    "no-delimiters": "<|tool_call>call:get_weather{city:Paris}<tool_call|>",
    "equals-sign": '<|tool_call>call:get_weather{city=<|"|>Paris<|"|>}<tool_call|>',
    "made-up-namespace": CALL.replace("get_", "google:get_"),
    "open-thought": f"<|channel>thought\nI need it.{CALL}",
    "stray-mark": "It is sunny.<channel|>",
    "response-behind": f"{CALL}<|tool_response>response:get_weather{{}}<tool_response|>",
    "turn-end-behind": f"{CALL}<turn|>\n",
}


@pytest.mark.parametrize("output", REPLAYED.values(), ids=REPLAYED)
def test_reply_that_can_stand_in_a_prompt_is_not_called_repaired(output: str) -> None:
    assert not read(notation_named("gemma4"), output, weather()).repaired


@pytest.mark.parametrize("output", NOT_REPLAYED.values(), ids=NOT_REPLAYED)
def test_reply_that_can_not_stand_in_a_prompt_is_called_repaired(output: str) -> None:
    assert read(notation_named("gemma4"), output, weather()).repaired


@pytest.mark.parametrize("notation", ["gemma4", "functiongemma"])
def test_example_in_a_message_holds_no_marks_and_can_be_read(notation: str) -> None:
    made = notation_named(notation)
    opening = made.write_calls([])  # "" for no calls
    assert opening == ""
    call = CALL if notation == "gemma4" else FUNCTIONGEMMA_CALL
    (bad,) = read(made, call.replace("city", "town"), weather()).bad_calls
    assert not any(mark in bad.message for mark in ALL_MARKS)
    example = bad.message[bad.message.index("call:get_weather{") :]
    opened, closed = call.split("call:")[0], call.rpartition("}")[2]
    (read_back,) = read(made, f"{opened}{example}{closed}", weather()).calls
    assert read_back.name == "get_weather"


@pytest.mark.parametrize("notation", ["function_call", "json", "tool_code", "pythonic"])
@pytest.mark.parametrize("call", [CALL, FUNCTIONGEMMA_CALL], ids=["gemma4", "functiongemma"])
def test_prompted_notation_reads_a_native_call(notation: str, call: str) -> None:
    reply = read(notation_named(notation), f"I look it up.\n{call}", weather())
    assert [(found.name, dict(found.arguments)) for found in reply.calls] == [("get_weather", {"city": "Paris"})]
    assert (reply.text, reply.bad_calls) == ("I look it up.", ())


@pytest.mark.parametrize("notation", ["function_call", "json", "tool_code", "pythonic"])
def test_prompted_notation_takes_a_native_call_in_a_sentence_for_talk(notation: str) -> None:
    text = f"A call such as {CALL} fetches the weather."
    reply = read(notation_named(notation), text, weather())
    assert (reply.calls, reply.bad_calls, reply.text) == ((), (), text)


def test_call_is_told_with_its_closing_mark() -> None:
    reader = notation_named("gemma4").reader(weather())
    told = [any(isinstance(event, CallRead) for event in reader.feed(char)) for char in f"{CALL}{CALL}"]
    assert [place for place, call in enumerate(told) if call] == [len(CALL) - 1, 2 * len(CALL) - 1]


def test_open_text_waits_for_the_end_and_loses_nothing() -> None:
    """A missing delimiter can only be told from a closing mark inside a text once nothing more comes."""
    output = CALL.replace('Paris<|"|>', "Paris") + " One moment.\nFUNCTION_CALL: get_time(city='Rome')\nThen more."
    reader = notation_named("gemma4").reader(weather())
    assert not any(isinstance(event, CallRead) for char in output for event in reader.feed(char))
    events, reply = reader.close()
    assert [call.name for call in reply.calls] == ["get_weather", "get_time"]
    assert reply.text.split() == ["One", "moment.", "Then", "more."]
    assert events


TEXTS = (
    "a",
    "ls -la",
    "f(a, {b: 1})",
    "}}",
    "{{",
    'it\'s "q"',
    "a,b",
    "https://e.org/?q=1,2",
    "one\ntwo",
    "",
    "1",
    "x}",
)


def write_file_spelled(arguments: dict[str, object]) -> list[str]:
    """A call as its marks, delimiters, brackets, signs, and what stands between them."""
    pieces = ["<|tool_call>", "call:write_file", "{"]
    for key, value in arguments.items():
        pieces += [key, ":", *(('<|"|>', value, '<|"|>') if isinstance(value, str) else (json.dumps(value),)), ","]
    return [*pieces[:-1], "}", "<tool_call|>"]


def test_call_that_lacks_one_sign_is_read_as_meant_or_refused() -> None:
    """Nothing is ever cut off from an argument, or added to it."""
    text = {"type": "string"}
    schema = {"type": "object", "properties": {"path": text, "text": text, "lines": {"type": "integer"}}}
    tools = Toolset([ToolSpec("write_file", "", {**schema, "additionalProperties": False})])
    read_all_the_same = 0
    for path in TEXTS:
        for content in TEXTS:
            arguments = {"path": path, "lines": 12, "text": content}
            pieces = write_file_spelled(arguments)
            for place, piece in enumerate(pieces):
                if piece in ("{", "}", ":", ",", '<|"|>', "<tool_call|>"):
                    for instead in ("", piece * 2):
                        output = "".join([*pieces[:place], instead, *pieces[place + 1 :]])
                        calls = read(notation_named("gemma4"), output, tools).calls
                        assert [dict(call.arguments) for call in calls] in ([], [arguments]), output
                        read_all_the_same += len(calls)
    assert read_all_the_same > 1000
