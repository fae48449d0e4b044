"""The tokens of a reply as text, piece by piece: no half characters, no stop string, every control mark."""

from __future__ import annotations

import codecs
import re
from collections.abc import Container, Sequence
from typing import Final, Protocol

_BYTE: Final = re.compile("<0x([0-9A-F]{2})>")
"""A token of one byte, for what the vocabulary has no token for."""


class Vocabulary(Protocol):
    """What is needed of `tokenizers.Tokenizer`."""

    def id_to_token(self, id: int) -> str | None: ...

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str: ...


class Words:
    """A reply so far.

    Args:
        stops: texts that end it; neither they nor what follows is shown.
        ends: tokens that end it.
    """

    def __init__(self, vocabulary: Vocabulary, stops: Sequence[str], ends: Container[int]) -> None:
        self.over = False
        """Whether it has come to its end."""
        self._vocabulary = vocabulary
        self._stops = tuple(filter(None, stops))
        self._ends = ends
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        """Text that may turn out to be the beginning of a stop string."""

    def take(self, token: int) -> str:
        """What can be shown after one more token."""
        if token in self._ends:
            self.over = True
            return self.rest()
        self._held += self._text(token)
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            self.over = True
            self._held, shown = "", self._held[: min(places)]
            return shown
        kept = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        cut = len(self._held) - kept
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown

    def rest(self) -> str:
        """What was held back, when nothing more comes."""
        shown, self._held = self._held + self._bytes.decode(b"", final=True), ""
        return shown

    def _text(self, token: int) -> str:
        byte = _BYTE.fullmatch(self._vocabulary.id_to_token(token) or "")
        if byte:
            return self._bytes.decode(bytes.fromhex(byte[1]))
        unfinished = self._bytes.decode(b"", final=True)
        return unfinished + self._vocabulary.decode([token], skip_special_tokens=False)


def _overlap(text: str, stop: str) -> int:
    """How much of the end of `text` is the beginning of `stop`."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)
