"""What the model gets of what a tool returned: text or JSON, never more than the tool's ceiling."""

import asyncio
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import pathlib
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel

from gemmagraph.tools import Outcome, Tool, tool

CEILING = 200


class Color(enum.Enum):
    RED = "red"


class Shape(enum.Enum):
    LINE = (1, 0)


class Odd(enum.Enum):
    LIST = [1]  # noqa: RUF012 - a value that cannot be hashed


class Way(enum.Flag):
    IN = enum.auto()
    OUT = enum.auto()


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Point:
    x: int
    color: Color = Color.RED


class Spot(NamedTuple):
    x: int
    y: int


class Person(BaseModel):
    name: str
    born: datetime.date


class Spoken:
    def __str__(self) -> str:
        return "in words"


class Silent:
    pass


class Broken:
    def __str__(self) -> str:
        raise ValueError("no words")


class Text(str):
    """A text of a class of its own, as templating libraries make them."""


DAY = datetime.date(2026, 3, 1)


def returned(value: Any, **facts: Any) -> Outcome:
    def probe() -> Any:
        return value

    return asyncio.run(tool(probe, **facts).run({}))


# id: (returned value, what the model gets)
CONTENTS: dict[str, tuple[Any, Any]] = {
    "text": ("hello", "hello"),
    "empty-text": ("", ""),
    "text-of-own-class": (Text("hello"), "hello"),
    "text-in-german": ("Größe", "Größe"),
    "surrogate": ("name-\udcff.txt", "name-?.txt"),
    "none": (None, None),
    "bool": (True, True),
    "int": (3, 3),
    "float": (2.5, 2.5),
    "beyond-64-bits": (2**100, 2**100),
    "huge-integer": (1 << 20_000, "an integer of 20,001 bits, too long to write out"),
    "nan": (float("nan"), "nan"),
    "infinity-inside": ([float("-inf")], ["-inf"]),
    "list": ([1, "a", None], [1, "a", None]),
    "dict": ({"a": {"b": [1]}}, {"a": {"b": [1]}}),
    "tuple": ((1, 2), [1, 2]),
    "set": ({3}, [3]),
    "range": (range(3), [0, 1, 2]),
    "deque": (collections.deque([1]), [1]),
    "dict-views": ([{"a": 1}.keys(), {"a": 1}.values()], [["a"], [1]]),
    "other-keys": (
        {1: "a", None: "b", Color.RED: "c", (1, 2): "d", DAY: "e"},
        {"1": "a", "null": "b", "red": "c", "[1, 2]": "d", "2026-03-01": "e"},
    ),
    "enum": (Color.RED, "red"),
    "enum-by-name": ([Shape.LINE], ["LINE"]),
    "enum-of-list": (Odd.LIST, "LIST"),
    "flags": (Way.IN | Way.OUT, 3),
    "int-enum": (Level.LOW, 1),
    "datetime": (datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC), "2026-03-01T12:00:00+00:00"),
    "date": (DAY, "2026-03-01"),
    "time": (datetime.time(12, 30), "12:30:00"),
    "timedelta": (datetime.timedelta(seconds=90), "0:01:30"),
    "decimal": (decimal.Decimal("0.10"), "0.10"),
    "fraction": (fractions.Fraction(1, 2), 0.5),
    "uuid": (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "path": ([pathlib.Path("/a")], ["/a"]),
    "dataclass": (Point(1), {"x": 1, "color": "red"}),
    "named-tuple": (Spot(1, 2), {"x": 1, "y": 2}),
    "model": (Person(name="Ann", born=DAY), {"name": "Ann", "born": "2026-03-01"}),
    "models-inside": ({"p": [Person(name="Ann", born=DAY)]}, {"p": [{"name": "Ann", "born": "2026-03-01"}]}),
    "bytes-of-text": ("Größe".encode(), "Größe"),
    "bytes": (b"\x89PNG\xff\x00", "6 bytes of binary data, not shown."),
    "bytes-with-nul": (b"a\0b", "3 bytes of binary data, not shown."),
    "bytearray": (bytearray(b"abc"), "abc"),
    "memoryview": (memoryview(b"abc"), "abc"),
    "bytes-inside": ([b"abc", b"\xff"], ["abc", "1 bytes of binary data, not shown."]),
    "object-with-words": (Spoken(), "in words"),
    "object-inside": ([Spoken()], ["in words"]),
    "exception": (ValueError("wrong"), "wrong"),
}


@pytest.mark.parametrize(("value", "content"), CONTENTS.values(), ids=CONTENTS)
def test_value_becomes_text_or_json(value: Any, content: Any) -> None:
    outcome = returned(value)

    assert outcome.status == "ok", outcome.error
    assert outcome.content == content
    assert type(outcome.content) is type(content)
    json.dumps(outcome.content)


def circle() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


def numbers() -> Iterator[int]:
    yield 1


UNSHOWABLE: dict[str, tuple[Any, str]] = {
    "object": (Silent(), "Silent"),
    "object-inside": ({"a": [Silent()]}, "Silent"),
    "generator": (numbers(), "generator"),
    "lazy-map": (map(str, [1]), "map"),
    "function": (numbers, "function"),
    "circle": (circle(), "contains itself"),
    "str-that-fails": (Broken(), "no words"),
}


@pytest.mark.parametrize(("value", "reason"), UNSHOWABLE.values(), ids=UNSHOWABLE)
def test_value_without_a_text_is_a_bug_told_to_the_developer(value: Any, reason: str) -> None:
    outcome = returned(value)

    assert (outcome.status, outcome.content) == ("failed", "The tool probe failed.")
    assert reason in str(outcome.error)


# id: (returned value, how the cut text begins, what the note says of the whole)
CUT: dict[str, tuple[Any, str, str]] = {
    "text": ("x" * 1_000, "xxx", "1,000 characters"),
    "text-of-own-class": (Text("x" * 1_000), "xxx", "1,000 characters"),
    "unicode": ("ß" * 1_000, "ßßß", "1,000 characters"),
    "bytes": (b"x" * 1_000, "xxx", "1,000 bytes"),
    "bytes-cut-inside-a-character": ("€".encode() * 1_000, "€€€", "3,000 bytes"),
    "list": (list(range(1_000)), "[0, 1, 2", "1,000 items"),
    "set": (set(range(1_000)), "[0, 1, 2", "1,000 items"),
    "dict": ({str(n): n for n in range(1_000)}, '{"0": 0, "1": 1', "1,000 keys"),
    "text-inside": ({"text": "x" * 1_000}, '{"text": "xxx', "about 1,0"),
    "deep-inside": ({"a": {"b": ["x"] * 1_000}}, '{"a": {"b": ["x"', "more than 200 characters"),
    "many-small": ([["x"]] * 1_000, '[["x"], ["x"]', "1,000 items"),
    "view": ({n: n for n in range(1_000)}.values(), "[0, 1, 2", "1,000 items"),
    "model": (Person(name="x" * 1_000, born=DAY), '{"name": "xxx', "more than 200 characters"),
    "words": (type("Long", (), {"__str__": lambda self: "x" * 1_000})(), "xxx", "about 1,00"),
}


@pytest.mark.parametrize(("value", "beginning", "size"), CUT.values(), ids=CUT)
def test_what_is_too_long_is_cut_and_says_how_long_it_was(value: Any, beginning: str, size: str) -> None:
    outcome = returned(value, max_chars=CEILING)

    assert outcome.status == "ok", outcome.error
    assert len(outcome.content) == CEILING
    assert outcome.content.startswith(beginning)
    assert f"[Cut. The whole has {size}" in outcome.content


@pytest.mark.parametrize("length", [CEILING - 1, CEILING, CEILING + 1])
def test_ceiling_is_exact(length: int) -> None:
    text = "x" * length
    outcome = returned(text, max_chars=CEILING)

    assert len(outcome.content) <= CEILING
    assert (outcome.content == text) == (length <= CEILING)


@pytest.mark.parametrize("length", [CEILING - 4, CEILING - 3])
def test_ceiling_counts_json_as_text(length: int) -> None:
    value = ["x" * length]
    outcome = returned(value, max_chars=CEILING)

    assert (outcome.content == value) == (len(json.dumps(value)) <= CEILING)


def gigabyte_text() -> Any:
    return "x" * 1_000_000_000


def large_bytes() -> Any:
    return b"x" * 100_000_000


def large_inside() -> Any:
    return [{"text": "x" * 100_000_000}]


@pytest.mark.parametrize("make", [gigabyte_text, large_bytes, large_inside])
def test_gigabyte_is_cut_without_a_copy(make: Callable[[], Any]) -> None:
    whole = make()
    made = tool(lambda: whole, name="probe")
    tracemalloc.start()
    try:
        outcome = asyncio.run(made.run({}))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert outcome.status == "ok"
    assert len(outcome.content) == made.max_chars
    assert "00,000,0" in outcome.content.rpartition("[Cut.")[2]
    assert peak < 10_000_000


def test_endless_sequence_ends_at_the_ceiling() -> None:
    class Endless(collections.abc.Sequence[int]):
        def __len__(self) -> int:
            return 10**12

        def __getitem__(self, index: Any) -> Any:
            return index

    assert "1,000,000,000,000 items" in returned(Endless()).content


def test_error_text_has_the_ceiling_too() -> None:
    def probe() -> None:
        from gemmagraph.tools import ToolError

        raise ToolError("x" * 1_000)

    outcome = asyncio.run(tool(probe, max_chars=CEILING).run({}))

    assert outcome.status == "error"
    assert len(outcome.content) == CEILING


def test_outcome_of_a_tool_is_not_the_tools_own_object() -> None:
    kept = {"a": [1]}
    made: Tool = tool(lambda: kept, name="probe")

    asyncio.run(made.run({})).content["a"].append(2)

    assert kept == {"a": [1]}
