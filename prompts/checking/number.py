"""A number as the model wrote it, and what a value is once it is plain JSON.

Nothing here knows a schema. Whether `01234` is a number or a ZIP code is decided in `coerce.py`.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Hashable
from decimal import Decimal
from typing import Final

from gemmagraph.prompts.messages import JSON

MAX_DEPTH: Final = 100
"""Objects and arrays nested deeper than this are no arguments of a tool."""

MAX_DIGITS: Final = min(4300, sys.get_int_max_str_digits() or 4300)
"""Integers with more digits than this are refused: Python writes none out, so that the first log line, JSON
text or message about one would fail."""

MOST_VALUES: Final = 1_000_000
"""More values than this in one call are refused."""

_EXACT_BELOW: Final = 2**53
"""Not every whole number from here on is a float."""
_TOO_BIG: Final = 10**MAX_DIGITS
_FEWER_DIGITS: Final = f"a number of at most {MAX_DIGITS} digits"
_DIGITS = r"[0-9](?:_?[0-9])*"
_INTEGER = re.compile(rf"[+-]?{_DIGITS}")
_PREFIXED = re.compile(r"[+-]?0(?:[xX](?:_?[0-9a-fA-F])+|[oO](?:_?[0-7])+|[bB](?:_?[01])+)")
_FLOAT = re.compile(rf"[+-]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?")
_LEADING_ZERO = re.compile(r"[+-]?0[0-9_]+")


class Number:
    """A numeric literal that keeps its text, so that whoever knows the schema can decide what it means."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text
        """The literal as it was written: `0123`, `1e3`, `5.0`, `0x1F`, `1_000`, `+7`."""

    def __repr__(self) -> str:
        return f"Number({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def value(self) -> int | float:
        """The number meant, in Python's or JSON's spelling; integers are exact, also if they are written with `.0`;
        leading zeros are ignored.

        Raises:
            ValueError: it is no number, too big for a float, or has more than `MAX_DIGITS` digits.
        """
        text = self.text
        if len(text) < 18 and text.isdigit() and text.isascii():
            return int(text)
        if len(text) > MAX_DIGITS + 100:
            raise ValueError("the number is too long")
        if _INTEGER.fullmatch(text):
            return _bounded(int(text))
        if _PREFIXED.fullmatch(text):
            return _bounded(int(text, 0))
        if not _FLOAT.fullmatch(text):
            raise ValueError(f"{text!r} is no number")
        number = float(text)
        if math.isinf(number):
            raise ValueError("the number is too big")
        if abs(number) >= _EXACT_BELOW and "e" not in text.lower() and self._is_whole():
            exact = int(Decimal(text))
            return number if exact == number else _bounded(exact)
        return number

    def integer(self) -> int:
        """The whole number meant: `5.0` is 5 and `1e3` is 1000, with every digit kept.

        Raises:
            ValueError: it is no whole number, or `value` refuses it.
        """
        number = self.value()
        if isinstance(number, int):
            return number
        if not self._is_whole():
            raise ValueError(f"{self.text!r} is not whole")
        return _bounded(int(Decimal(self.text))) if number else 0

    def natural(self) -> int | float | str:
        """What it means where no schema says more: its value, or its text if the value would lose a leading
        zero, which no number in Python or JSON has, or would be whole although the text is not (`1e-400`).

        Raises:
            ValueError: as `value`.
        """
        number = self.value()
        rounded = isinstance(number, float) and number.is_integer() and not self._is_whole()
        return self.text if rounded or _LEADING_ZERO.fullmatch(self.text) else number

    def _is_whole(self) -> bool:
        """Whether a literal that is a float has no fraction, digit by digit."""
        try:
            exact = Decimal(self.text)
        except ArithmeticError:  # an exponent beyond all bounds
            return False
        return not exact or (exact.adjusted() >= 0 and exact == exact.to_integral_value())


class NotPlain(Exception):
    """A value that JSON cannot hold. `path` leads to it."""

    def __init__(self, value: object, expected: str) -> None:
        super().__init__(expected)
        self.value = value
        self.expected = expected
        self.path: list[str | int] = []


def plain(value: object, depth: int = 0) -> JSON:
    """`value` with every `Number` in it resolved.

    Args:
        value: what the model wrote.
        depth: how deep it stands itself.

    Raises:
        NotPlain: there is something in it that is no JSON, too big or nested too deeply.
    """
    if value is None or type(value) in (str, bool):
        return value
    if isinstance(value, Number):
        try:
            return value.natural()
        except ValueError:
            short = len(value.text) < MAX_DIGITS
            raise NotPlain(value, "a number below 1e308" if short else _FEWER_DIGITS) from None
    if isinstance(value, int | float) and type(value) in (int, float):
        if not is_finite(value):
            raise NotPlain(value, "a finite number" if isinstance(value, float) else _FEWER_DIGITS)
        return value
    if not isinstance(value, list | dict):
        raise NotPlain(value, "a JSON value")
    if depth >= MAX_DEPTH:
        raise NotPlain(value, f"a value nested at most {MAX_DEPTH} levels deep")
    found = []
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(value, dict) and not isinstance(key, str):
            raise NotPlain(key, "a string as key")
        try:
            found.append((key, plain(item, depth + 1)))
        except NotPlain as problem:
            problem.path.insert(0, key)
            raise
    return dict(found) if isinstance(value, dict) else [item for _, item in found]


def size(value: object) -> int:
    """How many values there are in `value`, the text of an array or object counted by its length; at most
    `MOST_VALUES`."""
    count = 0
    waiting = [value]
    while waiting and count < MOST_VALUES:
        item = waiting.pop()
        count += 1
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str) and may_be_json(item):
            count += len(item) // 4
    return min(count, MOST_VALUES)


def may_be_json(text: str) -> bool:
    """Whether it may be the text of an array or object."""
    return text.lstrip()[:1] in ("[", "{")


def is_finite(number: int | float) -> bool:
    """Whether it can be written as JSON."""
    return math.isfinite(number) if isinstance(number, float) else -_TOO_BIG < number < _TOO_BIG


def identity(value: JSON) -> Hashable:
    """A key that is equal for equal JSON values: 1 and 1.0 are equal, 1 and true are not."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list):
        return ("list", *map(identity, value))
    if isinstance(value, dict):
        return frozenset((key, identity(item)) for key, item in value.items())
    return value  # type: ignore[no-any-return]  # str, int, float or None


def _bounded(number: int) -> int:
    if not -_TOO_BIG < number < _TOO_BIG:
        raise ValueError("the number has too many digits")
    return number
