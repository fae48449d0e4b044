"""Work under way that is given up: ended for certain, however often we are cancelled meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

PATIENCE: Final = 0.2
"""Seconds until a task is cancelled once more: anyio loses what comes just when it has made a connection, and httpx a
connection that it is closing, which takes far less."""


async def end(coming: asyncio.Task[Any]) -> None:
    """Ends a request: closing the socket is what tells the server."""
    if not coming.cancelling():
        coming.cancel()
    while not (await asyncio.wait({coming}, timeout=PATIENCE))[0]:
        coming.cancel()
    if not coming.cancelled():
        coming.exception()  # seen already, or of no interest any more


async def shielded(closing: Coroutine[Any, Any, None]) -> None:
    """Runs `closing` to its end even if we are cancelled meanwhile."""
    task = asyncio.ensure_future(closing)
    _CLOSING.add(task)
    task.add_done_callback(_CLOSING.discard)
    await asyncio.shield(task)


_CLOSING: set[asyncio.Future[None]] = set()
"""The event loop itself holds its tasks only weakly."""
