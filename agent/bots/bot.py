"""A bot: one chat service, one assistant. What happens in channels comes in here and is kept, sorted, answered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Container, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from gemmagraph.bots import wording
from gemmagraph.bots.audit import Audit
from gemmagraph.bots.base import Adapter, Deleted, Edited, Inbound, Message, Place, Pressed
from gemmagraph.bots.commands import carry_out, command_in, meant
from gemmagraph.bots.conversation import Conversation
from gemmagraph.bots.decisions import Decisions, approval_of, decision_of
from gemmagraph.bots.errors import BotError
from gemmagraph.bots.inbox import Inbox, Letter, Talk
from gemmagraph.bots.line import Line
from gemmagraph.bots.outbox import Outbox
from gemmagraph.bots.rooms import Rooms
from gemmagraph.bots.text import Block, plain, split
from gemmagraph.errors import StoreError
from gemmagraph.given import keepable

if TYPE_CHECKING:
    from gemmagraph.agent import Agent
    from gemmagraph.store.store import Store

log: Final = logging.getLogger("gemmagraph.bots")

_TIDY: Final = 6 * 3600.0
"""Seconds between two times that what is too old is taken away."""
_LOOK: Final = 0.02
"""Seconds between two looks at whether all is answered."""


class Bot:
    """A `Receiver`.

    Args:
        name: under which it keeps things in the store: the same after a restart, and of no other bot there.
        agents: the assistant with each of the toolsets that `rooms` names, on the same store.
        line: shared with other bots that ask the same model.
        hosts: those whose links may be live.
        patience: seconds that somebody waits in line before hearing of it.
    """

    def __init__(
        self,
        name: str,
        adapter: Adapter,
        rooms: Rooms,
        agents: Mapping[str | None, Agent],
        store: Store,
        line: Line,
        hosts: Sequence[str] = (),
        patience: float = 3.0,
    ) -> None:
        self.name = name
        self.adapter = adapter
        self.rooms = rooms
        self.store = store
        self.line = line
        self.hosts = tuple(hosts)
        self.patience = patience
        self.since = time.monotonic()
        self.closing = False
        self.inbox = Inbox(store, name)
        self.outbox = Outbox(store, name, adapter)
        self.audit = Audit(store, name)
        self.decisions = Decisions(
            store, adapter, self.outbox, self.audit, self.agent_of, self.inbox.talk_of, self._soon
        )
        self.conversations: dict[str, Conversation] = {}
        self._agents = agents
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] | None = None
        self._away: float | None = None
        self._refused: set[str] = set()

    async def run(self) -> None:
        """Listens and answers until it is cancelled; then nothing of it goes on. What was not answered is kept.

        Raises:
            Revoked: the service does not let the bot in.
            StoreError: the store cannot be used.
        """
        self._failed = asyncio.get_running_loop().create_future()
        self.closing, self.conversations = False, {}  # it may have run before
        for letter in await self.inbox.open():
            self._take(letter)
        listening = asyncio.create_task(self.adapter.listen(self))
        watching, tidying = asyncio.create_task(self.decisions.watch()), asyncio.create_task(self._tidy())
        try:
            await asyncio.wait([listening, watching, tidying, self._failed], return_when=asyncio.FIRST_COMPLETED)
            for task in (listening, watching, tidying, self._failed):
                if task.done():
                    task.result()
        finally:
            self.closing = True
            await asyncio.gather(*(one.end() for one in self.conversations.values()))
            tasks = {listening, watching, tidying, *self._tasks}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(_TIDY)
            await self.inbox.tidy()

    async def finish(self, seconds: float) -> bool:
        """Begins nothing new, and waits for the turns at work; returns whether they came to their end in time."""
        self.closing = True
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(one.finished() for one in list(self.conversations.values())))
        except TimeoutError:
            return False
        return True

    async def rest(self) -> None:
        while self.busy or any(not one.resting for one in self.conversations.values()):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK)

    @property
    def busy(self) -> bool:
        """Whether anything beside its conversations is at work."""
        return bool(self._tasks)

    @property
    def cursor(self) -> str | None:
        return self.inbox.cursor

    def connected(self) -> None:
        away = 0 if self._away is None else round(time.monotonic() - self._away)
        self._away = None
        log.info("connected", extra={"bot": self.name, "details": {"away": away}})

    def lost(self, why: str) -> None:
        self._away = self._away or time.monotonic()
        log.warning("connection lost", extra={"bot": self.name, "details": {"why": why}})

    async def accept(self, events: Sequence[Inbound], cursor: str | None = None) -> None:
        heard: dict[tuple[str, str], tuple[Talk, Message]] = {}
        talks: set[str] = set()
        for event in filter(_sound, events):
            if isinstance(event, Message):
                if (talk := self._heard(event, talks)) is not None:
                    heard.setdefault((event.place.workspace, event.event), (talk, event))
                    talks.add(talk.key)
                continue
            await self._keep([*heard.values()])  # it may be about one of these
            heard.clear()
            match event:
                case Edited(_, message):
                    await self._edited(event, message)
                case Deleted():
                    await self._deleted(event)
                case Pressed():
                    await self._pressed(event)
        await self._keep([*heard.values()], cursor)

    def agent_of(self, place: Place) -> Agent | None:
        """The assistant with the tools that it has in a place; None: it is silent there."""
        room = self.rooms.of(place)
        return None if room is None else self._agents[room.toolset]

    def person(self, message: Message) -> str:
        """Who said it, for limits and records; somebody who is not known for certain stands for all such."""
        return self.rooms.person(message.user) or f"{self.adapter.platform}{wording.UNKNOWN}"

    async def _keep(self, heard: Sequence[tuple[Talk, Message]], cursor: str | None = None) -> None:
        for letter in await self.inbox.take(heard, cursor):
            self._take(letter)

    def _heard(self, message: Message, talks: Container[str]) -> Talk | None:
        """The conversation that a message belongs to, if it is for the bot.

        Args:
            talks: conversations that begin just now.
        """
        room = self.rooms.of(message.place)
        if room is None or message.machine or not (message.text.strip() or message.files):
            return None
        talk = self._talk(message)
        known = talk.key in self.inbox.talks or talk.key in talks
        follows = known and room.listen == "threads" and bool(message.place.thread)
        if not (message.place.direct or message.addressed or follows):
            return None
        if why := self.rooms.refuses(message, room):
            self._soon(self._refuse(message, why))
            return None
        return talk

    def _talk(self, message: Message) -> Talk:
        place = message.place
        if self.adapter.traits.threads and not place.direct and not place.thread:
            place = Place(place.workspace, place.channel, message.id)
        key = f"{self.rooms.channel(place)}{f'/{place.thread}' if place.thread else ''}"
        return self.inbox.talks.get(key) or Talk(key, place, self.name)

    def _take(self, letter: Letter) -> None:
        """Sees to a letter: commands at once, the rest in the order of its conversation."""
        if (command := command_in(letter.message.text)) is not None:
            if command[0] == "reset":  # now, for what is said behind it
                self.inbox.begin_anew(letter.talk)
            self._soon(self._obey(letter, *command))
        else:
            self._line_up(letter)

    def _line_up(self, letter: Letter) -> None:
        if self.closing:
            return
        conversation = self.conversations.get(letter.talk)
        if conversation is None:
            self.conversations = {key: one for key, one in self.conversations.items() if not one.idle}
            conversation = self.conversations[letter.talk] = Conversation(self, self.inbox.talks[letter.talk])
        conversation.add(letter)

    async def _obey(self, letter: Letter, name: str, rest: str) -> None:
        if not await meant(self, letter, rest):
            self._line_up(letter)
            return
        await self.audit.note("command", self.person(letter.message), letter.talk, command=name)
        try:
            said = await carry_out(self, letter, name, rest)
        except (StoreError, BotError):
            raise
        except Exception:
            log.exception("a bug", extra={"bot": self.name, "conversation": letter.talk})
            said = [wording.fault()]
        if said:
            await self._say(f"c:{letter.number}", self.inbox.talks[letter.talk].place, said)
        await self.inbox.settle(letter, "done")

    async def _refuse(self, message: Message, why: str) -> None:
        """Says once why somebody is not answered, and what can be done."""
        person = self.person(message)
        await self.audit.note("refused", person, self.rooms.channel(message.place), why=why)
        said = f"Sorry, {why}. To whoever runs me you are {person}."
        key = f"no:{person}:{self.rooms.channel(message.place)}"
        if key not in self._refused and await self.outbox.said(key) is None and key not in self._refused:
            self._refused.add(key)
            await self._say(key, self._talk(message).place, [plain(said)])

    async def _edited(self, event: Edited, message: Message) -> None:
        talk = self._talk(message)
        if talk.key not in self.inbox.talks or message.machine:
            return
        letter = await self.inbox.change(talk.key, message)
        conversation = self.conversations.get(talk.key)
        if letter is not None and conversation is not None and not conversation.change(letter):
            late = "I am answering that as it stood before. Say it anew if the change matters."
            self._soon(self._say(f"late:{message.id}", talk.place, [wording.note(late)]))

    async def _deleted(self, event: Deleted) -> None:
        for conversation in list(self.conversations.values()):
            if conversation.talk.place.shares_channel(event.place):
                await conversation.drop(event.id)

    async def _pressed(self, event: Pressed) -> None:
        if self.rooms.of(event.place) is None:
            return
        key = await self.outbox.key_of(event.message)
        if key is None:  # people may be quicker than the service tells us that it has our question
            self._soon(self._pressed_early(event))
        else:
            await self._decide(event, approval_of(key))

    async def _pressed_early(self, event: Pressed) -> None:
        await self.outbox.offered()
        await self._decide(event, approval_of(await self.outbox.key_of(event.message)))

    async def _decide(self, event: Pressed, asked: str) -> None:
        if not asked or (event.approval and event.approval != asked):
            return
        person = self.rooms.person(event.user)
        why = await self.decisions.decide(asked, decision_of(event.verb), person, event.place)
        if why:
            self._soon(self._say(f"no:{asked}:{person}", event.place, [plain(f"{event.name}: {why}")]))

    def tell(self, key: str, place: Place, blocks: Sequence[Block]) -> None:
        """Says something beside what is at work, once."""
        self._soon(self._say(key, place, blocks))

    async def _say(self, key: str, place: Place, blocks: Sequence[Block]) -> None:
        for index, part in enumerate(split(blocks, self.adapter.length, self.adapter.traits.most)):
            await self.outbox.put(f"{key}/{index}" if index else key, place, part)

    def fail(self, why: Exception) -> None:
        """Ends the bot."""
        log.error("failed", exc_info=why, extra={"bot": self.name})
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(why)

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Does something beside what is at work; if the store or the service ends it, the bot ends."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            if isinstance(failure, StoreError | BotError):
                self.fail(failure)
            else:
                log.error("a bug", exc_info=failure, extra={"bot": self.name})


def _sound(event: Inbound) -> bool:
    """Whether its ids can be kept by a database. No service has others; somebody who sends them gets no answer, and
    must not keep those behind from getting one."""
    said = event.message if isinstance(event, Edited) else event
    own = said.message if isinstance(said, Pressed) else said.id
    ids = f"{event.event}{said.place.workspace}{said.place.channel}{said.place.thread}{said.user}{own}"
    return bool(ids) and keepable(ids)
