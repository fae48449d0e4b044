"""The worlds of IRC: `World` is a real ngircd, which knows no accounts; `AccountsWorld` is a stand-in that does.

What is said on IRC is one line: people's line ends become blanks. Permissions need `AccountsWorld`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from chats.irc_people import Door, Heard, Person, live, shown
from chats.irc_server import Server, parts
from chats.world import PEOPLE, Request, Seen, Upload, until, until_seen

from gemmagraph.bots.base import Adapter, Verb
from gemmagraph.bots.irc.adapter import IrcAdapter

NGIRCD = shutil.which("ngircd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
NEEDED = os.environ.get("GEMMAGRAPH_NEEDS_NGIRCD") == "1"
BOT = "gemma"
PASSWORD = "open sesame 7"
_CONFIGURATION = """
[Global]
Name = irc.test
Info = for tests
Listen = 127.0.0.1
Ports = {port}
MotdPhrase = Hello
Password = {password}
[Limits]
MaxConnectionsIP = 0
MaxPenaltyTime = 0
MaxNickLength = 16
[Options]
PAM = no
Ident = no
DNS = no
[Operator]
Name = oper
Password = oper
"""
_NOTHING: Mapping[str, str] = {
    "edits": "what was said stands",
    "threads": "a channel is one stream of lines",
    "buttons": "there are only lines of text",
    "reactions": "there are only lines of text",
    "changes": "what was said stands",
    "deletions": "what was said stands",
    "files": "clients send files to each other, past the server",
    "redelivery": "each line comes once or never",
    "history": "the server keeps nothing",
}


class _World:
    platform: ClassVar[str] = "irc"
    absent: ClassVar[Mapping[str, str]] = _NOTHING
    channel = "#ops"
    other = "#dev"
    caps: ClassVar[str] = ""
    robot_says: ClassVar[str] = "PRIVMSG"
    whole: bool = True
    """Whether the lines that the bot says as one message are seen as one."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.requests: list[Request] = []
        self.door = Door(self.requests)
        self.people: dict[str, Person] = {}
        self.watcher = Person("watcher")
        """Sees all channels; the first in each, and so their operator."""

    async def _open(self, port: int, keys: Mapping[str, Any]) -> None:
        await self.door.open(port)
        self.keys = {"server": "127.0.0.1", "port": self.door.port, "tls": False, "nick": BOT, "pace": 0.01, **keys}
        self.keys["join"] = [self.channel, self.other]
        await self.watcher.come(port, self.channel, self.other, caps=self.caps, password=self._password("watcher"))
        for name in (*PEOPLE, "robot"):
            person = self.people[name] = Person(name, self.user(name))
            password = self._password(name)
            await person.come(
                port, self.channel, self.other, caps=self.caps, password=password, robot=name == "robot"
            )

    async def _close(self) -> None:
        for person in (self.watcher, *self.people.values()):
            await person.leave()
        await self.door.close()

    def _password(self, person: str) -> str:
        return ""

    def adapter(self) -> Adapter:
        return IrcAdapter(self.keys)

    def user(self, person: str) -> str:
        return ""

    async def direct(self, person: str) -> str:
        return self.people[person].nick.lower()

    async def say(
        self,
        person: str,
        text: str,
        *,
        channel: str = "",
        thread: str = "",
        to_bot: bool = False,
        files: Sequence[Upload] = (),
    ) -> str:
        assert (thread, list(files)) == ("", []), "not on IRC"
        who, channel = self.people[person], channel or self.channel
        if to_bot:
            text = f"{BOT}: {text}"
        if not channel.startswith("#"):
            who.write(*(f"PRIVMSG {BOT} :{line}" for line in _lines(text)))
            await who.settled()
            return ""
        before = len(self.watcher.heard)
        command = self.robot_says if person == "robot" else "PRIVMSG"
        who.write(*(f"{command} {channel} :{line}" for line in _lines(text)))

        def come() -> list[Heard]:
            return [each for each in self.watcher.heard[before:] if each.source.startswith(f"{who.nick}!")]

        await until(come, f"{person} to be seen in {channel}")
        return self._id(come()[0])

    async def change(self, person: str, channel: str, message: str, text: str) -> None:
        raise NotImplementedError(self.absent["changes"])

    async def delete(self, person: str, channel: str, message: str) -> None:
        raise NotImplementedError(self.absent["deletions"])

    async def press(self, person: str, channel: str, message: str, verb: Verb) -> None:
        raise NotImplementedError(self.absent["reactions"])

    async def seen(self, channel: str, thread: str | None = None) -> list[Seen]:
        if channel.startswith("#"):
            watcher, wanted = self.watcher, channel
        else:
            watcher = next(each for each in self.people.values() if each.nick.lower() == channel.partition("!")[0])
            wanted = watcher.nick.lower()
        groups: dict[Any, list[Heard]] = {}
        said = self._said(wanted)
        left = list(said)
        for each in watcher.heard:
            if each.target == wanted:
                group: Any = each
                if self.whole and each.who.startswith(BOT):
                    at = next((at for at, (text, _) in enumerate(left) if text == each.text), None)
                    if at is not None:
                        group, left = left[at][1], left[at + 1 :]
                groups.setdefault(group, []).append(each)
        return [self._seen(lines) for group, lines in groups.items() if self._is_whole(group, lines, said)]

    def _is_whole(self, group: Any, lines: Sequence[Heard], said: Sequence[tuple[str, int]]) -> bool:
        if not isinstance(group, int):
            return True
        signs = sum(line.startswith("PING") for line in self.door.lines)
        return group + 1 < signs or (group < signs and len(lines) == sum(number == group for _, number in said))

    def _said(self, target: str) -> list[tuple[str, int]]:
        """What the bot has said to somebody, and in which of its messages: it asks for a sign of life after each."""
        number, said = 0, []
        for line in self.door.lines:
            _, _, command, params = parts(line)
            number += command == "PING"
            if command == "PRIVMSG" and params[0].lower() == target:
                said.append((params[1], number))
        return said

    def _seen(self, lines: Sequence[Heard]) -> Seen:
        first, raw = lines[0], "\n".join(each.text for each in lines)
        who = "bot" if first.who.startswith(BOT) else first.who
        return Seen(self._id(first), who, shown(raw), raw, live=live(raw))

    def _id(self, each: Heard) -> str:
        return each.tags.get("msgid", "") or f"line{each.number}"

    until = until_seen

    async def redeliver(self) -> None:
        raise NotImplementedError(self.absent["redelivery"])

    async def drop(self) -> None:
        self.door.slam()

    def refuse(self, seconds: float, times: int = 1) -> None:
        raise NotImplementedError("a server that finds the bot too fast takes its lines later")

    async def rename(self, person: str, name: str) -> None:
        """Nicks have no blanks, and only one has each: who had it before has to take another."""
        who, nick = self.people[person], name.replace(" ", "_")
        for each, other in self.people.items():
            if other.nick == nick and other is not who:
                await self.rename(each, f"{nick}_")
        who.write(f"NICK {nick}")
        await until(lambda: any(re.search(f" NICK :?{nick}$", line) for line in who.lines), f"{person} to be {nick}")
        who.nick = nick


class World(_World):
    """A real ngircd. Who has no account cannot be told from others: no permissions."""

    absent: ClassVar[Mapping[str, str]] = {
        **_NOTHING,
        "refuse": "a server that finds the bot too fast takes its lines later",
        "ids": "messages have none",
        "accounts": "the server knows none",
    }
    robot_says: ClassVar[str] = "NOTICE"  # there is no bot mode

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp(prefix="ngircd"))
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    async def __aenter__(self) -> World:
        if NGIRCD is None:
            assert not NEEDED, "ngircd is missing"
            pytest.skip("ngircd is not installed: `apt-get install ngircd`")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        await self.start()
        await self._open(self._port, {"password": PASSWORD})
        self.watcher.write("OPER oper oper")
        await self.watcher.settled()
        return self

    async def start(self) -> None:
        assert NGIRCD is not None
        self._configure(PASSWORD)
        self._folder.chmod(0o755)
        command = [NGIRCD, "-n", "-f", str(self._folder / "ngircd.conf")]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
        await until(lambda: _answers(self._port), "ngircd to answer")

    async def stop(self) -> None:
        """At once, as if the machine had lost its power."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def _configure(self, password: str) -> None:
        (self._folder / "ngircd.conf").write_text(_CONFIGURATION.format(port=self._port, password=password))

    async def __aexit__(self, *failure: object) -> None:
        await self._close()
        await self.stop()
        shutil.rmtree(self._folder)

    def _password(self, person: str) -> str:
        return PASSWORD

    def revoke(self) -> None:
        assert self._process is not None
        self._configure("another one")
        self._process.send_signal(signal.SIGHUP)
        self.watcher.write(f"KILL {BOT} :go away")

    def forbid(self, channel: str) -> None:
        self.watcher.write(f"MODE {channel} +m", *(f"MODE {channel} +v {each.nick}" for each in self.people.values()))


class AccountsWorld(_World):
    """The stand-in. People have accounts, which are not called as they are."""

    absent: ClassVar[Mapping[str, str]] = _NOTHING
    caps: ClassVar[str] = "message-tags account-tag echo-message sasl"

    def __init__(self) -> None:
        super().__init__()
        self.server = Server(BOT)

    async def __aenter__(self) -> AccountsWorld:
        self.server.accounts = {self.user(name): f"secret of {name}" for name in PEOPLE} | {BOT: PASSWORD}
        await self._open(await self.server.start(), {"account": BOT, "password": PASSWORD})
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._close()
        await self.server.stop()

    def _password(self, person: str) -> str:
        return f"secret of {person}" if person in PEOPLE else ""

    def user(self, person: str) -> str:
        return {"ann": "Annabel", "bob": "robert", "eve": "eve75"}.get(person, "")

    async def direct(self, person: str) -> str:
        return f"{self.people[person].nick.lower()}!{self.user(person)}"

    def refuse(self, seconds: float, times: int = 1) -> None:
        self.server.slow += [seconds] * times

    def revoke(self) -> None:
        self.server.accounts.pop(BOT)
        self.server.kill(BOT, "the account is suspended")

    def forbid(self, channel: str) -> None:
        self.server.muted.add(channel)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _lines(text: str) -> list[str]:
    """What a client makes of a text: a line, or several if it is too long."""
    lines, rest = [], " ".join(text.split("\n"))
    while rest:
        lines.append(rest.encode()[:400].decode("utf-8", "ignore"))
        rest = rest[len(lines[-1]) :]
    return lines
