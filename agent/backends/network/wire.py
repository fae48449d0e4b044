"""A request over a socket of our own, for servers that speak plain HTTP and have no proxy in front.

To send a request and to pass on a piece of a reply takes httpx about as long as all the rest of us together: it makes
locks, scopes and generators for what one request over one socket does not need. What is said on the wire is left to
h11, as httpx does, and what goes wrong is raised as httpx raises it: nobody has to know which of the two was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Final
from urllib.parse import SplitResult
from weakref import WeakSet

import h11
import httpx

from gemmagraph.backends.network.coming import Coming

_HEAD: Final = 100 * 1024
"""Bytes of a head at most; httpx's own choice, too."""
_KEPT: Final = 64 * 1024
"""Bytes that wait here for whoever iterates over them."""
_NEXT: Final = 0.25


async def sent(
    place: SplitResult,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    limit: float,
    bodies: WeakSet[Body],
) -> httpx.Response:
    """The head of the answer to a request. Its `stream` is what follows.

    Args:
        limit: seconds in which the connection has to be made.
        bodies: gets what follows as soon as there is a connection, for whoever wants to end it.

    Raises:
        httpx.TransportError: as httpx itself would.
    """
    wire = _Wire()
    try:
        wire.write(method, path, {"Host": place.netloc, **headers}, body)
    except h11.LocalProtocolError as exc:
        raise httpx.LocalProtocolError(str(exc)) from exc
    try:
        async with asyncio.timeout(limit):
            host = place.hostname or ""
            await asyncio.get_running_loop().create_connection(
                lambda: wire, host, place.port or 80, happy_eyeballs_delay=_delay(host)
            )
    except TimeoutError as exc:
        raise httpx.ConnectTimeout(f"no connection within {limit:g} s") from exc
    except (OSError, UnicodeError) as exc:
        raise httpx.ConnectError(str(exc)) from exc
    rest = Body(wire)
    bodies.add(rest)
    try:
        head = await wire.head()
    except BaseException:
        await rest.aclose()
        raise
    return httpx.Response(head.status_code, headers=head.headers.raw_items(), stream=rest)


def _delay(host: str) -> float | None:
    """Seconds after which the next address of a host is tried too; None where that is of no use, and costs."""
    return None if host == "localhost" or ":" in host or host.replace(".", "").isdigit() else _NEXT


class Body(httpx.AsyncByteStream):
    """What follows the head."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    async def into(self, coming: Coming) -> None:
        """Puts there all that comes, just when it comes: no task runs between."""
        await self._wire.into(coming)

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        wire = self._wire
        while True:
            pieces = wire.taken()
            for piece in pieces:
                yield piece
            if not pieces and not await wire.more():
                return

    async def aclose(self) -> None:
        self._wire.transport.abort()


class _Wire(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self) -> None:
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)
        self._said = b""
        self._head: h11.Response | None = None
        self._here: list[bytes] = []
        self._waiting = 0
        """Bytes in `_here`."""
        self._put: Callable[[bytes], bool] = self._keep
        self._over = False
        self._failed: Exception | None = None
        self._waits: asyncio.Future[None] | None = None

    def write(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """What to send as soon as there is a connection."""
        lines = [*headers.items(), ("Content-Length", str(len(body)))] if body else [*headers.items()]
        head = self._h11.send(h11.Request(method=method, target=path, headers=lines)) or b""
        said = self._h11.send(h11.Data(data=body)) or b"" if body else b""
        self._said = head + said + (self._h11.send(h11.EndOfMessage()) or b"")

    async def head(self) -> h11.Response:
        while self._head is None:
            if self._failed is not None:
                raise self._failed
            await self._changed()
        return self._head

    async def into(self, coming: Coming) -> None:
        full = False
        for piece in self.taken():
            full = coming.put(piece)
        self._put = coming.put
        while not self._over:
            if full:
                self.transport.pause_reading()
                await coming.room()
                self.transport.resume_reading()
                full = False  # nobody was told if it is over meanwhile: look
            else:
                full = await self._changed()
        if self._failed is not None:
            raise self._failed

    def taken(self) -> list[bytes]:
        """What is here, which is then gone."""
        pieces, self._here, self._waiting = self._here, [], 0
        if pieces and not self._over:
            self.transport.resume_reading()
        return pieces

    async def more(self) -> bool:
        """Waits for more; False at the end."""
        while not self._here:
            if self._failed is not None:
                raise self._failed
            if self._over:
                return False
            await self._changed()
        return True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._said)

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        pieces: list[bytes] = []
        try:
            self._h11.receive_data(data)
            while (event := self._h11.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Data):
                    pieces.append(bytes(event.data))
                elif isinstance(event, h11.Response):
                    self._head = event
                elif isinstance(event, h11.EndOfMessage):
                    self._over = True
                    break
                elif not isinstance(event, h11.InformationalResponse):
                    raise h11.RemoteProtocolError("The server wants to speak another protocol.")
        except h11.RemoteProtocolError as exc:
            self._failed = httpx.RemoteProtocolError(str(exc))
            self._over = True
        full = bool(pieces) and self._put(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if self._over:
            self.transport.abort()
        if self._over or full or self._put == self._keep:
            self._wake()

    def eof_received(self) -> None:
        if self._head is None:
            self._fail(httpx.RemoteProtocolError("Server disconnected without sending a response."))
        else:
            self.data_received(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(httpx.ReadError(str(exc or "") or "the connection was lost"))

    def _fail(self, error: Exception) -> None:
        if not self._over:
            self._over, self._failed = True, error
            self._wake()

    def _keep(self, piece: bytes) -> bool:
        self._here.append(piece)
        self._waiting += len(piece)
        if self._waiting > _KEPT:
            self.transport.pause_reading()
        return False

    async def _changed(self) -> bool:
        """Waits for what nobody but our task can see to. True, for whoever needs no other word."""
        self._waits = asyncio.get_running_loop().create_future()
        try:
            await self._waits
        finally:
            self._waits = None
        return True

    def _wake(self) -> None:
        if self._waits is not None and not self._waits.done():
            self._waits.set_result(None)
