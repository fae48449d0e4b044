"""A line that is being typed, key by key: what is said meanwhile is written above it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

Event: TypeAlias = str | Literal[b"end", b"stop"]
"""A line that was entered; or the end of the input; or Ctrl-C where there was nothing to drop."""

_KEY: Final = re.compile(
    r"\x1b\[200~(?P<paste>[\s\S]*?)\x1b\[201~|\x1b[\[O](?!200~)(?P<code>[0-9;]*[A-Za-z~])|\x1b[^\[O]|(?P<char>[^\x1b])"
)
_MOVES: Final = {
    "D": "left",
    "C": "right",
    "A": "up",
    "B": "down",
    "H": "home",
    "F": "end",
    "1~": "home",
    "4~": "end",
}
_CONTROLS: Final = {"\x01": "home", "\x05": "end", "\x02": "left", "\x06": "right", "\x10": "up", "\x0e": "down"}
_LINE_ENDS: Final = "\r\n"
_MOST: Final = 100_000
"""Characters of a line."""


class Keys:
    def __init__(self) -> None:
        self.text = ""
        self.at = 0
        """Where the cursor is."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._history: list[str] = []
        self._back = 0
        """How far back in the history."""

    def typed(self, data: bytes) -> Iterator[Event]:
        """Takes keys; gives what they come to."""
        keys, end = self._rest + self._decoder.decode(data), 0
        while (key := _KEY.match(keys, end)) is not None:
            end = key.end()
            if (pasted := key["paste"]) is not None:
                self._insert(pasted.replace("\r\n", "\n").replace("\r", "\n"))
            elif key["code"] is not None:
                self._move(_MOVES.get(key["code"], ""), key["code"])
            elif (char := key["char"]) is not None and (event := self._char(char)) is not None:
                yield event
        self._rest = keys[end:][:_MOST]  # a paste may never end

    def _char(self, char: str) -> Event | None:
        if char in _LINE_ENDS:
            return self._entered()
        if char == "\x03":
            dropped = bool(self.text)
            self.text, self.at = "", 0
            return None if dropped else b"stop"
        if char == "\x04" and not self.text:
            return b"end"
        if char in "\x7f\x08":
            self._drop(self.at - 1, self.at)
        elif char == "\x04":
            self._drop(self.at, self.at + 1)
        elif char == "\x15":
            self._drop(0, self.at)
        elif char == "\x0b":
            self._drop(self.at, len(self.text))
        elif char == "\x17":
            self._drop(len(self.text[: self.at].rstrip().rpartition(" ")[0]), self.at)
        elif char in _CONTROLS:
            self._move(_CONTROLS[char], "")
        elif char >= " ":
            self._insert(char)
        return None

    def _entered(self) -> str | None:
        """The line, unless it goes on after its end."""
        if (begun := goes_on(self.text)) is not None:
            self.text = f"{begun}\n"
            self.at = len(self.text)
            return None
        text, self.text, self.at, self._back = ended(self.text), "", 0, 0
        if text and self._history[-1:] != [text]:
            self._history.append(text)
        return text

    def _insert(self, text: str) -> None:
        if len(self.text) + len(text) <= _MOST:
            self.text = f"{self.text[: self.at]}{text}{self.text[self.at :]}"
            self.at += len(text)

    def _drop(self, begin: int, end: int) -> None:
        begin = max(begin, 0)
        self.text, self.at = f"{self.text[:begin]}{self.text[end:]}", begin

    def _move(self, where: str, code: str) -> None:
        match where:
            case "left":
                self.at = max(self.at - 1, 0)
            case "right":
                self.at = min(self.at + 1, len(self.text))
            case "home":
                self.at = 0
            case "end":
                self.at = len(self.text)
            case "up" | "down":
                self._back = min(max(self._back + (1 if where == "up" else -1), 0), len(self._history))
                self.text = self._history[-self._back] if self._back else ""
                self.at = len(self.text)
        if code == "3~":
            self._drop(self.at, self.at + 1)


def goes_on(line: str) -> str | None:
    """A line without the `\\` at its end that lets it go on; None if it does not."""
    return line[:-1] if line.endswith("\\") and not line.endswith("\\\\") else None


def ended(line: str) -> str:
    """A line that does not go on: two `\\` at its end stand for one."""
    return line[:-1] if line.endswith("\\\\") else line
