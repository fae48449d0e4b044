"""What people's words hint at: other words, which tools may have for what is meant.

The tables (`machines.py`, `office.py`, `trade.py`, `everyday.py`, `tongues.py`) hold a class a line: what is said,
`>`, what is meant. A line without `>` holds words of which each may stand for every other. An entry joined with `_`
is a phrase, found also with other words in between ("push the standup back"). An indented line goes on with the one
above.

No entry is there for one request: each belongs to what its trade or its part of a day is about. They were written
with the tools of `tests/data/selection` at hand, and with what failed of the even lines of `blind.jsonl` there. The
odd ones were not read: keep it so, or their figure says nothing any more.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Final

from gemmagraph.tools.selection.words import stem

_NEAR: Final = 1
"""How many other words may stand in a phrase that is still said as one."""


@cache
def _tables() -> tuple[Mapping[str, list[str]], Mapping[str, list[tuple[str, str]]]]:
    """For each word what it hints at, and the phrases that it begins, as written: little of it is ever needed."""
    from gemmagraph.tools.selection.everyday import EVERYDAY
    from gemmagraph.tools.selection.machines import MACHINES
    from gemmagraph.tools.selection.office import OFFICE
    from gemmagraph.tools.selection.tongues import TONGUES
    from gemmagraph.tools.selection.trade import TRADE

    single: dict[str, list[str]] = {}
    phrases: dict[str, list[tuple[str, str]]] = {}
    tables = "".join((MACHINES, OFFICE, TRADE, EVERYDAY, unaccented(TONGUES)))
    for line in tables.replace("-", "_").replace("\n ", "").splitlines():
        said, _, meant = line.partition(" > ")
        for entry in said.split():
            first, _, rest = entry.partition("_")
            if rest:
                phrases.setdefault(stem(first), []).append((rest, meant))
            else:
                single.setdefault(stem(first), []).append(meant or said)
    return single, phrases


@cache
def _stems(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(stem(word) for word in text.replace("_", " ").split()))


def hints(word: str) -> tuple[str, ...]:
    """The stems that the stem `word` hints at."""
    return tuple(hint for meant in _tables()[0].get(word, ()) for hint in _stems(meant))


def phrase_hints(first: str, following: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """What is hinted at by phrases that begin with the stem `first` and go on in those that follow it.

    With each hint comes whether the phrase is said as one.
    """
    for rest, meant in _tables()[1].get(first, ()):
        parts = _stems(rest)
        at = 0
        for part in parts:
            if part not in following[at:]:
                break
            at = following.index(part, at) + 1
        else:
            yield from ((hint, at <= len(parts) + _NEAR) for hint in _stems(meant))


_ACCENTS: Final = dict.fromkeys(range(0x0300, 0x0370))


def unaccented(text: str) -> str:
    """The text as it is written without accents."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", text).translate(_ACCENTS))
