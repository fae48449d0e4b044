"""Servers on this machine that write down each byte they get, and a network on which every address leads to one."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import BinaryIO

import httpcore

LONG = 10.0
"""Seconds that anything here waits for what should come at once."""


@dataclass(frozen=True)
class Seen:
    """A request, as it came."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) < 2, f"{name} came {len(found)} times"
        return found[0] if found else None


Answers = Callable[[Seen], bytes | Iterable[bytes]]


@dataclass
class Recorded:
    """A server. What came, and how often somebody connected."""

    answer: Answers
    port: int = 0
    requests: list[Seen] = field(default_factory=list)
    connections: int = 0
    names: list[str | None] = field(default_factory=list)
    """What clients named as they began TLS."""
    left: threading.Event = field(default_factory=threading.Event)
    """A client went away while it was being answered."""
    gone: threading.Event = field(default_factory=threading.Event)
    """A client went away, whenever."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[str]:
        return [seen.target for seen in self.requests]


def answered(
    body: bytes | str = b"", status: str = "200 OK", headers: Mapping[str, str] | None = None, length: bool = True
) -> bytes:
    data = body.encode() if isinstance(body, str) else body
    said = {**({"Content-Length": str(len(data))} if length else {"Connection": "close"}), **(headers or {})}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in said.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + data


def redirected(location: str, status: str = "302 Found", headers: Mapping[str, str] | None = None) -> bytes:
    return answered(status=status, headers={"Location": location, **(headers or {})})


@contextmanager
def recorded(answer: Answers = lambda seen: answered(b"ok"), tls: ssl.SSLContext | None = None) -> Iterator[Recorded]:
    """A server on the same port of 127.0.0.1 and, where there is one, of ::1."""
    server = Recorded(answer)
    listening, server.port = _listening()
    ended = threading.Event()
    threads = [threading.Thread(target=_accept, args=(server, each, tls, ended), daemon=True) for each in listening]
    for thread in threads:
        thread.start()
    try:
        yield server
    finally:
        ended.set()
        for thread in threads:
            thread.join(LONG)
        for each in listening:
            each.close()


def _listening() -> tuple[list[socket.socket], int]:
    for _ in range(50):
        first = socket.create_server(("127.0.0.1", 0))
        port = first.getsockname()[1]
        if not socket.has_ipv6:
            return [first], port
        try:
            return [first, socket.create_server(("::1", port), family=socket.AF_INET6)], port
        except OSError as problem:
            if problem.errno in (97, 99):  # there is no ::1 on this machine
                return [first], port
            first.close()
    raise AssertionError("no free port")


def _accept(server: Recorded, listening: socket.socket, tls: ssl.SSLContext | None, ended: threading.Event) -> None:
    while not ended.is_set():
        if not select.select([listening], [], [], 0.05)[0]:
            continue
        connection, _ = listening.accept()
        server.connections += 1
        threading.Thread(target=_serve, args=(server, connection, tls, ended), daemon=True).start()


def _serve(server: Recorded, connection: socket.socket, tls: ssl.SSLContext | None, ended: threading.Event) -> None:
    connection.settimeout(LONG)
    with suppress(OSError), connection:
        if tls is not None:
            connection = tls.wrap_socket(connection, server_side=True)
        with connection, connection.makefile("rb") as coming:
            while not ended.is_set():
                if (seen := _read(coming)) is None:
                    server.gone.set()
                    return
                server.requests.append(seen)
                answer = server.answer(seen)
                for piece in (answer,) if isinstance(answer, bytes) else answer:
                    sent = piece.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if seen.method == "HEAD" else piece
                    if not _sent(connection, sent):
                        server.left.set()
                        server.gone.set()
                        return
                if not isinstance(answer, bytes) or b"Connection: close" in answer:
                    return


def _sent(connection: socket.socket, piece: bytes) -> bool:
    """Whether the client is still there."""
    try:
        connection.sendall(piece)
        coming = select.select([connection], [], [], 0)[0]
        return not coming or isinstance(connection, ssl.SSLSocket) or bool(connection.recv(1, socket.MSG_PEEK))
    except OSError:
        return False


def _read(coming: BinaryIO) -> Seen | None:
    first = coming.readline().decode("latin-1")
    if not first.strip():
        return None
    method, target, _ = first.split(" ")
    headers = []
    while line := coming.readline().decode("latin-1").rstrip("\r\n"):
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return Seen(method, target, tuple(headers), coming.read(length))


class Rerouted(httpcore.AsyncNetworkBackend):
    """A network on which public addresses lead to servers here. What it was asked for is written down."""

    def __init__(self, routes: Mapping[str, int]) -> None:
        self._routes = routes
        self._network = httpcore.AnyIOBackend()
        self.asked: list[str] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.asked.append(host)
        ip_address(host)  # never a name: it would be resolved once more
        if host in self._routes:
            return await self._network.connect_tcp("127.0.0.1", self._routes[host], timeout)
        return await self._network.connect_tcp(host, port, timeout)


class Resolved:
    """A resolver that answers differently each time it is asked, and keeps to its last answer."""

    def __init__(self, rounds: Sequence[Mapping[str, Sequence[str]]]) -> None:
        self._rounds = rounds
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        known = self._rounds[min(len(self.asked), len(self._rounds) - 1)]
        self.asked.append(host)
        return known.get(host, known.get("*", ()))
