"""The quick road: calls written exactly as they were asked for, read at one go.

What is read here `blocks` reads too, with the same result; whatever is in doubt is left to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from gemmagraph.prompts.checking.arguments import Number
from gemmagraph.prompts.reading.escapes import is_half_escaped, may_be_half_escaped
from gemmagraph.prompts.reading.literals import WrittenCall
from gemmagraph.prompts.toolset import Toolset

_HEAD: Final = re.compile(r"([^\W\d]\w{0,99})\(")
_ARGUMENT: Final = re.compile(
    r'([^\W\d]\w{0,63})=(?:"([^"\\\n<\ud800-\udfff]*(?:\\n[^"\\\n<\ud800-\udfff]*)*)"'
    r"|(-?[0-9]{1,40}(?:\.[0-9]{1,40})?)|(True|False|None))(\)|, (?=[^\W\d]))"
)
_CONSTANTS: Final = {"True": True, "False": False, "None": None}
_PREFIX: Final = "FUNCTION_CALL: "
_FENCE: Final = "```tool_code\n"
_OBJECT: Final = re.compile(r'\{"name": "([\w.:/-]{1,100})", "arguments": (?=\{)')
_PLAIN_JSON: Final = re.compile(r'[^\\<\ud800-\udfff]*(?:\\[n"][^\\<\ud800-\udfff]*)*')


@dataclass(slots=True)
class Plain:
    """Calls that stand together."""

    calls: Sequence[WrittenCall]
    starts: Sequence[int]
    """Where each begins, with its name."""
    arguments: Sequence[int]
    """Where the arguments of each begin, with their bracket."""
    end: int
    """Behind all of it."""

    def moved(self, by: int) -> Plain:
        """The same in a text that has lost or won so many characters in front of it."""
        calls = [replace(call, end=call.end + by) for call in self.calls]
        starts, arguments = ([place + by for place in places] for places in (self.starts, self.arguments))
        return Plain(calls, starts, arguments, self.end + by)


Road: TypeAlias = Callable[[str, int, Toolset], Plain | None]
"""Reads what stands at a position of a text, if it is written as it was asked for."""


def prefixed(text: str, pos: int, tools: Toolset) -> Plain | None:
    """`FUNCTION_CALL: name(…)`."""
    if not text.startswith(_PREFIX, pos):
        return None
    pos += len(_PREFIX)
    call = _call(text, pos, tools)
    return _plain([(pos, call)], call.end) if call else None


def listed(text: str, pos: int, tools: Toolset) -> Plain | None:
    """`[name(…), name(…)]`."""
    found = []
    while text[pos : pos + 1] in ("[", " "):
        call = _call(text, pos + 1, tools)
        if call is None:
            return None
        found.append((pos + 1, call))
        pos = call.end
        if text.startswith("]", pos):
            return _plain(found, pos + 1)
        if not text.startswith(", ", pos):
            return None
        pos += 1
    return None


def fenced(text: str, pos: int, tools: Toolset) -> Plain | None:
    """A fence named `tool_code`, a call in each line."""
    if not text.startswith(_FENCE, pos):
        return None
    pos += len(_FENCE)
    found = []
    while call := _call(text, pos, tools):
        found.append((pos, call))
        if text.startswith("\n```", call.end):
            return _plain(found, call.end + 4)
        if not text.startswith("\n", call.end):
            return None
        pos = call.end + 1
    return None


def an_object(text: str, pos: int, tools: Toolset) -> Plain | None:
    """`{"name": "…", "arguments": {…}}`, on one line."""
    head = _OBJECT.match(text, pos)
    if not head or head.group(1) not in tools:
        return None
    newline = text.find("\n", pos)
    end = len(text.rstrip()) if newline < 0 else newline
    if not _PLAIN_JSON.fullmatch(text, pos, end) or may_be_half_escaped(text, pos, end):
        return None
    try:
        found = _decode(text[head.end() : end - 1])
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or text[end - 1] != "}":
        return None
    call = WrittenCall(head.group(1), named=found, end=end)
    return Plain([call], [pos], [head.end()], end)


def _plain(found: Sequence[tuple[int, WrittenCall]], end: int) -> Plain:
    starts = [start for start, _ in found]
    arguments = [start + len(call.name) for start, call in found]
    return Plain([call for _, call in found], starts, arguments, end)


def _call(text: str, pos: int, tools: Toolset) -> WrittenCall | None:
    """The call `name(key=value, …)` at `pos`."""
    head = _HEAD.match(text, pos)
    if not head or head.group(1) not in tools:
        return None
    call = WrittenCall(head.group(1))
    pos = head.end()
    if text.startswith(")", pos):
        call.end = pos + 1
        return call
    while found := _ARGUMENT.match(text, pos):
        key, string, number, constant, behind = found.groups()
        if key in call.named:
            return None
        if string is not None:
            if "\\" in string:
                if is_half_escaped(string, python=True):
                    return None
                string = string.replace("\\n", "\n")
            call.named[key] = string
        else:
            call.named[key] = Number(number) if number else _CONSTANTS[constant]
        pos = found.end()
        if behind == ")":
            call.end = pos
            return call
    return None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _refused(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


_decode = json.JSONDecoder(
    object_pairs_hook=_once, parse_int=Number, parse_float=Number, parse_constant=_refused
).decode
