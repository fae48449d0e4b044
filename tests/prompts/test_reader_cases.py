"""The tables of what models write, `tests/data/<notation>/cases.jsonl`, and what readers must make of it.

A case is one JSON line: `output` (what the model wrote), `tools` (a set of `tests/data/toolsets.json`),
`stop`, and what is expected: `calls`, `text` (stripped; null for none), `errors` (`kind`, `tool`, and what the
message `says` among other things). Of text and errors, what is left out is open: there the contract allows more
than one answer. `point` says where the case is from: 13.n is a point of the readers' contract and 9.n a failure
seen in the wild, both numbered as in `docs/reading.md`; 8 is a convention, 10 a defect of other readers.
"""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gemmagraph.prompts.messages import BadCall, Reply, StopReason, ToolCall, ToolSpec
from gemmagraph.prompts.notation import BadCallRead, CallRead, ReadEvent, TextRead, notation_named, read
from gemmagraph.prompts.toolset import Toolset

DATA = Path(__file__).parent.parent / "data"
NATIVE = ("gemma4", "functiongemma")
NOTATIONS = ("function_call", "json", "tool_code", "pythonic", *NATIVE)
CHUNK_SIZES = (1, 2, 3, 5, 7, 16)
RANDOM_CUTTINGS = 5

CONTRACT = {f"13.{point}" for point in range(1, 19)}
IN_THE_WILD = {f"9.{line}" for line in (1, 2, 3, 4, 5, 8, 10, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 24, 25)}
"""The lines of section 9 that can happen to every prompted notation: 6 and 7 happen to `name(…)` alone, 9 is
native, 17 and 19 are faults of servers, 18 is point 13.5."""
IN_THE_WILD_NATIVE = IN_THE_WILD | {"9.6", "9.7", "9.9", "9.18"}

Case = dict[str, Any]


def table(notation: str) -> list[Case]:
    lines = (DATA / notation / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


TABLES = {notation: table(notation) for notation in NOTATIONS}

every_case = pytest.mark.parametrize(
    ("notation", "case"),
    [
        pytest.param(notation, case, id=f"{notation}-{case['id']}")
        for notation, cases in TABLES.items()
        for case in cases
    ],
)
POINTS = {notation: sorted({case["point"] for case in cases}) for notation, cases in TABLES.items()}
each_point = pytest.mark.parametrize(
    ("notation", "point"), [(notation, point) for notation, points in POINTS.items() for point in points]
)
"""For what is so of any text: all cases of a point in one test."""
each_notation = pytest.mark.parametrize("notation", NOTATIONS)


def cases_of(notation: str, point: str) -> list[Case]:
    return [case for case in TABLES[notation] if case["point"] == point]


@functools.cache
def toolset(key: str) -> Toolset:
    functions = [tool["function"] for tool in json.loads((DATA / "toolsets.json").read_text("utf-8"))[key]]
    return Toolset([ToolSpec(f["name"], f["description"], f["parameters"]) for f in functions])


def feed(
    notation: str, pieces: Iterable[str], tools: Toolset, stop: StopReason
) -> tuple[list[ReadEvent], list[ReadEvent], Reply]:
    """The events before the end, those at the end, and the reply."""
    reader = notation_named(notation).reader(tools)
    before = [event for piece in pieces for event in reader.feed(piece)]
    at_end, reply = reader.close(stop)
    return before, list(at_end), reply


def in_chunks(output: str, size: int) -> list[str]:
    return [output[start : start + size] for start in range(0, len(output), size)]


def cut_anywhere(output: str, chance: random.Random) -> list[str]:
    cuts = sorted(chance.choices(range(len(output) + 1), k=chance.randint(1, 8)))
    return [output[start:end] for start, end in zip([0, *cuts], [*cuts, len(output)], strict=True)]


def cuttings(output: str, seed: str) -> Iterator[list[str]]:
    for size in CHUNK_SIZES:
        yield in_chunks(output, size)
    chance = random.Random(seed)
    for _ in range(RANDOM_CUTTINGS):
        yield cut_anywhere(output, chance)


def text_of(events: Iterable[ReadEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextRead))


def calls_of(events: Iterable[ReadEvent]) -> tuple[ToolCall, ...]:
    return tuple(event.call for event in events if isinstance(event, CallRead))


def bad_calls_of(events: Iterable[ReadEvent]) -> tuple[BadCall, ...]:
    return tuple(event.bad_call for event in events if isinstance(event, BadCallRead))


def spelled(calls: Sequence[ToolCall]) -> list[str]:
    """Calls as JSON text, in which 5, 5.0 and true differ."""
    return [as_json({"name": call.name, "arguments": dict(call.arguments)}) for call in calls]


def as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)


def assert_sound(output: str, reply: Reply) -> None:
    """What holds for every reply."""
    assert reply.raw == output
    assert len({call.id for call in reply.calls}) == len(reply.calls)
    for bad in reply.bad_calls:
        assert bad.raw
        assert bad.raw in output
        assert bad.message.strip()
        assert len(bad.message) <= 240


@every_case
def test_output_is_read_as_meant(notation: str, case: Case) -> None:
    reply = read(notation_named(notation), case["output"], toolset(case["tools"]), case.get("stop", "stop"))

    assert spelled(reply.calls) == [as_json(call) for call in case["calls"]]
    if "text" in case:
        assert (reply.text.strip() or None) == case["text"]
    if "errors" in case:
        found = [{"kind": bad.kind, "tool": bad.tool} for bad in reply.bad_calls]
        assert len(found) == len(case["errors"]), found
        for bad, error in zip(reply.bad_calls, case["errors"], strict=True):
            expected = {"kind": bad.kind, "tool": bad.tool, "says": ""} | error
            assert (bad.kind, bad.tool) == (expected["kind"], expected["tool"])
            assert expected["says"] in bad.message
    assert reply.stop == case.get("stop", "stop")
    assert_sound(case["output"], reply)


@each_point
def test_every_cutting_gives_the_same_reply(notation: str, point: str) -> None:
    for case in cases_of(notation, point):
        output, tools, stop = case["output"], toolset(case["tools"]), case.get("stop", "stop")
        whole = read(notation_named(notation), output, tools, stop)

        for pieces in cuttings(output, seed=f"{notation} {case['id']}"):
            before, at_end, reply = feed(notation, pieces, tools, stop)
            events = [*before, *at_end]
            assert reply == whole, pieces
            assert spelled(reply.calls) == spelled(whole.calls), pieces
            assert text_of(events) == reply.text, pieces
            assert calls_of(events) == reply.calls, pieces
            assert bad_calls_of(events) == reply.bad_calls, pieces


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.long)], ids=["one in four", "each"])
@each_point
def test_no_prefix_gives_a_call_that_is_cut(notation: str, point: str, step: int) -> None:
    """An output may end anywhere. Then:

    - What was told before the end stands: the events of a prefix are the first events of the whole, for text,
      calls and bad calls alike.
    - At the end only calls whose own brackets are closed may be added. Every call that is complete somewhere
      in the output is in `calls`, or in `cut` where what follows takes it back (the code span or thought
      around it is closed, the sentence goes on, it is indexed like a value); a call in neither was cut.
    """
    for case in cases_of(notation, point):
        check_prefixes(notation, case, step)


def check_prefixes(notation: str, case: Case, step: int) -> None:
    output, tools = case["output"], toolset(case["tools"])
    whole = read(notation_named(notation), output, tools, case.get("stop", "stop"))
    complete = [as_json(call) for call in case["calls"]]
    taken_back = [as_json(call) for call in case.get("cut", ())]

    for end in range(0, len(output), step * max(1, len(output) // 300)):
        before, _, reply = feed(notation, [output[:end]], tools, "length")
        told = calls_of(before)
        assert told == whole.calls[: len(told)], output[:end]
        assert whole.text.startswith(text_of(before)), output[:end]
        told_bad = bad_calls_of(before)
        assert told_bad == whole.bad_calls[: len(told_bad)], output[:end]

        calls = spelled(reply.calls)
        if taken_back:
            assert set(calls) <= {*complete, *taken_back}, output[:end]
        else:
            assert calls == complete[: len(calls)], output[:end]
        assert_sound(output[:end], reply)


@each_notation
def test_spliced_outputs_are_read_however_they_are_cut(notation: str) -> None:
    chance = random.Random(f"splices of {notation}")
    for _ in range(400):
        first, second = chance.choices(TABLES[notation], k=2)
        head, tail = first["output"], second["output"]
        output = head[: chance.randint(0, len(head))] + tail[chance.randint(0, len(tail)) :]
        tools = toolset(first["tools"])

        whole = read(notation_named(notation), output, tools)
        assert_sound(output, whole)
        for pieces in (list(output), cut_anywhere(output, chance)):
            before, at_end, reply = feed(notation, pieces, tools, "stop")
            assert reply == whole, pieces
            assert text_of([*before, *at_end]) == reply.text, pieces


SOON = {
    "end-of-the-line": ("FUNCTION_CALL: now()\n", "I look at the clock."),
    "end-of-the-line-below-a-text": ('FUNCTION_CALL: remember(text="a")\nI remember it.\n', "You may ask."),
    "another-call-below-a-text": ('FUNCTION_CALL: remember(text="a")\nFUNCTION_CALL:', " now()"),
    "another-prefix-behind-a-text": ('FUNCTION_CALL: remember(text="a") FUNCTION_CALL: n', "ow()"),
    "words": ("FUNCTION_CALL: now() I look at the clock.\n", "It ticks."),
    "words-behind-a-text": ('FUNCTION_CALL: remember(text="a")' + " so" * 333 + " ", "so on"),
    "object": ('Yes.\n{"name": "now", "arguments": {}}', " I look."),
}
"""What is written up to the first moment at which the call is told, and what follows."""


@pytest.mark.parametrize(("soon", "rest"), SOON.values(), ids=SOON)
def test_call_is_told_once_nothing_can_change_it(soon: str, rest: str) -> None:
    reader = notation_named("function_call").reader(toolset("words"))
    told = [len(calls_of(reader.feed(char))) for char in soon + rest]
    assert told.index(1) == len(soon) - 1


HOSTILE = {
    "prefixes": "FUNCTION_CALL: " * 200,
    "prefix-lines": "FUNCTION_CALL:\n" * 200,
    "prefix-heads": "FUNCTION_CALL" * 200,
    "half-prefixes": "FUNCTION_ FUNCTION_CAL\n" * 100,
    "open-tags": "<tool_call>" * 200,
    "closing-tags": "</tool_call>" * 200,
    "half-tags": "<tool_<tool_call<" * 100,
    "backticks": "`" * 999,
    "growing-code-spans": " ".join("`" * length for length in range(1, 40)),
    "fences": "```\n" * 200,
    "tool-code-fences": "```tool_code\n" * 200,
    "brackets": "([{" * 400,
    "list-marks": "[f(" * 300,
    "closing-brackets": "}])" * 400,
    "quotes": "FUNCTION_CALL: f(a=" + "\"'" * 300,
    "escapes": 'FUNCTION_CALL: f(a="' + "\\" * 601,
    "commas": "FUNCTION_CALL: f(" + "," * 600,
    "keys": '{"name": "f", "arguments": {' + '"a": ' * 200,
    "json-depth": '{"name":' * 300,
    "thoughts": "<think>" * 200,
    "thought-ends": "</think><channel|>" * 100,
    "quote-lines": "> " * 400,
    "line-ends": "\r\n" * 400,
    "nulls": "\x00FUNCTION_CALL: \x00(\x00)" * 50,
    "digits": "FUNCTION_CALL: get_weather(days=" + "9" * 5000 + ")",
    "huge-exponent": "FUNCTION_CALL: get_weather(city='a', days=1e" + "9" * 50 + ")",
    "digits-in-json": '{"name": "get_weather", "arguments": {"days": ' + "9" * 5000 + "}}",
    "long-name": "FUNCTION_CALL: " + "n" * 3000 + "()",
    "long-dotted-name": "FUNCTION_CALL: " + "a." * 1500 + "get_weather()",
    "native-marks": "<|tool_call>" * 200,
    "native-marks-of-the-other-family": "<start_function_call>" * 200,
    "native-closing-marks": "<tool_call|><end_function_call>" * 100,
    "half-native-marks": "<|tool_<|tool_call" * 100,
    "native-heads": "<|tool_call>call:" * 100,
    "native-names": "<|tool_call>call:" + "n" * 3000,
    "native-calls-in-calls": "<|tool_call>call:get_weather{city:" * 100,
    "native-delimiters": "<|tool_call>call:get_weather{city:" + '<|"|>' * 301,
    "native-escapes": "<start_function_call>call:get_weather{city:" + "<escape>" * 301,
    "native-delimiters-before-commas": "<|tool_call>call:get_weather{city:" + '<|"|>,' * 300,
    "native-closing-marks-in-a-text": '<|tool_call>call:get_weather{city:<|"|>' + "}<tool_call|>" * 200,
    "native-calls-in-a-text": '<|tool_call>call:get_weather{city:<|"|>' + "}<tool_call|><|tool_call>call:f{" * 100,
    "native-bare-keys": "<|tool_call>call:get_weather{" + "a, city:" * 300,
    "native-brackets": "<|tool_call>call:get_weather{city:" + "[{a:" * 300,
    "native-quotes": "<|tool_call>call:get_weather{city:" + "\"'" * 300,
    "native-digits": '<|tool_call>call:get_weather{city:<|"|>a<|"|>,days:' + "9" * 5000 + "}<tool_call|>",
    "native-spaces": "<|tool_call>call:get_weather{city:a" + " " * 3000 + "}<tool_call|>",
    "native-lone-surrogate": '<|tool_call>call:get_time{city:<|"|>\ud800<|"|>}<tool_call|>',
    "lone-surrogate": r'{"name": "get_time", "arguments": {"city": "\ud800"}}',
}


@each_notation
@pytest.mark.parametrize("output", HOSTILE.values(), ids=HOSTILE)
def test_hostile_output_is_read(notation: str, output: str) -> None:
    """Nobody means anything by these: they must only be read, the same however they are cut."""
    tools = toolset("weather")
    whole = read(notation_named(notation), output, tools)
    assert_sound(output, whole)
    as_json(spelled(whole.calls)).encode()  # a lone surrogate could not be sent on

    for pieces in (in_chunks(output, 1), in_chunks(output, 7)):
        before, at_end, reply = feed(notation, pieces, tools, "stop")
        assert reply == whole
        assert text_of([*before, *at_end]) == reply.text


@each_notation
def test_table_covers_the_contract_and_the_failures_in_the_wild(notation: str) -> None:
    points = {case["point"] for case in TABLES[notation]}
    missing = (CONTRACT | (IN_THE_WILD_NATIVE if notation in NATIVE else IN_THE_WILD)) - points
    assert not missing, sorted(missing)


@each_notation
def test_table_is_well_formed(notation: str) -> None:
    cases = TABLES[notation]
    sets = json.loads((DATA / "toolsets.json").read_text("utf-8"))
    ids = [case["id"] for case in cases]
    assert len(ids) == len(set(ids))

    required = {"id", "point", "output", "tools", "calls"}
    allowed = {*required, "stop", "text", "errors", "cut", "note"}
    kinds = {"unterminated", "unknown_tool", "invalid_arguments", "malformed"}
    for case in cases:
        assert required <= set(case) <= allowed, case["id"]
        assert case.get("stop") in {None, "stop", "length"}, case["id"]
        text = case.get("text")
        assert text is None or text == text.strip() != "", case["id"]
        names = {tool["function"]["name"] for tool in sets[case["tools"]]}
        for call in [*case["calls"], *case.get("cut", ())]:
            assert set(call) == {"name", "arguments"}, case["id"]
            assert call["name"] in names, case["id"]
        for error in case.get("errors", ()):
            assert set(error) <= {"kind", "tool", "says"}, case["id"]
            assert error.get("kind", "malformed") in kinds, case["id"]
