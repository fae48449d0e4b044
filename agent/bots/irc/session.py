"""One stay on an IRC server: being in channels, hearing and saying."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gemmagraph.bots.base import Message, Place
from gemmagraph.bots.errors import BotError, NotThere, TooFast, Unreachable
from gemmagraph.bots.irc.lines import Line, lowering, unformatted
from gemmagraph.bots.irc.link import KEEPALIVE, Link, Settings, Times
from gemmagraph.bots.irc.people import WHOX, People
from gemmagraph.bots.irc.signon import SignOn
from gemmagraph.bots.irc.text import MOST_OF_A_LINE, addressed

log: Final = logging.getLogger("gemmagraph.bots")

_NOT_SAID: Final = "401 403 404 407 412 413 414 415 417 442 477 482 486 489 493 531 716 FAIL".split()  # noqa: SIM905
_NOT_JOINED: Final = ("403", "405", "437", "470", "471", "473", "474", "475", "476", "477", "480", "489", "520")
_WAIT: Final = 10.0
"""Seconds, when a server wants a pause and does not say for how long."""
_OLD: Final = ("history", "playback")
"""In the names of batches of what was said before."""
_AT_ONCE: Final = 8
"""Channels that one line asks for; each may be 50 bytes long."""
_HOST: Final = 63
"""Bytes that servers allow for the name of a host."""


class Session:
    """Args:
    new_id: gives ids to messages that have none of the server.
    hear: takes what was said; None when the server was there though nobody spoke.
    ready: is called once all channels have answered.
    """

    def __init__(
        self,
        link: Link,
        settings: Settings,
        times: Times,
        new_id: Callable[[], str],
        hear: Callable[[Message | None], Awaitable[None]],
        ready: Callable[[], None],
    ) -> None:
        self._link = link
        self._settings = settings
        self._times = times
        self._new_id = new_id
        self._hear = hear
        self._ready = ready
        self._is_ready = False
        self._people = People()
        self._nick = settings.nick
        self._types, self._statuses, self._whox = "#&", "", False
        self._batches: set[str] = set()
        """Those of old messages."""
        self._wanted: dict[str, str] = {}
        """Channels as the settings spell them, by what `People.lower` makes of that."""
        self._waiting: set[str] = set()
        """Those that have not answered."""
        self._missing: dict[str, float] = {}
        """Those that the bot is not in, and when it tries again."""
        self._kicks = 0
        self._speaking = asyncio.Lock()
        self._tokens = itertools.count()
        self._pongs: dict[str, asyncio.Future[None]] = {}
        self._target = ""
        """To whom something is being said."""
        self._refusal: BotError | None = None
        self._echo = ""
        """The server's id of what was said."""
        self._whois = ""
        self._late: asyncio.TimerHandle | None = None
        self._end: BotError | None = None
        """Why it has ended."""

    async def run(self) -> None:
        """Stays until the connection ends.

        Raises:
            Unreachable: it has ended.
            Revoked: the server does not let the bot in.
        """
        chores = asyncio.create_task(self._chores())
        lines = self._link.lines()
        try:
            signing_on = SignOn(self._link, self._settings)
            try:
                async with asyncio.timeout(self._times.sign_on):
                    await signing_on.run(lines)
            except TimeoutError:
                raise Unreachable(f"{self._settings.server} does not answer who signs on.") from None
            self._nick, self._people.caps = signing_on.nick, signing_on.caps
            async for line in lines:
                await self._take(line)
        finally:
            chores.cancel()
            await asyncio.gather(chores, return_exceptions=True)

    def end(self, why: BotError) -> None:
        """Tells all who wait for something that it will not come."""
        self._end = why
        if self._late is not None:
            self._late.cancel()
        for pong in self._pongs.values():
            if not pong.done():
                pong.set_exception(why)

    # ---- saying

    async def say(self, target: str, account: str, lines: Sequence[str]) -> str:
        """Says lines: once this returns, the server has them all. Gives the server's id of the first, if it has one.

        Args:
            account: whom the nick must belong to; empty: whoever has it.

        Raises:
            NotThere, TooFast, Unreachable: as they say.
        """
        async with self._speaking:
            self._target, self._refusal, self._echo, self._whois = self._people.lower(target), None, "", ""
            try:
                if account:
                    self._link.write("WHOIS", target)
                    await self._confirmed()
                    if self._whois != account:
                        raise NotThere(f"{target!r} is not logged in as {account!r} just now.")
                for line in lines:
                    await self._link.say(target, line)
                    if self._refusal is not None:
                        break
                await self._confirmed()
                return self._echo
            finally:
                self._target = ""

    async def _confirmed(self) -> None:
        """Servers answer in order: once they answer a PING, they have answered all before."""
        if self._end is not None:
            raise self._end
        token = f"said{next(self._tokens)}"
        pong = self._pongs[token] = asyncio.get_running_loop().create_future()
        self._link.write("PING", token)
        try:
            await pong
        finally:
            del self._pongs[token]
        if self._refusal is not None:
            raise self._refusal

    def room(self, target: str) -> int:
        """Bytes of text in a line to somebody, who gets it with the bot's full name in front."""
        before = len(f":{self._nick}!{self._settings.nick[:10]}@ PRIVMSG {target} :\r\n".encode()) + 1 + _HOST
        return max(min(MOST_OF_A_LINE, 512 - before), 100)

    # ---- staying

    async def _chores(self) -> None:
        """Gets back what was taken from the bot: its channels, and its nick."""
        step = min(self._times.rejoin, self._times.refused, self._times.regain, 1.0)
        regained = time.monotonic()
        while True:
            await asyncio.sleep(step)
            now = time.monotonic()
            for channel in [channel for channel, due in self._missing.items() if due <= now]:
                self._missing[channel] = now + self._times.refused
                self._link.write("JOIN", channel)
            if self._is_ready and not self._is_wanted(self._nick) and now - regained >= self._times.regain:
                regained = now
                self._link.write("NICK", self._settings.nick)

    def _is_wanted(self, nick: str) -> bool:
        return self._people.lower(nick) == self._people.lower(self._settings.nick)

    def _is_own(self, nick: str) -> bool:
        return self._people.lower(nick) == self._people.lower(self._nick)

    async def _take(self, line: Line) -> None:
        command = line.command
        if command in ("PRIVMSG", "NOTICE"):
            if (message := self._message(line)) is not None:
                await self._hear(message)
        elif command == "PONG":
            if line.last == KEEPALIVE:
                await self._hear(None)
            elif (pong := self._pongs.get(line.last)) and not pong.done():
                pong.set_result(None)
        elif command == "005":
            self._supported(line)
        elif command in ("376", "422"):
            self._join_all()
        elif command == "901" and self._settings.account:
            raise Unreachable(f"{self._settings.server} has logged the bot's account out.")
        elif command == "CAP" and line.param(1).upper() == "DEL":
            self._people.caps -= set(line.last.split())
        elif command == "BATCH" and line.param(0)[:1] == "+":
            if any(old in line.param(1) for old in _OLD):
                self._batches.add(line.param(0)[1:])
        elif command == "BATCH":
            self._batches.discard(line.param(0)[1:])
        else:
            self._people.learn(line)
            self._moved(line)
            self._answered(line)

    def _supported(self, line: Line) -> None:
        for each in line.params[1:-1]:
            name, _, value = each.partition("=")
            if name == "CASEMAPPING":
                self._people.lower = lowering(value)
            elif name == "CHANTYPES":
                self._types = value
            elif name == "STATUSMSG":
                self._statuses = value
            elif name == "WHOX":
                self._whox = True
            elif name == "BOT":
                self._people.bot_flag = value[:1]

    def _join_all(self) -> None:
        if self._people.bot_flag:
            self._link.write("MODE", self._nick, f"+{self._people.bot_flag}")
        self._wanted = {self._people.lower(channel): channel for channel in self._settings.join}
        self._waiting, channels = set(self._wanted), sorted(self._wanted)
        for at in range(0, len(channels), _AT_ONCE):
            self._link.write("JOIN", ",".join(channels[at : at + _AT_ONCE]))
        self._late = asyncio.get_running_loop().call_later(self._times.ready, self._perhaps_ready, True)
        self._perhaps_ready()

    def _perhaps_ready(self, late: bool = False) -> None:
        if not self._is_ready and (late or not self._waiting):
            self._is_ready = True
            self._ready()

    def _moved(self, line: Line) -> None:
        """The bot, or somebody with the nick that it wants, has come, gone or been made to."""
        command = line.command
        if command in ("NICK", "QUIT"):
            if command == "NICK" and self._is_own(line.nick):
                self._nick = line.param(0) or self._nick
            elif self._is_wanted(line.nick):
                self._link.write("NICK", self._settings.nick)
        elif command == "JOIN" and self._is_own(line.nick):
            self._joined(self._people.lower(line.param(0)))
        elif command == "KICK" and self._is_own(line.param(1)):
            self._kicks += 1
            self._left(line.param(0), line.last, self._times.rejoin * 2 ** min(self._kicks - 1, 6))
        elif command == "PART" and self._is_own(line.nick):
            self._left(line.param(0), "removed", self._times.rejoin)
        elif command == "315":
            self._waiting.discard(self._people.lower(line.param(1)))
            self._perhaps_ready()
        elif command in _NOT_JOINED and self._people.lower(line.param(1)) in self._wanted:
            self._left(line.param(1), line.last, self._times.refused)

    def _joined(self, channel: str) -> None:
        if channel not in self._wanted:
            return  # others have put the bot there
        self._missing.pop(channel, None)
        if self._whox and self._people.need_who:
            self._link.write("WHO", channel, WHOX)  # its end, 315, makes the channel ready
        else:
            self._waiting.discard(channel)
        self._perhaps_ready()

    def _left(self, channel: str, why: str, pause: float) -> None:
        channel = self._people.lower(channel)
        self._people.forget_all()
        if channel not in self._wanted:
            return
        self._waiting.discard(channel)
        self._missing[channel] = time.monotonic() + pause
        log.warning(
            "not in a channel", extra={"bot": "irc", "details": {"channel": channel, "why": self._link.shown(why)}}
        )
        self._perhaps_ready()

    def _answered(self, line: Line) -> None:
        """What the server says about what the bot is just saying."""
        if not self._target or self._target not in {self._people.lower(param) for param in line.params[:-1]}:
            return
        if line.command == "330":
            self._whois = line.param(2)
        elif line.command in ("263", "439"):
            seconds = re.search(r"(\d{1,5}) ?s", line.last)
            self._refusal = TooFast(float(seconds.group(1)) if seconds else _WAIT)
        elif line.command in _NOT_SAID:
            self._refusal = NotThere(f"Nothing can be said to {self._target!r}: {self._link.shown(line.last)}")

    # ---- hearing

    def _message(self, line: Line) -> Message | None:
        nick, target, text = line.nick, line.param(0), line.param(1)
        if "!" not in line.source or line.tags.get("batch") in self._batches:
            return None  # a word of the server itself, or said long ago
        if text.startswith("\x01"):
            kind, _, text = text.strip("\x01").partition(" ")
            if kind != "ACTION":
                return None  # a question of one client to another
        lower, own, account = self._people.lower, self._is_own(nick), self._people.account(line)
        msgid = line.tags.get("msgid", "") if "message-tags" in self._people.caps else ""
        if own and lower(target) == self._target and not self._echo:
            self._echo = msgid
        channel = target.lstrip(self._statuses)
        if channel and channel[0] in self._types:
            place = Place("", self._wanted.get(lower(target), lower(target)))
        elif own:
            return None
        else:
            place = Place("", f"{lower(nick)}!{account}" if account else lower(nick), direct=True)
        to_bot, text = addressed(unformatted(text).strip(), {self._nick, self._settings.nick}, lower)
        id = msgid or self._new_id()
        machine = own or line.command == "NOTICE" or self._people.robot(line)
        return Message(
            event=id,
            place=place,
            user=account,
            name=nick,
            text=text,
            id=id,
            addressed=to_bot,
            machine=machine,
        )
