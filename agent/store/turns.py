"""Whose turn a thread is: a queue of tickets, for all processes on one store.

The lowest ticket of a thread has the turn. Who has one says again and again that it is alive; a ticket that has not
been heard of for its time is taken away, and with it the right to write: all that a turn writes asks for its ticket
in the same transaction.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from gemmagraph.errors import StoreError, TurnLost
from gemmagraph.store.owners import gone, new_owner
from gemmagraph.store.session import Session
from gemmagraph.store.waiting import Waiting
from gemmagraph.store.workers import Workers
from gemmagraph.threads import Threads, until_done

T = TypeVar("T")

_Writes: TypeAlias = Sequence[Callable[[Session], object]]

LEASE: Final = 15.0
"""Seconds for which a process may be silent before its turn goes to the next."""
_FAR: Final = 4
"""Leases ahead that no ticket is valid for, unless the clock was set back since it was heard of."""
_NEVER: Final = 1e300
_FIRST_LOOK: Final = 0.02
_LAST_LOOK: Final = 0.25
_BEAT: Final = 1.0
"""Seconds between two signs of life, at most: as long as a wish to cancel from another process takes."""


@dataclass(slots=True)
class Turn:
    """The right to write a thread."""

    thread: str
    ticket: int
    cancelled: bool = False
    """Whether somebody wants the run to end that a process had begun which is gone."""
    told: bool = False
    """Whether its run was told to end."""
    last: list[Callable[[Session], object]] = field(default_factory=list)
    """What is still to be written; it is, together with the end of the turn."""

    def check(self, session: Session) -> None:
        """Sees that it is not lost.

        Raises:
            TurnLost: another process has taken the thread over.
        """
        if not session.rows(f"SELECT 1 FROM turns WHERE ticket = ?{session.lock}", self.ticket):
            raise TurnLost(self.thread)

    def heard(self, session: Session) -> None:
        """Notes that its run was ended because somebody wanted it to: what comes next in it is not meant.

        Raises:
            TurnLost: another process has taken the thread over.
        """
        if not session.change("UPDATE turns SET cancelled = 0 WHERE ticket = ?", self.ticket):
            raise TurnLost(self.thread)
        self.cancelled = self.told = False


@dataclass(frozen=True, slots=True)
class _Seen:
    """What somebody sees who looks whose turn it is."""

    ticket: int
    """Their own."""
    front: tuple[int, float]
    """The ticket that has the turn, and until when it need not be heard of."""
    far: bool
    """Whether that is farther ahead than any ticket is valid."""
    cancelled: bool
    """Whether somebody wants the run of that ticket to end."""

    @property
    def first(self) -> bool:
        return self.front[0] == self.ticket


class Turns:
    """Of one store."""

    def __init__(self, workers: Workers, tickets: dict[str, int], lease: float = LEASE) -> None:
        self._workers = workers
        self._tickets = tickets
        """Of the turns that this process holds, by thread; the saver looks there."""
        self._lease = lease
        self._waiting = Waiting()
        self._doors = Threads()
        """Who asks first in this process has the lower ticket, however many connections there are."""

    @asynccontextmanager
    async def turn(
        self,
        thread: str,
        stop: Callable[[Exception | None], bool],
        *,
        before: Callable[[Session], object],
        begin: Callable[[Session], T],
        given_up: Callable[[Session], object] | None = None,
    ) -> AsyncIterator[tuple[Turn, T]]:
        """Waits for the turn on `thread` and holds it.

        Args:
            stop: called while it is held: with an error when the turn was taken away, with None when somebody in
                another process wants the run to end. Unless it says that there was something to stop, it is called
                again.
            before: is done first of all, together with joining the queue.
            begin: is done when the turn has come; what it gives comes along.
            given_up: is done by whoever is cancelled before the turn has come, together with leaving the queue. If
                there is any, `before` keeps what was said.

        Raises:
            StoreError: the database failed. What `before` raises is raised too, and the queue is not joined.
            TurnLost: at its end the turn was gone, and what was left to write with it.
        """
        owner = new_owner()
        turn, found = await self._first(thread, owner, before, begin, given_up)
        self._tickets[thread] = turn.ticket
        beating = asyncio.create_task(self._stay(turn, stop))
        ended = False
        try:
            yield turn, found
            ended = True
        finally:
            beating.cancel()  # to wait for its end would swallow a cancel that comes meanwhile
            if self._tickets.get(thread) == turn.ticket:
                del self._tickets[thread]
            with nullcontext() if ended else suppress(StoreError):
                if not await self._leave(thread, owner, turn.ticket, turn.last) and turn.last:
                    raise TurnLost(thread)

    async def cancel(self, thread: str) -> bool:
        """Asks whoever has the turn to end its run; those who wait for it are not meant. Returns whether somebody has
        it."""

        def work(session: Session) -> bool:
            with session.writing():
                session.alone(f"thread {thread}")
                for ticket, owner in session.rows(
                    "SELECT ticket, owner FROM turns WHERE thread = ? AND until >= ? AND until <= ? ORDER BY ticket",
                    *(thread, session.now(), _NEVER),
                ):
                    if not gone(owner):  # the dead hear nothing: what they left is ended by who asks
                        return session.change("UPDATE turns SET cancelled = 1 WHERE ticket = ?", ticket) > 0
                    session.change("DELETE FROM turns WHERE ticket = ?", ticket)
            return False

        return await self._workers.do(work)

    def at_work(self, session: Session, thread: str | None = None) -> set[str]:
        """Threads, or the one, on which somebody is at work, as far as is known: none whose process is gone, and none
        whose ticket is valid for so long only because the clock was set back."""
        now = session.now()
        valid = "SELECT thread, owner FROM turns WHERE until >= ? AND until <= ?"
        of_one = () if thread is None else (thread,)
        there = session.rows(f"{valid}{' AND thread = ?' if of_one else ''}", now, now + _FAR * self._lease, *of_one)
        return {found for found, owner in there if not gone(owner)}

    async def _first(
        self,
        thread: str,
        owner: str,
        before: Callable[[Session], object],
        begin: Callable[[Session], T],
        given_up: Callable[[Session], object] | None,
    ) -> tuple[Turn, T]:
        """Joins the queue, and waits until nobody is in front."""
        ticket = 0
        dead: tuple[int, float] | None = None
        found: list[T] = []

        def look(session: Session) -> _Seen:
            keeping = given_up is not None and not ticket
            with _keeping(session) if keeping else nullcontext(), session.writing():
                session.alone(f"thread {thread}")  # its tickets are there in the order of their numbers
                if not ticket:
                    before(session)
                seen = self._look(session, thread, owner, dead)
                if seen.first:
                    found[:] = [begin(session)]
                return seen

        try:
            async with self._doors.turn(thread):
                seen = await until_done(self._workers.asked(look))
            watch = _Watch(self._lease)
            waits = _FIRST_LOOK
            called = self._waiting.join(thread, ticket := seen.ticket)
            while not seen.first:
                nearest = self._waiting.first(thread, ticket)
                with suppress(TimeoutError):
                    async with asyncio.timeout(waits if nearest else self._lease / 3):
                        await called.wait()
                called.clear()
                waits = min(2 * waits, _LAST_LOOK, self._lease / 3) if nearest else _FIRST_LOOK
                dead = watch.dead(seen)
                seen = await until_done(self._workers.asked(look))
                if seen.ticket != ticket:  # its own was too old
                    self._waiting.leave(thread, ticket)
                    called = self._waiting.join(thread, ticket := seen.ticket)
        except BaseException as exc:
            cancelled = isinstance(exc, asyncio.CancelledError)
            with suppress(StoreError):
                await self._leave(thread, owner, ticket, anyway=[given_up] if cancelled and given_up else [])
            raise
        return Turn(thread, ticket, seen.cancelled), found[0]

    def _look(self, session: Session, thread: str, owner: str, dead: tuple[int, float] | None = None) -> _Seen:
        """Draws a ticket, or says that whoever has one is alive; and sees who is in front. What somebody wanted of a
        process that is gone, it wants of whoever comes after that.

        Args:
            dead: a ticket that is taken away, if it was not heard of until now.
        """
        now = session.now()
        session.change(
            "INSERT INTO turns (thread, owner, until) VALUES (?, ?, ?)"
            " ON CONFLICT (owner) DO UPDATE SET until = excluded.until",
            *(thread, owner, now + self._lease),
        )
        there = session.rows(
            "SELECT ticket, owner, until, cancelled FROM turns WHERE thread = ? ORDER BY ticket", thread
        )
        over = [row for row in there if _over(row[2], now) or (row[0], row[2]) == dead]
        there = [row for row in there if row not in over]
        while gone(there[0][1]):
            over.append(there.pop(0))
        for ticket, *_ in over:
            session.change("DELETE FROM turns WHERE ticket = ?", ticket)
        front, _, until, cancelled = there[0]
        if not cancelled and any(row[3] for row in over):
            cancelled = session.change("UPDATE turns SET cancelled = 1 WHERE ticket = ?", front)
        mine = next(row[0] for row in there if row[1] == owner)
        return _Seen(mine, (front, until), until > now + _FAR * self._lease, bool(cancelled))

    async def _leave(self, thread: str, owner: str, ticket: int, last: _Writes = (), anyway: _Writes = ()) -> bool:
        """Ends a turn, or leaves the queue: the next need not wait until the ticket is too old. Returns whether it
        was valid until now."""
        try:
            return await until_done(self._workers.asked(lambda session: _leave(session, thread, owner, last, anyway)))
        finally:
            self._waiting.leave(thread, ticket)

    async def _stay(self, turn: Turn, stop: Callable[[Exception | None], bool]) -> None:
        """Says that the holder is alive, until the turn is over or gone."""

        def beat(session: Session) -> tuple[bool, bool]:
            until = session.now() + self._lease
            held = session.change("UPDATE turns SET until = ? WHERE ticket = ?", until, turn.ticket) > 0
            found = session.rows("SELECT cancelled FROM turns WHERE ticket = ?", turn.ticket)
            return held, bool(found and found[0][0])

        while True:
            await asyncio.sleep(min(_BEAT, self._lease / 3))
            try:
                held, cancelled = await self._workers.do(beat)
            except StoreError as exc:
                if stop(exc):
                    return
                continue
            if not held and stop(TurnLost(turn.thread)):
                return
            if held and cancelled and not turn.cancelled and not turn.told:
                turn.told = stop(None)


class _Watch:
    """Finds a ticket that is valid only because the clock was set back: for the whole of a lease nobody hears of it,
    while whoever is alive says so every second."""

    def __init__(self, lease: float) -> None:
        self._patience = max(lease, 2 * _BEAT)
        self._front = (0, 0.0)
        self._since = 0.0

    def dead(self, seen: _Seen) -> tuple[int, float] | None:
        """The ticket in front, if it is one of those."""
        now = time.monotonic()
        if not seen.far or seen.front != self._front:
            self._front, self._since = seen.front, now
        return seen.front if seen.far and now - self._since > self._patience else None


@contextmanager
def _keeping(session: Session) -> Iterator[None]:
    """Around the transaction that keeps what was said: if the database refuses it, the error says that it is not."""
    try:
        yield
    except session.failures as failure:
        if session.lost(failure):  # it is tried again
            raise
        why = session.explain(failure)
        raise StoreError(why.message, hint=f"What was said just now was not kept. {why.hint}".strip()) from failure


def _over(until: object, now: float) -> bool:
    """Whether a ticket was not heard of for its time, or nobody can read when that ends."""
    return not isinstance(until, int | float) or not until >= now


def _leave(session: Session, thread: str, owner: str, last: _Writes, anyway: _Writes = ()) -> bool:
    """Takes a ticket out of the queue, and writes what is left to write: `last` if it was valid until now."""
    with session.writing():
        session.alone(f"thread {thread}")
        held = session.change("DELETE FROM turns WHERE owner = ?", owner) > 0
        for write in (*(last if held else ()), *anyway):
            write(session)
        return held
