"""A second reader for what notations write: slow, plain, and written apart from the first. It knows the well-formed
only, and takes Python's word for values: `ast` for those of Python, `json` for those of JSON. The native notations
have a small descent of their own, after the grammar that Google prints for them.

Where both read the same from all that is written, a mistake would have to be made twice.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gemmagraph.prompts.messages import ToolCall
from gemmagraph.prompts.notation import notation_named, notation_names, read

Call = tuple[str, dict[str, Any]]

# Python.


def pieces(text: str) -> Iterator[str]:
    """`text` cut at the commas that stand in no brackets and in no string."""
    depth = start = at = 0
    while at < len(text):
        char = text[at]
        if char == '"':
            at += 1
            while text[at] != '"':
                at += 2 if text[at] == "\\" else 1
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            assert depth >= 0, text
        elif char == "," and not depth:
            yield text[start:at].strip()
            start = at + 1
        at += 1
    assert not depth, text
    if text[start:].strip():
        yield text[start:].strip()


def python_call(text: str) -> Call:
    name, bracket, rest = text.partition("(")
    assert bracket, text
    assert rest.endswith(")"), text
    arguments: dict[str, Any] = {}
    for piece in pieces(rest[:-1]):
        if piece.startswith("**"):
            given = ast.literal_eval(piece[2:])
        else:
            key, _, value = piece.partition("=")
            given = {key: ast.literal_eval(value)}
        assert not given.keys() & arguments.keys(), text
        arguments |= given
    return name, arguments


def function_call(text: str) -> list[Call]:
    return [python_call(line.removeprefix("FUNCTION_CALL: ")) for line in text.split("\n")]


def tool_code(text: str) -> list[Call]:
    first, *lines, last = text.split("\n")
    assert (first, last) == ("```tool_code", "```")
    return [python_call(line) for line in lines]


def pythonic(text: str) -> list[Call]:
    assert (text[0], text[-1]) == ("[", "]")
    return [python_call(piece) for piece in pieces(text[1:-1])]


# JSON.


def json_lines(text: str) -> list[Call]:
    found = [json.loads(line) for line in text.split("\n")]
    assert all(set(each) == {"name", "arguments"} for each in found)
    return [(each["name"], each["arguments"]) for each in found]


# The native notations.


class Native:
    """Descends into `<mark>call:NAME{key:value,…}<mark>`, one after the other."""

    def __init__(self, text: str, opening: str, closing: str, delimiter: str) -> None:
        self.text, self.at = text, 0
        self.opening, self.closing, self.delimiter = opening, closing, delimiter

    def calls(self) -> Iterator[Call]:
        while self.at < len(self.text):
            self.take(f"{self.opening}call:")
            name = self.match(r"[^{]+")
            yield name, self.mapping()
            self.take(self.closing)

    def take(self, token: str) -> None:
        assert self.text.startswith(token, self.at), self.text[self.at :][:80]
        self.at += len(token)

    def has(self, token: str) -> bool:
        """Whether `token` comes next; then it is taken."""
        found = self.text.startswith(token, self.at)
        self.at += len(token) if found else 0
        return found

    def match(self, pattern: str) -> str:
        found = re.compile(pattern).match(self.text, self.at)
        assert found, self.text[self.at :][:80]
        self.at = found.end()
        return found.group()

    def mapping(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.take("{")
        while not self.has("}"):
            if found:
                self.take(",")
            key = self.string() if self.string_comes() else self.match(r"[^:]+")
            self.take(":")
            assert key not in found
            found[key] = self.value()
        return found

    def value(self) -> Any:
        if self.string_comes():
            return self.string()
        if self.text[self.at] == "{":
            return self.mapping()
        if self.has("["):
            items: list[Any] = []
            while not self.has("]"):
                if items:
                    self.take(",")
                items.append(self.value())
            return items
        return json.loads(self.match(r"true|false|null|-?\d+(\.\d+)?([eE][+-]?\d+)?"))

    def string_comes(self) -> bool:
        return self.text.startswith((self.delimiter, '"'), self.at)

    def string(self) -> str:
        if self.has(self.delimiter):
            end = self.text.index(self.delimiter, self.at)
            found, self.at = self.text[self.at : end], end + len(self.delimiter)
            return found
        return str(json.loads(self.match(r'"(\\.|[^"\\])*"')))


def gemma4(text: str) -> list[Call]:
    return list(Native(text, "<|tool_call>", "<tool_call|>", '<|"|>').calls())


def functiongemma(text: str) -> list[Call]:
    return list(Native(text, "<start_function_call>", "<end_function_call>", "<escape>").calls())


PLAIN: dict[str, Callable[[str], list[Call]]] = {
    "function_call": function_call,
    "json": json_lines,
    "tool_code": tool_code,
    "pythonic": pythonic,
    "gemma4": gemma4,
    "functiongemma": functiongemma,
}
each_notation = pytest.mark.parametrize("notation", sorted(PLAIN.keys() & notation_names()))


# Both agree.


@cache
def properties() -> Any:
    """The module beside this one, which makes up calls."""
    path = Path(__file__).with_name("test_reader_properties.py")
    spec = importlib.util.spec_from_file_location("made_up_calls", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def spelled(calls: list[Call]) -> list[str]:
    """As text, in which 1, 1.0 and true differ."""
    return [json.dumps([name, arguments], sort_keys=True) for name, arguments in calls]


def assert_both_read(notation: str, calls: list[Call]) -> None:
    made = notation_named(notation)
    written = made.write_calls([ToolCall("", name, arguments) for name, arguments in calls])
    reply = read(made, written, properties().ANYTHING)
    plainly = PLAIN[notation](written)
    assert spelled([(call.name, dict(call.arguments)) for call in reply.calls]) == spelled(plainly), written
    assert spelled(plainly) == spelled(calls), written


@each_notation
@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, 201))])
def test_plain_reader_reads_the_same_from_what_is_written(notation: str, part: int) -> None:
    for calls in properties().some_calls(notation, part):
        assert_both_read(notation, calls)


def test_every_built_in_notation_has_a_plain_reader() -> None:
    assert {*notation_names()} <= PLAIN.keys()


@pytest.mark.parametrize(
    ("notation", "text"),
    [
        ("function_call", 'FUNCTION_CALL: f(a="x)'),
        ("tool_code", "f(a=1)"),
        ("tool_code", "```tool_code\nf(a=g())\n```"),
        ("pythonic", "[f(a=1, a=2)]"),
        ("json", '{"name": "f"}'),
        ("gemma4", '<|tool_call>call:f{a:<|"|>x}<tool_call|>'),
        ("gemma4", "<|tool_call>call:f{a:1,a:2}<tool_call|>"),
        ("functiongemma", "<start_function_call>call:f{a:x}<end_function_call>"),
        ("functiongemma", '<start_function_call>call:f{a:<|"|>x<|"|>}<end_function_call>'),
    ],
)
def test_plain_reader_takes_nothing_but_the_well_formed(notation: str, text: str) -> None:
    with pytest.raises((AssertionError, ValueError, SyntaxError, IndexError)):
        PLAIN[notation](text)


def test_plain_readers_know_the_examples_of_google() -> None:
    """Printed in Google's notebook for FunctionGemma, and rendered with the template of Gemma 4."""
    assert functiongemma(
        "<start_function_call>call:get_current_weather{location:<escape>London<escape>}<end_function_call>"
    ) == [("get_current_weather", {"location": "London"})]
    rendered = (
        '{city:<|"|>Paris<|"|>,frac:0.5,lst:[<|"|>a<|"|>,1,{k:<|"|>v<|"|>}],neg:-3,none:null,ok:true,tiny:1e-07}'
    )
    assert gemma4(f"<|tool_call>call:f{rendered}<tool_call|><|tool_call>call:g{{}}<tool_call|>") == [
        (
            "f",
            {
                "city": "Paris",
                "frac": 0.5,
                "lst": ["a", 1, {"k": "v"}],
                "neg": -3,
                "none": None,
                "ok": True,
                "tiny": 1e-7,
            },
        ),
        ("g", {}),
    ]
