"""The lines of IRC: RFC 1459 with the message tags of IRCv3.

    @account=ann;msgid=x1 :ann!a@host PRIVMSG #ops :bot: is the shop up?

Any bytes are some line: what a hostile server sends is read without an error, and means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

LONGEST: Final = 16_384
"""Bytes of a line that is read: 8,191 of tags and as much again. Servers send less."""

_TAG: Final = {r"\:": ";", r"\s": " ", r"\\": "\\", r"\r": "\r", r"\n": "\n"}
_FORMATTING: Final = re.compile(
    r"\x03(?:\d{1,2}(?:,\d{1,2})?)?|\x04(?:[0-9A-Fa-f]{6}(?:,[0-9A-Fa-f]{6})?)?|[\x02\x0f\x11\x16\x1d-\x1f]"
)
_RFC1459: Final = str.maketrans("[]\\~", "{}|^")
_STRICT: Final = str.maketrans("[]\\", "{}|")


@dataclass(frozen=True, slots=True)
class Line:
    command: str
    params: tuple[str, ...] = ()
    source: str = ""
    """`nick!user@host`, or the name of a server."""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def nick(self) -> str:
        return self.source.partition("!")[0]

    @property
    def last(self) -> str:
        return self.params[-1] if self.params else ""

    def param(self, number: int) -> str:
        """Empty if there are not so many."""
        return self.params[number] if number < len(self.params) else ""


def parse(raw: bytes) -> Line:
    rest = re.sub(r"[\r\n\0]", " ", raw.decode("utf-8", "replace")).strip(" ")
    tags, source = {}, ""
    if rest.startswith("@"):
        said, _, rest = rest[1:].partition(" ")
        for tag in said.split(";"):
            name, _, value = tag.partition("=")
            tags[name] = _unescaped(value)
    rest = rest.lstrip(" ")
    if rest.startswith(":"):
        source, _, rest = rest[1:].partition(" ")
    middle, colon, trailing = (" " + rest).partition(" :")
    words = middle.split(" ")
    params = [word for word in words if word]
    command = params.pop(0).upper() if params else ""
    return Line(command, (*params, trailing) if colon else tuple(params), source, tags)


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.?)", lambda found: _TAG.get(found.group(), found.group(1)), value, flags=re.DOTALL)


def written(command: str, *params: str) -> bytes:
    """A line to send. The last parameter may hold blanks; line ends and NUL are nowhere.

    Raises:
        ValueError: it would be another line than it should.
    """
    *middle, last = params or ("",)
    if not last or " " in last or last[0] == ":":
        last = f":{last}"
    line = " ".join([command, *middle, last] if params else [command])
    if re.search(r"[\r\n\0]", line) or any(not word or " " in word or word[0] == ":" for word in middle):
        raise ValueError("a parameter that is none")
    return line.encode("utf-8", "replace") + b"\r\n"


def lowering(casemapping: str) -> Callable[[str], str]:
    """How a server tells whether two names are the same (CASEMAPPING of its ISUPPORT)."""
    if casemapping == "ascii":
        return _ascii
    if casemapping in ("strict-rfc1459", "rfc1459-strict"):
        return lambda name: _ascii(name).translate(_STRICT)
    if casemapping in ("rfc7613", "rfc8265", "precis"):
        return str.casefold
    return lambda name: _ascii(name).translate(_RFC1459)


def _ascii(name: str) -> str:
    return re.sub("[A-Z]+", lambda found: found.group().lower(), name)


def unformatted(text: str) -> str:
    """What people read: without colours, bold and the like."""
    return _FORMATTING.sub("", text)
