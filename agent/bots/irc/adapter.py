"""IRC. Its protocol is spoken here, without a library; the stay on a server is in `session`.

IRC keeps nothing: what is said while the bot is away is lost, and the bot says for how long it was. There are no
threads, edits and files, and no ids of people but the accounts of a network's services: see docs/bots/irc.md.
"""

from __future__ import annotations

import asyncio
import difflib
import ipaddress
import itertools
import json
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any, ClassVar, Final, NoReturn

from gemmagraph.bots.base import Choice, File, Message, Place, Receiver, Traits
from gemmagraph.bots.errors import BotError, NotThere, Revoked, Unreachable
from gemmagraph.bots.irc.link import Dismissed, Link, Settings, Times
from gemmagraph.bots.irc.session import Session
from gemmagraph.bots.irc.text import length, lines_of
from gemmagraph.bots.keeping import until_kept
from gemmagraph.bots.text import Block
from gemmagraph.errors import StoreError

_FIRST_PAUSE: Final = 0.5
_DISMISSED_PAUSE: Final = 2.0
_LONG_STAY: Final = 60.0
_LAST_PAUSE: Final = 60.0
_HEARD: Final = 1000
"""Messages that wait for the receiver; then the server has to."""
_LAST_WORDS: Final = 5.0
_SHAPES: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "port": ((int,), "a number"),
    "tls": ((bool,), "true or false"),
    "join": ((list, tuple), "a list of channels"),
    "pace": ((int, float), "a number of seconds"),
}
"""What the keys hold that are no texts."""
_NICK: Final = re.compile(r"[^\s\x00-\x1f:,!@*?#&$+~%][^\s\x00-\x1f,!@*?]{0,63}")
_CHANNEL: Final = re.compile(r"[^\s\x00-\x1f:,!@\w-][^\s\x00-\x1f,]{0,199}")
_SERVER: Final = "It is the host alone, such as irc.example.org; its port stands under `port`."
_NAME: Final = "It is one word of at most 64 characters, without , ! @ * ?, and begins with none of : # & + $ ~ %."
_ROOM: Final = "It begins with #, such as #ops, and has no space and no comma."
"""What the keys are."""


class IrcAdapter:
    """Args:
    keys: `server`, `port`, `tls`, `nick`, `account`, `password`, `join`, `pace`.

    Raises:
        BotError: a key is unknown, missing or no such thing.
    """

    platform: ClassVar[str] = "irc"
    times: Times = Times()
    patience: float = 20.0
    """Seconds for which something that is to be said waits for a connection."""

    def __init__(self, keys: Mapping[str, Any]) -> None:
        self._settings = _settings(keys)
        self.traits = Traits(most=2000, edits=False, threads=False, choices="code", command="!")
        self._session: Session | None = None
        self._up = asyncio.Event()
        self._revoked: Revoked | None = None
        self._numbers = itertools.count(1)
        self._begun = f"{time.time_ns():x}"

    def _new_id(self) -> str:
        return f"{self._begun}-{next(self._numbers)}"

    async def listen(self, receiver: Receiver) -> None:
        heard: asyncio.Queue[Message | None] = asyncio.Queue(_HEARD)
        unkept: list[Message] = []
        telling = asyncio.create_task(_tell(receiver, heard, unkept))
        staying = asyncio.create_task(self._stay(receiver, heard))
        try:
            await asyncio.wait({telling, staying}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (staying, telling):
                task.cancel()
            ends = await asyncio.gather(staying, telling, return_exceptions=True)
            await _tell_the_rest(receiver, [*unkept, *_waiting(heard)])
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _stay(self, receiver: Receiver, heard: asyncio.Queue[Message | None]) -> NoReturn:
        """Connects again and again."""
        gone, pause, told = _when_last_there(receiver.cursor), _FIRST_PAUSE, ""
        came: float | None = None

        def ready() -> None:
            nonlocal came
            came = time.monotonic()
            if gone is not None:
                receiver.lost(_away(self._settings.server, time.time() - gone))
            self._up.set()
            receiver.connected()

        while True:
            try:
                await self._stay_once(heard, ready)
            except Revoked as exc:
                self._revoked = exc
                self._up.set()  # nobody need wait
                raise
            except Unreachable as exc:
                if came is not None:
                    gone, told = time.time(), ""
                    if not isinstance(exc, Dismissed) or time.monotonic() - came > _LONG_STAY:
                        pause = _FIRST_PAUSE
                    came = None
                if isinstance(exc, Dismissed):
                    pause = max(pause, _DISMISSED_PAUSE)
                if exc.message != told:
                    told = exc.message
                    receiver.lost(told)
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))
            pause = min(2 * pause, _LAST_PAUSE)

    async def _stay_once(self, heard: asyncio.Queue[Message | None], ready: Callable[[], None]) -> None:
        link = await Link.open(self._settings, self.times.quiet)
        session = Session(link, self._settings, self.times, self._new_id, heard.put, ready)
        why: BotError = Unreachable("The bot is leaving.")
        try:
            self._session = session
            await session.run()
        except BotError as exc:
            why = exc
            raise
        finally:
            self._up.clear()
            self._session = None
            session.end(why)
            await link.close()

    async def send(self, place: Place, blocks: Sequence[Block], key: str, choices: Sequence[Choice] = ()) -> str:
        """What has to be said while there is no connection waits for one, up to `patience`: so nothing is said twice
        only because the bot was away."""
        target, _, account = place.channel.partition("!")
        if not target or target[0] == ":" or any(character in target for character in " ,\r\n\0"):
            raise NotThere(f"{target!r} is no channel or nick.")
        with suppress(TimeoutError):
            async with asyncio.timeout(self.patience):
                await self._up.wait()
        if self._revoked is not None:
            raise self._revoked
        session = self._session
        if session is None or not self._up.is_set():
            raise Unreachable(f"There is no connection to {self._settings.server}.", sent=False)
        lines = lines_of(blocks, session.room(target)) or ["…"]
        return await session.say(target, account, lines) or self._new_id()

    async def edit(self, place: Place, message: str, blocks: Sequence[Block], choices: Sequence[Choice] = ()) -> None:
        raise NotThere("What was said on IRC cannot be changed.")

    async def find(self, place: Place, key: str) -> str | None:
        return None

    async def fetch(self, file: File, most: int) -> bytes:
        raise NotThere("There are no files on IRC.")

    def length(self, blocks: Sequence[Block]) -> int:
        return length(blocks, self.traits.most)


def _settings(keys: Mapping[str, Any]) -> Settings:
    known = [each.name for each in fields(Settings)]
    for key, value in keys.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."
            raise BotError(f"irc: has no key {key!r}.", hint=hint)
        kinds, name = _SHAPES.get(key, ((str,), "a text"))
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise BotError(f"irc: {key!r} should be {name}, not a {type(value).__name__}.")
    for key in ("server", "nick"):
        if not keys.get(key):
            raise BotError(f"irc: needs {key!r}.", hint="See docs/bots/irc.md for all keys.")
    settings = Settings(**{**keys, "join": tuple(keys.get("join", ()))})
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    for key, value, possible, hint in (
        ("server", settings.server, _is_host(settings.server), _SERVER),
        ("nick", settings.nick, _NICK.fullmatch(settings.nick), _NAME),
        ("port", settings.port, 0 < settings.port < 65_536, "It is a number from 1 to 65535."),
        ("pace", settings.pace, 0 <= settings.pace <= 60, "It is a number of seconds, 0 to 60."),
        *(("join", one, isinstance(one, str) and _CHANNEL.fullmatch(one), _ROOM) for one in settings.join),
    ):
        if not possible:
            raise BotError(f"irc: {key!r} cannot be {value!r}.", hint=hint)
    if settings.account and not settings.password:
        raise BotError("irc: 'account' needs 'password'.")
    if re.search(r"[\r\n\0]", settings.account + settings.password):
        raise BotError("irc: 'account' and 'password' are one line each.")
    if settings.password and not settings.tls and not _is_here(settings.server):
        raise BotError(
            "irc: the password would be read by everybody on the way.", hint="Use `tls: true`, mostly with port 6697."
        )


def _is_host(server: str) -> bool:
    with suppress(ValueError):
        return bool(ipaddress.ip_address(server))
    return not re.search(r"[\s\x00-\x1f/@:]", server)


def _is_here(server: str) -> bool:
    try:
        return ipaddress.ip_address(server).is_loopback
    except ValueError:
        return server == "localhost"


async def _tell(receiver: Receiver, heard: asyncio.Queue[Message | None], unkept: list[Message]) -> NoReturn:
    """Gives the receiver what was heard. What it cannot keep is told again: IRC would not."""
    while True:
        first = await heard.get()
        unkept += [*([first] if first is not None else []), *_waiting(heard)]
        await until_kept(receiver, list(unkept), _cursor(), "irc")
        unkept.clear()


async def _tell_the_rest(receiver: Receiver, messages: list[Message]) -> None:
    if messages:
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                await receiver.accept(messages, _cursor())


def _waiting(heard: asyncio.Queue[Message | None]) -> list[Message]:
    waiting = [heard.get_nowait() for _ in range(heard.qsize())]
    return [message for message in waiting if message is not None]


def _cursor() -> str:
    """When the bot was last there."""
    return json.dumps({"at": int(time.time())})


def _when_last_there(cursor: str | None) -> float | None:
    try:
        return float(json.loads(cursor or "")["at"])
    except (ValueError, TypeError, KeyError):
        return None


def _away(server: str, seconds: float) -> str:
    units = ((86_400, "days"), (3600, "h"), (60, "min"))
    size, unit = next((each for each in units if seconds >= 2 * each[0]), (1, "s"))
    return f"Away from {server} for {max(seconds / size, 1):.0f} {unit}: what was said meanwhile is lost."
