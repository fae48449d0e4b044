"""A proxy, in its own process, that does to answers what servers and networks do at their worst.

Run as a script it prints its port, and ends when its standard input does.

    POST /_open  {"upstream": URL, "seed": S, "fault": NAME, "page": "reply" | "question", "first": N, "times": N,
                  "replies": [REPLY, ...]}                      {"port": P}: a way to the server, for one run
    POST /_heal  {"port": P, "replies": [REPLY, ...]}           from now on nothing is done to answers
    POST /_close {"port": P}                                    what went by, once all connections are closed

The fault is done to `times` answers, from the `first` on, of those that are replies of a model, or of those that are
not. All about it comes from the seed. The replies are what a stand-in plays, one for each request that differs: a
request that is made again gets the same answer, as that of a model would be. Without replies the server is left to
say what it likes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import socket
import struct
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from faults import FAULTS, Answer, Endless, Step, Wire

REPLIES = ("/api/chat", "/api/generate", "/chat/completions", "/completions", "/completion")
LONGEST = 20.0
"""Seconds that anything here may take."""
RECORDED = 1 << 20
"""Bytes that are kept of what was sent on one connection."""


@dataclass
class Way:
    """The way to a server for one run."""

    upstream: str
    seed: str
    fault: str
    page: str = "reply"
    first: int = 0
    times: int = 1
    replies: list[Any] | None = None
    passed: dict[str, int] = field(default_factory=lambda: {"reply": 0, "question": 0})
    """Answers so far."""
    answers: dict[bytes, Answer] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    under_way: set[asyncio.Task[None]] = field(default_factory=set)
    server: asyncio.Server | None = None

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection."""
        task = asyncio.current_task()
        assert task is not None
        self.under_way.add(task)
        with suppress(OSError, asyncio.IncompleteReadError):
            while await self.answer(reader, writer):
                pass
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        self.under_way.discard(task)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; returns whether the connection is good for another."""
        head = await reader.readuntil(b"\r\n\r\n")
        fields = fields_of(head)
        method, path, _ = head.decode("latin-1").split(" ", 2)
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        page = "reply" if path.endswith(REPLIES) else "question"
        number = self.passed[page]
        self.passed[page] += 1
        is_hit = page == self.page and self.first <= number < self.first + self.times
        entry: dict[str, Any] = {"page": page, "path": path, "asked": body.decode(), "hit": is_hit, "left": False}
        self.log.append(entry)
        answer = await self.server_says(method, path, body, page)
        entry["played"] = base64.b64encode(answer.body).decode()
        rng = random.Random(f"{self.seed}/{page}/{number}")
        wire = Wire(answer, rng, page)
        player = Player(reader, writer, rng)
        try:
            await player.play(FAULTS[self.fault](wire) if is_hit else FAULTS["none"](wire))
        except (OSError, Gone):
            entry["left"] = True
        entry["sent"] = player.sent
        entry["delivered"] = base64.b64encode(bytes(player.delivered)).decode()
        return wire.keeps_open and not is_hit and not entry["left"]

    async def server_says(self, method: str, path: str, body: bytes, page: str) -> Answer:
        """The server's own answer; a request that is made again gets the same one."""
        if page == "question":
            return await fetched(self.upstream, method, path, body)
        if body not in self.answers:
            async with LOCKS.setdefault(self.upstream, asyncio.Lock()):
                if self.replies is not None:
                    played = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                    await fetched(self.upstream, "POST", "/_control", json.dumps({"replies": [played]}).encode())
                self.answers[body] = await fetched(self.upstream, method, path, body)
        return self.answers[body]


LOCKS: dict[str, asyncio.Lock] = {}
"""By server: one at a time tells a stand-in what to play, and hears it."""
WAYS: dict[int, Way] = {}


class Gone(Exception):
    """The client has left."""


class Player:
    """Sends what a fault makes of an answer, as far as the client wants it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rng: random.Random) -> None:
        self.sent = 0
        self.delivered = bytearray()
        self._reader, self._writer = reader, writer
        self._rng = rng
        self._grain = rng.choice([0, 0, 0, rng.randint(1, 40), rng.randint(40, 400)])
        """Bytes that are written at once; 0 for as they come."""
        self._pause = rng.choice([0, 0, 0, 0.001, 0.004])
        self._writes = 0

    async def play(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if isinstance(step, bytes):
                await self._write_in_grains(step)
            elif isinstance(step, float):
                await self._wait(step)
            elif isinstance(step, Endless):
                await self._flood(step)
            elif step == "silence":
                await self._wait(LONGEST)
            elif step == "half":
                self._writer.write_eof()
                await self._wait(0.02)
            else:
                await self._reset()

    async def _write_in_grains(self, data: bytes) -> None:
        grain = self._grain or len(data) or 1
        for begin in range(0, len(data), grain):
            if self._writes > 60:
                await self._write(data[begin:])
                return
            self._writes += 1
            await self._write(data[begin : begin + grain])
            await asyncio.sleep(self._pause)

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()
        self.sent += len(data)
        self.delivered += data[: max(0, RECORDED - len(self.delivered))]

    async def _flood(self, endless: Endless) -> None:
        while self.sent < endless.most:
            await self._write(endless.data)
            if endless.pause:
                await self._wait(endless.pause)

    async def _wait(self, seconds: float) -> None:
        """Raises:
        Gone: the client left meanwhile.
        """
        with suppress(TimeoutError):
            if not await asyncio.wait_for(self._reader.read(1), seconds):
                raise Gone

    async def _reset(self) -> None:
        await asyncio.sleep(0.01)  # what was sent may arrive
        sock: socket.socket = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


async def fetched(upstream: str, method: str, path: str, body: bytes) -> Answer:
    """A whole answer of the server."""
    place = urlsplit(upstream)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    head = f"{method} {path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    async with asyncio.timeout(LONGEST):
        raw = await reader.read()
    writer.close()
    head, _, said = raw.partition(b"\r\n\r\n")
    fields = fields_of(head)
    if "chunked" in fields.get("transfer-encoding", ""):
        said = dechunked(said)
    return Answer(int(head.split(b" ", 2)[1]), fields.get("content-type", ""), said)


def fields_of(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def dechunked(data: bytes) -> bytes:
    whole = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        whole, data = whole + data[: int(size, 16)], data[int(size, 16) + 2 :]
    return whole


async def control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    asked = json.loads(await reader.readexactly(int(fields_of(head)["content-length"])))
    said = json.dumps(await PAGES[head.split(b" ")[1].decode()](asked)).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(said) + said)
    await writer.drain()
    writer.close()


async def open_way(asked: dict[str, Any]) -> dict[str, Any]:
    way = Way(**asked)
    way.server = await asyncio.start_server(way.converse, "127.0.0.1", 0)
    port = way.server.sockets[0].getsockname()[1]
    WAYS[port] = way
    return {"port": port}


async def heal(asked: dict[str, Any]) -> dict[str, Any]:
    way = WAYS[asked["port"]]
    way.times, way.replies = 0, asked["replies"]
    way.answers.clear()
    return {"so_far": len(way.log)}


async def close_way(asked: dict[str, Any]) -> dict[str, Any]:
    """What went by, and how many connections the client has left open."""
    way = WAYS.pop(asked["port"])
    assert way.server is not None
    way.server.close()
    left: set[asyncio.Task[None]] = set()
    if way.under_way:
        _, left = await asyncio.wait(way.under_way, timeout=2)
        for task in left:
            task.cancel()
    return {"log": way.log, "open": len(left)}


PAGES = {"/_open": open_way, "/_heal": heal, "/_close": close_way}


async def main() -> None:
    server = await asyncio.start_server(control, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    over, loop = asyncio.Event(), asyncio.get_running_loop()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    await over.wait()


if __name__ == "__main__":
    asyncio.run(main())
