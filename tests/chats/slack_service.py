"""A stand-in for Slack: its Web API and Socket Mode, as far as a bot sees them, spoken to by Slack's own SDK.

Payloads are those of docs.slack.dev (reference/events/message, apis/events-api/using-socket-mode,
reference/interaction-payloads/block_actions-payload), put together here. What is shortened: an event that is not
acknowledged in 1 s (3 there) is delivered again at once, after 1 s and after 5 s (1 and 5 minutes there).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import WSMsgType, web

TEAM, BOT, BOT_ID, APP = "T024BE7LD", "U0BOT0000", "B0BOT0000", "A0APP0000"
TOKEN, APP_TOKEN = "xoxb-1-2-secretsecret", "xapp-1-A0-3-secretsecret"
ACKNOWLEDGED_WITHIN = 1.0
AGAIN_AFTER = (0.0, 1.0, 5.0)
MOST_SOCKETS = 10
MOST_TEXT = {"chat.postMessage": 40_000, "chat.update": 4_000}
MOST_IN_BLOCKS = 13_200

Answer = dict[str, Any]


class Refused(Exception):
    """`ok: false`, with Slack's word for it."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.answer = {"ok": False, "error": error, **more}


class Service:
    """What Slack keeps, and its doors."""

    def __init__(self) -> None:
        self.messages: dict[str, list[dict[str, Any]]] = {}
        """By channel; as `conversations.history` has them."""
        self.members: dict[str, str] = {}
        """The names of people, by id."""
        self.files: dict[str, tuple[dict[str, Any], bytes]] = {}
        self.closed: set[str] = set()
        """Channels in which the bot may not write."""
        self.revoked = False
        self.refusals: list[float] = []
        self.failing: list[tuple[int, str, str]] = []
        """What the next answers are instead: status, type and body."""
        self.asked: list[tuple[float, str, str, float]] = []
        """When, which method, about which message, and for how long it was refused."""
        self.sockets: list[web.WebSocketResponse] = []
        self.delivered: list[tuple[str, dict[str, Any]]] = []
        self.answered: list[float] = []
        """Seconds to each acknowledgement."""
        self.envelopes: list[dict[str, Any]] = []
        self.tickets: set[str] = set()
        self.turned_away = 0
        """How many of the next connections there are too many of."""
        self.page: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
        """Answers in the place of the host of files."""
        self._waiting: dict[str, tuple[float, asyncio.Event]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._last = 0

    async def __aenter__(self) -> Service:
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_get("/link/", self._link)
        app.router.add_get("/files-pri/{file}/{name}", self._file)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = "http://127.0.0.1:{1}".format(*self._runner.addresses[0])
        return self

    async def __aexit__(self, *failure: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for socket in list(self.sockets):
            await asyncio.wait_for(socket.close(), 2)
        await self._runner.cleanup()

    def ts(self) -> str:
        """A time of Slack's that there was not yet."""
        self._last = max(self._last + 1, int(time.time() * 1e6))
        return f"{self._last // 10**6}.{self._last % 10**6:06}"

    # What happens in Slack.

    def put(self, channel: str, message: dict[str, Any]) -> dict[str, Any]:
        """Somebody has written: kept, and told to the bot if it is there."""
        self.messages.setdefault(channel, []).append(message)
        if root := self.message(channel, message.get("thread_ts", "")):
            root.update(thread_ts=root["ts"], latest_reply=message["ts"], reply_count=root.get("reply_count", 0) + 1)
        event = {**told(message), "channel": channel, "event_ts": message["ts"], "channel_type": kind(channel)}
        self.tell(event)
        if f"<@{BOT}>" in message["text"] and kind(channel) != "im":
            self.tell({**{k: v for k, v in event.items() if k != "channel_type"}, "type": "app_mention"})
        return message

    def message(self, channel: str, ts: str) -> dict[str, Any] | None:
        return next((one for one in self.messages.get(channel, ()) if one["ts"] == ts), None)

    def changed(self, channel: str, new: dict[str, Any], old: dict[str, Any]) -> None:
        ts = self.ts()
        self.tell(
            {
                "type": "message",
                "subtype": "message_changed",
                "hidden": True,
                "message": told(new),
                "previous_message": told(old),
                "channel": channel,
                "channel_type": kind(channel),
                "ts": ts,
                "event_ts": ts,
            }
        )

    def tell(self, event: Mapping[str, Any]) -> None:
        """An event for the bot."""
        number = next(self._numbers)
        payload = {
            "token": "verification",
            "team_id": TEAM,
            "context_team_id": TEAM,
            "api_app_id": APP,
            "event": dict(event),
            "type": "event_callback",
            "event_id": f"Ev{number:08}",
            "event_time": int(time.time()),
            "authorizations": [{"team_id": TEAM, "user_id": BOT, "is_bot": True, "is_enterprise_install": False}],
            "is_ext_shared_channel": False,
        }
        self.delivered.append(("events_api", payload))
        self._go(self._deliver("events_api", payload))

    def _go(self, what: Any) -> None:
        task = asyncio.ensure_future(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, kind: str, payload: dict[str, Any]) -> None:
        for attempt, pause in enumerate((None, *AGAIN_AFTER)):
            if pause is not None:
                await asyncio.sleep(pause)
            if await self.attempt(kind, payload, attempt):
                return

    async def attempt(self, kind: str, payload: dict[str, Any], attempt: int = 0) -> bool:
        """One delivery, over one of the bot's sockets; whether it was acknowledged in time."""
        if not self.sockets:
            return False
        number = next(self._numbers)
        socket, envelope_id, answered = self.sockets[number % len(self.sockets)], f"env-{number}", asyncio.Event()
        envelope: dict[str, Any] = {"envelope_id": envelope_id, "type": kind, "payload": payload}
        envelope["accepts_response_payload"] = kind != "events_api"
        if kind == "events_api":
            envelope |= {"retry_attempt": attempt, "retry_reason": "timeout" if attempt else ""}
        self.envelopes.append(envelope)
        self._waiting[envelope_id] = (time.monotonic(), answered)
        try:
            await socket.send_json(envelope)
            await asyncio.wait_for(answered.wait(), ACKNOWLEDGED_WITHIN)
        except (TimeoutError, OSError):
            return False
        finally:
            self._waiting.pop(envelope_id, None)
        return True

    # Its doors.

    async def _link(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self.tickets or self.revoked:
            return web.Response(status=401)
        self.tickets.remove(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if len(self.sockets) >= MOST_SOCKETS or self.turned_away:
            self.turned_away = max(self.turned_away - 1, 0)
            await socket.send_json({"type": "disconnect", "reason": "too_many_websockets"})
            return socket
        count = {"num_connections": len(self.sockets) + 1, "connection_info": {"app_id": APP}}
        await socket.send_json({"type": "hello", **count, "debug_info": {"approximate_connection_time": 18060}})
        socket.cut = request.transport  # type: ignore[attr-defined]  # ours, for `drop`
        self.sockets.append(socket)
        try:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    sent, answered = self._waiting.get(json.loads(frame.data).get("envelope_id"), (0.0, None))
                    if answered is not None and not answered.is_set():
                        self.answered.append(time.monotonic() - sent)
                        answered.set()
        finally:
            self.sockets.remove(socket)
        return socket

    async def _file(self, request: web.Request) -> web.StreamResponse:
        if self.page is not None:
            return await self.page(request)
        entry = self.files.get(request.match_info["file"])
        if entry is None:
            return web.Response(status=404)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}" or self.revoked:
            raise web.HTTPFound("https://team.slack.com/?redir=files")
        return web.Response(body=entry[1], content_type=entry[0]["mimetype"])

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        json_body = request.content_type == "application/json"
        arguments: dict[str, Any] = await request.json() if json_body else dict(await request.post())
        arguments |= request.query
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        writes = method in ("chat.postMessage", "chat.update")
        pause = self.refusals.pop(0) if writes and self.refusals else 0.0
        failing = self.failing.pop(0) if self.failing else None
        about = arguments.get("ts", "") if method == "chat.update" else ""
        try:
            if pause:
                return web.json_response(
                    {"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": f"{pause:g}"}
                )
            if failing:
                return web.Response(status=failing[0], content_type=failing[1], text=failing[2])
            expected = APP_TOKEN if method == "apps.connections.open" else TOKEN
            if token != expected or self.revoked:
                raise Refused("token_revoked" if self.revoked else "invalid_auth")
            door = getattr(self, "_do_" + method.replace(".", "_"), None)
            if door is None:
                raise Refused("unknown_method")
            answer = door(arguments)
            about = answer.get("ts", about)
        except Refused as exc:
            answer = exc.answer
        finally:
            self.asked.append((time.monotonic(), method, about, pause))
        return web.json_response(answer)

    def _do_auth_test(self, arguments: Answer) -> Answer:
        return {"ok": True, "url": "https://team.slack.com/", "team_id": TEAM, "user_id": BOT, "bot_id": BOT_ID}

    def _do_apps_connections_open(self, arguments: Answer) -> Answer:
        ticket = f"ticket-{next(self._numbers)}"
        self.tickets.add(ticket)
        return {"ok": True, "url": f"{self.url.replace('http', 'ws')}/link/?ticket={ticket}&app_id={APP}"}

    def _do_users_info(self, arguments: Answer) -> Answer:
        if arguments["user"] not in self.members:
            raise Refused("user_not_found")
        return {"ok": True, "user": self.user(arguments["user"])}

    def user(self, user: str) -> Answer:
        name = self.members[user]
        return {
            "id": user,
            "team_id": TEAM,
            "name": name.lower(),
            "deleted": False,
            "profile": {"real_name": f"{name} Real", "display_name": name},
        }

    def _do_users_conversations(self, arguments: Answer) -> Answer:
        kinds = str(arguments.get("types", "public_channel")).split(",")
        names = {"im": "im", "channel": "public_channel"}
        found = [one for one in self.messages if names[kind(one)] in kinds]
        return self._page([{"id": one} for one in found], "channels", arguments)

    def _do_conversations_history(self, arguments: Answer) -> Answer:
        found = [one for one in self._kept(arguments) if one.get("thread_ts", one["ts"]) == one["ts"]]
        return self._page(found[::-1], "messages", arguments)

    def _do_conversations_replies(self, arguments: Answer) -> Answer:
        ts = arguments["ts"]
        if self.message(arguments["channel"], ts) is None:
            raise Refused("thread_not_found")
        kept = self._kept(arguments)
        root = [one for one in self._kept({"channel": arguments["channel"]} | arguments, "0") if one["ts"] == ts]
        return self._page(
            root + [one for one in kept if one.get("thread_ts") == ts != one["ts"]], "messages", arguments
        )

    def _kept(self, arguments: Answer, oldest: str = "") -> list[Answer]:
        channel = arguments["channel"]
        if channel not in self.messages:
            raise Refused("channel_not_found")
        begin, all_of_it = oldest or str(arguments.get("oldest", "0")), arguments.get("include_all_metadata")
        kept = (one for one in self.messages[channel] if float(one["ts"]) > float(begin))
        return [one if all_of_it else {k: v for k, v in one.items() if k != "metadata"} for one in kept]

    def _page(self, found: list[Answer], key: str, arguments: Answer) -> Answer:
        at, size = int(arguments.get("cursor") or 0), min(int(arguments.get("limit", 100)), 999)
        more = str(at + size) if at + size < len(found) else ""
        page = {key: found[at : at + size], "has_more": bool(more), "response_metadata": {"next_cursor": more}}
        return {"ok": True, **page}

    def _do_files_info(self, arguments: Answer) -> Answer:
        if arguments["file"] not in self.files:
            raise Refused("file_not_found")
        return {"ok": True, "file": self.files[arguments["file"]][0]}

    def _do_chat_postMessage(self, arguments: Answer) -> Answer:
        channel, thread = arguments["channel"], arguments.get("thread_ts")
        if channel not in self.messages:
            raise Refused("channel_not_found")
        if channel in self.closed:
            raise Refused("restricted_action")
        check(arguments, "chat.postMessage")
        message = {
            "type": "message",
            "user": BOT,
            "bot_id": BOT_ID,
            "app_id": APP,
            "team": TEAM,
            "bot_profile": {"id": BOT_ID, "app_id": APP, "name": "gemma", "team_id": TEAM},
            "ts": self.ts(),
            **{k: arguments[k] for k in ("text", "blocks", "metadata") if k in arguments},
            **({"thread_ts": thread} if thread else {}),
            "asked": {k: arguments.get(k) for k in ("unfurl_links", "unfurl_media", "parse", "link_names")},
        }
        self.put(channel, message)
        return {"ok": True, "channel": channel, "ts": message["ts"], "message": message}

    def _do_chat_update(self, arguments: Answer) -> Answer:
        message = self.message(arguments["channel"], arguments["ts"])
        if message is None:
            raise Refused("message_not_found")
        if arguments["channel"] in self.closed:
            raise Refused("restricted_action")
        if message.get("bot_id") != BOT_ID:
            raise Refused("cant_update_message")
        check(arguments, "chat.update")
        old = dict(message)
        message.update({k: arguments[k] for k in ("text", "blocks", "metadata") if k in arguments})
        if "text" in arguments and "blocks" not in arguments:
            message.pop("blocks", None)
        message["edited"] = {"user": BOT, "ts": self.ts()}
        message["edits"] = message.get("edits", 0) + 1
        self.changed(arguments["channel"], message, old)
        return {"ok": True, "channel": arguments["channel"], "ts": message["ts"], "text": message["text"]}


def told(message: Mapping[str, Any]) -> Answer:
    """A message as events have it."""
    return {key: value for key, value in message.items() if key not in ("metadata", "asked", "edits")}


def kind(channel: str) -> str:
    return "im" if channel.startswith("D") else "channel"


def check(arguments: Answer, method: str) -> None:
    """Refuses what Slack refuses."""
    blocks = arguments.get("blocks") or []
    if not arguments.get("text") and not blocks:
        raise Refused("no_text")
    if len(str(arguments.get("text", "")).encode("utf-16-le")) // 2 > MOST_TEXT[method]:
        raise Refused("msg_too_long")
    if len(blocks) > 50:
        raise Refused("invalid_blocks")
    texts = 0
    left = list(blocks)
    while left:
        element = left.pop()
        text = element.get("text")
        if element["type"] in ("text", "link") and not (text or element.get("url")):
            raise Refused("invalid_blocks", errors=["must be more than 0 characters"])
        if element["type"] == "button" and not (
            0 < len(text["text"]) <= 75 and len(element["value"]) <= 2000 and len(element["action_id"]) <= 255
        ):
            raise Refused("invalid_blocks")
        texts += len(text.encode("utf-16-le")) // 2 if isinstance(text, str) else 0
        left += element.get("elements", [])
    if texts > MOST_IN_BLOCKS:
        raise Refused("msg_blocks_too_long")
