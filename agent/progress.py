"""How far a call is, told to those who watch: the latest, not too often, from whatever thread."""

from __future__ import annotations

import asyncio
import contextvars
import math
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gemmagraph.tools.secrets import mask

_PAUSE: Final = 0.1
"""Seconds between two words on one call."""
_MOST: Final = 200
"""Characters of one."""


class Progress:
    """Of one call. Made on the event loop of its run.

    Args:
        tell: is given the text and the fraction, on that loop.
    """

    def __init__(self, tell: Callable[[str, float | None], None]) -> None:
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._around = contextvars.copy_context()  # LangGraph's stream finds there whose event it is
        self._lock = threading.Lock()
        self._latest: tuple[str, float | None] | None = None
        self._due = False
        """Whether the loop knows that there is something to tell."""
        self._over = False
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def put(self, text: str, fraction: float | None = None) -> None:
        """Tells it now or in a moment, unless something newer comes before."""
        if fraction is not None:
            fraction = min(1.0, max(0.0, fraction)) if math.isfinite(fraction) else None
        with self._lock:
            if self._over:
                return
            self._latest = (text, fraction)
            if self._due:
                return
            self._due = True
        with suppress(RuntimeError):  # the loop was closed: nobody is left to hear it
            self._loop.call_soon_threadsafe(self._come, context=self._around)

    def end(self) -> None:
        """Tells the last, and takes nothing more: of a call that was given up, nothing comes behind its result."""
        with self._lock:
            self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._flush()

    def _come(self) -> None:
        wait = self._next - self._loop.time()
        if wait > 0:
            self._timer = self._loop.call_later(wait, self._flush, context=self._around)
        else:
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            latest, self._latest, self._due = self._latest, None, False
        if latest is not None:
            self._next = self._loop.time() + _PAUSE
            text, fraction = latest
            self._tell(mask(text)[:_MOST], fraction)
