"""Telegram with people in it: what they write, press and see. The server is in `telegram_server`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from chats.telegram_server import BOT, Server, buttons
from chats.telegram_touch import part, typed
from chats.world import PEOPLE, Seen, Upload, until_seen

from gemmagraph.bots.base import Verb
from gemmagraph.bots.telegram.adapter import TelegramAdapter

VERBS: dict[str, Verb] = {"a": "approve", "r": "reject"}


class World(Server):
    platform: ClassVar[str] = "telegram"
    absent: ClassVar[Mapping[str, str]] = {
        "threads": "a bot cannot hang one on a message; there are forum topics, which the adapter's own tests use",
        "reactions": "it has buttons",
        "deletions": "bots are not told",
    }

    def __init__(self) -> None:
        self.channel, self.other, self.forum = "-1001000000001", "-1001000000002", "-1001000000003"
        self.usernames = {person: f"{person}_of_test" for person in PEOPLE} | {"robot": "robot_of_test_bot"}
        self.people = {
            person: {
                "id": 5000000001 + place,
                "is_bot": person == "robot",
                "first_name": person.capitalize(),
                "username": name,
            }
            for place, (person, name) in enumerate(self.usernames.items())
        }
        chats: dict[str, dict[str, Any]] = {
            id: {"id": int(id), "type": "supergroup", "title": f"Group {id[-1]}"}
            for id in (self.channel, self.other, self.forum)
        }
        chats[self.forum]["is_forum"] = True
        for user in self.people.values():
            chats[str(user["id"])] = {"id": user["id"], "type": "private", "first_name": user["first_name"]}
        super().__init__(chats)
        self.keys: dict[str, Any] = {}

    async def __aenter__(self) -> World:
        await self.start()
        self.keys = {"token": self.token, "base_url": self.address}
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.stop()

    def adapter(self) -> TelegramAdapter:
        return TelegramAdapter(self.keys)

    def user(self, person: str) -> str:
        return str(self.people[person]["id"])

    async def direct(self, person: str) -> str:
        return self.user(person)

    # What people do

    async def say(
        self,
        person: str,
        text: str,
        *,
        channel: str = "",
        thread: str = "",
        to_bot: bool = False,
        files: Sequence[Upload] = (),
    ) -> str:
        """A long text becomes several messages, as the apps do it; the id is that of the first."""
        if to_bot:
            text = f"@{BOT['username']} {text}"
        pieces = list(_pieces(text)) if text or not files else [""]
        first = ""
        for place, piece in enumerate(pieces):
            said, entities = typed(piece)
            more: list[dict[str, Any]] = [{}]
            if place == 0 and files:
                more = [{"document": self._document(upload)} for upload in files]
                if len(more) > 1:
                    more = [{**one, "media_group_id": "13000000000000001"} for one in more]
            for number, one in enumerate(more):
                words = ("caption", "caption_entities") if one else ("text", "entities")
                if said and not number:
                    one = {**one, words[0]: said, **({words[1]: entities} if entities else {})}
                id = self.post(person, one, channel=channel, thread=thread)
                first = first or id
        return first

    def post(self, person: str, content: Mapping[str, Any], *, channel: str = "", thread: str = "") -> str:
        """A message with just these fields, besides those that all have."""
        channel = channel or self.channel
        message = self.new(channel, self.people[person], thread)
        message.update(content)
        self.tell({"message": message})
        return str(message["message_id"])

    def topic(self, name: str) -> str:
        """A new topic in the forum, made by the bot: each message in it answers the bot's first, so to say."""
        message = self.new(self.forum, BOT)
        id: int = message["message_id"]
        message |= {
            "message_thread_id": id,
            "is_topic_message": True,
            "forum_topic_created": {"name": name, "icon_color": 7322096},
        }
        return str(id)

    def answer(self, person: str, channel: str, to: str, text: str) -> str:
        """The person replies to a message; in groups without topics such messages have a thread of their own kind."""
        said, entities = typed(text)
        answered = {key: value for key, value in self.messages[channel][int(to)].items() if key != "reply_to_message"}
        content: dict[str, Any] = {"text": said, "entities": entities, "reply_to_message": answered}
        thread = answered.get("message_thread_id")
        if self.chats[channel].get("is_forum"):
            content |= {"message_thread_id": thread, "is_topic_message": True} if thread else {}
        elif self.chats[channel]["type"] == "supergroup":
            content["message_thread_id"] = int(to)
        return self.post(person, content, channel=channel)

    def _document(self, upload: Upload) -> dict[str, Any]:
        id = f"BQACAgIAAxkBAAI{len(self.files)}"
        self.files[id] = upload.content
        return {
            "file_name": upload.name,
            "mime_type": upload.mime,
            "file_id": id,
            "file_unique_id": f"AgAD{len(self.files)}",
            "file_size": len(upload.content),
        }

    def photo(self, content: bytes) -> list[dict[str, Any]]:
        """The sizes of a picture, the smallest first."""
        ids = [f"AgACAgIAAxkBAAI{len(self.files)}{size}" for size in "sx"]
        self.files[ids[0]], self.files[ids[1]] = content[:1], content
        sides = (90, 800)
        return [
            {
                "file_id": id,
                "file_unique_id": id[-6:],
                "width": side,
                "height": side,
                "file_size": len(self.files[id]),
            }
            for id, side in zip(ids, sides, strict=True)
        ]

    async def change(self, person: str, channel: str, message: str, text: str) -> None:
        said, entities = typed(text)
        changed = self.messages[channel][int(message)]
        assert changed["from"]["id"] == self.people[person]["id"]
        changed |= {"text": said, "edit_date": int(time.time())}
        changed.pop("entities", None)
        if entities:
            changed["entities"] = entities
        self.tell({"edited_message": changed})

    async def delete(self, person: str, channel: str, message: str) -> None:
        self.messages[channel].pop(int(message))

    async def press(self, person: str, channel: str, message: str, verb: Verb) -> None:
        under = self.messages[channel][int(message)]
        carried = [button["callback_data"] for button in buttons(under) if VERBS[button["callback_data"][0]] == verb]
        self.touch(person, channel, message, carried[0])

    def touch(self, person: str, channel: str, message: str, carried: str) -> str:
        """Also what no button carries: an app of one's own may send anything."""
        id = f"4382bfdwdsb323b2d{self._number}"
        self.tell(
            {
                "callback_query": {
                    "id": id,
                    "from": {**self.people[person], "language_code": "en"},
                    "message": self.messages[channel][int(message)],
                    "chat_instance": "-3127832132",
                    "data": carried,
                }
            }
        )
        return id

    async def rename(self, person: str, name: str) -> None:
        self.people[person]["first_name"] = name

    # What people see

    async def seen(self, channel: str, thread: str | None = None) -> list[Seen]:
        there = [self._seen(message) for _, message in sorted(self.messages[channel].items())]
        return [one for one in there if thread is None or one.thread == thread]

    def _seen(self, message: Mapping[str, Any]) -> Seen:
        text = message.get("text", message.get("caption", ""))
        entities = message.get("entities", message.get("caption_entities", []))
        by_id = {user["id"]: person for person, user in self.people.items()} | {BOT["id"]: "bot"}
        by_name = {f"@{user['username']}".lower(): person for person, user in self.people.items()}
        live, pings = [], []
        for one in entities:
            said = part(text, one)
            if one["type"] == "mention":
                pings.append(by_name.get(said.lower(), said))
            elif one["type"] == "text_link":
                live.append(one["url"])
            elif one["type"] not in ("bold", "italic", "code", "pre"):
                live.append(said)
        if message.get("previews"):
            live.append("a preview")
        return Seen(
            id=str(message["message_id"]),
            who=by_id[message["from"]["id"]],
            text=text,
            raw=json.dumps([text, entities]),
            thread=str(message["message_thread_id"]) if message.get("is_topic_message") else "",
            offers=tuple(VERBS[button["callback_data"][0]] for button in buttons(message)),
            edits=message.get("edits", 0),
            live=tuple(live),
            pings=tuple(pings),
        )

    until = until_seen


def _pieces(text: str) -> list[str]:
    return [text[at : at + 4096] for at in range(0, len(text), 4096)] or [""]
