"""Those of one process who wait for their turns on threads: the end of one turn is told to whoever is next."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress


class Waiting:
    """By thread and ticket, for any event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tickets: dict[str, dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}

    def join(self, thread: str, ticket: int) -> asyncio.Event:
        """Takes a ticket in; gives what is set when it is the first here."""
        called = asyncio.Event()
        with self._lock:
            self._tickets.setdefault(thread, {})[ticket] = asyncio.get_running_loop(), called
        return called

    def first(self, thread: str, ticket: int) -> bool:
        """Whether no other ticket of this process is in front of it."""
        with self._lock:
            there = self._tickets.get(thread, {})
            return not any(other < ticket and not loop.is_closed() for other, (loop, _) in there.items())

    def leave(self, thread: str, ticket: int) -> None:
        """Takes a ticket out, and calls the first of those that are left."""
        with self._lock:
            there = self._tickets.get(thread, {})
            there.pop(ticket, None)
            if not there:
                self._tickets.pop(thread, None)
                return
            loop, called = there[min(there)]
        with suppress(RuntimeError):  # a closed loop: its ticket will be too old soon
            loop.call_soon_threadsafe(called.set)
