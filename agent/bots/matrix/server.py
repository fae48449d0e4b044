"""The homeserver of a Matrix bot: one account there, by matrix-nio; what it answers as values and errors of ours."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from gemmagraph.bots.base import File
from gemmagraph.bots.bodies import at_most
from gemmagraph.bots.errors import BotError, NotInstalled, NotThere, Revoked, TooFast, Unreachable

_R = TypeVar("_R")
_log = logging.getLogger(__name__)

_REVOKED: Final = ("M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_USER_DEACTIVATED", "M_USER_LOCKED", "M_USER_SUSPENDED")
_MXC: Final = re.compile(r"mxc://([A-Za-z0-9.:\[\]-]{1,255})/([A-Za-z0-9_-]{1,255})")
_PATIENCE: Final = 15.0
"""Seconds that an answer may take."""


class Server:
    """A connection, from `enter` to `close`.

    Every method raises TooFast, Unreachable, NotThere or Revoked as they say.
    """

    def __init__(self, address: str, user: str, device: str, token: str, keys_folder: str = "") -> None:
        self._nio = library()
        self._address, self._user, self._device = address, user, device
        config = self._nio.AsyncClientConfig(
            max_limit_exceeded=0,  # nio itself would try again for ever
            max_timeouts=0,
            request_timeout=_PATIENCE,
            encryption_enabled=bool(keys_folder),
        )
        if keys_folder:
            Path(keys_folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._client = self._nio.AsyncClient(address, user, device, keys_folder, config)
        self._client.access_token = token

    @property
    def me(self) -> str:
        """The user id of the bot."""
        return str(self._client.user_id)

    @property
    def rooms(self) -> Mapping[str, Any]:
        """What is known of each room that the bot is in."""
        rooms: Mapping[str, Any] = self._client.rooms
        return rooms

    async def close(self) -> None:
        await self._client.close()

    async def enter(self, password: str) -> None:
        """Makes sure who the bot is; the password is needed where there is no token."""
        if not self._client.access_token:
            try:
                await self._ask(self._client.login(password, device_name="gemmagraph"))
            except NotThere as exc:
                raise Revoked(f"{self._address} does not let {self._user} in: {exc}") from None
        who = await self._ask(self._client.whoami())
        if self._user and who.user_id != self._user:
            raise Revoked(f"The token is that of {who.user_id}, but the key `user` says {self._user}.")
        self._client.user_id = self._client.user = who.user_id
        self._client.device_id = who.device_id or self._device
        if self._client.store_path:
            self._client.load_store()

    async def sync(self, since: str | None, wait: float, wanted: dict[str, Any], patience: float = _PATIENCE) -> Any:
        """What has happened since then; None: what rooms there are.

        Args:
            wait: seconds, if nothing has happened.
        """
        self._client.next_batch = ""  # nio would go on from there, and not look at an answer that leads there again
        answer = await self._ask(self._client.sync(int(wait * 1000), wanted, since), wait + patience)
        if self._client.olm:
            await self._exchange_keys()
        return answer

    async def _exchange_keys(self) -> None:
        """What others need to write to the bot, and the bot to them."""
        try:
            if self._client.should_upload_keys:
                await self._ask(self._client.keys_upload())
            if self._client.should_query_keys:
                await self._ask(self._client.keys_query())
            if self._client.should_claim_keys:
                await self._ask(self._client.keys_claim(self._client.get_users_for_key_claiming()))
            await self._guarded(self._client.send_to_device_messages(), _PATIENCE)
        except NotThere as exc:
            _log.warning("Keys of encrypted rooms cannot be exchanged. %s", exc)

    async def join(self, room: str) -> None:
        await self._ask(self._client.join(room))

    async def event(self, room: str, event: str) -> Mapping[str, Any] | None:
        """An event as it was sent; None: there is none that the bot may see."""
        try:
            found = await self._ask(self._client.room_get_event(room, event))
        except NotThere:
            return None
        source: Mapping[str, Any] = found.event.source
        return source

    async def before(self, room: str, until: str, since: str, types: list[str]) -> tuple[list[Any], str]:
        """Up to a hundred events of those kinds, the newest first, and where to go on; empty: that was all."""
        asked = self._client.room_messages(room, until, since, limit=100, message_filter={"types": types})
        page = await self._ask(asked)
        return page.chunk, page.end or ""

    async def put(self, room: str, kind: str, content: dict[str, Any], transaction: str | None = None) -> str:
        """Sends an event, and gives its id; the same one for the same transaction."""
        self._entered()
        known = self._client.rooms.get(room)
        if kind == "m.room.message" and known is not None and known.encrypted and not self._client.olm:
            raise NotThere(f"The room {room} is encrypted, and the bot is not able to write there.")
        # nobody compares devices with a bot: it trusts those that the server names
        sent = await self._ask(self._client.room_send(room, kind, content, transaction, True))
        return str(sent.event_id)

    async def redact(self, room: str, event: str) -> None:
        self._entered()
        await self._ask(self._client.room_redact(room, event, tx_id=f"gone-{event[1:]}"))

    async def own_reactions(self, room: str, message: str) -> list[str]:
        """The ids of the bot's own reactions to a message."""
        self._entered()
        path = f"/_matrix/client/v1/rooms/{quote(room)}/relations/{quote(message)}/m.annotation/m.reaction?limit=100"
        kind = self._nio.responses.RoomEventRelationsResponse
        # not nio's iterator over all pages: it ends without a word where the server refuses
        found = await self._ask(self._client._send(kind, "GET", path, response_data=(room, message)))
        return [event.event_id for event in found.events if event.sender == self.me]

    async def fetch(self, file: File, most: int) -> bytes:
        """A file that came with a message."""
        self._entered()
        found = _MXC.fullmatch(str(file.reference.get("mxc", "")))
        if found is None or self._client.client_session is None:
            raise NotThere(f"The file {file.name!r} is not one of this server.")
        address = f"{self._address}/_matrix/client/v1/media/download/{quote(found[1], ':')}/{found[2]}"
        token = {"Authorization": f"Bearer {self._client.access_token}"}
        asked = self._client.client_session.get(address, headers=token, allow_redirects=False)
        return await self._guarded(_content(file, asked, most), 4 * _PATIENCE)

    def _entered(self) -> None:
        if not self._client.access_token:
            raise Unreachable("The bot is not connected to Matrix yet.")

    async def _ask(self, request: Awaitable[Any], patience: float = _PATIENCE) -> Any:
        """What the server answers to a request of nio."""
        answer = await self._guarded(request, patience)
        if not isinstance(answer, self._nio.ErrorResponse):
            return answer
        http = answer.transport_response
        seconds = (answer.retry_after_ms or 0) / 1000 or _seconds(http)
        raise _problem(http.status, answer.status_code or "", seconds, "a request")

    async def _guarded(self, request: Awaitable[_R], patience: float) -> _R:
        """Errors of the libraries as ours; theirs may hold the token in what was asked."""
        import aiohttp

        try:
            async with asyncio.timeout(patience):
                return await request
        except TimeoutError:
            raise Unreachable(f"{self._address} does not answer.") from None
        except (aiohttp.ClientError, OSError) as exc:
            raise Unreachable(f"{self._address} cannot be reached ({type(exc).__name__}).") from None
        except (self._nio.exceptions.ProtocolError, self._nio.exceptions.EncryptionError) as exc:
            raise NotThere(f"matrix-nio cannot do it ({type(exc).__name__}).") from None
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise Unreachable(f"{self._address} answers what makes no sense ({type(exc).__name__}).") from None


async def _content(file: File, asked: Any, most: int) -> bytes:
    async with asked as answer:
        if answer.status != 200:
            raise _problem(answer.status, f"HTTP {answer.status}", _seconds(answer), f"the file {file.name!r}")
        return await at_most(most, answer.content.iter_chunked(65536), f"The file {file.name!r}")


def _problem(status: int, code: str, seconds: float, what: str) -> BotError:
    """What an answer that is none means."""
    if code in _REVOKED or status == 401:
        return Revoked(f"The homeserver does not let the bot in ({code or f'HTTP {status}'}).")
    if status == 429 or code == "M_LIMIT_EXCEEDED":
        return TooFast(seconds or 5.0)
    if status >= 500 or status == 408:
        return Unreachable(f"The homeserver fails by itself (HTTP {status}).")
    if not code:
        return Unreachable(f"What answers is no homeserver (HTTP {status}).")
    return NotThere(f"The homeserver refuses {what} ({code}).")


def _seconds(answer: Any) -> float:
    asked = answer.headers.get("Retry-After", "")
    return float(asked) if re.fullmatch(r"\d{1,6}", asked) else 0.0


def library(encrypting: bool = False) -> Any:
    """matrix-nio, kept quiet.

    Args:
        encrypting: with what it needs for encrypted rooms.

    Raises:
        NotInstalled: it is not here.
    """
    try:
        import nio  # type: ignore[import-untyped]
    except ImportError as exc:
        raise NotInstalled.of("Matrix", "gemmagraph[matrix]") from exc
    if encrypting and not nio.crypto.ENCRYPTION_ENABLED:
        raise NotInstalled.of("`keys_folder`", "gemmagraph[matrix-e2e]")
    logging.getLogger("nio").setLevel(logging.CRITICAL)  # it logs parts of messages that it does not understand
    return nio
