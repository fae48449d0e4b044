"""Slack, as its people see it, for tests: people with Slack's client on one side, our bot on the other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from chats.slack_service import APP, APP_TOKEN, BOT, BOT_ID, TEAM, TOKEN, Service, kind
from chats.world import PEOPLE, Request, Seen, Upload, until, until_seen

from gemmagraph.bots.base import Verb
from gemmagraph.bots.slack.adapter import SlackAdapter

IDS = {"ann": "U0ANN0000", "bob": "U0BOB0000", "eve": "U0EVE0000", "robot": "U0ROBOT00", "bot": BOT}
WHO = {user: person for person, user in IDS.items()}
WHAT = {"chat.postMessage": "send", "chat.update": "edit"}
URL = re.compile(r"https?://[^\s<>|]+")
BARE = re.compile(r"(?<![\w@.-])(?:[\w-]+\.)+(?:com|org|net|io|dev|example|test)\b(?:/[^\s<>|]*)?")
MARK = re.compile(r"<([^<>\n]+)>")


class World:
    """See `chats.world.World`."""

    platform: ClassVar[str] = "slack"
    absent: ClassVar[Mapping[str, str]] = {"reactions": "people decide by buttons"}

    def __init__(self) -> None:
        self.channel, self.other = "C0OPS0000", "C0DEV0000"
        self.service = Service()
        self.service.messages = {self.channel: [], self.other: [], **{direct(one): [] for one in PEOPLE}}
        self.service.members = {user: person.capitalize() for person, user in IDS.items()}
        self.keys: dict[str, Any] = {}

    async def __aenter__(self) -> World:
        await self.service.__aenter__()
        self.keys = {"token": TOKEN, "app_token": APP_TOKEN, "base_url": f"{self.service.url}/api/"}
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.service.__aexit__(*failure)

    def adapter(self) -> SlackAdapter:
        return SlackAdapter(self.keys)

    def user(self, person: str) -> str:
        return f"{TEAM}/{IDS[person]}"

    async def direct(self, person: str) -> str:
        return direct(person)

    @property
    def requests(self) -> list[Request]:
        return [
            Request(at, WHAT.get(method, "other"), message, pause)  # type: ignore[arg-type]  # one of the three words
            for at, method, message, pause in self.service.asked
        ]

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
        message: dict[str, Any] = {
            "type": "message",
            "user": IDS[person],
            "team": TEAM,
            "ts": self.service.ts(),
            **typed(text, to_bot),
        }
        if thread:
            message["thread_ts"] = thread
        if person == "robot":
            message |= {"bot_id": "B0ROBOT00", "app_id": "A0ROBOT00", "bot_profile": {"name": "Robot"}}
        if files:
            message |= {"subtype": "file_share", "upload": False, "files": [self._upload(one) for one in files]}
        return str(self.service.put(channel or self.channel, message)["ts"])

    def _upload(self, file: Upload) -> dict[str, Any]:
        number = f"F{len(self.service.files):08}"
        address = f"{self.service.url}/files-pri/{TEAM}-{number}/"
        shown = {
            "id": number,
            "name": file.name,
            "title": file.name,
            "mimetype": file.mime,
            "size": len(file.content),
            "mode": "hosted",
            "file_access": "visible",
            "url_private": f"{address}x",
            "url_private_download": f"{address}download",
        }
        self.service.files[f"{TEAM}-{number}"] = (shown, file.content)
        return shown

    async def change(self, person: str, channel: str, message: str, text: str) -> None:
        new = self._message(channel, message)
        old = dict(new)
        new.update(typed(text, False), edited={"user": IDS[person], "ts": self.service.ts()})
        self.service.changed(channel, new, old)

    async def delete(self, person: str, channel: str, message: str) -> None:
        old = self._message(channel, message)
        if old.get("reply_count"):
            stone = {"type": "message", "subtype": "tombstone", "ts": message, "thread_ts": message, "text": "Gone."}
            self.service.changed(channel, stone, old)
            return
        self.service.messages[channel].remove(old)
        about = {"channel": channel, "channel_type": kind(channel), "hidden": True, "previous_message": old}
        about |= {"deleted_ts": message, "ts": self.service.ts(), "event_ts": self.service.ts()}
        self.service.tell({"type": "message", "subtype": "message_deleted", **about})

    def _message(self, channel: str, ts: str) -> dict[str, Any]:
        message = self.service.message(channel, ts)
        assert message is not None, f"There is no message {ts!r} in {channel}."
        return message

    async def press(self, person: str, channel: str, message: str, verb: Verb) -> None:
        under = self._message(channel, message)
        button = next(one for one in buttons(under) if one["action_id"].endswith(verb))
        container = {"type": "message", "message_ts": message, "channel_id": channel, "is_ephemeral": False}
        if thread := under.get("thread_ts"):
            container["thread_ts"] = thread
        user = {"id": IDS[person], "username": person, "name": person, "team_id": TEAM}
        payload = {
            "type": "block_actions",
            "user": user,
            "api_app_id": APP,
            "token": "verification",
            "container": container,
            "trigger_id": "1.2.3",
            "team": {"id": TEAM, "domain": "team"},
            "channel": {"id": channel, "name": "directmessage" if channel[0] == "D" else "ops"},
            "message": under,
            "response_url": "https://hooks.slack.com/actions/T/1/x",
            "actions": [{**button, "block_id": "b", "action_ts": self.service.ts()}],
        }
        self.service.delivered.append(("interactive", payload))
        await until(lambda: self.service.sockets, "the bot to be there")
        assert await self.service.attempt("interactive", payload), "Slack shows that the app did not answer in time."

    async def seen(self, channel: str, thread: str | None = None) -> list[Seen]:
        kept = [shown(one) for one in self.service.messages[channel]]
        return [one for one in kept if thread is None or one.thread == thread]

    until = until_seen

    async def redeliver(self) -> None:
        await until(lambda: self.service.sockets, "the bot to be there")
        for kind_of_it, payload in list(self.service.delivered):
            for attempt in range(1, 4):
                if await self.service.attempt(kind_of_it, payload, attempt):
                    break

    async def drop(self) -> None:
        for socket in (cut := list(self.service.sockets)):
            socket.cut.abort()  # type: ignore[attr-defined]  # the stand-in puts it there
        await until(lambda: not any(one in self.service.sockets for one in cut), "the end of the connection")

    async def until_gone(self) -> None:
        """Until the bot has no connection."""
        await until(lambda: not self.service.sockets, "the end of the connection")

    def refuse(self, seconds: float, times: int = 1) -> None:
        self.service.refusals += [seconds] * times

    async def rename(self, person: str, name: str) -> None:
        self.service.members[IDS[person]] = name
        self.service.tell(
            {"type": "user_change", "user": self.service.user(IDS[person]), "event_ts": self.service.ts()}
        )

    def revoke(self) -> None:
        self.service.revoked = True
        for socket in list(self.service.sockets):
            socket.cut.abort()  # type: ignore[attr-defined]  # the stand-in puts it there

    def forbid(self, channel: str) -> None:
        self.service.closed.add(channel)


def direct(person: str) -> str:
    return f"D0{person.upper()}0000"


def typed(text: str, to_bot: bool) -> dict[str, Any]:
    """What Slack's client sends when somebody types this: `blocks`, and `text` made of them."""
    parts: list[dict[str, Any]] = []
    plain = f"<@{BOT}> " if to_bot else ""
    section: list[dict[str, Any]] = [{"type": "user", "user_id": BOT}, _text(" ")] if to_bot else []
    for number, piece in enumerate(re.split(r"```\n?(.*?)\n?```\n?", text, flags=re.DOTALL)):
        if number % 2:
            parts += [{"type": "rich_text_section", "elements": section}] if section else []
            parts.append({"type": "rich_text_preformatted", "elements": [_text(piece or " ")]})
            section, plain = [], f"{plain}```{escaped(piece)}```"
        else:
            at = 0
            for found in URL.finditer(piece):
                section += [_text(piece[at : found.start()])] if found.start() > at else []
                section.append({"type": "link", "url": found.group()})
                at = found.end()
            section += [_text(piece[at:])] if piece[at:] else []
            plain += URL.sub("\x01\\g<0>\x02", piece).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    parts += [{"type": "rich_text_section", "elements": section}] if section else []
    plain = plain.replace("\x01", "<").replace("\x02", ">")
    return {"text": plain, "blocks": [{"type": "rich_text", "block_id": "x", "elements": parts}] if parts else []}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def buttons(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    blocks = [block for block in message.get("blocks") or () if block["type"] == "actions"]
    return [element for block in blocks for element in block["elements"]]


def shown(message: Mapping[str, Any]) -> Seen:
    """A message as Slack's client shows it."""
    live: list[str] = []
    pings: list[str] = []
    rich = [block for block in message.get("blocks") or () if block["type"] == "rich_text"]
    notice = mrkdwn(message["text"], live_of_notice := [], pings, str(message.get("asked", {}).get("parse")))
    text = (
        "\n".join(element_text(part, live, pings) for block in rich for part in block["elements"]) if rich else notice
    )
    asked = message.get("asked")
    if not rich:
        live += live_of_notice
    if asked and not (asked["unfurl_links"] is False and asked["unfurl_media"] is False):
        live += live_of_notice  # looked at by Slack itself
    return Seen(
        id=message["ts"],
        who=WHO.get(message.get("user", ""), "robot"),
        text=text,
        raw=repr({"text": message["text"], "blocks": message.get("blocks")}),
        thread=message.get("thread_ts", "") if message.get("thread_ts") != message["ts"] else "",
        offers=tuple(verb for one in buttons(message) for verb in ("approve", "reject") if verb in one["action_id"]),
        edits=message.get("edits", 0) if message.get("bot_id") == BOT_ID else 0,
        live=tuple(live),
        pings=tuple(pings),
    )


def element_text(element: Mapping[str, Any], live: list[str], pings: list[str]) -> str:
    """An element of a `rich_text` block: Slack looks for nothing in its texts."""
    match element["type"]:
        case "text":
            return str(element["text"])
        case "link":
            live.append(element["url"])
            return str(element.get("text") or element["url"])
        case "user":
            pings.append(WHO.get(element["user_id"], element["user_id"]))
            return f"@{WHO.get(element['user_id'])}"
        case "broadcast":
            pings.append({"channel": "everyone"}.get(element["range"], element["range"]))
            return f"@{element['range']}"
        case "rich_text_section" | "rich_text_preformatted" | "rich_text_quote":
            return "".join(element_text(one, live, pings) for one in element["elements"])
        case other:
            raise AssertionError(f"The stand-in knows no {other!r}.")


def mrkdwn(text: str, live: list[str], pings: list[str], parse: str) -> str:
    """`text` as Slack reads it: what stands in <> is live, and so is what looks like an address."""

    def mark(found: re.Match[str]) -> str:
        target, _, name = found.group(1).partition("|")
        if target[0] == "@":
            pings.append(WHO.get(target[1:], target[1:]))
        elif target[0] == "!":
            pings.append({"!channel": "everyone", "!everyone": "everyone"}.get(target, target[1:]))
        elif target[0] != "#":
            live.append(target)
        return name or target

    rest = MARK.sub(" ", text)
    live += [found for pattern in (URL, BARE) for found in pattern.findall(rest)]
    if parse == "full":
        pings += [name for name in ("channel", "here", "everyone") if f"@{name}" in rest]
    shown = MARK.sub(mark, text)
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
