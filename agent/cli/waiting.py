"""Calls of kept threads that wait for a person: asked about here if whoever sits here may decide, else told how and
by whom they are decided."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from textwrap import indent
from typing import Final

from gemmagraph import deciding
from gemmagraph.approvals import Approval, Decision
from gemmagraph.asked import left, settled, who_decides
from gemmagraph.cli.approving import Person
from gemmagraph.cli.terminal import Closed, Terminal, sentence
from gemmagraph.errors import AgentError, GemmagraphError
from gemmagraph.store.questions import Question
from gemmagraph.store.store import Store
from gemmagraph.tools import Tool, run_sync

_LOOK: Final = 0.5
"""Seconds between two looks whether somebody else has decided."""


class Waiting:
    """The questions of one store.

    Args:
        person: whoever sits at the terminal; None if nobody does.
        user: who that is.
        options: how other commands find the store.
    """

    def __init__(
        self,
        terminal: Terminal,
        store: Store,
        person: Person | None,
        tools: Mapping[str, Tool],
        user: str | None,
        options: str,
    ) -> None:
        self._terminal = terminal
        self._store = store
        self._person = person
        self._tools = tools
        self._user = user
        self._options = options
        self.last = ""
        """The call that was asked about last."""

    def of(self, thread: str) -> list[Approval]:
        """Those of a thread that nobody has decided."""
        asked = run_sync(self._store.questions.of(thread))
        return [question.approval for question in asked if question.decision is None]

    def ask(self, approvals: Sequence[Approval]) -> bool:
        """Asks about those that this person may decide. Returns whether all of them are decided by now, here or
        elsewhere.

        Raises:
            KeyboardInterrupt: the person wants to stop it all.
        """
        self.last = ""
        decided = [self._asked(approval) for approval in approvals]  # about each, also behind one that is left open
        return all(decided)

    def tell(self, approvals: Sequence[Approval]) -> None:
        """Says who must decide, and how."""
        for approval in approvals:
            self._terminal.line(f"  Waits for a decision ({left(approval.expires)}):", "yellow")
            self._terminal.line(indent(approval.request, "    "), "bold")
            self._terminal.note(f"{who_decides(approval)}:", indent=4)
            self._terminal.line(f"      gemmagraph approvals approve {approval.id}{self._options}")

    def _asked(self, approval: Approval) -> bool:
        if self._person is None or approval.refuses(self._user):
            return False
        with self._watched(approval) as found:
            try:
                decision = self._person.decide(approval, found)
            except Closed:
                self._terminal.note(settled(found[0], " elsewhere"), "yellow", 4)
                return True
        if decision is None:
            return False
        self.last = approval.call
        return self._written(approval, decision)

    def _written(self, approval: Approval, decision: Decision) -> bool:
        decisions = {approval.id: decision}
        try:
            run_sync(
                deciding.decide(self._store.questions, self._tools, approval.thread or "", decisions, self._user)
            )
        except AgentError as exc:
            self._terminal.note(sentence(exc), "yellow", 4)
            question = run_sync(self._store.questions.get(approval.id))
            return question.decision is not None
        return True

    @contextmanager
    def _watched(self, approval: Approval) -> Iterator[list[Question]]:
        """What it gives is empty until the question is decided."""
        found: list[Question] = []
        over = threading.Event()

        def look() -> None:
            while not (found or over.wait(_LOOK)):
                with suppress(GemmagraphError):  # it is asked again; who answers will be told
                    question = run_sync(self._store.questions.get(approval.id))
                    if question.decision is not None:
                        found.append(question)

        looking = threading.Thread(target=look, name="gemmagraph-look", daemon=True)
        looking.start()
        try:
            yield found
        finally:
            over.set()
            looking.join(_LOOK)
