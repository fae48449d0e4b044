"""Calls that wait for a person, and what was decided: one decision wins, whoever makes it in whichever process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from gemmagraph.approvals import Approval
from gemmagraph.errors import AgentError
from gemmagraph.prompts.messages import JSON
from gemmagraph.store.rows import read, reading, written
from gemmagraph.store.session import Session
from gemmagraph.store.workers import Workers

TOO_LATE: Final = "nobody decided in time"
_SHORTEST: Final = 4
"""Characters of an id that may stand for it."""
_COLUMNS: Final = "id, asked, created, expires, decision, decider, decided"


@dataclass(frozen=True, slots=True)
class Question:
    """An approval, and what was decided if anything was."""

    approval: Approval
    decision: Mapping[str, JSON] | None = None
    """As `decision_as_json` writes it."""
    decider: str | None = None
    """None: nobody, or its time ran out."""
    decided: float | None = None


class Questions:
    """Of one store."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def ask(self, approval: Approval, seconds: float) -> Question:
        """Writes an approval down, if it is not there yet, and gives it with its times and what was decided.

        Args:
            seconds: how long it may wait.
        """
        asked = asdict(approval)
        for column in ("id", "created", "expires"):
            del asked[column]

        def work(session: Session) -> Question:
            now = session.now()
            session.change(
                "INSERT INTO approvals (id, thread, call, asked, created, expires) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO NOTHING",
                *(approval.id, approval.thread, approval.call, written(asked)),
                *(now, now + seconds),
            )
            return _one(session, approval.id)

        return await self._workers.do(work)

    async def get(self, identity: str) -> Question:
        """An approval by its id, or by the beginning of it.

        Raises:
            AgentError: there is none, or several begin so.
        """
        return await self._workers.do(lambda session: _one(session, identity))

    async def of(self, thread: str) -> list[Question]:
        """The approvals of a thread, the first first."""
        return await self._workers.do(lambda session: _found(session, "thread = ?", thread))

    def waiting(self, thread: str) -> Callable[[Session], list[Approval]]:
        """Those of a thread that nobody has decided."""
        where = "thread = ? AND decision IS NULL"
        return lambda session: [question.approval for question in _found(session, where, thread)]

    async def pending(self) -> list[Question]:
        """All that wait, the first first."""
        return await self._workers.do(lambda session: _found(session, "decision IS NULL"))

    async def decide(self, identity: str, decision: Mapping[str, JSON], by: str | None) -> tuple[Question, bool]:
        """Writes a decision down, and whether it is the one that counts: the first one does.

        Raises:
            AgentError: there is no such approval.
        """
        said = written(dict(decision))

        def work(session: Session) -> tuple[Question, bool]:
            found = _one(session, identity)
            mine = session.change(
                "UPDATE approvals SET decision = ?, decider = ?, decided = ? WHERE id = ? AND decision IS NULL",
                *(said, by, session.now(), found.approval.id),
            )
            return _one(session, found.approval.id), mine > 0

        return await self._workers.do(work)


def _found(session: Session, where: str, *values: object) -> list[Question]:
    _expire(session)
    rows = session.rows(f"SELECT {_COLUMNS} FROM approvals WHERE {where} ORDER BY created, id", *values)
    return [_read(row) for row in rows]


def _one(session: Session, identity: str) -> Question:
    _expire(session)
    begins = identity if len(identity) >= _SHORTEST and identity.isalnum() else ""
    found = session.rows(
        f"SELECT {_COLUMNS} FROM approvals WHERE id = ? OR (? <> '' AND id LIKE ?)",
        *(identity, begins, f"{begins}%"),
    )
    exact = [row for row in found if row[0] == identity] or found
    if len(exact) != 1:
        what = "Several approvals begin with" if exact else "There is no approval"
        raise AgentError(f"{what} {identity!r}.", hint="`gemmagraph approvals list` shows those that wait.")
    return _read(exact[0])


def _expire(session: Session) -> None:
    """What nobody decided in time is refused."""
    now = session.now()
    session.change(
        "UPDATE approvals SET decision = ?, decided = ? WHERE decision IS NULL AND expires < ?",
        *(written({"type": "reject", "reason": TOO_LATE, "by": None}), now, now),
    )


def _read(row: tuple[Any, ...]) -> Question:
    identity, asked, created, expires, decision, decider, decided = row
    with reading(f"The approval {identity}"):
        said = read(asked)
        approval = Approval(**said | {"id": identity, "created": created, "expires": expires})
        approval = replace(
            approval,
            approvers=None if approval.approvers is None else tuple(approval.approvers),
            deciders=None if approval.deciders is None else tuple(approval.deciders),
        )
        return Question(approval, dict(read(decision)) if decision else None, decider, decided)
