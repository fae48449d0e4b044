"""What a run has used, done and said by now, from what is written of it: all that a process leaves that died."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from gemmagraph.calls import conclude, counted, without_notes
from gemmagraph.convert import tokens_of
from gemmagraph.errors import InvalidArguments
from gemmagraph.journal import Entry, Written
from gemmagraph.output import ANSWER
from gemmagraph.prompts.messages import Usage
from gemmagraph.run import CallRecord, Result, Run

_NEVER_RAN: Final = ("Not run: ", "Stopped before it ran.")
"""Begin the results of calls that were not made."""


def recount(run: Run, messages: Sequence[AnyMessage], journal: Mapping[str, Entry]) -> None:
    """Takes it in, in the place of what the run has counted itself.

    Args:
        messages: what came after its input.
        journal: of its calls, those that may have changed something.
    """
    run.steps, run.calls, run.usage = 0, 0, Usage()
    run.records.clear()
    run.seen.clear()
    made: dict[str, Any] = {}
    last: AIMessage | None = None
    results: list[ToolMessage] = []
    for message in messages:
        if isinstance(message, AIMessage):
            run.steps += 1
            run.usage += tokens_of(message)
            run.said = message.text or run.said
            made.update({call["id"] or "": call for call in message.tool_calls})
            last, results = message, []
        elif isinstance(message, ToolMessage) and message.tool_call_id in made:
            run.calls += 1
            run.usage += tokens_of(message)
            _recount_call(run, made[message.tool_call_id], message, journal.get(message.tool_call_id))
            results.append(message)
    if last is not None and last.tool_calls and len(results) == len(last.tool_calls):
        call = last.tool_calls[-1]
        try:
            if run.kit.output is not None and call["name"] == ANSWER:
                run.kit.output.tool.check(call["args"])
            conclude(run, last, results)
        except InvalidArguments:  # by now answers have another form
            run.said = results[-1].text


def since_said(messages: Sequence[AnyMessage]) -> Sequence[AnyMessage]:
    """What came after the last that a person said."""
    said = [number for number, message in enumerate(messages) if isinstance(message, HumanMessage)]
    return messages[said[-1] + 1 if said else 0 :]


def result_of(run: Run) -> Result:
    """What came of a conversation of which each step has had a run of its own.

    Args:
        run: that of the last step.
    """
    whole = Run(run.kit)
    recount(whole, since_said(run.messages), {})
    return Result(
        text="" if run.stop == "failed" else run.said or whole.said,
        messages=list(run.messages),
        calls=tuple(record for record in whole.records.values() if record is not None),
        stop=run.stop,
        reason=run.reason,
        usage=whole.usage,
        output=whole.output,
    )


def _recount_call(run: Run, call: Mapping[str, Any], message: ToolMessage, entry: Entry | None) -> None:
    failed = "refused" if message.text.startswith(_NEVER_RAN) else "error"
    came = Written(message.text, "ok" if message.status == "success" else failed, 0.0)
    if entry is not None:
        came = entry.outcome or Written(message.text, "unknown", 0.0)
    counted(run, call["name"], entry.arguments if entry else call["args"], without_notes(message.text))
    record = CallRecord(call["name"], call["args"], message.text, came.status, came.seconds)
    run.records[message.tool_call_id] = record
