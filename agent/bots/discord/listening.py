"""Hearing Discord: one session after another, what was missed between them, and everything told in its order.

The library calls us between two events and does not wait; so what is to be told stands in a line here, and one task
tells it. The cursor moves only once all that was missed is told. Import this module only where Discord is used.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, cast

import discord

from gemmagraph.bots.base import Deleted, Inbound, Message, Receiver
from gemmagraph.bots.discord.client import Client, translated
from gemmagraph.bots.discord.cursor import Cursor, moment
from gemmagraph.bots.discord.events import COMMANDS, edited_of, guild_of, is_said, message_of, place_of, pressed_of
from gemmagraph.bots.errors import BotError, NotThere, Revoked, TooFast
from gemmagraph.bots.keeping import until_kept

log: Final = logging.getLogger("gemmagraph.bots")

_PAGE: Final = 100
"""Messages that Discord gives at once."""
_FIRST_SLEEP: Final = 3600.0
"""Seconds of silence after which threads may be archived, so that a session does not begin with them."""
_MOST_AT_ONCE: Final = 100
_PATIENCE: Final = 30.0
"""Seconds in which the library may resume a session, with longer and longer pauses; then there is a new one."""
_LONGEST_PAUSE: Final = 30.0
_DEFERRED_UPDATE: Final = {"type": 6}
_EPHEMERAL: Final = 64
_DIRECT: Final = 0
"""Stands among the servers for all direct channels."""


@dataclass(frozen=True, slots=True)
class _Job:
    """Something to tell."""

    make: Callable[[Client], Awaitable[Inbound | None]]
    message: int = 0
    """The id that the cursor moves to."""
    direct: int = 0
    """The channel of this message, if it is a direct one."""
    answer: Callable[[Client, Inbound | None], Coroutine[Any, Any, None]] | None = None
    """What Discord is told once it is kept."""


@dataclass(frozen=True, slots=True)
class _Missed:
    """Something to read before what comes later is told: the channels of a server, or the direct ones."""

    client: Client
    guild: int
    channels: dict[int, int] = field(default_factory=dict)
    """The last message of each."""


class Listening:
    """All that happens while an adapter listens.

    Args:
        guild: the only server to listen to; 0: all.
        base: where Discord is, if not at its own address.
    """

    def __init__(self, receiver: Receiver, token: str, guild: int, base: str) -> None:
        self.client: Client | None = None
        self.revoked = asyncio.Event()
        """To be set by whoever finds out."""
        self._latest: Client
        """Also while there is none that is connected."""
        self._receiver, self._token, self._guild, self._base = receiver, token, guild, base
        self._cursor = Cursor(receiver.cursor)
        self._contents = True
        self._jobs: deque[_Job | _Missed] = deque()
        self._more = asyncio.Event()
        self._unread: set[int] = set()
        """Servers whose channels are to be read before the cursor may move."""
        self._aside: set[asyncio.Task[None]] = set()
        self._floor = self._cursor.floor
        """What is newer in them may have been missed."""
        self._connected, self._gone = asyncio.Event(), asyncio.Event()
        self._told = ""
        """Why there is no connection."""
        self._named = False

    async def run(self) -> None:
        """Until it is cancelled.

        Raises:
            Revoked: Discord does not let the bot in.
        """
        telling = asyncio.create_task(self._tell_all())
        failures = 0
        try:
            while True:
                begun = time.monotonic()
                why = await self._session(telling)
                failures = 1 if time.monotonic() - begun > 2 * _PATIENCE else failures + 1
                self._cut(why)
                pause = min(2.0 ** (failures - 1), _LONGEST_PAUSE) * random.uniform(0.5, 1.0)
                await asyncio.sleep(pause)
        finally:
            await _ended(telling, *self._aside)

    async def _session(self, telling: asyncio.Task[None]) -> str:
        """Stays connected as long as the library can, and says why it cannot."""
        client = self._latest = Client(self, self._base, self._contents)
        connection = asyncio.create_task(client.start(self._token))
        watch, revoked = asyncio.create_task(self._watch()), asyncio.create_task(self.revoked.wait())
        try:
            self.client = client
            await asyncio.wait({connection, telling, watch, revoked}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                telling.result()
            if revoked.done():
                raise Revoked("Discord does not take the token of the bot any more.")
            if not connection.done():
                return "no connection for some time"
            return self._why(connection)
        finally:
            self.client = None
            try:
                await _ended(connection, watch, revoked)
            finally:
                await client.close()

    def _why(self, connection: asyncio.Task[None]) -> str:
        failure = connection.exception()
        if isinstance(failure, discord.PrivilegedIntentsRequired) and self._contents:
            self._contents = False
            log.warning("discord: no message content intent; the bot reads direct messages and mentions only")
            return "without the message content intent"
        if failure is None:
            return "the connection was ended"
        if not isinstance(failure, BotError | discord.DiscordException | OSError | RuntimeError):
            # Something that the library could not read, say: a new session goes on behind it.
            log.error("discord: the library failed", exc_info=failure)
            return f"the library failed ({type(failure).__name__})"
        error = translated(failure)
        if isinstance(error, Revoked):
            raise error
        return error.message

    async def _watch(self) -> None:
        """Until there was no connection for too long."""
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(_PATIENCE):
                    await self._connected.wait()
                await self._gone.wait()

    # What the client tells

    def began(self) -> None:
        client = self.client
        if client is None:
            return
        self._await(_DIRECT, *(guild.id for guild in client.guilds if self._is_ours(guild.id)))
        self._put(_Missed(client, _DIRECT, dict.fromkeys(self._cursor.direct, self._floor + 1)))

    def ready(self) -> None:
        self._told = ""
        self._connected.set()
        self._gone.clear()
        self._receiver.connected()
        if self.client is not None and not self._named:
            self._named = True
            self._put_aside(self._name_commands(self.client))

    def cut(self) -> None:
        if self._connected.is_set():
            self._cut("the connection was cut")

    def guild(self, guild: discord.Guild) -> None:
        if self.client is None or not self._is_ours(guild.id):
            return
        spoken: list[Any] = [*guild.text_channels, *guild.voice_channels, *guild.stage_channels, *guild.threads]
        last = {channel.id: channel.last_message_id for channel in spoken if channel.last_message_id}
        self._await(guild.id)
        self._put(_Missed(self.client, guild.id, last))

    def said(self, message: discord.Message) -> None:
        if self._is_ours(guild_of(message)):
            self._put(_job(message))

    def changed(self, change: discord.RawMessageUpdateEvent) -> None:
        if self._is_ours(change.guild_id):
            self._put(_Job(lambda client: edited_of(client, change)))

    def deleted(self, guild: int | None, channel: int, messages: list[int]) -> None:
        for number in messages if self._is_ours(guild) else ():
            self._put(_Job(partial(_deletion, guild=guild, channel=channel, message=number)))

    def pressed(self, interaction: discord.Interaction[Client]) -> None:
        async def make(client: Client) -> Inbound | None:
            return await pressed_of(client, interaction) if self._is_ours(interaction.guild_id) else None

        self._put(_Job(make, answer=partial(_answer, interaction)))

    def _await(self, *guilds: int) -> None:
        """The cursor stays where it is until these are read."""
        if not self._unread:
            self._floor = self._cursor.floor
        self._unread.update(guilds)

    def _is_ours(self, guild: int | None) -> bool:
        return guild is None or not self._guild or guild == self._guild

    def _cut(self, why: str) -> None:
        self._connected.clear()
        self._gone.set()
        if why != self._told:
            self._told = why
            self._receiver.lost(why)

    def _put(self, job: _Job | _Missed) -> None:
        self._jobs.append(job)
        self._more.set()

    def _put_aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    # Telling

    async def _tell_all(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            while self._jobs:
                if isinstance(job := self._jobs.popleft(), _Missed):
                    await self._tell_missed(job)
                    continue
                jobs = [job]
                while self._jobs and len(jobs) < _MOST_AT_ONCE and isinstance(self._jobs[0], _Job):
                    jobs.append(self._jobs.popleft())  # type: ignore[arg-type]
                await self._tell(jobs)

    async def _tell(self, jobs: Sequence[_Job]) -> None:
        told = [await self._made(job) for job in jobs]
        for job in jobs:
            self._cursor.see(job.message, job.direct)
        await self._accept([event for event in told if event is not None])
        for job, event in zip(jobs, told, strict=True):
            if job.answer is not None:
                self._put_aside(job.answer(self._latest, event))

    async def _made(self, job: _Job) -> Inbound | None:
        """An event; what Discord must be asked for it is asked for again until it answers."""
        while True:
            try:
                return await job.make(self._latest)
            except BotError as exc:
                await asyncio.sleep(min(exc.seconds, _LONGEST_PAUSE) if isinstance(exc, TooFast) else 1.0)
            except Exception:  # one event that cannot be read is no reason to hear none
                log.exception("discord: an event could not be read")
                return None

    async def _accept(self, events: Sequence[Inbound]) -> None:
        """However long it takes: nothing that comes later is told before."""
        await until_kept(self._receiver, events, None if self._unread else self._cursor.write(), "discord")

    async def _tell_missed(self, missed: _Missed) -> None:
        if missed.client is not self.client or missed.guild not in self._unread:
            return  # of a session that is over, or read already
        if self._cursor.first:
            self._cursor.begin_after(missed.channels.values())
        else:
            slept = await self._slept(missed) if time.time() - moment(self._floor) > _FIRST_SLEEP else {}
            for channel, last in (missed.channels | slept).items():
                if last > self._floor and not await self._read(missed.client, channel):
                    return  # the next session does it
        self._unread.discard(missed.guild)
        if not self._unread:
            self._cursor.first = False
            await self._accept(())

    async def _slept(self, missed: _Missed) -> dict[int, int]:
        """Threads in which something was said meanwhile, but so long ago that they are archived by now."""
        found = {}
        guild = missed.client.get_guild(missed.guild)
        for channel in guild.text_channels if guild is not None else ():
            with suppress(discord.DiscordException, OSError, RuntimeError):
                async for thread in channel.archived_threads(limit=_PAGE):
                    if thread.archive_timestamp.timestamp() < moment(self._floor):
                        break  # and so did all that come behind it
                    found[thread.id] = thread.last_message_id or 0
        return found

    async def _read(self, client: Client, channel: int) -> bool:
        """Whether all that was said in a channel meanwhile could be told."""
        found = cast(discord.abc.Messageable, client.get_channel(channel) or client.get_partial_messageable(channel))
        after = self._floor
        while client is self.client:
            try:
                asked = found.history(limit=_PAGE, after=discord.Object(after))
                page = [message async for message in asked]
            except (discord.DiscordException, OSError, RuntimeError) as exc:
                error = translated(exc)
                if isinstance(error, NotThere):
                    return True  # nobody lets the bot read there
                if isinstance(error, Revoked):
                    self.revoked.set()
                await asyncio.sleep(min(error.seconds, _LONGEST_PAUSE) if isinstance(error, TooFast) else 1.0)
                continue
            jobs = [_job(message) for message in page]
            if jobs:
                after = page[-1].id
                await self._tell(jobs)
            if len(page) < _PAGE:
                return True
        return False

    async def _name_commands(self, client: Client) -> None:
        """Tells Discord of the slash commands, if it does not know them as they are."""
        path = "/applications/{application}/guilds/{guild_id}/commands" if self._guild else _COMMANDS
        where = {"application": str(client.application_id), "guild_id": str(self._guild)}
        try:
            there = await client.ask("GET", path, **where)
            if {one["name"]: one.get("description") for one in there} != dict(COMMANDS):
                wanted = [{"type": 1, "name": name, "description": said} for name, said in COMMANDS.items()]
                await client.ask("PUT", path, wanted, **where)
        except BotError as exc:
            log.warning("discord: no slash commands", extra={"details": {"why": exc.message}})


_COMMANDS: Final = "/applications/{application}/commands"


def _job(message: discord.Message) -> _Job:
    async def make(client: Client) -> Message | None:
        return await message_of(client, message) if is_said(message) else None

    return _Job(make, message.id, message.channel.id if guild_of(message) is None else 0)


async def _deletion(client: Client, guild: int | None, channel: int, message: int) -> Deleted:
    return Deleted(f"{message}/deleted", await place_of(client, guild, channel), str(message))


async def _answer(interaction: discord.Interaction[Client], client: Client, told: Inbound | None) -> None:
    """So that Discord shows no failure; within three seconds, or it does."""
    answer: dict[str, Any] = dict(_DEFERRED_UPDATE)
    if interaction.type is discord.InteractionType.application_command:
        said = "The answer comes here." if told is not None else "The bot does not know this command here."
        answer = {"type": 4, "data": {"content": said, "flags": _EPHEMERAL}}
    elif interaction.type is not discord.InteractionType.component:
        return
    try:
        path = "/interactions/{interaction}/{secret}/callback"
        await client.ask("POST", path, answer, interaction=str(interaction.id), secret=interaction.token)
    except BotError as exc:
        log.info("discord: a press could not be answered", extra={"details": {"why": exc.message}})


async def _ended(*tasks: asyncio.Task[Any]) -> None:
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()  # once more if it was lost: `asyncio.wait_for` may, in the library, before Python 3.12
        await asyncio.wait(left, timeout=0.2)
