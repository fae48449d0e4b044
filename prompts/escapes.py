"""The escapes of quoted strings, as Python and as JSON read them."""

from __future__ import annotations

import re
import unicodedata

_ESCAPE = re.compile(
    r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|N\{([^}\n]{1,80})\}|(.))",
    re.DOTALL,
)
_JSON_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\\": "\\", "'": "'", '"': '"'}
_PYTHON_SIMPLE = {**_SIMPLE, "a": "\a", "v": "\v", "\n": ""}
_JSON_SIMPLE = {**_SIMPLE, "/": "/"}


_PATH = re.compile(r"[A-Za-z]:(?:\\[^\\/:*?\"<>|\n]{1,255}){2,40}")
_CONTROL = re.compile(r"(?<!\\)(?:\\\\)*\\[abfnrtvx0-7]")
_RARE = re.compile(r"(?<!\\)(?:\\\\)*\\[abfv]")
_UNKNOWN = re.compile(r"(?<!\\)(?:\\\\)*\\[^\\'\"/abfnrtvxuUN0-7\n]")


def is_half_escaped(body: str) -> bool:
    """Whether backslashes in a quoted string are plainly meant as they stand, and yet some would be read as
    escapes: a path (`C:\\new`) or a regular expression (`\\d+\\b`) whose backslashes were not doubled."""
    if _PATH.fullmatch(body):
        return _CONTROL.search(body) is not None
    return _UNKNOWN.search(body) is not None and _RARE.search(body) is not None


def unescaped(body: str, python: bool) -> str:
    """The inside of a quoted string with its escapes read. What is no escape stays as it is, backslash included."""
    body = _ESCAPE.sub(_python_escape, body) if python else _JSON_ESCAPE.sub(_json_escape, body)
    return _SURROGATES.sub(_join_surrogates, body)


def _python_escape(match: re.Match[str]) -> str:
    octal, x, u, long_u, name, char = match.groups()
    if octal:
        return chr(int(octal, 8))
    for digits in (x, u, long_u):
        if digits:
            code = int(digits, 16)
            return chr(code) if code < 0x110000 else match.group()
    if name:
        try:
            return unicodedata.lookup(name)
        except KeyError:
            return match.group()
    return _PYTHON_SIMPLE.get(char, match.group())


def _json_escape(match: re.Match[str]) -> str:
    digits, char = match.groups()
    return chr(int(digits, 16)) if digits else _JSON_SIMPLE.get(char, match.group())


def _join_surrogates(match: re.Match[str]) -> str:
    high, low = ord(match.group()[0]), ord(match.group()[1])
    return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)
