"""Deciding about a call from another process, and what comes after it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

import click

from gemmagraph import deciding
from gemmagraph.approvals import Decision, Edit
from gemmagraph.asked import settled
from gemmagraph.cli.assistants import assistant_of, file_of
from gemmagraph.cli.keeping import kept, question_of
from gemmagraph.cli.once import answer
from gemmagraph.cli.session import Session, Wanted
from gemmagraph.cli.terminal import one_line, plain
from gemmagraph.cli.toolfiles import opened
from gemmagraph.prompts.messages import JSON
from gemmagraph.store.questions import Question
from gemmagraph.store.store import Store
from gemmagraph.tools import Tool, run_sync


def arguments_of(written: str) -> dict[str, JSON]:
    """Arguments as they are typed.

    Raises:
        UsageError: they are no JSON object.
    """
    try:
        found = json.loads(written)
    except (ValueError, RecursionError) as exc:
        raise click.UsageError(f"What stands behind --edit is no JSON: {exc}.") from exc
    if not isinstance(found, dict):
        raise click.UsageError('Write the arguments as a JSON object: --edit \'{"path": "/tmp/a"}\'.')
    return found


def settle(
    wanted: Wanted, identity: str, decision: Decision, by: str | None, *, resume: bool, verbose: bool, debug: bool
) -> int:
    """Writes a decision down; returns the exit code.

    Args:
        wanted: where the store is, and what goes on with the thread if that is wanted.
        identity: of the approval, or the beginning of it.
        by: who decides.

    Raises:
        AgentError: there is no such approval, it was decided, or this person may not.
    """
    if resume:
        with Session(wanted, verbose=verbose, debug=debug) as session:
            assert session.store is not None
            question = _decide(session.store, session.agent.tools, identity, decision, by)
            session.terminal.note(f"{settled(question)} {one_line(question.approval.request)}", "dim")
            return answer(session, None, thread=question.approval.thread, as_json=False)
    with kept(wanted.store, wanted.file) as store:
        tools = _tools(store, wanted, identity) if isinstance(decision, Edit) else None
        question = _decide(store, tools, identity, decision, by)
        sys.stdout.write(f"{settled(question)}\n{_after(store, question, wanted)}\n")
    return 0


def _decide(
    store: Store, tools: Mapping[str, Tool] | None, identity: str, decision: Decision, by: str | None
) -> Question:
    approval = question_of(store, identity).approval
    run_sync(deciding.decide(store.questions, tools, approval.thread or "", {approval.id: decision}, by))
    return question_of(store, approval.id)


def _tools(store: Store, wanted: Wanted, identity: str) -> Mapping[str, Tool] | None:
    """What changed arguments are checked with; None if nothing here has the tool."""
    if not wanted.sources and file_of(wanted.file) is None:
        return None
    name = question_of(store, identity).approval.tool
    with opened(assistant_of(wanted.file, wanted.toolset), wanted.sources) as found:
        tools = {tool.name: tool for tool in found.tools}
    return tools if name in tools else None


def _after(store: Store, question: Question, wanted: Wanted) -> str:
    """How the run goes on."""
    thread = question.approval.thread or ""
    if run_sync(store.thread(thread)).state == "running":
        return "The process that is at work on the thread goes on with it."
    others = [one.approval.id for one in run_sync(store.questions.of(thread)) if one.decision is None]
    if others:
        return f"The thread waits for more: {', '.join(others)}"
    return plain(
        "What waits for it, a bot or a terminal, goes on by itself."
        f" Else: gemmagraph threads resume {thread}{wanted.options}"
    )
