"""Threads for people, and as JSON and Markdown for whatever comes after."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gemmagraph.asked import ago, clock, left, question_as_json, settled, utc, whose
from gemmagraph.cli.terminal import one_line, plain, shortened, width_of
from gemmagraph.journal import Entry
from gemmagraph.prompts.checking.arguments import write_plainly
from gemmagraph.prompts.messages import JSON
from gemmagraph.store.questions import Question
from gemmagraph.store.store import Thread
from gemmagraph.stored_thread import StoredThread

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage

VERSION: Final = 1
"""Of the shape of an exported thread. What is read as one shape is only added to."""

_ROLES: Final = {"human": "user", "ai": "assistant", "tool": "tool", "system": "system"}
_SHOWN: Final = 12
"""Lines of a result that are shown."""
_WIDEST: Final = 28
"""Columns of a name in a list."""


@dataclass(frozen=True)
class _Call:
    """A call of a conversation, with all that is known of it."""

    id: str
    name: str
    arguments: Mapping[str, JSON]
    result: AnyMessage | None
    entry: Entry | None
    question: Question | None
    over: bool
    """Whether nobody is at work on it any more."""

    @property
    def unknown(self) -> bool:
        """Whether nobody knows if it took effect."""
        if self.entry is None or self.entry.state == "done":
            return False
        return self.over or self.entry.state == "unknown"


def listed(threads: Sequence[Thread], columns: int) -> str:
    """A line each."""
    rows = [("thread", "state", "used", "title")]
    rows += [
        (shortened(one_line(thread.id), _WIDEST), thread.state, ago(thread.updated), _title(thread))
        for thread in threads
    ]
    widths = [max(width_of(row[column]) for row in rows) for column in range(3)]
    lines = []
    for row in rows:
        cells = [cell + " " * (width - width_of(cell)) for cell, width in zip(row, widths, strict=False)]
        lines.append(shortened("  ".join([*cells, row[3]]), columns).rstrip())
    return "\n".join(lines)


def _title(thread: Thread) -> str:
    return one_line(thread.title if thread.failure is None else f"{thread.title} ({thread.failure})")


def thread_as_json(thread: Thread) -> dict[str, JSON]:
    """For programs."""
    return {
        "id": thread.id,
        "title": thread.title,
        "state": thread.state,
        "failure": thread.failure,
        "agent": thread.agent,
        "created": utc(thread.created),
        "updated": utc(thread.updated),
    }


def shown(found: StoredThread) -> str:
    """The conversation as a person reads it."""
    about = found.thread
    lines = [f"{about.id} · {about.state} · begun {clock(about.created)} · last used {ago(about.updated)}"]
    calls = _calls(found)
    for message in found.messages:
        if message.type == "human":
            lines += ["", *_quoted(message)]
        elif message.type == "ai":
            lines += [message.text] if message.text.strip() else []
            for call in message.tool_calls:
                lines += _call_lines(calls[call["id"] or ""])
            lines += [f"  (a call that could not be read: {bad['error']})" for bad in message.invalid_tool_calls]
    for message, what in _aside(found):
        lines += ["", *_quoted(message), f"  ({what})"]
    if about.state == "failed":
        why = "." if about.failure is None else f": {one_line(about.failure)}"
        lines += ["", f"  This failed{why}", f"  Try it again: threads resume {about.id}"]
    return plain("\n".join(lines))


def _aside(found: StoredThread) -> list[tuple[AnyMessage, str]]:
    """What was said and is not in the conversation, and what became of it."""
    return [
        *((message, "cancelled") for message in found.cancelled),
        *((message, "not answered yet") for message in found.unanswered),
    ]


def _quoted(message: AnyMessage) -> list[str]:
    return [f"> {line}" for line in _text(message).splitlines() or [""]]


def _call_lines(call: _Call) -> Iterator[str]:
    yield f"  {one_line(write_plainly(call.name, call.arguments))}"
    if call.question is not None:
        if call.question.decision is not None:
            yield f"    {settled(call.question)}"
        else:
            approval = call.question.approval
            yield f"    waits for {whose(approval)} {left(approval.expires)}: approvals show {approval.id}"
    if call.unknown:
        yield "    OUTCOME UNKNOWN: it began, and nobody knows whether it took effect."
    if call.result is None:
        if not call.unknown and (call.question is None or call.question.decision is not None):
            yield "    (no result yet)"
        return
    lines = _text(call.result).splitlines() or ["(nothing)"]
    yield from (f"    {line}" for line in lines[:_SHOWN])
    if len(lines) > _SHOWN:
        yield f"    … {len(lines) - _SHOWN} more lines"


def as_json(found: StoredThread) -> str:
    """The whole thread, in a shape that stays."""
    written: dict[str, Any] = {
        "gemmagraph_thread": VERSION,
        "thread": thread_as_json(found.thread),
        "messages": [_message_as_json(message) for message in found.messages],
        "unanswered": [_message_as_json(message) for message in found.unanswered],
        "cancelled": [_message_as_json(message) for message in found.cancelled],
        "calls": [_call_as_json(call) for call in _calls(found).values()],
        "approvals": [question_as_json(question) for question in found.questions],
    }
    return json.dumps(written, ensure_ascii=False, indent=2) + "\n"


def _message_as_json(message: AnyMessage) -> dict[str, JSON]:
    written: dict[str, JSON] = {
        "id": message.id,
        "role": _ROLES.get(message.type, message.type),
        "text": message.text,
    }
    if images := _images(message):
        written["images"] = images
    if message.type == "ai":
        written["calls"] = [call["id"] for call in message.tool_calls]
    if message.type == "tool":
        written |= {"call": message.tool_call_id, "error": message.status == "error"}
    return written


def _call_as_json(call: _Call) -> dict[str, JSON]:
    entry = call.entry
    return {
        "id": call.id,
        "name": call.name,
        "arguments": dict(call.arguments),
        "result": None if call.result is None else call.result.text,
        "approval": None if call.question is None else call.question.approval.id,
        "journal": None
        if entry is None
        else {
            "state": entry.state,
            "arguments": dict(entry.arguments),
            "status": None if entry.outcome is None else entry.outcome.status,
            "seconds": None if entry.outcome is None else entry.outcome.seconds,
            "started": utc(entry.started),
            "ended": utc(entry.ended),
        },
    }


def as_markdown(found: StoredThread) -> str:
    """The conversation as a page."""
    about = found.thread
    lines = [f"# {one_line(about.title) or about.id}", ""]
    lines += [f"Thread `{about.id}`, {about.state}, {clock(about.created)} to {clock(about.updated)}.", ""]
    calls = _calls(found)
    for message in found.messages:
        if message.type == "human":
            lines += ["## User", "", _text(message), ""]
        elif message.type == "ai":
            lines += ["## Assistant", ""]
            lines += [message.text, ""] if message.text.strip() else []
            for call in message.tool_calls:
                lines += _call_as_markdown(calls[call["id"] or ""])
    for message, what in _aside(found):
        lines += ["## User", "", _text(message), "", f"*({what})*", ""]
    return "\n".join(lines).rstrip() + "\n"


def _call_as_markdown(call: _Call) -> Iterator[str]:
    yield from _fenced(one_line(write_plainly(call.name, call.arguments)))
    if call.question is not None:
        yield from (settled(call.question) if call.question.decision else "It waits for a decision.", "")
    if call.unknown:
        yield from ("**Outcome unknown:** it began, and nobody knows whether it took effect.", "")
    if call.result is not None:
        yield from _fenced(_text(call.result))


def _fenced(text: str) -> list[str]:
    """A block that nothing in the text ends."""
    fence = "```"
    while fence in text:
        fence += "`"
    return [fence, text, fence, ""]


def _calls(found: StoredThread) -> dict[str, _Call]:
    """The calls of a conversation, by id, in their order."""
    results = {message.tool_call_id: message for message in found.messages if message.type == "tool"}
    entries = {entry.call: entry for entry in found.calls}
    questions = {question.approval.call: question for question in found.questions}
    return {
        identity: _Call(
            identity,
            call["name"],
            call["args"],
            results.get(identity),
            entries.get(identity),
            questions.get(identity),
            found.thread.state != "running",
        )
        for message in found.messages
        if message.type == "ai"
        for call in message.tool_calls
        for identity in [call["id"] or ""]
    }


def _text(message: AnyMessage) -> str:
    images = _images(message)
    return f"{message.text}{f' [{images} pictures]' if images > 1 else ' [a picture]' if images else ''}"


def _images(message: AnyMessage) -> int:
    parts = message.content if isinstance(message.content, list) else ()
    return sum(isinstance(part, Mapping) and part.get("type") in ("image", "image_url") for part in parts)
