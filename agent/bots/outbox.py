"""What a bot says: each message once, whatever fails in between, and changed no faster than the service likes."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from gemmagraph.bots.base import Adapter, Choice, Place
from gemmagraph.bots.errors import NotThere, TooFast, Unreachable
from gemmagraph.bots.text import Block, Paragraph, Span, plain
from gemmagraph.store.session import Session
from gemmagraph.store.store import Store

T = TypeVar("T")

log: Final = logging.getLogger("gemmagraph.bots")

EMPTY: Final[Sequence[Block]] = (plain("…"),)
"""Stands where text will be."""
_REMEMBERED: Final = 1000
"""Messages; what was said before is looked up in the store."""
_FIRST_PAUSE: Final = 0.5
_LAST_PAUSE: Final = 30.0
_LONGEST_PAUSE: Final = 3600.0
"""Seconds; what a service wants beyond that is not believed."""
_AGAIN: Final = Paragraph((Span("(perhaps said before; there was a restart)", "italic"),))


class Outbox:
    """Of one bot in a store.

    Args:
        bot: the name under which it keeps things.
    """

    def __init__(self, store: Store, bot: str, adapter: Adapter) -> None:
        self._store = store
        self._bot = bot
        self._adapter = adapter
        self._ids: dict[str, str] = {}
        """Of messages that were sent, by key."""
        self._not_before: dict[str, float] = {}
        """When the service may be asked about a channel again; by `time.monotonic()`."""
        self._edited: dict[str, float] = {}
        """When each message was last written."""
        self._offering: set[asyncio.Future[None]] = set()
        """Done when a message with choices was sent, and its id is known."""

    async def put(
        self, key: str, place: Place, blocks: Sequence[Block], choices: Sequence[Choice] = ()
    ) -> str | None:
        """Lets the message with this key be what is said here: it is sent, or changed if it was sent before. Tries
        until it is done; gives its id, or None if the service will not have it.

        Raises:
            Revoked: the service does not let the bot in any more.
            StoreError: the store failed.
        """
        traits = self._adapter.traits
        try:
            message = self._ids.get(key)
            if message is None:
                with self._under_way(choices):
                    message, fresh = await self._sent(key, place, blocks, choices)
                if fresh:
                    return message
            if traits.edits:
                await self._edit(place, message, blocks, choices)
        except NotThere as exc:
            log.warning("not said", extra={"bot": self._bot, "details": {"key": key, "why": exc.message}})
            await self._write(key, None, "given up")
            return None
        return message

    async def said(self, key: str) -> str | None:
        """The id of the message with this key, if it was sent."""
        found = await self._store.do(
            lambda session: session.rows(
                "SELECT message FROM bot_outbox WHERE bot = ? AND key = ? AND state = 'sent'", self._bot, key
            )
        )
        return found[0][0] if found else None

    async def note(self, key: str) -> None:
        """Writes down that something was done, under a key that `said` knows from then on."""
        await self._claim(key)
        await self._write(key, "-", "sent")

    async def key_of(self, message: str) -> str | None:
        """What a message of the bot is about; None if it is not known to be one."""
        found = await self._store.do(
            lambda session: session.rows(
                "SELECT key FROM bot_outbox WHERE bot = ? AND message = ?", self._bot, message
            )
        )
        return found[0][0] if found else None

    async def offered(self) -> None:
        """Returns when all messages with choices that are being sent just now were sent, and their ids are known."""
        if offering := [*self._offering]:
            await asyncio.wait(offering)

    def wait_for(self, key: str) -> float:
        """Seconds until the message with this key may be changed again."""
        message = self._ids.get(key)
        edited = self._edited.get(message, float("-inf")) if message else float("-inf")
        return max(0.0, edited + self._adapter.traits.edit_every - time.monotonic())

    @contextmanager
    def _under_way(self, choices: Sequence[Choice]) -> Iterator[None]:
        sent = asyncio.get_running_loop().create_future()
        if choices:
            self._offering.add(sent)
        try:
            yield
        finally:
            self._offering.discard(sent)
            sent.set_result(None)

    async def _sent(
        self, key: str, place: Place, blocks: Sequence[Block], choices: Sequence[Choice]
    ) -> tuple[str, bool]:
        """The id of a message, and whether it was sent just now as it should be."""
        traits = self._adapter.traits
        state, message = await self._claim(key)
        if message is not None:
            self._ids[key] = message
            return message, not traits.edits
        doubtful, careful = state != "new", traits.edits and not traits.keyed and not traits.findable

        async def send() -> tuple[str, bool]:
            nonlocal doubtful
            if doubtful and not traits.keyed and traits.findable:
                if (found := await self._adapter.find(place, key)) is not None:
                    return found, False
            elif doubtful and not traits.keyed and not traits.edits:
                told = [_AGAIN, *blocks]
                room = self._adapter.length(told) <= traits.most
                return await self._adapter.send(place, told if room else blocks, key, choices), True
            try:
                if careful:  # if this one is sent twice, the answer is not
                    return await self._adapter.send(place, EMPTY, key), False
                message = await self._adapter.send(place, blocks, key, choices)
                return message, state == "new" or not traits.keyed  # a keyed one stands there as it was first sent
            except Unreachable as exc:
                doubtful = doubtful or exc.sent
                raise

        sent, as_it_should_be = await self._insist(place, send)
        self._ids[key] = sent
        if not careful:
            self._edited[sent] = time.monotonic()
        for known in (self._ids, self._edited):
            while len(known) > _REMEMBERED:
                del known[next(iter(known))]
        await self._write(key, sent, "sent")
        return sent, as_it_should_be

    async def _edit(self, place: Place, message: str, blocks: Sequence[Block], choices: Sequence[Choice]) -> None:
        async def edit() -> None:
            pause = self._edited.get(message, float("-inf")) + self._adapter.traits.edit_every - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            self._edited[message] = time.monotonic()
            await self._adapter.edit(place, message, blocks, choices)

        await self._insist(place, edit)
        self._edited[message] = time.monotonic()

    async def _insist(self, place: Place, request: Callable[[], Awaitable[T]]) -> T:
        """What a request comes to; it is repeated for as long as that may help."""
        pause = _FIRST_PAUSE
        while True:
            await asyncio.sleep(max(0.0, self._not_before.get(place.channel, 0.0) - time.monotonic()))
            try:
                return await request()
            except TooFast as exc:
                seconds = min(max(exc.seconds, 0.05), _LONGEST_PAUSE)
                until = time.monotonic() + seconds
                self._not_before[place.channel] = max(self._not_before.get(place.channel, 0.0), until)
            except Unreachable as exc:
                log.warning("unreachable", extra={"bot": self._bot, "details": {"why": exc.message}})
                await asyncio.sleep(pause * random.uniform(0.75, 1.25))
                pause = min(2 * pause, _LAST_PAUSE)

    async def _claim(self, key: str) -> tuple[str, str | None]:
        """The state of a message, and its id if it was sent: `new` if nobody has tried to send it."""

        def work(session: Session) -> tuple[str, str | None]:
            new = session.change(
                "INSERT INTO bot_outbox VALUES (?, ?, NULL, 'sending', ?) ON CONFLICT (bot, key) DO NOTHING",
                *(self._bot, key, session.now()),
            )
            if new:
                return "new", None
            found = session.rows("SELECT state, message FROM bot_outbox WHERE bot = ? AND key = ?", self._bot, key)
            return found[0][0], found[0][1]

        return await self._store.do(work)

    async def _write(self, key: str, message: str | None, state: str) -> None:
        await self._store.do(
            lambda session: session.change(
                "UPDATE bot_outbox SET message = COALESCE(?, message), state = ? WHERE bot = ? AND key = ?",
                *(message, state, self._bot, key),
            )
        )
