"""Durations, sizes and rates as people write them: `10s`, `1MiB`, `30/min`. Numbers are taken as they are."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_FACTORS: Final = {
    "": 1,
    "k": 1000,
    "K": 1000,
    "M": 1000**2,
    "G": 1000**3,
    "Ki": 1024,
    "Mi": 1024**2,
    "Gi": 1024**3,
}
_PERIODS: Final = {"s": 1, "sec": 1, "min": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400}

# ECMA and Python read these alike. The look-ahead wants a digit above 0. With three digits after the point, an
# amount of a thousand or more of something is a whole number of it, but for rounding.
_SOME: Final = "(?=[0-9.]*[1-9])"
_COUNT: Final = r"([0-9]{1,12}(?:\.[0-9]{1,3}(?=[kKMG]))?)"
DURATION_PATTERN: Final = rf"^{_SOME}([0-9]{{1,12}}(?:\.[0-9]{{1,12}})?)(ms|s|m|h|d)$"
SIZE_PATTERN: Final = rf"^{_SOME}{_COUNT}([kKMG]|[KMG]i)?B?$"
RATE_PATTERN: Final = rf"^{_SOME}{_COUNT}([kKMG])?/(s|sec|min|h|hour|d|day)$"

DURATION: Final = "a duration: 500ms, 10s, 2m, 1h, 1d or a number of seconds"
SIZE: Final = "a size: 2000, 20k, 1MiB"
RATE: Final = "a rate: 30/min, 200k/day"

_DURATION = re.compile(DURATION_PATTERN)
_SIZE = re.compile(SIZE_PATTERN)
_RATE = re.compile(RATE_PATTERN)


@dataclass(frozen=True, slots=True)
class Rate:
    count: int
    """How many, at most."""
    seconds: int
    """Within how long."""


def seconds(duration: str | float) -> float:
    """A duration in seconds.

    Raises:
        ValueError: it is none; the message says what one looks like.
    """
    if isinstance(duration, str):
        match = _match(_DURATION, duration, DURATION)
        return _number(match[1]) * _SECONDS[match[2]]
    return _positive(duration, DURATION)


def size(amount: str | float) -> int:
    """A number of bytes, characters or tokens.

    Raises:
        ValueError: it is none, or not a whole one.
    """
    if isinstance(amount, str):
        match = _match(_SIZE, amount, SIZE)
        return _count(match[1], match[2])
    if _positive(amount, SIZE) != int(amount):
        raise ValueError(f"{amount!r} is not {SIZE}, a whole number")
    return int(amount)


def rate(text: str) -> Rate:
    """How many within how long.

    Raises:
        ValueError: it says neither.
    """
    match = _match(_RATE, text, RATE)
    return Rate(_count(match[1], match[2]), _PERIODS[match[3]])


def _match(pattern: re.Pattern[str], text: str, what: str) -> re.Match[str]:
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not {what}")
    return match


def _count(digits: str, unit: str | None) -> int:
    return round(_number(digits) * _FACTORS[unit or ""])


def _number(digits: str) -> float:
    return float(digits) if "." in digits else int(digits)


def _positive(value: float, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{value!r} is not {what}, above 0")
    return value
