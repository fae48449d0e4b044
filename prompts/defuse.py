"""Control marks in untrusted text made harmless: the one place.

A server turns a mark such as `<end_of_turn>` into the real control token wherever it stands, so text from a person,
a tool or a file could end the turn and speak as somebody else. Only the marks of the family in use are control
tokens; all other text stays byte for byte, and nothing is normalised: look-alikes are plain text to the tokenizer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from gemmagraph.prompts.messages import JSON

BREAK: Final = "‹"
"""Stands in for the `<` of a mark: the reader still sees what was meant, the tokenizer sees plain text."""

_UNUSED: Final = r"<unused[0-9]{1,4}>"


class Defuser:
    """Makes marks harmless.

    No mark holds a `<` but its first character, so a mark can neither hide in another nor form anew from the
    pieces: one pass is enough.

    Args:
        marks: every mark of the family in use, each beginning with `<`; the `<unused…>` ones are always meant.
        instead: stands in for a mark's `<`.
    """

    def __init__(self, marks: Iterable[str], instead: str = BREAK) -> None:
        self._instead = instead
        names = sorted(set(marks), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, names)) + f"|{_UNUSED}" if names else _UNUSED)

    def __call__(self, text: str) -> str:
        """`text` with the `<` of every mark replaced."""
        if "<" not in text:
            return text
        return self._pattern.sub(lambda mark: self._instead + mark.group()[1:], text)

    def value(self, value: JSON) -> JSON:
        """A JSON value with the marks in all its strings and keys made harmless."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {self(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def finds(self, text: str) -> bool:
        """Whether a mark stands in `text`."""
        return "<" in text and self._pattern.search(text) is not None


@lru_cache(maxsize=8)
def defuser(marks: frozenset[str]) -> Defuser:
    """The defuser for these marks, made once."""
    return Defuser(marks)
