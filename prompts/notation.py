"""What a way of writing tool calls promises: `Notation` and `Reader`, and where users register their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, TypeAlias

from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.messages import BadCall, Reply, StopReason, ToolCall, ToolResult
from gemmagraph.prompts.toolset import Toolset


@dataclass(frozen=True, slots=True)
class TextRead:
    """A piece of visible text. The pieces joined are the reply's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ThoughtRead:
    text: str


@dataclass(frozen=True, slots=True)
class CallBegun:
    """A call to a tool is being written. `CallRead` or `BadCallRead` settles what came of it; where text or the end
    comes before either, it was none."""

    name: str


@dataclass(frozen=True, slots=True)
class ArgumentsRead:
    """A piece of the arguments of the call that has begun, as the model spells them, brackets included. All of them
    are told of a good call; of a bad one, it depends on how the text arrived."""

    text: str


@dataclass(frozen=True, slots=True)
class CallRead:
    """A complete call whose arguments are valid."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class BadCallRead:
    bad_call: BadCall


ReadEvent: TypeAlias = TextRead | ThoughtRead | CallBegun | ArgumentsRead | CallRead | BadCallRead


class Reader(Protocol):
    """Reads one reply, in pieces of any size. Never raises; linear in the length of the text.

    However the text is cut into pieces, the reply is the same.
    """

    def feed(self, chunk: str) -> Sequence[ReadEvent]:
        """Takes the next piece of the output; returns what became certain with it."""
        ...

    def close(self, stop: StopReason = "stop") -> tuple[Sequence[ReadEvent], Reply]:
        """Says that the output is over; returns the last events and the whole reply."""
        ...


class Notation(Protocol):
    """One way of declaring tools, and of writing and reading calls and results.

    `read(write_calls(calls))` gives the same calls again. A native notation, one that writes control marks itself,
    is given names, descriptions and results whose marks are defused; what a prompted one writes is defused whole.

    If it writes calls as no built-in one does, it may have a method `grammar`: see `WriteGrammar` in `grammar.calls`.
    """

    name: str
    turns: str | None
    """The turn format to which the marks belong that it writes; None for a prompted one, which suits every format."""

    def declare(self, tools: Toolset) -> str:
        """The text that tells the model which tools there are and how to call them; "" without tools."""
        ...

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        """Calls as the model is asked to write them: for history and examples."""
        ...

    def write_results(self, results: Sequence[ToolResult]) -> str:
        """Results as the model is shown them, errors included."""
        ...

    def reader(self, tools: Toolset) -> Reader: ...


def read(notation: Notation, text: str, tools: Toolset, stop: StopReason = "stop") -> Reply:
    """Reads a whole output at once: one piece, then the end."""
    reader = notation.reader(tools)
    reader.feed(text)
    return reader.close(stop)[1]


_BUILT_IN = {
    "function_call": ("gemmagraph.prompts.notations.function_call", "FunctionCall"),
    "json": ("gemmagraph.prompts.notations.json_call", "JsonCall"),
    "tool_code": ("gemmagraph.prompts.notations.tool_code", "ToolCode"),
    "pythonic": ("gemmagraph.prompts.notations.pythonic", "Pythonic"),
    "gemma4": ("gemmagraph.prompts.native.notations", "Gemma4"),
    "functiongemma": ("gemmagraph.prompts.native.notations", "FunctionGemma"),
}
"""Loaded when they are asked for."""
_registered: dict[str, Callable[[], Notation]] = {}


def register_notation(name: str, make: Callable[[], Notation]) -> None:
    """Makes a notation available under `name`, also in place of a built-in one."""
    _registered[name] = make


def notation_named(name: str) -> Notation:
    """The notation called `name`.

    Raises:
        NotationError: there is none; the message lists those there are.
    """
    if name in _registered:
        return _registered[name]()
    if name in _BUILT_IN:
        module, made = _BUILT_IN[name]
        notation: Notation = getattr(import_module(module), made)()
        return notation
    raise NotationError(f"There is no notation {name!r}.", hint=f"Known are: {', '.join(notation_names())}.")


def notation_names() -> list[str]:
    """Every notation that `notation_named` knows."""
    return sorted({*_BUILT_IN, *_registered})
