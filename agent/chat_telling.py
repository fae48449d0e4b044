"""What is told of a reply piece by piece, where no piece can be taken back: LangChain adds each to those before.

A message is what was told of it, so that it is the same whether it was streamed or not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from gemmagraph.events import Reasked, TextDelta, ThoughtDelta
from gemmagraph.model import ModelEvent
from gemmagraph.prompts.messages import Reply

_BREAK: Final = "\n\n"
"""Between what was said before the reply was asked for again, and after."""


@dataclass(slots=True)
class Telling:
    """The pieces of one reply.

    What the model said before a bad call stays told. What it says when it is asked again is held until it is known
    to be an answer: in front of a call it would be the same words once more.
    """

    held: bool
    """Whether text is told only at the end, because it may turn out to be no answer."""
    _text: str = ""
    _thoughts: str = ""
    _between: str = ""
    """What stands in front of the next thought."""
    _again: bool = False
    """Whether the reply was asked for again."""

    def piece(self, event: ModelEvent) -> TextDelta | ThoughtDelta | None:
        """What to tell of an event."""
        if isinstance(event, ThoughtDelta):
            event = ThoughtDelta(self._between + event.text)
            self._between = ""
            self._thoughts += event.text
            return event
        if isinstance(event, TextDelta) and not self.held:
            self._text += event.text
            return event
        if isinstance(event, Reasked):
            self.held = self._again = True
            self._between = _BREAK if self._thoughts.strip() else ""
        return None

    def end(self, reply: Reply) -> tuple[str, Reply]:
        """The text that is still to be told, and the reply as it was told."""
        if not self.held:
            return "", reply
        rest = reply.text
        if self._text.strip():
            rest = "" if reply.calls or reply.bad_calls else f"{_BREAK}{rest}"
        if not self._again:
            return rest, reply
        told = replace(reply, text=self._text + rest, thoughts=self._thoughts)
        return rest, reply if told == reply else replace(told, repaired=True)
