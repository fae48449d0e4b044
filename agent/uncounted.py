"""Tokens that no server has counted: estimated, for limits that ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gemmagraph.events import Event, PromptSent, ReplyReceived
from gemmagraph.prompts.messages import Usage
from gemmagraph.prompts.tokens import estimate

_IMAGE: Final = 280
"""Of a picture, about."""


@dataclass(slots=True)
class Uncounted:
    """Of one reply, and of those before it that could not be used."""

    read: int = 0
    written: int = 0
    _prompt: int = 0
    """Of the last one that was sent."""

    def note(self, event: Event) -> None:
        """Takes in a request, and its reply if the server told no tokens with it."""
        if isinstance(event, PromptSent):
            self._prompt = estimate(event.prompt) if isinstance(event.prompt, str) else _size(event.prompt)
        elif isinstance(event, ReplyReceived) and event.reply.usage in (None, Usage()):
            self.read += self._prompt
            self.written += estimate(event.reply.thoughts) + estimate(event.reply.raw)

    def added_to(self, usage: Usage | None) -> Usage | None:
        """All tokens, those that were counted and these."""
        return (usage or Usage()) + Usage(self.read, self.written) if self.read or self.written else usage


def _size(messages: Sequence[Any]) -> int:
    return sum(estimate(message["content"]) + _IMAGE * len(message.get("images", ())) for message in messages)
