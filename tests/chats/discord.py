"""Discord as its users see it: people at the stand-in in `discord_service.py`."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from chats.discord_service import (
    BOT,
    BOT_ROLE,
    DM,
    GUILD,
    RIGHTS,
    TEXT,
    VOICE,
    Service,
    member,
    now,
    served,
    user,
)
from chats.discord_view import View
from chats.world import PEOPLE, Request, Seen, Upload, until_seen

from gemmagraph.bots.base import Adapter, Verb
from gemmagraph.bots.discord.adapter import DiscordAdapter

IDS = {"ann": "101", "bob": "102", "eve": "103", "robot": "104"}
SECONDS = 10.0


class World:
    platform: ClassVar[str] = "discord"
    absent: ClassVar[Mapping[str, str]] = {
        "reactions": "people decide with buttons",
    }

    def __init__(self) -> None:
        self.service = Service()
        self.keys: dict[str, Any] = {}
        self.channel, self.other, self.voice = "201", "202", "203"
        for person, number in IDS.items():
            self.service.users[number] = user(number, person, bot=person == "robot")
        for number, name in ((self.channel, "general"), (self.other, "other")):
            self.service.add_channel(number, TEXT, name)
        self.service.add_channel(self.voice, VOICE, "voice", bitrate=64000, user_limit=0)
        for at, person in enumerate((*PEOPLE, "robot"), 301):
            self.service.add_channel(str(at), DM, "", recipients=[self.service.users[IDS[person]]])
        self._runner: Any = None
        self._thrown: Any = None
        self._views: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._buttons: dict[str, set[str]] = {}
        """All that a message has ever had: an old client may still show them."""

    async def __aenter__(self) -> World:
        self._runner = await served(self.service)
        self.keys = {"token": self.service.token, "base_url": self.service.url}
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.service.close()
        await self._runner.cleanup()

    @property
    def requests(self) -> list[Request]:
        return [Request(at, what, message, refused) for at, what, message, refused in self.service.heard]  # type: ignore[arg-type]

    def adapter(self) -> Adapter:
        return DiscordAdapter(self.keys)

    def user(self, person: str) -> str:
        return BOT if person == "bot" else IDS[person]

    async def direct(self, person: str) -> str:
        return str(301 + (*PEOPLE, "robot").index(person))

    async def say(
        self,
        person: str,
        text: str,
        *,
        channel: str = "",
        thread: str = "",
        to_bot: bool = False,
        files: Sequence[Upload] = (),
        reply_to: str = "",
        by_role: bool = False,
        **more: Any,
    ) -> str:
        """
        Args:
            reply_to: a message that this one is a reply to; its author is notified.
            by_role: the bot is mentioned as the role of its name.
            more: of the payload.
        """
        service, channel = self.service, channel or self.channel
        if thread:
            if thread not in service.channels:
                await service.add_thread(channel, thread, "thread")
            service.channels[thread]["thread_metadata"]["archived"] = False  # nobody is told with the message
            channel = thread
        if to_bot:
            text = f"<@&{BOT_ROLE}> {text}" if by_role else f"<@{BOT}> {text}"
        attachments = []
        for file in files:
            number = service.new_id()
            service.contents[number] = file.content
            safe = re.sub(r"[^\w.-]|^\.+", "_", file.name)
            url = f"{service.url}/files/{number}/{safe}?ex=1&is=2&hm=3"
            kept = {"id": number, "filename": file.name, "content_type": file.mime, "size": len(file.content)}
            attachments.append({**kept, "url": url, "proxy_url": url})
        if reply_to:
            more |= {"type": 19, "message_reference": {"message_id": reply_to, "channel_id": channel}}
            more |= {"mentions": [service.messages[channel][reply_to]["author"]]}
        message = await service.add_message(channel, IDS[person], text, attachments=attachments, **more)
        return str(message["id"])

    async def change(self, person: str, channel: str, message: str, text: str) -> None:
        kept = self._found(channel, message)
        assert kept["author"]["id"] == IDS[person]
        kept |= {"content": text, "edited_timestamp": now(), "_edits": kept.get("_edits", 0) + 1}
        await self.service.dispatch("MESSAGE_UPDATE", self.service.told(kept))

    async def preview(self, channel: str, message: str) -> None:
        """The service has found a preview for an address in a message."""
        await self.service.dispatch("MESSAGE_UPDATE", self.service.told(self._found(channel, message)))

    async def delete(self, person: str, channel: str, *messages: str) -> None:
        kept = [self._found(channel, message) for message in messages]
        where = kept[0]["channel_id"]
        for message in messages:
            del self.service.messages[where][message]
        told: dict[str, Any] = {"channel_id": where}
        if self.service.channels[where].get("guild_id"):
            told["guild_id"] = GUILD
        if len(messages) == 1:
            await self.service.dispatch("MESSAGE_DELETE", {"id": messages[0], **told})
        else:
            await self.service.dispatch("MESSAGE_DELETE_BULK", {"ids": list(messages), **told})

    def archive(self, thread: str) -> None:
        """Nothing was said in a thread for long."""
        self.service.channels[thread]["thread_metadata"]["archived"] = True

    async def press(self, person: str, channel: str, message: str, verb: Verb) -> None:
        kept = self._found(channel, message)
        self._note(kept)
        offered = [name for name in self._buttons.get(message, ()) if name.startswith(f"{verb}:")]
        assert offered, f"no button to {verb}"
        data = {"component_type": 2, "custom_id": offered[0]}
        await self._interact(person, 3, kept["channel_id"], data, message=self.service.told(kept))

    async def command(self, person: str, name: str, channel: str = "") -> str:
        """The person uses a slash command; the id of the interaction."""
        assert name in {one["name"] for one in self.service.commands}
        return await self._interact(person, 2, channel or self.channel, {"id": "1", "name": name, "type": 1})

    async def _interact(self, person: str, kind: int, channel: str, data: Any, **more: Any) -> str:
        service, number = self.service, self.service.new_id()
        place, who = service.channels[channel], service.users[IDS[person]]
        secret = f"secret-of-{number}"
        told = {"id": number, "application_id": BOT, "type": kind, "data": data, "token": secret, "version": 1}
        told |= {"channel_id": channel, "channel": place, "app_permissions": RIGHTS, "locale": "en-US", **more}
        told |= {"entitlements": [], "authorizing_integration_owners": {"0": GUILD}, "attachment_size_limit": 1 << 20}
        if place.get("guild_id"):
            there = {"id": GUILD, "locale": "en-US", "features": []}
            person_there = {**member(who), "user": who, "permissions": RIGHTS}
            told |= {"guild_id": GUILD, "guild": there, "guild_locale": "en-US", "member": person_there, "context": 0}
        else:
            told |= {"user": who, "context": 1}
        service.pressed[number] = (time.monotonic(), secret)
        await service.dispatch("INTERACTION_CREATE", told)
        return number

    async def answered(self, interaction: str = "") -> Any:
        """How the bot has answered an interaction; without one, the last."""
        number = interaction or list(self.service.pressed)[-1]
        return (await asyncio.wait_for(self.service.answer_to(number), SECONDS))[1]

    async def seen(self, channel: str, thread: str | None = None) -> list[Seen]:
        service = self.service
        inside = [one["id"] for one in service.channels.values() if one.get("parent_id") == channel]
        where = [channel, *inside] if thread is None else [thread or channel]
        kept = [message for one in where for message in service.messages.get(one, {}).values()]
        return [self._seen(message, channel) for message in sorted(kept, key=lambda one: int(one["id"]))]

    def _seen(self, message: dict[str, Any], channel: str) -> Seen:
        self._note(message)
        author = message["author"]["id"]
        text, live = self._viewed(message["content"])
        pings = [self._person(one["id"]) for one in message["mentions"]]
        where = message["channel_id"]
        offers: dict[Verb, None] = {}
        for name in _buttons(message):
            offers["approve" if name.startswith("approve:") else "reject"] = None
        return Seen(
            id=message["id"],
            who=self._person(author),
            text=text,
            raw=message["content"],
            thread="" if where == channel else where,
            offers=tuple(offers),
            edits=message.get("_edits", 0),
            live=live,
            pings=(*pings, *(["everyone"] if message["mention_everyone"] else [])),
        )

    def _viewed(self, content: str) -> tuple[str, tuple[str, ...]]:
        if content not in self._views:
            view = View(self._named)
            self._views[content] = (view.show(content).strip(), tuple(view.live))
        return self._views[content]

    until = until_seen

    async def redeliver(self) -> None:
        await self.service.again()

    async def drop(self) -> None:
        self.service.cut()

    def refuse(self, seconds: float, times: int = 1) -> None:
        self.service.refusals += [seconds] * times

    async def rename(self, person: str, name: str) -> None:
        self.service.users[IDS[person]] |= {"global_name": name}
        self._views.clear()

    def revoke(self) -> None:
        self.service.token = "another"
        self._thrown = asyncio.get_running_loop().create_task(self.service.throw_out())

    def forbid(self, channel: str) -> None:
        self.service.forbidden.add(channel)

    def _found(self, channel: str, message: str) -> dict[str, Any]:
        for where in (channel, *self.service.channels):
            if message in self.service.messages.get(where, {}):
                return self.service.messages[where][message]
        raise LookupError(f"no message {message}")

    def _note(self, message: dict[str, Any]) -> None:
        self._buttons.setdefault(message["id"], set()).update(_buttons(message))

    def _person(self, number: str) -> str:
        return "bot" if number == BOT else next((one for one, kept in IDS.items() if kept == number), number)

    def _named(self, mark: str, number: str) -> str:
        if mark == "#":
            return f"#{self.service.channels.get(number, {}).get('name', 'unknown')}"
        return f"@{self.service.users.get(number, {}).get('global_name', 'unknown')}"


def _buttons(message: dict[str, Any]) -> list[str]:
    return [button["custom_id"] for row in message["components"] for button in row["components"]]
