"""The calls of one turn: who must be asked, what runs beside what, and what the model is told of it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from typing import Any, Final

from langchain_core.messages import AIMessage, InvalidToolCall, ToolMessage
from langchain_core.messages.tool import ToolCall as WrittenCall

from gemmagraph.approvals import Approval, approval_id
from gemmagraph.convert import tool_message
from gemmagraph.events import ToolFinished, ToolStarted
from gemmagraph.journal import Written
from gemmagraph.prompts.checking.arguments import write_plainly
from gemmagraph.prompts.errors import GemmagraphError, InvalidArguments
from gemmagraph.prompts.messages import JSON, ToolCall
from gemmagraph.run import CallRecord, Kit, Run
from gemmagraph.tools import Tool, ToolError
from gemmagraph.tools.results import Outcome
from gemmagraph.tools.ruling import Ruling
from gemmagraph.tools.runtime import CANCEL_GRACE
from gemmagraph.tools.secrets import mask, masked_trace

_log = logging.getLogger("gemmagraph")

_NO_CLOCK: Final = nullcontext()
_sorted = json.JSONEncoder(sort_keys=True, default=str).encode
_REPEATED: Final = (
    "(You made this very call before and got this very result. Do not make it again; answer with what you know.)"
)


def to_ask(run: Run, message: AIMessage) -> list[tuple[WrittenCall, Ruling]]:
    """The calls that need a person, each with what was ruled."""
    asked = []
    made: set[str] = set()
    several = len(message.tool_calls) > 1
    for call in message.tool_calls:
        tool = run.kit.tools.get(call["name"])
        if tool is None:
            continue
        ruling = tool.ruling(call["args"], run.asker)
        same = _key(call["name"], call["args"]) if several else ""
        if same in made:
            if tool.reads:
                continue  # it runs once, and is asked for once
            if ruling.verdict == "allow":
                ruling = Ruling("ask", f"{tool.name} was called with the same arguments in the same turn")
        made.add(same)
        if ruling.verdict == "ask":
            asked.append((call, ruling))
    return asked


def question(call: WrittenCall, ruling: Ruling) -> dict[str, Any]:
    """What the step that asks is given."""
    approvers = None if ruling.approvers is None else [*ruling.approvers]
    said = {"reason": ruling.told, "approvers": approvers, "four_eyes": ruling.four_eyes, "expires": ruling.expires}
    return {"call": dict(call), "ruling": said}


def rendered(run: Run, name: str, arguments: Mapping[str, JSON]) -> tuple[str, str]:
    """What a call will do, as a person reads it: the request, the argv or the statement that will be sent. And the
    digest of it.

    Raises:
        ToolError: a value cannot stand where the tool puts it.
    """
    tool = run.kit.tools.get(name)
    if tool is None:
        raise ToolError(f"There is no tool {name!r} here.")
    found = tool.render(arguments, run.asker)
    return found.shown, tool.digest(found, arguments, run.asker)


def hopeless(run: Run, name: str, arguments: Mapping[str, JSON]) -> str:
    """Why a call cannot even be shown, or empty. Nobody is asked about such a call: the model is told."""
    try:
        rendered(run, name, arguments)
    except GemmagraphError as exc:
        return mask(str(exc))
    return ""


def asked_of(run: Run, call: ToolCall, ruling: Ruling) -> Approval:
    """A call as a person is asked about it."""
    request, digest = rendered(run, call.name, call.arguments)
    deciders = None if ruling.approvers is None else run.kit.deciders(ruling.approvers)
    return Approval(
        id=approval_id(run.asker.thread, call.id),
        tool=call.name,
        arguments=copied(call.arguments),
        request=request,
        reason=f"{ruling.told} (asked for by {run.within.agent})" if run.within else ruling.told,
        user=run.asker.user,
        thread=run.asker.thread,
        channel=run.asker.channel,
        digest=digest,
        call=call.id,
        approvers=ruling.approvers,
        deciders=deciders,
        four_eyes=ruling.four_eyes,
    )


async def perform(run: Run, message: AIMessage, decisions: Mapping[str, Any]) -> list[ToolMessage]:
    """Runs the calls of a turn at the same time, but for tools that want to be alone. One result for each call,
    in their order, then one for each call that could not be read."""
    asked = {call["id"]: ruling.reason for call, ruling in to_ask(run, message)}
    run.records.update((call["id"] or "", None) for call in message.tool_calls)

    def work(call: WrittenCall) -> Coroutine[Any, Any, ToolMessage]:
        return _perform_one(run, call, asked.get(call["id"]), decisions.get(call["id"] or ""))

    if len(message.tool_calls) == 1:
        results = [await work(message.tool_calls[0])]
    else:
        results = await _side_by_side(run.kit, message.tool_calls, work)
    return results + [_complaint(bad) for bad in message.invalid_tool_calls]


async def _side_by_side(
    kit: Kit, calls: Sequence[WrittenCall], work: Callable[[WrittenCall], Coroutine[Any, Any, ToolMessage]]
) -> list[ToolMessage]:
    """The results of several calls, in their order. Exact copies of a read-only call run once."""
    queue = asyncio.Lock()
    gate = asyncio.Semaphore(kit.limits.parallel)

    async def beside(call: WrittenCall) -> ToolMessage:
        async with gate:
            return await work(call)

    async def alone(call: WrittenCall) -> ToolMessage:
        async with queue:
            return await beside(call)

    tasks: dict[str | None, asyncio.Task[ToolMessage]] = {}
    chosen = []
    for call in calls:
        tool = kit.tools.get(call["name"])
        same = _key(call["name"], call["args"]) if tool and tool.reads else call["id"]
        if same not in tasks:
            tasks[same] = asyncio.create_task(alone(call) if tool and tool.sequential else beside(call))
        chosen.append(tasks[same])
    try:
        await asyncio.gather(*tasks.values())
    except BaseException:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        raise
    return [_answer(call, task.result()) for call, task in zip(calls, chosen, strict=True)]


def _answer(call: WrittenCall, result: ToolMessage) -> ToolMessage:
    """The result as that of `call`, which may be a copy of the call that ran."""
    identity = call["id"] or ""
    if result.tool_call_id == identity:
        return result
    return result.model_copy(update={"tool_call_id": identity, "id": f"{identity}-result"})


async def _perform_one(
    run: Run, written: WrittenCall, asked: str | None, decision: Mapping[str, Any] | None
) -> ToolMessage:
    """One call, from the question whether it may run to its result."""
    call = ToolCall(written["id"] or "", written["name"], written["args"])
    limit = run.kit.limits.calls
    if run.calls >= limit:
        run.end("limit", f"the limit of {limit} tool calls is reached")
        return _refused(run, call, f"Not run: the limit of {limit} tool calls is reached.")
    tool = run.kit.tools.get(call.name)
    if tool is None:
        return _refused(run, call, f"There is no tool {call.name!r} here.")
    ruling = tool.ruling(call.arguments, run.asker)
    if ruling.verdict == "deny":
        return _refused(run, call, f"Not run: {ruling.reason}.", ruling.place)
    if asked is None and ruling.verdict == "ask":
        asked = ruling.reason  # it changed since the turn began
    if asked is not None or decision is not None:  # what a person said counts, whatever is ruled by now
        settled = _settled(run, tool, call, replace(ruling, reason=asked or ruling.reason), decision)
        if isinstance(settled, ToolMessage):
            return settled
        call = settled
    run.calls += 1
    left = run.seconds_left()
    if left == 0.0:
        run.end("limit", run.out_of_time())
        return _refused(run, call, f"Not run: {run.out_of_time()}.")
    changed = call.arguments is not written["args"]
    note = f"(A person changed the call to {write_plainly(call.name, call.arguments)}.)" if changed else ""
    return await _run_tool(run, tool, call, left, note)


def _settled(
    run: Run, tool: Tool, call: ToolCall, ruling: Ruling, decision: Mapping[str, Any] | None
) -> ToolCall | ToolMessage:
    """What a person's decision makes of a call: a call to run, or the result in its place."""
    by = (decision or {}).get("by")
    match decision:
        case None if why := hopeless(run, call.name, call.arguments):
            return _finish(run, call, why, "error")
        case None:
            where = "by an assistant that works for another" if run.within else "here"
            why = f"Not run: {ruling.reason}, so a person must approve it, and nobody can be asked {where}."
            return _refused(run, call, why, ruling.place)
        case {"type": "approve", "digest": digest}:
            if why := hopeless(run, call.name, call.arguments):
                return _finish(run, call, why, "error")
            approval = asked_of(run, call, ruling)
            if approval.digest != digest:
                return _refused(run, call, "Not run: what it would do has changed since a person approved it.")
            if ruling.verdict == "ask" and (why := approval.refuses(by)):
                return _refused(run, call, f"Not run: a person approved it, but by now {why}.")
            return call
        case {"type": "edit", "arguments": arguments, "digest": digest}:
            if digest and asked_of(run, call, ruling).digest != digest:
                return _refused(run, call, "Not run: what it would do has changed since a person was asked.")
            try:
                changed = ToolCall(call.id, call.name, tool.check(arguments))
            except InvalidArguments as problem:
                return _refused(run, call, f"Not run: the arguments were changed by a person. {problem.message}")
            ruling = tool.ruling(changed.arguments, run.asker)
            if ruling.verdict == "deny":
                why = f"Not run: the arguments were changed by a person, and {ruling.reason}."
                return _refused(run, call, why, ruling.place)
            if why := hopeless(run, changed.name, changed.arguments):
                return _finish(run, changed, why, "error")
            if ruling.verdict == "ask" and (why := asked_of(run, changed, ruling).refuses(by)):
                return _refused(run, call, f"Not run: the arguments were changed by a person, and now {why}.")
            return changed
        case {"type": "respond", "text": text}:
            return _finish(run, call, text, "ok")
        case _:
            why = str((decision or {}).get("reason") or "")
            return _refused(run, call, "Not run: a person refused it" + (f": {why}" if why else "."))


async def _run_tool(run: Run, tool: Tool, call: ToolCall, left: float | None, note: str) -> ToolMessage:
    journal = run.kit.store.journal if run.kit.store and run.turn and not tool.reads else None
    if journal and run.turn:
        before = await journal.start(run.turn, call, repeatable=tool.repeatable)
        if before is not None:  # a process that died, or lost its turn, has made it
            return _finish(run, call, before.content, before.status, before.seconds, note=note)
    run.started.add(call.id)
    run.emit(ToolStarted(call))
    if left is not None and tool.timeout is not None and 2 * tool.timeout + CANCEL_GRACE < left:
        left = None  # the tool's own limits come first; a second clock would only cost time
    context = run.context(call)
    try:
        async with asyncio.timeout(left) if left is not None else _NO_CLOCK:
            outcome = await tool.run(copied(call.arguments), context)
    except TimeoutError:
        run.end("limit", run.out_of_time())
        why = f"{call.name} did not finish: {run.out_of_time()}."
        if not tool.repeatable:
            why += " Whether it took effect is unknown."
        outcome = Outcome(why, "timeout", left or 0.0)
    finally:
        context.end()
    if outcome.status == "failed":
        _log.error("The tool %s failed.\n%s", call.name, masked_trace(outcome.error))
    if journal and run.turn:
        doubtful = outcome.status == "timeout" or getattr(outcome.error, "unknown", False)
        written = Written(outcome.content, outcome.status, outcome.seconds)
        await journal.finish(run.turn, call.id, written, known=tool.repeatable or not doubtful)
    return _finish(run, call, outcome.content, outcome.status, outcome.seconds, outcome.error, note)


def _finish(
    run: Run,
    call: ToolCall,
    content: JSON,
    status: str,
    seconds: float = 0.0,
    error: BaseException | None = None,
    note: str = "",
    place: str | None = None,
) -> ToolMessage:
    """Writes down what a call came to; warns or ends the run if it came to the same before."""
    limits = run.kit.limits
    message = tool_message(call.id, call.name, content, status != "ok", run.spent.pop(call.id, None))
    key = f"{_key(call.name, call.arguments)}\0{message.content}"
    run.seen[key] += 1
    times = run.seen[key]
    if times >= limits.same_call_stop:
        run.closing = run.kit.output is None and run.stop != "limit"
        run.end("limit", f"the model made the same call {times} times: {write_plainly(call.name, call.arguments)}")
    if times >= limits.same_call_warn:
        note = f"{note}\n{_REPEATED}" if note else _REPEATED
    if note:
        message.content = f"{message.content}\n{note}"
        message.additional_kwargs = {}
    run.records[call.id] = CallRecord(call.name, call.arguments, content, status, seconds, place)
    run.results[call.id] = message
    run.emit(ToolFinished(call, content, status, seconds, error, place))
    return message


def _refused(run: Run, call: ToolCall, why: str, place: str | None = None) -> ToolMessage:
    return _finish(run, call, why, "refused", place=place)


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
    last = messages[-1] if messages else None
    if not isinstance(last, AIMessage) or not last.tool_calls:
        return []
    closed = []
    for call in last.tool_calls:
        identity = call["id"] or ""
        known = run.results.get(identity)
        if known is None:
            begun = identity in run.started
            why = (
                "Stopped before it finished; whether it took effect is unknown."
                if begun
                else "Stopped before it ran."
            )
            known = tool_message(identity, call["name"], why, is_error=True)
        closed.append(known)
    return closed + [_complaint(bad) for bad in last.invalid_tool_calls]


def copied(arguments: Mapping[str, JSON]) -> dict[str, JSON]:
    """Arguments for other people's code, which may change what it is given; what is in the state stays."""
    return {key: deepcopy(value) if isinstance(value, list | dict) else value for key, value in arguments.items()}


def _key(name: str, arguments: JSON) -> str:
    return name + _sorted(arguments)


def _complaint(bad: InvalidToolCall) -> ToolMessage:
    """What was wrong with a call that could not be read, as its result."""
    wrong = (bad["error"] or "").partition(": ")[2]
    return tool_message(bad["id"] or "", bad["name"] or "unknown", wrong, is_error=True)
