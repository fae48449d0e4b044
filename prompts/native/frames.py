"""What has been read of a native call's arguments: open brackets, values so far, and the text at hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from gemmagraph.prompts.native.marks import Marks
from gemmagraph.prompts.reading.literals import Unreadable, same

State: TypeAlias = Literal["open", "closed", "mark", "earlier", "cut", "broken"]
"""Where the reading stands: behind the last bracket; at the closing mark; far behind the closing mark, since only now
it is certain which one it was; at a mark that ends the call before its end; or where it cannot go on."""
Step: TypeAlias = Callable[[str, int, bool], tuple[State, int]]

CLOSERS: Final = {"{": "}", "[": "]", "(": ")"}
TAIL: Final = 200
"""Characters at the end of a text that show whether a further argument begins there."""
_KEY = re.compile(r"""([^\s,:={}\[\]()<"']{1,80})\s{0,20}[:=]""")
_KEY_MAY_COME = re.compile(r"""[^\s,:={}\[\]()<"']{0,80}\s{0,20}""")
_LONGEST_KEY: Final = 101


@dataclass(slots=True)
class Frame:
    """An open bracket and what stands inside it."""

    closer: str
    items: list[object] = field(default_factory=list)
    named: dict[str, object] | None = None
    key: str | None = None
    comma: bool = False

    def value(self) -> object:
        if self.named is not None:
            return self.named
        return self.items[0] if self.closer == ")" and len(self.items) == 1 and not self.comma else self.items


class NativeFrames:
    """Keeps what was read of one call's arguments."""

    def __init__(self, marks: Marks, declared: frozenset[str], opener: str) -> None:
        self.repaired = False
        """Whether something had to be put right."""
        self.needs_mark = False
        """Whether what was put right counts only if the closing mark follows."""
        self.reason = ""
        """Why it is broken, for the model."""
        self.rest = 0
        """How many characters at the end belong to no call: the closing mark stands before them."""
        self._marks = marks
        self._declared = declared
        self.is_round = opener == "("
        """Whether the arguments stand between round brackets, in Python's way."""
        self._frames = [Frame(CLOSERS[opener], named={})]
        self._parts: list[str] = []
        self._quote = ""
        self._spaced = False
        self._ended = ""
        """What the last value was: "text", "quoted", or "" for another."""
        self._seen: list[int] = []
        """Where in the open text a closing mark stands that may be the real one: offset of it, and behind it."""
        self._held = 0
        """Characters in `_parts`."""
        self._reached = 0
        """How far the step at hand has taken the text that is being fed."""
        self._inner = False
        """Whether a delimiter stands in the open text."""
        self._odd = False
        """Whether a mark stands in the open text."""
        self._merge = False
        self._is_key = False
        """Whether the open text stands where a key must stand."""
        self._step: Step = self._after

    @property
    def positional(self) -> list[object]:
        return self._frames[0].items

    @property
    def named(self) -> dict[str, object]:
        named = self._frames[0].named
        assert named is not None
        return named

    def more(self, text: str) -> None:
        """Takes text without a `<` while `is_text`."""
        self._parts.append(text)
        self._held += len(text)

    def _begin(self, step: Step) -> None:
        self._parts = []
        self._held = 0
        self._seen = []
        self._odd = self._inner = self._spaced = False
        self._step = step

    def _tail(self) -> str:
        """The end of the open text."""
        pieces: list[str] = []
        length = 0
        for piece in reversed(self._parts):
            pieces.append(piece[-TAIL:])
            length += len(piece)
            if length >= TAIL:
                break
        return "".join(reversed(pieces))[-TAIL:]

    def _take(self, value: object) -> None:
        """A value is read."""
        frame = self._frames[-1]
        self._step = self._after
        if self._merge and len(self._frames) == 1:
            self._merge = False
            if not isinstance(value, dict):
                raise Unreadable("** must stand before an object")
            for key, item in value.items():
                add(self.named, key, item)
        elif frame.key is not None and frame.named is not None:
            add(frame.named, frame.key, value)
            frame.key = None
        elif frame.named is None:
            frame.items.append(value)
        else:
            self._positional(value, 0)

    def _positional(self, value: object, pos: int) -> tuple[State, int]:
        if self.named:
            raise Unreadable("a value without a name stands behind named ones")
        self._frames[0].items.append(value)
        self._ended = ""
        self._step = self._after
        return "open", pos

    def _after(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        """Behind a value."""
        raise NotImplementedError

    def _declared_key(self, text: str, pos: int, final: bool) -> bool | None:
        """Whether an argument of the tool and its sign stand at `pos`; None if more text is needed."""
        if len(self._frames) > 1:
            return False
        found = _KEY.match(text, pos)
        if found:
            return found.group(1) in self._declared and found.group(1) not in self.named
        short = not final and len(text) - pos < _LONGEST_KEY
        return None if short and _KEY_MAY_COME.fullmatch(text, pos) else False


def add(named: dict[str, object], key: str, value: object) -> None:
    """Adds an argument.

    Raises:
        Unreadable: it is there with another value.
    """
    if key in named and not same(named[key], value):
        raise Unreadable(f"{key} is given twice with different values")
    named[key] = value
