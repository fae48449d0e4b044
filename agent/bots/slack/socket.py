"""One connection to Slack's Socket Mode, by the client of Slack's SDK.

That client makes new connections itself, but tries an address that is spent again and again
(https://github.com/slackapi/python-slack-sdk/issues/1922 and those like it): here it only says that one has ended.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from gemmagraph.bots.errors import Unreachable

if TYPE_CHECKING:
    from slack_sdk.socket_mode.aiohttp import SocketModeClient
    from slack_sdk.socket_mode.request import SocketModeRequest
    from slack_sdk.web.async_client import AsyncWebClient

PINGS: Final = 5.0
"""Seconds between two pings; half of it without an answer, and the connection is dead."""
LOOKS: Final = 0.05
"""Seconds between two looks at whether it was cut: the SDK tells only of a proper end."""
FAREWELL: Final = 1.0
"""Seconds for the closing handshake; a dead peer does not answer it."""


class Socket:
    """A connection, from `connect` to `close`."""

    def __init__(self, web: AsyncWebClient, app_token: str, url: str, logger: logging.Logger) -> None:
        self._ended = asyncio.Event()
        self._greeted = asyncio.Event()
        self._requests: asyncio.Queue[SocketModeRequest] = asyncio.Queue()
        self._client = _client(web, app_token, logger, self._ended)
        self._client.wss_uri = url
        self._client.message_listeners.append(self._hear)
        self._client.socket_mode_request_listeners.append(self._put)

    async def _hear(self, client: object, message: dict[str, Any], raw: str | None = None) -> None:
        if message.get("type") == "hello":
            self._greeted.set()

    async def _put(self, client: object, request: SocketModeRequest) -> None:
        self._requests.put_nowait(request)

    async def connect(self, seconds: float) -> None:
        """Until Slack has said `hello`.

        Raises:
            Unreachable: it did not.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._client.connect()  # type: ignore[no-untyped-call]  # the SDK has none
                ended = asyncio.ensure_future(self.end())
                greeted = asyncio.ensure_future(self._greeted.wait())
                try:
                    await asyncio.wait({ended, greeted}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    ended.cancel()
                    greeted.cancel()
        except TimeoutError as exc:
            raise Unreachable("Slack does not answer on its socket.") from exc
        if not self._greeted.is_set():
            raise Unreachable("Slack has ended the connection at once.")

    async def end(self) -> None:
        """Returns when the connection has ended, or Slack wants another one to be made."""
        while not self._ended.is_set() and self._client.current_session and not self._client.current_session.closed:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), LOOKS)

    async def received(self) -> list[SocketModeRequest]:
        """All that has come and was not taken yet, at least one."""
        requests = [await self._requests.get()]
        while not self._requests.empty():
            requests.append(self._requests.get_nowait())
        return requests

    async def acknowledge(self, request: SocketModeRequest) -> None:
        """Slack delivers again what this does not reach it for."""
        from aiohttp import ClientError
        from slack_sdk.socket_mode.response import SocketModeResponse

        with suppress(ClientError, OSError, AttributeError):
            await self._client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    async def close(self) -> None:
        client = self._client
        client.closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await client.disconnect()  # type: ignore[no-untyped-call]  # as above
        await client.close()  # type: ignore[no-untyped-call]  # as above
        tasks = (client.message_processor, client.current_session_monitor, client.message_receiver)
        await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)


def _client(web: AsyncWebClient, app_token: str, logger: logging.Logger, ended: asyncio.Event) -> SocketModeClient:
    from slack_sdk.socket_mode.aiohttp import SocketModeClient

    class Client(SocketModeClient):
        """Asked for another connection it says so, and makes none."""

        async def connect_to_new_endpoint(self, force: bool = False) -> None:
            ended.set()

    return Client(app_token, logger=logger, web_client=web, ping_interval=PINGS)
