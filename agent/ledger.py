"""One conversation as it is counted: what each turn has of the prompt's tokens, and what stands in its place.

What costs more is done only when it matters: as long as even the bytes fit, nothing is counted; then each turn is
estimated once; and near the end of the window a backend that can count is asked, once for each turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gemmagraph.prompts.messages import Image, Text, Thought, ToolCall, ToolResult, Turn
from gemmagraph.prompts.prompt import PromptWriter
from gemmagraph.prompts.tokens import estimate
from gemmagraph.tokens import Counter

_TURN_TOKENS: Final = 5
"""Marks, role and ends of lines of a turn."""
_HEAD_TOKENS: Final = 12
"""The beginning of the prompt, and what the model goes on from."""
_CALL_BYTES: Final = 64
"""What a notation writes around a call or a result, at most."""
_MOST_ASKED: Final = 64
"""Turns that a backend is asked to count in one step; the others stay estimated."""


@dataclass(slots=True)
class _Size:
    tokens: int = 0
    exact: bool = False
    """Whether the backend counted them."""


class Ledger:
    """The turns of a conversation and their sizes.

    Args:
        writer: writes them.
        counter: counts.
        image: tokens of a picture.
    """

    def __init__(self, writer: PromptWriter, counter: Counter, image: int) -> None:
        self.turns: list[Turn] = []
        """All of them, also those that are left out."""
        self.system = 0
        """How many of the first are system text."""
        self.changed: dict[int, Turn | None] = {}
        """What stands in the prompt in the place of a turn; None for nothing."""
        self.tools = 0
        """Tokens of the declarations."""
        self.counted = 0
        """Tokens of what the backend counted, and of the others."""
        self.estimated = 0
        self._writer = writer
        self._counter = counter
        self._image = image
        self._bound = _bytes(writer.declaration) + _HEAD_TOKENS
        self._sizes: list[_Size] = []
        self._thoughtful: list[int] = []
        """Turns whose thoughts are in the prompt until the next question."""
        self._unasked: list[int] = []
        self._shown: list[Turn] | None = None

    def goes_on(self, turns: Sequence[Turn]) -> bool:
        """Whether these are the turns that it has, and perhaps more."""
        known = len(self.turns)
        if not known:
            return True
        return known <= len(turns) and turns[0] == self.turns[0] and turns[known - 1] == self.turns[-1]

    def take(self, turns: Sequence[Turn]) -> None:
        """Takes the whole conversation; only what is new is looked at."""
        for turn in turns[len(self.turns) :]:
            if turn.role == "system" and self.system == len(self.turns):
                self.system += 1
            self.turns.append(turn)
            self._bound += self._most(turn)
            if self._shown is not None:
                self._shown.append(turn)

    def surely_below(self, tokens: int) -> bool:
        """Whether so many are not reached, whatever is in the texts."""
        return not self.changed and self._bound <= tokens

    @property
    def total(self) -> int:
        return self._counter.total(self.counted, self.estimated)

    def tokens(self, first: int, end: int) -> int:
        """What the turns from `first` up to `end` have in the prompt."""
        sizes = self._sizes[first:end]
        exact = sum(size.tokens for size in sizes if size.exact)
        return exact + round(self._counter.factor * sum(size.tokens for size in sizes if not size.exact))

    def part(self, place: int) -> Turn | None:
        """What stands in the prompt in the place of a turn."""
        return self.changed.get(place, self.turns[place])

    def shown(self) -> Sequence[Turn]:
        """What is in the prompt."""
        if not self.changed:
            return self.turns
        if self._shown is None:
            parts = map(self.part, range(len(self.turns)))
            self._shown = [part for part in parts if part is not None]
        return self._shown

    def put(self, place: int, turn: Turn | None) -> None:
        """Puts something else, or nothing, in the place of a turn."""
        self.changed[place] = turn
        self._shown = None
        if place < len(self._sizes):
            self._resize(place, 0 if turn is None else self.estimate(turn))

    def estimate(self, turn: Turn, *, thoughts: bool = True) -> int:
        return estimate(self._text(turn, thoughts)) + self._beside(turn)

    def measure(self) -> None:
        """Estimates what was not counted yet."""
        if not self._sizes:
            self.tools = estimate(self._writer.declaration)
            self.estimated += self.tools + _HEAD_TOKENS
        for place in range(len(self._sizes), len(self.turns)):
            self._sizes.append(_Size())
            turn = self.part(place)
            if turn is None:
                continue
            if turn.role == "user":
                for past in self._thoughtful:
                    self._forget_thoughts(past)
                self._thoughtful.clear()
            elif any(isinstance(part, Thought) for part in turn.parts):
                self._thoughtful.append(place)
            self._resize(place, self.estimate(turn))
            self._unasked.append(place)

    async def ask(self) -> None:
        """Has the backend count what was estimated, the newest first."""
        for _ in range(min(_MOST_ASKED, len(self._unasked))):
            place = self._unasked.pop()
            turn = self.part(place)
            if turn is None:
                continue
            tokens = await self._counter.exact(self._text(turn, place in self._thoughtful))
            if tokens is None:
                self._unasked.append(place)
                return
            self._resize(place, tokens + self._beside(turn), exact=True)

    def _forget_thoughts(self, place: int) -> None:
        turn = self.part(place)
        if turn is not None:
            self._resize(place, self.estimate(turn, thoughts=False))
            self._unasked.append(place)

    def _resize(self, place: int, tokens: int, *, exact: bool = False) -> None:
        size = self._sizes[place]
        if size.exact:
            self.counted -= size.tokens
        else:
            self.estimated -= size.tokens
        if exact:
            self.counted += tokens
        else:
            self.estimated += tokens
        size.tokens, size.exact = tokens, exact

    def _text(self, turn: Turn, thoughts: bool) -> str:
        """A turn as it stands in a prompt."""
        if turn.role == "model":
            return self._writer.model_text(turn, thoughts)
        return self._writer.results_text(turn) if turn.role == "tool" else turn.text

    def _beside(self, turn: Turn) -> int:
        """The tokens of a turn beside its text."""
        return _TURN_TOKENS + self._image * sum(isinstance(part, Image) for part in turn.parts)

    def _most(self, turn: Turn) -> int:
        """Tokens that a turn cannot have more of."""
        most = self._beside(turn) + (0 if turn.raw is None else _bytes(turn.raw))
        for part in turn.parts:
            if isinstance(part, Text | Thought):
                most += _bytes(part.text)
            elif isinstance(part, ToolCall):  # a notation may escape every sign
                most += _CALL_BYTES + _bytes(part.name) + 2 * _bytes(repr(part.arguments))
            elif isinstance(part, ToolResult):
                content = part.content if isinstance(part.content, str) else repr(part.content)
                most += _CALL_BYTES + _bytes(part.name) + 2 * _bytes(content)
        return most


def _bytes(text: str) -> int:
    """At least the bytes of a text in UTF-8, each of which is at most one token."""
    return len(text) if text.isascii() else 4 * len(text)
