"""Matrix, by matrix-nio: rooms, threads, edits and reactions.

    bots:
      matrix:
        homeserver: https://matrix.example.org
        token: "{{ secrets.matrix }}"
        invites: ["@ann:example.org", "*:example.org"]

The bot reads by the sync token of the server: what came while it was away is read when it is back.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from gemmagraph.bots.base import Choice, File, Inbound, Place, Receiver, Traits
from gemmagraph.bots.errors import BotError, NotThere, TooFast, Unreachable
from gemmagraph.bots.keeping import until_kept
from gemmagraph.bots.matrix.events import EMOJI, Events
from gemmagraph.bots.matrix.server import Server, library
from gemmagraph.bots.matrix.text import body_of, html_of, size_of
from gemmagraph.bots.text import Block

_KEYS: Final = ("homeserver", "user", "password", "token", "device", "invites", "keys_folder")
_TYPES: Final = ["m.room.message", "m.room.redaction", "m.reaction", "m.room.encrypted", "m.room.member"]
_STATE: Final = ["m.room.name", "m.room.canonical_alias", "m.room.encryption", "m.room.create"]
_WANTED: Final[dict[str, Any]] = {
    "presence": {"types": []},
    "account_data": {"types": []},
    "room": {
        "ephemeral": {"types": []},
        "account_data": {"types": []},
        "state": {"types": [*_STATE, "m.room.member"], "lazy_load_members": True, "include_redundant_members": True},
        "timeline": {"types": [*_TYPES, *_STATE], "limit": 100, "lazy_load_members": True},
    },
}
_FORGOTTEN: Final = ("(M_UNKNOWN)", "(M_INVALID_PARAM)")
"""What is answered to a sync token that is none."""
_WAIT: Final = 20.0
"""Seconds after which the server answers a sync if nothing happens."""
_LONGEST: Final = 5.0
"""Seconds between two attempts to get through."""
_PAGES: Final = 100
"""Of a hundred events each: what is read of a room at most after a time away."""
_KEPT: Final = 1000
"""Messages whose reactions of the bot are kept in mind."""

_log = logging.getLogger(__name__)


class MatrixAdapter:
    """The bot's account on a homeserver."""

    platform: ClassVar[str] = "matrix"
    traits = Traits(most=30_000, choices="reactions", keyed=True, command="!")

    def __init__(self, keys: Mapping[str, Any]) -> None:
        """Reads the keys; nothing is asked of the server yet.

        Raises:
            BotError: a key is unknown, missing or wrong, or matrix-nio is not installed.
        """
        _check(keys)
        self._keys_folder = str(keys.get("keys_folder") or "")
        library(encrypting=bool(self._keys_folder))
        self._address = str(keys["homeserver"]).rstrip("/")
        self._token, self._password = str(keys.get("token") or ""), str(keys.get("password") or "")
        self._user, self._device = str(keys.get("user") or ""), str(keys.get("device") or "gemmagraph")
        self._invites = tuple(keys.get("invites") or ())
        self._server: Server | None = None
        self._events: Events | None = None
        self._offered: dict[str, list[str]] = {}
        """Messages, and the bot's own reactions to them."""

    def length(self, blocks: Sequence[Block]) -> int:
        return size_of(blocks)

    async def find(self, place: Place, key: str) -> str | None:
        return None  # the server itself shows nothing twice

    # What is heard

    async def listen(self, receiver: Receiver) -> None:
        server = Server(self._address, self._user, self._device, self._token, self._keys_folder)
        self._server = server
        try:
            await self._hear(server, receiver)
        finally:
            self._server = self._events = None
            await server.close()

    async def _hear(self, server: Server, receiver: Receiver) -> None:
        """One round after the other; a pause after each that fails."""
        since: str | None = None
        pause, up, known, told = 0.0, False, True, ""
        while True:
            wait = pause
            try:
                if self._events is None:
                    await server.enter(self._password)
                    self._events = Events(server.me, server.event)
                if since is None:
                    since = await self._begin(server, receiver, _since(receiver.cursor, server.me) if known else None)
                since = await self._round(server, self._events, receiver, since, _WAIT if up else 0.0)
                pause, known, told = 0.0, True, ""
                if not up:
                    up = True
                    receiver.connected()
                continue
            except Unreachable as exc:
                lost = str(exc)
            except TooFast as exc:
                lost, wait = str(exc), exc.seconds
            except NotThere as exc:
                lost, wait = str(exc), _LONGEST
                if since is not None and any(code in lost for code in _FORGOTTEN):
                    _log.warning("The bot begins anew, behind what was said meanwhile.")
                    since, known, wait = None, False, pause
            up = False
            if lost != told:
                told = lost
                receiver.lost(lost)
            await asyncio.sleep(wait)
            pause = min(max(2 * pause, 0.25), _LONGEST)

    async def _begin(self, server: Server, receiver: Receiver, since: str | None) -> str:
        """Learns what rooms there are and who is in them, and gives where to read on: where the bot was, or behind
        all that was said before, also in rooms that it is invited to."""
        # Synapse would answer the same as a minute ago, so that no two ask alike
        room = {
            **_WANTED["room"],
            "timeline": {"types": ["none"]},
            "not_rooms": [f"!{secrets.token_hex(8)}:none.invalid"],
        }
        answer = await server.sync(None, 0.0, {**_WANTED, "room": room}, 60.0)
        while await self._join(server, answer) and since is None:
            answer = await server.sync(answer.next_batch, 0.0, _WANTED)
        if since is None:
            await until_kept(receiver, [], _cursor(server.me, answer.next_batch), "matrix")
        return since or str(answer.next_batch)

    async def _round(self, server: Server, events: Events, receiver: Receiver, since: str, wait: float) -> str:
        """Reads on, tells it, and gives where the next round begins."""
        told: list[Inbound] = []
        answer = await server.sync(since, wait, _WANTED)
        await self._join(server, answer)
        for room, part in answer.rooms.join.items():
            heard = [event.source for event in part.timeline.events]
            if part.timeline.limited and part.timeline.prev_batch:
                heard = await _missed(server, room, part.timeline.prev_batch, since) + heard
            for event in _since_entered(heard, server.me):
                told += await _told(events, server.rooms[room], event)
        await until_kept(receiver, told, _cursor(server.me, answer.next_batch), "matrix")
        return str(answer.next_batch)

    async def _join(self, server: Server, answer: Any) -> bool:
        """Follows invitations by those who may invite the bot; says if there were some."""
        joined = False
        for room, invited in answer.rooms.invite.items():
            by = next((e.sender for e in invited.invite_state if getattr(e, "state_key", "") == server.me), "")
            if not _may_invite(by, self._invites):
                _log.warning("%s invites the bot to %s, and is not among `invites`: it stays out.", by, room)
                continue
            try:
                await server.join(room)
                joined = True
            except NotThere as exc:
                _log.warning("The bot cannot join %s. %s", room, exc)
        return joined

    # What is said

    async def send(self, place: Place, blocks: Sequence[Block], key: str, choices: Sequence[Choice] = ()) -> str:
        content = _content(blocks, bool(choices))
        if place.thread:
            content["m.relates_to"] = {
                "rel_type": "m.thread",
                "event_id": place.thread,
                "is_falling_back": True,
                "m.in_reply_to": {"event_id": place.thread},
            }
        message = await self._connected().put(place.channel, "m.room.message", content, _transaction(key))
        if self._events is not None:
            self._events.remember_own(message, place.thread)
        self._keep(message, [])
        await self._offer(place.channel, message, choices)
        return message

    async def edit(self, place: Place, message: str, blocks: Sequence[Block], choices: Sequence[Choice] = ()) -> None:
        new = _content(blocks, bool(choices))
        content = {
            "msgtype": new["msgtype"],
            "body": f"* {new['body'][:500]}",  # for clients that know no edits
            "m.mentions": {},
            "m.new_content": new,
            "m.relates_to": {"rel_type": "m.replace", "event_id": message},
        }
        await self._connected().put(place.channel, "m.room.message", content)
        if choices:
            await self._offer(place.channel, message, choices)
        else:
            await self._withdraw(place.channel, message)

    async def fetch(self, file: File, most: int) -> bytes:
        return await self._connected().fetch(file, most)

    async def _offer(self, room: str, message: str, choices: Sequence[Choice]) -> None:
        """Puts a reaction for each decision to the message: people need only click."""
        for choice in choices:
            relation = {"rel_type": "m.annotation", "event_id": message, "key": EMOJI[choice.verb]}
            transaction = _transaction(f"{message} {choice.verb}")
            try:
                made = await self._connected().put(room, "m.reaction", {"m.relates_to": relation}, transaction)
            except NotThere as exc:
                if "M_DUPLICATE_ANNOTATION" not in str(exc):
                    raise
                self._offered.pop(message, None)  # it is from another process: to be looked up
                continue
            if made not in (mine := self._offered.get(message, [made])):
                mine.append(made)

    async def _withdraw(self, room: str, message: str) -> None:
        server = self._connected()
        if message not in self._offered:
            self._keep(message, await server.own_reactions(room, message))
        while reactions := self._offered.get(message):
            reaction = reactions.pop()  # first: another edit of the message may be under way
            try:
                await server.redact(room, reaction)
            except BaseException:
                reactions.append(reaction)
                raise

    def _keep(self, message: str, reactions: list[str]) -> None:
        self._offered.setdefault(message, reactions)
        if len(self._offered) > _KEPT:
            del self._offered[next(iter(self._offered))]

    def _connected(self) -> Server:
        if self._server is None:
            raise Unreachable("The bot is not connected to Matrix.")
        return self._server


async def _told(events: Events, room: Any, event: Mapping[str, Any]) -> list[Inbound]:
    try:
        inbound = await events.inbound(room, event)
    except (TypeError, ValueError, LookupError, AttributeError) as exc:  # it would come again for ever
        _log.error("An event in %s cannot be read (%s): %s", room.room_id, type(exc).__name__, event.get("event_id"))
        return []
    return [] if inbound is None else [inbound]


async def _missed(server: Server, room: str, until: str, since: str) -> list[Mapping[str, Any]]:
    """The events between two syncs that are too many for one, the oldest first."""
    missed: list[Mapping[str, Any]] = []
    for _ in range(_PAGES):
        try:
            page, end = await server.before(room, until, since, _TYPES)
        except NotThere as exc:
            _log.warning("What was said in %s meanwhile cannot be read. %s", room, exc)
            break
        missed += [event.source for event in page]
        if not end or end == until:
            break
        until = end
    else:
        _log.warning("More than %d events were missed in %s: the oldest are not read.", 100 * _PAGES, room)
    return missed[::-1]


def _since_entered(events: list[Mapping[str, Any]], me: str) -> list[Mapping[str, Any]]:
    """The events since the bot was invited or came, if that is among them: what was said before is not for it."""
    begin = 0
    for index in range(len(events) - 1, -1, -1):
        event = events[index]
        if event.get("type") != "m.room.member" or event.get("state_key") != me:
            continue
        membership = event.get("content", {}).get("membership")
        before = ((event.get("unsigned") or {}).get("prev_content") or {}).get("membership")
        if membership == "invite" or (membership == "join" and before not in ("join", "invite")):
            return events[index:]
        if membership == "join" and before == "invite":
            begin = index
    return events[begin:]


def _content(blocks: Sequence[Block], asks: bool) -> dict[str, Any]:
    """A message. Notices are what other bots do not answer, and no phone rings for them: only a question is none."""
    return {
        "msgtype": "m.text" if asks else "m.notice",
        "body": body_of(blocks),
        "format": "org.matrix.custom.html",
        "formatted_body": html_of(blocks),
        "m.mentions": {},  # without it names in the text count
        "com.beeper.linkpreviews": [],
    }


def _transaction(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:40]


def _cursor(me: str, since: str) -> str:
    return json.dumps({"user": me, "since": since})


def _since(cursor: str | None, me: str) -> str | None:
    """The sync token to go on from, if it is one of this account."""
    try:
        kept = json.loads(cursor or "{}")
    except ValueError:
        return None
    since = kept.get("since") if isinstance(kept, dict) and kept.get("user") == me else None
    return since if isinstance(since, str) and since else None


def _may_invite(user: str, allowed: Collection[str]) -> bool:
    return any(user == one or (one.startswith("*:") and user.partition(":")[2] == one[2:]) for one in allowed)


def _check(keys: Mapping[str, Any]) -> None:
    for key in keys:
        if key not in _KEYS:
            raise BotError(f"Matrix has no key {key!r}.", hint=f"It has {', '.join(_KEYS)}.")
    address = urlsplit(str(keys.get("homeserver") or ""))
    if address.scheme not in ("http", "https") or not address.hostname:
        raise BotError("Matrix needs `homeserver`, an address like https://matrix.example.org.")
    if not keys.get("token") and not (keys.get("user") and keys.get("password")):
        raise BotError("Matrix needs `token`, or `user` and `password`.")
    if keys.get("user") and not re.fullmatch(r"@[^:\s]+:\S+", str(keys["user"])):
        raise BotError(f"The key `user` of Matrix is a whole user id like @bot:example.org, not {keys['user']!r}.")
    invites = keys.get("invites") or ()
    if not isinstance(invites, (list, tuple)) or not all(
        isinstance(one, str) and re.fullmatch(r"(@[^:\s]+|\*):\S+", one) for one in invites
    ):
        raise BotError("The key `invites` of Matrix is a list of user ids like @ann:example.org, or *:example.org.")
