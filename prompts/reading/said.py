"""What has come out of a reply so far: visible text, thoughts, calls, bad calls, and the events that tell of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gemmagraph.prompts.messages import BadCall, Reply, StopReason, ToolCall
from gemmagraph.prompts.notation import BadCallRead, CallRead, ReadEvent, TextRead, ThoughtRead


class Said:
    """Collects one reply. White space at either end of the visible text is left out."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self.bad_calls: list[BadCall] = []
        self.changed = False
        """Whether something was dropped or put right, so that the raw output is not what the reply means."""
        self._events: list[ReadEvent] = []
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._space: list[str] = []
        """White space behind the last visible character: shown only if visible text follows."""
        self._drop_space = True
        self._called = False
        """Whether a call came and no visible text since."""

    @property
    def nothing_yet(self) -> bool:
        return not (self._text or self.any_calls)

    @property
    def nothing_since_call(self) -> bool:
        """Whether a call came and no visible text since."""
        return self._called

    @property
    def any_calls(self) -> bool:
        return bool(self.calls or self.bad_calls)

    def say(self, text: str) -> None:
        """Text for a person."""
        if self._drop_space:
            text = text.lstrip()
        body = text.rstrip()
        if body:
            shown = "".join(self._space) + body
            self._space = [text[len(body) :]]
            self._drop_space = self._called = False
            self._text.append(shown)
            self._events.append(TextRead(shown))
        elif text:
            self._space.append(text)

    def think(self, text: str) -> None:
        self._thoughts.append(text)
        self._events.append(ThoughtRead(text))

    def take(self, outcomes: Sequence[ToolCall | BadCall]) -> None:
        """Calls, in the order they were written; they get their ids here."""
        for outcome in outcomes:
            self._called = True
            if isinstance(outcome, BadCall):
                self.bad_calls.append(outcome)
                self._events.append(BadCallRead(outcome))
            else:
                call = ToolCall(f"call_{len(self.calls)}", outcome.name, outcome.arguments)
                self.calls.append(call)
                self._events.append(CallRead(call))

    def tell(self, news: Iterable[ReadEvent | ToolCall | BadCall]) -> None:
        """How a call grows, and calls that no more text can change."""
        for piece in news:
            if isinstance(piece, ToolCall | BadCall):
                self.take((piece,))
            else:
                self._events.append(piece)

    def take_out(self) -> None:
        """Something was taken out of the text: the white space behind it goes too, if there is some before."""
        self._drop_space = self._drop_space or any(self._space)

    def events(self) -> Sequence[ReadEvent]:
        """What came since this was asked last."""
        if not self._events:
            return ()
        events, self._events = self._events, []
        return events

    def reply(self, stop: StopReason, raw: str) -> Reply:
        return Reply(
            text="".join(self._text),
            thoughts="".join(self._thoughts).strip(),
            calls=tuple(self.calls),
            bad_calls=tuple(self.bad_calls),
            stop=stop,
            raw=raw,
            repaired=self.changed,
        )
