"""One connection to an IRC server: lines in and out, no faster than servers allow, and dead when it is silent."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from gemmagraph.bots.errors import Revoked, Unreachable
from gemmagraph.bots.irc.lines import LONGEST, Line, parse, unformatted, written
from gemmagraph.bots.text import clean

KEEPALIVE: Final = "alive"
"""What is in the PING that only asks whether anybody is there."""
_BURST: Final = 4
"""Lines that may be said at once; then one each `pace` seconds."""
_HANDSHAKE: Final = 20.0
_UNREAD: Final = 1_000_000
"""Bytes that wait for the server."""
_GOODBYE: Final = 2.0
_BANNED: Final = re.compile(r"\b[dgkz]-?lined?\b|\bbanned\b|bad password|access denied", re.IGNORECASE)
"""In what servers say that have no number for it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What stands below `irc:`."""

    server: str
    nick: str
    port: int = 6697
    tls: bool = True
    account: str = ""
    password: str = field(default="", repr=False)
    join: tuple[str, ...] = ()
    pace: float = 1.0
    """Seconds for each line that is said, in the long run."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds."""

    quiet: float = 60.0
    """Of silence, until the server is asked whether it is there; after as much again it is not."""
    sign_on: float = 60.0
    ready: float = 15.0
    """For joining; then the bot is ready without those channels that have not answered."""
    rejoin: float = 5.0
    """After being kicked."""
    refused: float = 60.0
    """Until a channel that does not let the bot in is asked again."""
    regain: float = 30.0
    """Between two tries to get the nick back that somebody else has."""


class Dismissed(Unreachable):
    """The server has ended the connection, and said so: it wants no new one at once."""


class Link:
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settings: Settings, quiet: float
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._settings = settings
        self._quiet = quiet
        self._due = 0.0
        """When the last line that was said would have been due, one each `pace`; by `time.monotonic()`."""

    @classmethod
    async def open(cls, settings: Settings, quiet: float) -> Link:
        """Raises:
        Unreachable: nobody answers, or with a certificate that proves nothing.
        """
        address = f"{settings.server}:{settings.port}"
        context = ssl.create_default_context() if settings.tls else None
        try:
            async with asyncio.timeout(_HANDSHAKE):
                reader, writer = await asyncio.open_connection(
                    settings.server, settings.port, ssl=context, limit=LONGEST
                )
        except ssl.SSLError as exc:
            why = getattr(exc, "verify_message", "") or exc.reason or "TLS failed"
            raise Unreachable(f"No safe connection to {address}: {why}.") from exc
        except (OSError, TimeoutError) as exc:
            raise Unreachable(f"No connection to {address}: {exc.strerror or type(exc).__name__}.") from exc
        return cls(reader, writer, settings, quiet)

    async def lines(self) -> AsyncIterator[Line]:
        """What the server says; ends only with an error.

        Raises:
            Unreachable: the connection is broken or silent, or what comes are no lines.
            Dismissed, Revoked: the server does not want the bot, now or at all.
        """
        asked = False
        while True:
            try:
                async with asyncio.timeout(self._quiet):
                    raw = await self._reader.readuntil(b"\n")
            except TimeoutError:
                if asked:
                    raise Unreachable(f"The server was silent for {2 * self._quiet:g} s.") from None
                asked = True
                self.write("PING", KEEPALIVE)
                continue
            except asyncio.LimitOverrunError as exc:
                raise Unreachable("The server sent a line without an end.") from exc
            except (OSError, asyncio.IncompleteReadError) as exc:
                raise Unreachable("The connection broke.") from exc
            if self._writer.transport.get_write_buffer_size() > _UNREAD:
                raise Unreachable("The server reads nothing.")
            asked = False
            line = parse(raw)
            if line.command == "PING":
                self.write("PONG", line.last)
            elif line.command in ("464", "465") or (line.command == "ERROR" and _BANNED.search(line.last)):
                raise Revoked(f"{self._settings.server} does not let the bot in: {self.shown(line.last)}")
            elif line.command == "ERROR":
                raise Dismissed(f"{self._settings.server} has ended the connection: {self.shown(line.last)}")
            elif line.command:
                yield line

    def shown(self, said: str) -> str:
        """What the server says, fit for an error message."""
        if self._settings.password:
            said = said.replace(self._settings.password, "***")
        return clean(unformatted(said)).replace("\n", " ")[:200]

    def write(self, command: str, *params: str) -> None:
        """Sends a line at once.

        Raises:
            Unreachable: the server has names that are none.
        """
        try:
            line = written(command, *params)
        except ValueError as exc:
            raise Unreachable("The server does not speak IRC.") from exc
        if not self._writer.is_closing():
            self._writer.write(line)

    async def say(self, target: str, text: str) -> None:
        """Sends a line when its time has come.

        Raises:
            Unreachable: the connection is broken.
        """
        now = time.monotonic()
        self._due = max(self._due, now - _BURST * self._settings.pace) + self._settings.pace
        await asyncio.sleep(max(self._due - now, 0.0))
        try:
            self.write("PRIVMSG", target, text)
            await self._writer.drain()
        except OSError as exc:
            raise Unreachable("The connection broke.") from exc

    async def close(self) -> None:
        """Says goodbye, and waits for no answer."""
        with suppress(OSError, TimeoutError):
            self.write("QUIT")
            self._writer.close()
            async with asyncio.timeout(_GOODBYE):
                await self._writer.wait_closed()
        self._writer.transport.abort()
