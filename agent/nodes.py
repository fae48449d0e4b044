"""The steps of the graph: one plain function each. `call_model` asks, `ask_approval` lets people decide,
`run_tools` acts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, Literal, cast

from langchain_core.messages import AIMessage, AnyMessage, SystemMessage
from langgraph._internal._constants import CONFIG_KEY_RESUME_MAP, CONFIG_KEY_SCRATCHPAD
from langgraph.config import get_config
from langgraph.runtime import Runtime
from langgraph.types import Command, Send, interrupt

from gemmagraph import calls, judging
from gemmagraph.approvals import Approval, Reject, answer_of, checked, decision_as_json, decision_of
from gemmagraph.callbacks import heard, listening
from gemmagraph.convert import ai_message
from gemmagraph.errors import AgentError, BackendTimeout, ChoiceIgnored
from gemmagraph.events import (
    ApprovalAsked,
    ApprovalDecided,
    Event,
    Notice,
    Reasked,
    RunFinished,
    StepStarted,
    TextDelta,
)
from gemmagraph.naming import Naming
from gemmagraph.prompts.messages import Reply, ToolCall
from gemmagraph.recounting import result_of, since_said
from gemmagraph.run import Kit, Run
from gemmagraph.state import AskedCall, State, StepName
from gemmagraph.store.questions import TOO_LATE
from gemmagraph.tools.ruling import Ruling
from gemmagraph.tools.secrets import mask, mask_all
from gemmagraph.uncounted import Uncounted

Next = Command[StepName | Literal["__end__"]]

_log = logging.getLogger("gemmagraph")

_CUT: Final = "the answer was cut at max_tokens"


async def call_model(kit: Kit, state: State, runtime: Runtime[Run]) -> Next:
    """Asks the model for the next turn, and says where to go on."""
    run = _run_of(kit, state, runtime)
    run.messages = state["messages"]
    return _ended(run, runtime, await _next_turn(run, state))


async def _next_turn(run: Run, state: State) -> Next:
    kit = run.kit
    over = "" if run.closing else run.limit_reached()
    if over:
        run.end("limit", over)
        return Command(goto="__end__")
    run.steps += 1
    run.emit(StepStarted(run.before + run.steps))
    naming = Naming()
    try:
        reply = await _ask(run, state, naming)
    except TimeoutError:
        run.end("limit", run.out_of_time())
        return Command(goto="__end__")
    except ChoiceIgnored as exc:
        if run.closing:  # it calls and calls; what is known will do
            return Command(goto="__end__")
        if kit.output is None:
            raise
        run.end("failed", f"the model gave no answer of the form that was asked for: {exc.message}")
        return Command(goto="__end__")
    if reply.usage:
        run.usage += reply.usage
    message = ai_message(reply, run.transcript.writer, naming.id)
    run.messages = [*state["messages"], message]
    update = {"messages": [message]}
    if reply.calls:
        asked = [
            Send("approval", judging.question(call, ruling))
            for call, ruling in (judging.to_ask(run, message) if run.can_ask else ())
            if not judging.hopeless(run, call["name"], call["args"])
        ]
        return Command(update=update, goto=asked or "tools")
    if reply.bad_calls:
        run.end("failed", f"the model's call could not be used: {reply.bad_calls[0].message}")
    elif reply.stop == "length":
        run.end("answered", _CUT)
        run.emit(Notice(f"{_CUT[0].upper()}{_CUT[1:]} ({kit.gemma.max_tokens} tokens)."))
    return Command(update=update, goto="__end__")


async def _ask(run: Run, state: State, naming: Naming) -> Reply:
    """One reply of the model.

    Args:
        naming: gives it its id.

    Raises:
        TimeoutError: the run's time is over. What was said until then is kept in the run.
    """
    said: list[str] = []
    messages: list[Any] = state["messages"]
    if run.kit.instructions:
        run.system = run.system or SystemMessage(content=mask(run.kit.instructions), id="instructions")
        messages = [run.system, *messages]
    turns = run.converter.turns(messages)
    reply: Reply | None = None
    try:
        async with asyncio.timeout(run.seconds_left()) as time_limit:
            choice = "none" if run.closing else "required" if run.kit.output else "auto"
            listeners = listening()
            uncounted = Uncounted() if run.counts_tokens else None
            watched = run.watch is not None or listeners is not None or uncounted is not None
            gemma, transcript = run.kit.gemma, run.transcript
            stream = gemma.stream(turns, run.toolset, transcript=transcript, watched=watched, tool_choice=choice)
            if watched:
                stream = naming.named(stream)
            if listeners is not None:
                held = choice != "auto" or gemma.takes_back
                stream = heard(listeners, run, messages, stream, naming, held=held)
            async with aclosing(stream) as events:
                async for event in events:
                    if isinstance(event, Reply):
                        reply = event
                        continue
                    if isinstance(event, Reasked):
                        said.clear()
                    elif isinstance(event, TextDelta):
                        said.append(event.text)
                    run.emit(event)
                    if uncounted is not None:
                        uncounted.note(event)
    except TimeoutError as exc:
        if time_limit.expired():
            raise
        raise BackendTimeout(f"{run.kit.gemma.name} gave no answer in time.") from exc
    finally:
        run.said = "".join(said) or run.said
    assert reply is not None, "a model's stream ends with its reply"
    return reply if uncounted is None else replace(reply, usage=uncounted.added_to(reply.usage))


async def ask_approval(kit: Kit, state: AskedCall, runtime: Runtime[Run]) -> Next:
    """Lets a person decide about one call. Where nobody is at hand, the run stops here, and goes on when somebody
    has decided."""
    run = _run_of(kit, state, runtime)
    written = state["call"]
    call = ToolCall(written["id"] or "", written["name"], written["args"])
    if judging.hopeless(run, call.name, call.arguments):  # since it was asked for; the model is told
        return Command(goto="tools")
    ruling = Ruling("ask", **state["ruling"])
    approval = judging.asked_of(run, call, ruling)
    decision: Mapping[str, Any] | None = None
    if run.turn and kit.store:
        question = await kit.store.questions.ask(run.turn, approval, ruling.expires)
        approval, decision = question.approval, question.decision
    if decision is None:
        decision = await _decision(run, approval, ruling.expires)
    while decision is None:
        decision = await _waited_for(run, approval)
    run.emit(ApprovalDecided(approval, decision_of(decision)))
    return Command(update={"decisions": {call.id: decision}}, goto="tools")


async def _decision(run: Run, approval: Approval, expires: float) -> Mapping[str, Any] | None:
    """What the person at hand decides; None if that is nobody's to decide who is at hand."""
    by = run.asker.user
    refused = approval.refuses(by)
    if run.approve is None or refused:
        if run.turn is None and refused:
            return decision_as_json(Reject(refused), "")
        return None
    async with run.asking:
        run.emit(ApprovalAsked(approval))
        try:
            left = run.seconds_left()
            async with asyncio.timeout(expires if left is None else min(left, expires)):
                decision = await answer_of(run.approve, approval)
        except TimeoutError:
            decision = Reject(TOO_LATE)
    kept: Mapping[str, Any] = decision_as_json(mask_all(decision), approval.digest, by)
    if run.turn and run.kit.store:  # somebody elsewhere may have been first
        question, _ = await run.kit.store.questions.decide(approval.id, kept, by)
        return question.decision
    return kept


async def _waited_for(run: Run, approval: Approval) -> Mapping[str, Any] | None:
    """Stops the run until it is resumed; then, what was decided. In a store that is written down before the run is
    resumed, and only what is written down counts: an answer that came twice, or for another question, says
    nothing. One without the id of its question is never taken: delivered twice, it would answer the next one."""
    if run.turn and not run.waiting:
        run.emit(ApprovalAsked(approval))
    run.waiting = True
    config = get_config()["configurable"]
    nameless = config[CONFIG_KEY_SCRATCHPAD].get_null_resume(True) is not None
    if nameless and not config.get(CONFIG_KEY_RESUME_MAP):  # else it came before, and was told of
        _log.warning("An answer without the id of its question was not taken: %s waits.", approval.request)
    answer = interrupt(
        {
            "type": "tool_approval",
            "approval": approval.id,
            "tool_call_id": approval.call,
            "name": approval.tool,
            "args": dict(approval.arguments),
            "description": approval.request,
        }
    )
    if run.turn and run.kit.store:
        return (await run.kit.store.questions.get(approval.id)).decision
    try:
        decision = checked(answer, f"The answer about {approval.tool}", approval.tool)
        return decision_as_json(mask_all(decision), approval.digest, run.asker.user)
    except AgentError:  # asked again: an exception would be kept, and so would the answer
        return None


async def run_tools(kit: Kit, state: State, runtime: Runtime[Run]) -> Next:
    """Runs the calls of the last turn, and puts their results behind it in the order of the calls."""
    run = _run_of(kit, state, runtime)
    message = state["messages"][-1]
    assert isinstance(message, AIMessage)
    decisions = state.get("decisions")
    run.messages = state["messages"]
    results = await calls.perform(run, message, decisions or {})
    run.messages = [*state["messages"], *results]
    update: dict[str, Any] = {"messages": results}
    if decisions:
        update["decisions"] = None  # they have served
    over = calls.conclude(run, message, results) or (run.stop == "limit" and not run.closing)
    return _ended(run, runtime, Command(update=update, goto="__end__" if over else "model"))


def _ended(run: Run, runtime: Runtime[Any], then: Next) -> Next:
    """Where to go on. If that is nowhere, those who watch a graph that somebody else's code started are told what it
    came to; those who watch an agent are told by that."""
    if then.goto == "__end__" and run.watch is not None and run is not runtime.context:
        run.watch(RunFinished(result_of(run)))
    return then


def _run_of(kit: Kit, state: State | AskedCall, runtime: Runtime[Any]) -> Run:
    """The run that a step belongs to. If somebody else's code started the graph, the step gets one of its own:
    there are no limits but the graph's recursion limit, events go to its `custom` stream, and where it is saved
    it may stop for a person."""
    run = runtime.context
    # Inside another graph the context is that graph's, and may even be the run of another agent.
    if isinstance(run, Run) and run.kit is kit:
        return run
    run = Run(kit, watch=_watcher(runtime.stream_writer))
    run.saved = bool(get_config().get("configurable", {}).get("__pregel_checkpointer"))
    messages = state.get("messages")
    if messages is not None:
        run.messages = cast("list[AnyMessage]", messages)
        run.begin(run.messages)
        if run.watch is not None:
            run.before = sum(isinstance(message, AIMessage) for message in since_said(run.messages))
    return run


def _watcher(writer: Callable[[Any], None]) -> Callable[[Event], None] | None:
    """What writes to LangGraph's `custom` stream, or None if nobody reads that: what it gives a step then is a
    function that does nothing."""
    code = getattr(writer, "__code__", None)
    return None if code is not None and code.co_code == _nothing.__code__.co_code else writer


def _nothing(_: Any) -> None: ...
