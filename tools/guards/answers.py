"""The body of an HTTP answer, unpacked piece by piece within its bounds of bytes and time."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final, cast

import httpcore
import httpx

from gemmagraph.tools.errors import ToolError

ACCEPTED: Final = b"gzip, deflate"
_PIECE: Final = 64 * 1024
_PACKING: Final = 1024
"""Bytes that packing may add to an answer of a few."""


def bounded(
    answer: httpcore.Response, request: httpx.Request, *, limit: int, deadline: float | None
) -> httpx.Response:
    """The answer as httpx has it, its body unpacked and bounded while it is read.

    Args:
        limit: bytes, unpacked.
        deadline: of the event loop's clock.

    Raises:
        ToolError: it says itself that it is larger, or it is packed in a way nobody asked for.
    """
    headers = httpx.Headers(answer.headers)
    coding = headers.get("Content-Encoding", "identity").strip().lower()
    length = headers.get("Content-Length", "")
    if length.isdecimal() and int(length[:20]) > limit and request.method != "HEAD":
        raise _TooLarge(request, limit)
    unpack = None
    if coding != "identity":
        unpack = _Unpacking(coding, request)
        headers = httpx.Headers([each for each in headers.raw if each[0].lower() not in _OF_THE_PACKING])
    extensions = {name: answer.extensions[name] for name in _KEPT if name in answer.extensions}
    body = _Body(answer, request, unpack, limit, deadline)
    return httpx.Response(answer.status, headers=headers, stream=body, extensions=extensions)


@contextmanager
def as_httpx(request: httpx.Request) -> Iterator[None]:
    """Translates errors. Both libraries call them by the same names."""
    try:
        yield
    except _FAILURES as exc:
        kind = getattr(httpx, type(exc).__name__, httpx.TransportError)
        raise kind(str(exc) or type(exc).__name__, request=request) from exc


_FAILURES: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)
_KEPT: Final = ("http_version", "reason_phrase")
_OF_THE_PACKING: Final = frozenset({b"content-encoding", b"content-length"})


class _TooLarge(ToolError):
    def __init__(self, request: httpx.Request, limit: int) -> None:
        super().__init__(f"The answer of {request.url.host} is larger than {limit:,} bytes.")


class _Body(httpx.AsyncByteStream):
    def __init__(
        self,
        answer: httpcore.Response,
        request: httpx.Request,
        unpack: _Unpacking | None,
        limit: int,
        deadline: float | None,
    ) -> None:
        self._answer = answer
        self._request = request
        self._unpack = unpack
        self._limit = limit
        self._deadline = deadline

    async def __aiter__(self) -> AsyncIterator[bytes]:
        raw = unpacked = 0
        # Not aiter_stream(): an answer that is cut off would leave one more generator to be closed.
        pieces = aiter(cast(AsyncIterable[bytes], self._answer.stream))
        while (piece := await self._next(pieces)) is not None:
            raw += len(piece)
            if raw > self._limit + (_PACKING if self._unpack else 0):
                raise _TooLarge(self._request, self._limit)
            for part in self._unpack.feed(piece) if self._unpack else (piece,):
                unpacked += len(part)
                if unpacked > self._limit:
                    raise _TooLarge(self._request, self._limit)
                yield part
        if self._unpack and raw:
            self._unpack.end()

    async def aclose(self) -> None:
        await self._answer.aclose()

    async def _next(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        try:
            with as_httpx(self._request):
                async with asyncio.timeout_at(self._deadline):
                    return await anext(pieces, None)
        except TimeoutError as exc:
            raise httpx.ReadTimeout("the answer was not complete in time", request=self._request) from exc


class _Unpacking:
    """gzip and deflate, a little at a time: one piece from the network may hold a thousand times its size."""

    def __init__(self, coding: str, request: httpx.Request) -> None:
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise ToolError(
                f"The answer of {request.url.host} is packed as {coding[:40]!r}, which was not asked for."
            )
        self._request = request
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._may_be_raw = coding == "deflate"
        self._begun = b""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        while piece and not self._inflate.eof:
            part = self._decompress(piece)
            piece = self._inflate.unconsumed_tail
            if part:
                yield part

    def end(self) -> None:
        """
        Raises:
            httpx.DecodingError: the packed data broke off.
        """
        if not self._inflate.eof:
            raise httpx.DecodingError("the packed answer is not complete", request=self._request)

    def _decompress(self, piece: bytes) -> bytes:
        try:
            part = self._inflate.decompress(piece, _PIECE)
        except zlib.error as exc:
            if not self._may_be_raw:
                raise httpx.DecodingError(f"the packed answer cannot be read: {exc}", request=self._request) from exc
            # Some servers send "deflate" without the wrapping that the word promises.
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            self._may_be_raw = False
            return self._decompress(self._begun + piece)
        if self._may_be_raw:
            self._begun += piece
            self._may_be_raw = len(self._begun) < 2  # zlib knows from the second byte on
        return part
