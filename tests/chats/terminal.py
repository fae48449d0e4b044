"""The world of the terminal: a pseudo-terminal with the adapter on one side, and a person's eyes and fingers on the
other. All people sit at the same keyboard: whoever speaks first says who and where it is.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import re
import shutil
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from chats.world import Request, Seen, Upload, until, until_seen

from gemmagraph.bots.base import Adapter, Verb
from gemmagraph.bots.terminal.adapter import TerminalAdapter

_ACTION = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\s\S])")
_UNFINISHED = re.compile(r"\x1b(\[[?0-9;]*)?$")
_MESSAGE = re.compile(r"#(\d+) (\S+?)@([^\s/:]+)(?:/(\d+))?( \((?:changed|again)\))?:(?: (.*))?")
_OFFERS = re.compile(r"((?:\[\w+\] ?)+): \.press \d+ \w+")


class Eyes:
    """What stands on a screen that is endlessly high, as a terminal would show it."""

    def __init__(self) -> None:
        self.rows: list[str] = [""]
        self._row = self._column = 0
        self._rest = ""

    def take(self, text: str) -> None:
        text = self._rest + text
        unfinished = _UNFINISHED.search(text)
        self._rest = unfinished[0] if unfinished else ""
        for action in _ACTION.finditer(text, 0, len(text) - len(self._rest)):
            if action[3] is not None:
                self._put(action[3])
            else:
                self._act(action[2], int(action[1]) if action[1].isdecimal() else 0)

    def _put(self, character: str) -> None:
        if character == "\n":
            self._row += 1
            self.rows += [""] * (self._row + 1 - len(self.rows))
        elif character == "\r":
            self._column = 0
        else:
            row = self.rows[self._row].ljust(self._column)
            self.rows[self._row] = f"{row[: self._column]}{character}{row[self._column + 1 :]}"
            self._column += 1

    def _act(self, what: str, number: int) -> None:
        if what == "A":
            self._row -= number or 1
            assert self._row >= 0
        elif what == "D":
            self._column = max(self._column - (number or 1), 0)
        elif what == "K":
            assert number == 2
            self.rows[self._row] = ""
        elif what == "J":
            assert number == 0
            self.rows[self._row] = self.rows[self._row][: self._column]
            del self.rows[self._row + 1 :]
        else:
            assert what in "mhl", f"what is ESC [ … {what}?"


class World:
    platform: ClassVar[str] = "local"
    absent: ClassVar[Mapping[str, str]] = {
        "reactions": "buttons are there",
        "history": "what is typed while no bot runs is typed to nobody",
        "drop": "there is no connection",
        "refuse": "a screen takes what comes",
        "robots": "who sits at a keyboard is a person",
        "renames": "nobody is called anything but their id",
        "revoke": "there is no token",
    }
    columns, rows = 4000, 5000
    """So many that no line is broken, and all stays."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.channel, self.other = "#ops", "#dev"
        self.requests: list[Request] = []
        self.eyes = Eyes()
        self._folder = Path()
        self.keyboard = self.line = -1
        self._watching: threading.Thread | None = None
        self._there: dict[str, tuple[str, Seen]] = {}
        """The channel of each message, and how it stands there."""
        self._speaking = asyncio.Lock()

    async def __aenter__(self) -> World:
        self._folder = Path(tempfile.mkdtemp(prefix="terminal"))
        self.keyboard, self.line = os.openpty()
        termios.tcsetwinsize(self.line, (self.rows, self.columns))
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._watching.start()
        return self

    async def __aexit__(self, *failure: object) -> None:
        os.close(self.line)
        assert self._watching is not None
        self._watching.join(10)
        os.close(self.keyboard)
        shutil.rmtree(self._folder)

    def _watch(self) -> None:
        """Reads what is shown. A thread: a screen that nobody looks at holds up who writes on it."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        while True:
            try:
                data = os.read(self.keyboard, 65_536)
            except OSError:  # the other side is closed
                return
            if not data:
                return
            at = time.monotonic()
            self.eyes.take(decoder.decode(data))
            self._there = self._looked(at)

    def _looked(self, at: float) -> dict[str, tuple[str, Seen]]:
        """The messages on the screen, as they were written last; what is new came at that time."""
        there: dict[str, tuple[str, Seen]] = {}
        for number, who, where, thread, rows in [*_messages(self.eyes.rows)]:  # whole: rows come behind
            raw = "\n".join(rows)
            text = raw.replace("│ ", "")
            offers = _OFFERS.search(text)
            before = self._there.get(number)
            edits = before[1].edits + (raw != before[1].raw) if before is not None else 0
            if who == "bot" and (before is None or edits > before[1].edits):
                self.requests.append(Request(at, "edit" if edits else "send", number))
            verbs: Any = tuple(re.findall(r"\w+", offers[1])) if offers else ()
            text = text[: offers.start()].strip() if offers else text
            channel = f"direct({who})" if where == "direct" else where
            there[number] = channel, Seen(number, who, text, raw, thread, verbs, edits)
        return there

    def adapter(self) -> Adapter:
        return TerminalAdapter(self.keys, self.line, self.line)

    def user(self, person: str) -> str:
        return person

    async def direct(self, person: str) -> str:
        return f"direct({person})"

    def type(self, *lines: str) -> None:
        """All at once, as if pasted where it holds line ends."""
        pasted = (f"\x1b[200~{line}\x1b[201~\r" if "\n" in line else f"{line}\r" for line in lines)
        os.write(self.keyboard, "".join(pasted).encode())

    async def say(
        self,
        person: str,
        text: str,
        *,
        channel: str = "",
        thread: str = "",
        to_bot: bool = False,
        files: Sequence[Upload] = (),
    ) -> str:
        lines = _steps(person, channel or self.channel, thread)
        for file in files:
            path = self._folder / file.name
            path.write_bytes(file.content)
            lines.append(f".file {path}")
        said = f"@bot {text}" if to_bot else text
        async with self._speaking:
            before = self._there
            self.type(*lines, said)
            if termios.tcgetattr(self.line)[3] & termios.ECHO:
                return ""  # nobody listens

            def new() -> list[str]:
                return [id for id, (_, one) in self._there.items() if id not in before and one.who == person]

            found: list[str] = await until(new, lambda: f"{said!r}, but\n{self.screen}")
            return found[0]

    async def change(self, person: str, channel: str, message: str, text: str) -> None:
        self.type(*_steps(person, channel), f".edit {message} {text}")

    async def delete(self, person: str, channel: str, message: str) -> None:
        self.type(*_steps(person, channel), f".delete {message}")

    async def press(self, person: str, channel: str, message: str, verb: Verb) -> None:
        self.type(*_steps(person, channel), f".press {message} {verb}")

    async def seen(self, channel: str, thread: str | None = None) -> list[Seen]:
        there = [one for where, one in self._there.values() if where == channel and one.text != "(taken away)"]
        return [one for one in there if thread is None or one.thread == thread]

    until = until_seen

    @property
    def prompt(self) -> str:
        return self.eyes.rows[-1]

    @property
    def screen(self) -> str:
        return "\n".join(self.eyes.rows)

    async def redeliver(self) -> None:
        self.type(".redeliver")

    async def drop(self) -> None:
        raise NotImplementedError(self.absent["drop"])

    def refuse(self, seconds: float, times: int = 1) -> None:
        raise NotImplementedError(self.absent["refuse"])

    async def rename(self, person: str, name: str) -> None:
        raise NotImplementedError(self.absent["renames"])

    def revoke(self) -> None:
        raise NotImplementedError(self.absent["revoke"])

    def forbid(self, channel: str) -> None:
        """Nobody can: a screen takes what comes."""


def _steps(person: str, channel: str, thread: str = "") -> list[str]:
    """What has to be typed before somebody speaks somewhere."""
    where = ".direct" if channel.startswith("direct(") else f".in {channel}"
    return [f".as {person}", where, *([f".thread {thread}"] if thread else [])]


def _messages(rows: Sequence[str]) -> Iterator[tuple[str, str, str, str, list[str]]]:
    """The number of each message, who said it, in which channel and thread, and its lines."""
    now: list[str] | None = None
    for row in [*rows]:
        if (head := _MESSAGE.match(row)) is not None:
            now = [head[6] or ""]
            yield head[1], head[2], head[3], head[4] or "", now
        elif now is not None and (row.startswith("    ") or not row):
            now.append(row[4:])
        else:
            now = None
