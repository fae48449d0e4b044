"""Who may ask a server next: first come, first served, over all event loops and threads of the process."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from types import TracebackType
from weakref import WeakValueDictionary


class Queue:
    """`async with queue:` waits for one of its places. A wait that is cancelled leaves the queue.

    `asyncio.Semaphore` would do within one event loop; a server is shared by all of them.
    """

    def __init__(self, places: int = 1) -> None:
        self._lock = threading.Lock()
        self._free = places
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()

    @property
    def full(self) -> bool:
        """Whether the next one has to wait."""
        return self._free == 0

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._waiting)

    async def __aenter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            loop = asyncio.get_running_loop()
            waiter = (loop, loop.create_future())
            self._waiting.append(waiter)
        try:
            await waiter[1]
        except asyncio.CancelledError:
            self._give_up(waiter)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _give_up(self, waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]) -> None:
        with self._lock:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                return
        self._leave()  # a place was on its way to us

    def _leave(self) -> None:
        """Hands the place to the one who waited longest and whose event loop still runs."""
        with self._lock:
            while self._waiting:
                loop, turn = self._waiting.popleft()
                try:
                    loop.call_soon_threadsafe(_grant, turn)
                except RuntimeError:  # that loop was closed
                    continue
                return
            self._free += 1


def queue_for(server: str, places: int = 1) -> Queue:
    """The one queue of `server` in this process for all that want it to have so many places."""
    with _LOCK:
        queue = _QUEUES.get((server, places))
        if queue is None:
            queue = _QUEUES[server, places] = Queue(places)
        return queue


_LOCK = threading.Lock()
_QUEUES: WeakValueDictionary[tuple[str, int], Queue] = WeakValueDictionary()


def _grant(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
