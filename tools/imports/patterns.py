"""Which patterns of a schema from elsewhere may be used: those that cannot keep a matcher busy.

A pattern is taken if it is a row of characters and classes, each with a count, as in `^[A-Z]{2}-[0-9]+$`: no groups,
no choices, nothing looked ahead for. Where a count leaves a choice, what follows must begin with something else, so
that there is never more than one way to read a text; and a count without an end must stand in a pattern that begins
with `^`. Then the work grows with the text, not with its square.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

Chars: TypeAlias = tuple[tuple[int, int], ...]
"""Ranges of code points, in order."""

_LONGEST: Final = 1_000
_LAST: Final = 0x10FFFF
_HIGHEST_COUNT: Final = 1_000
"""Of a pattern that may begin anywhere."""
_COUNT: Final = re.compile(r"\{(\d{1,9})(,(\d{0,9}))?\}")
_NAMED: Final[dict[str, Chars]] = {
    "d": ((48, 57),),
    "w": ((48, 57), (65, 90), (95, 95), (97, 122)),
    "s": ((9, 13), (32, 32)),
}
"""As Python reads them when it is told to keep to ASCII."""
_CONTROLS: Final = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "0": 0}


def linear(pattern: str) -> bool:
    """Whether the work of matching it grows only with the text."""
    if len(pattern) > _LONGEST:
        return False
    try:
        atoms = list(_atoms(pattern.removeprefix("^").removesuffix("$")))
    except ValueError:
        return False
    ends = pattern.endswith("$")
    if not pattern.startswith("^") and any(atom.most is None or atom.most > _HIGHEST_COUNT for atom in atoms):
        return False
    return all(
        atom.least == atom.most or not _overlap(atom.chars, _following(atoms, index, ends))
        for index, atom in enumerate(atoms)
    )


@dataclass(frozen=True, slots=True)
class _Atom:
    chars: Chars
    least: int
    most: int | None
    """None: there is no end."""


def _following(atoms: list[_Atom], index: int, ends: bool) -> Chars:
    """What can come first behind an atom, if the match is not over there."""
    found: list[tuple[int, int]] = []
    for atom in atoms[index + 1 :]:
        found += atom.chars
        if atom.least:
            return _merged(found)
    return _merged(found) if ends else ()


def _atoms(text: str) -> Iterator[_Atom]:
    """
    Raises:
        ValueError: there is something else than characters, classes and counts.
    """
    at = 0
    while at < len(text):
        chars, at = _class(text, at) if text[at] == "[" else _one(text, at)
        least = 1
        most: int | None = 1
        if at < len(text) and text[at] in "*+?":
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[text[at]]
            at += 1
        elif at < len(text) and text[at] == "{":
            found = _COUNT.match(text, at)
            if found is None:
                raise ValueError("a brace")
            least = int(found[1])
            most = least if not found[2] else int(found[3]) if found[3] else None
            at = found.end()
        if at < len(text) and text[at] in "*+?{":
            raise ValueError("a count of a count")
        yield _Atom(chars, least, most)


def _one(text: str, at: int) -> tuple[Chars, int]:
    """One character outside of a class, or an escape."""
    char = text[at]
    if char == "\\":
        return _escape(text, at)
    if char == ".":
        return _without(((10, 10),)), at + 1
    if char in "()|^$*+?{}]":
        raise ValueError(char)
    return ((ord(char), ord(char)),), at + 1


def _class(text: str, at: int) -> tuple[Chars, int]:
    at += 1
    negated = text[at : at + 1] == "^"
    at += negated
    found: list[tuple[int, int]] = []
    while at < len(text) and text[at] != "]":
        low, at = _member(text, at)
        if text[at : at + 1] == "-" and text[at + 1 : at + 2] not in ("", "]"):
            high, at = _member(text, at + 1)
            if len(low) != 1 or low[0][0] != low[0][1] or len(high) != 1 or high[0][0] < low[0][0]:
                raise ValueError("a range")
            low = ((low[0][0], high[0][1]),)
        found += low
    if at >= len(text) or not found:
        raise ValueError("a class")
    chars = _merged(found)
    return (_without(chars) if negated else chars), at + 1


def _member(text: str, at: int) -> tuple[Chars, int]:
    if text[at] == "\\":
        return _escape(text, at)
    if text[at] == "[" or text[at : at + 2] in ("--", "&&", "~~", "||"):  # Python warns that these may mean more
        raise ValueError("a set of sets")
    return ((ord(text[at]), ord(text[at])),), at + 1


def _escape(text: str, at: int) -> tuple[Chars, int]:
    char = text[at + 1 : at + 2]
    if chars := _NAMED.get(char.lower()):
        return (chars if char.islower() else _without(chars)), at + 2
    for letter, digits in (("x", 2), ("u", 4)):
        if char == letter and re.fullmatch(f"[0-9A-Fa-f]{{{digits}}}", text[at + 2 : at + 2 + digits], re.ASCII):
            code = int(text[at + 2 : at + 2 + digits], 16)
            return ((code, code),), at + 2 + digits
    if char in _CONTROLS and not text[at + 2 : at + 3].isdecimal():
        return ((_CONTROLS[char],) * 2,), at + 2
    if not char or char.isalnum():  # a border, a back-reference, or what Python does not know
        raise ValueError("an escape")
    return ((ord(char), ord(char)),), at + 2


def _merged(ranges: list[tuple[int, int]]) -> Chars:
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return tuple(found)


def _without(chars: Chars) -> Chars:
    """All other characters."""
    found, begin = [], 0
    for low, high in chars:
        if low > begin:
            found.append((begin, low - 1))
        begin = high + 1
    return (*found, (begin, _LAST)) if begin <= _LAST else tuple(found)


def _overlap(chars: Chars, others: Chars) -> bool:
    return any(low <= up and down <= high for low, high in chars for down, up in others)
