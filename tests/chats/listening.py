"""An adapter that listens in its world, for tests of the adapter alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from chats.world import Heard, World, until

from gemmagraph.bots.base import Adapter
from gemmagraph.bots.errors import BotError


@asynccontextmanager
async def listening(
    world: World, heard: Heard | None = None, adapter: Adapter | None = None
) -> AsyncIterator[tuple[Any, Heard]]:
    """The world's adapter, or another one, connected, and what it tells.

    It ends with the test, or before it because the service does not want it any more; anything else is raised.
    """
    adapter, heard = adapter or world.adapter(), heard or Heard()
    before = heard.up
    task = asyncio.create_task(adapter.listen(heard))
    try:
        await until(lambda: heard.up > before or task.done(), "the connection")
        yield adapter, heard
    finally:
        over = task.done()
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        with suppress(BotError):
            task.result()
        assert over, "it was cancelled, and did not say so"
