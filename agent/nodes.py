"""The steps of the graph: one plain function each. `call_model` asks, `ask_approval` lets people decide,
`run_tools` acts.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, Literal

from langchain_core.messages import AIMessage, SystemMessage
from langgraph.runtime import Runtime
from langgraph.types import Command

from gemmagraph import calls
from gemmagraph.approvals import Approval, Decision, Reject, decide
from gemmagraph.convert import ai_message
from gemmagraph.errors import BackendTimeout, ChoiceIgnored
from gemmagraph.events import ApprovalAsked, ApprovalDecided, Notice, Reasked, StepStarted, TextDelta
from gemmagraph.output import ANSWER
from gemmagraph.prompts.arguments import write_plainly
from gemmagraph.prompts.messages import Reply
from gemmagraph.run import Kit, Run
from gemmagraph.state import State
from gemmagraph.tools.secrets import Masker, mask

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
    masker = Masker()
    messages: list[Any] = state["messages"]
    if run.kit.instructions:
        run.system = run.system or SystemMessage(content=run.kit.instructions, id="instructions")
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
                    if isinstance(event, TextDelta):
                        if not (text := masker.feed(event.text)):
                            continue
                        event = event if text == event.text else replace(event, text=text)
                        said.append(text)
                    elif isinstance(event, Reply):
                        if rest := masker.close():
                            said.append(rest)
                            run.emit(TextDelta(rest))
                        reply = _masked(event)
                        continue
                    elif isinstance(event, Reasked):
                        masker = Masker()
                        said.clear()
                    run.emit(event)
    except TimeoutError as exc:
        if time_limit.expired():
            raise
        raise BackendTimeout(f"{run.kit.gemma.name} gave no answer in time.") from exc
    finally:
        run.said = "".join(said) or run.said
    assert reply is not None, "a model's stream ends with its reply"
    return reply


def _masked(reply: Reply) -> Reply:
    """A reply as it may be kept. What a model was told holds no secret, but it may have guessed one together."""
    text, thoughts, raw = mask(reply.text), mask(reply.thoughts), mask(reply.raw)
    if (text, thoughts, raw) == (reply.text, reply.thoughts, reply.raw):
        return reply
    return replace(reply, text=text, thoughts=thoughts, raw=raw)


async def ask_approval(kit: Kit, state: State, runtime: Runtime[Run]) -> Next:
    """Asks a person about each call of the last turn that needs it, one after the other."""
    run = _run_of(kit, state, runtime)
    message = state["messages"][-1]
    assert isinstance(message, AIMessage)
    decisions: dict[str, Any] = {}
    for call, ruling in calls.to_ask(run, message):
        approval = Approval(
            id=call["id"] or "",
            tool=call["name"],
            arguments=calls.copied(call["args"]),
            request=write_plainly(call["name"], call["args"]),
            reason=ruling.reason,
            user=run.asker.user,
            thread=run.asker.thread,
        )
        run.emit(ApprovalAsked(approval))
        decision = await _decision(run, approval)
        run.emit(ApprovalDecided(approval, decision))
        decisions[approval.id] = calls.decision_as_json(decision)
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
