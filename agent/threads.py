"""Conversations in memory: the messages of each thread, and one run at a time on it."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage

T = TypeVar("T")


class Threads:
    """The threads of one agent.

    Their runs may be on different event loops: `run` uses the background loop, `arun` its caller's.
    """

    def __init__(self) -> None:
        self.messages: dict[str, list[AnyMessage]] = {}
        self._lock = threading.Lock()
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        """For each thread in use: the run that has it, then those that wait, first come first served."""

    @asynccontextmanager
    async def turn(self, thread: str | None) -> AsyncIterator[None]:
        """Waits until no other run uses `thread`, then keeps others waiting. Without a thread, nobody waits."""
        if not thread:
            yield
            return
        turn = asyncio.get_running_loop().create_future()
        with self._lock:
            queue = self._queues.setdefault(thread, deque())
            while queue and queue[0].get_loop().is_closed():  # its run died with its loop and cannot leave
                queue.popleft()
            queue.append(turn)
            first = queue[0] is turn
        try:
            if not first:
                await turn
            yield
        finally:
            self._leave(thread, turn)

    def taken(self, thread: str) -> bool:
        """Whether a run is on a thread, or waits for it."""
        with self._lock:
            return thread in self._queues

    def _leave(self, thread: str, turn: asyncio.Future[None]) -> None:
        with self._lock:
            queue = self._queues.get(thread, deque())
            if turn not in queue:
                return
            had_it = queue[0] is turn
            queue.remove(turn)
            while had_it and queue:
                try:
                    queue[0].get_loop().call_soon_threadsafe(_call, queue[0])
                    break
                except RuntimeError:  # a closed loop
                    queue.popleft()
            if not queue:
                del self._queues[thread]


def _call(turn: asyncio.Future[None]) -> None:
    if not turn.done():  # it may have been cancelled meanwhile
        turn.set_result(None)


async def end_of(task: asyncio.Task[Any]) -> None:
    """Waits for the end of `task`, and cancels it if the waiter is cancelled: once, so that a second and a third
    time do not break into its clean-up."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as exc:
            if cancelled is None:
                task.cancel()
            cancelled = exc
    if not task.cancelled():
        task.exception()  # seen: asyncio would complain about that of a run nobody waits for any more
    if cancelled is not None:
        raise cancelled


async def until_done(work: Awaitable[T]) -> T:
    """What `work` comes to. It is done to its end, however often the waiter is cancelled meanwhile; then that is
    raised."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled is not None and task.exception() is None:
        raise cancelled
    return task.result()
