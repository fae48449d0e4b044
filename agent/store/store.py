"""A store: one database, and all that is kept in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gemmagraph.errors import AgentError, StoreError
from gemmagraph.journal import Journal
from gemmagraph.store.address import Address, address_of
from gemmagraph.store.inputs import Inputs
from gemmagraph.store.postgres import PostgresSession
from gemmagraph.store.questions import Questions
from gemmagraph.store.rows import readable, reading, shaped
from gemmagraph.store.session import Session
from gemmagraph.store.spending import Spending
from gemmagraph.store.sqlite import SqliteSession
from gemmagraph.store.turns import LEASE, Turn, Turns
from gemmagraph.store.workers import Workers

if TYPE_CHECKING:
    from gemmagraph.store.saver import Saver

T = TypeVar("T")

_CONNECTIONS: Final = {"sqlite": 1, "postgresql": 4}
"""SQLite lets one writer in at a time; a second connection would only wait for the first."""
_PATIENCE: Final = {"sqlite": 10.0, "postgresql": 30.0}
"""Seconds."""

_LAST: Final = "(SELECT {} FROM inputs WHERE inputs.thread = threads.thread ORDER BY place DESC LIMIT 1)"
_OF_A_THREAD: Final = ("threads", "inputs", "calls", "approvals", "turns")


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation in a store, as lists show it."""

    id: str
    agent: str
    title: str
    created: float
    updated: float
    """Seconds since 1970."""
    state: str
    """`idle`, `running`, `waiting` (for a person), `unfinished` (what was begun has no answer, and nobody is at work)
    or `failed` (the last turn)."""
    failure: str | None = None
    """Why it failed."""


class Store:
    """Threads, calls and approvals in a database; usable from any thread and event loop of a process, and by many
    processes at once. Nothing is opened before it is used.

    Args:
        store: `sqlite:///agent.db`, a path, or `postgresql://user@host/database`.
        lease: seconds for which a process may be silent before its turn on a thread goes to another.
        patience: seconds to wait for a file that another program has locked, or for a server that was lost. By
            default 10 and 30.

    Raises:
        AgentError: that is no address of a store.
    """

    def __init__(self, store: str | os.PathLike[str], *, lease: float = LEASE, patience: float | None = None) -> None:
        self.address = address_of(store)
        patience = _PATIENCE[self.address.kind] if patience is None else patience
        self._workers = Workers(partial(_open, self.address, patience), _CONNECTIONS[self.address.kind], patience)
        self._tickets: dict[str, int] = {}
        self.turns = Turns(self._workers, self._tickets, lease)
        self.inputs = Inputs(self._workers)
        self.journal = Journal(self._workers)
        self.questions = Questions(self._workers)
        self.spending = Spending(self._workers)

    @cached_property
    def saver(self) -> Saver:
        """Keeps the state of LangGraph's graphs here. A thread whose turn went to another process is not written."""
        from gemmagraph.store.saver import Saver

        return Saver(self._workers, self._tickets)

    async def threads(self) -> list[Thread]:
        """All, the one that was used last first. What cannot be read is left out, with a warning."""
        return await self._workers.do(lambda session: readable(self._rows(session), _thread))

    async def thread(self, thread: str) -> Thread:
        """One of them.

        Raises:
            AgentError: there is no such thread.
            StoreError: what is kept of it cannot be read.
        """
        for row in await self._workers.do(lambda session: self._rows(session, thread)):
            return _thread(row)
        raise AgentError(f"There is no thread {thread!r}.", hint="`gemmagraph threads list` shows those that are.")

    def _rows(self, session: Session, thread: str | None = None) -> list[tuple[Any, ...]]:
        """Of one, or of all."""
        of_one = () if thread is None else (thread,)
        at_work = self.turns.at_work(session, thread)
        rows = session.rows(
            "SELECT thread, agent, title, created, updated, CASE"
            " WHEN EXISTS (SELECT 1 FROM approvals WHERE approvals.thread = threads.thread"
            " AND decision IS NULL AND expires >= ?) THEN 'waiting'"
            " WHEN EXISTS (SELECT 1 FROM inputs WHERE inputs.thread = threads.thread"
            f" AND state = 'accepted') THEN 'unfinished' WHEN {_LAST.format('state')} = 'failed' THEN 'failed'"
            f" ELSE 'idle' END, {_LAST.format('failure')} FROM threads"
            f"{' WHERE thread = ?' if of_one else ''} ORDER BY updated DESC, thread",
            *(session.now(), *of_one),
        )
        return [(*row[:5], "running" if row[0] in at_work else row[5], row[6]) for row in rows]

    def has(self, session: Session, thread: str) -> bool:
        """Whether there is such a thread."""
        return bool(session.rows("SELECT 1 FROM threads WHERE thread = ?", thread))

    async def begin(self, turn: Turn, *, like: str) -> bool:
        """Makes a thread of what a turn has written to it, of the agent and with the title of another. If somebody
        has begun one of that name meanwhile, what was written is taken away. Returns whether it was made.

        Raises:
            TurnLost: another process has taken the thread over.
        """

        def work(session: Session) -> bool:
            with session.writing():
                turn.check(session)
                now = session.now()
                made = session.change(
                    "INSERT INTO threads (thread, agent, title, created, updated)"
                    " SELECT ?, agent, title, ?, ? FROM threads WHERE thread = ? ON CONFLICT (thread) DO NOTHING",
                    *(turn.thread, now, now, like),
                )
                if not made:
                    session.saver.delete_thread(turn.thread)
                return made > 0

        return await self._workers.do(work)

    async def delete(self, thread: str) -> None:
        """Takes a thread away, with all that belongs to it.

        Raises:
            AgentError: a run is at work on it.
        """

        def work(session: Session) -> None:
            with session.writing():
                session.alone(f"thread {thread}")
                if self.turns.at_work(session, thread):
                    raise AgentError(f"A run is at work on the thread {thread!r}.", hint="Wait, or cancel it.")
                for table in _OF_A_THREAD:
                    session.change(f"DELETE FROM {table} WHERE thread = ?", thread)
                session.saver.delete_thread(thread)

        await self._workers.do(work)

    async def do(self, work: Callable[[Session], T]) -> T:
        """What `work` gives back; it is done on a connection, in a thread of the store.

        Raises:
            StoreError: the database failed.
        """
        return await self._workers.do(work)

    async def check(self) -> None:
        """Opens it, so that what is wrong with it is known now.

        Raises:
            StoreError: it cannot be used.
        """
        await self._workers.do(lambda session: None)

    def close(self) -> None:
        """Ends connections; the next use opens it again."""
        self._workers.close()


def _thread(row: tuple[Any, ...]) -> Thread:
    names = ("id", "agent", "title", "created", "updated", "state", "failure")
    if not isinstance(row[0], str):
        raise StoreError(
            f"A row of the table threads has {row[0]!r:.40} for its thread: no command can name it.",
            hint="It is damaged, or another program wrote it: restore the database, or delete the row by hand.",
        )
    with reading(f"The thread {row[0]!r} (table threads)"):
        return shaped(Thread, **dict(zip(names, row, strict=True)))


def _open(address: Address, patience: float) -> Session:
    if address.kind == "sqlite":
        return SqliteSession(address.target, patience)
    return PostgresSession(address, patience)
