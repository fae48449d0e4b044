"""A stretch of a reply that is read step by step while it arrives: what `Block` is made of."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, TypeAlias

from gemmagraph.prompts.scan import Extent

End: TypeAlias = Literal["open", "calls", "follow", "text", "quote", "turn_end"]
"""How a block ends: as calls, behind which others may "follow"; as plain text; as a fence that only quotes."""

Step: TypeAlias = Callable[[str, int, bool], tuple[End, int]]
"""Takes the text, a position and whether the output is over; says how the stretch ends, and where it has come to.
Returning the same position without naming another step means that it waits for more."""


class Stretch:
    """Keeps what was given to it, and lets one step hand over to the next."""

    def __init__(self, opened: str, fence: str, step: Step) -> None:
        self._fence = fence
        self._given = [opened]
        self._step = step
        self._extent: Extent | None = None
        self._parts: list[str] = []

    @property
    def fence(self) -> str:
        """The fence that closes the block, if it stands in one."""
        return self._fence

    @property
    def given(self) -> str:
        """The text of the block so far, for giving it back."""
        return "".join(self._given)

    @property
    def plain(self) -> re.Pattern[str] | None:
        """While set: text in which this finds nothing may be given to `more` in place of `feed`."""
        return self._extent.plain if self._extent else None

    def more(self, text: str) -> None:
        assert self._extent is not None
        self._extent.skip(len(text))
        self._parts.append(text)
        self._given.append(text)

    def feed(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        """Goes on from `text[pos]`; says how the block ends, and where. "open": show the text from that
        position again with more behind it."""
        while True:
            step = self._step
            end, after = step(text, pos, final)
            self._given.append(text[pos:after])
            if end != "open":
                return end, after
            if after == pos and self._step == step:
                return self._cut(pos) if final else ("open", pos)
            pos = after

    def _cut(self, pos: int) -> tuple[End, int]:
        """The output or the turn ends at `pos`, inside the stretch."""
        raise NotImplementedError
