"""The work of reading grows with the length of the text and no faster, whatever the text is."""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from gemmagraph.prompts.messages import Reply, ToolCall, ToolSpec
from gemmagraph.prompts.notation import notation_named
from gemmagraph.prompts.toolset import Toolset

DATA = Path(__file__).parent.parent / "data"
NOTATIONS = ("function_call", "json", "tool_code", "pythonic", "gemma4", "functiongemma")
each_notation = pytest.mark.parametrize("notation", NOTATIONS)


@functools.cache
def toolset(key: str) -> Toolset:
    functions = [tool["function"] for tool in json.loads((DATA / "toolsets.json").read_text("utf-8"))[key]]
    return Toolset([ToolSpec(f["name"], f["description"], f["parameters"]) for f in functions])


PREFIX = "FUNCTION_CALL: "
OPEN_TEXT = f'{PREFIX}get_weather(city="'
CALL = '{"name": "get_weather", "arguments": {"city": "P"}}'
SHAPES: dict[str, Callable[[int], str]] = {
    "brackets": lambda n: "[" * n,
    "open-text": lambda n: OPEN_TEXT + "x" * n,
    "closed-text": lambda n: f'{OPEN_TEXT}{"x" * n}")',
    "backticks": lambda n: "`" * n,
    "spaced-backticks": lambda n: "` " * (n // 2),
    "backtick-in-each-line": lambda n: "a ` b\n" * (n // 6),
    "runs-of-backticks": lambda n: " ".join("`" * (i % 9 + 1) for i in range(n // 6)),
    "less-than": lambda n: "<" * n,
    "spaces": lambda n: " " * n,
    "line-ends": lambda n: "\n" * n,
    "calls-in-calls": lambda n: f"{PREFIX}f(" * (n // 17),
    "prefix-lines": lambda n: f"{PREFIX}\n" * (n // 16),
    "good-calls": lambda n: f'{OPEN_TEXT}P")\n' * (n // 37),
    "deep-json": lambda n: '{"name":' * (n // 8),
    "quotes-in-text": lambda n: OPEN_TEXT + '" ' * (n // 2),
    "quotes-in-words": lambda n: OPEN_TEXT + 'a"b ' * (n // 4),
    "closers": lambda n: f"{PREFIX}f({'[' * 150}{'))' * (n // 2)}",
    "backslashes": lambda n: f'{PREFIX}f("' + "\\" * n,
    "lines-in-a-call-fence": lambda n: "```tool_code\n" + "x = 1\n" * (n // 6),
    "fences": lambda n: "```\n" * (n // 4),
    "long-comment-in-a-fence": lambda n: "```tool_code\n#" + "x" * n,
    "thoughts": lambda n: "<think>" * (n // 7),
    "prose": lambda n: "The function of tools is fun. " * (n // 30),
    "digits": lambda n: f"{PREFIX}get_weather(days={'9' * n})",
    "list-of-calls": lambda n: f"[{', '.join([CALL] * (n // 52))}]",
    "objects": lambda n: f"{CALL}\n" * (n // 51),
    "quote-lines": lambda n: "> " * (n // 2),
    "list-marks": lambda n: PREFIX + "- " * (n // 2),
    "tags": lambda n: "<tool_call>" * (n // 11),
    "prose-in-a-tag": lambda n: "<tool_call>" + "x" * n,
    "long-name": lambda n: "get_weather_" * (n // 12) + "(",
    "triple-quotes": lambda n: f'{PREFIX}f("""' + '"' * n,
    "comment": lambda n: f"{PREFIX}f(#" + "x" * n,
    "empty-texts": lambda n: PREFIX + "f(" + '"" ' * (n // 3) + ")",
    "keys": lambda n: '{"name": "f", "arguments": {' + '"a": ' * (n // 5),
    "commas": lambda n: f"{PREFIX}f(" + "," * n,
    "nulls": lambda n: "\x00" * n,
    "surrogates": lambda n: OPEN_TEXT + "\ud800" * n,
}  # fmt: skip
NATIVE_CALL = "<|tool_call>call:get_weather{"
NATIVE_TEXT = NATIVE_CALL + 'city:<|"|>'
NATIVE_SHAPES: dict[str, Callable[[int], str]] = {
    "native-open-text": lambda n: NATIVE_TEXT + "x" * n,
    "native-closed-text": lambda n: f'{NATIVE_TEXT}{"x" * n}<|"|>}}<tool_call|>',
    "native-calls": lambda n: f'{NATIVE_TEXT}P<|"|>}}<tool_call|>' * (n // 60),
    "native-calls-between-two-marks": lambda n: "<|tool_call>" + "call:f{}" * (n // 8),
    "native-marks": lambda n: "<|tool_call>" * (n // 12),
    "native-closing-marks": lambda n: "<tool_call|>" * (n // 12),
    "native-half-marks": lambda n: NATIVE_TEXT + "<|tool_" * (n // 7),
    "native-less-than": lambda n: NATIVE_TEXT + "<" * n,
    "native-delimiters": lambda n: NATIVE_TEXT + 'a <|"|> b' * (n // 9),
    "native-delimiters-and-commas": lambda n: NATIVE_CALL + 'city:<|"|>a<|"|>,' * (n // 17),
    "native-delimiters-and-keys": lambda n: NATIVE_TEXT + ', days:<|"|>a' * (n // 13),
    "native-calls-in-a-text": lambda n: NATIVE_TEXT + "}<tool_call|><|tool_call>" * (n // 25),
    "native-text-behind-an-open-one": lambda n: f"{NATIVE_TEXT}}}<tool_call|>{'call:get_time{ ' * (n // 15)}",
    "native-open-calls-on-lines": lambda n: f"{NATIVE_TEXT}}}<tool_call|>\n" * (n // 48),
    "native-bare-text": lambda n: NATIVE_CALL + "city:" + "a b " * (n // 4),
    "native-bare-commas": lambda n: f"{NATIVE_CALL}city:a{', ' * (n // 2)}}}<tool_call|>",
    "native-bare-braces": lambda n: f"{NATIVE_CALL}city:a {'}' * n}<tool_call|>",
    "native-bare-keys": lambda n: f"{NATIVE_CALL}city:a{', b' * (n // 3)}:}}<tool_call|>",
    "native-spaces": lambda n: NATIVE_CALL + " " * n,
    "native-spaces-behind-a-text": lambda n: f'{NATIVE_TEXT}a<|"|>' + " " * n,
    "native-spaces-behind-a-word": lambda n: NATIVE_CALL + "city:a" + " " * n,
    "native-spaces-behind-a-call": lambda n: NATIVE_TEXT + 'P<|"|>}' + " " * n,
    "native-spaces-in-front-of-a-name": lambda n: "<|tool_call>" + " " * n,
    "native-long-name": lambda n: "<|tool_call>call:" + "n" * n,
    "native-long-key": lambda n: NATIVE_CALL + "k" * n,
    "native-long-word": lambda n: NATIVE_CALL + "days:" + "9" * n,
    "native-brackets": lambda n: NATIVE_CALL + "city:" + "[" * n,
    "native-list": lambda n: NATIVE_CALL + "city:[" + "1," * (n // 2),
    "native-objects": lambda n: NATIVE_CALL + "city:{" + "a:1," * (n // 4),
    "native-quotes": lambda n: NATIVE_CALL + "city:" + "'a' b " * (n // 6),
    "native-backslashes": lambda n: NATIVE_CALL + 'city:"' + "\\" * n,
    "native-broken": lambda n: NATIVE_CALL + "}, " + "x" * n,
    "native-heads-on-lines": lambda n: "call:get_weather {a:}\n" * (n // 22),
}  # fmt: skip
ALL_SHAPES = SHAPES | NATIVE_SHAPES
each_shape = pytest.mark.parametrize("shape", ALL_SHAPES)


def in_fours(text: str) -> Iterator[str]:
    return (text[start : start + 4] for start in range(0, len(text), 4))


def consume(notation: str, pieces: Iterator[str]) -> Reply:
    reader = notation_named(notation).reader(toolset("weather"))
    for piece in pieces:
        reader.feed(piece)
    return reader.close()[1]


def steps(notation: str, pieces: Iterator[str]) -> int:
    """How many functions are called, those of Python included: the same on every machine."""
    count = 0

    def on_event(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(on_event)
    try:
        consume(notation, pieces)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    ("notation", "shape", "size"),
    [
        *(("function_call", shape, 2_000) for shape in SHAPES),
        *(("gemma4", shape, 2_000) for shape in NATIVE_SHAPES),
        *(
            pytest.param(notation, shape, 3_000, marks=pytest.mark.long)
            for notation in ("function_call", "gemma4", "json")
            for shape in ALL_SHAPES
        ),
    ],
)
def test_more_text_takes_no_more_steps_than_as_much_text_took_before(notation: str, shape: str, size: int) -> None:
    consume(notation, iter([ALL_SHAPES[shape](100)]))  # what is made once, is made before
    for cut in (lambda text: iter([text]), in_fours):
        short, middle, long = (steps(notation, cut(ALL_SHAPES[shape](n))) for n in (size, 2 * size, 3 * size))
        assert long - middle <= 1.25 * max(middle - short, 0) + 200, (short, middle, long)


@pytest.mark.long
@each_shape
def test_twenty_times_the_text_takes_about_twenty_times_the_work(shape: str) -> None:
    """Steps do not show how long each of them takes; a search that begins anew each time would take 400 times."""
    notation = "gemma4" if shape in NATIVE_SHAPES else "function_call"
    for cut in (lambda text: iter([text]), in_fours):
        small, large = (least_seconds(notation, ALL_SHAPES[shape](n), cut) for n in (16_000, 320_000))
        assert large <= 60 * small + 0.05, (small, large)


def least_seconds(notation: str, text: str, cut: Callable[[str], Iterator[str]]) -> float:
    found = []
    for _ in range(2):
        begun = time.process_time()
        consume(notation, cut(text))
        found.append(time.process_time() - begun)
    return min(found)


TEN_MILLION = 10_000_000


@pytest.mark.long
@each_notation
@pytest.mark.parametrize("cut", [lambda text: iter([text]), in_fours], ids=["whole", "by-4"])
def test_ten_megabytes_in_one_text_are_read(notation: str, cut: Callable[[str], Iterator[str]]) -> None:
    long = "x" * TEN_MILLION
    call = notation_named(notation).write_calls([ToolCall("", "get_weather", {"city": long})])
    reply = consume(notation, cut(call))
    assert [call.arguments["city"] == long for call in reply.calls] == [True]


@pytest.mark.long
@pytest.mark.parametrize("notation", ["function_call", "gemma4"])
@pytest.mark.parametrize("shape", ["brackets", "nulls", "less-than", "backticks", "calls-in-calls", "deep-json"])
def test_ten_megabytes_of_nonsense_are_read(notation: str, shape: str) -> None:
    reply = consume(notation, iter([SHAPES[shape](TEN_MILLION)]))
    assert not reply.calls
