"""The bytes of a reply as they come, read by a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

_AHEAD: Final = 65_536
"""Bytes that are read before anybody takes them."""


class Coming:
    """What `pieces` brings, read ahead. A task, because httpx lets go of its connection when it is cancelled again
    while it closes it; one for the whole reply, because one for each piece costs as much as reading it."""

    def __init__(self, pieces: AsyncGenerator[bytes, None]) -> None:
        self.pieces = pieces
        self._loop = asyncio.get_running_loop()
        self._here: list[bytes] = []
        self._size = 0
        self._waits: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._by = 0.0
        self.task = asyncio.ensure_future(self._read())
        self.task.add_done_callback(self._wake)

    async def there(self, by: float) -> bool:
        """Waits until there is something to take, or the end. False if it is not by then."""
        self._by = by
        while not self._here and not self.task.done():
            if self._loop.time() >= by:
                return False
            if self._timer is None or self._timer.when() > by:
                self._set_timer()
            self._waits = self._loop.create_future()
            try:
                await self._waits
            finally:
                self._waits = None
        return True

    def take(self) -> bytes | None:
        """All that is there; None at the end.

        Raises:
            Exception: what ended it.
        """
        if not self._here:
            self.task.result()
            return None
        piece = self._here[0] if len(self._here) == 1 else b"".join(self._here)
        self._here.clear()
        self._size = 0
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        return piece

    async def _read(self) -> None:
        try:
            async for piece in self.pieces:
                self._here.append(piece)
                if self._waits is not None:
                    self._wake()
                self._size += len(piece)
                if self._size > _AHEAD:
                    self._room = self._loop.create_future()
                    await self._room
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _wake(self, _: object = None) -> None:
        if self._waits is not None and not self._waits.done():
            self._waits.set_result(None)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._by, self._due)

    def _due(self) -> None:
        """One timer serves all pieces: where it comes early, it is set anew."""
        self._timer = None
        if self._loop.time() < self._by:
            self._set_timer()
        else:
            self._wake()
