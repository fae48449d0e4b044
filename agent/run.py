"""What belongs to one run and dies with it: what it may use, what it has done, who watches. And its result."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from gemmagraph.approvals import Approver
from gemmagraph.events import Event, LimitReached, ToolsPicked
from gemmagraph.fallback import Model
from gemmagraph.limits import Limits
from gemmagraph.prompts.messages import JSON, Usage
from gemmagraph.prompts.prompt import Transcript
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.tools import Tool, ToolContext

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage, SystemMessage, ToolMessage

    from gemmagraph.convert import Conversation
    from gemmagraph.offering import Offer
    from gemmagraph.output import Output

Stop: TypeAlias = Literal["answered", "needs_approval", "limit", "cancelled", "failed"]
"""Why a run ended."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One tool call of a run."""

    name: str
    arguments: Mapping[str, JSON]
    result: JSON
    """What the model was given."""
    status: str
    """`ok`, or why there is no result: `error` (the tool said so), `failed` (a bug in it), `timeout`, `refused`."""
    seconds: float


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
    pending: tuple[Any, ...] = ()
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


@dataclass(slots=True)
class Run:
    """One run."""

    kit: Kit
    asker: ToolContext = field(default_factory=ToolContext)
    """Who asks, where, and what the application gave along."""
    watch: Callable[[Event], None] | None = None
    toolset: Toolset = field(init=False)
    """The tools that the model is shown. This and the next two are there once `begin` was called."""
    transcript: Transcript = field(init=False)
    conversation: Conversation = field(init=False)
    begun: float = field(default_factory=time.monotonic)
    messages: list[AnyMessage] = field(default_factory=list)
    """The conversation, as far as the steps have come."""
    steps: int = 0
    usage: Usage = field(default_factory=Usage)
    calls: int = 0
    """Calls that were let through."""
    records: dict[str, CallRecord | None] = field(default_factory=dict)
    """By call id, in the order of the calls; None until a call has its result."""
    results: dict[str, ToolMessage] = field(default_factory=dict)
    """Results that are there, by call id: kept if the run is cancelled before its step is over."""
    started: set[str] = field(default_factory=set)
    """Ids of calls that have begun."""
    seen: Counter[str] = field(default_factory=Counter)
    """How often a call with its arguments has had the same result."""
    system: SystemMessage | None = None
    stop: Stop = "answered"
    reason: str = ""
    cancelled: bool = False
    """Whether somebody wants it to end."""
    output: Any = None
    said: str = ""
    """The last that was said to the person, as far as it came."""

    def begin(self, messages: Sequence[AnyMessage]) -> None:
        """Chooses what the model is shown in this run, by what was said."""
        from gemmagraph.convert import Conversation

        offer = self.kit.offer
        self.toolset = offer.toolset(messages)
        self.transcript = Transcript(self.kit.gemma.writer(self.toolset))
        self.conversation = Conversation(self.transcript.writer)
        if offer.picks:
            self.emit(ToolsPicked(tuple(spec.name for spec in self.toolset), len(offer.all)))

    def emit(self, event: Event) -> None:
        if self.watch is not None:
            self.watch(event)

    def context(self, call: str | None = None) -> ToolContext:
        """What a tool may know of this run. The same call has the same `idempotency_key`, its id."""
        asker = self.asker
        return asker if call is None else ToolContext(asker.user, asker.thread, asker.channel, call, asker.values)

    @property
    def thread(self) -> str | None:
        return self.asker.thread

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
        if self.stop == "limit":
            return
        self.stop = stop
        self.reason = reason
        if stop == "limit":
            self.emit(LimitReached(reason))
