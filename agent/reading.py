"""One reply of a model, read as it arrives: pieces go in, events and in the end the reply come out."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

from gemmagraph.backends.base import Chunk, Request, ServerCall
from gemmagraph.errors import TruncatedReply
from gemmagraph.events import (
    ArgumentsDelta,
    CallProposed,
    CallRefused,
    CallStarted,
    Event,
    Notice,
    ReplyReceived,
    TextDelta,
    ThoughtDelta,
)
from gemmagraph.limits import storable
from gemmagraph.prompts.messages import BadCall, Reply, StopReason, ToolCall, Usage
from gemmagraph.prompts.notation import (
    ArgumentsRead,
    BadCallRead,
    CallBegun,
    CallRead,
    Notation,
    ReadEvent,
    TextRead,
    ThoughtRead,
    notation_named,
)


class Reading:
    """One reply, read as it arrives.

    Args:
        name: of the model, for errors.
        notation: how it was asked to write calls.
        request: what it was asked. A reply that is held to a JSON Schema is JSON, whatever the notation.
        watched: whether anybody looks at more than the text.
    """

    def __init__(self, name: str, notation: Notation, request: Request, watched: bool) -> None:
        self._name = name
        self._watched = watched
        self._notation = notation
        self._is_json = request.schema is not None
        self._reader = (notation_named("json") if self._is_json else notation).reader(request.tools)
        self._tools = request.tools
        self._by_server: list[ToolCall | BadCall] = []
        """What came of the calls that the server read itself."""
        self._written: list[str] = []
        self._begun = time.perf_counter()
        self._received = 0
        self._thoughts: list[str] = []
        self._usage: Usage | None = None
        self._stop: StopReason | None = None
        self.reply = Reply()
        """The whole of it, after `end`."""

    def take(self, chunk: Chunk) -> list[Event]:
        """What a piece shows."""
        events: list[Event] = []
        if chunk.notice:
            events.append(Notice(chunk.notice))
        if chunk.thought:
            self._thoughts.append(chunk.thought)
            events.append(ThoughtDelta(chunk.thought))
        if chunk.text:
            self._received += len(chunk.text)
            events += self._shown(self._reader.feed(chunk.text))
        for call in chunk.calls:
            events += self._checked(call)
        self._usage = chunk.usage or self._usage
        self._stop = chunk.stop or self._stop
        return events

    def end(self) -> list[Event]:
        """What shows only now that nothing more comes.

        Raises:
            TruncatedReply: the last piece did not say that it is the last.
        """
        if self._stop is None:
            raise TruncatedReply(
                f"The reply of {self._name} broke off after {self._received} characters.", hint="Ask again."
            )
        found, reply = self._reader.close(self._stop)
        events = self._shown(found)
        if self._is_json:
            from gemmagraph.prompts.grammar.reply import unwrapped

            reply = replace(unwrapped(reply), repaired=True)
            events += [TextDelta(reply.text)] if reply.text else []
        if self._written:
            reply = self._with_those_of_the_server(reply)
        if not all(storable(call.arguments) for call in reply.calls):
            reply = self._without_huge(reply)
        if self._usage or self._thoughts:
            reply = replace(reply, usage=self._usage, thoughts="".join(self._thoughts) + reply.thoughts)
        self.reply = reply
        if self._watched:
            events.append(ReplyReceived(reply, time.perf_counter() - self._begun))
        return events

    def _shown(self, found: Iterable[ReadEvent]) -> list[Event]:
        if self._is_json:  # its text is the JSON around the answer
            found = [event for event in found if not isinstance(event, TextRead)]
        if self._watched:
            return list(map(self._event, found))
        return [TextDelta(event.text) for event in found if isinstance(event, TextRead)]

    def _event(self, event: ReadEvent) -> Event:
        match event:
            case TextRead(text):
                return TextDelta(text)
            case ThoughtRead(text):
                return ThoughtDelta(text)
            case ArgumentsRead(text):
                return ArgumentsDelta(text)
            case CallBegun(name):
                return CallStarted(name)
            case CallRead(call) if not storable(call.arguments):
                return CallRefused(self._huge(call))
            case CallRead(call):
                return CallProposed(call)
            case BadCallRead(bad_call):
                return CallRefused(bad_call)

    def _checked(self, call: ServerCall) -> list[Event]:
        """What a call comes to that the server read."""
        from gemmagraph.server_calls import as_text, checked

        self._written.append(as_text(call))
        found = checked(call, self._tools)
        self._by_server += found
        if not self._watched:
            return []
        return [self._event(CallRead(each) if isinstance(each, ToolCall) else BadCallRead(each)) for each in found]

    def _with_those_of_the_server(self, reply: Reply) -> Reply:
        """The reply with the calls that the server read. Its text is not all that the model wrote, so it is none that
        could be shown to it again."""
        calls = tuple(each for each in self._by_server if isinstance(each, ToolCall))
        bad_calls = tuple(each for each in self._by_server if isinstance(each, BadCall))
        raw = "\n".join(filter(None, (reply.raw, *self._written)))
        return replace(
            reply, calls=reply.calls + calls, bad_calls=reply.bad_calls + bad_calls, raw=raw, repaired=True
        )

    def _without_huge(self, reply: Reply) -> Reply:
        """The reply with the calls that cannot be kept among the bad ones. The reader takes them: it keeps integers
        exact, whatever comes after it."""
        kept = tuple(call for call in reply.calls if storable(call.arguments))
        huge = tuple(self._huge(call) for call in reply.calls if not storable(call.arguments))
        return replace(reply, calls=kept, bad_calls=reply.bad_calls + huge)

    def _huge(self, call: ToolCall) -> BadCall:
        name = next(name for name, value in call.arguments.items() if not storable(value))
        why = f"{call.name}: the integer in {name[:60]} is too big, of more than 64 bits. Give a smaller one."
        return BadCall("invalid_arguments", call.name, why, self._notation.write_calls((call,)))
