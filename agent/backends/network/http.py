"""One request over the network: time limits, lines, retries and cancelling, in one place.

What a refusal means is up to the backend: it passes `refusal`, which turns status and body into an error.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import re
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final, TypeAlias, cast
from urllib.parse import urlsplit
from urllib.request import getproxies
from weakref import WeakKeyDictionary, WeakSet

from gemmagraph.backends.network.again import RETRIED_STATUSES, Again, seconds_asked
from gemmagraph.backends.network.closing import end, shielded
from gemmagraph.backends.network.coming import Coming, Late, Limits
from gemmagraph.backends.network.failures import failures, translated
from gemmagraph.backends.network.lines import Cutter, Lines
from gemmagraph.backends.network.queue import Place, Queue
from gemmagraph.backends.network.sse import Events
from gemmagraph.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    BadRequest,
)

if TYPE_CHECKING:
    import httpx

    from gemmagraph.backends.network.wire import Body

_PLAIN: Final = re.compile(r"http://(?:[\w.-]+|\[[\da-f:]+\])(?::\d+)?(?:/[\w./~-]*)?", re.ASCII | re.IGNORECASE)
"""An address that needs nothing but HTTP."""


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
    question: float = 30.0
    """For the whole answer to a small question."""
    notice: float = 1.0
    """After which those who wait are told so."""
    tries: int = 3
    pause: float = 0.5
    """The longest pause before the second try; doubles with each further one."""
    retry_after: float = 60.0
    """The longest pause a server may ask for; if it wants a longer one, its refusal is final."""
    line: int = 8 * 1024 * 1024
    """Bytes in one line, one event, or the answer to a small question."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing of the reply is here yet."""

    failed: BackendError | None = None
    """Why the request is made once more; None when it is merely unanswered."""
    in_queue: bool = False
    """Whether it was not sent yet, because the server has others of ours."""

    def told(self, model: str, label: str, perhaps: str = "") -> str:
        """The words for who waits for `model`; `perhaps` are the reasons that the server may have."""
        if self.in_queue:
            return f"{label} is busy with another request of ours; waiting"
        return f"waiting for {model}{perhaps}" if self.failed is None else f"{self.failed.message} Trying again."


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
        queue: who may send a request for a reply next.
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
        queue: Queue | None = None,
    ) -> None:
        self.address = address
        self.label = label
        self.headers = dict(headers or {})
        self.bounds = bounds or Bounds()
        self.down = down
        self.queue = queue or Queue(sys.maxsize)
        has_proxy = self.through_proxy and not {"http", "all"}.isdisjoint(getproxies())
        self.direct = bool(_PLAIN.fullmatch(address)) and not has_proxy
        """Whether a socket of our own will do; else httpx is asked, which knows TLS, proxies and passwords."""
        self._closings = 0
        """How often it was closed: what that ended is not tried again."""
        self._slow = slow
        self._refusal = refusal
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()
        self._bodies: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakSet[Body]] = WeakKeyDictionary()

    @property
    def through_proxy(self) -> bool:
        """Whether HTTP_PROXY and its like apply: to all but this machine, as in Go and so in Ollama's own
        command. A proxy cannot reach our loopback, and few people remember NO_PROXY."""
        host = urlsplit(self.address).hostname or ""
        try:
            return not ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host != "localhost" and not host.endswith(".localhost")

    def lines(self, path: str, body: bytes) -> AsyncGenerator[bytes | Waiting, None]:
        """The lines of the reply to a POST of JSON, as they arrive, each with its line feed; a last one
        without was cut. `Waiting` in front of them if they take their time.

        A request is repeated only while nothing of its reply was passed on, and only after a failure that
        another try can mend.

        Raises:
            BackendError: of the kind that fits.
        """
        return self._reply(path, body, _LINES)

    def events(self, path: str, body: bytes) -> AsyncGenerator[bytes | Waiting, None]:
        """The same of server-sent events: what each says, with a line feed. JSON that is no event is no reply."""
        return self._reply(path, body, _EVENTS)

    async def ask(self, path: str, body: bytes | None = None) -> Answer:
        """The answer to a small question, whatever its status: a GET, or a POST of JSON.

        Raises:
            BackendError: there is none, or a status that another try could mend and did not.
        """
        deadline = asyncio.get_running_loop().time() + self.bounds.total
        closings = self._closings
        attempt = 1
        while True:
            try:
                return await self._question(path, body)
            except Again as exc:
                if closings != self._closings:
                    raise exc.error from exc.__cause__
                await asyncio.sleep(self._pause(attempt, exc, deadline))
            attempt += 1

    async def close(self) -> None:
        """Ends what runs in this event loop."""
        self._closings += 1
        loop = asyncio.get_running_loop()
        for body in [*self._bodies.pop(loop, ())]:
            await body.aclose()
        client = self._clients.pop(loop, None)
        if client is not None:
            await client.aclose()

    def _pause(self, attempt: int, failed: Again, deadline: float) -> float:
        """Seconds until the next try.

        Raises:
            BackendError: there is none.
        """
        asked = failed.retry_after
        # Full jitter: clients that were refused together must not come back together.
        pause = max(asked or 0.0, random.uniform(0, self.bounds.pause * 2 ** (attempt - 1)))
        too_long = asked is not None and asked > self.bounds.retry_after
        if attempt == self.bounds.tries or too_long or asyncio.get_running_loop().time() + pause > deadline:
            raise failed.error from failed.__cause__
        return pause

    async def _reply(self, path: str, body: bytes, form: _Form) -> AsyncGenerator[bytes | Waiting, None]:
        now, total = asyncio.get_running_loop().time, self.bounds.total
        deadline = now() + total
        closings = self._closings
        for attempt in count(1):
            if self.queue.full:
                yield Waiting(in_queue=True)
            asked = now()
            async with self.queue.place(self.label, total) as place:
                deadline += now() - asked
                try:
                    async with aclosing(self._attempt(path, body, form, deadline, place)) as items:
                        async for item in items:
                            yield item
                    return
                except Again as exc:
                    if closings != self._closings:
                        raise exc.error from exc.__cause__
                    pause = self._pause(attempt, exc, deadline)
                    failed = exc.error
            yield Waiting(failed)
            await asyncio.sleep(pause)

    async def _attempt(
        self, path: str, body: bytes, form: _Form, deadline: float, place: Place
    ) -> AsyncGenerator[bytes | Waiting, None]:
        """One try, its time limits, its bytes cut into what they say. The place is given back when all of them are
        here, for who asked may take his time with them."""
        now, bounds = asyncio.get_running_loop().time, self.bounds
        cutter = form.cutter(bounds.line, self.label)

        async def feed(coming: Coming) -> None:
            await self._read_all(path, body, form, coming)

        coming = Coming(feed, Limits(bounds.first_byte, bounds.between, bounds.total, deadline))
        coming.task.add_done_callback(lambda _: place.leave())
        try:
            if not await coming.there(now() + bounds.notice):
                yield Waiting()
            while await coming.there() and (piece := coming.take()) is not None:
                for item in cutter.feed(piece):
                    yield item
            if rest := cutter.end():
                yield rest
            elif cutter.strange:
                raise self._refusal(Answer(200, "", cutter.strange.decode("utf-8", "replace")))
        except Late as exc:
            raise BackendTimeout(f"{self.label}: {exc}.", hint=self._slow) from exc
        except failures() as exc:
            raise self._failed(exc, cutter.received) from exc
        finally:
            await shielded(end(coming.task))

    async def _question(self, path: str, body: bytes | None) -> Answer:
        """One try at a small question."""
        asking = asyncio.ensure_future(self._whole(path, body))
        try:
            await asyncio.wait({asking}, timeout=self.bounds.question)
            if not asking.done():
                late = f"no answer came within {self.bounds.question:g} s"
                raise BackendTimeout(f"{self.label}: {late}.", hint=self._slow)
            answer, retry_after = asking.result()
        except failures() as exc:
            raise self._failed(exc) from exc
        finally:
            await shielded(end(asking))
        if answer.status in RETRIED_STATUSES:
            raise Again(self._refusal(answer), retry_after)
        return answer

    async def _whole(self, path: str, body: bytes | None) -> tuple[Answer, float | None]:
        response = await self._send(path, body)
        try:
            return await _read(response, self.bounds.line), seconds_asked(response.headers.get("Retry-After", ""))
        finally:
            await response.aclose()

    def _failed(self, exc: Exception, received: int = 0) -> BackendError | Again:
        """What to raise for an exception of httpx."""
        error = translated(exc, self.label, received=received, down=self.down)
        return (
            Again(error) if isinstance(error, BackendUnavailable) and "SSL" not in str(exc) else error
        )  # TLS stays as it is

    async def _read_all(self, path: str, body: bytes, form: _Form, coming: Coming) -> None:
        """The bytes of a reply with status 200, put where they are awaited."""
        response = await self._send(path, body)
        try:
            if response.status_code != 200 or _media_type(response) in form.answers:
                answer = await _read(response, 64 * 1024)
                error = self._refusal(answer)
                if answer.status in RETRIED_STATUSES:
                    raise Again(error, seconds_asked(response.headers.get("Retry-After", "")))
                raise error
            # What is not compressed needs none of what httpx does with each piece.
            plain = response.headers.get("Content-Encoding", "identity") == "identity"
            if plain and self._own_socket():
                await cast("Body", response.stream).into(coming)
                return
            pieces = cast(AsyncIterator[bytes], response.stream) if plain else response.aiter_bytes()
            async for piece in pieces:
                if coming.put(piece):
                    await coming.room()
        finally:
            await response.aclose()

    async def _send(self, path: str, body: bytes | None) -> httpx.Response:
        """The head of the answer to a GET, or to a POST of JSON."""
        method, headers = "GET", {}
        if body is not None:
            method, headers = "POST", {"Content-Type": "application/json"}
        if self._own_socket():
            from gemmagraph.backends.network.wire import sent

            own = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", **headers, **self.headers}
            place = urlsplit(self.address)
            bodies = self._bodies.setdefault(asyncio.get_running_loop(), WeakSet())
            return await sent(place, method, place.path + path, own, body or b"", self.bounds.connect, bodies)
        client = self._client()
        request = client.build_request(method, self.address + path, content=body, headers=headers)
        return await client.send(request, stream=True)

    def _own_socket(self) -> bool:
        """Whether this request needs no httpx. The connections of other event loops, such as uvloop's, differ."""
        return self.direct and isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop)

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
                    verify=urlsplit(self.address).scheme != "http",  # certificates take 20 ms to load
                )
            except (ImportError, ValueError) as exc:  # a proxy of a kind that httpx does not know
                raise BadRequest(
                    f"{self.label} cannot be asked: {exc}", hint="Look at HTTP_PROXY, ALL_PROXY and NO_PROXY."
                ) from exc
            self._clients[loop] = client
        return client


@dataclass(frozen=True, slots=True)
class _Form:
    """How a reply is written."""

    cutter: Callable[[int, str], Cutter]
    """From the most bytes of a piece, and what errors call the server."""
    answers: frozenset[str]
    """Media types of what is no reply, though its status is 200."""


_LINES = _Form(Lines, frozenset({"text/html"}))
_EVENTS = _Form(Events, frozenset({"text/html", "application/json"}))


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


async def _read(response: httpx.Response, most: int) -> Answer:
    """What the server said; no more than about `most` bytes of it."""
    text = bytearray()
    async for piece in response.aiter_bytes():
        text += piece
        if len(text) > most:
            break
    place = f" (Location: {response.headers['Location']})" if response.has_redirect_location else ""
    return Answer(response.status_code, _media_type(response), text.decode("utf-8", "replace") + place)
