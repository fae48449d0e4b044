"""What belongs to one run and dies with it: what it may use, what it has done, who watches. And its result."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from gemmagraph.approvals import Approval, Approver
from gemmagraph.events import Event, LimitReached, ToolProgress, ToolRetried, ToolsPicked
from gemmagraph.fallback import Model
from gemmagraph.limits import Limits
from gemmagraph.progress import Progress
from gemmagraph.prompts.messages import JSON, ToolCall, Usage
from gemmagraph.prompts.prompt import Transcript
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.tools import Tool, ToolContext
from gemmagraph.tools.secrets import mask

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage, SystemMessage, ToolMessage

    from gemmagraph.convert import Converter
    from gemmagraph.offering import Offer
    from gemmagraph.output import Output
    from gemmagraph.store.store import Store
    from gemmagraph.store.turns import Turn

Stop: TypeAlias = Literal["answered", "needs_approval", "limit", "cancelled", "failed"]
"""Why a run ended."""


_WRITTEN: Final = 64
"""Threads of which the prompt is kept."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One tool call of a run."""

    name: str
    arguments: Mapping[str, JSON]
    result: JSON
    """What the model was given."""
    status: str
    """`ok`, or why there is no result: `error` (the tool said so), `failed` (a bug in it), `timeout`, `refused`,
    `unknown` (it began, and whether it took effect is not known)."""
    seconds: float
    place: str | None = None
    """Of one that was refused: file and line of the rule that did it. The model is not told."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to. `str()` is the text."""

    text: str
    """The answer; at a limit, what was said so far."""
    messages: list[AnyMessage]
    """The whole conversation."""
    calls: tuple[CallRecord, ...] = ()
    """The tool calls of this run, in order."""
    stop: Stop = "answered"
    reason: str = ""
    """Why it stopped, where that is not plain."""
    usage: Usage = field(default_factory=Usage)
    """Tokens of this run, replies that were asked for again included."""
    pending: tuple[Approval, ...] = ()
    """Calls that wait for a person, if `stop` is `needs_approval`."""
    thread: str | None = None
    output: Any = None
    """The answer as the type that the agent's `output` asks for; `text` is its JSON. None if there is no answer."""

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True)
class Kit:
    """What an agent gives to each of its runs."""

    gemma: Model
    tools: Mapping[str, Tool]
    offer: Offer
    limits: Limits
    instructions: str
    approve: Approver | None
    output: Output | None = None
    store: Store | None = None
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The user ids of each group that the policy names."""
    written: dict[str, tuple[Toolset, Transcript, Converter, SystemMessage | None]] = field(default_factory=dict)
    """What the last runs have made of their threads' conversations for the model: only what is new is made again."""

    def deciders(self, approvers: Sequence[str]) -> tuple[str, ...]:
        """The user ids that are meant by users and `group:NAME`s."""
        found: dict[str, None] = {}
        for entry in approvers:
            group, _, name = entry.partition(":")
            found.update(dict.fromkeys(sorted(self.groups.get(name, ())) if group == "group" else [entry]))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Within:
    """The call of a run, in which an agent has a run of its own."""

    run: Run
    call: str
    """Its id."""
    agent: str
    """What that agent is called."""


@dataclass(slots=True)
class Run:
    """One run."""

    kit: Kit
    asker: ToolContext = field(default_factory=ToolContext)
    """Who asks, where, and what the application gave along."""
    watch: Callable[[Event], None] | None = None
    within: Within | None = None
    """The call that it works on, if it is a run inside another."""
    alone: bool = False
    """Whether it is on no thread, although its tools may know of one."""
    toolset: Toolset = field(init=False)
    """The tools that the model is shown. This and the next two are there once `begin` was called."""
    transcript: Transcript = field(init=False)
    converter: Converter = field(init=False)
    begun: float = field(default_factory=time.monotonic)
    messages: list[AnyMessage] = field(default_factory=list)
    """The conversation, as far as the steps have come."""
    steps: int = 0
    before: int = 0
    """Steps that belong to what it does and were runs of their own."""
    usage: Usage = field(default_factory=Usage)
    calls: int = 0
    """Calls that were let through."""
    records: dict[str, CallRecord | None] = field(default_factory=dict)
    """By call id, in the order of the calls; None until a call has its result."""
    results: dict[str, ToolMessage] = field(default_factory=dict)
    """Results that are there, by call id: kept if the run is cancelled before its step is over."""
    spent: dict[str, Usage] = field(default_factory=dict)
    """Tokens of other agents that work on calls, by call id, until these have their results."""
    started: set[str] = field(default_factory=set)
    """Ids of calls that have begun."""
    seen: Counter[str] = field(default_factory=Counter)
    """How often a call with its arguments has had the same result."""
    system: SystemMessage | None = None
    stop: Stop = "answered"
    reason: str = ""
    closing: bool = False
    """Whether the model, which made the same call again and again, is asked once more for what it knows."""
    cancelled: bool = False
    """Whether somebody wants it to end."""
    turn: Turn | None = None
    """The right to write its thread, if that is kept in a store."""
    saved: bool = False
    """Whether somebody else's graph saves its state."""
    waiting: bool = False
    """Whether a call waits for a person who is not here."""
    pending: tuple[Approval, ...] = ()
    """The calls that wait, if it stopped for that."""
    lost: Exception | None = None
    """Why its thread must not be written any more."""
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a person is asked: about one call at a time."""
    output: Any = None
    said: str = ""
    """The last that was said to the person, as far as it came."""

    def begin(self, messages: Sequence[AnyMessage]) -> None:
        """Chooses what the model is shown in this run, by what was said."""
        from gemmagraph.convert import Converter

        offer = self.kit.offer
        self.toolset = offer.toolset(messages)
        written = self.kit.written.pop(self.thread or "", None)
        if written and written[0] is self.toolset:
            _, self.transcript, self.converter, self.system = written
        else:
            self.transcript = Transcript(self.kit.gemma.writer(self.toolset))
            self.converter = Converter(self.transcript.writer)
        if offer.picks:
            self.emit(ToolsPicked(tuple(spec.name for spec in self.toolset), len(offer.all)))

    def keep(self) -> None:
        """Leaves what was written of the conversation to the next run on its thread."""
        if self.thread:
            written = self.kit.written
            written[self.thread] = (self.toolset, self.transcript, self.converter, self.system)
            while len(written) > _WRITTEN:
                written.pop(next(iter(written)), None)

    def emit(self, event: Event) -> None:
        if self.watch is not None:
            self.watch(event)

    def context(self, call: ToolCall) -> CallContext:
        """What a tool may know of this run. The same call has the same `idempotency_key`, its id."""
        asker = self.asker
        told = Progress(partial(self._tell_progress, call)) if self.watch is not None else None
        given = (asker.user, asker.thread, asker.channel, call.id, asker.values)
        return CallContext(*given, run=self, call=call, told=told)

    def _tell_progress(self, call: ToolCall, text: str, fraction: float | None) -> None:
        self.emit(ToolProgress(call, text, fraction))

    @property
    def approve(self) -> Approver | None:
        """Who is at hand to be asked about a call: for a run inside another, whoever is there."""
        return (self.within and self.within.run.approve) or self.kit.approve

    @property
    def can_ask(self) -> bool:
        """Whether there is anybody to ask about a call, now or later."""
        return self.approve is not None or self.turn is not None or self.saved

    @property
    def thread(self) -> str | None:
        """Where its conversation is kept."""
        return None if self.alone else self.asker.thread

    @property
    def counts_tokens(self) -> bool:
        """Whether a limit of this run, or of one around it, needs to know its tokens."""
        return self.kit.limits.of_tokens or (self.within is not None and self.within.run.counts_tokens)

    def seconds_left(self) -> float | None:
        """Of the run's wall time."""
        wall_time = self.kit.limits.wall_time
        return None if wall_time is None else max(0.0, wall_time - (time.monotonic() - self.begun))

    def limit_reached(self) -> str:
        """Why the model may not be asked again, or empty."""
        limits = self.kit.limits
        if self.steps >= limits.steps:
            return f"the limit of {limits.steps} steps is reached"
        tokens = self.usage.input_tokens + self.usage.output_tokens
        if limits.tokens is not None and tokens >= limits.tokens:
            return f"the limit of {limits.tokens:,} tokens is reached"
        if self.seconds_left() == 0.0:
            return self.out_of_time()
        return ""

    def out_of_time(self) -> str:
        return f"the limit of {self.kit.limits.wall_time:g} seconds is reached"

    def end(self, stop: Stop, reason: str = "") -> None:
        """Says how it ends. What is said first counts: calls that run side by side may all reach the limit."""
        if self.stop == "limit" and stop != "cancelled":
            return
        self.stop = stop
        self.reason = reason
        if stop == "limit":
            self.emit(LimitReached(reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext(ToolContext):
    """What a tool is told of its call, and what it tells those who watch the run."""

    run: Run = field(repr=False, compare=False)
    call: ToolCall = field(repr=False, compare=False)
    told: Progress | None = field(repr=False, compare=False)
    """None: nobody watches."""

    @property
    def watched(self) -> bool:
        return self.told is not None

    def progress(self, text: str, fraction: float | None = None) -> None:
        if self.told is not None:
            self.told.put(text, fraction)

    def retried(self, attempt: int, reason: str, wait: float) -> None:
        self.run.emit(ToolRetried(self.call, attempt, mask(reason), wait))

    def end(self) -> None:
        """The call has its result: what is told from now on is not heard."""
        if self.told is not None:
            self.told.end()
