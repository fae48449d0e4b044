"""What a model is told and what it says, without the value of any secret; at no cost as long as none is known."""

from __future__ import annotations

import operator
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from gemmagraph.errors import GemmagraphError
from gemmagraph.events import (
    ArgumentsDelta,
    CallProposed,
    CallRefused,
    CallStarted,
    Event,
    Reasked,
    ReplyReceived,
    TextDelta,
    ThoughtDelta,
)
from gemmagraph.prompts.messages import Reply, Turn
from gemmagraph.prompts.prompt import Transcript
from gemmagraph.tools.secrets import Masker, hide_secrets, known_forms, mask_all

_Said: TypeAlias = Event | Reply


class Told:
    """The turns of conversations as models get them. Of one that goes on only what is new is looked at."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Transcript, _Conversation] = WeakKeyDictionary()

    def turns(self, turns: Sequence[Turn], transcript: Transcript) -> Sequence[Turn]:
        """
        Args:
            turns: the whole conversation.
            transcript: that which is kept of it.
        """
        forms = known_forms()
        if not forms:
            return turns
        before = self._known.get(transcript)
        if before is None or before.forms is not forms or not before.goes_on_in(turns):
            before = self._known[transcript] = _Conversation(forms)
        new = turns[len(before.given) :]
        before.given += new
        before.masked += map(mask_all, new)
        return before.masked


@dataclass
class _Conversation:
    forms: Any
    """What was masked when it was looked at."""
    given: list[Turn] = field(default_factory=list)
    masked: list[Turn] = field(default_factory=list)

    def goes_on_in(self, turns: Sequence[Turn]) -> bool:
        return len(self.given) <= len(turns) and all(map(operator.is_, self.given, turns))


def masked(events: AsyncGenerator[_Said, None]) -> AsyncGenerator[_Said, None]:
    """What a model says and what is said of it, as those who watch may have it. What it was told holds no secret, but
    it may have guessed one together."""
    return _masked(events) if known_forms() else events


async def _masked(events: AsyncGenerator[_Said, None]) -> AsyncGenerator[_Said, None]:
    pieces = _Pieces()
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Reasked):
                    pieces = _Pieces()
                for shown in pieces.of(event):
                    yield shown
    except GemmagraphError as exc:
        hide_secrets(exc)  # a server may repeat what it was told
        raise


class _Pieces:
    """A reply in pieces. What may become a secret is held back, and goes in front of what it belongs to."""

    def __init__(self) -> None:
        self._held = {kind: Masker() for kind in (TextDelta, ThoughtDelta, ArgumentsDelta)}

    def of(self, event: _Said) -> Iterator[_Said]:
        if isinstance(event, TextDelta | ThoughtDelta | ArgumentsDelta):
            if text := self._held[type(event)].feed(event.text):
                yield event if text == event.text else type(event)(text)
            return
        if isinstance(event, CallStarted | CallProposed | CallRefused):
            yield from self._rest(ArgumentsDelta)
        elif isinstance(event, ReplyReceived | Reply):
            for kind in self._held:
                yield from self._rest(kind)
        yield mask_all(event)

    def _rest(self, kind: type[TextDelta | ThoughtDelta | ArgumentsDelta]) -> Iterator[Event]:
        if rest := self._held[kind].close():
            yield kind(rest)
