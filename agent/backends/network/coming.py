"""The bytes of a reply as they come, read ahead within time limits whether or not anybody takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

AHEAD: Final = 4 * 1024 * 1024
"""Bytes that are read before anybody takes them: a reply of some 20,000 tokens, in the frames of Ollama."""
_AGAIN: Final = 0.2
"""Seconds until what is too late is cancelled once more: see `closing`."""


class Late(Exception):
    """What should have come has not come in time."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a reply may take, in seconds."""

    first: float
    """Until its first byte."""
    between: float
    """Until the next one."""
    total: float
    deadline: float
    """When `total` is over, by the clock of the event loop."""


class Coming:
    """What `feed` puts here, from a task that lasts as long as the reply: httpx lets go of its connection when it is
    cancelled again while it closes it.

    Args:
        feed: reads the reply and ends with it. It awaits `room` when `put` says that nothing more fits.
    """

    def __init__(self, feed: Callable[[Coming], Coroutine[Any, Any, None]], limits: Limits) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._here: list[bytes] = []
        self._size = 0
        self._waits: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._begun = False
        self._late = ""
        self._by = min(self._loop.time() + limits.first, limits.deadline)
        self._timer = self._loop.call_at(self._by, self._due)
        self.task = asyncio.ensure_future(feed(self))
        self.task.add_done_callback(self._end)

    def put(self, piece: bytes) -> bool:
        """Takes the next piece. Returns whether that is all for now."""
        self._here.append(piece)
        self._size += len(piece)
        if self._waits is not None:
            self._wake()
        limits = self._limits
        self._by = min(self._loop.time() + limits.between, limits.deadline)
        if not self._begun:
            self._begun = True
            if self._by < self._timer.when():
                self._set_timer()
        return self._size > AHEAD

    async def room(self) -> None:
        """Waits until something was taken. That is no time in which the server would be late."""
        limits = self._limits
        self._by = limits.deadline
        while self._size > AHEAD:
            self._room = self._loop.create_future()
            await self._room
        self._by = min(self._loop.time() + limits.between, limits.deadline)
        if self._by < self._timer.when():
            self._set_timer()

    async def there(self, until: float | None = None) -> bool:
        """Waits until there is something to take, or the end. False if it is not by then."""
        timer = None if until is None else self._loop.call_at(until, self._wake)
        try:
            while not self._here and not self.task.done():
                if until is not None and self._loop.time() >= until:
                    return False
                self._waits = self._loop.create_future()
                try:
                    await self._waits
                finally:
                    self._waits = None
        finally:
            if timer is not None:
                timer.cancel()
        return True

    def take(self) -> bytes | None:
        """All that is there; None at the end.

        Raises:
            Late: it came too late.
            Exception: what else ended it.
        """
        if not self._here:
            if self._late and self.task.cancelled():
                raise Late(self._late)
            self.task.result()
            return None
        piece = self._here[0] if len(self._here) == 1 else b"".join(self._here)
        self._here.clear()
        self._size = 0
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        return piece

    def _wake(self) -> None:
        if self._waits is not None and not self._waits.done():
            self._waits.set_result(None)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._timer.cancel()
        if not task.cancelled():
            task.exception()  # seen: who takes nothing more does not want to know
        self._wake()

    def _set_timer(self) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_at(self._by, self._due)

    def _due(self) -> None:
        """One timer serves all pieces: where it comes early, it is set anew."""
        now, limits = self._loop.time(), self._limits
        if now >= self._by:
            if now >= limits.deadline:
                late = f"the reply was not complete within {limits.total:g} s"
            elif self._begun:
                late = f"nothing more came for {limits.between:g} s"
            else:
                late = f"no reply began within {limits.first:g} s"
            self._late = self._late or late
            self.task.cancel()
            self._by = now + _AGAIN
        self._set_timer()
