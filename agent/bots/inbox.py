"""What was said to a bot, on disk before it is acknowledged: nothing is lost, and nothing is answered twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from gemmagraph.bots.base import File, Message, Place
from gemmagraph.store.rows import read, reading, written
from gemmagraph.store.session import Session
from gemmagraph.store.store import Store

State: TypeAlias = Literal["new", "waiting", "done"]

_DAY: Final = 86_400.0
_KEPT: Final = 30 * _DAY
"""Seconds for which ids are remembered; services give up delivering long before."""
_QUIET: Final = 90 * _DAY
"""Seconds after which a conversation in which nothing was said is none any more: it begins again with a mention."""


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation of the bot."""

    key: str
    """The same for all that is said in it."""
    place: Place
    bot: str = ""
    """The name of the bot: of several on one store each has threads of its own."""
    beginning: int = 0
    """How often it began anew."""

    @property
    def thread(self) -> str:
        """Its thread in the store."""
        return f"{self.bot}/{self.key}~{self.beginning}" if self.beginning else f"{self.bot}/{self.key}"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that was accepted."""

    number: int
    """Grows in the order of arrival."""
    event: str
    talk: str
    """The key of its conversation."""
    message: Message
    state: State = "new"


class Inbox:
    """Of one bot in a store.

    Args:
        bot: the name under which it keeps things.
    """

    def __init__(self, store: Store, bot: str) -> None:
        self._store = store
        self._bot = bot
        self._batch: list[tuple[Sequence[tuple[Talk, Message]], str | None, asyncio.Future[list[Letter]]]] = []
        self._writing: asyncio.Task[None] | None = None
        self.cursor: str | None = None
        self.talks: dict[str, Talk] = {}

    async def open(self) -> list[Letter]:
        """Reads what is there; gives what is not done, in the order of arrival.

        Raises:
            StoreError: it cannot be read.
        """

        def work(session: Session) -> tuple[list[Any], list[Any], list[Any]]:
            return (
                session.rows("SELECT cursor FROM bot_cursors WHERE bot = ?", self._bot),
                session.rows("SELECT conversation, place, beginning FROM bot_talks WHERE bot = ?", self._bot),
                session.rows(
                    "SELECT number, event, conversation, body, state FROM bot_inbox"
                    " WHERE bot = ? AND state <> 'done' ORDER BY number",
                    self._bot,
                ),
            )

        await self.tidy()
        cursors, talks, letters = await self._store.do(work)
        self.cursor = cursors[0][0] if cursors else None
        with reading(f"What was said to {self._bot}"):
            self.talks = {key: Talk(key, Place(**read(place)), self._bot, begun) for key, place, begun in talks}
            return [Letter(number, event, key, _read(body), state) for number, event, key, body, state in letters]

    async def tidy(self) -> None:
        """Takes away what is too old to be asked for. A conversation that began anew stays: what was forgotten must
        not come back."""

        def work(session: Session) -> list[Any]:
            now = session.now()
            session.change("DELETE FROM bot_inbox WHERE at < ? AND state = 'done'", now - _KEPT)
            session.change("DELETE FROM bot_outbox WHERE at < ?", now - _KEPT)
            old = (self._bot, now - _QUIET)
            quiet = session.rows(
                "SELECT conversation FROM bot_talks WHERE bot = ? AND at < ? AND beginning = 0", *old
            )
            session.change("DELETE FROM bot_talks WHERE bot = ? AND at < ? AND beginning = 0", *old)
            return quiet

        for (key,) in await self._store.do(work):
            self.talks.pop(key, None)

    async def take(self, said: Sequence[tuple[Talk, Message]], cursor: str | None = None) -> list[Letter]:
        """Keeps messages, and how far the service was read; gives those that were not known. What comes at the same
        time is written together.

        Raises:
            StoreError: nothing of it was kept.
        """
        if not said and cursor is None:
            return []
        taken: asyncio.Future[list[Letter]] = asyncio.get_running_loop().create_future()
        self._batch.append((said, cursor, taken))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        return await asyncio.shield(taken)

    async def settle(self, letter: Letter, state: State) -> None:
        """Writes down what came of it. What is done loses its text."""
        body = "{}" if state == "done" else _body(letter.message)
        await self._store.do(
            lambda session: session.change(
                "UPDATE bot_inbox SET state = ?, body = ? WHERE number = ?", state, body, letter.number
            )
        )

    async def change(self, talk: str, message: Message) -> Letter | None:
        """Gives a message that is still to be answered another text; None if there is no such of the same person."""

        def work(session: Session) -> Letter | None:
            with session.writing():
                found = session.rows(
                    "SELECT number, event, body FROM bot_inbox WHERE bot = ? AND conversation = ? AND message = ?"
                    " AND state = 'new'",
                    *(self._bot, talk, message.id),
                )
                for number, event, body in found:
                    if _read(body).user == message.user:
                        session.change("UPDATE bot_inbox SET body = ? WHERE number = ?", _body(message), number)
                        return Letter(number, event, talk, message)
            return None

        return await self._store.do(work)

    def talk_of(self, thread: str) -> Talk | None:
        """The conversation whose thread in the store this is just now."""
        said = thread.removeprefix(f"{self._bot}/")
        for key in (said, said.rpartition("~")[0]):
            if (talk := self.talks.get(key)) is not None and talk.thread == thread:
                return talk
        return None

    def begin_anew(self, key: str) -> None:
        """From now on there is nothing in the conversation; `keep_beginning` writes it down."""
        talk = self.talks[key]
        self.talks[key] = replace(talk, beginning=talk.beginning + 1)

    async def keep_beginning(self, key: str) -> None:
        beginning = self.talks[key].beginning
        await self._store.do(
            lambda session: session.change(
                "UPDATE bot_talks SET beginning = ? WHERE bot = ? AND conversation = ?", beginning, self._bot, key
            )
        )

    async def _write(self) -> None:
        while batch := self._batch:
            self._batch = []
            try:
                taken = await self._store.do(lambda session, batch=batch: self._kept(session, batch))  # type: ignore[misc]
            except Exception as exc:  # noqa: BLE001 - whoever waits is told
                for _, _, waiter in batch:
                    if not waiter.done():
                        waiter.set_exception(exc)
                continue
            for (said, cursor, waiter), letters in zip(batch, taken, strict=True):
                self.cursor = cursor or self.cursor
                for talk, _ in said:
                    self.talks.setdefault(talk.key, talk)
                if not waiter.done():
                    waiter.set_result(letters)

    def _kept(self, session: Session, batch: Sequence[tuple[Any, ...]]) -> list[list[Letter]]:
        taken: list[list[Letter]] = []
        with session.writing():
            now = session.now()
            for said, cursor, _ in batch:
                taken.append([letter for talk, message in said if (letter := self._one(session, talk, message, now))])
                if cursor is not None:
                    session.change(
                        "INSERT INTO bot_cursors VALUES (?, ?)"
                        " ON CONFLICT (bot) DO UPDATE SET cursor = excluded.cursor",
                        *(self._bot, cursor),
                    )
        return taken

    def _one(self, session: Session, talk: Talk, message: Message, now: float) -> Letter | None:
        event = f"{message.place.workspace}/{message.event}"
        new = session.change(
            "INSERT INTO bot_inbox (bot, event, conversation, message, state, body, at)"
            " VALUES (?, ?, ?, ?, 'new', ?, ?) ON CONFLICT (bot, event) DO NOTHING",
            *(self._bot, event, talk.key, message.id, _body(message), now),
        )
        if not new:
            return None
        session.change(
            "INSERT INTO bot_talks VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (bot, conversation) DO UPDATE SET at = excluded.at",
            *(self._bot, talk.key, written(asdict(talk.place)), talk.beginning, now),
        )
        number = session.rows("SELECT number FROM bot_inbox WHERE bot = ? AND event = ?", self._bot, event)[0][0]
        return Letter(number, event, talk.key, message)


def _body(message: Message) -> str:
    return written(asdict(message))


def _read(body: str) -> Message:
    said = read(body)
    place, files = Place(**said.pop("place")), tuple(File(**file) for file in said.pop("files"))
    return Message(**said, place=place, files=files)
