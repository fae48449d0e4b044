"""The calls of one turn: who must be asked, what runs beside what, and what the model is told of it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.messages.tool import ToolCall as WrittenCall

from gemmagraph.approvals import Approve, Decision, Edit, Reject, Respond
from gemmagraph.convert import tool_message
from gemmagraph.events import ToolFinished, ToolStarted
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import JSON, ToolCall
from gemmagraph.run import CallRecord, Kit, Run
from gemmagraph.tools import Outcome, Tool, ToolContext

_log = logging.getLogger("gemmagraph")

_BIGGEST: Final = 2**63
"""Integers from here on do not fit where messages are stored."""
_REPEATED: Final = (
    "(You made this very call before and got this very result. Do not make it again; answer with what you know.)"
)


def to_ask(kit: Kit, message: AIMessage) -> list[tuple[WrittenCall, str]]:
    """The calls that need a person, each with the reason."""
    asked = []
    made: set[str] = set()
    for call in message.tool_calls:
        tool = kit.tools.get(call["name"])
        if tool is None:
            continue
        verdict, reason = tool.needs_approval()
        same = _key(call["name"], call["args"])
        if verdict == "allow" and not tool.read_only and same in made:
            verdict, reason = "ask", f"{tool.name} was called with the same arguments in the same turn"
        made.add(same)
        if verdict == "ask":
            asked.append((call, reason))
    return asked


async def perform(run: Run, message: AIMessage, decisions: Mapping[str, Any]) -> list[ToolMessage]:
    """Runs the calls of a turn at the same time, but for tools that want to be alone. One result for each call,
    in their order, then one for each call that could not be read."""
    asked = {call["id"]: reason for call, reason in to_ask(run.kit, message)}
    waiting: list[asyncio.Future[ToolMessage] | None] = []
    copies: dict[str, int] = {}
    order: list[int] = []
    queue: asyncio.Lock | None = None
    single = len(message.tool_calls) == 1
    results: list[ToolMessage] = []
    for index, call in enumerate(message.tool_calls):
        tool = run.kit.tools.get(call["name"])
        same = _key(call["name"], call["args"]) if not single else ""
        if not single and tool is not None and tool.read_only and same in copies:
            order.append(copies[same])
            waiting.append(None)
            continue
        copies[same] = index
        order.append(index)
        work = _perform_one(run, call, asked.get(call["id"]), decisions.get(call["id"] or ""))
        if single:
            results.append(await work)
            break
        if tool is not None and tool.sequential:
            queue = queue or asyncio.Lock()
            work = _alone(queue, work)
        waiting.append(asyncio.ensure_future(work))
    if not single:
        results = await _gather(run, message, waiting, order)
    results += (
        tool_message(bad["id"] or "", bad["name"] or "unknown", _complaint(bad["error"]), is_error=True)
        for bad in message.invalid_tool_calls
    )
    return results


async def _gather(
    run: Run, message: AIMessage, waiting: Sequence[asyncio.Future[ToolMessage] | None], order: Sequence[int]
) -> list[ToolMessage]:
    tasks = [task for task in waiting if task is not None]
    try:
        await asyncio.gather(*tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    results = []
    for index, source in enumerate(order):
        ran = waiting[source]
        assert ran is not None
        result = ran.result()
        if source != index:  # an exact copy of a read-only call: it ran once
            result = tool_message(
                message.tool_calls[index]["id"] or "", result.name or "", result.content, result.status == "error"
            )
            result.additional_kwargs = ran.result().additional_kwargs
        results.append(result)
    return results


async def _alone(queue: asyncio.Lock, work: Any) -> ToolMessage:
    async with queue:
        message: ToolMessage = await work
        return message


async def _perform_one(
    run: Run, written: WrittenCall, asked: str | None, decision: Mapping[str, Any] | None
) -> ToolMessage:
    """One call, from the question whether it may run to its result."""
    call = ToolCall(written["id"] or "", written["name"], written["args"])
    limit = run.kit.limits.calls
    if len(run.started) >= limit:
        run.end("limit", f"the limit of {limit} tool calls is reached")
        return _refused(run, call, f"Not run: the limit of {limit} tool calls is reached.")
    tool = run.kit.tools.get(call.name)
    if tool is None:
        return _refused(run, call, f"There is no tool {call.name!r} here.")
    verdict, reason = tool.needs_approval()
    if verdict == "deny":
        return _refused(run, call, f"Not run: {reason}.")
    if asked is not None:
        settled = _settled(run, tool, call, asked, decision)
        if isinstance(settled, ToolMessage):
            return settled
        call = settled
    if _has_huge_integer(call.arguments):
        return _refused(run, call, "Not run: an integer in the arguments is beyond 64 bits.")
    return await _run_tool(run, tool, call)


def _settled(
    run: Run, tool: Tool, call: ToolCall, reason: str, decision: Mapping[str, Any] | None
) -> ToolCall | ToolMessage:
    """What a person's decision makes of a call: a call to run, or the result in its place."""
    match decision:
        case None:
            return _refused(
                run, call, f"Not run: {reason}, so a person must approve it, and nobody can be asked here."
            )
        case {"type": "approve"}:
            return call
        case {"type": "edit", "arguments": arguments}:
            try:
                return ToolCall(call.id, call.name, tool.check(arguments))
            except InvalidArguments as problem:
                return _refused(run, call, f"Not run: the arguments were changed by a person. {problem.message}")
        case {"type": "respond", "text": text}:
            return _finish(run, call, Outcome(text, "ok", 0.0, None))
        case _:
            why = str((decision or {}).get("reason") or "")
            return _refused(run, call, "Not run: a person refused it" + (f": {why}" if why else "."))


async def _run_tool(run: Run, tool: Tool, call: ToolCall) -> ToolMessage:
    context = ToolContext(run.user, run.thread, None, call.id, run.values)
    run.started.add(call.id)
    run.gate = run.gate or asyncio.Semaphore(run.kit.limits.parallel)
    async with run.gate:
        run.emit(ToolStarted(call))
        left = run.seconds_left()
        try:
            async with asyncio.timeout(left):
                outcome = await tool.run(call.arguments, context)
        except TimeoutError:
            run.end("limit", run.out_of_time())
            outcome = Outcome(f"{call.name} did not finish: {run.reason}.", "timeout", left or 0.0, None)
    if outcome.status == "failed":
        _log.error("The tool %s failed.", call.name, exc_info=outcome.error)
    return _finish(run, call, outcome)


def _finish(run: Run, call: ToolCall, outcome: Outcome) -> ToolMessage:
    """Writes down what a call came to; warns or ends the run if it came to the same before."""
    content = outcome.content
    limits = run.kit.limits
    key = _key(call.name, call.arguments) + "\0" + (content if isinstance(content, str) else _key("", content))
    run.seen[key] += 1
    times = run.seen[key]
    message = tool_message(call.id, call.name, content, outcome.status != "ok")
    if times >= limits.same_call_stop:
        run.end("limit", f"the model made the same call {times} times: {as_text(call.name, call.arguments)}")
    elif times >= limits.same_call_warn:
        message.content = f"{message.content}\n{_REPEATED}"
        message.additional_kwargs = {}
    run.records.append(CallRecord(call.name, call.arguments, content, outcome.status, outcome.seconds))
    run.results[call.id] = message
    run.emit(ToolFinished(call, content, outcome.status, outcome.seconds, outcome.error))
    return message


def _refused(run: Run, call: ToolCall, why: str) -> ToolMessage:
    run.records.append(CallRecord(call.name, call.arguments, why, "refused", 0.0))
    message = tool_message(call.id, call.name, why, is_error=True)
    run.results[call.id] = message
    run.emit(ToolFinished(call, why, "refused", 0.0))
    return message


def direct_answer(kit: Kit, message: AIMessage, results: Sequence[ToolMessage]) -> str | None:
    """The results as the answer, if every call was to a tool that gives its result directly."""
    for call, result in zip(message.tool_calls, results, strict=False):
        tool = kit.tools.get(call["name"])
        if tool is None or not tool.return_direct or result.status == "error":
            return None
    if message.invalid_tool_calls:
        return None
    return "\n\n".join(str(result.content) for result in results)


def close_open_calls(run: Run, messages: Sequence[Any]) -> list[ToolMessage]:
    """Results for the calls of the last turn that have none because the run was stopped."""
    if not messages or not isinstance(messages[-1], AIMessage):
        return []
    closed = []
    for call in [*messages[-1].tool_calls, *messages[-1].invalid_tool_calls]:
        identity = call["id"] or ""
        known = run.results.get(identity)
        if known is None:
            begun = identity in run.started
            why = (
                "Stopped before it finished; whether it took effect is unknown."
                if begun
                else "Stopped before it ran."
            )
            known = tool_message(identity, call["name"] or "unknown", why, is_error=True)
        closed.append(known)
    return closed


def as_text(name: str, arguments: Mapping[str, JSON]) -> str:
    """A call as people read it."""
    given = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in arguments.items())
    return f"{name}({given})"


def decision_as_json(decision: Decision) -> dict[str, JSON]:
    """A decision as it is kept in the state."""
    match decision:
        case Approve():
            return {"type": "approve"}
        case Edit(arguments):
            return {"type": "edit", "arguments": dict(arguments)}
        case Reject(reason):
            return {"type": "reject", "reason": reason}
        case Respond(text):
            return {"type": "respond", "text": text}


def _key(name: str, arguments: JSON) -> str:
    return name + json.dumps(arguments, sort_keys=True, default=str)


def _has_huge_integer(value: JSON) -> bool:
    if isinstance(value, int):
        return not -_BIGGEST <= value < _BIGGEST
    if isinstance(value, Mapping):
        return any(map(_has_huge_integer, value.values()))
    if isinstance(value, list):
        return any(map(_has_huge_integer, value))
    return False


def _complaint(error: str | None) -> str:
    return (error or "").partition(": ")[2]
