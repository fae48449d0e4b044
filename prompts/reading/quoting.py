"""What quotes in a reply that is still arriving: code spans and fences in which nothing is called."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from gemmagraph.prompts.reading import spelling
from gemmagraph.prompts.reading.scan import TURN_ENDS, is_short, turn_end_at

_TICKS_OR_LINE_END = re.compile(r"`+|\n")
LONGEST_RUN = 8
"""Backticks in a row that can open or close a code span or a fence. More are plain text."""

_MAX_INFO = 100
"""Characters a fence's first line is waited for; with more it is no fence."""

_QUOTATION_MARKS = ("“”", "„“", "‘’", "«»", "»«", "‹›", "「」", "『』")
_LONGEST_ELEMENT = 8000
"""Characters in which an element of HTML has to be closed."""

SpanEnd: TypeAlias = Literal["open", "closed", "never"]


def quoted_line(
    text: str, pos: int, final: bool, say: Callable[[str], None]
) -> tuple[Literal["open", "closed", "turn_end"], int]:
    """Says the line of a block quote that goes on at `text[pos]`; whether it or the turn ends, and where."""
    newline = text.find("\n", pos)
    end = len(text) if newline < 0 else newline + 1
    mark = text.find("<", pos, end)
    if mark < 0:
        say(text[pos:end])
        return ("open" if newline < 0 else "closed"), end
    say(text[pos:mark])
    ends = turn_end_at(text, mark, final)
    if ends or ends is None:
        return ("turn_end" if ends else "open"), mark
    say("<")
    return "open", mark + 1


def run_end(text: str, at: int) -> int:
    """Where the run of the character at `at` ends."""
    end = at
    while end < len(text) and text[end] == text[at]:
        end += 1
    return end


@dataclass(frozen=True, slots=True)
class FenceLine:
    """The line that opens a fence."""

    marks: str
    word: str
    """What stands behind the marks: a language, or what the fence holds."""
    end: int
    """Where its content begins."""
    may_call: bool
    """Whether its content could be calls: nothing stands between the word and the content."""


def fence_line(text: str, at: int, final: bool) -> FenceLine | str | None:
    """The fence that opens at `at`; only its marks if it is none after all; None if more text is needed."""
    end = run_end(text, at)
    newline = text.find("\n", end, at + _MAX_INFO)
    match = spelling.FENCE.match(text, at)
    if match:
        return FenceLine(text[at:end], match.group(2).lower(), match.end(), True)
    if newline < 0:
        if not final and len(text) - at < _MAX_INFO:
            return None
        if len(text) - at >= _MAX_INFO or "`" in text[end:]:
            return text[at:end]
    stop = newline if newline >= 0 else len(text)
    words = text[end:stop].split()
    return FenceLine(text[at:end], words[0].lower() if words else "", min(stop + 1, len(text)), newline < 0)


def is_quoting(line: str) -> bool:
    """Whether a quotation is open at the end of a line so far."""
    if line.count('"') % 2 or line.endswith("'"):
        return True
    german = "„" in line
    return any(
        line.count(pair[0]) > line.count(pair[1]) for pair in _QUOTATION_MARKS if not (german and pair == "“”")
    )


def element_end(text: str, opened: re.Match[str], final: bool) -> int | None:
    """Where an element of HTML that quotes ends: `<pre>…</pre>`, `<code>…</code>`, `<!-- … -->`; the end of its
    opening tag, if nothing closes it; None if more text is needed."""
    begin = opened.end()
    name = opened.group(1)
    closing = re.compile("|".join([f"(</{name}>)" if name else "(-->)", *map(re.escape, TURN_ENDS)]), re.IGNORECASE)
    found = closing.search(text, begin, begin + _LONGEST_ELEMENT)
    if not found:
        return None if is_short(text, begin, final, _LONGEST_ELEMENT) else begin
    return found.end() if found.group(1) else begin


class CodeSpan:
    """A code span, from the backticks that open it. It is one only if its line closes it."""

    def __init__(self, ticks: str) -> None:
        self.length = len(ticks)
        self._parts = [ticks]
        self._long_run = False
        """Whether the text so far ends inside a run too long to close anything."""

    @property
    def text(self) -> str:
        return "".join(self._parts)

    @property
    def inside(self) -> str:
        """The text without the backticks that opened it."""
        return "".join(self._parts[1:])

    def feed(self, text: str, pos: int, final: bool) -> tuple[SpanEnd, int]:
        """Goes on from `text[pos]`; "open": show the text from the returned position again, with more."""
        while True:
            found = _TICKS_OR_LINE_END.search(text, pos)
            if not found and not final:
                self._parts.append(text[pos:])
                return "open", len(text)
            if not found or found.group() == "\n":
                end = found.start() if found else len(text)
                self._parts.append(text[pos:end])
                return "never", end
            ticks = found.end() - found.start()
            goes_on = self._long_run and found.start() == 0
            at_end = found.end() == len(text) and not final
            if at_end and ticks <= LONGEST_RUN and not goes_on:
                self._parts.append(text[pos : found.start()])
                return "open", found.start()
            self._long_run = at_end
            self._parts.append(text[pos : found.end()])
            pos = found.end()
            if ticks == self.length and not goes_on:
                return "closed", pos


class QuotedFence:
    """A fence that only quotes: all of it is text, up to and with its closing line.

    A turn-end mark inside it is quoted too, but only if the fence is closed after it; else it ended the turn.
    """

    def __init__(self, fence: str, say: Callable[[str], None], at_line_start: bool) -> None:
        mark = re.escape(fence[0])
        self._end = re.compile(rf"[ \t]{{0,80}}{mark * len(fence)}{mark}{{0,30}}[ \t\r]{{0,30}}(?:\n|\Z)")
        self._may_end = re.compile(rf"[ \t]{{0,80}}{mark}{{0,38}}[ \t\r]{{0,30}}")
        self._say = say
        self._after_mark: list[str] | None = None
        self._at_line_start = at_line_start

    @property
    def ended_inside(self) -> bool:
        """Whether a turn-end mark was met that the fence has not been closed after."""
        return self._after_mark is not None

    def feed(self, text: str, pos: int, final: bool) -> tuple[bool, int]:
        """Goes on from `text[pos]`; whether the fence is closed, and from where to go on or show again."""
        while pos < len(text):
            if self._at_line_start:
                if not final and self._may_end.fullmatch(text, pos):
                    return False, pos
                closed = self._end.match(text, pos)
                if closed:
                    self._say("".join(self._after_mark or ()) + closed.group())
                    self._after_mark = None
                    return True, closed.end()
                self._at_line_start = False
            after = self._line(text, pos, final)
            if after == pos:
                break
            pos = after
        return False, pos

    def _line(self, text: str, pos: int, final: bool) -> int:
        newline = text.find("\n", pos)
        end = len(text) if newline < 0 else newline + 1
        mark = text.find("<", pos, end) if self._after_mark is None else -1
        if mark < 0:
            self._quote(text[pos:end])
            self._at_line_start = newline >= 0
            return end
        self._quote(text[pos:mark])
        ends = turn_end_at(text, mark, final)
        if ends is None:
            return mark
        if ends:
            self._after_mark = []
        self._quote("<")
        return mark + 1

    def _quote(self, text: str) -> None:
        if self._after_mark is None:
            self._say(text)
        else:
            self._after_mark.append(text)
