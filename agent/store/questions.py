"""Calls that wait for a person, and what was decided: one decision wins, whoever makes it in whichever process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final

from gemmagraph.approvals import Approval
from gemmagraph.errors import AgentError
from gemmagraph.prompts.messages import JSON
from gemmagraph.store.rows import read, readable, reading, shaped, written
from gemmagraph.store.session import Session
from gemmagraph.store.turns import Turn
from gemmagraph.store.workers import Workers

TOO_LATE: Final = "nobody decided in time"
CANCELLED: Final = "the run was cancelled"
"""Reasons of refusals that are nobody's."""
_LATE: Final[Mapping[str, JSON]] = {"type": "reject", "reason": TOO_LATE, "by": None}
_NEVER: Final = 1e300
SHORTEST: Final = 4
"""Characters of an id that may stand for it."""
_WHO: Final = frozenset({"user", "approvers", "deciders", "four_eyes"})
_COLUMNS: Final = "id, thread, asked, created, expires, decision, decider, decided"


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
    """Of one store. What nobody has decided in time is read as refused."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def ask(self, turn: Turn, approval: Approval, seconds: float) -> Question:
        """Writes an approval down, if it is not there yet, and gives it with its times and what was decided.

        Args:
            seconds: how long it may wait.

        Raises:
            TurnLost: another process has taken the thread over.
        """
        asked = asdict(approval)
        for column in ("id", "created", "expires"):
            del asked[column]

        def work(session: Session) -> Question:
            now = session.now()
            made = session.change(
                "INSERT INTO approvals (id, thread, call, asked, created, expires)"
                f" SELECT ?, ?, ?, ?, ?, ? FROM turns WHERE ticket = ?{session.lock} ON CONFLICT (id) DO NOTHING",
                *(approval.id, approval.thread, approval.call, written(asked)),
                *(now, now + seconds, turn.ticket),
            )
            if not made:
                turn.check(session)
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
        return lambda session: [question.approval for question in _open(_found(session, where, thread))]

    async def pending(self) -> list[Question]:
        """All that wait, the first first. What cannot be read is left out, with a warning; nobody can approve it."""

        def work(session: Session) -> list[Question]:
            now = session.now()
            return _open(readable(_rows(session, "decision IS NULL"), lambda row: _question(row, now)))

        return await self._workers.do(work)

    async def answers(self, turn: Turn) -> list[Question]:
        """`of`, for the run that goes on with what was decided: what is late by now is refused for good.

        Raises:
            TurnLost: another process has taken the thread over.
        """

        def work(session: Session) -> list[Question]:
            found = _found(session, "thread = ?", turn.thread)
            if any(question.decision is _LATE for question in found):
                _settle(session, turn, _LATE, late=True)
            return found

        return await self._workers.do(work)

    async def decide(self, identity: str, decision: Mapping[str, JSON], by: str | None) -> tuple[Question, bool]:
        """Writes a decision down, and whether it is the one that counts: the first one does.

        Raises:
            AgentError: there is no such approval.
        """

        def work(session: Session) -> tuple[Question, bool]:
            found = _one(session, identity).approval.id
            mine = _decide(session, found, decision, by)
            return _one(session, found), mine

        return await self._workers.do(work)

    async def decide_all(self, decisions: Mapping[str, Mapping[str, JSON]], by: str | None) -> Question | None:
        """Writes decisions down, by the ids of their approvals; or none of them, and gives one that was decided
        before."""

        def work(session: Session) -> Question | None:
            with suppress(_Late), session.writing():
                for identity in sorted(decisions):  # two that decide the same do not wait for each other
                    if not _decide(session, identity, decisions[identity], by):
                        late = _one(session, identity)
                        raise _Late
                return None
            return late

        return await self._workers.do(work)

    async def refuse(self, turn: Turn, decision: Mapping[str, JSON]) -> None:
        """Decides all that is open on the thread of a turn.

        Raises:
            TurnLost: another process has taken the thread over.
        """
        await self._workers.do(lambda session: _settle(session, turn, decision))


class _Late(Exception):
    """Somebody else was first."""


def _settle(session: Session, turn: Turn, decision: Mapping[str, JSON], *, late: bool = False) -> None:
    """Decides what is open on the thread of a turn, or what of it is late."""
    now = session.now()
    done = session.change(
        "UPDATE approvals SET decision = ?, decided = ? WHERE thread = ? AND decision IS NULL AND expires < ?"
        f" AND EXISTS (SELECT 1 FROM turns WHERE ticket = ?{session.lock})",
        *(written(dict(decision)), now, turn.thread, now if late else _NEVER, turn.ticket),
    )
    if not done:
        turn.check(session)


def _decide(session: Session, identity: str, decision: Mapping[str, JSON], by: str | None) -> bool:
    """Writes a decision down, if it comes in time and is the first."""
    now = session.now()
    return (
        session.change(
            "UPDATE approvals SET decision = ?, decider = ?, decided = ?"
            " WHERE id = ? AND decision IS NULL AND expires >= ?",
            *(written(dict(decision)), by, now, identity, now),
        )
        > 0
    )


def _found(session: Session, where: str, *values: object) -> list[Question]:
    return _read(session, _rows(session, where, *values))


def _rows(session: Session, where: str, *values: object) -> list[tuple[Any, ...]]:
    return session.rows(f"SELECT {_COLUMNS} FROM approvals WHERE {where} ORDER BY created, id", *values)


def _open(questions: list[Question]) -> list[Question]:
    return [question for question in questions if question.decision is None]


def _one(session: Session, identity: str) -> Question:
    begins = identity if len(identity) >= SHORTEST and identity.isalnum() else ""
    found = session.rows(
        f"SELECT {_COLUMNS} FROM approvals WHERE id = ? OR (? <> '' AND id LIKE ?)",
        *(identity, begins, f"{begins}%"),
    )
    exact = [row for row in found if row[0] == identity] or found
    if len(exact) != 1:
        what = "Several approvals begin with" if exact else "There is no approval"
        short = "" if len(identity) >= SHORTEST else f"Write at least {SHORTEST} characters of its id: "
        raise AgentError(f"{what} {identity!r}.", hint=f"{short}`gemmagraph approvals list` shows those that wait.")
    return _read(session, exact)[0]


def _read(session: Session, rows: Sequence[tuple[Any, ...]]) -> list[Question]:
    """What is late is refused, whether or not that is written down yet."""
    if not rows:
        return []
    now = session.now()
    return [_question(row, now) for row in rows]


def _question(row: tuple[Any, ...], now: float) -> Question:
    identity, thread, asked, created, expires, decision, decider, decided = row
    with reading(f"The approval {identity} of the thread {thread!r} (table approvals)"):
        said = {name: tuple(value) if isinstance(value, list) else value for name, value in read(asked).items()}
        if missing := _WHO - said.keys():  # without them anybody might decide
            raise ValueError(f"it does not say {', '.join(sorted(missing))}")
        approval = shaped(Approval, **said | {"id": identity, "created": created, "expires": expires})
        if decision is None and expires < now:
            return Question(approval, _LATE, None, expires)
        kept = None if decision is None else _decision(read(decision))
        return shaped(Question, approval=approval, decision=kept, decider=decider, decided=decided)


def _decision(kept: Any) -> Mapping[str, JSON]:
    match kept:
        case {"type": "approve" | "reject"}:
            return dict(kept)
        case {"type": "edit", "arguments": Mapping()} | {"type": "respond", "text": str()}:
            return dict(kept)
    raise ValueError(f"{kept!r:.40} is no decision")
