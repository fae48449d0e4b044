"""The screen: messages above, the line that is being typed below. What still stands on it is changed in its place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from gemmagraph.bots.terminal.shown import How, Shown
from gemmagraph.bots.terminal.text import Piece, rows_of
from gemmagraph.bots.text import Block, Paragraph, Span
from gemmagraph.cli.terminal import shortened, width_of

_PLAIN_COLUMNS: Final = 1_000_000
"""Where there is no screen: a row is a line."""
_NOTE: Final = "· "
_LEAST: Final = 24
_STANDS_FOR: Final = {"\n": "↵", "\t": " "}
_PASTES_TOLD, _NO_PASTES_TOLD = "\x1b[?2004h", "\x1b[?2004l"
"""Whether the terminal says what was pasted: it may hold line ends."""
_KEPT: Final = 200
"""Messages that are remembered at most; there are no more rows on a screen."""


class Screen:
    """Args:
    out: a file descriptor.
    live: whether it is a screen, on which what was written can be taken back.
    gone: called when nobody is there any more.
    """

    def __init__(self, out: int, *, live: bool, gone: Callable[[], None]) -> None:
        self._out = out
        self._is_there = live
        self._live = False
        """Whether something is being typed below."""
        self._gone = gone
        self._coloured = live and not os.environ.get("NO_COLOR")
        self._tail: list[tuple[int, How, list[str]]] = []
        """What was written last: the number of each message, and its rows; 0 if it stands further below again."""
        self._columns = 0
        """How wide it was then."""
        self._typed: tuple[str, str, int] | None = None
        """What stands below: the prompt, the text, and where in it the cursor is."""

    @contextmanager
    def open(self) -> Iterator[None]:
        """Inside, there is a line that is being typed."""
        self._live = self._is_there
        self._write(_PASTES_TOLD if self._live else "")
        try:
            yield
        finally:
            self._write(f"{self._erased()}{_NO_PASTES_TOLD}" if self._live else "")
            self._live, self._typed = False, None

    def show(self, message: Shown, how: How = "") -> None:
        """Writes a message below the others."""
        self._tail = [(0 if number == message.number else number, was, rows) for number, was, rows in self._tail]
        self._add(message.number, how, self._rows(message.head(how), message.body))

    def change(self, message: Shown) -> bool:
        """Writes a message where it stands; returns whether it still does."""
        index = next((at for at, (number, _, _) in enumerate(self._tail) if number == message.number), None)
        columns, height = self._size()
        if not self._live or index is None or columns != self._columns:
            return False
        _, how, old = self._tail[index]
        rows = self._rows(message.head(how), message.body)
        same = 0
        while same < min(len(rows), len(old)) and rows[same] == old[same]:
            same += 1
        behind = [row for _, _, each in self._tail[index + 1 :] for row in each]
        up = len(old) - same + len(behind)
        if up >= height:
            return False
        self._tail[index] = message.number, how, rows
        if rows != old:
            self._write(f"{self._erased()}{_moved(up, 'A')}\x1b[J{_joined([*rows[same:], *behind])}{self._below()}")
        return True

    def note(self, text: str) -> None:
        """A remark that is nobody's."""
        rows = self._rows([(_NOTE, "")], [Paragraph((Span(text),))])
        self._add(0, "", [f"\x1b[2m{row}\x1b[0m" for row in rows] if self._coloured else rows)

    def line(self, prompt: str, text: str, at: int) -> None:
        """Shows what is being typed."""
        if self._live:
            self._typed = prompt, text, at
            self._write(f"{self._erased()}{self._below()}")

    def _rows(self, head: Sequence[Piece], blocks: Sequence[Block]) -> list[str]:
        columns = self._size()[0] - 1 if self._live else _PLAIN_COLUMNS
        return rows_of(head, blocks, columns, coloured=self._coloured)

    def _add(self, message: int, how: How, rows: list[str]) -> None:
        columns = self._size()[0]
        if columns != self._columns:
            self._tail.clear()  # a screen that becomes narrower breaks rows anew
        self._columns = columns
        self._tail = [*self._tail[-_KEPT:], (message, how, rows)]
        self._write(f"{self._erased()}{_joined(rows)}{self._below()}")

    def _size(self) -> tuple[int, int]:
        """Columns and rows."""
        try:
            size = os.get_terminal_size(self._out)
        except OSError:
            return 80, 24
        return max(size.columns, _LEAST), max(size.lines, 2)

    def _erased(self) -> str:
        return "\r\x1b[2K" if self._live and self._typed is not None else ""

    def _below(self) -> str:
        """The line that is being typed: as much of it as there is place for, around the cursor."""
        if not self._live or self._typed is None:
            return ""
        prompt, text, at = self._typed
        columns = self._size()[0] - 1
        prompt = shortened(prompt, columns // 2)
        place = columns - width_of(prompt) - 1
        text = "".join(char if char.isprintable() else _STANDS_FOR.get(char, "·") for char in text)
        begin, end = at, at
        while begin > 0 and width_of(text[begin - 1 : at]) <= place:
            begin -= 1
        while end < len(text) and width_of(text[begin : end + 1]) <= place:
            end += 1
        bold = f"\x1b[1m{prompt}\x1b[0m" if self._coloured else prompt
        return f"{bold}{text[begin:end]}{_moved(width_of(text[at:end]), 'D')}"

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        try:
            while data:
                data = data[os.write(self._out, data) :]
        except OSError:
            self._gone()


def _joined(rows: Sequence[str]) -> str:
    return "".join(f"{row}\n" for row in rows)


def _moved(by: int, where: str) -> str:
    """What moves the cursor: 0 would move it by one."""
    return f"\x1b[{by}{where}" if by else ""
