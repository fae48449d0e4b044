"""Numbers in a grammar, between bounds.

What is written is what Python and JSON write: no leading zeros, no plus sign, an exponent behind a single digit.
Numbers have at most 18 digits before and 17 behind the point, exponents are from -323 to 307: a model that cannot
stop writing digits is stopped, an integer fits 64 bits, and what has a point or an exponent can be read as a float.
Between bounds an exponent is written only where Python would write one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from gemmagraph.prompts.grammar.gbnf import NOTHING, behind, either, literal
from gemmagraph.prompts.messages import JSON

_MOST_DIGITS: Final = 18
_MOST_DECIMALS: Final = 17
_BEYOND: Final = 10**_MOST_DIGITS - 1
_FRACTION: Final = rf'"." [0-9]{{1,{_MOST_DECIMALS}}}'
_ANY_DIGITS: Final = rf"[0-9]{{0,{_MOST_DECIMALS - 1}}}"
_MANTISSA: Final = rf"[1-9] ({_FRACTION})?"
_SCIENTIFIC: Final = (
    rf'{_MANTISSA} "e" ("+" ([0-9]{{1,2}} | [12] [0-9] [0-9] | "30" [0-7])'
    r' | "-" ([0-9]{1,2} | [12] [0-9] [0-9] | "3" [01] [0-9] | "32" [0-3]))'
)
_SMALLEST: Final = 323
_GREATEST: Final = 307
_MOST_MULTIPLES: Final = 200


def integer(low: Decimal | None, high: Decimal | None) -> str | None:
    """Whole numbers from `low` to `high`; None if there are none."""
    first = -_BEYOND if low is None else int(low.to_integral_value(ROUND_CEILING))
    last = _BEYOND if high is None else int(high.to_integral_value(ROUND_FLOOR))
    found = []
    if first < 0 and first <= last:
        found.append(f'"-" {either(_between(max(1, -last), min(-first, _BEYOND)))}')
    if last >= 0 and first <= last:
        found += _between(max(0, first), min(last, _BEYOND))
    return either(found) if found else None


def number(low: Decimal | None, high: Decimal | None) -> str | None:
    """Numbers from `low` to `high`, whole ones among them; None if none can be spelled."""
    found = []
    if low is None or low <= 0:
        most = None if low is None else -low
        least = Decimal(0) if high is None or high >= 0 else -high
        below = list(_positive(least, most))
        if below:
            found.append(f'"-" {either(below)}')
    if high is None or high >= 0:
        found += _positive(Decimal(0) if low is None or low < 0 else low, high)
    return either(found) if found else None


def multiples(low: Decimal | None, high: Decimal | None, of: JSON) -> list[int] | None:
    """The whole numbers between two bounds that are multiples of a number; None if they are too many to list."""
    step = Decimal(str(of))
    if low is None or high is None or high - low > step * _MOST_MULTIPLES:
        return None
    first = (low / step).to_integral_value(ROUND_CEILING)
    last = (high / step).to_integral_value(ROUND_FLOOR)
    found = (step * count for count in range(int(first), int(last) + 1))
    return [int(each) for each in found if each == each.to_integral_value()]


def bounds(schema: Mapping[str, JSON], whole: bool) -> tuple[Decimal | None, Decimal | None]:
    """The lowest and the highest number that a schema allows; of an exclusive bound, one so near that a float can
    still tell them apart."""
    low = [Decimal(str(schema["minimum"]))] if "minimum" in schema else []
    high = [Decimal(str(schema["maximum"]))] if "maximum" in schema else []
    if "exclusiveMinimum" in schema:
        edge = Decimal(str(schema["exclusiveMinimum"]))
        low.append(edge.to_integral_value(ROUND_FLOOR) + 1 if whole else edge + _near(edge))
    if "exclusiveMaximum" in schema:
        edge = Decimal(str(schema["exclusiveMaximum"]))
        high.append(edge.to_integral_value(ROUND_CEILING) - 1 if whole else edge - _near(edge))
    return max(low, default=None), min(high, default=None)


def _near(edge: Decimal) -> Decimal:
    return Decimal("1e-9") + abs(edge) * Decimal("1e-12")


# Digits


def _between(first: int, last: int) -> list[str]:
    """Whole numbers of at least 0, from `first` to `last`, as alternatives of which each begins differently or has
    another length."""
    found = []
    low, high = str(first), str(last)
    if low == "0":
        found.append(literal("0"))
        low = "1"
    if int(low) > last:
        return found
    if len(low) < len(high):
        found += _same_length(low, "9" * len(low))
        if len(high) - len(low) > 1:
            found.append(f"[1-9] [0-9]{{{len(low)},{len(high) - 2}}}")
        low = "1" + "0" * (len(high) - 1)
    return [*found, *_same_length(low, high)]


def _same_length(low: str, high: str) -> Iterator[str]:
    """Digits of one length from `low` to `high`."""
    if low == high:
        yield literal(low)
        return
    if low[0] == high[0]:
        yield f"{literal(low[0])} {either(_same_length(low[1:], high[1:]))}"
        return
    first, last = low[0], high[0]
    if low[1:].strip("0"):
        yield f"{literal(first)} {either(_same_length(low[1:], '9' * len(low[1:])))}"
        first = chr(ord(first) + 1)
    if high[1:].strip("9"):
        last = chr(ord(last) - 1)
    if first <= last:
        yield _digit(first, last) + _digits(len(low) - 1)
    if high[1:].strip("9"):
        yield f"{literal(high[0])} {either(_same_length('0' * len(high[1:]), high[1:]))}"


def _digit(first: str, last: str) -> str:
    return literal(first) if first == last else f"[{first}-{last}]"


def _digits(count: int) -> str:
    return "" if not count else " [0-9]" if count == 1 else f" [0-9]{{{count}}}"


# Digits behind the point


def _positive(low: Decimal, high: Decimal | None) -> Iterator[str]:
    """Numbers of at least 0, without a sign."""
    if high is None and not low:
        yield f'("0" | [1-9] [0-9]{{0,{_MOST_DIGITS - 1}}}) ({_FRACTION})?'
        yield _SCIENTIFIC
        return
    yield from _with_exponent(low, high)
    if high is None or high > _BEYOND:
        high = Decimal(_BEYOND)
    if low > high:
        return
    first, last = int(low), int(high)
    over, under = _decimals(low), _decimals(high)
    if first == last:
        yield behind(literal(str(first)), _from_to(over, under))
        return
    if over:
        yield f'{literal(str(first))} "." {_at_least(over)}'
        first += 1
    yield f"{literal(str(last))} {_from_to('', under)}"
    if first < last:
        yield f"{either(_between(first, last - 1))} ({_FRACTION})?"


def _with_exponent(low: Decimal, high: Decimal | None) -> Iterator[str]:
    """Such numbers as Python writes with an exponent: below 0.0001, and from 10**16 on if there is no upper bound."""
    size = low.adjusted()
    power = size if low == Decimal(1).scaleb(size) else size + 1  # the first of ten that is not below `low`
    first = 5 if high is None else max(5, 1 - high.adjusted())
    last = min(_SMALLEST, -power) if low else _SMALLEST
    if high != 0 and first <= last:
        single = [f'"0" {either(_between(first, min(last, 9)))}'] if first < 10 else []
        longer = _between(max(first, 10), last) if last > 9 else []
        yield f'{_MANTISSA} "e-" {either([*single, *longer])}'
    if high is None and power <= _GREATEST:
        yield f'{_MANTISSA} "e+" {either(_between(max(16, power), _GREATEST))}'


def _decimals(value: Decimal) -> str:
    """The digits behind the point."""
    return f"{value:f}".partition(".")[2].rstrip("0")


def _from_to(low: str, high: str) -> str:
    """A point and digits behind it from `low` to `high`; no point if there need not be one."""
    if low:
        size = max(len(low), len(high))
        return f'"." {_same_start(low.ljust(size, "0"), high.ljust(size, "0"))}'
    return f'("." {_at_most(high)})?' if high else '(".0")?'


def _same_start(low: str, high: str) -> str:
    if not low.strip("0"):
        return f"({_at_most(high)})?" if high.strip("0") else NOTHING
    if low[0] == high[0]:
        return behind(literal(low[0]), _same_start(low[1:], high[1:]))
    first, last = chr(ord(low[0]) + 1), chr(ord(high[0]) - 1)
    found = [f"{literal(low[0])} {_at_least(low[1:])}", behind(literal(high[0]), _same_start("0", high[1:]))]
    return either([*found, f"{_digit(first, last)} {_ANY_DIGITS}"] if first <= last else found)


def _at_least(digits: str) -> str:
    """Digits behind a point, or some more of them, that are not below these."""
    if not digits.strip("0"):
        return _ANY_DIGITS
    same = f"{literal(digits[0])} {_at_least(digits[1:])}"
    return same if digits[0] == "9" else either([same, f"{_digit(chr(ord(digits[0]) + 1), '9')} {_ANY_DIGITS}"])


def _at_most(digits: str) -> str:
    """Digits behind a point, at least one, that are not above these."""
    same = behind(literal(digits[0]), _same_start("0", digits[1:]))
    return same if digits[0] == "0" else either([same, f"{_digit('0', chr(ord(digits[0]) - 1))} {_ANY_DIGITS}"])
