"""Whose turn a thread is: a queue of tickets, for all processes on one store.

The lowest ticket of a thread has the turn. Its holder says again and again that it is alive; a ticket that has not
been heard of for its time is taken away, and with it the right to write: the state and the journal of calls ask for
it with each write.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar
from uuid import uuid4

from gemmagraph.errors import StoreError, TurnLost
from gemmagraph.store.session import Session
from gemmagraph.store.workers import Workers
from gemmagraph.threads import until_done

T = TypeVar("T")

LEASE: Final = 15.0
"""Seconds for which a process may be silent before its turn goes to the next."""
_FIRST_LOOK: Final = 0.02
_LAST_LOOK: Final = 0.25
_BEAT: Final = 1.0
"""Seconds between two signs of life, at most: as long as a wish to cancel from another process takes."""


@dataclass(slots=True)
class Turn:
    """The right to write a thread."""

    thread: str
    ticket: int
    last: list[Callable[[Session], object]] = field(default_factory=list)
    """What is still to be written; it is, together with the end of the turn."""


class Turns:
    """Of one store."""

    def __init__(self, workers: Workers, tickets: dict[str, int], lease: float = LEASE) -> None:
        self._workers = workers
        self._tickets = tickets
        """Of the turns that this process holds, by thread; the saver looks there."""
        self._lease = lease

    @asynccontextmanager
    async def turn(
        self,
        thread: str,
        stop: Callable[[Exception | None], None],
        *,
        before: Callable[[Session], object],
        begin: Callable[[Session], T],
    ) -> AsyncIterator[tuple[Turn, T]]:
        """Waits for the turn on `thread` and holds it. One of a process at a time.

        Args:
            stop: called while it is held: with an error when the turn was taken away, with None when somebody in
                another process wants the run to end.
            before: is done first of all, together with joining the queue.
            begin: is done when the turn has come; what it gives comes along.

        Raises:
            StoreError: the database failed. What `before` raises is raised too, and the queue is not joined.
        """
        owner = uuid4().hex
        turn: Turn | None = None
        try:
            turn, found = await self._first(thread, owner, before, begin)
            self._tickets[thread] = turn.ticket
            beating = asyncio.create_task(self._stay(turn, stop))
            try:
                yield turn, found
            finally:
                beating.cancel()
                with suppress(asyncio.CancelledError):
                    await beating
        finally:
            if turn is not None and self._tickets.get(thread) == turn.ticket:
                del self._tickets[thread]
            # Also while it waits: the next need not wait until this ticket is too old.
            with suppress(StoreError):
                await until_done(self._workers.do(lambda session: _leave(session, thread, owner, turn)))

    async def cancel(self, thread: str) -> bool:
        """Asks whoever has the turn to end its run; those who wait for it are not meant. Returns whether somebody has
        it."""

        def work(session: Session) -> bool:
            now = session.now()
            told = session.change(
                "UPDATE turns SET cancelled = 1 WHERE ticket ="
                " (SELECT MIN(ticket) FROM turns WHERE thread = ? AND until >= ?)",
                *(thread, now),
            )
            return told > 0

        return await self._workers.do(work)

    async def _first(
        self, thread: str, owner: str, before: Callable[[Session], object], begin: Callable[[Session], T]
    ) -> tuple[Turn, T]:
        def look(session: Session) -> tuple[Turn, T] | None:
            with session.writing():
                session.alone(f"thread {thread}")  # its tickets are there in the order of their numbers
                if not waits:
                    before(session)
                turn = self._look(session, thread, owner)
                return None if turn is None else (turn, begin(session))

        waits = 0.0
        while (found := await self._workers.do(look)) is None:
            waits = min(2 * waits or _FIRST_LOOK, _LAST_LOOK, self._lease / 3)
            await asyncio.sleep(waits)
        return found

    def _look(self, session: Session, thread: str, owner: str) -> Turn | None:
        """Draws a ticket, or shows the one there is; the turn, if no other is in front of it."""
        now = session.now()
        if not session.change("UPDATE turns SET until = ? WHERE owner = ?", now + self._lease, owner):
            session.change(
                "INSERT INTO turns (thread, owner, until) VALUES (?, ?, ?)", thread, owner, now + self._lease
            )
        session.change("DELETE FROM turns WHERE thread = ? AND until < ?", thread, now)
        first = session.rows("SELECT ticket, owner FROM turns WHERE thread = ? ORDER BY ticket LIMIT 1", thread)
        return Turn(thread, first[0][0]) if first[0][1] == owner else None

    async def _stay(self, turn: Turn, stop: Callable[[Exception | None], None]) -> None:
        """Says that the holder is alive, until the turn is over or gone."""

        def beat(session: Session) -> tuple[bool, bool]:
            until = session.now() + self._lease
            held = session.change("UPDATE turns SET until = ? WHERE ticket = ?", until, turn.ticket) > 0
            found = session.rows("SELECT cancelled FROM turns WHERE ticket = ?", turn.ticket)
            return held, bool(found and found[0][0])

        told = False
        while True:
            await asyncio.sleep(min(_BEAT, self._lease / 3))
            try:
                held, cancelled = await self._workers.do(beat)
            except StoreError as exc:
                stop(exc)
                return
            if not held:
                stop(TurnLost(turn.thread))
                return
            if cancelled and not told:
                told = True
                stop(None)


def _leave(session: Session, thread: str, owner: str, turn: Turn | None) -> None:
    """Ends a turn, or leaves the queue."""
    with session.writing():
        session.alone(f"thread {thread}")
        held = session.change("DELETE FROM turns WHERE owner = ?", owner)
        for write in turn.last if turn is not None and held else ():
            write(session)
