"""Who may ask the model next: the persons in turn, whoever was served last behind the others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

_REMEMBERED: Final = 10_000
"""Persons of whom it is known when they were served last."""


class Line:
    """For all bots of a process that ask the same model.

    Args:
        places: turns that may be at work at once.
    """

    def __init__(self, places: int) -> None:
        self._places = self._free = places
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._served: dict[str, int] = {}
        """When each person was served last: a number that grows; who is not there, never."""
        self._turns = 0

    @asynccontextmanager
    async def place(self, person: str) -> AsyncIterator[None]:
        """Waits for a place and has it."""
        await self._come(person)
        try:
            yield
        finally:
            self._free += 1
            self._next()

    def before(self, person: str) -> int:
        """How many others come before the next turn of this person that waits."""
        return self._in_turn().index(person) if person in self._waiting else 0

    @property
    def busy(self) -> int:
        """How many turns are at work."""
        return self._places - self._free

    @property
    def length(self) -> int:
        """How many turns wait."""
        return sum(len(queue) for queue in self._waiting.values())

    async def _come(self, person: str) -> None:
        called = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(person, deque()).append(called)
        self._next()
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():  # it was called in this very moment
                self._free += 1
                self._next()
            elif (queue := self._waiting.get(person)) is not None and called in queue:
                queue.remove(called)
                if not queue:
                    del self._waiting[person]
            raise

    def _in_turn(self) -> list[str]:
        """Who waits; of those who were served equally long ago, or never, whoever came first comes first."""
        return sorted(self._waiting, key=lambda one: self._served.get(one, 0))

    def _next(self) -> None:
        while self._free and self._waiting:
            person = self._in_turn()[0]
            called = self._waiting[person].popleft()
            if not self._waiting[person]:
                del self._waiting[person]
            if called.done():
                continue
            self._free -= 1
            self._turns += 1
            self._served.pop(person, None)
            self._served[person] = self._turns
            if len(self._served) > _REMEMBERED:
                del self._served[next(iter(self._served))]
            called.set_result(None)
