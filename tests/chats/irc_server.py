"""A small IRC server with accounts: what ngircd lacks and large networks have.

Capabilities account-tag, account-notify, extended-join, message-tags (msgid, bot), echo-message, batch, sasl (PLAIN);
WHOX, bot mode, WHOIS with the account. As https://ircv3.net and https://modern.ircdocs.horse have it.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from typing import Final

NAME: Final = "irc.stand.in"
CAPS: Final = (
    "account-notify",
    "account-tag",
    "batch",
    "echo-message",
    "extended-join",
    "message-tags",
    "sasl=PLAIN",
)
_AT_ONCE: Final = ("CAP", "NICK", "USER", "PASS", "AUTHENTICATE", "PING", "QUIT")


def parts(line: str) -> tuple[dict[str, str], str, str, list[str]]:
    """Tags, source, command and parameters of a line."""
    tags, source = {}, ""
    if line[:1] == "@":
        told, _, line = line[1:].partition(" ")
        tags = dict(tag.partition("=")[::2] for tag in told.split(";"))
    if line[:1] == ":":
        source, _, line = line[1:].partition(" ")
    head, colon, tail = line.partition(" :")
    words = head.split() + ([tail] if colon else [])
    return tags, source, words[0].upper() if words else "", words[1:]


@dataclass(eq=False)
class Client:
    writer: asyncio.StreamWriter
    nick: str = "*"
    user: str = ""
    account: str = ""
    caps: set[str] = field(default_factory=set)
    negotiating: bool = False
    welcome: bool = False
    robot: bool = False
    password: str = ""

    @property
    def source(self) -> str:
        return f"{self.nick}!{self.user}@127.0.0.1"

    def tell(self, text: str, tags: dict[str, str] | None = None) -> None:
        """A line, with those tags that the client knows what to do with."""
        kept = {
            name: value
            for name, value in (tags or {}).items()
            if ("account-tag" in self.caps if name == "account" else "message-tags" in self.caps)
        }
        told = ";".join(f"{name}={value}" if value else name for name, value in kept.items())
        with suppress(OSError):
            self.writer.write((f"@{told} " if told else "").encode() + text.encode()[:510] + b"\r\n")


class Server:
    """Settings may be changed while it runs.

    Args:
        bot: the nick of who is treated badly.
    """

    def __init__(self, bot: str = "") -> None:
        self.bot = bot
        self.caps: tuple[str, ...] = CAPS
        self.supported = "CASEMAPPING=rfc1459 CHANTYPES=# STATUSMSG=@+ WHOX BOT=B NICKLEN=16"
        self.accounts: dict[str, str] = {}
        """Their passwords."""
        self.password = ""
        """What everybody has to send with PASS."""
        self.muted: set[str] = set()
        """Channels in which the bot may not speak."""
        self.banned: set[str] = set()
        """`#channel nick`."""
        self.slow: list[float] = []
        """Seconds for which the next messages of the bot are refused."""
        self.shunned = ""
        """Whose connections are refused with a 465, by nick."""
        self.deaf = False
        """Whether PINGs have no answer."""
        self.silent = False
        """Whether nobody is let in, or told why."""
        self.clients: list[Client] = []
        self.channels: dict[str, list[Client]] = {}
        self.got: list[str] = []
        """All lines that came, passwords and all."""
        self._ids = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    async def start(self, context: ssl.SSLContext | None = None) -> int:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for client in list(self.clients):
            client.writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    def by_nick(self, nick: str) -> Client | None:
        return next((each for each in self.clients if each.nick.lower() == nick.lower()), None)

    def kill(self, nick: str, why: str) -> None:
        """Ends a connection, and says so."""
        if client := self.by_nick(nick):
            client.tell(f"ERROR :Closing Link: {nick} ({why})")
            client.writer.close()

    def log_in(self, nick: str, account: str) -> None:
        """The account of somebody is another now; empty: none."""
        client = self.by_nick(nick)
        assert client is not None
        client.account = account
        for other in self._near(client):
            if "account-notify" in other.caps:
                other.tell(f":{client.source} ACCOUNT {account or '*'}")

    def kick(self, channel: str, nick: str, why: str) -> None:
        for client in list(self.channels[channel]):
            client.tell(f":oper!o@h KICK {channel} {nick} :{why}")
        self.channels[channel] = [each for each in self.channels[channel] if each.nick != nick]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        client = Client(writer)
        self.clients.append(client)
        with suppress(OSError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                line = (await reader.readuntil(b"\n")).decode("utf-8", "replace").rstrip("\r\n")
                self.got.append(line)
                self._take(client, line)
        self._gone(client, "Connection closed")
        writer.transport.abort()
        self._tasks.discard(task)

    def _gone(self, client: Client, why: str) -> None:
        if client not in self.clients:
            return
        near = self._near(client)
        self.clients.remove(client)
        for members in self.channels.values():
            if client in members:
                members.remove(client)
        for other in near - {client}:
            other.tell(f":{client.source} QUIT :{why}")

    def _near(self, client: Client) -> set[Client]:
        """Who is in a channel with somebody."""
        return {other for members in self.channels.values() if client in members for other in members}

    def _take(self, client: Client, line: str) -> None:
        _, _, command, params = parts(line)  # what a client says about itself in tags is not passed on
        does = getattr(self, f"_on_{command.lower()}", None)
        if does is not None and (client.welcome or command in _AT_ONCE):
            does(client, params)
            if not client.welcome:
                self._welcome(client)
        elif command != "PONG":
            client.tell(f":{NAME} 421 {client.nick} {command} :Unknown command")

    def _welcome(self, client: Client) -> None:
        if self.silent or client.negotiating or client.nick == "*" or not client.user:
            return
        if client.nick == self.shunned:
            client.tell(f":{NAME} 465 {client.nick} :You are not welcome here")
        elif self.password and client.password != self.password:
            client.tell(f":{NAME} 464 {client.nick} :Password incorrect")
        else:
            client.welcome = True
            client.tell(f":{NAME} 001 {client.nick} :Welcome, {client.source}")
            client.tell(f":{NAME} 005 {client.nick} {self.supported} :are supported by this server")
            client.tell(f":{NAME} 376 {client.nick} :End of MOTD")
            return
        client.tell("ERROR :Closing Link")
        client.writer.close()

    def _on_cap(self, client: Client, params: list[str]) -> None:
        names = {cap.partition("=")[0] for cap in self.caps}
        if params[0] == "LS" and self.caps:
            client.negotiating = True
            half = len(self.caps) // 2
            client.tell(f":{NAME} CAP * LS * :{' '.join(self.caps[:half])}")
            client.tell(f":{NAME} CAP * LS :{' '.join(self.caps[half:])}")
        elif params[0] == "REQ":
            wanted = set(params[-1].split())
            client.caps |= wanted if wanted <= names else set()
            client.tell(f":{NAME} CAP * {'ACK' if wanted <= names else 'NAK'} :{params[-1]}")
        elif params[0] == "END":
            client.negotiating = False

    def _on_pass(self, client: Client, params: list[str]) -> None:
        client.password = params[-1]

    def _on_authenticate(self, client: Client, params: list[str]) -> None:
        if params[0] == "PLAIN":
            client.tell("AUTHENTICATE +")
            return
        _, account, password = base64.b64decode(params[0]).decode().split("\0")
        if self.accounts.get(account) == password:
            client.account = account
            client.tell(f":{NAME} 900 {client.nick} {client.nick}!*@* {account} :You are now logged in as {account}")
            client.tell(f":{NAME} 903 {client.nick} :SASL authentication successful")
        else:
            client.tell(f":{NAME} 904 {client.nick} :SASL authentication failed for {account} {password}")

    def _on_nick(self, client: Client, params: list[str]) -> None:
        nick = params[0] if params else ""
        holder = self.by_nick(nick)
        if not nick or nick[0].isdigit():
            client.tell(f":{NAME} 432 {client.nick} {nick} :Erroneous nickname")
        elif holder is not None and holder is not client:
            client.tell(f":{NAME} 433 {client.nick} {nick} :Nickname is already in use")
        else:
            for other in self._near(client) | ({client} if client.welcome else set()):
                other.tell(f":{client.source} NICK :{nick}")
            client.nick = nick

    def _on_user(self, client: Client, params: list[str]) -> None:
        client.user = params[0]

    def _on_mode(self, client: Client, params: list[str]) -> None:
        client.robot = client.robot or params[1:] == ["+B"]

    def _on_ping(self, client: Client, params: list[str]) -> None:
        if not self.deaf:
            client.tell(f":{NAME} PONG {NAME} :{params[-1]}")

    def _on_quit(self, client: Client, params: list[str]) -> None:
        self._gone(client, "Quit")
        client.tell("ERROR :Closing Link: Quit")
        client.writer.close()

    def _on_join(self, client: Client, params: list[str]) -> None:
        for channel in params[0].split(","):
            self._join(client, channel)

    def _join(self, client: Client, name: str) -> None:
        channel = name.lower()
        if f"{channel} {client.nick}" in self.banned:
            client.tell(f":{NAME} 474 {client.nick} {channel} :Cannot join channel (+b)")
            return
        members = self.channels.setdefault(channel, [])
        if client not in members:
            members.append(client)
        for other in members:
            more = f" {client.account or '*'} :{client.user}" if "extended-join" in other.caps else ""
            other.tell(f":{client.source} JOIN {name}{more}")
        client.tell(f":{NAME} 366 {client.nick} {channel} :End of /NAMES list")

    def _on_part(self, client: Client, params: list[str]) -> None:
        for other in self.channels.get(params[0].lower(), ()):
            other.tell(f":{client.source} PART {params[0]}")
        self.channels[params[0].lower()].remove(client)

    def _on_who(self, client: Client, params: list[str]) -> None:
        assert params[1] == "%tcnaf,77", params
        for each in self.channels.get(params[0].lower(), ()):
            flags = "HB" if each.robot else "H"
            client.tell(f":{NAME} 354 {client.nick} 77 {params[0]} {each.nick} {flags} {each.account or '0'}")
        client.tell(f":{NAME} 315 {client.nick} {params[0]} :End of WHO list")

    def _on_whois(self, client: Client, params: list[str]) -> None:
        each = self.by_nick(params[0])
        if each is None:
            client.tell(f":{NAME} 401 {client.nick} {params[0]} :No such nick/channel")
        elif each.account:
            client.tell(f":{NAME} 330 {client.nick} {each.nick} {each.account} :is logged in as")
        client.tell(f":{NAME} 318 {client.nick} {params[0]} :End of /WHOIS list")

    def _on_privmsg(self, client: Client, params: list[str], command: str = "PRIVMSG") -> None:
        target, text = params[0], params[1]
        told = target.lstrip("@+").lower()
        to: Iterable[Client] = self.channels.get(told, [])
        if told[0] != "#":
            to = [each for each in [self.by_nick(told)] if each is not None]
        error = ""
        if not to:
            error = f"401 {client.nick} {target} :No such nick/channel"
        elif client.nick.startswith(self.bot) and told in self.muted:
            error = f"404 {client.nick} {target} :Cannot send to channel"
        elif client.nick.startswith(self.bot) and self.slow:
            error = (
                f"439 {client.nick} {target} :Target change too fast. Please wait {ceil(self.slow.pop(0))} seconds."
            )
        if error:
            client.tell(f":{NAME} {error}")
            return
        tags = {"msgid": f"m{next(self._ids)}"} | ({"account": client.account} if client.account else {})
        tags |= {"bot": ""} if client.robot else {}
        for each in to:
            if each is not client:
                each.tell(f":{client.source} {command} {target} :{text}", tags)
        if "echo-message" in client.caps:
            client.tell(f":{client.source} {command} {target} :{text}", tags)

    def _on_notice(self, client: Client, params: list[str]) -> None:
        self._on_privmsg(client, params, "NOTICE")
