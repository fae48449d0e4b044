"""The calls of one turn: what runs beside what, what is written down of it, and what the model is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Final

from langchain_core.messages import AIMessage, InvalidToolCall, ToolMessage
from langchain_core.messages.tool import ToolCall as WrittenCall

from gemmagraph.convert import tool_message
from gemmagraph.events import ToolFinished, ToolStarted
from gemmagraph.journal import Written
from gemmagraph.judging import Instead, copied, judged, same_call, to_ask
from gemmagraph.output import ANSWER
from gemmagraph.prompts.checking.arguments import write_plainly
from gemmagraph.prompts.messages import JSON, ToolCall
from gemmagraph.run import CallRecord, Kit, Run
from gemmagraph.tools import Tool
from gemmagraph.tools.results import Outcome
from gemmagraph.tools.runtime import CANCEL_GRACE
from gemmagraph.tools.secrets import masked_trace

_log = logging.getLogger("gemmagraph")

_NO_CLOCK: Final = nullcontext()
_REPEATED: Final = (
    "(You made this very call before and got this very result. Do not make it again; answer with what you know.)"
)
_EDITED: Final = "(A person changed the call to "


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
        same = same_call(call["name"], call["args"]) if tool and tool.reads else call["id"]
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
    verdict = judged(run, written, asked, decision)
    limit = run.kit.limits.calls
    over = f"the limit of {limit} tool calls is reached" if run.calls >= limit else ""
    left = run.seconds_left()
    if not over and left == 0.0 and isinstance(verdict, ToolCall):
        over = run.out_of_time()
    if over:
        verdict = Instead(verdict if isinstance(verdict, ToolCall) else verdict.call, f"Not run: {over}.")
    if isinstance(verdict, Instead):
        if (made := await _made_before(run, written, verdict.call)) is not None:
            return made
        if over:
            run.end("limit", over)
        return _finish(run, verdict.call, verdict.why, verdict.status, place=verdict.place)
    run.calls += 1
    return await _run_tool(run, run.kit.tools[verdict.name], verdict, left, _changed(written, verdict.arguments))


async def _made_before(run: Run, written: WrittenCall, call: ToolCall) -> ToolMessage | None:
    """The result of a call that may not run any more, but did: in a process that died, or lost its turn."""
    if run.kit.store is None or run.turn is None:
        return None
    known = await run.kit.store.journal.began(run.turn, call.id)
    if known is None:
        return None
    arguments, came = known
    run.calls += 1
    made = ToolCall(call.id, call.name, arguments)
    return _finish(run, made, came.content, came.status, came.seconds, note=_changed(written, arguments))


def _changed(written: WrittenCall, arguments: Mapping[str, JSON]) -> str:
    """What the model is told of a call that ran with other arguments than its own."""
    same = arguments is written["args"] or arguments == written["args"]
    return "" if same else f"{_EDITED}{write_plainly(written['name'], arguments)}.)"


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
    message = tool_message(call.id, call.name, content, status != "ok", run.spent.pop(call.id, None))
    if counted(run, call.name, call.arguments, str(message.content)) >= run.kit.limits.same_call_warn:
        note = f"{note}\n{_REPEATED}" if note else _REPEATED
    if note:
        message.content = f"{message.content}\n{note}"
        message.additional_kwargs = {}
    run.records[call.id] = CallRecord(call.name, call.arguments, content, status, seconds, place)
    run.results[call.id] = message
    run.emit(ToolFinished(call, content, status, seconds, error, place))
    return message


def counted(run: Run, name: str, arguments: Mapping[str, JSON], content: str) -> int:
    """How often a call has come to this by now, this time included. Too often ends the run."""
    key = f"{same_call(name, arguments)}\0{content}"
    run.seen[key] += 1
    times = run.seen[key]
    if times >= run.kit.limits.same_call_stop:
        run.closing = run.kit.output is None and run.stop != "limit"
        run.end("limit", f"the model made the same call {times} times: {write_plainly(name, arguments)}")
    return times


def without_notes(content: str) -> str:
    """The content of a result as it was before we added to it."""
    content = content.removesuffix(f"\n{_REPEATED}")
    before, noted, after = content.rpartition(f"\n{_EDITED}")
    return before if noted and after.endswith(".)") else content


def conclude(run: Run, message: AIMessage, results: Sequence[ToolMessage]) -> bool:
    """Takes the results of a turn as the answer, if they are it; returns whether."""
    answer = direct_answer(run.kit, message, results)
    if answer is None:
        return False
    run.said = answer
    output = run.kit.output
    if output is not None and message.tool_calls[-1]["name"] == ANSWER:
        run.output = output.value(message.tool_calls[-1]["args"])
        run.said = without_notes(str(results[-1].content))
    return True


def direct_answer(kit: Kit, message: AIMessage, results: Sequence[ToolMessage]) -> str | None:
    """The results as the answer, if every call was to a tool that gives its result directly."""
    for call, result in zip(message.tool_calls, results, strict=False):
        tool = kit.tools.get(call["name"])
        if tool is None or not tool.return_direct or result.status == "error":
            return None
    if message.invalid_tool_calls:
        return None
    return "\n\n".join(without_notes(str(result.content)) for result in results)


def close_open_calls(run: Run, messages: Sequence[Any]) -> list[ToolMessage]:
    """Results for the calls of the last turn that have none because the run was stopped."""
    last = messages[-1] if messages else None
    if not isinstance(last, AIMessage) or not last.tool_calls:
        return []
    closed = [run.results.get(call["id"] or "") or _stopped(run, call) for call in last.tool_calls]
    return closed + [_complaint(bad) for bad in last.invalid_tool_calls]


def _stopped(run: Run, call: WrittenCall) -> ToolMessage:
    """What a call came to that was stopped."""
    identity, name = call["id"] or "", call["name"]
    tool = run.kit.tools.get(name)
    why, status = "Stopped before it ran.", "refused"
    if identity in run.started:
        why = "Stopped before it finished; whether it took effect is unknown."
        status = "error" if tool and tool.reads else "unknown"
    run.records[identity] = CallRecord(name, call["args"], why, status, 0.0)
    return tool_message(identity, name, why, is_error=True)


def _complaint(bad: InvalidToolCall) -> ToolMessage:
    """What was wrong with a call that could not be read, as its result."""
    wrong = (bad["error"] or "").partition(": ")[2]
    return tool_message(bad["id"] or "", bad["name"] or "unknown", wrong, is_error=True)
