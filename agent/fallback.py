"""Fallback and Escalate: several models in the place of one.

`Fallback` asks the next where one cannot answer, `Escalate` where one has answered badly. Only a request for a reply
is ever made again, and before a call of it has run: what a tool did stays done.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary

from gemmagraph.errors import (
    AgentError,
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ChoiceIgnored,
    EmptyReply,
    ModelNotFound,
    RateLimited,
    ServerError,
)
from gemmagraph.events import (
    ArgumentsDelta,
    CallProposed,
    CallRefused,
    CallStarted,
    Event,
    Reasked,
    ReplyReceived,
    Rerouted,
    TextDelta,
    ThoughtDelta,
)
from gemmagraph.model import Gemma, ModelEvent
from gemmagraph.prompts.catalog import Family
from gemmagraph.prompts.messages import Reply, Turn, Usage
from gemmagraph.prompts.notation import Notation
from gemmagraph.prompts.prompt import PromptWriter, Transcript
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.toolchoice import ToolChoice

UNAVAILABLE: Final = (BackendUnavailable, BackendTimeout, RateLimited, ServerError, ModelNotFound)
"""What sends a request to the next model: it says something of the server, so another may do better.

The others do not. A key that is refused and a request that is wrong are for a person to put right, and would stay
unseen behind a second model. A conversation that is too long is not made shorter by asking elsewhere. A reply that is
cut or empty had begun.
"""
REST: Final = 30.0
"""Seconds in which a model that could not answer is passed over. Our own choice: the steps of one run, mostly."""

_SEEN: Final = (TextDelta, ThoughtDelta, CallStarted, ArgumentsDelta, CallProposed, CallRefused)
"""Events that pass on a part of a reply."""


class Route(ABC):
    """Several models that are used as one. What it says of itself without asking any, it says of the first.

    Args:
        models: `Gemma`s, routes, or names such as `ollama:gemma3:4b`.

    Raises:
        AgentError: there are fewer than two, or one is no language model.
        NotationError: as `Gemma`.
    """

    _between: str
    """The words between the names of two."""

    def __init__(self, models: Sequence[Model | str]) -> None:
        if isinstance(models, str) or len(models) < 2:
            raise AgentError(
                f"{type(self).__name__} needs at least two models.", hint="Give a list of names or of Gemmas."
            )
        self.models = tuple(_model(model) for model in models)
        self._transcripts: WeakKeyDictionary[Transcript, dict[int, Transcript]] = WeakKeyDictionary()
        """The conversation as each but the first writes it, by how the first does."""

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
        """As `Gemma.stream`, with a `Rerouted` for each model that is left. Raw text in `turns` is the first
        model's. Events are always those for a watcher, since they tell what was passed on."""
        return self._answer(_Asked(turns, tools, transcript, tool_choice, stop))

    @abstractmethod
    def _answer(self, asked: _Asked) -> AsyncGenerator[ModelEvent, None]:
        """Asks who is to be asked. Last comes the reply."""

    @property
    def name(self) -> str:
        names = (f"({model.name})" if isinstance(model, Route) else model.name for model in self.models)
        return self._between.join(names)

    @property
    def model(self) -> str:
        return self.models[0].model

    @property
    def family(self) -> Family:
        return self.models[0].family

    @property
    def notation(self) -> Notation:
        return self.models[0].notation

    @property
    def takes_back(self) -> bool:
        """Whether another model may answer after text of one was shown."""
        return any(model.takes_back for model in self.models)

    @property
    def sees(self) -> bool:
        """Whether all of them can be shown pictures."""
        return all(model.sees for model in self.models)

    @property
    def context(self) -> int:
        """What the least of them has."""
        return min(model.context for model in self.models)

    @property
    def max_tokens(self) -> int:
        """What the least of them may write."""
        return min(model.max_tokens for model in self.models)

    def writer(self, tools: Toolset) -> PromptWriter:
        return self.models[0].writer(tools)

    async def close(self) -> None:
        """Closes all, also when one of them cannot be."""
        async with AsyncExitStack() as stack:
            for model in self.models:
                stack.push_async_callback(model.close)

    async def _ask(self, place: int, asked: _Asked, told: _Told) -> AsyncGenerator[Event, None]:
        """What one of them tells; its reply is left in `told`.

        One that is written differently is shown no raw text of another, and its own does not enter the conversation:
        there it would be taken for the first's.
        """
        model, turns = self.models[place], asked.turns
        other = _spelling(model) != _spelling(self)
        if other:
            turns = [turn if turn.raw is None else replace(turn, raw=None) for turn in turns]
        stream = model.stream(
            turns,
            asked.tools,
            transcript=self._transcript(place, asked.transcript),
            tool_choice=asked.tool_choice,
            stop=asked.stop,
        )
        async with aclosing(stream) as events:
            async for event in events:
                if isinstance(event, Reply):
                    told.reply = replace(event, repaired=True) if other else event
                    continue
                told.note(event)
                yield event

    def _transcript(self, place: int, first: Transcript | None) -> Transcript | None:
        if first is None or place == 0:
            return first
        others = self._transcripts.setdefault(first, {})
        if place not in others:
            others[place] = Transcript(self.models[place].writer(first.writer.tools))
        return others[place]


Model: TypeAlias = Gemma | Route
"""What can be asked."""


class Fallback(Route):
    """Asks the first model, and the next one where it cannot answer: see `UNAVAILABLE`.

    Once a part of a reply was passed on, that model's failure is the failure. One that could not answer is passed
    over for a while, and asked all the same if no other answers. Each reply that is not the first's has its receipts.
    If none can answer, that is a `BackendUnavailable` with the reason of each.

    Args:
        models: in the order in which they are asked.
        rest: seconds in which one that could not answer is passed over.
    """

    _between = ", else "

    def __init__(self, models: Sequence[Model | str], *, rest: float = REST) -> None:
        super().__init__(models)
        self._rest = rest
        self._left: dict[int, tuple[float, str]] = {}
        """Those that could not answer: until when they rest, and why."""

    async def _answer(self, asked: _Asked) -> AsyncGenerator[ModelEvent, None]:
        passed_over, order = self._order()
        for name, reason in passed_over:
            yield Rerouted(name, reason, self.models[order[0]].name)
        spent, failed = Usage(), list[str]()
        for place, following in zip_longest(order, order[1:]):
            name, told = self.models[place].name, _Told()
            try:
                async with aclosing(self._ask(place, asked, told)) as events:
                    async for event in events:
                        yield event
            except BackendError as exc:
                error = exc
            else:
                self._left.pop(place, None)
                yield told.answer(spent)
                return
            if isinstance(error, UNAVAILABLE):
                self._left[place] = time.monotonic() + self._rest, error.message
            if told.begun or not isinstance(error, UNAVAILABLE):
                for line in failed:
                    error.add_note(f"Asked before: {line}")
                raise error
            failed.append(f"{name}: {error}")
            spent += told.spent
            if following is not None:
                yield Rerouted(name, error.message, self.models[following].name)
        raise BackendUnavailable(f"None of {len(failed)} models can answer. {' '.join(failed)}") from error

    def _order(self) -> tuple[list[tuple[str, str]], list[int]]:
        """Those that are passed over, each with the reason; and the order in which to ask all: who rests, last."""
        now = time.monotonic()
        resting = {place: reason for place, (until, reason) in self._left.copy().items() if until > now}
        order = sorted(range(len(self.models)), key=resting.__contains__)
        return [(self.models[place].name, resting[place]) for place in range(order[0])], order


class Escalate(Route):
    """Asks the local model, and the remote one where what it says cannot be used, however often it was asked again:
    only bad calls, nothing at all, or not what `tool_choice` wants.

    What was passed on of it is then no answer, as after any `Reasked`. A local model that cannot be reached is not
    escalated: put a `Fallback` in its place for that.

    Args:
        local: answers.
        remote: answers where it has to.
        when: whether a reply that could be used is not good enough; it may return the reason.
    """

    _between = ", backed by "

    takes_back = True

    def __init__(
        self, local: Model | str, remote: Model | str, *, when: Callable[[Reply], bool | str] | None = None
    ) -> None:
        super().__init__((local, remote))
        self._when = when

    async def _answer(self, asked: _Asked) -> AsyncGenerator[ModelEvent, None]:
        told, remote = _Told(), _Told()
        try:
            async with aclosing(self._ask(0, asked, told)) as events:
                async for event in events:
                    yield event
            reason = self._fault(told.reply)
        except (EmptyReply, ChoiceIgnored) as exc:
            reason = exc.message
        if not reason:
            yield told.answer()
            return
        yield Reasked(reason, told.reasked + 1)
        yield Rerouted(self.models[0].name, reason, self.models[1].name)
        try:
            async with aclosing(self._ask(1, asked, remote)) as events:
                async for event in events:
                    yield event
        except BackendError as exc:
            exc.add_note(f"Asked before: {self.models[0].name}: {reason}")
            raise
        yield remote.answer(told.spent)

    def _fault(self, reply: Reply) -> str:
        """Why a reply is not good enough; "" if it is."""
        if reply.bad_calls and not reply.calls:
            return reply.bad_calls[0].message
        found = self._when(reply) if self._when is not None else False
        return found if isinstance(found, str) else "The reply was not good enough." if found else ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What each model is asked."""

    turns: Sequence[Turn]
    tools: Toolset
    transcript: Transcript | None
    tool_choice: ToolChoice
    stop: Sequence[str]


@dataclass(slots=True)
class _Told:
    """What came of asking one model."""

    reply: Reply = field(default_factory=Reply)
    begun: bool = False
    """Whether a part of a reply was passed on."""
    reasked: int = 0
    spent: Usage = field(default_factory=Usage)
    """Tokens of its replies, also of those that were no use."""

    def note(self, event: Event) -> None:
        if isinstance(event, ReplyReceived):
            self.spent += event.reply.usage or Usage()
        elif isinstance(event, Reasked):
            self.reasked += 1
        self.begun = self.begun or isinstance(event, _SEEN)

    def answer(self, before: Usage = Usage()) -> Reply:  # noqa: B008 - it is frozen
        """The reply, with the tokens that others have used up before."""
        if before == Usage():
            return self.reply
        return replace(self.reply, usage=before + (self.reply.usage or Usage()))


def _model(model: Model | str) -> Model:
    if isinstance(model, str):
        model = Gemma(model)
    if not isinstance(model, Gemma | Route):
        raise AgentError(f"{model!r} is no model.", hint="Give a name such as ollama:gemma3:4b, or a Gemma.")
    if isinstance(model, Gemma) and model.backend.read_only_tools:
        raise AgentError(
            f"{model.name} cannot stand in for a model: it understands nothing.", hint="Name another model."
        )
    return model


def _spelling(model: Model) -> tuple[str, str]:
    """How a model's turns and calls are written: with the same, raw text of one is as good as the other's."""
    return model.family.turn_format, model.notation.name
