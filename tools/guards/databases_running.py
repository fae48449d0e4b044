"""One statement on its way through a thread, which another thread can stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

_AGAIN: Final = 0.2
"""Seconds between two tries to stop: one that comes between two commands stops nothing."""
_TRIES: Final = 8


class Stopped(Exception):
    """Nobody waits for the statement any more."""


class Running:
    """Stops a statement, and whatever its connection does next until it is released."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._stop: Callable[[], None] | None = None
        self._break_off: Callable[[], None] | None = None
        self.stopped = False

    @property
    def left(self) -> float:
        """Seconds until its time is up."""
        return max(0.0, self._deadline - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether nobody waits any more, or its time is up."""
        return self.stopped or time.monotonic() >= self._deadline

    def check(self) -> None:
        """
        Raises:
            Stopped: nobody waits for the statement any more.
        """
        if self.stopped:
            raise Stopped

    def hold(self, stop: Callable[[], None], break_off: Callable[[], None]) -> None:
        """From now on a connection is in use: `stop` asks it to end what it does, `break_off` makes it."""
        with self._lock:
            self._stop, self._break_off = stop, break_off
        self.check()

    def release(self) -> None:
        """The connection may serve another statement from now on, which nothing here will stop."""
        with self._lock:
            self._stop = self._break_off = None
        self._released.set()

    def stop(self) -> None:
        """Stops it; returns when it has stopped, or was broken off. Blocks: for a thread of its own."""
        self.stopped = True
        for _ in range(_TRIES):
            self._call(lambda: self._stop)
            if self._released.wait(_AGAIN):
                return
        self._call(lambda: self._break_off)

    def _call(self, chosen: Callable[[], Callable[[], None] | None]) -> None:
        with self._lock, suppress(Exception):  # a server that is gone cannot be asked to stop either
            if (call := chosen()) is not None:
                call()
