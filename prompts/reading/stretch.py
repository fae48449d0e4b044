"""A stretch of a reply that is read step by step while it arrives, and the bodies in it: what `Block` is made of."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, TypeAlias

from gemmagraph.prompts.messages import BadCall, ToolCall
from gemmagraph.prompts.notation import ReadEvent
from gemmagraph.prompts.reading.progress import Progress
from gemmagraph.prompts.reading.scan import Extent
from gemmagraph.prompts.toolset import Toolset

End: TypeAlias = Literal["open", "calls", "follow", "text", "quote", "turn_end"]
"""How a block ends: as calls, behind which others may "follow"; as plain text; as a fence that only quotes."""

Step: TypeAlias = Callable[[str, int, bool], tuple[End, int]]
"""Takes the text, a position and whether the output is over; says how the stretch ends, and where it has come to.
Returning the same position without naming another step means that it waits for more."""


class Stretch:
    """Keeps what was given to it, lets one step hand over to the next, and finds where a body ends."""

    def __init__(self, opened: str, fence: str, step: Step, tools: Toolset) -> None:
        self.outcomes: list[ToolCall | BadCall] = []
        self._news: list[ReadEvent | ToolCall | BadCall] = []
        self._fence = fence
        self._given = [opened]
        self._step = step
        self._tools = tools
        self._extent: Extent | None = None
        self._parts: list[str] = []
        self._progress: Progress | None = None

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

    def news(self) -> list[ReadEvent | ToolCall | BadCall]:
        """What there is to tell before the end: how a call grows, and outcomes that no more text can change."""
        if not self._news:
            return self._news
        news, self._news = self._news, []
        return news

    def _settle(self) -> None:
        """No more text can change the outcomes so far."""
        self._news += self.outcomes
        self.outcomes = []

    def more(self, text: str) -> None:
        assert self._extent is not None
        assert self._progress is not None
        self._extent.skip(len(text))
        self._news += self._progress.more(text)
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

    def _begin(self, pos: int) -> tuple[End, int]:
        """A body begins at `pos`."""
        self._extent = Extent(self._tools.keys)
        self._progress = Progress(self._tools)
        self._parts = []
        self._step = self._body
        return "open", pos

    def _body(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        assert self._extent is not None
        assert self._progress is not None
        state, after = self._extent.feed(text, pos, final)
        self._news += self._progress.feed(text[pos:after])
        self._parts.append(text[pos:after])
        if state == "open":
            return "open", after
        self._parts = ["".join(self._parts)]
        if state == "turn_end":
            self._cut_body()
            return "turn_end", after
        self._step = self._judge
        return "open", after

    def _judge(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        """Behind one whole body."""
        raise NotImplementedError

    def _cut_body(self) -> None:
        """The output or the turn ends inside a body."""
        raise NotImplementedError

    def _cut(self, pos: int) -> tuple[End, int]:
        """The output or the turn ends at `pos`, inside the stretch."""
        raise NotImplementedError
