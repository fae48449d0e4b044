"""A small Mattermost: as much of its REST interface (version 4) and its websocket as a bot sees, after the names,
statuses and error ids of servers 10 and 11. People act on it directly."""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
import string
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web
from chats.world import Request

_LETTERS = string.ascii_lowercase + string.digits
_DEDUPLICATED = 30.0


def new_id() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(26))


def now() -> int:
    return int(time.time() * 1000)


class Refused(Exception):
    """The answer of the server when it will not do something."""

    def __init__(self, status: int, error: str, message: str = "No.") -> None:
        super().__init__(error)
        self.status, self.error, self.message = status, error, message


@dataclass(eq=False)
class Listener:
    """A websocket that has said who it is."""

    user: str
    token: str
    socket: web.WebSocketResponse
    transport: asyncio.Transport
    seq: int = 0


@dataclass
class Server:
    """What is on the server, and who listens."""

    path: str = "/mm"
    """Where it is installed."""
    most: int = 16_383
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    channels: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)
    posts: dict[str, dict[str, Any]] = field(default_factory=dict)
    reactions: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    infos: dict[str, dict[str, Any]] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    edits: Counter[str] = field(default_factory=Counter)
    pending: dict[str, tuple[float, str]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    asked: int = 0
    """Requests, of whomever."""
    authorized: list[str] = field(default_factory=list)
    """Paths that were asked for with a token."""
    previewed: list[str] = field(default_factory=list)
    """Messages of which the server would have fetched the links."""
    told: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    """Seconds of pause that the next sends and edits are told."""
    pause_headers: dict[str, str] | None = None
    """In place of those that servers send now."""
    tls: ssl.SSLContext | None = None
    pauses_of_reactions: list[float] = field(default_factory=list)
    broken: int = 0
    """The status with which all is answered; 0: nothing is broken."""
    unlucky: int = 0
    """Sends that are done, and answered with 500."""
    swallowed: int = 0
    """Events that get a number and are not delivered."""
    moved_to: str = ""
    """Where all is said to be now."""
    moved: str = ""
    """Only paths that begin so."""
    _port: int = 0
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        application = web.Application(middlewares=[self._middleware])
        api = f"{self.path}/api/v4"
        routes: list[tuple[str, str, Callable[[web.Request], Awaitable[Any]]]] = [
            ("GET", "users/me", self._me),
            ("POST", "users/ids", self._by_ids),
            ("GET", "users/me/channels", self._channels),
            ("GET", "channels/{id}", self._channel),
            ("GET", "channels/{id}/posts", self._posts_of),
            ("POST", "posts", self._create),
            ("GET", "posts/{id}", self._post),
            ("GET", "posts/{id}/thread", self._thread),
            ("PUT", "posts/{id}/patch", self._patch),
            ("POST", "reactions", self._react),
            ("DELETE", "users/{user}/posts/{id}/reactions/{emoji}", self._unreact),
            ("GET", "files/{id}", self._file),
            ("GET", "config/client", self._config),
            ("GET", "websocket", self._websocket),
        ]
        for method, route, answer in routes:
            application.router.add_route(method, f"{api}/{route}", answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self.tls)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self.cut()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._port}{self.path}"

    def add_user(self, name: str, **facts: Any) -> str:
        user = {"id": new_id(), "create_at": now(), "update_at": now(), "delete_at": 0, "username": name}
        self.users[user["id"]] = user | {"nickname": "", "roles": "system_user", "locale": "en"} | facts
        return user["id"]

    def add_channel(self, kind: str, *users: str, name: str = "") -> str:
        channel = {"id": new_id(), "create_at": now(), "update_at": now(), "delete_at": 0, "type": kind, "name": name}
        self.channels[channel["id"]] = channel | {"team_id": "" if kind in "DG" else "team", "last_post_at": 0}
        self.members[channel["id"]] = set(users)
        return channel["id"]

    async def post(self, user: str, channel: str, message: str, root: str = "", **more: Any) -> dict[str, Any]:
        """Somebody writes; gives the post as it is answered."""
        at = now()
        post = {
            "id": new_id(),
            "create_at": at,
            "update_at": at,
            "edit_at": 0,
            "delete_at": 0,
            "is_pinned": False,
            "user_id": user,
            "channel_id": channel,
            "root_id": root,
            "original_id": "",
            "message": message,
            "type": "",
            "props": {},
            "hashtags": "",
            "file_ids": [],
            "pending_post_id": "",
            "reply_count": 0,
            "last_reply_at": 0,
            "participants": None,
            **more,
        }
        if self.users[user].get("is_bot"):
            post["props"] = {**post["props"], "from_bot": "true"}
        self.posts[post["id"]] = post
        self.channels[channel]["last_post_at"] = at
        if root:
            self.posts[root]["update_at"] = at
        facts = self.channels[channel]
        names = [one["id"] for one in self.users.values() if f"@{one['username']}" in message]
        await self.tell(
            "posted",
            {
                "channel_display_name": facts["name"],
                "channel_name": facts["name"],
                "channel_type": facts["type"],
                "post": json.dumps(self.prepared(post)),
                "sender_name": f"@{self.users[user]['username']}",
                "set_online": True,
                "team_id": facts["team_id"],
                **({"mentions": json.dumps(names)} if names else {}),
            },
            channel,
        )
        return self.prepared(post)

    async def rewrite(self, post_id: str, message: str) -> dict[str, Any]:
        """A post gets another text; what it was stays as a hidden post."""
        post, at = self.posts[post_id], now()
        old = {**post, "id": new_id(), "original_id": post_id, "delete_at": at, "update_at": at}
        self.posts[old["id"]] = old
        if message != post["message"]:
            post["edit_at"] = max(at, post["edit_at"] + 1)
        post |= {"message": message, "update_at": at}
        self.edits[post_id] += 1
        await self.tell("post_edited", {"post": json.dumps(self.prepared(post))}, post["channel_id"])
        return self.prepared(post)

    async def take_away(self, user: str, post_id: str) -> None:
        post, at = self.posts[post_id], now()
        before = self.prepared(post)
        for one in self.posts.values():
            if post_id in (one["id"], one["root_id"]):
                one |= {"delete_at": at, "update_at": at, "props": {**one["props"], "deleteBy": user}}
        await self.tell("post_deleted", {"post": json.dumps(before)}, post["channel_id"])

    async def react(self, user: str, post_id: str, emoji: str) -> dict[str, Any]:
        post, at = self.posts[post_id], now()
        same = [one for one in self.of_post(post_id) if (one["user_id"], one["emoji_name"]) == (user, emoji)]
        reaction = {"user_id": user, "post_id": post_id, "emoji_name": emoji, "create_at": at, "update_at": at}
        reaction |= {"delete_at": 0, "remote_id": "", "channel_id": post["channel_id"]}
        self.reactions = [one for one in self.reactions if one not in same] + [reaction]
        post |= {"update_at": at, "has_reactions": True}
        await self.tell("reaction_added", {"reaction": json.dumps(reaction)}, post["channel_id"])
        return reaction

    def of_post(self, post_id: str) -> list[dict[str, Any]]:
        return [one for one in self.reactions if one["post_id"] == post_id]

    def prepared(self, post: dict[str, Any]) -> dict[str, Any]:
        """A post as it is given away."""
        if post["delete_at"]:
            return {**post, "message": "", "metadata": {}}
        metadata: dict[str, Any] = {}
        if reactions := self.of_post(post["id"]):
            metadata["reactions"] = reactions
        if post["file_ids"]:
            metadata["files"] = [self.infos[name] for name in post["file_ids"]]
        return {**post, "metadata": metadata}

    async def tell(self, event: str, data: dict[str, Any], channel: str = "") -> None:
        self.told.append((event, data, channel))
        for listener in list(self.listeners):
            if self.tokens.get(listener.token) and (not channel or listener.user in self.members[channel]):
                await self._deliver(listener, event, data, channel)

    async def tell_again(self) -> None:
        """All events, as if the server did not know that they came."""
        for event, data, channel in list(self.told):
            for listener in list(self.listeners):
                await self._deliver(listener, event, data, channel)

    def cut(self) -> None:
        for listener in self.listeners:
            listener.transport.abort()
        self.listeners.clear()

    async def _deliver(self, listener: Listener, event: str, data: dict[str, Any], channel: str) -> None:
        broadcast = {"omit_users": None, "user_id": "", "channel_id": channel, "team_id": "", "connection_id": ""}
        frame = {"event": event, "data": data, "broadcast": broadcast, "seq": listener.seq}
        listener.seq += 1
        if self.swallowed and event != "hello":
            self.swallowed -= 1
            return
        with suppress(ConnectionError):
            await listener.socket.send_str(json.dumps(frame))

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        path = request.path.partition("/api/v4/")[2]
        self.asked += 1
        if self.broken:
            return web.Response(status=self.broken, text="<html>bad gateway</html>")
        if self.moved_to and path.startswith(self.moved):
            return web.Response(status=302, headers={"Location": self.moved_to})
        if path in ("websocket", "config/client"):
            answered = await handler(request)
            return answered if isinstance(answered, web.StreamResponse) else web.json_response(answered)
        what = {("POST", "posts"): "send"}.get((request.method, path)) or (
            "edit" if path.endswith("/patch") else "other"
        )
        try:
            self._asking(request)
            self.authorized.append(path)
            pauses = self.pauses_of_reactions if path == "reactions" else self.pauses if what != "other" else []
            if pauses:
                seconds = pauses.pop(0)
                self._note(what, path, seconds)
                headers = {"X-RateLimit-Limit": "101", "X-RateLimit-Remaining": "0"}
                headers |= {"X-RateLimit-Reset": f"{max(1, round(seconds))}", "Retry-After": f"{seconds:g}"}
                return web.Response(
                    status=429,
                    text="limit exceeded\n",
                    headers=headers if self.pause_headers is None else self.pause_headers,
                )
            answered = await handler(request)
            self._note(what, path, 0.0, answered)
        except Refused as exc:
            body = {"id": exc.error, "message": exc.message, "detailed_error": "", "request_id": new_id()}
            return web.json_response(body | {"status_code": exc.status}, status=exc.status)
        if what == "send" and self.unlucky:
            self.unlucky -= 1
            return web.Response(status=500)
        if isinstance(answered, web.StreamResponse):
            return answered
        return web.json_response(answered, status=201 if what == "send" else 200)

    def _note(self, what: Any, path: str, refused: float, answered: Any = None) -> None:
        message = answered["id"] if what == "send" and answered else path.split("/")[1] if "/" in path else ""
        self.requests.append(Request(time.monotonic(), what, message, refused))

    def _known(self, request: web.Request, writing: bool = False) -> dict[str, Any]:
        """The post that is asked for."""
        post = self.posts.get(request.match_info["id"])
        if post is None or post["delete_at"]:
            raise (
                Refused(403, "api.context.permissions.app_error")
                if writing
                else Refused(404, "app.post.get.app_error")
            )
        self._may(self._asking(request), post["channel_id"], writing)
        return post

    def _may(self, user: str, channel: str, writing: bool = False) -> None:
        if user not in self.members.get(channel, ()) or (writing and channel in self.forbidden):
            raise Refused(403, "api.context.permissions.app_error")

    def _asking(self, request: web.Request) -> str:
        """The id of the user whose token is shown."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            raise Refused(401, "api.context.session_expired.app_error")
        return self.tokens[token]

    async def _me(self, request: web.Request) -> Any:
        return self.users[self._asking(request)]

    async def _by_ids(self, request: web.Request) -> Any:
        return [self.users[name] for name in await request.json() if name in self.users]

    async def _channels(self, request: web.Request) -> Any:
        return [one for one in self.channels.values() if self._asking(request) in self.members[one["id"]]]

    async def _channel(self, request: web.Request) -> Any:
        self._may(self._asking(request), request.match_info["id"])
        return self.channels[request.match_info["id"]]

    async def _config(self, request: web.Request) -> Any:
        return {"MaxPostSize": str(self.most), "SiteName": "Mattermost", "Version": "11.11.1"}

    async def _posts_of(self, request: web.Request) -> Any:
        channel = request.match_info["id"]
        self._may(self._asking(request), channel)
        inside = [one for one in self.posts.values() if one["channel_id"] == channel]
        if since := int(request.query.get("since", "0")):
            fresh = [one for one in inside if one["update_at"] > since][:1000]
            roots = {one["root_id"] for one in fresh if one["root_id"]}
            return self._listed(fresh, [self.posts[name] for name in roots])
        begin = int(request.query.get("page", "0")) * (size := min(int(request.query.get("per_page", "60")), 200))
        there = [one for one in reversed(inside) if not one["delete_at"]]
        return self._listed(there[begin : begin + size])

    def _listed(self, posts: list[dict[str, Any]], more: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        order = sorted(posts, key=lambda one: -one["create_at"])
        listed = {one["id"]: self.prepared(one) for one in [*posts, *(more or [])]}
        return {"order": [one["id"] for one in order], "posts": listed, "next_post_id": "", "prev_post_id": ""}

    async def _post(self, request: web.Request) -> Any:
        return self.prepared(self._known(request))

    async def _thread(self, request: web.Request) -> Any:
        root = self._known(request)
        replies = [one for one in self.posts.values() if one["root_id"] == root["id"] and not one["delete_at"]]
        return self._listed([root, *replies])

    async def _create(self, request: web.Request) -> Any:
        body = await request.json()
        channel, root, pending = body["channel_id"], body.get("root_id", ""), body.get("pending_post_id", "")
        if channel not in self.channels:
            raise Refused(400, "api.context.invalid_param.app_error")
        self._may(self._asking(request), channel, writing=True)
        if self.channels[channel]["delete_at"]:
            raise Refused(400, "api.post.create_post.can_not_post_to_deleted.error")
        if len(body["message"]) > self.most:
            raise Refused(400, "model.post.is_valid.message_length.app_error", body["message"])
        if root and (root not in self.posts or self.posts[root]["delete_at"] or self.posts[root]["root_id"]):
            raise Refused(400, "api.post.create_post.root_id.app_error")
        at, earlier = self.pending.get(pending, (0.0, ""))
        if pending and time.monotonic() - at < _DEDUPLICATED:
            return self.posts[earlier]
        props = body.get("props", {})
        if props.get("unsafe_links") != "true" and "://" in body["message"]:
            self.previewed.append(body["message"])
        post = await self.post(
            self._asking(request), channel, body["message"], root, props=props, pending_post_id=pending
        )
        self.posts[post["id"]]["pending_post_id"] = ""
        self.pending[pending] = (time.monotonic(), post["id"])
        return post

    async def _patch(self, request: web.Request) -> Any:
        post, body = self._known(request, writing=True), await request.json()
        if post["user_id"] != self._asking(request):
            raise Refused(403, "api.context.permissions.app_error")
        if len(body["message"]) > self.most:
            raise Refused(400, "model.post.is_valid.message_length.app_error", body["message"])
        return await self.rewrite(post["id"], body["message"])

    async def _react(self, request: web.Request) -> Any:
        body = await request.json()
        if body["user_id"] != self._asking(request):
            raise Refused(403, "api.reaction.save_reaction.user_id.app_error")
        if body["post_id"] not in self.posts:
            raise Refused(404, "app.post.get.app_error")
        self._may(self._asking(request), self.posts[body["post_id"]]["channel_id"], writing=True)
        return await self.react(self._asking(request), body["post_id"], body["emoji_name"])

    async def _unreact(self, request: web.Request) -> Any:
        post, user, emoji = self._known(request), request.match_info["user"], request.match_info["emoji"]
        gone = [one for one in self.of_post(post["id"]) if (one["user_id"], one["emoji_name"]) == (user, emoji)]
        self.reactions = [one for one in self.reactions if one not in gone]
        post |= {"update_at": now(), "has_reactions": bool(self.of_post(post["id"]))}
        for one in gone:
            await self.tell("reaction_removed", {"reaction": json.dumps(one)}, post["channel_id"])
        return {"status": "OK"}

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if name not in self.files:
            raise Refused(404, "app.file_info.get.app_error")
        return web.Response(body=self.files[name], content_type=self.infos[name]["mime_type"])

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        listener: Listener | None = None
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            frame = json.loads(message.data)
            if frame["action"] == "authentication_challenge" and listener is None:
                token = frame["data"]["token"]
                if token not in self.tokens:
                    break
                listener = Listener(self.tokens[token], token, socket, transport)
                self.listeners.append(listener)
                hello = {"connection_id": new_id(), "server_version": "11.11.1"}
                await self._deliver(listener, "hello", hello, "")
                await socket.send_json({"status": "OK", "seq_reply": frame["seq"]})
        if listener in self.listeners:
            self.listeners.remove(listener)
        await socket.close()
        return socket
