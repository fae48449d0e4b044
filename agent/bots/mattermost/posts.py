"""What a Mattermost server tells (posts, reactions, people) as what the core of bots hears."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from gemmagraph.bots.base import Deleted, Edited, File, Inbound, Message, Place, Pressed, Verb
from gemmagraph.bots.errors import NotThere
from gemmagraph.bots.mattermost.text import said

VERBS: Final[Mapping[str, Verb]] = {
    "white_check_mark": "approve",
    "+1": "approve",
    "thumbsup": "approve",
    "x": "reject",
    "-1": "reject",
    "thumbsdown": "reject",
}
"""Reactions that decide. `thumbsup` is what some clients send for `+1`."""

_MACHINES: Final = ("from_bot", "from_webhook", "from_oauth_app", "from_plugin")
"""Props of posts that no person typed; some bear the id of the person who set the webhook or command up."""

_UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError)
"""What comes of payloads that are not as they should be."""

_REMEMBERED: Final = 2_000
"""Posts of which it is known whether they are the bot's."""

Posted: TypeAlias = Collection[Mapping[str, Any]]

_log: Final = logging.getLogger(__name__)


class Ask(Protocol):
    """How a server is asked; `method` is GET or POST."""

    async def __call__(self, method: str, path: str, body: Any = None) -> Any: ...


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    name: str
    machine: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """What one frame of the websocket has told."""

    events: tuple[Inbound, ...] = ()
    at: int = 0
    """The time that the server put on it, in milliseconds."""


class Posts:
    """Posts of one server as one bot sees them, and whom and what it has met in them.

    Args:
        me: the bot itself.
    """

    def __init__(self, me: Person, ask: Ask) -> None:
        self.me = me
        self._ask = ask
        self._people: dict[str, Person] = {}
        self._direct: dict[str, bool] = {}
        self._own: dict[str, Place | None] = {}

    def meet(self, channels: Iterable[Mapping[str, Any]]) -> None:
        """Remembers which channels are of one person and the bot."""
        self._direct |= {channel["id"]: channel["type"] == "D" for channel in channels}

    async def of_frame(self, frame: Mapping[str, Any]) -> Heard:
        """What a frame of the websocket tells; nothing if it is about something else, or makes no sense."""
        try:
            return await self._of_frame(frame)
        except _UNREADABLE as exc:
            _log.warning("An event of mattermost could not be read: %s", type(exc).__name__)
            return Heard()

    async def _of_frame(self, frame: Mapping[str, Any]) -> Heard:
        told = frame.get("data") or {}
        match frame.get("event"):
            case "posted":
                post = json.loads(told["post"])
                if kind := told.get("channel_type"):
                    self._direct[post["channel_id"]] = kind == "D"
                if (name := told.get("sender_name")) and not _of_machine(post):
                    person = Person(post["user_id"], name.removeprefix("@"), machine=False)
                    self._people.setdefault(person.id, person)
                message = await self.message(post)
                return Heard((message,) if message else (), post["create_at"])
            case "post_edited":
                post = json.loads(told["post"])
                edited = await self._edited(post)
                return Heard((edited,) if edited else (), post["edit_at"])
            case "post_deleted":
                post = json.loads(told["post"])
                return Heard((await self._deleted(post, told.get("delete_by") or ""),), post["delete_at"])
            case "reaction_added":
                reaction = json.loads(told["reaction"])
                pressed = await self._pressed(reaction)
                return Heard((pressed,) if pressed else (), reaction["create_at"])
            case "user_updated":
                self._remember([told["user"]])
        return Heard()

    async def changed(self, posts: Posted, since: int, known: int) -> list[tuple[int, Inbound]]:
        """What has happened to some posts after a time, and when.

        Args:
            known: up to which time all was told before; what was written later and then changed is told as it is now.
        """
        await self._learn(post["user_id"] for post in posts if "user_id" in post)
        happened: list[tuple[int, Inbound]] = []
        for post in posts:
            try:
                happened += await self._changed(post, since, known)
            except _UNREADABLE as exc:
                _log.warning("A post of mattermost could not be read: %s", type(exc).__name__)
        return happened

    async def _changed(self, post: Mapping[str, Any], since: int, known: int) -> list[tuple[int, Inbound]]:
        if post.get("original_id"):  # what a post was before an edit
            return []
        if post["delete_at"]:
            return [(post["delete_at"], await self._deleted(post))] if post["delete_at"] > since else []
        happened: list[tuple[int, Inbound]] = []
        if post["create_at"] > since and (message := await self.message(post)):
            happened.append((post["create_at"], message))
        if post["edit_at"] > since and post["create_at"] <= known and (edited := await self._edited(post)):
            happened.append((post["edit_at"], edited))
        if post["user_id"] == self.me.id:
            self.keep(post["id"], await self._place(post))
            for reaction in _reactions(post):
                if reaction["create_at"] > since and (pressed := await self._pressed(reaction)):
                    happened += [(reaction["create_at"], pressed)]
        return happened

    def keep(self, post_id: str, place: Place | None) -> None:
        """Remembers where a post of the bot stands; None: it is somebody else's."""
        self._own[post_id] = place
        if len(self._own) > _REMEMBERED:
            del self._own[next(iter(self._own))]

    def offered(self, post: Mapping[str, Any]) -> set[str]:
        """The reactions for deciding that the bot itself has put there."""
        return {
            reaction["emoji_name"]
            for reaction in _reactions(post)
            if reaction["user_id"] == self.me.id and reaction["emoji_name"] in VERBS
        }

    async def message(self, post: Mapping[str, Any]) -> Message | None:
        """The post as a message; None if the server itself wrote it."""
        if str(post.get("type") or "").startswith("system_"):
            return None
        person = await self._person(post["user_id"])
        text, addressed = said(post.get("message_source") or post["message"], self.me.name)
        return Message(
            event=f"post:{post['id']}",
            place=await self._place(post),
            user=post["user_id"],
            name=person.name,
            text=text,
            id=post["id"],
            addressed=addressed,
            machine=_of_machine(post) or person.machine or person.id == self.me.id,
            files=tuple(_files(post)),
        )

    async def _edited(self, post: Mapping[str, Any]) -> Edited | None:
        """Edits of the bot's own posts are not told: it makes them all the time, and they are its own."""
        message = await self.message(post) if post["edit_at"] and post["user_id"] != self.me.id else None
        return Edited(f"edit:{post['id']}:{post['edit_at']}", message) if message else None

    async def _deleted(self, post: Mapping[str, Any], by: str = "") -> Deleted:
        user = by or str((post.get("props") or {}).get("deleteBy") or "")
        return Deleted(f"delete:{post['id']}", await self._place(post), post["id"], user)

    async def _pressed(self, reaction: Mapping[str, Any]) -> Pressed | None:
        verb = VERBS.get(reaction["emoji_name"])
        if verb is None or reaction["user_id"] == self.me.id:
            return None
        if (place := await self._own_place(reaction["post_id"])) is None:
            return None
        person = await self._person(reaction["user_id"])
        event = f"reaction:{reaction['post_id']}:{person.id}:{reaction['emoji_name']}:{reaction['create_at']}"
        return Pressed(event, place, person.id, person.name, reaction["post_id"], verb)

    async def _own_place(self, post_id: str) -> Place | None:
        """Where a post of the bot stands; None if it is somebody else's, or gone."""
        if post_id not in self._own:
            place = None
            try:
                post = await self._ask("GET", f"posts/{post_id}")
            except NotThere:
                pass
            else:
                place = await self._place(post) if post["user_id"] == self.me.id else None
            self.keep(post_id, place)
        return self._own[post_id]

    async def _place(self, post: Mapping[str, Any]) -> Place:
        channel = post["channel_id"]
        if channel not in self._direct:
            try:
                self.meet([await self._ask("GET", f"channels/{channel}")])
            except NotThere:
                self._direct[channel] = False
        return Place("", channel, post.get("root_id") or "", self._direct[channel])

    async def _person(self, user_id: str) -> Person:
        await self._learn([user_id])
        return self._people.get(user_id) or Person(user_id, user_id, machine=False)

    async def _learn(self, users: Iterable[str]) -> None:
        if unknown := sorted({user for user in users if user and user not in self._people}):
            self._remember(await self._ask("POST", "users/ids", unknown))

    def _remember(self, users: Iterable[Mapping[str, Any]]) -> None:
        for user in users:
            person = Person(user["id"], user["username"], bool(user.get("is_bot")))
            self._people[person.id] = person
            if person.id == self.me.id:
                self.me = person


def _of_machine(post: Mapping[str, Any]) -> bool:
    props = post.get("props") or {}
    return any(str(props.get(sign)).lower() == "true" for sign in _MACHINES)


def _reactions(post: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return (post.get("metadata") or {}).get("reactions") or []


def _files(post: Mapping[str, Any]) -> Iterator[File]:
    for file in (post.get("metadata") or {}).get("files") or []:
        yield File(
            file["name"], file.get("mime_type") or "application/octet-stream", file.get("size"), {"id": file["id"]}
        )
