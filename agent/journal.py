"""What became of calls that may change something: written down before and after, so that none is made twice.

nothing written     the call is made
done                its result is used again
started, or unknown a process died or ran out of time in the middle: made again only if that does no harm
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import uuid4

from gemmagraph.errors import TurnLost
from gemmagraph.prompts.messages import JSON, ToolCall
from gemmagraph.store.rows import read, reading, shaped, written
from gemmagraph.store.session import Session
from gemmagraph.store.turns import Turn
from gemmagraph.store.workers import Workers

UNKNOWN: Final = "Whether it took effect is unknown: nobody saw it end. Find out before you call it again."


@dataclass(frozen=True, slots=True)
class Written:
    """What a call came to, as it was written down."""

    content: JSON
    status: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Entry:
    """A call, as `threads show` tells of it."""

    call: str
    tool: str
    arguments: Mapping[str, JSON]
    state: Literal["started", "done", "unknown"]
    outcome: Written | None
    started: float
    ended: float | None


class Journal:
    """Of one store."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def start(self, turn: Turn, call: ToolCall, *, repeatable: bool) -> Written | None:
        """Writes down that a call begins, and gives None; or gives what is known of it, if it began before.

        Raises:
            TurnLost: another process has taken the thread over.
            StoreError: the database failed; the call must not be made.
        """
        owner = uuid4().hex
        arguments = written(dict(call.arguments))

        def work(session: Session) -> tuple[str, str | None] | None:
            now = session.now()
            made = session.change(
                "INSERT INTO calls (thread, call, tool, arguments, state, owner, ticket, started)"
                f" SELECT ?, ?, ?, ?, 'started', ?, ticket, ? FROM turns WHERE ticket = ?{session.lock}"
                " ON CONFLICT (thread, call) DO NOTHING",
                *(turn.thread, call.id, call.name, arguments, owner, now, turn.ticket),
            )
            if made:
                return None
            found = session.rows(
                "SELECT state, outcome, owner FROM calls WHERE thread = ? AND call = ?", turn.thread, call.id
            )
            if not found:
                raise TurnLost(turn.thread)
            state, outcome, by = found[0]
            if by == owner:
                return None
            if state != "done" and repeatable:
                again = session.change(
                    "UPDATE calls SET state = 'started', owner = ?, ticket = ?, started = ?"
                    " WHERE thread = ? AND call = ? AND state <> 'done'"
                    f" AND EXISTS (SELECT 1 FROM turns WHERE ticket = ?{session.lock})",
                    *(owner, turn.ticket, now, turn.thread, call.id, turn.ticket),
                )
                if not again:
                    raise TurnLost(turn.thread)
                return None
            if state == "started":
                _doubt(session, turn, call.id)
            return state, outcome

        found = await self._workers.do(work)
        if found is None:
            return None
        _, outcome = found
        if outcome is not None:
            with _reading(turn.thread, call.id):
                return shaped(Written, **read(outcome))
        return _unknown(call.name)

    async def began(self, turn: Turn, call: str) -> tuple[Mapping[str, JSON], Written] | None:
        """A call that is not to be made any more, if it began before: its arguments, and what is known of it.

        Raises:
            StoreError: the database failed.
        """

        def work(session: Session) -> tuple[str, str, str | None] | None:
            found = session.rows(
                "SELECT tool, arguments, outcome, state FROM calls WHERE thread = ? AND call = ?", turn.thread, call
            )
            if not found:
                return None
            tool, arguments, outcome, state = found[0]
            if state == "started":
                _doubt(session, turn, call)
            return tool, arguments, outcome

        found = await self._workers.do(work)
        if found is None:
            return None
        tool, arguments, outcome = found
        with _reading(turn.thread, call):
            came = shaped(Written, **read(outcome)) if outcome is not None else _unknown(tool)
            return dict(read(arguments)), came

    async def finish(self, turn: Turn, call: str, outcome: Written, *, known: bool = True) -> None:
        """Writes down what a call came to, for good.

        Args:
            known: whether it is certain that it took effect or did not.

        Raises:
            TurnLost: another process has taken the thread over; what it made of the call stays.
            StoreError: the database failed; the call counts as started.
        """
        said = written({"content": outcome.content, "status": outcome.status, "seconds": outcome.seconds})

        def work(session: Session) -> None:
            ended = session.change(
                "UPDATE calls SET state = ?, outcome = ?, ended = ? WHERE thread = ? AND call = ?"
                f" AND EXISTS (SELECT 1 FROM turns WHERE ticket = ?{session.lock})",
                *("done" if known else "unknown", said, session.now(), turn.thread, call, turn.ticket),
            )
            if not ended:
                turn.check(session)

        await self._workers.do(work)

    async def entries(self, thread: str) -> list[Entry]:
        """The calls of a thread that may have changed something, in the order in which they began."""
        found = await self._workers.do(
            lambda session: session.rows(
                "SELECT call, tool, arguments, state, outcome, started, ended FROM calls WHERE thread = ?"
                " ORDER BY started, call",
                thread,
            )
        )
        return [_entry(thread, row) for row in found]


def _entry(thread: str, row: tuple[Any, ...]) -> Entry:
    call, tool, said, state, came, started, ended = row
    with _reading(thread, call):
        outcome = shaped(Written, **read(came)) if came else None
        facts = {"call": call, "tool": tool, "arguments": read(said), "state": state, "outcome": outcome}
        return shaped(Entry, **facts, started=started, ended=ended)


def _reading(thread: str, call: str) -> AbstractContextManager[None]:
    return reading(f"The call {call} of the thread {thread!r} (table calls)")


def _doubt(session: Session, turn: Turn, call: str) -> None:
    """Writes down that a call which began may have taken effect or not."""
    doubted = session.change(
        "UPDATE calls SET state = 'unknown' WHERE thread = ? AND call = ? AND state = 'started'"
        f" AND EXISTS (SELECT 1 FROM turns WHERE ticket = ?{session.lock})",
        *(turn.thread, call, turn.ticket),
    )
    if not doubted:
        turn.check(session)


def _unknown(tool: str) -> Written:
    return Written(f"{tool} was started before. {UNKNOWN}", "unknown", 0.0)
