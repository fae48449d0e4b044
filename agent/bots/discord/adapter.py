"""Discord: servers (guilds), their channels and threads, and direct messages, over the gateway with discord.py.

A thread that began at a message has the id of that message; so the answer to a message makes its thread. The library
is loaded with the first adapter.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlsplit

from gemmagraph.bots.base import Adapter, Choice, File, Place, Receiver, Traits
from gemmagraph.bots.bodies import at_most
from gemmagraph.bots.discord.text import length, render, spoken
from gemmagraph.bots.errors import BotError, NotInstalled, NotThere, Revoked, Unreachable
from gemmagraph.bots.text import Block

if TYPE_CHECKING:
    from gemmagraph.bots.discord.listening import Listening
    from gemmagraph.prompts.messages import JSON

_CDN: Final = ("cdn.discordapp.com", "media.discordapp.net")
_MOST_THREADS: Final = 1000
_SUPPRESS_EMBEDS: Final = 4
_WITH_THREADS: Final = (0, 5)
"""Types of channels with messages that a thread can hang on."""
_FORUMS: Final = (15, 16)
"""All that is said there is said in a thread."""
_A_DAY: Final = 1440
_THREAD_THERE: Final = 160004
_NO_MESSAGE: Final = 10008
_NO_THREADS: Final = 50024
_LONGEST_DOWNLOAD: Final = 60.0
_PART: Final = 65536


class DiscordAdapter(Adapter):
    """A bot user of Discord.

    Args:
        keys: `token`; `guild`, the id of the only server to listen to; `base_url`, for tests: where a stand-in is.
    """

    platform: ClassVar[str] = "discord"

    def __init__(self, keys: Mapping[str, Any]) -> None:
        for name in sorted(keys.keys() - {"token", "guild", "base_url"}):
            raise BotError(f"{name!r} is no key of a Discord bot.", hint="There are token and guild.")
        if not (token := str(keys.get("token") or "").strip()):
            raise BotError("A Discord bot needs its token.", hint="Write `token:` below `discord:`.")
        guild = str(keys.get("guild") or "")
        if guild and not guild.isdecimal():
            raise BotError(f"{guild!r} is no id of a Discord server.", hint="It is a number, given in quotes.")
        _library()
        self.traits = Traits(most=2000, choices="buttons", keyed=True)
        self._token, self._guild, self._base = token, int(guild or 0), str(keys.get("base_url") or "").rstrip("/")
        self._listening: Listening | None = None
        self._threads: dict[str, None] = {}
        """Those that are there for certain."""

    def __repr__(self) -> str:
        return "DiscordAdapter()"

    async def listen(self, receiver: Receiver) -> None:
        from gemmagraph.bots.discord.listening import Listening

        self._listening = Listening(receiver, self._token, self._guild, self._base)
        try:
            await self._listening.run()
        finally:
            self._listening = None

    async def send(self, place: Place, blocks: Sequence[Block], key: str, choices: Sequence[Choice] = ()) -> str:
        # Discord remembers the nonce for some minutes, and gives the message that it belongs to.
        nonce = hashlib.sha256(key.encode()).hexdigest()[:25]
        channel = await self._channel(place, make=True)
        payload = {**_look(blocks, choices), "nonce": nonce, "enforce_nonce": True}
        sent = await self._ask("POST", "/channels/{channel_id}/messages", payload, channel_id=channel)
        return str(sent["id"])

    async def edit(self, place: Place, message: str, blocks: Sequence[Block], choices: Sequence[Choice] = ()) -> None:
        channel = await self._channel(place, make=False)
        path = "/channels/{channel_id}/messages/{message}"
        await self._ask("PATCH", path, _look(blocks, choices), channel_id=channel, message=message)

    async def find(self, place: Place, key: str) -> str | None:
        return None  # the nonce of a message is told only once, when it is sent

    async def fetch(self, file: File, most: int) -> bytes:
        where = {name: str(file.reference.get(name, "")) for name in ("channel", "message", "attachment")}
        # The address that came with the message is good for a day only.
        message = await self._ask(
            "GET",
            "/channels/{channel_id}/messages/{message}",
            channel_id=where["channel"],
            message=where["message"],
        )
        found = [one for one in message.get("attachments", ()) if one["id"] == where["attachment"]]
        if not found:
            raise NotThere("The file is gone.")
        return await _download(str(found[0]["url"]), most, self._base)

    def length(self, blocks: Sequence[Block]) -> int:
        return length(blocks)

    async def _ask(self, method: str, path: str, json: Any = None, **parameters: str) -> Any:
        client = self._listening.client if self._listening else None
        if self._listening is None or client is None:
            raise Unreachable("There is no connection to Discord just now.", sent=False)
        try:
            return await client.ask(method, path, json, **parameters)
        except Revoked:
            self._listening.revoked.set()
            raise

    async def _channel(self, place: Place, make: bool) -> str:
        """The channel or thread to write in.

        Args:
            make: makes the thread if there is none yet.
        """
        thread = place.thread
        if place.direct or not thread.isdecimal():  # a slash command is no message, and has no thread
            return place.channel
        if thread in self._threads:
            return thread
        kind = self._kind(place.channel)
        if kind is not None and kind not in (*_WITH_THREADS, *_FORUMS):
            return place.channel  # in the chat of a voice channel there are no threads
        if make:
            if kind not in _FORUMS and self._kind(thread) is None and not await self._make_thread(place):
                return place.channel
            self._threads[thread] = None
            while len(self._threads) > _MOST_THREADS:
                del self._threads[next(iter(self._threads))]
        return thread

    def _kind(self, channel: str) -> int | None:
        """The type of a channel or thread that the bot knows."""
        client = self._listening.client if self._listening else None
        known: Any = client.get_channel(int(channel)) if client is not None and channel.isdecimal() else None
        return None if known is None else int(known.type.value)

    async def _make_thread(self, place: Place) -> bool:
        """Sees to it that there is a thread; False: the channel can have none."""
        from gemmagraph.bots.discord.client import Refused

        payload = {"name": self._title(place.thread), "auto_archive_duration": _A_DAY}
        try:
            path = "/channels/{channel_id}/messages/{message}/threads"
            await self._ask("POST", path, payload, channel_id=place.channel, message=place.thread)
        except Refused as exc:
            if exc.code in (_THREAD_THERE, _NO_MESSAGE):  # or one that began at no message
                return True
            if exc.code == _NO_THREADS:
                return False
            raise NotThere(f"{exc.message} It was to make a thread.") from None
        return True

    def _title(self, message: str) -> str:
        """What a thread is called: the beginning of the message that it hangs on, if that is not long ago."""
        client = self._listening.client if self._listening else None
        known = [one for one in (client.cached_messages if client else ()) if str(one.id) == message]
        words = spoken(known[0].content, lambda mark, number: None) if known else ""
        return " ".join(words.split())[:80].strip() or "Answer"


def _library() -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of `audioop`, which it wants for voice
            import discord  # noqa: F401
    except ImportError:
        raise NotInstalled.of("Discord", "gemmagraph[discord]") from None


def _look(blocks: Sequence[Block], choices: Sequence[Choice]) -> dict[str, JSON]:
    buttons: list[JSON] = [
        {
            "type": 2,
            "style": 3 if choice.verb == "approve" else 4,
            "label": choice.label[:80],
            "custom_id": f"{choice.verb}:{choice.approval}",
        }
        for choice in choices
    ]
    rows: list[JSON] = [{"type": 1, "components": buttons[at : at + 5]} for at in range(0, len(buttons), 5)]
    return {
        "content": render(blocks),
        "components": rows,
        "allowed_mentions": {"parse": []},
        "flags": _SUPPRESS_EMBEDS,
    }


async def _download(url: str, most: int, base: str) -> bytes:
    """Without the token: what it goes with would have it too."""
    import aiohttp

    from gemmagraph.bots.discord.client import too_fast

    parts, ours = urlsplit(url), urlsplit(base)
    if not (parts.scheme == "https" and parts.netloc in _CDN) and (not base or parts[:2] != ours[:2]):
        raise NotThere("The file is not with Discord.")
    limit = aiohttp.ClientTimeout(total=_LONGEST_DOWNLOAD)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.status == 429:
                raise too_fast(answer.headers)
            if answer.status >= 500:
                raise Unreachable(f"Discord does not give the file (status {answer.status}).")
            if answer.status != 200:
                raise NotThere(f"Discord does not give the file (status {answer.status}).")
            return await at_most(most, answer.content.iter_chunked(_PART))
    except (aiohttp.ClientError, TimeoutError) as exc:
        raise Unreachable(f"The file cannot be fetched ({type(exc).__name__}).") from None
