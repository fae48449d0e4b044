"""A stand-in for Discord: its API and its gateway, as far as a bot needs them, for the library discord.py.

Payloads, codes and limits are those of https://discord.com/developers/docs (version 10). What it keeps is plain data:
`World` in `discord.py` beside it plays the people.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

TOKEN = "MTAw.Gx_stand-in.not-a-real-token-of-anybody"
GUILD, APPLICATION, BOT, BOT_ROLE = "500", "600", "600", "650"
EPOCH = 1_420_070_400_000
TEXT, DM, VOICE, PUBLIC_THREAD, FORUM = 0, 1, 2, 11, 15
CONTENT_INTENT = 1 << 15
RIGHTS = str(1 << 10 | 1 << 11 | 1 << 16)


class Refusal(Exception):
    """What the API answers instead."""

    def __init__(self, status: int, code: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.body, self.headers = status, {"code": code, "message": message}, headers


@dataclass
class Session:
    content: bool
    socket: web.WebSocketResponse | None
    packer: Any = None
    events: list[tuple[str, Any]] = field(default_factory=list)
    """What was sent, or would have been; the sequence number is the place, from 1."""

    async def push(self, op: int, data: Any = None, name: str | None = None, seq: int | None = None) -> None:
        if self.socket is None or self.socket.closed:
            return
        text = json.dumps({"op": op, "d": data, "t": name, "s": seq}).encode()
        try:
            await self.socket.send_bytes(self.packer(text))
        except ConnectionError:
            self.socket = None

    async def dispatch(self, name: str, data: Any) -> None:
        if name.startswith("MESSAGE_") and "author" in data and not self.content and not self._always(data):
            data = {**data, "content": "", "attachments": [], "components": []}
        self.events.append((name, data))
        await self.push(0, data, name, len(self.events))

    @staticmethod
    def _always(message: Any) -> bool:
        ours = message["author"]["id"] == BOT or any(user["id"] == BOT for user in message["mentions"])
        return ours or "guild_id" not in message


class Service:
    def __init__(self) -> None:
        self.url = ""
        self.token = TOKEN
        self.users: dict[str, dict[str, Any]] = {BOT: user(BOT, "Gemma", bot=True)}
        self.channels: dict[str, dict[str, Any]] = {}
        self.messages: dict[str, dict[str, dict[str, Any]]] = {}
        """By channel and id."""
        self.contents: dict[str, bytes] = {}
        """Of attachments."""
        self.commands: list[Any] = []
        self.command_writes = 0
        self.sessions: dict[str, Session] = {}
        self.identified = 0
        self.resumed = 0
        self.content_allowed = True
        self.resumable = True
        self.down = False
        """Whether connections are refused, as while Discord fails."""
        self.forbidden: set[str] = set()
        self.bucket: tuple[int, float] | None = None
        """Sends and edits of a channel that are allowed in so many seconds, as told in headers."""
        self.refusals: list[float] = []
        self.heard: list[tuple[float, str, str, float]] = []
        """When, what, about which message, refused for how long."""
        self.answers: dict[str, tuple[float, Any]] = {}
        """Interactions by id: when they were answered and how."""
        self.pressed: dict[str, tuple[float, str]] = {}
        """Interactions by id: when, and the secret."""
        self.tokens_seen_by_files: list[str] = []
        self.file_redirect = ""
        self.file_pause = 0.0
        self._used: dict[str, tuple[float, int]] = {}
        self._last = 0
        self._told: list[tuple[str, Any]] = []
        self._answered_one = asyncio.Event()
        self._sockets: set[web.WebSocketResponse] = set()

    def new_id(self) -> str:
        self._last = max(self._last + 1, (int(time.time() * 1000) - EPOCH) << 22)
        return str(self._last)

    # Gateway

    async def gateway(self, request: web.Request) -> web.WebSocketResponse:
        if self.down:
            raise web.HTTPServiceUnavailable
        assert request.query["v"] == "10"
        socket = web.WebSocketResponse(max_msg_size=4096)
        await socket.prepare(request)
        self._sockets.add(socket)
        session = Session(True, socket, packer(request.query["compress"]))
        await session.push(10, {"heartbeat_interval": 41_250})
        try:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    session = await self._told_by_bot(session, json.loads(frame.data))
        finally:
            self._sockets.discard(socket)
            if session.socket is socket:
                session.socket = None
            if socket.close_code in (1000, 1001):
                self.sessions = {one: kept for one, kept in self.sessions.items() if kept is not session}
        return socket

    async def _told_by_bot(self, session: Session, told: Any) -> Session:
        data, socket = told["d"], session.socket
        assert socket is not None
        if told["op"] == 1:
            await session.push(11)
        elif told["op"] in (2, 6) and data["token"] != self.token:
            await socket.close(code=4004, message=b"Authentication failed.")
        elif told["op"] == 2:
            wants = bool(data["intents"] & CONTENT_INTENT)
            if wants and not self.content_allowed:
                await socket.close(code=4014, message=b"Disallowed intent(s).")
                return session
            await self._begin(session, wants)
        elif told["op"] == 6:
            return await self._resume(session, data)
        return session

    async def _begin(self, session: Session, content: bool) -> None:
        session.content = content
        self.identified += 1
        name = f"session-{self.identified}"
        self.sessions = {one: kept for one, kept in self.sessions.items() if kept.socket is not None} | {
            name: session
        }
        ready = {
            "v": 10,
            "user": self.users[BOT],
            "guilds": [{"id": GUILD, "unavailable": True}],
            "session_id": name,
            "resume_gateway_url": self.url.replace("http", "ws") + "/gateway",
            "application": {"id": APPLICATION, "flags": 0},
            "private_channels": [],
        }
        await session.dispatch("READY", ready)
        await session.dispatch("GUILD_CREATE", self._guild())

    async def _resume(self, fresh: Session, data: Any) -> Session:
        session = self.sessions.get(data["session_id"])
        if session is None or not self.resumable:
            self.sessions.pop(data["session_id"], None)
            await fresh.push(9, False)
            return fresh
        session.socket, session.packer = fresh.socket, fresh.packer
        self.resumed += 1
        for number, (name, event) in enumerate(list(session.events), 1):
            if number > data["seq"]:
                await session.push(0, event, name, number)
        session.events.append(("RESUMED", {}))
        await session.push(0, {"_trace": []}, "RESUMED", len(session.events))
        return session

    def _guild(self) -> dict[str, Any]:
        there = [self._channel(one) for one in self.channels.values() if one.get("guild_id")]
        return {
            "id": GUILD,
            "name": "Example",
            "owner_id": "1",
            "unavailable": False,
            "large": False,
            "member_count": 5,
            "roles": [
                role(GUILD, "@everyone"),
                {**role(BOT_ROLE, "Gemma"), "managed": True, "tags": {"bot_id": BOT}},
            ],
            "emojis": [],
            "stickers": [],
            "features": [],
            "channels": [one for one in there if one["type"] != PUBLIC_THREAD],
            "threads": [one for one in there if one["type"] == PUBLIC_THREAD and not asleep(one)],
            "members": [],
            "presences": [],
            "voice_states": [],
            "guild_scheduled_events": [],
            "stage_instances": [],
        }

    def _channel(self, channel: dict[str, Any]) -> dict[str, Any]:
        last = next(reversed(self.messages[channel["id"]]), None)
        return {**channel, "last_message_id": last}

    async def dispatch(self, name: str, data: Any) -> None:
        self._told.append((name, data))
        for session in list(self.sessions.values()):
            await session.dispatch(name, data)

    async def again(self) -> None:
        for name, data in list(self._told):
            for session in list(self.sessions.values()):
                await session.dispatch(name, data)

    def cut(self) -> None:
        """All connections of bots end, without a word."""
        for session in self.sessions.values():
            if session.socket is not None and (transport := session.socket._req.transport) is not None:
                transport.abort()
            session.socket = None

    async def throw_out(self) -> None:
        for socket in list(self._sockets):
            await socket.close(code=4004, message=b"Authentication failed.")

    async def close(self) -> None:
        for socket in list(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY)

    # What is kept

    def add_channel(self, number: str, kind: int, name: str, **more: Any) -> str:
        place = {} if kind == DM else {"guild_id": GUILD, "position": 0, "permission_overwrites": []}
        self.channels[number] = {"id": number, "type": kind, "name": name, "nsfw": False, **place, **more}
        self.messages[number] = {}
        return number

    async def add_thread(self, parent: str, number: str, name: str) -> dict[str, Any]:
        facts = {
            "archived": False,
            "auto_archive_duration": 1440,
            "archive_timestamp": now(),
            "locked": False,
            "create_timestamp": now(),
        }
        self.add_channel(
            number,
            PUBLIC_THREAD,
            name,
            parent_id=parent,
            owner_id=BOT,
            thread_metadata=facts,
            message_count=0,
            member_count=1,
            rate_limit_per_user=0,
            flags=0,
        )
        await self.dispatch("THREAD_CREATE", {**self._channel(self.channels[number]), "newly_created": True})
        return self._channel(self.channels[number])

    async def add_message(self, channel: str, author: str, content: str, **more: Any) -> dict[str, Any]:
        number = self.new_id()
        outside = re.sub(r"```.*?```|`[^`]*`", "", content, flags=re.DOTALL)
        mentioned = [one for one in re.findall(r"<@!?(\d+)>", outside) if one in self.users]
        message = {
            "id": number,
            "channel_id": channel,
            "author": self.users[author],
            "content": content,
            "timestamp": now(),
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [self.users[one] for one in dict.fromkeys(mentioned)],
            "mention_roles": re.findall(r"<@&(\d+)>", outside),
            "attachments": [],
            "embeds": [],
            "components": [],
            "pinned": False,
            "type": 0,
            "flags": 0,
            **more,
        }
        self.messages[channel][number] = message
        await self.dispatch("MESSAGE_CREATE", self.told(message))
        return message

    def told(self, message: dict[str, Any]) -> dict[str, Any]:
        """As the gateway tells it: with the server and the member."""
        told = {name: kept for name, kept in message.items() if not name.startswith("_")}
        if self.channels[message["channel_id"]].get("guild_id"):
            author = self.users[message["author"]["id"]]
            told |= {"guild_id": GUILD, "member": member(author)}
            told["mentions"] = [{**one, "member": member(self.users[one["id"]])} for one in message["mentions"]]
        return told

    # API

    async def api(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._api(request)
        except Refusal as exc:
            return answer(exc.body, exc.status, exc.headers)

    async def _api(self, request: web.Request) -> web.StreamResponse:
        if self.down:
            return answer({"message": "unavailable", "code": 0}, 503)
        if request.headers.get("Authorization") != f"Bot {self.token}":
            raise Refusal(401, 0, "401: Unauthorized")
        body = await request.json() if request.can_read_body else None
        called = f"{request.method} {request.path.removeprefix('/api/v10')}"
        for pattern, method in ROUTES:
            if found := re.fullmatch(pattern, called):
                return await method(self, body, request.query, *found.groups())
        raise Refusal(404, 0, f"404: Not Found: {called}")

    async def me(self, body: Any, query: Any) -> web.Response:
        return answer(self.users[BOT])

    async def application(self, body: Any, query: Any) -> web.Response:
        kept = {
            "id": APPLICATION,
            "name": "Gemma",
            "icon": None,
            "description": "",
            "owner": user("1", "owner"),
            "flags": 0,
        }
        return answer({**kept, "bot_public": False, "bot_require_code_grant": False, "verify_key": "00"})

    async def known_commands(self, body: Any, query: Any) -> web.Response:
        return answer(self.commands)

    async def put_commands(self, body: Any, query: Any) -> web.Response:
        self.command_writes += 1
        self.commands = [{"id": self.new_id(), "application_id": APPLICATION, **one} for one in body]
        return answer(self.commands)

    async def channel(self, body: Any, query: Any, channel: str) -> web.Response:
        return answer(self._channel(self._there(channel)))

    async def history(self, body: Any, query: Any, channel: str) -> web.Response:
        self._there(channel)
        self._may(channel, 50001, "Missing Access")
        after, most = int(query.get("after", 0)), int(query.get("limit", 50))
        assert most <= 100
        found = [one for number, one in self.messages[channel].items() if int(number) > after]
        found = found[:most] if after else found[-most:]
        return answer([{k: v for k, v in one.items() if k[0] != "_" and k != "nonce"} for one in reversed(found)])

    async def message(self, body: Any, query: Any, channel: str, number: str) -> web.Response:
        return answer({k: v for k, v in self._message(channel, number).items() if k[0] != "_" and k != "nonce"})

    async def send(self, body: Any, query: Any, channel: str) -> web.Response:
        self._pace("send", channel, "")
        self._there(channel)
        self._may(channel, 50013, "Missing Permissions")
        check(body)
        for message in self.messages[channel].values():
            if body.get("enforce_nonce") and message.get("nonce") == body["nonce"]:
                return self._answered(channel, self.told(message))
        more = {"flags": body.get("flags", 0), "components": components(body), "nonce": body.get("nonce")}
        sent = await self.add_message(channel, BOT, body["content"].strip(), **more, **self._pings(body))
        self.heard[-1] = (*self.heard[-1][:2], sent["id"], 0.0)
        return self._answered(channel, sent)

    async def edit(self, body: Any, query: Any, channel: str, number: str) -> web.Response:
        self._pace("edit", channel, number)
        message = self._message(channel, number)
        self._may(channel, 50013, "Missing Permissions")
        if message["author"]["id"] != BOT:
            raise Refusal(403, 50005, "Cannot edit a message authored by another user")
        check(body)
        message |= {
            "content": body["content"].strip(),
            "edited_timestamp": now(),
            "_edits": message.get("_edits", 0) + 1,
        }
        message |= {"components": components(body), "flags": body.get("flags", 0), **self._pings(body)}
        await self.dispatch("MESSAGE_UPDATE", self.told(message))
        return self._answered(channel, message)

    async def thread(self, body: Any, query: Any, channel: str, number: str) -> web.Response:
        self._there(channel)
        self._may(channel, 50013, "Missing Permissions")
        if self.channels[channel]["type"] != TEXT:
            raise Refusal(400, 50024, "Cannot execute action on this channel type")
        self._message(channel, number)
        if number in self.channels:
            raise Refusal(400, 160004, "A thread has already been created for this message")
        if not 1 <= len(body["name"]) <= 100:
            raise Refusal(400, 50035, "Invalid Form Body")
        return answer(await self.add_thread(channel, number, body["name"]), 201)

    async def archived(self, body: Any, query: Any, channel: str) -> web.Response:
        self._may(channel, 50001, "Missing Access")
        found = [one for one in self.channels.values() if one.get("parent_id") == channel and asleep(one)]
        found.sort(key=lambda one: str(one["thread_metadata"]["archive_timestamp"]), reverse=True)
        threads = [self._channel(one) for one in found]
        return answer({"threads": threads, "members": [], "has_more": False})

    async def callback(self, body: Any, query: Any, number: str, secret: str) -> web.Response:
        begun, right = self.pressed.get(number, (0.0, ""))
        if secret != right or time.monotonic() - begun > 3.0:
            raise Refusal(404, 10062, "Unknown interaction")
        if number in self.answers:
            raise Refusal(400, 40060, "Interaction has already been acknowledged.")
        self.answers[number] = (time.monotonic(), body)
        self._answered_one.set()
        return web.Response(status=204)

    async def answer_to(self, interaction: str) -> tuple[float, Any]:
        while interaction not in self.answers:
            self._answered_one.clear()
            await self._answered_one.wait()
        return self.answers[interaction]

    async def file(self, request: web.Request) -> web.StreamResponse:
        self.tokens_seen_by_files.append(request.headers.get("Authorization", ""))
        if self.file_pause:
            return web.Response(status=429, headers={"Retry-After": f"{self.file_pause:g}"})
        if self.file_redirect:
            raise web.HTTPFound(self.file_redirect)
        content = self.contents.get(request.match_info["number"])
        if content is None:
            raise web.HTTPNotFound
        return web.Response(body=content)

    # What is refused

    def _there(self, channel: str) -> dict[str, Any]:
        if channel not in self.channels:
            raise Refusal(404, 10003, "Unknown Channel")
        return self.channels[channel]

    def _message(self, channel: str, number: str) -> dict[str, Any]:
        self._there(channel)
        if number not in self.messages[channel]:
            raise Refusal(404, 10008, "Unknown Message")
        return self.messages[channel][number]

    def _may(self, channel: str, code: int, message: str) -> None:
        if {channel, self.channels[channel].get("parent_id")} & self.forbidden:
            raise Refusal(403, code, message)

    def _pace(self, what: str, channel: str, number: str) -> None:
        refused = self.refusals.pop(0) if self.refusals else 0.0
        if self.bucket is not None:
            most, seconds = self.bucket
            begun, used = self._used.get(f"{what} {channel}", (0.0, 0))
            if time.monotonic() - begun > seconds:
                begun, used = time.monotonic(), 0
            self._used[f"{what} {channel}"] = (begun, used + 1)
            if used >= most:
                refused = max(refused, begun + seconds - time.monotonic())
        self.heard.append((time.monotonic(), what, number, refused))
        if refused:
            failure = Refusal(429, 0, "You are being rate limited.", **{"Retry-After": str(int(refused) + 1)})
            failure.body |= {"retry_after": refused, "global": False}
            raise failure

    def _answered(self, channel: str, message: dict[str, Any]) -> web.Response:
        headers = {}
        what = self.heard[-1][1]
        if self.bucket is not None:
            begun, used = self._used[f"{what} {channel}"]
            left = begun + self.bucket[1] - time.monotonic()
            headers = {
                "X-RateLimit-Limit": str(self.bucket[0]),
                "X-RateLimit-Remaining": str(self.bucket[0] - used),
                "X-RateLimit-Reset": f"{time.time() + left:.3f}",
                "X-RateLimit-Reset-After": f"{left:.3f}",
                "X-RateLimit-Bucket": f"bucket-{what}",
            }
        return answer({k: v for k, v in message.items() if not k.startswith("_")}, 200, headers)

    def _pings(self, body: Any) -> dict[str, Any]:
        allowed = body.get("allowed_mentions", {"parse": ["users", "roles", "everyone"]})["parse"]
        users = re.findall(r"<@!?(\d+)>", body["content"]) if "users" in allowed else []
        everyone = "everyone" in allowed and re.search(r"@(everyone|here)", body["content"]) is not None
        return {"mentions": [self.users[one] for one in users if one in self.users], "mention_everyone": everyone}


def asleep(channel: dict[str, Any]) -> bool:
    return bool(channel.get("thread_metadata", {}).get("archived"))


def packer(kind: str) -> Callable[[bytes], bytes]:
    """One stream for the whole connection, of which each frame is a part. The library prefers Zstandard."""
    if kind == "zstd-stream":
        import zstandard

        zstd = zstandard.ZstdCompressor().compressobj()
        return lambda text: zstd.compress(text) + zstd.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    zipped = zlib.compressobj()
    return lambda text: zipped.compress(text) + zipped.flush(zlib.Z_SYNC_FLUSH)


def check(body: Any) -> None:
    if not body["content"].strip():
        raise Refusal(400, 50006, "Cannot send an empty message")
    if len(body["content"]) > 2000 or len(str(body.get("nonce", ""))) > 25:
        raise Refusal(400, 50035, "Invalid Form Body")


def components(body: Any) -> list[Any]:
    rows = body.get("components", [])
    buttons = [button for row in rows for button in row["components"]]
    names = [button["custom_id"] for button in buttons]
    fine = len(rows) <= 5 and all(row["type"] == 1 and 1 <= len(row["components"]) <= 5 for row in rows)
    fine = fine and len(set(names)) == len(names) and all(1 <= len(name) <= 100 for name in names)
    if not fine or not all(one["type"] == 2 and 1 <= len(one["label"]) <= 80 for one in buttons):
        raise Refusal(400, 50035, "Invalid Form Body")
    return list(rows)


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    # `Via` is what tells the library that an answer 429 comes from Discord; the type must be without a charset.
    more = {"Via": "1.1 google", "Content-Type": "application/json", **(headers or {})}
    return web.Response(body=json.dumps(body).encode(), status=status, headers=more)


def user(number: str, name: str, bot: bool = False) -> dict[str, Any]:
    kept = {"id": number, "username": name.lower(), "global_name": name, "discriminator": "0", "avatar": None}
    return {**kept, "bot": bot, "public_flags": 0}


def member(author: dict[str, Any]) -> dict[str, Any]:
    kept = {"nick": None, "avatar": None, "roles": [], "joined_at": "2024-01-01T00:00:00+00:00", "flags": 0}
    return {**kept, "premium_since": None, "deaf": False, "mute": False, "pending": False}


def role(number: str, name: str) -> dict[str, Any]:
    kept = {"id": number, "name": name, "color": 0, "hoist": False, "icon": None, "position": 0, "flags": 0}
    colors = {"primary_color": 0, "secondary_color": None, "tertiary_color": None}
    return {**kept, "permissions": RIGHTS, "managed": False, "mentionable": False, "colors": colors}


def now() -> str:
    return datetime.now(UTC).isoformat()


ROUTES = [
    (r"GET /users/@me", Service.me),
    (r"GET /oauth2/applications/@me", Service.application),
    (rf"GET /applications/{APPLICATION}/(?:guilds/{GUILD}/)?commands", Service.known_commands),
    (rf"PUT /applications/{APPLICATION}/(?:guilds/{GUILD}/)?commands", Service.put_commands),
    (r"GET /channels/(\d+)", Service.channel),
    (r"GET /channels/(\d+)/messages", Service.history),
    (r"POST /channels/(\d+)/messages", Service.send),
    (r"GET /channels/(\d+)/messages/(\d+)", Service.message),
    (r"PATCH /channels/(\d+)/messages/(\d+)", Service.edit),
    (r"POST /channels/(\d+)/messages/(\d+)/threads", Service.thread),
    (r"GET /channels/(\d+)/threads/archived/public", Service.archived),
    (r"POST /interactions/(\d+)/([^/]+)/callback", Service.callback),
]


async def served(service: Service) -> web.AppRunner:
    """The service on a free port; `cleanup` of what it gives ends it."""
    app = web.Application()
    app.router.add_get("/gateway", service.gateway)
    app.router.add_get("/", service.gateway)  # what the library's own default address becomes
    app.router.add_get("/files/{number}/{name}", service.file)
    app.router.add_route("*", "/api/v10/{rest:.*}", service.api)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    service.url = f"http://{host}:{port}"
    await asyncio.sleep(0)
    return runner
