"""The steps of the graph: one plain function each. `call_model` asks, `ask_approval` lets people decide,
`run_tools` acts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any, Final, Literal

from langchain_core.messages import AIMessage, SystemMessage
from langgraph.runtime import Runtime
from langgraph.types import Command

from gemmagraph import calls
from gemmagraph.approvals import Approval, Decision, Reject, decide
from gemmagraph.convert import ai_message
from gemmagraph.errors import BackendTimeout, ChoiceIgnored, GemmagraphError
from gemmagraph.events import (
    ApprovalAsked,
    ApprovalDecided,
    ArgumentsDelta,
    CallProposed,
    CallRefused,
    CallStarted,
    Event,
    Notice,
    Reasked,
    ReplyReceived,
    StepStarted,
    TextDelta,
    ThoughtDelta,
)
from gemmagraph.model import ModelEvent
from gemmagraph.output import ANSWER
from gemmagraph.prompts.messages import Reply
from gemmagraph.run import Kit, Run
from gemmagraph.state import State
from gemmagraph.tools.secrets import Masker, hide_secrets, known_forms, mask, mask_all

Next = Command[Literal["model", "approval", "tools", "__end__"]]

_CUT: Final = "the answer was cut at max_tokens"


async def call_model(kit: Kit, state: State, runtime: Runtime[Run]) -> Next:
    """Asks the model for the next turn, and says where to go on."""
    run = _run_of(kit, state, runtime)
    over = run.limit_reached()
    if over:
        run.end("limit", over)
        return Command(goto="__end__")
    run.steps += 1
    run.emit(StepStarted(run.steps))
    try:
        reply = await _ask(run, state)
    except TimeoutError:
        run.end("limit", run.out_of_time())
        return Command(goto="__end__")
    except ChoiceIgnored as exc:
        if kit.output is None:
            raise
        run.end("failed", f"the model gave no answer of the form that was asked for: {exc.message}")
        return Command(goto="__end__")
    if reply.usage:
        run.usage += reply.usage
    message = ai_message(reply, run.transcript.writer)
    run.messages = [*state["messages"], message]
    update = {"messages": [message]}
    if reply.calls:
        asked = run.kit.approve is not None and calls.to_ask(run, message)
        return Command(update=update, goto="approval" if asked else "tools")
    if reply.bad_calls:
        run.end("failed", f"the model's call could not be used: {reply.bad_calls[0].message}")
    elif reply.stop == "length":
        run.end("answered", _CUT)
        run.emit(Notice(f"{_CUT[0].upper()}{_CUT[1:]} ({kit.gemma.max_tokens} tokens)."))
    return Command(update=update, goto="__end__")


async def _ask(run: Run, state: State) -> Reply:
    """One reply of the model.

    Raises:
        TimeoutError: the run's time is over. What was said until then is kept in the run.
    """
    said: list[str] = []
    shown = _Shown()
    messages: list[Any] = state["messages"]
    if run.kit.instructions:
        run.system = run.system or SystemMessage(content=mask(run.kit.instructions), id="instructions")
        messages = [run.system, *messages]
    turns = run.conversation.turns(messages)
    reply: Reply | None = None
    try:
        async with asyncio.timeout(run.seconds_left()) as time_limit:
            watched = run.watch is not None
            stream = run.kit.gemma.stream(
                turns,
                run.toolset,
                transcript=run.transcript,
                watched=watched,
                tool_choice="required" if run.kit.output else "auto",
            )
            async with aclosing(stream) as events:
                async for event in events:
                    if isinstance(event, Reply):
                        reply = mask_all(event)
                    elif isinstance(event, Reasked):
                        shown = _Shown()
                        said.clear()
                    for piece in shown.of(event):
                        if isinstance(piece, TextDelta):
                            said.append(piece.text)
                        run.emit(piece)
    except TimeoutError as exc:
        if time_limit.expired():
            raise
        raise BackendTimeout(f"{run.kit.gemma.name} gave no answer in time.") from exc
    except GemmagraphError as exc:
        hide_secrets(exc)  # a server may repeat what it was told
        raise
    finally:
        run.said = "".join(said) or run.said
    assert reply is not None, "a model's stream ends with its reply"
    return reply


class _Shown:
    """What a model says and what is said of it, as those who watch may have it. What a model was told holds no
    secret, but it may have guessed one together."""

    def __init__(self) -> None:
        self._pieces = {kind: Masker() for kind in (TextDelta, ThoughtDelta, ArgumentsDelta)}

    def of(self, event: ModelEvent | Reply) -> Iterator[Event]:
        """The event without secrets; what was held back goes in front of what it belongs to."""
        if not known_forms():
            if not isinstance(event, Reply):
                yield event
            return
        if isinstance(event, TextDelta | ThoughtDelta | ArgumentsDelta):
            text = self._pieces[type(event)].feed(event.text)
            if text:
                yield event if text == event.text else type(event)(text)
            return
        if isinstance(event, CallStarted | CallProposed | CallRefused):
            yield from self._rest(ArgumentsDelta)
        elif isinstance(event, ReplyReceived | Reply):
            for kind in self._pieces:
                yield from self._rest(kind)
        if not isinstance(event, Reply):
            yield mask_all(event)

    def _rest(self, kind: type[TextDelta | ThoughtDelta | ArgumentsDelta]) -> Iterator[Event]:
        if rest := self._pieces[kind].close():
            yield kind(rest)


async def ask_approval(kit: Kit, state: State, runtime: Runtime[Run]) -> Next:
    """Asks a person about each call of the last turn that needs it, one after the other."""
    run = _run_of(kit, state, runtime)
    message = state["messages"][-1]
    assert isinstance(message, AIMessage)
    decisions: dict[str, Any] = {}
    for call, ruling in calls.to_ask(run, message):
        request, digest = calls.rendered(run, call["name"], call["args"])
        approval = Approval(
            id=call["id"] or "",
            tool=call["name"],
            arguments=calls.copied(call["args"]),
            request=request,
            reason=ruling.reason,
            user=run.asker.user,
            thread=run.asker.thread,
            digest=digest,
        )
        run.emit(ApprovalAsked(approval))
        decision = mask_all(await _decision(run, approval))
        run.emit(ApprovalDecided(approval, decision))
        decisions[approval.id] = calls.decision_as_json(decision, digest)
    return Command(update={"decisions": decisions}, goto="tools")


async def _decision(run: Run, approval: Approval) -> Decision:
    assert run.kit.approve is not None
    try:
        async with asyncio.timeout(run.seconds_left()):
            return await decide(run.kit.approve, approval)
    except TimeoutError:
        return Reject("nobody decided in time")


async def run_tools(kit: Kit, state: State, runtime: Runtime[Run]) -> Next:
    """Runs the calls of the last turn, and puts their results behind it in the order of the calls."""
    run = _run_of(kit, state, runtime)
    message = state["messages"][-1]
    assert isinstance(message, AIMessage)
    results = await calls.perform(run, message, state.get("decisions") or {})
    run.messages = [*state["messages"], *results]
    answer = calls.direct_answer(kit, message, results)
    if answer is not None:
        run.said = answer
        if kit.output is not None and message.tool_calls[-1]["name"] == ANSWER:
            run.output = kit.output.value(message.tool_calls[-1]["args"])
            run.said = str(results[-1].content)
    elif run.stop != "limit":
        return Command(update={"messages": results}, goto="model")
    return Command(update={"messages": results}, goto="__end__")


def _run_of(kit: Kit, state: State, runtime: Runtime[Any]) -> Run:
    """The run that a step belongs to. If somebody else's code started the graph, the step gets one of its own:
    there are no limits but the graph's recursion limit, and nobody watches."""
    run = runtime.context
    # Inside another graph the context is that graph's, and may even be the run of another agent.
    if isinstance(run, Run) and run.kit is kit:
        return run
    run = Run(kit)
    run.begin(state["messages"])
    return run
