"""One request over the network: time limits, lines, retries and cancelling, in one place.

What a refusal means is up to the backend: it passes `refusal`, which turns status and body into an error.
"""

from __future__ import annotations

import asyncio
import email.utils
import ipaddress
import random
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from gemmagraph.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    BadRequest,
    ServerError,
    TruncatedReply,
)

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

RETRIED_STATUSES = frozenset({408, 429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long one request may take, in seconds, and how much it may bring."""

    connect: float = 5.0
    first_byte: float = 600.0
    """Until the reply begins. Long: a local server says nothing while it loads a model and reads the prompt,
    and giving up makes it start over."""
    between: float = 180.0
    """Until the next piece of a reply that has begun."""
    total: float = 1800.0
    """All tries together."""
    notice: float = 1.0
    """After which those who wait are told so."""
    tries: int = 3
    pause: float = 0.5
    """The longest pause before the second try; doubles with each further one."""
    retry_after: float = 60.0
    """The longest pause a server may ask for; if it wants a longer one, its refusal is final."""
    line: int = 8 * 1024 * 1024
    """Bytes in one line."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing of the reply is here yet."""

    failed: BackendError | None = None
    """Why the request is made once more; None when it is merely unanswered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer that is no reply: a refusal, or a page for people."""

    status: int
    media_type: str
    text: str


Refusal: TypeAlias = Callable[[Answer], BackendError]


class Http:
    """Requests to one server.

    Args:
        address: where it is: `http://127.0.0.1:11434`.
        label: how errors call it.
        refusal: what an answer that is no reply means.
        down: what to do when nothing answers there.
        slow: what to do when no reply comes in time.
    """

    def __init__(
        self,
        address: str,
        *,
        label: str,
        refusal: Refusal,
        headers: Mapping[str, str] | None = None,
        bounds: Bounds | None = None,
        down: str = "",
        slow: str = "",
    ) -> None:
        self.address = address
        self.label = label
        self.headers = dict(headers or {})
        self.bounds = bounds or Bounds()
        self.down = down
        self._slow = slow
        self._refusal = refusal
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()

    @property
    def through_proxy(self) -> bool:
        """Whether HTTP_PROXY and its like apply: to all but this machine, as in Go and so in Ollama's own
        command. A proxy cannot reach our loopback, and few people remember NO_PROXY."""
        host = urlsplit(self.address).hostname or ""
        try:
            return not ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host != "localhost" and not host.endswith(".localhost")

    async def lines(self, path: str, body: bytes) -> AsyncGenerator[bytes | Waiting, None]:
        """The lines of the reply to a POST of JSON, as they arrive, each with its line feed; a last one
        without was cut. `Waiting` in front of them if they take their time.

        A request is repeated only while nothing of its reply was passed on, and only after a failure that
        another try can mend.

        Raises:
            BackendError: of the kind that fits.
        """
        now = asyncio.get_running_loop().time
        deadline = now() + self.bounds.total
        for attempt in range(1, self.bounds.tries + 1):
            try:
                async with aclosing(self._attempt(path, body, deadline)) as items:
                    async for item in items:
                        yield item
                return
            except _Again as exc:
                pause = self._pause(attempt, exc.retry_after)
                if pause is None or now() + pause > deadline:
                    raise exc.error from exc.__cause__
                failed = exc.error
            yield Waiting(failed)
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Ends what runs in this event loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _pause(self, attempt: int, asked: float | None) -> float | None:
        """Seconds until the next try; None if there is none."""
        if attempt == self.bounds.tries or (asked is not None and asked > self.bounds.retry_after):
            return None
        # Full jitter: clients that were refused together must not come back together.
        return max(asked or 0.0, random.uniform(0, self.bounds.pause * 2 ** (attempt - 1)))

    async def _attempt(self, path: str, body: bytes, deadline: float) -> AsyncGenerator[bytes | Waiting, None]:
        """One try, its time limits, its bytes cut into lines."""
        import httpx

        now, bounds = asyncio.get_running_loop().time, self.bounds
        lines = _Lines(bounds.line, self.label)
        next_by = now() + bounds.first_byte
        pieces = self._pieces(path, body)
        # A task, because httpx lets go of its connection when it is cancelled again while it closes it.
        coming = asyncio.ensure_future(anext(pieces, None))
        try:
            await asyncio.wait({coming}, timeout=min(bounds.notice, bounds.first_byte))
            if not coming.done():
                yield Waiting()
            late = f"no reply began within {bounds.first_byte:g} s"
            while (piece := await self._in_time(coming, next_by, deadline, late)) is not None:
                for line in lines.feed(piece):
                    yield line
                next_by, late = now() + bounds.between, f"nothing more came for {bounds.between:g} s"
                coming = asyncio.ensure_future(anext(pieces, None))
            if lines.rest:
                yield bytes(lines.rest)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError) as exc:
            error = translated(exc, self.label, received=lines.received, down=self.down)
            if isinstance(error, BackendUnavailable):
                raise _Again(error) from exc
            raise error from exc
        finally:
            await _shielded(_end(coming, pieces))

    async def _in_time(self, coming: asyncio.Task[T], by: float, deadline: float, late: str) -> T:
        """What `coming` brings; it goes on when we are cancelled."""
        await asyncio.wait({coming}, timeout=max(0.0, min(by, deadline) - asyncio.get_running_loop().time()))
        if coming.done():
            return coming.result()
        if deadline < by:
            late = f"the reply was not complete within {self.bounds.total:g} s"
        raise BackendTimeout(f"{self.label}: {late}.", hint=self._slow)

    async def _pieces(self, path: str, body: bytes) -> AsyncGenerator[bytes, None]:
        """The bytes of a reply with status 200."""
        client = self._client()
        request = client.build_request(
            "POST", self.address + path, content=body, headers={"Content-Type": "application/json"}
        )
        response = await client.send(request, stream=True)
        try:
            answer = await _answer(response)
            if answer is not None:
                error = self._refusal(answer)
                if answer.status in RETRIED_STATUSES:
                    raise _Again(error, _retry_after(response.headers.get("Retry-After", "")))
                raise error
            coming = response.aiter_bytes()
            async for piece in coming:
                yield piece
        finally:
            await response.aclose()

    def _client(self) -> httpx.AsyncClient:
        import httpx

        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            try:
                client = httpx.AsyncClient(
                    headers={"Accept-Encoding": "identity", **self.headers},
                    # Reading is timed by us: httpx has one limit for the first byte and for all others.
                    timeout=httpx.Timeout(None, connect=self.bounds.connect, write=30.0),
                    # A connection kept open may be closed by the server just when the next request is sent on
                    # it; a new one costs nothing beside a model's reply.
                    limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
                    trust_env=self.through_proxy,
                )
            except (ImportError, ValueError) as exc:  # a proxy of a kind that httpx does not know
                raise BadRequest(
                    f"{self.label} cannot be asked: {exc}", hint="Look at HTTP_PROXY, ALL_PROXY and NO_PROXY."
                ) from exc
            self._clients[loop] = client
        return client


def translated(exc: Exception, label: str, *, received: int = 0, down: str = "") -> BackendError:
    """The error of ours for an exception of httpx.

    Args:
        received: bytes of the reply that had come.
        down: what to do when nothing answers.
    """
    kind = next(KINDS[base.__name__] for base in type(exc).__mro__ if base.__name__ in KINDS)
    words = str(exc) or type(exc).__name__
    if kind is BackendUnavailable:
        return kind(f"{label} cannot be reached ({words}).", hint=down)
    if kind is TruncatedReply and received:
        return kind(f"The connection to {label} broke after {received:,} bytes of the reply ({words}).")
    if kind is TruncatedReply:
        return BackendUnavailable(f"{label} closed the connection before it answered ({words}).", hint=down)
    if kind is BackendTimeout:
        return kind(f"{label} did not answer in time ({words}).")
    if kind is BadRequest:
        return kind(f"No request can be sent to {label} ({words}).", hint="Check its address and the API key.")
    return kind(f"What {label} sent cannot be understood ({words}).")


KINDS: Mapping[str, type[BackendError]] = {
    "ConnectError": BackendUnavailable,
    "ConnectTimeout": BackendUnavailable,
    "ProxyError": BackendUnavailable,
    "TimeoutException": BackendTimeout,
    "NetworkError": TruncatedReply,
    "RemoteProtocolError": TruncatedReply,
    "StreamError": TruncatedReply,
    "LocalProtocolError": BadRequest,
    "UnsupportedProtocol": BadRequest,
    "InvalidURL": BadRequest,
    "HTTPError": ServerError,
    "CookieConflict": ServerError,
}
"""httpx's exceptions by name, since httpx is loaded on use; one not named is what its nearest base is."""


class _Again(Exception):
    """A try failed with `error`, and another may succeed."""

    def __init__(self, error: BackendError, retry_after: float | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.retry_after = retry_after


class _Lines:
    """Cuts bytes at line feeds only: `str.splitlines`, which httpx uses, also cuts at U+0085 and U+2028, and
    both may stand unescaped inside a JSON string."""

    def __init__(self, ceiling: int, label: str) -> None:
        self.rest = bytearray()
        self.received = 0
        self._ceiling = ceiling
        self._label = label

    def feed(self, piece: bytes) -> list[bytes]:
        self.received += len(piece)
        self.rest += piece
        lines: list[bytes] = []
        if b"\n" in piece:
            *whole, self.rest = self.rest.split(b"\n")
            lines = [bytes(line) + b"\n" for line in whole]
        if len(self.rest) > self._ceiling or any(len(line) - 1 > self._ceiling for line in lines):
            raise ServerError(f"{self._label} sent a line of more than {self._ceiling:,} bytes.")
        return lines


async def _answer(response: httpx.Response) -> Answer | None:
    """What the server said instead of a reply, or None if a reply follows."""
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if response.status_code == 200 and media_type != "text/html":
        return None
    text = bytearray()
    async for piece in response.aiter_bytes():
        text += piece
        if len(text) > 64 * 1024:
            break
    place = f" (Location: {response.headers['Location']})" if response.is_redirect else ""
    return Answer(response.status_code, media_type, text.decode("utf-8", "replace") + place)


def _retry_after(value: str) -> float | None:
    """Seconds from a Retry-After header: a number, or a date."""
    if value.strip().isdecimal():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, when.timestamp() - time.time())


async def _end(coming: asyncio.Task[bytes | None], pieces: AsyncGenerator[bytes, None]) -> None:
    """Ends a request: closing the socket is what tells the server."""
    if not coming.cancelling():
        coming.cancel()
    await asyncio.wait({coming})
    if not coming.cancelled():
        coming.exception()  # seen already, or of no interest any more
    await pieces.aclose()


async def _shielded(closing: Coroutine[Any, Any, None]) -> None:
    """Runs `closing` to its end even if we are cancelled meanwhile."""
    task = asyncio.ensure_future(closing)
    _CLOSING.add(task)
    task.add_done_callback(_CLOSING.discard)
    await asyncio.shield(task)


_CLOSING: set[asyncio.Future[None]] = set()
"""The event loop itself holds its tasks only weakly."""
