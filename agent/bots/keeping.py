"""Telling what would not come a second time: to a receiver that may not be able to keep it just now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from gemmagraph.bots.base import Inbound, Receiver
from gemmagraph.errors import StoreError

log: Final = logging.getLogger("gemmagraph.bots")

_FIRST_PAUSE: Final = 0.1
_LAST_PAUSE: Final = 5.0


async def until_kept(receiver: Receiver, events: Sequence[Inbound], cursor: str | None, bot: str) -> None:
    """Returns once the receiver has taken these, however long that is.

    Args:
        bot: what it is called in the log.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            return await receiver.accept(events, cursor)
        except StoreError as exc:
            log.warning("not kept; trying again", extra={"bot": bot, "details": {"why": exc.message}})
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE)
