"""Mattermost, over its REST interface (version 4) and its websocket; for servers from 6.1 on.

What happens comes over the websocket. After each connection, and when a number is missing among its events, what has
changed since the cursor is read from all channels of the bot: nothing hangs on how long the server keeps events. The
cursor is a time of the server. It is read some seconds back, because servers write posts a little after the time that
they put on them; what is then told twice bears the same `event`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from gemmagraph.bots.base import Choice, File, Inbound, Place, Receiver, Traits
from gemmagraph.bots.errors import BotError, NotInstalled, NotThere, Revoked, TooFast, Unreachable
from gemmagraph.bots.mattermost.posts import Person, Posts
from gemmagraph.bots.mattermost.rest import Query, Rest
from gemmagraph.bots.mattermost.text import written
from gemmagraph.bots.text import Block
from gemmagraph.prompts.errors import GemmagraphError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

_KEYS: Final = ("url", "token")
_PUT_THERE: Final = {"approve": "white_check_mark", "reject": "x"}
_BACK: Final = 10_000
"""Milliseconds before the cursor from which it is read on."""
_SINCE: Final = 1_000
"""Posts after which the server's answer to `since` is no longer complete."""
_PAGE: Final = 200
_PAGES: Final = 50
_LOOKED_THROUGH: Final = 3
"""Pages in which a message is looked for."""
_AT_ONCE: Final = 200
_WATCHED: Final = 3.0
"""Seconds between two looks whether the token is still good: the websocket stays open without it, and silent."""
_WAITS: Final = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_LONGEST_WAIT: Final = 60.0
_PAUSE: Final = 10.0
"""Seconds that reading waits if the server wants it; a longer pause ends the connection."""
_HELLO: Final = 10.0

_log: Final = logging.getLogger(__name__)

_Frame: TypeAlias = str | bytes | Exception


@dataclass(frozen=True, slots=True)
class _Cursor:
    first: int
    """When the bot was there for the first time, in milliseconds of the server; nothing from before is told."""
    seen: int

    def text(self) -> str:
        return json.dumps({"first": self.first, "seen": self.seen})

    @classmethod
    def of(cls, text: str) -> _Cursor:
        try:
            kept = json.loads(text)
            return cls(int(kept["first"]), int(kept["seen"]))
        except (ValueError, KeyError, TypeError) as exc:
            raise BotError("The cursor that was kept for mattermost cannot be read.") from exc

    def moved(self, at: int) -> _Cursor:
        return replace(self, seen=max(self.seen, at))


class MattermostAdapter:
    """A bot account on a Mattermost server.

    Args:
        keys: `url` of the server and `token` of the bot.

    Raises:
        BotError: a key is missing, unknown or no text, or the extra is not installed.
    """

    platform: ClassVar[str] = "mattermost"

    def __init__(self, keys: Mapping[str, Any]) -> None:
        for key in keys:
            if key not in _KEYS:
                near = get_close_matches(str(key), _KEYS, n=1)
                raise BotError(f"mattermost has no key {key!r}{f'; is it {near[0]!r}?' if near else '.'}")
        for key in _KEYS:
            if not isinstance(keys.get(key), str) or not keys[key].strip():
                raise BotError(f"mattermost needs the key {key!r}, a text.")
        if find_spec("websockets") is None:
            raise NotInstalled.of("Mattermost", "gemmagraph[mattermost]")
        self.traits = Traits(most=16_383, choices="reactions", findable=True, command="!")
        self._rest = Rest(keys["url"].strip(), keys["token"].strip())
        self._posts: Posts | None = None
        self._up = False

    async def listen(self, receiver: Receiver) -> None:
        failures, told = 0, ""
        async with self._rest.connections():
            while True:
                self._up = False
                pause = 0.0
                try:
                    await self._session(receiver)
                except Revoked:
                    raise
                except GemmagraphError as exc:  # the service fails, or what was told could not be kept
                    why = str(exc)
                    pause = exc.seconds if isinstance(exc, TooFast) else 0.0
                if self._up:
                    failures, told = 0, ""
                if why != told:
                    receiver.lost(why)
                    told = why
                wait = _WAITS[min(failures, len(_WAITS) - 1)] * random.uniform(0.5, 1.0)
                failures += 1
                await asyncio.sleep(max(wait, min(pause, _LONGEST_WAIT)))

    async def send(self, place: Place, blocks: Sequence[Block], key: str, choices: Sequence[Choice] = ()) -> str:
        posts = await self._known()
        post = await self._rest.ask(
            "POST",
            "posts",
            {
                "channel_id": place.channel,
                "root_id": place.thread,
                "message": written(blocks),
                # For half a minute the server makes no second post of it; `find` tells later on.
                "pending_post_id": f"{posts.me.id}:{hashlib.sha256(key.encode()).hexdigest()[:32]}",
                "props": {"gemmagraph_key": key, "unsafe_links": "true", "disable_group_highlight": True},
            },
        )
        posts.keep(post["id"], replace(place, thread=post.get("root_id") or ""))
        try:
            for reaction in _wanted(choices):
                await self._patiently("POST", "reactions", _reaction(posts, post["id"], reaction))
        except BotError as exc:  # the message is there: people can react to it all the same
            _log.warning("The reactions to choose from could not be put under a message: %s", exc)
        return str(post["id"])

    async def edit(self, place: Place, message: str, blocks: Sequence[Block], choices: Sequence[Choice] = ()) -> None:
        posts = await self._known()
        post = await self._rest.ask("PUT", f"posts/{message}/patch", {"message": written(blocks)})
        wanted, there = _wanted(choices), posts.offered(post)
        for reaction in sorted(there.difference(wanted)):
            await self._rest.ask("DELETE", f"users/{posts.me.id}/posts/{message}/reactions/{reaction}")
        for reaction in wanted:
            if reaction not in there:
                await self._rest.ask("POST", "reactions", _reaction(posts, message, reaction))

    async def find(self, place: Place, key: str) -> str | None:
        posts = await self._known()
        for page in range(1 if place.thread else _LOOKED_THROUGH):
            try:
                if place.thread:
                    listed = await self._rest.ask("GET", f"posts/{place.thread}/thread")
                else:
                    listed = await self._rest.ask("GET", f"channels/{place.channel}/posts", query=_page(page))
            except NotThere:
                return None
            for post in listed["posts"].values():
                if post["user_id"] == posts.me.id and (post.get("props") or {}).get("gemmagraph_key") == key:
                    return None if post["delete_at"] else str(post["id"])
            if len(listed["order"]) < _PAGE:
                break
        return None

    async def fetch(self, file: File, most: int) -> bytes:
        name = file.reference.get("id")
        if not isinstance(name, str) or not name.isalnum() or not name.isascii():
            raise NotThere("This is no file of Mattermost.")
        return await self._rest.read(f"files/{name}", most)

    def length(self, blocks: Sequence[Block]) -> int:
        return len(written(blocks))

    async def _session(self, receiver: Receiver) -> None:
        """From a connection to its end.

        Raises:
            GemmagraphError: why it ended.
        """
        self._posts = None
        posts = await self._known()
        limit = str((await self._patiently("GET", "config/client", query={"format": "old"})).get("MaxPostSize"))
        if limit.isdecimal() and int(limit) > 0:  # very old servers have 4,000
            self.traits = replace(self.traits, most=min(int(limit), 16_383))
        frames: asyncio.Queue[_Frame] = asyncio.Queue(_AT_ONCE)
        async with self._rest.socket() as socket:
            tasks = [asyncio.create_task(_hear(socket, frames)), asyncio.create_task(self._watch(frames))]
            try:
                await self._tell(receiver, posts, frames)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, receiver: Receiver, posts: Posts, frames: asyncio.Queue[_Frame]) -> None:
        """Tells what comes, in its order."""
        try:
            number = await asyncio.wait_for(_greeted(frames), _HELLO)
        except TimeoutError:
            raise Unreachable("The websocket of Mattermost did not say hello.") from None
        cursor = await self._caught_up(receiver, posts)
        self._up = True
        receiver.connected()
        while True:
            events: list[Inbound] = []
            seen, missed = cursor, False
            for frame in await _waiting(frames):
                if isinstance(at := frame.get("seq"), int):
                    missed = missed or at != number + 1
                    number = at
                heard = await posts.of_frame(frame)
                events += heard.events
                seen = seen.moved(heard.at)
            if missed:  # the cursor has not moved yet, so what was left out is found behind it
                seen = seen.moved((await self._caught_up(receiver, posts)).seen)
            if events:
                await receiver.accept(events, seen.text())
            cursor = seen

    async def _caught_up(self, receiver: Receiver, posts: Posts) -> _Cursor:
        """Tells what has happened since the cursor; the first time, only makes one."""
        channels = await self._patiently("GET", "users/me/channels")
        posts.meet(channels)
        if receiver.cursor is None:
            first = max([self._rest.date, *(channel["last_post_at"] for channel in channels)])
            cursor = _Cursor(first, first)
            await receiver.accept([], cursor.text())
            return cursor
        cursor = _Cursor.of(receiver.cursor)
        since = max(cursor.first, cursor.seen - _BACK)
        happened: list[tuple[int, Inbound]] = []
        for channel in channels:
            with suppress(NotThere):  # the bot was just taken out of it
                happened += await posts.changed(await self._changed(channel["id"], since), since, cursor.seen)
        happened.sort(key=lambda one: one[0])
        for begin in range(0, len(happened), _AT_ONCE):
            part = happened[begin : begin + _AT_ONCE]
            cursor = cursor.moved(part[-1][0])
            await receiver.accept([event for _, event in part], cursor.text())
        return cursor

    async def _changed(self, channel: str, since: int) -> list[dict[str, Any]]:
        path = f"channels/{channel}/posts"
        listed = await self._patiently("GET", path, query={"since": since, "skipFetchThreads": "true"})
        if len(listed["order"]) < _SINCE:
            return list(listed["posts"].values())
        found: dict[str, dict[str, Any]] = dict(listed["posts"])
        for page in range(_PAGES):
            listed = await self._patiently("GET", path, query=_page(page))
            found |= listed["posts"]
            if len(listed["order"]) < _PAGE or listed["posts"][listed["order"][-1]]["create_at"] <= since:
                return list(found.values())
        _log.warning("More than %d messages were missed in a channel of mattermost; the oldest are lost.", len(found))
        return list(found.values())

    async def _watch(self, frames: asyncio.Queue[_Frame]) -> None:
        while True:
            await asyncio.sleep(_WATCHED)
            try:
                await self._rest.ask("GET", "users/me")
            except TooFast:
                continue
            except BotError as exc:
                await frames.put(exc)

    async def _known(self) -> Posts:
        """What is known of the bot and others; asked for once in a connection."""
        if self._posts is None:
            me = await self._patiently("GET", "users/me")
            try:
                self._posts = Posts(Person(me["id"], me["username"], machine=True), self._patiently)
            except (KeyError, TypeError) as exc:
                raise Unreachable(f"What answers at {self._rest.base!r} is not Mattermost.") from exc
        return self._posts

    async def _patiently(self, method: str, path: str, body: Any = None, query: Query | None = None) -> Any:
        """Asks, and waits a few times if the server wants a pause."""
        for _ in range(3):
            try:
                return await self._rest.ask(method, path, body, query)
            except TooFast as exc:
                if exc.seconds > _PAUSE:
                    raise
                await asyncio.sleep(exc.seconds)
        return await self._rest.ask(method, path, body, query)


async def _hear(socket: ClientConnection, frames: asyncio.Queue[_Frame]) -> None:
    from websockets.exceptions import ConnectionClosed

    with suppress(ConnectionClosed):
        async for frame in socket:
            await frames.put(frame)
    await frames.put(Unreachable("The websocket of Mattermost was closed."))


async def _greeted(frames: asyncio.Queue[_Frame]) -> int:
    """Waits for `hello`, the first event; gives its number."""
    while True:
        frame = _read(await frames.get())
        if frame.get("event") == "hello":
            return int(frame.get("seq") or 0)


async def _waiting(frames: asyncio.Queue[_Frame]) -> list[dict[str, Any]]:
    """What there is to read, at least one. What has ended the connection is raised once all before it is read."""
    read = [_read(await frames.get())]
    with suppress(asyncio.QueueEmpty):
        while len(read) < _AT_ONCE:
            frame = frames.get_nowait()
            if isinstance(frame, Exception):
                frames.put_nowait(frame)
                break
            read.append(_read(frame))
    return read


def _read(frame: _Frame) -> dict[str, Any]:
    """A frame as JSON; nothing of use if it is none. What ended the connection is raised."""
    if isinstance(frame, Exception):
        raise frame
    try:
        read = json.loads(frame)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def _page(number: int) -> Query:
    """Asks for a page of posts, the newest first, without the rest of their threads."""
    return {"page": number, "per_page": _PAGE, "skipFetchThreads": "true"}


def _wanted(choices: Sequence[Choice]) -> list[str]:
    return list(dict.fromkeys(_PUT_THERE[choice.verb] for choice in choices))


def _reaction(posts: Posts, message: str, name: str) -> dict[str, str]:
    return {"user_id": posts.me.id, "post_id": message, "emoji_name": name}
