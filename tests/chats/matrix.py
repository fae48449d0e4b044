"""The world of Matrix: a real Synapse. The bot reaches it through a door that can be slammed; people go straight."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

import aiohttp
from aiohttp import web
from chats.matrix_client import drawn, pinged
from chats.synapse import NAME, Synapse, synapse
from chats.world import PEOPLE, Request, Seen, Upload, until, until_seen
from yarl import URL

from gemmagraph.bots.base import Adapter, Verb
from gemmagraph.bots.matrix.adapter import MatrixAdapter

EMOJI: Mapping[Verb, str] = {"approve": "✅", "reject": "❌"}
_SENT = re.compile(r"/_matrix/client/v3/rooms/[^/]+/send/m\.room\.message/")
_HOP = {"transfer-encoding", "content-length", "connection", "content-encoding", "keep-alive", "date", "server"}


class World:
    platform: ClassVar[str] = "matrix"
    absent: ClassVar[Mapping[str, str]] = {"buttons": "people react with an emoji"}

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.channel = self.other = ""
        self.requests: list[Request] = []
        self.asked: list[tuple[float, str, str]] = []
        """When the bot began a sync from where, and when it got the answer that leads there."""
        self.instead: Callable[[web.Request], web.Response | None] = lambda request: None
        """What the door answers by itself."""
        self._refusals: list[float] = []
        self._connections: set[Any] = set()
        self._first = ""
        self._again = self._again_read = ""
        self._direct: dict[str, str] = {}
        self._readers: dict[str, str] = {}

    async def __aenter__(self) -> World:
        self.server: Synapse = await synapse()
        self.server.count += 1
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        names = (*PEOPLE, "bot", "robot")
        made = [asyncio.to_thread(self.server.register, f"{name}{self.server.count}", name) for name in names]
        self.accounts = dict(zip(names, await asyncio.gather(*made), strict=True))
        self._names = {account["user_id"]: name for name, account in self.accounts.items()}
        self.channel, self.other = await asyncio.gather(self._room("General"), self._room("Other"))
        app = web.Application(client_max_size=2**27)
        app.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        bot = self.accounts["bot"]
        self.keys = {
            "homeserver": f"http://127.0.0.1:{port}",
            "user": bot["user_id"],
            "token": bot["access_token"],
            "invites": [f"*:{NAME}"],
        }
        return self

    async def __aexit__(self, *failure: object) -> None:
        for connection in list(self._connections):
            connection.abort()
        await self._runner.cleanup()
        await self._http.close()

    def adapter(self) -> Adapter:
        return MatrixAdapter(self.keys)

    def user(self, person: str) -> str:
        return str(self.accounts[person]["user_id"])

    def token(self, person: str) -> str:
        return str(self.accounts[person]["access_token"])

    async def ask(self, person: str, method: str, path: str, content: object = None, **query: Any) -> Any:
        """What somebody asks of the server."""
        url = URL(f"{self.server.url}/_matrix/client/{path}", encoded=True).update_query(query)
        headers = {"Authorization": f"Bearer {self.token(person)}"}
        async with self._http.request(method, url, json=content, headers=headers) as answer:
            said = await answer.json()
            assert answer.status == 200, f"{method} {path}: {answer.status} {said}"
            return said

    async def _room(self, name: str) -> str:
        return await self.room("ann", ("bob", "eve", "bot", "robot"), name=name)

    async def room(self, person: str, others: Sequence[str], join: bool = True, **facts: Any) -> str:
        """A new room with all of these in it."""
        invited = [self.user(other) for other in others]
        made = {"preset": "private_chat", "invite": invited, **facts}
        room = str((await self.ask(person, "POST", "v3/createRoom", made))["room_id"])
        if join:
            await asyncio.gather(*(self.ask(other, "POST", f"v3/join/{quote(room)}", {}) for other in others))
        self._readers[room] = person
        return room

    async def joined(self, person: str, room: str) -> None:
        """Waits until somebody has followed an invitation."""

        async def come() -> bool:
            path = f"v3/rooms/{quote(room)}/joined_members"
            return self.user(person) in (await self.ask(self._readers[room], "GET", path))["joined"]

        await until(come, f"{person} in {room}")

    async def direct(self, person: str) -> str:
        if person not in self._direct:
            facts = {"is_direct": True, "preset": "trusted_private_chat"}
            self._direct[person] = await self.room(person, ("bot",), **facts)
        return self._direct[person]

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
        kind = "m.notice" if person == "robot" else "m.text"
        contents: list[dict[str, Any]] = [{"msgtype": kind, **self._said(text, to_bot)}]
        if files:
            contents = [await self._file(person, file) for file in files]
            if text or to_bot:
                contents[0] |= self._said(text, to_bot)
        if thread:
            for content in contents:
                content["m.relates_to"] = {"rel_type": "m.thread", "event_id": thread}
        ids = [await self.put(person, channel or self.channel, "m.room.message", content) for content in contents]
        return ids[0]

    def _said(self, text: str, to_bot: bool) -> dict[str, Any]:
        """A text as Element sends it."""
        if not to_bot:
            return {"body": text, "m.mentions": {}}
        parts = re.split(r"```(\w*)\n(.*?)\n?```", text, flags=re.DOTALL)
        html = f'<a href="https://matrix.to/#/{self.user("bot")}">bot</a>: '
        for at, part in enumerate(parts):
            if at % 3 == 0:
                html += escape(part).replace("\n", "<br />")
            elif at % 3 == 2:
                html += f"<pre><code>{escape(part)}\n</code></pre>"
        mentions = {"user_ids": [self.user("bot")]}
        formatted = {"format": "org.matrix.custom.html", "formatted_body": html}
        return {"body": f"bot: {text}", "m.mentions": mentions, **formatted}

    async def _file(self, person: str, file: Upload) -> dict[str, Any]:
        url = f"{self.server.url}/_matrix/media/v3/upload?{urlencode({'filename': file.name})}"
        headers = {"Authorization": f"Bearer {self.token(person)}", "Content-Type": file.mime}
        async with self._http.post(url, data=file.content, headers=headers) as answer:
            mxc = (await answer.json())["content_uri"]
        kind = "m.image" if file.mime.startswith("image/") else "m.file"
        facts = {"mimetype": file.mime, "size": len(file.content)}
        return {"msgtype": kind, "body": file.name, "filename": file.name, "url": mxc, "info": facts}

    async def put(self, person: str, channel: str, kind: str, content: dict[str, Any]) -> str:
        """An event of any kind."""
        path = f"v3/rooms/{quote(channel)}/send/{kind}/{time.monotonic_ns()}"
        return str((await self.ask(person, "PUT", path, content))["event_id"])

    async def change(self, person: str, channel: str, message: str, text: str) -> None:
        new = {"msgtype": "m.text", "body": text, "m.mentions": {}}
        relation = {"rel_type": "m.replace", "event_id": message}
        content = {**new, "body": f"* {text}", "m.new_content": new, "m.relates_to": relation}
        await self.put(person, channel, "m.room.message", content)

    async def delete(self, person: str, channel: str, message: str) -> None:
        path = f"v3/rooms/{quote(channel)}/redact/{quote(message)}/{time.monotonic_ns()}"
        await self.ask(person, "PUT", path, {})

    async def press(self, person: str, channel: str, message: str, verb: Verb) -> None:
        relation = {"rel_type": "m.annotation", "event_id": message, "key": EMOJI[verb]}
        await self.put(person, channel, "m.reaction", {"m.relates_to": relation})

    async def rename(self, person: str, name: str) -> None:
        user = quote(self.user(person))
        await self.ask(person, "PUT", f"v3/profile/{user}/displayname", {"displayname": name})

        async def known() -> bool:
            path = f"v3/rooms/{quote(self.channel)}/state/m.room.member/{user}"
            return (await self.ask(person, "GET", path)).get("displayname") == name

        await until(known, f"{person} called {name} in the room")  # it learns it a little later

    # What people see

    async def seen(self, channel: str, thread: str | None = None) -> list[Seen]:
        events = await self.events(channel)
        shown: dict[str, Seen] = {}
        for event in events:
            content, id = event["content"], event["event_id"]
            relation = content.get("m.relates_to", {})
            kind, target = relation.get("rel_type"), relation.get("event_id", "")
            if event["type"] == "m.reaction" and target in shown and event["sender"] == self.user("bot"):
                offers = tuple(verb for verb, emoji in EMOJI.items() if emoji == relation["key"])
                shown[target] = _with(shown[target], offers=shown[target].offers + offers)
            if event["type"] != "m.room.message" or not content:
                continue
            if kind == "m.replace":
                was = shown.get(target)
                if was is not None and was.who == self._names.get(event["sender"]):
                    shown[target] = _with(
                        self._seen(event, content["m.new_content"], was.thread, target),
                        offers=was.offers,
                        edits=was.edits + 1,
                    )
            else:
                shown[id] = self._seen(event, content, target if kind == "m.thread" else "", id)
        return [one for one in shown.values() if thread is None or one.thread == thread]

    def _seen(self, event: Mapping[str, Any], content: Mapping[str, Any], thread: str, id: str) -> Seen:
        text, live = drawn(content)
        raw = str(content.get("formatted_body") or content.get("body"))
        pings = pinged(content, self._names)
        return Seen(id, self._names[event["sender"]], text, raw, thread, live=live, pings=pings)

    async def events(self, channel: str) -> list[dict[str, Any]]:
        """All events of a room as one in it reads them, the oldest first."""
        found: list[dict[str, Any]] = []
        at: dict[str, str] = {}
        while True:
            path = f"v3/rooms/{quote(channel)}/messages"
            page = await self.ask(self._readers[channel], "GET", path, dir="f", limit="500", **at)
            found += page["chunk"]
            if not page.get("end") or not page["chunk"]:
                return found
            at = {"from": page["end"]}

    until = until_seen

    # What goes wrong

    async def redeliver(self) -> None:
        self._again = self._first
        await self.drop()

    async def left(self) -> None:
        """Waits until the bot has no request open."""

        def gone() -> bool:  # what it has asked goes on here: a server that is asked to wait does not look who asks
            return all(one.is_closing() for one in self._connections)

        await until(gone, lambda: f"an end of {len(self._connections)} requests")

    async def drop(self) -> None:
        for connection in list(self._connections):
            connection.abort()

    async def restart(self) -> None:
        """The server is killed, and started again."""
        await asyncio.to_thread(self.server.kill)
        self.server.start()
        await self.server.ready()

    def refuse(self, seconds: float, times: int = 1) -> None:
        self._refusals += [seconds] * times

    def revoke(self) -> None:
        self.server.ask("POST", "/_matrix/client/v3/logout", self.token("bot"), {})

    def forbid(self, channel: str) -> None:
        path = f"/_matrix/client/v3/rooms/{quote(channel)}/state/m.room.power_levels"
        ann = self.token(self._readers[channel])
        levels = self.server.ask("GET", path, ann)
        levels["users"][self.user("bot")] = -1
        self.server.ask("PUT", path, ann, levels)

    # The door

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        began = time.monotonic()
        connection = request.transport
        assert connection is not None
        self._connections.add(connection)
        try:
            body = await request.read()
            if (made := self.instead(request)) is not None:
                return made
            sent = bool(_SENT.match(unquote(request.raw_path))) and request.method == "PUT"
            relation = json.loads(body).get("m.relates_to", {}) if sent else {}
            edited = relation.get("event_id", "") if relation.get("rel_type") == "m.replace" else ""
            if sent and self._refusals:
                seconds = self._refusals.pop(0)
                self.requests.append(Request(began, "edit" if edited else "send", edited, seconds))
                return _refusal(seconds)
            answer = await self._forward(request, body)
            if sent:
                id = edited or json.loads(answer.text or "{}").get("event_id", "")
                self.requests.append(Request(began, "edit" if edited else "send", id))
            else:
                self.requests.append(Request(began, "other"))
            return answer
        except (aiohttp.ClientError, OSError):  # the server is down, and so is the connection
            connection.abort()
            return web.Response(status=502)
        finally:
            self._connections.discard(connection)

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        parts = urlsplit(request.raw_path)
        query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        syncs = parts.path.endswith("/sync")
        if syncs:
            self.asked.append((time.monotonic(), "from", query.get("since", "")))
        if self._again and syncs and "since" in query:
            query["since"] = self._again_read = self._again
            self._again = ""
        elif syncs:
            self._again_read = ""
        elif parts.path.endswith("/messages") and self._again_read:
            query["to"] = self._again_read
        url = URL(f"{self.server.url}{parts.path}", encoded=True).update_query(query)
        headers = {key: value for key, value in request.headers.items() if key.lower() not in ("host", *_HOP)}
        async with self._http.request(
            request.method, url, data=body or None, headers=headers, allow_redirects=False
        ) as answer:
            content = await answer.read()
            kept = {key: value for key, value in answer.headers.items() if key.lower() not in _HOP}
            if syncs and answer.status == 200:
                next_batch = json.loads(content)["next_batch"]
                self._first = self._first or next_batch
                self.asked.append((time.monotonic(), "to", next_batch))
            return web.Response(status=answer.status, body=content, headers=kept)


def _with(seen: Seen, **changed: Any) -> Seen:
    return replace(seen, **changed)


def _refusal(seconds: float) -> web.Response:
    said = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": int(seconds * 1000)}
    return web.json_response(said, status=429, headers={"Retry-After": str(max(1, round(seconds)))})
