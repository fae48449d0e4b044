"""Gemma: backend + turn format + notation. Turns go in; events and one reply come out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from gemmagraph.backends import backend_for
from gemmagraph.backends.base import Request, Transport
from gemmagraph.errors import AgentError, BackendError, ChoiceIgnored, EmptyReply
from gemmagraph.events import Event, HeldTo, PromptSent, Reasked
from gemmagraph.prompts.catalog import Family, family_of
from gemmagraph.prompts.messages import Reply, Text, ToolResult, Turn, Usage
from gemmagraph.prompts.notation import Notation, notation_named
from gemmagraph.prompts.prompt import PromptWriter, Transcript
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.turns import turn_format
from gemmagraph.reading import Reading
from gemmagraph.toolchoice import ToolChoice, Wish, constraint, wish

if TYPE_CHECKING:
    import os

    from gemmagraph.backends.base import Backend, Constraint
    from gemmagraph.backends.recording import Cassette, RecordMode

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

_OTHER_WORDS: Final = "Ask in other words, or use a larger model."
_HOLD_IT: Final = (
    "It was asked three times. Take a larger model, or a server that can hold it to a grammar, such as llama.cpp."
)

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
        record: a file or `Cassette`. Replies are recorded there and played back from then on, without a server.
        record_mode: `once`, which is that; `new` asks the server for what the file does not hold, `none` never, `all`
            always, and makes the file anew.
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
        record: str | os.PathLike[str] | Cassette | None = None,
        record_mode: RecordMode | None = None,
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
        self._constraints: frozenset[Constraint] | None = None
        """What the server can hold replies to; None until it was asked."""
        if record is not None or record_mode is not None:
            from gemmagraph.backends.recording import recorded

            self.backend = recorded(self.backend, record, record_mode, api_key=api_key, base_url=base_url)

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

    def request(self, transcript: Transcript, turns: Sequence[Turn], stop: Sequence[str] = ()) -> Request:
        """The request that asks for the next turn of the conversation; `stop` are texts that end it beside those of
        the family."""
        transcript.update(turns)
        writer = transcript.writer
        chat = self.transport == "chat"
        return Request(
            model=self.model,
            prompt=None if chat else transcript.completion(),
            messages=transcript.chat() if chat else None,
            turns=tuple(turns),
            tools=writer.tools,
            stop=(*writer.turns.stops, *stop),
            context=self.context,
            max_tokens=self.max_tokens,
            options=self.sampling,
            thinking=self.thinking,
        )

    async def stream(
        self,
        turns: Sequence[Turn],
        tools: Toolset,
        *,
        transcript: Transcript | None = None,
        watched: bool = True,
        tool_choice: ToolChoice = "auto",
        stop: Sequence[str] = (),
    ) -> AsyncGenerator[ModelEvent, None]:
        """Asks for the next turn. Yields events as they come, and last the `Reply`.

        A reply that holds only bad calls is asked for again at most twice, with what was wrong; if the last is no
        better it is returned as it is. One that holds nothing at all is asked for again once.

        Args:
            turns: the whole conversation.
            tools: what may be called.
            transcript: what was written at earlier steps of the same conversation.
            watched: whether anybody looks at more than the text; if not, only that and what changes it is told.
            tool_choice: `auto`, `required`, `none` or the name of a tool. Where the server takes a grammar or a JSON
                Schema, it holds the reply to it; else one that does not keep to it is asked for again at most twice.
            stop: texts that end the reply.

        Raises:
            BackendError: the server or engine failed; EmptyReply, if the model says nothing at all; ChoiceIgnored.
            AgentError: `tool_choice` names no tool.
        """
        transcript = transcript or Transcript(self.writer(tools))
        writer = transcript.writer
        wanted = wish(tool_choice, writer.tools)
        asked, usage, empty = turns, Usage(), False
        for attempt in range(1, MAX_REASKS + 2):
            request = await self._request(transcript, asked, wanted, attempt, stop)
            if watched:
                yield PromptSent(request.messages or request.prompt or "", _held_to(request))
            reading = Reading(self.name, self.notation, request, watched)
            async with aclosing(self.backend.stream(request)) as chunks:
                async for chunk in chunks:
                    for event in reading.take(chunk):
                        yield event
            for event in reading.end():
                yield event
            reply = reading.reply
            usage += reply.usage or Usage()
            fault = _fault(reply, wanted, writer)
            if not fault:
                yield reply if attempt == 1 else replace(reply, usage=usage)
                return
            if reply.calls or reply.bad_calls or reply.text:
                unusable = reply
            elif empty:
                raise EmptyReply(f"{self.name} answered with nothing at all, twice.", hint=_OTHER_WORDS)
            empty |= not reply.raw.strip()
            if attempt <= MAX_REASKS:
                yield Reasked(fault, attempt)
                asked = [*asked, *_complaint(reply, fault)]
        if wanted.broken(unusable, writer):
            raise ChoiceIgnored(f"{self.name} did not keep to tool_choice={tool_choice!r}.", hint=_HOLD_IT)
        yield replace(unusable, usage=usage)

    async def _request(
        self, transcript: Transcript, turns: Sequence[Turn], wanted: Wish, attempt: int, stop: Sequence[str]
    ) -> Request:
        """The request of an attempt, with what makes the server hold the reply to what is wanted, if it can. What is
        asked again does not belong to the conversation, so it does not go through its transcript."""
        writer = transcript.writer
        request = self.request(transcript if attempt == 1 else Transcript(writer), turns, stop)
        if attempt == 1 and wanted.choice == "auto":
            return request
        if self._constraints is None:
            try:
                self._constraints = (await self.backend.info(self.model)).constraints
            except BackendError:  # it cannot say now; what is wrong shows when it is asked
                return request
        rules, schema = constraint(wanted, request, writer, self._constraints)
        return replace(request, grammar=rules, schema=schema)

    async def close(self) -> None:
        """Ends the backend's connections."""
        await self.backend.close()


def _held_to(request: Request) -> HeldTo:
    return "grammar" if request.grammar else "schema" if request.schema else ""


def _fault(reply: Reply, wanted: Wish, writer: PromptWriter) -> str:
    """Why the model has to be asked again, in words for it; "" if the reply will do."""
    if not reply.calls and reply.bad_calls:
        return reply.bad_calls[0].message
    return wanted.broken(reply, writer) or ("" if reply.calls or reply.text else "The reply was empty.")


def _complaint(reply: Reply, fault: str) -> Iterator[Turn]:
    """What the model wrote and what was wrong with it, as the next turns of the conversation."""
    if not reply.raw.strip():
        return
    yield Turn("model", (Text(reply.raw),))
    if not reply.bad_calls or reply.calls:
        yield Turn("user", (Text(fault),))
        return
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
