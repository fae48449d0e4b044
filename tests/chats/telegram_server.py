"""A Bot API server of ours on loopback.

It answers as https://core.telegram.org/bots/api says, and as the server's own code does where that says nothing:
updates stay until a `getUpdates` with a higher offset, of two who poll the older is sent away (409), texts above
4,096 UTF-16 units are refused, and so are edits that change nothing.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from chats.telegram_touch import kept, units
from chats.world import Request, until

BOT = {"id": 7000000001, "is_bot": True, "first_name": "Gemma", "username": "gemma_test_bot"}
MOST_FILE = 20 * 1024 * 1024
JSON = ("entities", "reply_markup", "link_preview_options", "allowed_updates")


class Refused(Exception):
    """An answer that is none of those hoped for."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code = code
        self.answer: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
        if parameters:
            self.answer["parameters"] = parameters


class Server:
    def __init__(self, chats: dict[str, dict[str, Any]]) -> None:
        """
        Args:
            chats: those that the bot is in, by their ids.
        """
        self.token = "7000000001:AAEfaketokenfaketokenfaketoken_0123"
        self.chats = chats
        self.messages: dict[str, dict[int, dict[str, Any]]] = {id: {} for id in chats}
        self.files: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.answered: list[str] = []
        """The presses that the bot has answered."""
        self.acknowledged: dict[int, float] = {}
        """Number of an update -> `time.monotonic()` at which the bot let it go."""
        self.trouble: list[web.Response | Refused] = []
        """What the next requests but getUpdates are answered."""
        self.poll_trouble: list[web.Response | Refused] = []
        self.local_paths = False
        """As a server with --local, which gives paths of its own disk."""
        self.polls = 0
        self._all: list[dict[str, Any]] = []
        self._pending: list[dict[str, Any]] = []
        self._again: list[dict[str, Any]] = []
        self._given = 0
        self._waiting = 0
        self._refusals: list[float] = []
        self._forbidden: set[str] = set()
        self._news = asyncio.Event()
        self._number, self._message = 830000000, 100
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def connections(self) -> int:
        """Those that are open; the server itself also counts those where a request still waits for updates."""
        known = self._runner.server.connections if self._runner and self._runner.server else []
        return sum(connection.transport is not None for connection in known)

    async def start(self) -> None:
        app = web.Application(client_max_size=MOST_FILE)
        app.router.add_post("/bot{token}/{method}", self._asked)
        app.router.add_get("/file/bot{token}/{path:.*}", self._file)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        assert self._runner.addresses
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Nobody listens at the port any more."""
        if self._runner is not None:
            await self.drop()
            await self._runner.cleanup()
            self._runner = None

    def new(self, channel: str, who: Mapping[str, Any], thread: str = "") -> dict[str, Any]:
        self._message += 1
        message: dict[str, Any] = {
            "message_id": self._message,
            "from": {**who, "language_code": "en"},
            "chat": dict(self.chats[channel]),
            "date": int(time.time()),
        }
        if thread and thread not in ("1",):
            root = self.messages[channel][int(thread)]
            message |= {"message_thread_id": int(thread), "is_topic_message": True, "reply_to_message": root}
        self.messages[channel][self._message] = message
        return message

    def tell(self, update: Mapping[str, Any]) -> int:
        self._number += 1
        told = json.loads(json.dumps({"update_id": self._number, **update}))
        self._all.append(told)
        self._pending.append(told)
        self._news.set()
        return self._number

    async def redeliver(self) -> None:
        """As after a fault of the server's store: it gives out all there is, whatever offset is asked for."""
        self._again = list(self._all)
        self._news.set()
        await until(
            lambda: not (self._again and self._waiting), lambda: f"{len(self._again)} updates taken a second time"
        )

    async def drop(self) -> None:
        if self._runner is not None and self._runner.server is not None:
            for connection in self._runner.server.connections:
                if connection.transport is not None:
                    connection.transport.abort()
        self.polls += 1
        self._news.set()
        await asyncio.sleep(0)

    def refuse(self, seconds: float, times: int = 1) -> None:
        self._refusals += [seconds] * times

    def revoke(self) -> None:
        self.token = "revoked"
        self._news.set()

    def forbid(self, channel: str) -> None:
        self._forbidden.add(channel)

    # The Bot API

    async def _asked(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        asked = {name: _value(name, str(value)) for name, value in form.items()}
        method = request.match_info["method"]
        try:
            if request.match_info["token"] != self.token:
                raise Refused(401, "Unauthorized")
            trouble = self.poll_trouble if method == "getUpdates" else self.trouble
            if trouble:
                wrong = trouble.pop(0)
                if isinstance(wrong, Refused):
                    raise wrong
                return wrong
            result = await getattr(self, f"_{method}")(asked)
        except Refused as refused:
            return web.json_response(refused.answer, status=refused.code)
        return web.json_response({"ok": True, "result": result})

    async def _getMe(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **BOT,
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
        }

    async def _getUpdates(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        self.polls += 1
        mine = self.polls
        self._news.set()  # who polled before is sent away
        offset, now = int(asked.get("offset", 0)), time.monotonic()
        end = now + float(asked.get("timeout", 0))
        if offset > self._number + 11:  # from the future: then it begins at the first that there is
            offset = 0
        if offset < 0:
            self._pending = self._pending[offset:]
        else:
            for update in self._pending:
                if update["update_id"] < offset:
                    self.acknowledged.setdefault(update["update_id"], now)
            self._pending = [update for update in self._pending if update["update_id"] >= offset]
            self._again, self._given = self._again[self._given :], 0
        allowed = set(asked["allowed_updates"])
        self._waiting += 1
        try:
            while True:
                if self.token == "revoked":
                    raise Refused(401, "Unauthorized")
                if self.polls != mine:
                    raise Refused(
                        409,
                        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is"
                        " running",
                    )
                if self._again and offset >= 0:
                    self._given = min(100, len(self._again))
                    return self._again[:100]
                if given := [update for update in self._pending if not allowed or allowed.intersection(update)]:
                    return given[: int(asked.get("limit", 100))]
                self._news.clear()
                try:
                    async with asyncio.timeout(end - time.monotonic()):
                        await self._news.wait()
                except TimeoutError:
                    return []
        finally:
            self._waiting -= 1

    def _may(self, what: str, asked: Mapping[str, Any], message: str = "") -> str:
        """The chat, if the bot may write there now."""
        chat = str(asked["chat_id"])
        seconds = math.ceil(self._refusals.pop(0)) if self._refusals else 0
        self.requests.append(Request(time.monotonic(), "send" if what == "send" else "edit", message, float(seconds)))
        if seconds:
            raise Refused(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
        if chat not in self.chats:
            raise Refused(400, "Bad Request: chat not found")
        if chat in self._forbidden:
            raise Refused(403, "Forbidden: bot was kicked from the supergroup chat")
        if successor := self.chats[chat].get("successor"):
            raise Refused(
                400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=int(successor)
            )
        return chat

    def _written(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        text, entities = kept(str(asked.get("text", "")), asked.get("entities", []))
        if not text:
            raise Refused(400, "Bad Request: message text is empty")
        if units(text) > 4096:
            raise Refused(400, "Bad Request: message is too long")
        assert "parse_mode" not in asked
        written: dict[str, Any] = {"text": text, "entities": entities}
        if markup := asked.get("reply_markup"):
            for button in buttons({"reply_markup": markup}):
                if not 1 <= len(button["callback_data"].encode()) <= 64:
                    raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
            written["reply_markup"] = markup
        if not asked.get("link_preview_options", {}).get("is_disabled"):
            written["previews"] = True
        return written

    async def _sendMessage(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        chat = self._may("send", asked)
        thread = str(asked.get("message_thread_id", ""))
        if thread and "forum_topic_created" not in self.messages[chat].get(int(thread), {}):
            raise Refused(400, "Bad Request: message thread not found")
        written = self._written(asked)
        message = self.new(chat, BOT, thread)
        message.update(written)
        return message

    async def _editMessageText(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        id = int(asked["message_id"])
        chat = self._may("edit", asked, str(id))
        message = self.messages[chat].get(id)
        if message is None:
            raise Refused(400, "Bad Request: message to edit not found")
        if message["from"]["id"] != BOT["id"]:
            raise Refused(400, "Bad Request: message can't be edited")
        written = self._written(asked)
        if all(written.get(key) == message.get(key) for key in ("text", "entities", "reply_markup")):
            raise Refused(
                400,
                "Bad Request: message is not modified: specified new message content and reply markup are exactly"
                " the same as a current content and reply markup of the message",
            )
        message.pop("reply_markup", None)
        message |= {**written, "edit_date": int(time.time()), "edits": message.get("edits", 0) + 1}
        return message

    async def _answerCallbackQuery(self, asked: Mapping[str, Any]) -> bool:
        self.answered.append(str(asked["callback_query_id"]))
        return True

    async def _getFile(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        id = str(asked["file_id"])
        if id not in self.files:
            raise Refused(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
        if len(self.files[id]) > MOST_FILE:
            raise Refused(400, "Bad Request: file is too big")
        path = __file__ if self.local_paths else f"documents/{id}"
        return {"file_id": id, "file_unique_id": id[-6:], "file_size": len(self.files[id]), "file_path": path}

    async def _file(self, request: web.Request) -> web.StreamResponse:
        if self.trouble:
            wrong = self.trouble.pop(0)
            assert isinstance(wrong, web.Response)
            return wrong
        if request.match_info["token"] != self.token:
            return web.json_response(Refused(401, "Unauthorized").answer, status=401)
        content = self.files.get(request.match_info["path"].removeprefix("documents/"))
        return web.Response(status=404) if content is None else web.Response(body=content)


def buttons(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [button for row in message.get("reply_markup", {}).get("inline_keyboard", []) for button in row]


def _value(name: str, text: str) -> Any:
    """What is not plain text comes as JSON."""
    return json.loads(text) if name in JSON else text
