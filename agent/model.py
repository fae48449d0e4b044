"""Gemma: backend + turn format + notation. Turns go in; events and one reply come out."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, suppress
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from gemmagraph.backends import backend_for
from gemmagraph.backends.base import Request, Transport
from gemmagraph.budget import IMAGE_TOKENS, Budget, Overflow, Window, told_by
from gemmagraph.errors import AgentError, BackendError, BadRequest, ChoiceIgnored, EmptyReply
from gemmagraph.events import Event, HeldTo, PromptSent, Reasked
from gemmagraph.masking import Told, masked
from gemmagraph.prompts.messages import Reply, Text, ToolResult, Turn, Usage
from gemmagraph.prompts.notation import Notation, notation_named
from gemmagraph.prompts.prompt import PromptWriter, Transcript
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.turns import turn_format
from gemmagraph.reading import Reading
from gemmagraph.tokens import Counter
from gemmagraph.toolchoice import ToolChoice, Wish, constraint, wish
from gemmagraph.tools.secrets import mask, mask_all
from gemmagraph.transports import FALLBACK_NOTATION, family_for, notation_for, shown, transport_for

if TYPE_CHECKING:
    import os

    from gemmagraph.backends.base import Backend, Constraint, ModelInfo
    from gemmagraph.backends.recorded.recording import Cassette, RecordMode

MAX_REASKS: Final = 2
"""Times a reply is asked for again when it holds nothing that can be used. Our own choice."""
DEFAULT_CONTEXT: Final = 8_192
"""Tokens of context asked for when nobody says: what a laptop with a 4B model bears, twice Ollama's default."""
DEFAULT_MAX_TOKENS: Final = 2_048
"""Tokens of one reply. Without a bound a small model that repeats itself runs for minutes."""
_NAMELESS: Final = frozenset({"builtin", "scripted"})
"""Backends whose label says it all."""
_TAKES_NO_TOOLS: Final = "does not support tools"
"""How backends say that their server takes none."""

LOOKS: Final = "Take one that can, such as gemma3:4b or gemma4:e4b, on a server that takes chat messages."
_OTHER_WORDS: Final = "Ask in other words, or use a larger model."
_HOLD_IT: Final = (
    "It was asked three times. Take a larger model, or a server that can hold it to a grammar, such as llama.cpp."
)

ModelEvent: TypeAlias = Event | Reply


class _Asked(NamedTuple):
    """What `Gemma.stream` was asked."""

    turns: Sequence[Turn]
    transcript: Transcript
    watched: bool
    tool_choice: ToolChoice
    stop: tuple[str, ...]


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
        overflow: what becomes of a conversation that no longer fits the context: `drop` leaves the oldest out of the
            prompt, `summarize` has it told in short, `refuse` raises `ContextOverflow`; or a `Budget`.
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
        overflow: Overflow | Budget = "drop",
        transport: Transport | None = None,
        record: str | os.PathLike[str] | Cassette | None = None,
        record_mode: RecordMode | None = None,
        **sampling: Any,
    ) -> None:
        if isinstance(model, str):
            self.backend, self.model = backend_for(model, base_url=base_url, api_key=api_key)
        else:
            self.backend, self.model = model, model.name
        self.family = family_for(self.backend, getattr(self.backend, "model", self.model))
        self.notation: Notation = notation_for(notation, self.family, self.backend, transport)
        self.transport: Transport = transport or transport_for(self.notation, self.family, self.backend)
        for name, value in (("context", context), ("max_tokens", max_tokens)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise AgentError(f"{name} is {value!r}.", hint="Say a whole number of tokens, 1 or more.")
        self.context = context or min(self.family.context, DEFAULT_CONTEXT)
        self.max_tokens = max_tokens or min(DEFAULT_MAX_TOKENS, self.context // 2)
        self.thinking = thinking
        self.sampling = sampling
        self._writer: PromptWriter | None = None
        self._prompted: Gemma | None = None
        """The same model, asked by chat messages: for where its server cannot do with tools what it should."""
        self._takes_tools = True
        """Whether the server has not said yet that it takes none."""
        self._told = Told()
        self._known: ModelInfo | None = None
        """What the server says of the model; None until it was asked."""
        if record is not None or record_mode is not None:
            from gemmagraph.backends.recorded.recording import recorded

            self.backend = recorded(self.backend, record, record_mode, api_key=api_key, base_url=base_url)
        # What is no language model has no window, unless somebody says that it plays one.
        has_window = bool(context) or self.backend.name not in _NAMELESS
        self.window = Window(
            overflow if isinstance(overflow, Budget) else Budget(overflow),
            Counter(self.backend, self.model),
            context=self.context if has_window else sys.maxsize,
            reserved=self.max_tokens,
            image=IMAGE_TOKENS[self.family.turn_format],
            summarizer=told_by(self.stream, lambda: self.window.room),
            settled=self._settled_window if has_window and not context else None,
        )

    @property
    def name(self) -> str:
        """The model as people call it."""
        if self.backend.name in _NAMELESS or self.model == self.backend.name:
            return self.backend.label
        return f"{self.model} on {self.backend.label}"

    takes_back: Final = False
    """Whether another model may answer after text of this one was shown."""

    @property
    def sees(self) -> bool:
        """Whether it can be shown pictures."""
        understands = not self.backend.read_only_tools
        return self.family.images and understands and self.transport != "completion"

    def writer(self, tools: Toolset) -> PromptWriter:
        """What writes prompts for these tools; kept, so that declarations are written once."""
        writer = self._writer  # another thread may put one for other tools there meanwhile
        if writer is None or writer.tools is not tools:
            self._writer = writer = PromptWriter(
                turn_format(self.family.turn_format),
                self.notation,
                tools,
                thinking=bool(self.thinking) and self.family.thinks,
                empty_thought=self.family.empty_thought,
            )
        return writer

    def request(self, transcript: Transcript, turns: Sequence[Turn], stop: Sequence[str] = ()) -> Request:
        """The request that asks for the next turn of the conversation; `stop` are texts that end it beside those of
        the family."""
        transcript.update(turns)
        if transcript.has_images and not self.sees:
            raise BadRequest(f"{self.name} cannot look at pictures.", hint=LOOKS)
        writer = transcript.writer
        by_server = self.transport == "tools"
        return Request(
            model=self.model,
            prompt=transcript.completion() if self.transport == "completion" else None,
            messages=transcript.chat() if self.transport == "chat" else None,
            turns=transcript.turns() if by_server else tuple(turns),
            tools=writer.defused_tools if by_server else writer.tools,
            stop=(*writer.turns.stops, *stop),
            context=self.context,
            max_tokens=self.max_tokens,
            options=self.sampling,
            thinking=self.thinking,
        )

    def stream(
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
        better it is returned as it is. One that holds nothing at all is asked for again once: of a server that reads
        calls itself with the tools in the prompt, so that we read them.

        The value of no secret is told to the model, and none is in what it says.

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
        asked = _Asked(self._told.turns(turns, transcript), transcript, watched, tool_choice, tuple(stop))
        return masked(self._by_server(asked) if self.transport == "tools" else self._by_us(asked))

    async def _by_server(self, asked: _Asked) -> AsyncGenerator[ModelEvent, None]:
        """Has the server declare the tools and read the calls, and does it ourselves where it cannot."""
        spent = Usage()
        if self._takes_tools and (asked.tool_choice == "auto" or "tool_choice" in await self._able()):
            try:
                async with aclosing(self._by_us(asked)) as events:
                    async for event in events:
                        yield event
                return
            except (EmptyReply, ChoiceIgnored, BadRequest) as exc:
                self._takes_tools = _TAKES_NO_TOOLS not in exc.message
                if self._takes_tools and isinstance(exc, BadRequest):
                    raise
                spent += exc.usage or Usage()
                yield Reasked(f"{exc.message} It is asked again with the tools in its prompt.", 1)
        # Raw text is in another notation than that which is asked for here, and what comes is in another than the
        # conversation's.
        turns = [replace(turn, raw=None) if turn.raw is not None else turn for turn in asked.turns]
        stream = self.in_prompt().stream(
            turns,
            asked.transcript.writer.tools,
            watched=asked.watched,
            tool_choice=asked.tool_choice,
            stop=asked.stop,
        )
        async with aclosing(stream) as events:
            async for event in events:
                if isinstance(event, Reply):
                    event = replace(event, repaired=True, usage=event.usage and spent + event.usage)
                yield event

    def tuned(self, *, max_tokens: int | None = None, thinking: bool | None = None, **sampling: Any) -> Gemma:
        """The same model on the same connections, with other options; what is not given stays as it is."""
        twin = copy(self)
        twin._prompted, twin._writer = None, None
        twin.sampling = self.sampling | sampling
        twin.max_tokens = max_tokens or self.max_tokens
        twin.thinking = self.thinking if thinking is None else thinking
        return twin

    def in_prompt(self) -> Gemma:
        """The same model with the tools in its prompt, for what its server cannot do with tools."""
        if self._prompted is None:
            self._prompted = twin = copy(self)
            twin.transport, twin.notation, twin._writer = "chat", notation_named(FALLBACK_NOTATION), None
        return self._prompted

    async def _by_us(self, asked: _Asked) -> AsyncGenerator[ModelEvent, None]:
        """Asks, and asks again as long as that may help."""
        writer = asked.transcript.writer
        wanted = wish(asked.tool_choice, writer.tools)
        fitted = await self.window.fit(asked.turns, asked.transcript)
        for dropped in fitted.events:
            yield dropped
        turns, usage, empty, unusable = fitted.turns, Usage(), False, Reply()
        for attempt in range(1, MAX_REASKS + 2):
            request = await self._request(asked, turns, wanted, attempt)
            if asked.watched:
                yield PromptSent(shown(request), _held_to(request))
            reading = Reading(self.name, self.notation, request, asked.watched)
            async with aclosing(self.backend.stream(request)) as chunks:
                async for chunk in chunks:
                    for event in reading.take(chunk):
                        yield event
            for event in reading.end():
                yield event
            reply = reading.reply
            if attempt == 1:
                self.window.learn(fitted, reply.usage)
            usage += reply.usage or Usage()
            fault = _fault(reply, wanted, writer)
            if not fault:
                yield reply if attempt == 1 else replace(reply, usage=usage)
                return
            is_broken = not reply.bad_calls and wanted.broken(reply, writer)
            if self.transport == "tools" and (is_broken or not reply.raw.strip()):
                raise _lost(self.name, reply, usage)
            if reply.calls or reply.bad_calls or reply.text:
                unusable = reply
            elif empty:
                raise EmptyReply(f"{self.name} answered with nothing at all, twice.", hint=_OTHER_WORDS)
            empty |= not reply.raw.strip()
            if attempt <= MAX_REASKS:
                yield Reasked(fault, attempt)
                turns = [*turns, *_complaint(reply, fault, self.transport)]
        if not unusable.raw:
            raise EmptyReply(f"{self.name} answered with nothing that can be read.", hint=_OTHER_WORDS)
        if wanted.broken(unusable, writer):
            cut = unusable.stop == "length"
            raise ChoiceIgnored(
                f"{self.name} did not keep to tool_choice={asked.tool_choice!r}{': it was cut' if cut else ''}.",
                hint="Allow it more tokens (max_tokens=)." if cut else _HOLD_IT,
            )
        yield replace(unusable, usage=usage)

    async def _request(self, asked: _Asked, turns: Sequence[Turn], wanted: Wish, attempt: int) -> Request:
        """The request of an attempt, with what makes the server hold the reply to what is wanted, if it can. What is
        asked again does not belong to the conversation, so it does not go through its transcript."""
        writer = asked.transcript.writer
        transcript = asked.transcript if attempt == 1 else Transcript(writer)
        request = self.request(transcript, turns, asked.stop)
        if self.transport == "tools":
            return replace(request, tool_choice=wanted.tool or wanted.choice)
        if attempt == 1 and wanted.choice == "auto":
            return request
        rules, schema = constraint(wanted, request, writer, await self._able())
        return replace(request, grammar=rules, schema=schema)

    async def _able(self) -> frozenset[Constraint]:
        """What the server can hold replies to."""
        facts = await self._facts()
        return facts.constraints if facts else frozenset()

    async def _settled_window(self) -> int | None:
        """The tokens of the server's window, 0 if it has settled none; None as long as it cannot be asked."""
        facts = await self._facts()
        return None if facts is None else facts.window or 0

    async def _facts(self) -> ModelInfo | None:
        """What the server says of the model, asked once; None as long as it cannot be asked: what is wrong shows when
        it is asked for a reply."""
        if self._known is None:
            with suppress(BackendError):
                self._known = await self.backend.info(self.model)
        return self._known

    async def close(self) -> None:
        """Ends the backend's connections."""
        await self.backend.close()


def _lost(name: str, reply: Reply, usage: Usage) -> BackendError:
    """Why a server that reads calls itself is of no use for this reply."""
    if reply.raw.strip():
        error: BackendError = ChoiceIgnored(f"{name} did not keep to tool_choice.", hint=_HOLD_IT)
    else:
        error = EmptyReply(f"{name} answered with nothing at all.", hint=_OTHER_WORDS)
    error.usage = usage
    return error


def _held_to(request: Request) -> HeldTo:
    if request.transport == "tools" and request.tool_choice != "auto":
        return "tool_choice"
    return "grammar" if request.grammar else "schema" if request.schema else ""


def _fault(reply: Reply, wanted: Wish, writer: PromptWriter) -> str:
    """Why the model has to be asked again, in words for it; "" if the reply will do."""
    if not reply.calls and reply.bad_calls:
        return reply.bad_calls[0].message
    return wanted.broken(reply, writer) or ("" if reply.calls or reply.text else "The reply was empty.")


def _complaint(reply: Reply, fault: str, transport: Transport) -> Iterator[Turn]:
    """What the model wrote and what was wrong with it, as the next turns of the conversation."""
    if not reply.raw.strip():
        return
    reply, fault = mask_all(reply), mask(fault)
    yield Turn("model", (Text(reply.raw),))
    # A server that writes the turns itself has no place for results of calls that it knows nothing of.
    if not reply.bad_calls or reply.calls or transport == "tools":
        yield Turn("user", (Text(fault),))
        return
    yield Turn(
        "tool",
        tuple(ToolResult(f"bad_{i}", bad.tool or "?", bad.message, True) for i, bad in enumerate(reply.bad_calls)),
    )
