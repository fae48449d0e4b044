"""The string formats that are asserted, and patterns in ECMA's meaning. No other format is looked at.

`date-time` and `time` are those of RFC 3339, with an offset. Python's own types are content with less: what they take
has names of its own here, of which `-local` has no offset, and `-or-local` may have one. Seconds may be left out, or
the whole time behind a date, and a blank may stand for the `T`.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_HOUR = r"(?:[01]\d|2[0-3]):[0-5]\d"
_OFFSET = rf"(?:[zZ]|[+-]{_HOUR})"
_TIME = re.compile(rf"{_HOUR}:[0-5]\d(?:\.\d+)?{_OFFSET}", re.ASCII)
_LOCAL = re.compile(rf"{_HOUR}(?::[0-5]\d(?:\.\d+)?)?", re.ASCII)
_OR_LOCAL = re.compile(rf"{_LOCAL.pattern}{_OFFSET}?", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CHAR = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
_URI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:"
    rf"(?://(?:{_CHAR}*|(?:[^@/?#\[\]\s]*@)?\[[0-9A-Fa-fvV:.]+\](?::[0-9]*)?)(?=[/?#]|\Z))?"
    rf"(?:{_CHAR}|/)*(?:\?(?:{_CHAR}|[/?])*)?(?:#(?:{_CHAR}|[/?])*)?"
)


def is_format(name: str, text: str) -> bool:
    """Whether `text` has the format; true of a format that is not asserted."""
    check = _CHECKS.get(name)
    return check is None or check(text)


def python_pattern(pattern: str) -> str:
    """An ECMA pattern as Python's `re` has to read it.

    `$` is the end of the text and not the place before a last newline, `\\d` and `\\w` are ASCII, groups are
    named `(?<name>…)`.

    Raises:
        re.error: Python cannot read it.
    """
    found: list[str] = []
    in_class = False
    pos = 0
    while pos < len(pattern):
        char = pattern[pos]
        if char == "\\":
            found.append(pattern[pos : pos + 2])
            pos += 2
            continue
        if char == "(" and not in_class and re.match(r"\(\?<(?![=!])", pattern[pos : pos + 4]):
            found.append("(?P<")
            pos += 3
            continue
        if char == "[":
            in_class = True
        elif char == "]":
            in_class = False
        found.append(r"\Z" if char == "$" and not in_class else char)
        pos += 1
    translated = f"(?a:{''.join(found)})"
    re.compile(translated)
    return translated


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_date_time(time: re.Pattern[str], text: str, between: tuple[str, ...] = ("T", "t")) -> bool:
    return text[10:11] in between and _is_date(text[:10]) and time.fullmatch(text[11:]) is not None


def _is_pythons(time: re.Pattern[str], text: str) -> bool:
    return _is_date(text) or _is_date_time(time, text, ("T", "t", " "))


def _is_address(make: Callable[[str], object], text: str) -> bool:
    try:
        make(text)
    except ValueError:
        return False
    return "%" not in text


_CHECKS: Final[Mapping[str, Callable[[str], bool]]] = MappingProxyType(
    {
        "date": _is_date,
        "date-time": partial(_is_date_time, _TIME),
        "date-time-local": partial(_is_pythons, _LOCAL),
        "date-time-or-local": partial(_is_pythons, _OR_LOCAL),
        "time": lambda text: _TIME.fullmatch(text) is not None,
        "time-local": lambda text: _LOCAL.fullmatch(text) is not None,
        "time-or-local": lambda text: _OR_LOCAL.fullmatch(text) is not None,
        "email": lambda text: _EMAIL.fullmatch(text) is not None,
        "uuid": lambda text: _UUID.fullmatch(text) is not None,
        "uri": lambda text: _URI.fullmatch(text) is not None,
        "ipv4": lambda text: _is_address(ipaddress.IPv4Address, text),
        "ipv6": lambda text: _is_address(ipaddress.IPv6Address, text),
    }
)

FORMAT_EXAMPLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "date": "2026-05-04",
        "date-time": "2026-05-04T09:30:00Z",
        "date-time-local": "2026-05-04T09:30:00",
        "date-time-or-local": "2026-05-04T09:30:00",
        "time": "09:30:00Z",
        "time-local": "09:30:00",
        "time-or-local": "09:30:00",
        "email": "ann@example.org",
        "uuid": "123e4567-e89b-42d3-a456-426614174000",
        "uri": "https://example.org/page",
        "ipv4": "192.0.2.1",
        "ipv6": "2001:db8::1",
    }
)
"""A text of each asserted format."""
STANDARD: Final[Mapping[str, str]] = MappingProxyType(
    {"date-time-or-local": "date-time", "time-or-local": "time", "date-time-local": "", "time-local": ""}
)
"""Formats that only we know, and what comes near each, as others know it; "" if nothing does."""
