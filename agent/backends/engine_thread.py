"""Work that blocks, done in a thread of its own and watched from an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeVar

from gemmagraph.backends.network.closing import shielded

T = TypeVar("T")


class Hand(Generic[T]):
    """How the work gives away what it has made, from its thread.

    Args:
        ended: called there when the work has ended, whether or not anybody has taken all that it gave.
    """

    def __init__(self, ended: Callable[[], None] = lambda: None) -> None:
        self.ended = ended
        self._loop = asyncio.get_running_loop()
        self._left = threading.Event()
        self.arrived: asyncio.Queue[T | None] = asyncio.Queue()
        """What was given; None when nothing more comes."""

    def give(self, item: T | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self.arrived.put_nowait, item)
        except RuntimeError:  # that event loop was closed
            self.leave()

    def leave(self) -> None:
        """Says that nobody wants more."""
        self._left.set()

    @property
    def left(self) -> bool:
        """Whether nobody wants more: then the work ends as soon as it can. So it does when the program ends, which
        waits for its threads."""
        return self._left.is_set() or not threading.main_thread().is_alive()


async def handed_out(work: Callable[[Hand[T]], None], hand: Hand[T]) -> AsyncGenerator[T, None]:
    """What the work gives, as it comes. Closing it ends the work, and waits until it has ended.

    Raises:
        Exception: what the work raised.
    """
    failed: list[Exception] = []

    def run() -> None:
        try:
            work(hand)
        except Exception as exc:  # noqa: BLE001 - raised below, where somebody waits for it
            failed.append(exc)
        finally:
            hand.ended()
            hand.give(None)

    async def rest() -> None:
        while await hand.arrived.get() is not None:
            pass

    over = False
    threading.Thread(target=run, name="gemmagraph-engine").start()
    try:
        while (item := await hand.arrived.get()) is not None:
            yield item
        over = True
    finally:
        hand.leave()
        if not over:
            await shielded(rest())
    if failed:
        raise failed[0]
