"""discord.py, so that it says at once what it would keep to itself: where it sleeps through a limit, it raises here.

Import this module only where Discord is used: it loads the library.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import aiohttp
import discord
from discord.gateway import KeepAliveHandler
from discord.http import HTTPClient, Ratelimit, Route

from gemmagraph.bots.errors import BotError, NotThere, Revoked, TooFast, Unreachable

_LONGEST: Final = 20.0
"""Seconds that a request may take, the library's own tries again after a failing server included."""
_LONGEST_CLOSING: Final = 3.0
_UNSAID: Final = 60.0
"""Seconds to leave Discord alone if it does not say for how long."""

_FAILURES: Final = (discord.DiscordException, OSError, aiohttp.ClientError, RuntimeError)
"""RuntimeError: the connection was ended meanwhile."""


class Refused(NotThere):
    """What Discord will not do, with its code for the reason."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Hears(Protocol):
    """What is told of a connection. Nothing here may wait: the library calls it between two events."""

    def began(self) -> None:
        """A new session; what happened before is told by nobody."""

    def ready(self) -> None: ...
    def cut(self) -> None: ...
    def guild(self, guild: discord.Guild) -> None:
        """One that there was in the session from its beginning, with its channels."""

    def said(self, message: discord.Message) -> None: ...
    def changed(self, change: discord.RawMessageUpdateEvent) -> None: ...
    def deleted(self, guild: int | None, channel: int, messages: list[int]) -> None: ...
    def pressed(self, interaction: discord.Interaction[Client]) -> None: ...


class Limit(Ratelimit):
    """What is left of a bucket; the library's own sleeps until there is more."""

    async def acquire(self) -> None:
        now = self._last_request = self._loop.time()
        if self.is_expired():
            self.reset()  # type: ignore[no-untyped-call]  # of the library
        if self.expires is not None and self.remaining <= 0:
            raise discord.RateLimited(max(self.expires - now, 0.001))
        self.remaining -= 1
        self.outgoing += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.outgoing -= 1
        if isinstance(error, discord.RateLimited):
            self.remaining, self.expires = 0, self._loop.time() + error.retry_after


class Http(HTTPClient):
    """Requests that fail at once where the library's own would wait.

    Args:
        base: where Discord is, if not at its own address.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, base: str) -> None:
        super().__init__(loop)
        self.max_ratelimit_timeout = 0.001  # no answer 429 is slept through
        self.base = base
        self.socket: aiohttp.ClientWebSocketResponse | None = None

    def get_ratelimit(self, key: str) -> Ratelimit:
        if key not in self._buckets:
            self._buckets[key] = Limit(None)
            self._try_clear_expired_ratelimits()
        return self._buckets[key]

    async def request(self, route: Route, **options: Any) -> Any:
        if self.base:
            route.url = f"{self.base}/api/v10{route.url.removeprefix(Route.BASE)}"
        return await super().request(route, **options)

    async def ws_connect(self, url: str, *, compress: int = 0) -> aiohttp.ClientWebSocketResponse:
        if self.base:
            url = urlsplit(url)._replace(scheme="ws", netloc=urlsplit(self.base).netloc).geturl()
        self.socket = await super().ws_connect(url, compress=compress)
        return self.socket


class Client(discord.Client):
    """One connection, from the login on.

    Args:
        contents: whether to ask for what is said where the bot is not mentioned.
    """

    def __init__(self, hears: Hears, base: str, contents: bool) -> None:
        wanted = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=contents)
        _quiet()
        super().__init__(
            intents=wanted,
            member_cache_flags=discord.MemberCacheFlags.none(),
            allowed_mentions=discord.AllowedMentions.none(),
            guild_ready_timeout=0.05,  # guilds that come later are told of as well
        )
        self.http = self._connection.http = Http(self.loop, base)
        self._hears = hears

    async def ask(self, method: str, path: str, json: Any = None, **parameters: str) -> Any:
        """One request to the API.

        Args:
            path: with names in braces; `channel_id` and `guild_id` have limits of their own.

        Raises:
            TooFast, Unreachable, NotThere, Revoked: as they say.
        """
        if self.user is None or self.is_closed():
            raise Unreachable("There is no connection to Discord just now.", sent=False)
        try:
            async with asyncio.timeout(_LONGEST):
                route = Route(method, path, metadata=None, **parameters)
                return await self.http.request(route, **({} if json is None else {"json": json}))
        except _FAILURES as exc:
            raise translated(exc) from None

    async def connect(self, *, reconnect: bool = True) -> None:
        try:
            await super().connect(reconnect=reconnect)
        except AttributeError as exc:
            if self.ws is not None:
                raise
            # The library looks for the session that it is to resume, also where the first connection fails.
            raise Unreachable("Discord cannot be reached (no connection to the gateway).") from exc

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        if not initial:
            await asyncio.sleep(1.0)  # Discord asks for 1 to 5 s before a new session

    async def close(self) -> None:
        """Ends it within seconds, also where nobody answers any more, and at whatever moment."""
        if (task := self._connection._ready_task) is not None:
            task.cancel()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LONGEST_CLOSING):
                    await super().close()
        finally:
            socket = self.http.socket if isinstance(self.http, Http) else None
            for thread in threading.enumerate():
                if isinstance(thread, KeepAliveHandler) and thread.ws.socket is socket:
                    thread.stop()
            await self.http.close()

    async def on_connect(self) -> None:
        self._hears.began()

    async def on_ready(self) -> None:
        self._hears.ready()

    async def on_resumed(self) -> None:
        self._hears.ready()

    async def on_disconnect(self) -> None:
        self._hears.cut()

    async def on_guild_available(self, guild: discord.Guild) -> None:
        self._hears.guild(guild)

    async def on_message(self, message: discord.Message) -> None:
        self._hears.said(message)

    async def on_raw_message_edit(self, change: discord.RawMessageUpdateEvent) -> None:
        self._hears.changed(change)

    async def on_raw_message_delete(self, gone: discord.RawMessageDeleteEvent) -> None:
        self._hears.deleted(gone.guild_id, gone.channel_id, [gone.message_id])

    async def on_raw_bulk_message_delete(self, gone: discord.RawBulkMessageDeleteEvent) -> None:
        self._hears.deleted(gone.guild_id, gone.channel_id, sorted(gone.message_ids))

    async def on_interaction(self, interaction: discord.Interaction[Client]) -> None:
        self._hears.pressed(interaction)


_WHY: Final[Mapping[int, str]] = {
    10003: "The channel is gone.",
    10008: "The message is gone.",
    50001: "The bot cannot see this channel.",
    50007: "This person takes no direct messages from the bot.",
    50013: "The bot lacks a right in this channel.",
    160005: "The thread is locked.",
}


def translated(error: BaseException) -> BotError:
    """What went wrong with a request or a connection, as an error of ours. It says nothing of what was sent."""
    match error:
        case BotError():
            return error
        case discord.RateLimited():
            return TooFast(error.retry_after)
        case discord.LoginFailure():
            return Revoked("Discord does not take the token of the bot.")
        case discord.PrivilegedIntentsRequired():
            return Revoked("Discord refuses the intents of the bot.", hint="See its page in the developer portal.")
        case discord.ConnectionClosed() if error.code == 4004:
            return Revoked("Discord does not take the token of the bot any more.")
        case discord.ConnectionClosed() if error.code in (4010, 4011, 4012, 4013, 4014):
            return Revoked(f"Discord refuses the connection of the bot (code {error.code}).")
        case discord.HTTPException():
            return _answered(error)
    return Unreachable(f"Discord cannot be reached ({type(error).__name__}).")


def _answered(error: discord.HTTPException) -> BotError:
    if error.status == 401:
        return Revoked("Discord does not take the token of the bot any more.")
    if error.status == 429:
        return too_fast(error.response.headers)
    if error.status >= 500:
        return Unreachable(f"Discord fails (status {error.status}).")
    if not error.code and error.status == 403:  # of what stands in front of the API, not of the API
        return Unreachable("Discord lets no request through.")
    why = _WHY.get(error.code, f"Discord refuses this (status {error.status}, code {error.code}).")
    return Refused(why, error.code)


def too_fast(headers: Mapping[str, str]) -> TooFast:
    """What an answer 429 asks for."""
    said = headers.get("Retry-After", "")
    return TooFast(float(said) if said.replace(".", "", 1).isdecimal() else _UNSAID)


def _quiet() -> None:
    """The library writes what is said to its logs at DEBUG, and addresses with secrets of interactions."""
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
    for name, level in (("http", logging.ERROR), ("gateway", logging.INFO), ("client", logging.INFO)):
        logger = logging.getLogger(f"discord.{name}")
        logger.setLevel(max(logger.level, level))
