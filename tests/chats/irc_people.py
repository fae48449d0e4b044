"""For the worlds of IRC: people with plain clients of their own, and a door through which the bot has to go."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from chats.irc_server import parts
from chats.world import Request, until

SECONDS: Final = 10.0
_FORMATTING: Final = re.compile(r"\x03\d{0,2}(,\d{1,2})?|[\x02\x0f\x11\x16\x1d-\x1f]")
_CLICKED: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://\S+|\bwww\d{0,3}\.\S+|\b(?:mailto|magnet|xmpp|sip|tel|sms):\S+"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.\w{2,}\S*|(?<![\w/.-])[\w-]+(?:\.[\w-]+)*\.[a-z]{2,24}(?::\d+)?/\S*",
    re.IGNORECASE,
)


def shown(raw: str) -> str:
    """What a client shows."""
    return _FORMATTING.sub("", raw)


def live(raw: str) -> tuple[str, ...]:
    """What clients turn into something to click on: each has its own rules, this is the most that common ones do."""
    return tuple(_CLICKED.findall(shown(raw)))


@dataclass(frozen=True, eq=False)
class Heard:
    number: int
    who: str
    """The nick that this person came with."""
    source: str
    command: str
    target: str
    text: str
    tags: dict[str, str]


@dataclass(eq=False)
class Person:
    """One connection of somebody who is not the bot."""

    nick: str
    account: str = ""
    heard: list[Heard] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    pongs: int = 0
    _came_as: dict[str, str] = field(default_factory=dict)
    """The first nick of those who have another now."""
    _asked: int = 0
    _writer: asyncio.StreamWriter | None = None
    _reading: asyncio.Task[None] | None = None

    async def come(self, port: int, *channels: str, caps: str = "", password: str = "", robot: bool = False) -> None:
        reader, self._writer = await asyncio.open_connection("127.0.0.1", port, limit=65_536)
        self._reading = asyncio.create_task(self._read(reader))
        if caps:
            self.write("CAP LS 302", f"CAP REQ :{caps}")
        if self.account:
            login = base64.b64encode(f"\0{self.account}\0{password}".encode()).decode()
            self.write("AUTHENTICATE PLAIN", f"AUTHENTICATE {login}")
        elif password:
            self.write(f"PASS :{password}")
        self.write(f"NICK {self.nick}", f"USER {self.nick} 0 * :{self.nick}", *(["CAP END"] if caps else []))
        await until(lambda: any(" 376 " in line or " 422 " in line for line in self.lines), f"{self.nick} to come")
        self.write(*([f"MODE {self.nick} +B"] if robot else []), *(f"JOIN {channel}" for channel in channels))
        await self.settled()

    def write(self, *lines: str) -> None:
        assert self._writer is not None
        self._writer.write(b"".join(line.encode() + b"\r\n" for line in lines))

    async def settled(self) -> None:
        """Until the server has done what was asked."""
        self._asked += 1
        self.write(f"PING w{self._asked}")
        await until(lambda: self.pongs >= self._asked, f"the server to answer {self.nick}")

    async def leave(self) -> None:
        if self._writer is not None and self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._writer.transport.abort()
            with suppress(OSError):
                await self._writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while raw := await reader.readline():
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                self.lines.append(line)
                tags, source, command, params = parts(line)
                if command == "PING":
                    self.write(f"PONG :{params[-1]}")
                elif command == "PONG":
                    self.pongs += 1
                elif command == "NICK":
                    nick = source.partition("!")[0]
                    self._came_as[params[0]] = self._came_as.pop(nick, nick)
                elif command in ("PRIVMSG", "NOTICE"):
                    nick = source.partition("!")[0]
                    who, number = self._came_as.get(nick, nick), len(self.lines)
                    self.heard.append(Heard(number, who, source, command, params[0].lower(), params[1], tags))


class Door:
    """The bot's way to the server: it can be slammed, or lead into nothing."""

    def __init__(self, requests: list[Request]) -> None:
        self.port = 0
        self.lines: list[str] = []
        """What the bot has said to the server."""
        self.frozen = False
        """Whether nothing goes through, though both ends think they are connected."""
        self.shut = False
        self._requests = requests
        self._behind = 0
        self._ways: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self, behind: int) -> None:
        self._behind = behind
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.slam()
        await asyncio.wait_for(asyncio.gather(*self._tasks, return_exceptions=True), SECONDS)
        await self._server.wait_closed()

    @property
    def open_ways(self) -> int:
        return len(self._ways)

    def slam(self) -> None:
        """Cuts all connections without a word."""
        for way in self._ways:
            for writer in way:
                writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        if self.shut:
            writer.transport.abort()
            return
        back, on = await asyncio.open_connection("127.0.0.1", self._behind, limit=65_536)
        way = (writer, on)
        self._ways.append(way)
        out = asyncio.create_task(self._carry(back, writer, of_bot=False))
        self._tasks.add(out)
        await self._carry(reader, on, of_bot=True)
        await asyncio.gather(out, return_exceptions=True)
        self._ways.remove(way)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, of_bot: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                self._note(data.decode("utf-8", "replace").splitlines(), of_bot)
                if not self.frozen:
                    writer.write(data)
                    await writer.drain()
        writer.close()

    def _note(self, lines: list[str], of_bot: bool) -> None:
        for line in lines:
            if of_bot:
                self.lines.append(line)
                sent = line.startswith("PRIVMSG ")
                self._requests.append(Request(time.monotonic(), "send" if sent else "other"))
            elif pause := re.search(r" 439 .* wait (\d+) s", line):
                at = max(number for number, request in enumerate(self._requests) if request.what == "send")
                self._requests[at] = replace(self._requests[at], refused=float(pause.group(1)))
