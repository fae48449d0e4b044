"""A Mattermost with people in it: the small server of `mattermost_server`, and clients of `mattermost_client`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from chats.mattermost_client import in_browser
from chats.mattermost_server import Server, new_id, now
from chats.world import PEOPLE, Request, Seen, Upload, until_seen

from gemmagraph.bots.base import Adapter, Verb
from gemmagraph.bots.mattermost.adapter import MattermostAdapter
from gemmagraph.bots.mattermost.posts import VERBS

BOT = "gemma"


class World:
    platform: ClassVar[str] = "mattermost"
    absent: ClassVar[Mapping[str, str]] = {"buttons": "they need an address of the bot that the server can call"}

    def __init__(self) -> None:
        self.server = Server()
        self.token = secrets.token_hex(13)
        self.people = {name: self.server.add_user(name) for name in PEOPLE}
        self.people["robot"] = self.server.add_user("robot", is_bot=True)
        self.bot = self.server.add_user(BOT, is_bot=True, bot_description="")
        self.server.tokens[self.token] = self.bot
        everybody = (*self.people.values(), self.bot)
        self.channel = self.server.add_channel("O", *everybody, name="ops")
        self.other = self.server.add_channel("P", *everybody, name="releases")
        self.requests: list[Request] = self.server.requests
        self.keys: dict[str, Any] = {}
        self._directs: dict[str, str] = {}

    async def __aenter__(self) -> World:
        await self.server.start()
        self.keys = {"url": self.server.url, "token": self.token}
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.server.stop()

    def adapter(self) -> Adapter:
        return MattermostAdapter(self.keys)

    def user(self, person: str) -> str:
        return self.people[person]

    async def direct(self, person: str) -> str:
        if person not in self._directs:
            self._directs[person] = self.server.add_channel("D", self.people[person], self.bot)
        return self._directs[person]

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
        names = [self._keep(person, file) for file in files]
        text = f"@{BOT} {text}" if to_bot else text
        post = await self.server.post(self.people[person], channel or self.channel, text, thread, file_ids=names)
        return str(post["id"])

    async def change(self, person: str, channel: str, message: str, text: str) -> None:
        await self.server.rewrite(message, text)

    async def delete(self, person: str, channel: str, message: str) -> None:
        await self.server.take_away(self.people[person], message)

    async def press(self, person: str, channel: str, message: str, verb: Verb) -> None:
        emoji = {"approve": "white_check_mark", "reject": "x"}[verb]
        await self.server.react(self.people[person], message, emoji)

    async def seen(self, channel: str, thread: str | None = None) -> list[Seen]:
        return [
            self._shown(post)
            for post in list(self.server.posts.values())
            if post["channel_id"] == channel
            and not post["delete_at"]
            and not post["type"].startswith("system_")
            and (thread is None or thread == post["root_id"])
        ]

    until = until_seen

    async def redeliver(self) -> None:
        await self.server.tell_again()

    async def drop(self) -> None:
        self.server.cut()

    def refuse(self, seconds: float, times: int = 1) -> None:
        self.server.pauses += [seconds] * times

    async def rename(self, person: str, name: str) -> None:
        user = self.server.users[self.people[person]]
        user |= {"username": name, "update_at": now()}
        await self.server.tell("user_updated", {"user": user})

    def revoke(self) -> None:
        self.server.tokens.clear()

    def forbid(self, channel: str) -> None:
        self.server.forbidden.add(channel)

    def _keep(self, person: str, file: Upload) -> str:
        name = new_id()
        self.server.files[name] = file.content
        self.server.infos[name] = {
            "id": name,
            "user_id": self.people[person],
            "post_id": "",
            "channel_id": "",
            "create_at": now(),
            "update_at": now(),
            "delete_at": 0,
            "name": file.name,
            "extension": file.name.rpartition(".")[2],
            "size": len(file.content),
            "mime_type": file.mime,
            "has_preview_image": False,
            "remote_id": "",
        }
        return name

    def _shown(self, post: Mapping[str, Any]) -> Seen:
        shown = in_browser(post["message"])
        who = {user: name for name, user in self.people.items()} | {self.bot: "bot"}
        names = {user["username"]: who[user["id"]] for user in self.server.users.values()}
        groups = {"all": "everyone", "channel": "everyone", "here": "everyone"}
        offers = [VERBS[one["emoji_name"]] for one in self.server.of_post(post["id"]) if one["user_id"] == self.bot]
        return Seen(
            id=post["id"],
            who=who[post["user_id"]],
            text=shown.text,
            raw=post["message"],
            thread=post["root_id"],
            offers=tuple(offers),
            edits=self.server.edits[post["id"]],
            live=tuple(shown.live),
            pings=tuple(name for said in shown.mentioned if (name := (names | groups).get(said))),
        )
