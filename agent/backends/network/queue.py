"""Who may ask a server next: first come, first served, over all event loops and threads of the process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from types import TracebackType
from typing import Final
from weakref import WeakValueDictionary

from gemmagraph.errors import BackendTimeout

PATIENCE: Final = 1800.0
"""Seconds in which a place has to come free. As long as the longest reply of a server may take by default."""

_LOOK: Final = 1.0
"""Seconds after which who waits looks whether a place is held by nobody any more."""


class Queue:
    """The places of a server. `asyncio.Semaphore` would do within one event loop; a server is shared by them all."""

    def __init__(self, places: int = 1) -> None:
        self._lock = threading.Lock()
        self._places = places
        self._taken: list[Place] = []
        self._waiting: deque[Place] = deque()
        self._moved = 0.0
        """When a place was last given to one who waited."""

    @property
    def full(self) -> bool:
        """Whether the next one has to wait."""
        return len(self._taken) >= self._places

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._waiting)

    def place(self, whose: str, patience: float = PATIENCE) -> Place:
        """`async with queue.place("Ollama"):` waits for a place. A wait that is cancelled leaves the queue.

        Args:
            whose: places they are, for the error.
            patience: seconds to wait, counted anew whenever one who waited gets a place.
        """
        return Place(self, whose, patience)

    def _free(self, place: Place) -> None:
        """Hands a place on. The lock is held."""
        self._taken.remove(place)
        while self._waiting:
            following = self._waiting.popleft()
            try:
                following._loop.call_soon_threadsafe(following._grant)
            except RuntimeError:  # that loop was closed
                continue
            following._take()
            return

    def _sweep(self) -> None:
        """Hands on the places of event loops that were closed: those cannot say any more that they leave."""
        for gone in [place for place in self._taken if place._loop.is_closed()]:
            self._free(gone)


class Place:
    """One place, given back at the end or when `leave` says so.

    Raises:
        BackendTimeout: none came free.
    """

    def __init__(self, queue: Queue, whose: str, patience: float) -> None:
        self._queue = queue
        self._whose = whose
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._turn: asyncio.Future[None] | None = None
        self._since = 0.0
        self._thread = threading.current_thread().name

    async def __aenter__(self) -> Place:
        queue = self._queue
        with queue._lock:
            queue._sweep()
            if not queue.full:
                self._take()
                return self
            self._turn = self._loop.create_future()
            queue._waiting.append(self)
        try:
            await self._wait(self._turn)
        except BaseException:
            self.leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """Hands the place to the one who waited longest and whose event loop still runs. From any thread; once more
        does nothing."""
        queue = self._queue
        with queue._lock:
            if self in queue._waiting:
                queue._waiting.remove(self)
            if self not in queue._taken:
                return
            queue._free(self)

    def _take(self) -> None:
        self._since = self._queue._moved = time.monotonic()
        self._queue._taken.append(self)

    def _grant(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    async def _wait(self, turn: asyncio.Future[None]) -> None:
        came = time.monotonic()
        while not turn.done():
            left = max(came, self._queue._moved) + self._patience - time.monotonic()
            if left <= 0:
                raise self._late()
            await asyncio.wait({turn}, timeout=min(left, _LOOK))
            with self._queue._lock:
                self._queue._sweep()

    def _late(self) -> BackendTimeout:
        with self._queue._lock:
            first = min(self._queue._taken, key=lambda place: place._since, default=self)
        age = time.monotonic() - first._since
        return BackendTimeout(
            f"{self._whose} is busy: for {self._patience:g} s it took no further request of this program. The one "
            f"that it works on began {age:,.0f} s ago in thread {first._thread!r}.",
            hint="Read its reply to the end, or close its stream (contextlib.aclosing).",
        )


def queue_for(server: str, places: int = 1) -> Queue:
    """The one queue of `server` in this process for all that want it to have so many places."""
    with _LOCK:
        queue = _QUEUES.get((server, places))
        if queue is None:
            queue = _QUEUES[server, places] = Queue(places)
        return queue


_LOCK = threading.Lock()
_QUEUES: WeakValueDictionary[tuple[str, int], Queue] = WeakValueDictionary()
