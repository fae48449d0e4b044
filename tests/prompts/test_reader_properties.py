"""What holds for every reader and any text at all: written calls read back, cuttings do not matter, nothing raises.
That the work grows no faster than the text is in `test_reader_work.py`.
"""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gemmagraph.prompts.messages import Reply, ToolCall, ToolSpec
from gemmagraph.prompts.notation import (
    ArgumentsRead,
    CallRead,
    ReadEvent,
    TextRead,
    ThoughtRead,
    notation_named,
    read,
)
from gemmagraph.prompts.toolset import Toolset

DATA = Path(__file__).parent.parent / "data"
NATIVE = ("gemma4", "functiongemma")
NOTATIONS = ("function_call", "json", "tool_code", "pythonic", *NATIVE)
each_notation = pytest.mark.parametrize("notation", NOTATIONS)


def amounts(everyday: int, long: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "amount", [everyday, pytest.param(long, marks=pytest.mark.long)], ids=["everyday", "long"]
    )


in_bulk = pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, 201))]
)
"""200 parts of 500 made-up examples, one of them every day."""
PART = 500


def holds_for(amount: int, strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Lets Hypothesis look for an example for which `check` fails, always among the same ones."""

    def holds(example: Any) -> None:
        check(example)

    quiet = settings(
        max_examples=amount, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    quiet(given(strategy)(holds))()


@functools.cache
def cases(notation: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / notation / "cases.jsonl").read_text("utf-8").splitlines()]


@functools.cache
def toolset(key: str) -> Toolset:
    functions = [tool["function"] for tool in json.loads((DATA / "toolsets.json").read_text("utf-8"))[key]]
    return Toolset([ToolSpec(f["name"], f["description"], f["parameters"]) for f in functions])


# What is written is read back: any calls, any arguments.

NAMES = (
    "f", "get_weather", "create-pdf-file", "fs.read", "ns:tool", "a/b", "数据", "print", "none", "null", "name",
    "function", "arguments", "calls", "tool_code", "import", "json",
)  # fmt: skip
ANYTHING = Toolset([ToolSpec(name, "", {"type": "object", "additionalProperties": True}) for name in NAMES])
BITS = (
    "`", "```", "```\n", '"', "'", '"""', "\\", "\\n", "\n", "\r\n", "\u2028", "\x85", "\ufeff", "\x00", "\x1f", "é",
    "\U0001f600", "(", ")", "[", "]", "{", "}", ",", ":", "=", "#", "//", "> ", "- ", "**", "  ", "a", "1", "<", ">",
    "FUNCTION_CALL: f(", "FUNCTION_RESULT: ", '{"name": "f"', '", "k": "', '", k="', '")', '"}}', "None", "u003c",
    "<end_of_turn>", "<|turn>", "<eos>", "<unused7>", '<|"|>', "<think>", "</think>", "<|channel>", "<tool_call>",
    "</tool_call>", "name", "arguments", "city", "\\x41", "\\N{DASH}", "import os", "Q:",
    "<|tool_call>", "<tool_call|>", "<|tool_response>", "<turn|>", "<start_function_call>", "<end_function_call>",
    "<escape>", ", city:", "call:f{", "}<tool_call|>",
)  # fmt: skip

texts = st.text(max_size=10) | st.lists(st.sampled_from(BITS), max_size=6).map("".join)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars | st.integers(-(10**80), 10**80),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
calls_of_any_kind = st.lists(
    st.tuples(st.sampled_from(NAMES), st.dictionaries(texts, values, max_size=4)), min_size=1, max_size=3
)


def assert_read_back(notation: str, calls: Sequence[tuple[str, dict[str, Any]]]) -> None:
    made = notation_named(notation)
    written = made.write_calls([ToolCall("", name, arguments) for name, arguments in calls])
    reply = read(made, written, ANYTHING)
    assert reply.bad_calls == (), written
    in_order = notation not in NATIVE  # which sort the keys
    read_back = spelled(((call.name, call.arguments) for call in reply.calls), in_order)
    assert read_back == spelled(calls, in_order), written
    assert (reply.text, reply.repaired) == ("", False), written


def spelled(calls: Any, in_order: bool = True) -> list[str]:
    """As text, in which 1, 1.0 and true differ, and the order of keys counts."""
    return [json.dumps([name, dict(arguments)], sort_keys=not in_order) for name, arguments in calls]


@each_notation
@amounts(25, 1_000)
def test_written_calls_are_read_back(notation: str, amount: int) -> None:
    holds_for(amount, calls_of_any_kind, functools.partial(assert_read_back, notation))


def some_value(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.random()
    if depth < 4 and kind < 0.12:
        return [some_value(chance, depth + 1) for _ in range(chance.randint(0, 3))]
    if depth < 4 and kind < 0.24:
        return {some_text(chance): some_value(chance, depth + 1) for _ in range(chance.randint(0, 3))}
    if kind < 0.7:
        return some_text(chance)
    return chance.choice(
        [None, True, False, 0, chance.randint(-(10**20), 10**20), chance.uniform(-1e9, 1e9), 1e300, 5e-324, -0.0]
    )


def some_text(chance: random.Random) -> str:
    if chance.random() < 0.2:
        return "".join(chr(chance.choice([chance.randrange(128), chance.randrange(0xD800)])) for _ in range(5))
    return "".join(chance.choices(BITS, k=chance.randint(0, 5)))


def some_calls(notation: str, part: int) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    chance = random.Random(f"calls in {notation}, part {part}")
    for _ in range(PART):
        yield [
            (chance.choice(NAMES), {some_text(chance): some_value(chance) for _ in range(chance.randint(0, 3))})
            for _ in range(chance.randint(1, 3))
        ]


@each_notation
@in_bulk
def test_written_calls_are_read_back_in_bulk(notation: str, part: int) -> None:
    for calls in some_calls(notation, part):
        assert_read_back(notation, calls)


@each_notation
def test_call_in_the_middle_of_an_answer_is_read_back(notation: str) -> None:
    made = notation_named(notation)
    chance = random.Random(f"answers in {notation}")
    tools = toolset("files")
    for _ in range(200):
        arguments = {"path": some_text(chance), "text": some_text(chance)}
        call = made.write_calls([ToolCall("", "write_file", arguments)])
        reply = read(made, f"I do it at once.\n{call}\nThen I tell you.", tools)
        assert [dict(each.arguments) for each in reply.calls] == [arguments], call
        assert reply.text.split() == ["I", "do", "it", "at", "once.", "Then", "I", "tell", "you."], call


# However the text is cut, the reply is the same, and so is what was told on the way.


def feed(notation: str, pieces: Sequence[str], tools: Toolset) -> tuple[list[ReadEvent], Reply]:
    reader = notation_named(notation).reader(tools)
    events = [event for piece in pieces for event in reader.feed(piece)]
    last, reply = reader.close()
    return [*events, *last], reply


def joined(events: Sequence[ReadEvent]) -> list[ReadEvent]:
    """Pieces of text, of thoughts and of arguments put together where nothing stands between them. Of arguments, only
    those behind which their good call follows."""
    found: list[ReadEvent] = []
    for event in events:
        before = found[-1] if found else None
        if isinstance(event, PIECES) and isinstance(before, type(event)):
            found[-1] = type(event)(before.text + event.text)
            continue
        if isinstance(before, ArgumentsRead) and not isinstance(event, CallRead):
            found.pop()
        found.append(event)
    return found[:-1] if found and isinstance(found[-1], ArgumentsRead) else found


PIECES = (TextRead, ThoughtRead, ArgumentsRead)


def cut_at(text: str, places: Sequence[int]) -> list[str]:
    cuts = [0, *sorted(places), len(text)]
    return [text[start:end] for start, end in pairwise(cuts)]


def assert_cutting_is_the_same(notation: str, text: str, cuttings: Sequence[Sequence[str]], tools: Toolset) -> None:
    events, reply = feed(notation, [text], tools)
    assert reply.raw == text
    assert "".join(event.text for event in events if isinstance(event, TextRead)) == reply.text
    assert tuple(event.call for event in events if isinstance(event, CallRead)) == reply.calls
    for bad in reply.bad_calls:
        assert bad.raw in text
        assert 0 < len(bad.message) <= 240
    for pieces in cuttings:
        other_events, other = feed(notation, pieces, tools)
        assert other == reply, pieces
        assert repr(other) == repr(reply), pieces
        assert joined(other_events) == joined(events), pieces


@functools.cache
def fragments() -> tuple[str, ...]:
    outputs = (case["output"] for notation in NOTATIONS for case in cases(notation))
    return tuple(output for output in outputs if len(output) < 400)


MORE_BITS = (
    *BITS, "\ud800", "\udc00", "~~~", "~~~\n", "```json\n", "```tool_code\n", "```bash\n", "\n\n", "1. ", ".", "none",
    "FUNCTION_CALL:", "FUNCTION_CALL: get_weather(city=", "Function call: ", "get_weather(", "get_weather", "print(",
    "TOOL_RESULT:", '"Paris"', '{"name": "get_weather", "arguments": {"city": "Paris"}}', "it's", "text ",
    "<|channel>thought\n", "<channel|>", "<|tool_call>call:get_weather{", "<start_function_call>call:get_weather{",
    "city:", "days:3", '<|"|>Paris<|"|>', "<escape>Paris<escape>", "call:get_weather{city:", "}",
)  # fmt: skip


def some_output(chance: random.Random) -> str:
    """Pieces of what models write, put together as no model would."""
    pieces = []
    for _ in range(chance.randint(1, 12)):
        if chance.random() < 0.3:
            whole = chance.choice(fragments())
            start, end = sorted(chance.choices(range(len(whole) + 1), k=2))
            pieces.append(whole if chance.random() < 0.4 else whole[start:end])
        else:
            pieces.append(chance.choice(MORE_BITS))
    return "".join(pieces)


any_output = st.text(max_size=80) | st.lists(
    st.sampled_from(MORE_BITS) | st.deferred(lambda: st.sampled_from(fragments())) | st.text(max_size=4), max_size=10
).map("".join)


@each_notation
@amounts(25, 1_000)
def test_any_text_is_read_and_the_same_however_it_is_cut(notation: str, amount: int) -> None:
    def check(example: tuple[str, list[float]]) -> None:
        text, places = example
        pieces = cut_at(text, [int(place * len(text)) for place in places])
        assert_cutting_is_the_same(notation, text, [list(text), pieces], toolset("weather"))

    holds_for(amount, st.tuples(any_output, st.lists(st.floats(0, 1), max_size=5)), check)


@each_notation
@in_bulk
def test_any_text_is_read_and_the_same_however_it_is_cut_in_bulk(notation: str, part: int) -> None:
    chance = random.Random(f"outputs in {notation}, part {part}")
    for _ in range(PART):
        text = some_output(chance)
        size = chance.choice([1, 2, 3, 7])
        in_chunks = [text[start : start + size] for start in range(0, len(text), size)]
        pieces = cut_at(text, chance.choices(range(len(text) + 1), k=4))
        assert_cutting_is_the_same(notation, text, [in_chunks, pieces], toolset("weather"))


@pytest.mark.long
@each_notation
def test_every_prefix_of_every_case_is_read_and_the_same_however_it_is_cut(notation: str) -> None:
    for case in cases(notation):
        output = case["output"][:1000]
        for end in range(len(output) + 1):
            prefix = output[:end]
            assert_cutting_is_the_same(notation, prefix, [list(prefix)], toolset(case["tools"]))
