"""Events of a Matrix room as what the core is told.

What an edit, a deletion or a reaction is about decides what it means: it is looked up if it was not seen lately. An
edit counts only if its author is that of the message, as clients see it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gemmagraph.bots.base import Deleted, Edited, File, Inbound, Message, Place, Pressed, Verb
from gemmagraph.bots.matrix.text import text_of

EMOJI: Final[Mapping[Verb, str]] = {"approve": "✅", "reject": "❌"}
"""What a decision looks like. A thumb is none: people put it under what they have only read."""
_VERBS: Final[Mapping[str, Verb]] = {emoji: verb for verb, emoji in EMOJI.items()}
_FILES: Final = ("m.file", "m.image", "m.audio", "m.video")
_KEPT: Final = 5000

_log = logging.getLogger(__name__)


class Room(Protocol):
    """What is known of a room: nio's."""

    room_id: str
    name: str | None
    canonical_alias: str | None
    users: dict[str, Any]

    @property
    def member_count(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Known:
    """What later events about an event need."""

    type: str
    sender: str
    thread: str = ""


LookUp = Callable[[str, str], Awaitable[Mapping[str, Any] | None]]
"""An event of a room by its id; None: there is none, or the bot may not see it."""


class Events:
    """Translates, and remembers of the last events who said them where."""

    def __init__(self, me: str, look_up: LookUp) -> None:
        self.me = me
        self._look_up = look_up
        self._known: OrderedDict[str, Known | None] = OrderedDict()
        self._told_encrypted: set[str] = set()

    async def inbound(self, room: Room, event: Mapping[str, Any]) -> Inbound | None:
        """What is told of an event, if anything.

        Raises:
            TooFast, Unreachable, Revoked: what it is about cannot be looked up now.
        """
        kind, content = event.get("type"), event.get("content")
        if not isinstance(content, Mapping) or not _whole(event) or "state_key" in event:
            return None
        relation = content.get("m.relates_to")
        relation = relation if isinstance(relation, Mapping) else {}
        target = _text(relation.get("event_id"))
        if kind == "m.room.redaction":
            return await self._deleted(room, event, _text(event.get("redacts")) or _text(content.get("redacts")))
        if kind == "m.reaction":
            self._remember(event["event_id"], Known(kind, event["sender"]))
            return await self._pressed(room, event, target, _text(relation.get("key")))
        if kind == "m.room.encrypted":
            self._tell_encrypted(room.room_id)
        if kind != "m.room.message" or not content:
            return None
        if relation.get("rel_type") == "m.replace":
            return await self._edited(room, event, target, content)
        thread = target if relation.get("rel_type") == "m.thread" else ""
        self._remember(event["event_id"], Known(kind, event["sender"], thread))
        return self._message(room, event, content, event["event_id"], thread)

    def _alone(self, room: Room) -> bool:
        """Whether nobody but one person and the bot is there. A room with a name is one for more people."""
        return room.member_count == 2 and not room.name and not room.canonical_alias

    def remember_own(self, event: str, thread: str) -> None:
        """The bot has said this."""
        self._remember(event, Known("m.room.message", self.me, thread))

    def _place(self, room: Room, thread: str) -> Place:
        return Place("", room.room_id, thread, direct=self._alone(room))

    def _name(self, room: Room, user: str) -> str:
        member = room.users.get(user)
        return _text(getattr(member, "display_name", None)) or user.split(":")[0].removeprefix("@")

    def _message(
        self, room: Room, event: Mapping[str, Any], content: Mapping[str, Any], id: str, thread: str
    ) -> Message:
        files = _files(content)
        text, addressed = text_of(content, self.me, (self._name(room, self.me), self.me[1:].split(":")[0]))
        if files and text == files[0].name and _text(content.get("filename")) in ("", text):
            text = ""  # no caption: the body of a file is its name
        return Message(
            event["event_id"],
            self._place(room, thread),
            event["sender"],
            self._name(room, event["sender"]),
            text,
            id,
            addressed,
            machine=event["sender"] == self.me or content.get("msgtype") == "m.notice",
            files=files,
        )

    async def _edited(
        self, room: Room, event: Mapping[str, Any], target: str, content: Mapping[str, Any]
    ) -> Edited | None:
        new, known = content.get("m.new_content"), await self._find(room, target)
        if not isinstance(new, Mapping) or known is None or known.sender != event["sender"]:
            return None
        return Edited(event["event_id"], self._message(room, event, new, target, known.thread))

    async def _deleted(self, room: Room, event: Mapping[str, Any], target: str) -> Deleted | None:
        known = self._known.get(target)
        if not target or event["sender"] == self.me or (known is not None and known.type == "m.reaction"):
            return None
        place = self._place(room, known.thread if known else "")
        return Deleted(event["event_id"], place, target, event["sender"])

    async def _pressed(self, room: Room, event: Mapping[str, Any], target: str, key: str) -> Pressed | None:
        verb = _VERBS.get(key.removesuffix("\ufe0f"))
        if verb is None or event["sender"] == self.me:
            return None
        known = await self._find(room, target)
        if known is None or known.sender != self.me:
            return None
        place = self._place(room, known.thread)
        return Pressed(event["event_id"], place, event["sender"], self._name(room, event["sender"]), target, verb)

    async def _find(self, room: Room, target: str) -> Known | None:
        if not target:
            return None
        if target not in self._known:
            event = await self._look_up(room.room_id, target)
            self._remember(target, _known(event) if event else None)
        return self._known[target]

    def _remember(self, event: str, known: Known | None) -> None:
        self._known[event] = known
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)

    def _tell_encrypted(self, room: str) -> None:
        if room not in self._told_encrypted:
            self._told_encrypted.add(room)
            _log.warning("There are messages in %s that the bot cannot read: they are encrypted.", room)


def _known(event: Mapping[str, Any]) -> Known:
    content = event.get("content")
    relation = content.get("m.relates_to") if isinstance(content, Mapping) else None
    threaded = isinstance(relation, Mapping) and relation.get("rel_type") == "m.thread"
    thread = _text(relation.get("event_id")) if threaded and isinstance(relation, Mapping) else ""
    return Known(_text(event.get("type")), _text(event.get("sender")), thread)


def _whole(event: Mapping[str, Any]) -> bool:
    return isinstance(event.get("event_id"), str) and isinstance(event.get("sender"), str)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _files(content: Mapping[str, Any]) -> tuple[File, ...]:
    """The file that a message is, if it is one that the bot can read."""
    if content.get("msgtype") not in _FILES or not isinstance(content.get("url"), str):
        return ()
    facts = content.get("info")
    facts = facts if isinstance(facts, Mapping) else {}
    size = facts.get("size")
    name = _text(content.get("filename")) or _text(content.get("body")) or "file"
    return (
        File(
            name,
            _text(facts.get("mimetype")) or "application/octet-stream",
            size if isinstance(size, int) and size >= 0 else None,
            {"mxc": content["url"]},
        ),
    )
