"""What a bot says by itself: short, and in one place."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from gemmagraph.approvals import Approval
from gemmagraph.asked import clock, left, settled, who_decides
from gemmagraph.bots.base import Choice
from gemmagraph.bots.text import Block, Code, Paragraph, Span, blocks_of, clean, plain
from gemmagraph.prompts.checking.arguments import write_plainly
from gemmagraph.prompts.messages import JSON
from gemmagraph.run import CallRecord, Result
from gemmagraph.store.questions import Question
from gemmagraph.tools import Tool

_NOT_RUN: Final = "Not run: "
"""Begins what the model is told of such a call."""
_CALL: Final = 160
REQUEST: Final = 2500
"""Characters of a request that are shown, at most."""
UNKNOWN: Final = ":?"
"""Ends what stands for all people of a service who are not known for certain."""
CODE: Final = 6
"""Characters of an approval's id that people type."""


def call_text(name: str, arguments: Mapping[str, JSON]) -> str:
    """A call in one line."""
    text = " ".join(clean(write_plainly(name, arguments)).split())
    return text if len(text) <= _CALL else f"{text[: _CALL - 1]}…"


def note(text: str) -> Paragraph:
    """A remark of the bot's own."""
    return Paragraph((Span(clean(text), "italic"),))


def answer(
    result: Result, tools: Mapping[str, Tool], hosts: Collection[str], approved: Sequence[Approval] = ()
) -> list[Block]:
    """What a run came to.

    Args:
        approved: calls that a person has let run. Of those that did not run all the same it is said.
    """
    blocks = blocks_of(result.text, hosts)
    if result.stop == "limit" and not blocks and not result.calls:
        blocks.append(note(f"Not now: {result.reason}."))
    elif result.stop == "limit":
        blocks.append(note(f"I stopped before the end: {result.reason}."))
    elif result.stop == "cancelled":
        blocks.append(note("Stopped. What was done is kept."))
    elif result.stop == "failed":
        blocks.append(note(f"No answer: {result.reason}."))
    elif not blocks:
        blocks.append(note("There is nothing to say to that."))
    return [*blocks, *_receipts(result.calls, tools), *_prevented(result.calls, approved)]


def _receipts(calls: Sequence[CallRecord], tools: Mapping[str, Tool]) -> list[Block]:
    """What was done to the world, and what perhaps was."""
    found: list[Block] = []
    for record in calls:
        text = call_text(record.name, record.arguments)
        tool = tools.get(record.name)
        if record.status == "unknown":
            spans = (Span("Outcome unknown", "bold"), Span(": whether "), Span(text, "code"))
            found.append(Paragraph((*spans, Span(" took effect is not known. Look before it is done again."))))
        elif record.status == "ok" and tool is not None and _changes(tool):
            found.append(Paragraph((Span("Done: "), Span(text, "code"))))
    return found


def _prevented(calls: Sequence[CallRecord], approved: Sequence[Approval]) -> list[Block]:
    """What was approved and then not run."""
    found: list[Block] = []
    for record in calls:
        why = str(record.result)
        same = any(one.tool == record.name and one.arguments == record.arguments for one in approved)
        if same and record.status == "refused" and why.startswith(_NOT_RUN):
            text = call_text(record.name, record.arguments)
            why = clean(why.removeprefix(_NOT_RUN))
            found.append(Paragraph((Span("Not run: ", "bold"), Span(text, "code"), Span(f": {why}"))))
    return found


def _changes(tool: Tool) -> bool:
    """Whether a call is worth a receipt. Of a plain Python function that nobody has marked nothing is known."""
    return not tool.reads and (tool.kind != "python" or tool.read_only is False or bool(tool.destructive))


def question(approval: Approval, command: str, most: int = REQUEST) -> list[Block]:
    """A call that waits for a person: exactly what would run, and who decides.

    Args:
        most: characters of the request.
    """
    code = approval.id[:CODE]
    request = clean(approval.request)
    if len(request) > most:
        cut = len(request) - most
        request = f"{request[:most]}\n… ({cut:,} more characters: gemmagraph approvals show {approval.id})"
    how = (Span(f"{command}approve {code}", "code"), Span(" or "), Span(f"{command}reject {code} because …", "code"))
    return [
        Paragraph((Span("May this run?", "bold"), Span(f" {clean(approval.user or 'Somebody')} asked for it."))),
        Code(request),
        plain(f"{who_decides(approval)}: {left(approval.expires)} (until {clock(approval.expires)})."),
        Paragraph(_only_from_outside(approval) or how),
    ]


def _only_from_outside(approval: Approval) -> tuple[Span, ...]:
    """What is said if nobody in the channel can decide: who asked must, and is not known for certain."""
    user = approval.user or ""
    if approval.deciders is not None or approval.four_eyes or not user.endswith(UNKNOWN):
        return ()
    who = "I do not know for certain who asked, so nobody here can decide. Whoever runs me can: "
    return Span(who), Span(f"gemmagraph approvals approve {approval.id} --as '{user}'", "code")


def choices(approval: Approval) -> list[Choice]:
    return [Choice("approve", approval.id, "Approve"), Choice("reject", approval.id, "Reject")]


def decided(asked: Question, most: int = REQUEST) -> list[Block]:
    """The same, once somebody has decided or nobody has in time."""
    approval = asked.approval
    when = f" {clock(asked.decided)}" if asked.decided else ""
    blocks: list[Block] = [
        Paragraph((Span(clean(settled(asked)), "bold"), Span(when))),
        Code(clean(approval.request)[:most]),
    ]
    if (asked.decision or {}).get("type") == "edit":
        arguments = clean(json.dumps((asked.decision or {})["arguments"], ensure_ascii=False))
        blocks.append(Paragraph((Span("Changed to "), Span(arguments[:most], "code"))))
    return blocks


def fault() -> Paragraph:
    """What is said of a bug."""
    return note("Something went wrong in me; whoever runs me finds it in the log.")


def until_decided(text: str, hosts: Collection[str]) -> list[Block]:
    """What stands above a question: what the model has said so far, or that there is one."""
    return blocks_of(text, hosts) or [note("A decision is needed first: see below.")]


def after_decision() -> Paragraph:
    """Told to who writes while a question is open."""
    return note("I answer that after the decision above.")


def no_model() -> Paragraph:
    """What is said when the model cannot be asked. Where it is, and why, is for whoever runs the bot."""
    return note(
        "My model does not answer just now; whoever runs me finds the reason in the log. Please ask again later."
    )


def ahead(count: int) -> Paragraph:
    """Somebody's place in line."""
    turns = "One turn comes" if count == 1 else f"{count} turns come"
    return note(f"{turns} before yours." if count else "The model is busy; you are next.")


def uptime(since: float) -> str:
    """How long ago that was, by `time.monotonic()`."""
    seconds = int(time.monotonic() - since)
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours = seconds // 60 % 60, seconds // 3600
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
