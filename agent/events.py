"""What a run tells those who watch it, as it happens.

Values only: drawing them is the business of the command line and of bots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from gemmagraph.prompts.messages import JSON, BadCall, Reply, ToolCall

if TYPE_CHECKING:
    from gemmagraph.approvals import Approval, Decision
    from gemmagraph.run import Result

HeldTo: TypeAlias = Literal["", "grammar", "schema", "tool_choice"]


@dataclass(frozen=True, slots=True)
class StepStarted:
    """The model is asked, for the `step`-th time in this run."""

    step: int


@dataclass(frozen=True, slots=True)
class ToolsPicked:
    """There are more tools than the model is shown at once: these are the ones for this run."""

    names: tuple[str, ...]
    of: int
    """How many there are."""


@dataclass(frozen=True, slots=True)
class PromptSent:
    """What goes to the server: the whole prompt, or the chat messages. Where the server writes the prompt itself, the
    turns in the form of messages."""

    prompt: str | tuple[Mapping[str, JSON], ...]
    held_to: HeldTo = ""
    """What the server is to hold the reply to, if anything."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something worth knowing that changes nothing: the model is loading, a prompt was cut."""

    text: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of visible text. If `Reasked` follows, what came since the step began was no answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ThoughtDelta:
    text: str


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The model is writing a call to a tool. `CallProposed` or `CallRefused` settles what came of it."""

    name: str


@dataclass(frozen=True, slots=True)
class ArgumentsDelta:
    """A piece of the arguments of the call that is being written, in the spelling of the notation."""

    text: str


@dataclass(frozen=True, slots=True)
class CallProposed:
    """The model wrote a call that may run. In a run its id is the one that it runs with."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class CallRefused:
    """The model wrote a call that must not run, and why."""

    bad_call: BadCall


@dataclass(frozen=True, slots=True)
class Reasked:
    """The reply could not be used; the model is asked again and told why, or another is: then `Rerouted` follows."""

    reason: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Rerouted:
    """A receipt: another model answers in the place of one that cannot, or has not done well."""

    left: str
    """Who should have answered: asked just now, or a short while ago."""
    reason: str
    answers: str
    """Who is asked now."""


@dataclass(frozen=True, slots=True)
class ContextDropped:
    """The prompt no longer fits the context window, and goes on without a part of the conversation, which itself
    keeps everything."""

    what: Literal["results", "turns"]
    """Results of tools, in whose place a marker stands; or whole turns."""
    count: int
    tokens: int
    """About how many they had."""
    window: int
    """Tokens that a prompt may have: the context without what is kept for the reply."""
    summary: str = ""
    """What tells the turns in short, in their place."""


@dataclass(frozen=True, slots=True)
class ReplyReceived:
    """A reply is complete: its raw text, tokens, and the seconds it took."""

    reply: Reply
    seconds: float


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    approval: Approval


@dataclass(frozen=True, slots=True)
class ApprovalDecided:
    approval: Approval
    decision: Decision


@dataclass(frozen=True, slots=True)
class ToolStarted:
    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolProgress:
    """How far a call is, as its tool says: the latest, about ten times a second at most."""

    call: ToolCall
    text: str
    fraction: float | None = None
    """From 0 to 1, where the tool knows."""


@dataclass(frozen=True, slots=True)
class ToolRetried:
    """A try of a call failed with what may pass; it is tried again in `wait` seconds."""

    call: ToolCall
    attempt: int
    """Which try comes: the first repeated one is 2."""
    reason: str
    wait: float


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A call has a result. `status` is `ok`, or says why it is none: `error`, `failed`, `timeout`, `refused`."""

    call: ToolCall
    content: JSON
    status: str
    seconds: float
    error: BaseException | None = None
    """What the tool raised, for the developer."""
    place: str | None = None
    """File and line of the rule that refused it. The model is not told."""


@dataclass(frozen=True, slots=True)
class SubagentEvent:
    """Another agent, which works on a call of this run, has had this event. It may hold such a one in turn."""

    call_id: str
    agent: str
    """What it is called."""
    event: Event


@dataclass(frozen=True, slots=True)
class LimitReached:
    """The run ends because of one of its limits."""

    reason: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The last event."""

    result: Result


Event: TypeAlias = (
    StepStarted
    | ToolsPicked
    | PromptSent
    | Notice
    | TextDelta
    | ThoughtDelta
    | CallStarted
    | ArgumentsDelta
    | CallProposed
    | CallRefused
    | Reasked
    | Rerouted
    | ContextDropped
    | ReplyReceived
    | ApprovalAsked
    | ApprovalDecided
    | ToolStarted
    | ToolProgress
    | ToolRetried
    | ToolFinished
    | SubagentEvent
    | LimitReached
    | RunFinished
)


def innermost(event: Event) -> Event:
    """The event itself; or, of an agent that works on a call, what happened there."""
    while isinstance(event, SubagentEvent):
        event = event.event
    return event
