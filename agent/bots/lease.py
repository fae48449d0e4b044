"""Which process listens for a bot: of several on one store, one at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from gemmagraph.errors import StoreError
from gemmagraph.store.owners import gone, new_owner
from gemmagraph.store.session import Session
from gemmagraph.store.store import Store

log: Final = logging.getLogger("gemmagraph.bots")

LEASE: Final = 15.0
"""Seconds for which the listening process may be silent before another takes its place."""


@asynccontextmanager
async def listening(store: Store, bot: str, lost: asyncio.Event, seconds: float = LEASE) -> AsyncIterator[int]:
    """Waits until this process is the one that listens for `bot`, and stays it; gives the number of its term.

    Args:
        lost: set when another process has taken over, or the store cannot be asked any more.
    """
    owner = new_owner()

    def take(session: Session) -> int | None:
        with session.writing():
            session.alone(f"listener {bot}")
            now = session.now()
            for (other,) in session.rows("SELECT owner FROM bot_leases WHERE bot = ? AND until >= ?", bot, now):
                if gone(other):
                    session.change("UPDATE bot_leases SET until = 0 WHERE bot = ? AND owner = ?", bot, other)
            session.change(
                "INSERT INTO bot_leases VALUES (?, ?, 1, ?) ON CONFLICT (bot) DO UPDATE SET owner = excluded.owner,"
                " number = bot_leases.number + 1, until = excluded.until"
                # one far ahead was written by a clock that was set back since
                " WHERE bot_leases.until < ? OR bot_leases.until > ?",
                *(bot, owner, now + seconds, now, now + 4 * seconds),
            )
            found = session.rows("SELECT number FROM bot_leases WHERE bot = ? AND owner = ?", bot, owner)
            return found[0][0] if found else None

    def stay(session: Session) -> bool:
        until = session.now() + seconds
        return session.change("UPDATE bot_leases SET until = ? WHERE bot = ? AND owner = ?", until, bot, owner) > 0

    def leave(session: Session) -> None:
        session.change("UPDATE bot_leases SET until = 0 WHERE bot = ? AND owner = ?", bot, owner)

    async def beat() -> None:
        while True:
            await asyncio.sleep(seconds / 3)
            try:
                if await store.do(stay):
                    continue
            except StoreError:
                pass
            lost.set()
            return

    if (number := await store.do(take)) is None:
        log.warning("another process listens; this one takes its place when it ends", extra={"bot": bot})
    while number is None:
        await asyncio.sleep(seconds / 5)
        number = await store.do(take)
    beating = asyncio.create_task(beat())
    try:
        yield number
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
        with suppress(StoreError):
            await store.do(leave)
