"""Gemma: backend + turn format + notation. Turns go in; events and one reply come out."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from gemmagraph.backends import backend_for
from gemmagraph.backends.base import Chunk, Request, Transport
from gemmagraph.errors import AgentError, EmptyReply, TruncatedReply
from gemmagraph.events import (
    ArgumentsDelta,
    CallProposed,
    CallRefused,
    CallStarted,
    Event,
    Notice,
    PromptSent,
    Reasked,
    ReplyReceived,
    TextDelta,
    ThoughtDelta,
)
from gemmagraph.limits import storable
from gemmagraph.prompts.catalog import Family, family_of
from gemmagraph.prompts.messages import BadCall, Reply, StopReason, Text, ToolCall, ToolResult, Turn, Usage
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
from gemmagraph.prompts.prompt import PromptWriter, Transcript
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.turns import turn_format

if TYPE_CHECKING:
    from gemmagraph.backends.base import Backend

MAX_REASKS: Final = 2
"""Times a reply is asked for again when it holds nothing that can be used. Our own choice."""
DEFAULT_CONTEXT: Final = 8_192
"""Tokens of context asked for when nobody says: what a laptop with a 4B model bears, twice Ollama's default."""
DEFAULT_MAX_TOKENS: Final = 2_048
"""Tokens of one reply. Without a bound a small model that repeats itself runs for minutes."""
_NAMELESS: Final = frozenset({"builtin", "scripted"})
"""Backends whose label says it all."""
_FALLBACK_FAMILY: Final = "gemma3"
_FALLBACK_NOTATION: Final = "function_call"

ModelEvent: TypeAlias = Event | Reply


class Gemma:
    """A Gemma model on a server or in an engine.

    Args:
        model: backend and model, such as `ollama:gemma3:4b`; or a `Backend`, which may say in `model` what it runs.
        base_url: where the server is, if not where the backend looks by itself.
        api_key: for servers that want one.
        notation: how calls are written; by default the family's own.
        context: tokens of context to allocate. The same on every request, or the server loads the model anew.
        max_tokens: tokens of one reply.
        thinking: whether a model that can think does; by default it does not.
        transport: how requests go to the server; by default as the notation needs it, else as the server likes it.
        sampling: temperature, top_p, top_k, min_p, seed … by their usual names; the server's own otherwise.

    Raises:
        AgentError: there is no such backend, or the model cannot call tools.
        NotationError: there is no such notation, or the model is of no known family.
    """

    def __init__(
        self,
        model: str | Backend,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        notation: str | None = None,
        context: int | None = None,
        max_tokens: int | None = None,
        thinking: bool | None = None,
        transport: Transport | None = None,
        **sampling: Any,
    ) -> None:
        if isinstance(model, str):
            self.backend, self.model = backend_for(model, base_url=base_url, api_key=api_key)
        else:
            self.backend, self.model = model, model.name
        self.family = _family(self.backend, getattr(self.backend, "model", self.model))
        self.notation: Notation = notation_named(notation or _notation(self.family, self.backend, transport))
        self.transport: Transport = transport or _transport(self.backend, self.notation)
        self.context = context or min(self.family.context, DEFAULT_CONTEXT)
        self.max_tokens = max_tokens or min(DEFAULT_MAX_TOKENS, self.context // 2)
        self.thinking = thinking
        self.sampling = sampling
        self._writer: PromptWriter | None = None

    @property
    def name(self) -> str:
        """The model as people call it."""
        if self.backend.name in _NAMELESS or self.model == self.backend.name:
            return self.backend.label
        return f"{self.model} on {self.backend.label}"

    def writer(self, tools: Toolset) -> PromptWriter:
        """What writes prompts for these tools; kept, so that declarations are written once."""
        if self._writer is None or self._writer.tools is not tools:
            self._writer = PromptWriter(
                turn_format(self.family.turn_format),
                self.notation,
                tools,
                thinking=bool(self.thinking) and self.family.thinks,
                empty_thought=self.family.empty_thought,
            )
        return self._writer

    def request(self, transcript: Transcript, turns: Sequence[Turn]) -> Request:
        """The request that asks for the next turn of the conversation."""
        transcript.update(turns)
        writer = transcript.writer
        chat = self.transport == "chat"
        return Request(
            model=self.model,
            prompt=None if chat else transcript.completion(),
            messages=transcript.chat() if chat else None,
            turns=tuple(turns),
            tools=writer.tools,
            stop=writer.turns.stops,
            context=self.context,
            max_tokens=self.max_tokens,
            options=self.sampling,
            thinking=self.thinking,
        )

    async def stream(
        self, turns: Sequence[Turn], tools: Toolset, *, transcript: Transcript | None = None, watched: bool = True
    ) -> AsyncGenerator[ModelEvent, None]:
        """Asks for the next turn. Yields events as they come, and last the `Reply`.

        A reply that holds only bad calls is asked for again at most twice, with what was wrong; if the last is no
        better it is returned as it is. One that holds nothing at all is asked for again once.

        Args:
            turns: the whole conversation.
            tools: what may be called.
            transcript: what was written at earlier steps of the same conversation.
            watched: whether anybody looks at more than the text; if not, only that and what changes it is told.

        Raises:
            BackendError: the server or engine failed; EmptyReply, if the model says nothing at all.
        """
        transcript = transcript or Transcript(self.writer(tools))
        asked = turns
        usage = Usage()
        empty = 0
        for attempt in range(1, MAX_REASKS + 2):
            # What is asked again does not belong to the conversation, so it does not go through its transcript.
            written = transcript if attempt == 1 else Transcript(transcript.writer)
            request = self.request(written, asked)
            if watched:
                yield PromptSent(request.messages or request.prompt or "")
            reading = _Reading(self, request.tools, watched)
            async with aclosing(self.backend.stream(request)) as chunks:
                async for chunk in chunks:
                    for event in reading.take(chunk):
                        yield event
            for event in reading.end():
                yield event
            reply = reading.reply
            usage += reply.usage or Usage()
            if _usable(reply):
                yield reply if attempt == 1 else replace(reply, usage=usage)
                return
            if reply.bad_calls:
                unusable = reply
            else:
                empty += 1
                if empty == 2:
                    raise EmptyReply(
                        f"{self.name} answered with nothing at all, twice.",
                        hint="Ask in other words, or use a larger model.",
                    )
            if attempt <= MAX_REASKS:
                reason = reply.bad_calls[0].message if reply.bad_calls else "The reply was empty."
                yield Reasked(reason, attempt)
                asked = [*asked, *_complaint(reply)]
        yield replace(unusable, usage=usage)

    async def close(self) -> None:
        """Ends the backend's connections."""
        await self.backend.close()


class _Reading:
    """One reply, read as it arrives."""

    def __init__(self, gemma: Gemma, tools: Toolset, watched: bool) -> None:
        self._name = gemma.name
        self._watched = watched
        self._notation = gemma.notation
        self._reader = gemma.notation.reader(tools)
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
        if not all(storable(call.arguments) for call in reply.calls):
            reply = self._without_huge(reply)
        if self._usage or self._thoughts:
            reply = replace(reply, usage=self._usage, thoughts="".join(self._thoughts) + reply.thoughts)
        self.reply = reply
        if self._watched:
            events.append(ReplyReceived(reply, time.perf_counter() - self._begun))
        return events

    def _shown(self, found: Iterable[ReadEvent]) -> list[Event]:
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


def _usable(reply: Reply) -> bool:
    return bool(reply.calls) or (bool(reply.text) and not reply.bad_calls)


def _complaint(reply: Reply) -> Iterator[Turn]:
    """What the model wrote and what was wrong with it, as the next turns of the conversation."""
    if not reply.bad_calls:
        return
    yield Turn("model", (Text(reply.raw),))
    yield Turn(
        "tool",
        tuple(ToolResult(f"bad_{i}", bad.tool or "?", bad.message, True) for i, bad in enumerate(reply.bad_calls)),
    )


def _family(backend: Backend, model: str) -> Family:
    if model == backend.name:
        return family_of(_FALLBACK_FAMILY)
    family = family_of(model)
    if not family.tools:
        raise AgentError(
            f"{model!r} is a {family.name} model, which does not hold conversations.",
            hint="Use a chat model, such as gemma3:4b.",
        )
    return family


def _notation(family: Family, backend: Backend, transport: Transport | None) -> str:
    """The notation in which a family calls tools best on a server: its native one needs the whole prompt."""
    if transport == "completion" or (transport is None and "chat" not in backend.transports):
        return family.notation
    native = notation_named(family.notation).turns is not None
    return _FALLBACK_NOTATION if native else family.notation


def _transport(backend: Backend, notation: Notation) -> Transport:
    """How requests in a notation go to a server.

    Raises:
        AgentError: the notation is native, and the server takes chat messages only.
    """
    if notation.turns is None:
        return "chat" if "chat" in backend.transports else "completion"
    if "completion" not in backend.transports:
        raise AgentError(
            f"{backend.label} takes chat messages, and the notation {notation.name!r} needs the whole prompt.",
            hint="Leave the notation out, or take a prompted one, such as function_call.",
        )
    return "completion"
