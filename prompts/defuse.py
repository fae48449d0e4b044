"""Control marks in untrusted text made harmless: the one place.

A server turns a mark such as `<end_of_turn>` into the real control token wherever it stands, so text from a person,
a tool or a file could end the turn and speak as somebody else. Only the marks of the family in use are control
tokens; all other text stays byte for byte, and nothing is normalised: look-alikes are plain text to the tokenizer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

BREAK: Final = "‹"
"""Stands in for the `<` of a mark: the reader still sees what was meant, the tokenizer sees plain text."""

UNUSED: Final = r"<unused\d{1,4}>"


class Defuser:
    """Makes the marks of one family harmless.

    No mark holds a `<` but its first character, so a mark can neither hide in another nor form anew from the
    pieces: one pass is enough.
    """

    def __init__(self, marks: Iterable[str]) -> None:
        names = sorted(set(marks), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, names)) + f"|{UNUSED}" if names else UNUSED)

    def __call__(self, text: str) -> str:
        """`text` with the first character of every mark replaced by `BREAK`."""
        if "<" not in text:
            return text
        return self._pattern.sub(lambda mark: BREAK + mark.group()[1:], text)

    def finds(self, text: str) -> bool:
        return "<" in text and self._pattern.search(text) is not None


@lru_cache(maxsize=8)
def defuser(marks: frozenset[str]) -> Defuser:
    """The defuser for these marks, made once."""
    return Defuser(marks)
