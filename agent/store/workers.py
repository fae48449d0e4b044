"""Threads that own a connection each, and do on it what others ask for.

LangGraph's plain savers and plain SQL run there: one hop between threads for a whole transaction. Work is asked for
from any event loop, or from none.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from gemmagraph.errors import StoreError
from gemmagraph.store.session import Session

T = TypeVar("T")

_GOODBYE: Final = 30.0
"""Seconds that the last work may take when they are told to end."""


class _Job:
    """Work, and whom to tell what came of it."""

    __slots__ = ("done", "work")

    def __init__(self, work: Callable[[Session], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        self.work = work
        self.done = done


class Workers:
    """Started when first asked. What was asked for is done to its end, also when nobody waits for it any more.

    Args:
        open_session: makes a connection.
        count: threads, and connections.
        patience: seconds for which a connection that was lost is tried to be made again.
    """

    def __init__(self, open_session: Callable[[], Session], count: int, patience: float) -> None:
        self._open_session = open_session
        self._patience = patience
        self._count = count
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._starting = threading.Lock()
        self._process = os.getpid()
        self._end: weakref.finalize[[SimpleQueue[_Job | None], int], Workers] | None = None

    async def do(self, work: Callable[[Session], T]) -> T:
        """What `work` gives back.

        Raises:
            StoreError: the database failed.
        """
        return await self.asked(work)

    def asked(self, work: Callable[[Session], T]) -> asyncio.Future[T]:
        """`do`, for whoever wants to know when it is done, also if nobody waits for what it gives."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()

        def tell(result: T, error: BaseException | None) -> None:
            with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
                loop.call_soon_threadsafe(_settle, waiter, result, error)

        self._ask(_Job(work, tell))
        return waiter

    def do_now(self, work: Callable[[Session], T]) -> T:
        """`do`, where no event loop is running."""
        waiter: Future[T] = Future()

        def tell(result: T, error: BaseException | None) -> None:
            waiter.set_exception(error) if error is not None else waiter.set_result(result)

        self._ask(_Job(work, tell))
        return waiter.result()

    def close(self) -> None:
        """Ends connections, after what was asked for before."""
        with self._starting:
            threads, self._threads = self._threads, []
            if self._end is not None:
                self._end()
                self._end = None
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(_GOODBYE)

    def _ask(self, job: _Job) -> None:
        with self._starting:
            if self._process != os.getpid():  # a copy of the process that had the threads
                self._process, self._threads, self._end = os.getpid(), [], None
            if self._end is None:
                self._queue = SimpleQueue()
                self._end = weakref.finalize(self, _stop, self._queue, self._count)
            if len(self._threads) < self._count and (not self._threads or not self._queue.empty()):
                serves = self._queue, self._open_session, self._patience
                thread = threading.Thread(target=_serve, args=serves, name="gemmagraph-store", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._queue.put(job)


def _stop(queue: SimpleQueue[_Job | None], count: int) -> None:
    for _ in range(count):
        queue.put(None)


def _settle(waiter: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if waiter.done():
        return
    waiter.set_exception(error) if error is not None else waiter.set_result(result)


def _serve(queue: SimpleQueue[_Job | None], open_session: Callable[[], Session], patience: float) -> None:
    session: Session | None = None
    while (job := queue.get()) is not None:
        try:
            if session is None:
                session = open_session()
            session, result = _done(job.work, session, open_session, patience)
        except BaseException as exc:  # noqa: BLE001 - whoever asked is told
            if isinstance(exc, _Gone):
                session, exc = None, exc.why
            job.done(None, exc)
        else:
            job.done(result, None)
        del job
    if session is not None:
        session.close()


class _Gone(Exception):
    """There is no connection any more."""

    def __init__(self, why: StoreError) -> None:
        self.why = why


def _done(
    work: Callable[[Session], T], session: Session, open_session: Callable[[], Session], patience: float
) -> tuple[Session, T]:
    """The session, or the one in its place, and what came of the work. All that is asked of a store can be asked
    twice, so that what a lost connection left in doubt is done again."""
    until = 0.0
    while True:
        try:
            return session, work(session)
        except session.failures as failure:
            why = session.explain(failure)
            if not session.lost(failure):
                raise why from failure
            session.close()
            until = until or time.monotonic() + patience
        session = _reopened(open_session, until, why)


def _reopened(open_session: Callable[[], Session], until: float, why: StoreError) -> Session:
    wait = 0.05
    while time.monotonic() < until:
        time.sleep(wait)
        wait = min(2 * wait, 1.0)
        try:
            return open_session()
        except StoreError as failure:
            why = failure
    raise _Gone(why)
