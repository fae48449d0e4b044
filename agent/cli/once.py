"""One request, one answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import click

from gemmagraph.asked import approval_as_json
from gemmagraph.cli.keeping import kept, new_thread, thread_of
from gemmagraph.cli.options import INTERRUPTED
from gemmagraph.cli.session import Session, Wanted
from gemmagraph.errors import AgentError, NeedsDecision
from gemmagraph.run import Result
from gemmagraph.tools import run_sync

WAITS: Final = 3
"""The exit code where a person must decide first, as of `check`."""


def answer(
    session: Session,
    prompt: str | None,
    images: Sequence[str] = (),
    *,
    thread: str | None = None,
    as_json: bool,
) -> int:
    """Answers `prompt`, or goes on with the thread if that is None; returns the exit code."""
    begun = thread is None and session.waiting is not None
    thread = new_thread() if begun else thread
    if begun:
        session.terminal.note(f"Thread {thread}", "dim")
    try:
        result = session.take(prompt, thread, images) if prompt is not None else session.resume(thread or "")
    except KeyboardInterrupt:
        session.terminal.note(session.display.stopped(), "yellow", 0)
        raise click.exceptions.Exit(INTERRUPTED) from None
    except NeedsDecision as exc:
        assert session.waiting is not None
        session.terminal.note("Not taken: the thread waits for a decision first.", "yellow", 0)
        session.waiting.tell(exc.pending)
        result = Result("", [], stop="needs_approval", reason=exc.message, pending=exc.pending, thread=thread)
    if result.stop == "needs_approval":
        session.terminal.line(f"    Then: gemmagraph threads resume {thread}{session.options}")
    if as_json:
        session.terminal.answer(json.dumps(_as_json(result, session.name)) + "\n")
    return {"answered": 0, "needs_approval": WAITS}.get(result.stop, 1)


def resumed(wanted: Wanted, verbose: bool, debug: bool, *, as_json: bool) -> int:
    """Goes on with a thread; returns the exit code.

    Raises:
        AgentError: there is no such thread, or nothing is left to do on it.
    """
    name = wanted.thread or ""
    with kept(wanted.store, wanted.file) as store:  # before an agent is made for nothing
        thread = thread_of(store, name)
        if thread.state == "idle" and not run_sync(store.inputs.open(name, failed=True)):
            raise AgentError(f"Nothing is left to do on the thread {name!r}.", hint=f"gemmagraph threads show {name}")
    with Session(wanted, verbose=verbose, debug=debug, holds_answer=as_json) as session:
        if thread.agent != session.agent.name:
            session.terminal.note(
                f"The thread is one of {thread.agent!r}; {session.agent.name!r} goes on with it.", "yellow"
            )
        return answer(session, None, thread=name, as_json=as_json)


def _as_json(result: Result, model: str) -> dict[str, object]:
    return {
        "text": result.text,
        "calls": [
            {
                "name": call.name,
                "arguments": dict(call.arguments),
                "result": call.result,
                "status": call.status,
                "seconds": round(call.seconds, 6),
            }
            for call in result.calls
        ],
        "stop": result.stop,
        "reason": result.reason,
        "pending": [approval_as_json(approval) for approval in result.pending],
        "thread": result.thread,
        "usage": {"input_tokens": result.usage.input_tokens, "output_tokens": result.usage.output_tokens},
        "model": model,
    }
