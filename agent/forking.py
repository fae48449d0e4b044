"""The steps of a conversation, and a conversation as it was at one of them.

Steps are read from the messages themselves: the checkpoints of a long thread would take seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from gemmagraph.convert import tool_message
from gemmagraph.errors import AgentError
from gemmagraph.ids import time_of
from gemmagraph.prompts.checking.arguments import write_plainly

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage

    from gemmagraph.store.questions import Question

What: TypeAlias = Literal["said", "model", "decided", "tools"]

_NOT_RUN: Final = "Not run: the conversation was forked here."
_MOST: Final = 100
"""Characters of a summary."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a conversation."""

    number: int
    """From 1; what `fork` takes."""
    time: float | None
    """Seconds since 1970 when it was said, written or decided; of tools when their calls were written. None: the
    message came from elsewhere and does not tell."""
    what: What
    """Something was said to the model, the model has answered, a person has decided about a call, tools have run."""
    summary: str
    """One line."""
    messages: int
    """How many messages the conversation has behind it."""


def steps_of(messages: Sequence[AnyMessage], decided: Sequence[Question] = ()) -> list[Step]:
    """The steps, the oldest first.

    Args:
        decided: what people decided about its calls, in the order in which they were asked.
    """
    by_call: defaultdict[str, list[Question]] = defaultdict(list)
    for question in decided:
        if question.decision is not None:
            by_call[question.approval.call].append(question)
    steps: list[Step] = []

    def add(what: What, time: float | None, summary: str, count: int) -> None:
        line = " ".join(summary[: 8 * _MOST].split())
        shown = line if len(line) <= _MOST else f"{line[: _MOST - 1]}…"
        steps.append(Step(len(steps) + 1, time, what, shown, count))

    count = 0
    while count < len(messages):
        message = messages[count]
        count += 1
        at = time_of(message.id or "")
        if message.type == "ai":
            written = [write_plainly(call["name"], call["args"]) for call in message.tool_calls]
            add("model", at, ", ".join(written) or message.text, count)
            for question in [question for call in message.tool_calls for question in by_call[call["id"] or ""]]:
                kind = (question.decision or {}).get("type")
                add("decided", question.decided, f"{question.approval.tool}: {kind}, {_by(question)}", count)
        elif message.type == "tool":
            first = count - 1
            while count < len(messages) and messages[count].type == "tool":
                count += 1
            results = (f"{result.name}: {result.text}" for result in messages[first:count])
            add("tools", at, "; ".join(results), count)
        else:
            add("said", at, message.text, count)
    return steps


def _by(question: Question) -> str:
    return f"by {question.decider}" if question.decider else "by nobody in particular"


def forked(thread: str, messages: Sequence[AnyMessage], steps: Sequence[Step], step: int | None) -> list[AnyMessage]:
    """The conversation up to a step, with a result for each call that has none by then.

    Args:
        thread: what it is called, for the message.
        step: its number; None: the last.

    Raises:
        AgentError: there is no such step.
    """
    number = len(steps) if step is None else step
    if isinstance(number, bool) or number not in range(1, len(steps) + 1):
        there = f"It has the steps 1 to {len(steps)}." if steps else "It has none yet."
        raise AgentError(f"The thread {thread!r} has no step {number!r}.", hint=there)
    kept = list(messages[: steps[number - 1].messages])
    last: Any = kept[-1]
    calls = last.tool_calls if last.type == "ai" else ()
    return [*kept, *(tool_message(call["id"] or "", call["name"], _NOT_RUN, is_error=True) for call in calls)]
