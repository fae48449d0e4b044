"""Whatever stands in a call, the check answers soon, with `InvalidArguments` or the arguments and nothing else."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from gemmagraph.prompts.checking.arguments import ArgumentChecker, Number
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import ToolSpec

N = Number
STRING = {"type": "string"}
INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
NULL = {"type": "null"}
ARRAY = {"type": "array"}
OBJECT = {"type": "object"}
INTEGERS = {"type": "array", "items": INTEGER}
CLOSED = {"type": "object", "properties": {"x": INTEGER}, "additionalProperties": False}


def checker(argument: object, **more: Any) -> ArgumentChecker:
    """A checker of a tool with one argument, `v`."""
    return ArgumentChecker(ToolSpec("f", "", {"properties": {"v": argument}, **more}))


def outcome(checking: ArgumentChecker, value: object) -> object:
    try:
        return checking.check({"v": value})["v"]
    except InvalidArguments:
        return "REFUSED"


def nested(depth: int, kind: Callable[[object], object] = lambda inner: [inner]) -> object:
    value: object = 1
    for _ in range(depth):
        value = kind(value)
    return value


TREE = {"type": "array", "items": {"$ref": "#/properties/v"}}
DOUBLING = {"allOf": [{"properties": {"v": {"$ref": "#/$defs/D"}}}, {"properties": {"v": {"$ref": "#/$defs/D"}}}]}
CHOOSING = {
    "anyOf": [{"properties": {"v": {"$ref": "#/$defs/D"}, name: {"const": 1}}, "required": [name]} for name in "ab"]
}
EXPANDING: dict[str, Any] = {
    f"E{level}": {"anyOf": [{"$ref": f"#/$defs/E{level + 1}"}] * 2} if level < 25 else INTEGER for level in range(26)
}

HOSTILE: dict[str, Callable[[], tuple[Any, object]]] = {
    "10,000 lists": lambda: ({}, nested(10_000)),
    "10,000 objects": lambda: ({}, nested(10_000, lambda inner: {"a": inner})),
    "10,000 lists for a recursive schema": lambda: (TREE, nested(10_000)),
    "10,000 lists for a string": lambda: (STRING, nested(10_000)),
    "JSON text of 100,000 lists": lambda: (ARRAY, "[" * 100_000),
    "whole JSON text of 50,000 lists": lambda: (ARRAY, "[" * 50_000 + "]" * 50_000),
    "JSON text of 50,000 objects": lambda: (OBJECT, '{"a":' * 50_000 + "1" + "}" * 50_000),
    "a list in itself": lambda: ({}, (lambda inner: inner.append(inner) or inner)([])),  # type: ignore[func-returns-value]
    "2**90 values in 90 lists": lambda: ({}, nested(90, lambda inner: [inner, inner])),
    "2**90 values for a recursive schema": lambda: (TREE, nested(90, lambda inner: [inner, inner])),
    "2**25 branches": lambda: ({"$ref": "#/$defs/E0"}, "x"),
    "a million digits": lambda: (INTEGER, N("9" * 1_000_000)),
    "a million digits as text": lambda: (NUMBER, "9" * 1_000_000),
    "a million hexadecimal digits": lambda: (INTEGER, N("0x" + "f" * 1_000_000)),
    "a huge int": lambda: (NUMBER, 7**20_000),
    "a huge exponent": lambda: (INTEGER, N("1e999999999999")),
    "a huge negative exponent": lambda: (INTEGER, N("1e-999999999999999999999")),
    "a fraction of a million digits": lambda: (NUMBER, N("0." + "1" * 1_000_000)),
    "200,000 undeclared keys": lambda: (CLOSED, {f"k{n}": n for n in range(200_000)}),
    "200,000 wrong items": lambda: (INTEGERS, ["x"] * 200_000),
    "200,000 wrong items of a choice": lambda: (
        {"type": "array", "items": {"anyOf": [INTEGER, NULL]}},
        ["x"] * 20_000,
    ),
    "unique objects, 50,000 of them and one twice": lambda: (
        {"type": "array", "uniqueItems": True},
        [{"n": n} for n in range(50_000)] + [{"n": 0}],
    ),
    "a big enum": lambda: ({"enum": [f"member {n}" for n in range(20_000)]}, "membre 5"),
    "a surrogate": lambda: (INTEGER, "\ud800"),
    "control characters": lambda: (INTEGER, "\x00\x1b[31m\n\r\x85\u2028"),
    "an object of an unknown class": lambda: ({}, object()),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_arguments_are_refused_with_a_short_message(name: str) -> None:
    schema, value = HOSTILE[name]()
    checking = checker(schema, **{"$defs": {"D": schema, **EXPANDING}})
    with pytest.raises(InvalidArguments) as refusal:
        checking.check({"v": value})
    assert len(refusal.value.message) <= 240
    refusal.value.message.encode()


@pytest.mark.parametrize("schema", [DOUBLING, CHOOSING], ids=["all of two", "a choice of two"])
def test_a_value_under_a_schema_that_doubles_at_each_level_is_looked_at_once_a_level(schema: Any) -> None:
    checking = checker(schema, **{"$defs": {"D": schema}})
    value = nested(60, lambda inner: {"v": inner, "b": 1})
    assert outcome(checking, value) == value


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
@pytest.mark.parametrize("value", [5, [1], {"a": 5}, [{"a": 5}]], ids=["scalar", "list", "object", "objects"])
def test_what_is_wrong_under_references_to_references_is_named_at_once(keyword: str, value: Any) -> None:
    """4**30 branches, each reached by other references."""
    levels = {f"B{n}": {keyword: [{"$ref": f"#/$defs/B{n + 1}"}] * 4} for n in range(30)}
    last = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 0}}}

    def seconds() -> float:
        checking = checker({"$ref": "#/$defs/B0"}, **{"$defs": {**levels, "B30": last}})
        outcome(checking, 1)  # what is loaded at first use is not counted
        begun = time.process_time()
        with pytest.raises(InvalidArguments, match=r'f: "v(\.a)?" was '):
            checking.check({"v": value})
        return time.process_time() - begun

    assert min(seconds() for _ in range(3)) < 0.3


def test_zero_with_a_huge_exponent_is_zero() -> None:
    assert repr(outcome(checker(INTEGER), N("0e999999999"))) == "0"


def test_nesting_within_the_bound_is_fine_on_a_deep_stack() -> None:
    whole = nested(60, lambda inner: [] if inner == 1 else [inner])

    def below(frames: int) -> object:
        return below(frames - 1) if frames else outcome(checker(TREE), whole)

    assert below(200) == whole


def test_full_stack_refuses_instead_of_raising() -> None:
    checking = checker(TREE)
    outcomes: list[object] = []

    def below(frames: int) -> None:
        if frames:
            below(frames - 1)
        else:
            outcomes.append(outcome(checking, nested(60)))

    outcome(checking, [])  # what is loaded at first use is loaded now
    for frames in range(sys.getrecursionlimit() - 500, sys.getrecursionlimit() - 200, 50):
        below(frames)
    assert "REFUSED" in outcomes


def test_one_checker_serves_many_threads() -> None:
    checking = checker({"anyOf": [INTEGERS, NULL]})
    wrong: list[object] = []

    def work(number: int) -> None:
        found = [(outcome(checking, [str(number)]), outcome(checking, ["x"])) for _ in range(50)]
        wrong.extend(pair for pair in found if pair != ([number], "REFUSED"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong
