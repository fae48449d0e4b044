"""Requests to a Mattermost server, and its refusals as errors of bots. The token goes to this server only."""

from __future__ import annotations

import json
import logging
import re
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit

from gemmagraph.bots.bodies import at_most
from gemmagraph.bots.errors import BotError, NotThere, Revoked, TooFast, Unreachable

if TYPE_CHECKING:
    import httpx
    from websockets.asyncio.client import ClientConnection

Query: TypeAlias = Mapping[str, str | int]

_SECONDS: Final = 30.0
_LONGEST_FRAME: Final = 16 * 2**20
_FRAMES: Final = 64
"""Waiting in the connection itself; the server keeps some hundred more before it gives up on us."""
_AS_IT_IS: Final = {"Accept-Encoding": "identity"}
_ERROR_ID: Final = re.compile(r"[a-z0-9_.]{1,120}")


class Rest:
    """One server, as one bot sees it.

    Args:
        url: of the server, with the path that it has there: `https://example.org/chat`.

    Raises:
        BotError: this is no such address.
    """

    def __init__(self, url: str, token: str) -> None:
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good or parts.username is not None or parts.query or parts.fragment:
            raise BotError("`url` of mattermost must look like https://chat.example.org.")
        self.base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._token = token
        self.date = 0
        """Of the last answer: milliseconds, to the second that has begun."""
        self._tls: ssl.SSLContext | None = None
        self._kept: httpx.AsyncClient | None = None

    async def ask(self, method: str, path: str, body: Any = None, query: Query | None = None) -> Any:
        """What the server answers, read as JSON.

        Raises:
            TooFast, Unreachable, NotThere, Revoked: as they say.
        """
        import httpx

        try:
            async with self._client() as client:
                response = await client.request(method, f"{self.base}/api/v4/{path}", json=body, params=query)
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as exc:  # RuntimeError: closed in the meantime
            raise Unreachable(f"Mattermost cannot be reached: {type(exc).__name__}.") from exc
        _refuse(response, self.base)
        self.date = _date(response.headers)
        try:
            return response.json()
        except ValueError as exc:
            raise Unreachable(f"What answers at {self.base!r} is not Mattermost.") from exc

    async def read(self, path: str, most: int) -> bytes:
        """What lies there, if it is no longer than `most` bytes."""
        import httpx

        try:
            async with (
                self._client() as client,
                client.stream("GET", f"{self.base}/api/v4/{path}", headers=_AS_IT_IS) as response,
            ):
                if not response.is_success:
                    await response.aread()
                    _refuse(response, self.base)
                return await at_most(most, response.aiter_bytes(65_536))
        except (httpx.HTTPError, RuntimeError) as exc:
            raise Unreachable(f"Mattermost cannot be reached: {type(exc).__name__}.") from exc

    @asynccontextmanager
    async def connections(self) -> AsyncIterator[None]:
        """Inside, connections are kept open between requests."""
        async with self._made() as self._kept:
            try:
                yield
            finally:
                self._kept = None

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[ClientConnection]:
        """The websocket, which will say `hello` if the token is good."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import WebSocketException

        class Straight(connect):
            def process_redirect(self, exc: Exception) -> Exception | str:
                return exc

        try:
            socket = await Straight(
                f"ws{self.base.removeprefix('http')}/api/v4/websocket",
                ssl=self._context() if self.base.startswith("https") else None,
                max_size=_LONGEST_FRAME,
                max_queue=_FRAMES,
                ping_interval=10,
                ping_timeout=10,
                close_timeout=1,
                logger=_mute(),
            )
        except (OSError, TimeoutError, WebSocketException) as exc:
            raise Unreachable(f"The websocket of Mattermost cannot be reached: {type(exc).__name__}.") from exc
        try:
            challenge = {"seq": 1, "action": "authentication_challenge", "data": {"token": self._token}}
            await socket.send(json.dumps(challenge))
            yield socket
        except WebSocketException as exc:
            raise Unreachable("The websocket of Mattermost was closed.") from exc
        finally:
            await socket.close()

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        if self._kept is not None:
            yield self._kept
        else:
            async with self._made() as client:
                yield client

    def _made(self) -> httpx.AsyncClient:
        import httpx

        return httpx.AsyncClient(
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=_SECONDS,
            follow_redirects=False,
            verify=self._context() if self.base.startswith("https") else False,  # there is nothing to verify
        )

    def _context(self) -> ssl.SSLContext:
        self._tls = self._tls or ssl.create_default_context()
        return self._tls


def _refuse(response: httpx.Response, base: str) -> None:
    if response.is_success:
        return
    status, why = response.status_code, _error_id(response)
    if status == 401:
        raise Revoked(f"Mattermost does not let the bot in ({status}{why}): its token is wrong, revoked or expired.")
    if status == 429:
        raise TooFast(_pause(response.headers))
    if response.is_redirect:
        raise Unreachable(f"Mattermost points elsewhere ({status}): is {base!r} the right `url`?")
    if status >= 500 or status == 408:
        raise Unreachable(f"Mattermost fails ({status}{why}).")
    raise NotThere(f"Mattermost refuses ({status}{why}).")


def _error_id(response: httpx.Response) -> str:
    """The name of the error. What else the server says may hold what people wrote."""
    try:
        body = response.json()
    except ValueError:
        return ""
    name = body.get("id") if isinstance(body, dict) else None
    return f", {name}" if isinstance(name, str) and _ERROR_ID.fullmatch(name) else ""


def _date(headers: Mapping[str, str]) -> int:
    try:
        return int(parsedate_to_datetime(headers["Date"]).timestamp()) * 1000
    except (KeyError, ValueError):
        return int(time.time()) * 1000


def _pause(headers: Mapping[str, str]) -> float:
    """Seconds. `X-RateLimit-Reset` is documented as a time, and servers send the seconds that are left."""
    for header in ("Retry-After", "X-RateLimit-Reset"):
        with suppress(KeyError, ValueError):
            seconds = float(headers[header])
            seconds -= time.time() if seconds > 1e9 else 0
            return min(max(seconds, 0.1), 600.0)
    return 1.0


def _mute() -> logging.Logger:
    """Without it the library logs every frame, the one with the token too."""
    logger = logging.Logger("gemmagraph.bots.mattermost.socket")
    logger.disabled = True
    return logger
