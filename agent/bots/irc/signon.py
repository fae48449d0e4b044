"""How the bot signs on to an IRC server: capabilities, its account (SASL PLAIN), its nick."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from gemmagraph.bots.errors import BotError, Revoked, Unreachable
from gemmagraph.bots.irc.lines import Line
from gemmagraph.bots.irc.link import Link, Settings

CAPS: Final = {"account-notify", "account-tag", "batch", "echo-message", "extended-join", "message-tags", "sasl"}
_NO_SASL: Final = ("902", "904", "905", "906", "908")
_NICKS_TRIED: Final = 8


@dataclass(slots=True)
class SignOn:
    link: Link
    settings: Settings
    nick: str = ""
    """That the bot has."""
    caps: set[str] = field(default_factory=set)
    """Capabilities that are in force."""
    _offered: dict[str, str] = field(default_factory=dict)
    _logged_in: bool = False
    _tried: int = 0

    async def run(self, lines: AsyncIterator[Line]) -> None:
        """Returns when the bot is welcome.

        Raises:
            Revoked: the account is refused.
            BotError: the nick is none.
            Unreachable: not now.
        """
        settings = self.settings
        self.nick = settings.nick
        self.link.write("CAP", "LS", "302")
        if settings.password and not settings.account:
            self.link.write("PASS", settings.password)
        self.link.write("NICK", settings.nick)
        self.link.write("USER", settings.nick[:10], "0", "*", settings.nick)
        async for line in lines:
            if line.command == "001":
                break
            self._take(line)
        if settings.account and not self._logged_in:
            raise Unreachable(f"{settings.server} offers no login with SASL PLAIN just now.")
        self.nick = line.param(0) or self.nick

    def _take(self, line: Line) -> None:
        settings, command = self.settings, line.command
        if command == "CAP":
            self._capabilities(line)
        elif command == "AUTHENTICATE" and line.last == "+":
            self._authenticate(f"{settings.account}\0{settings.account}\0{settings.password}")
        elif command in ("903", "907"):
            self._logged_in = True
            self.link.write("CAP", "END")
        elif command in _NO_SASL:
            why = self.link.shown(line.last)
            raise Revoked(f"{settings.server} does not let the account {settings.account!r} in: {why}")
        elif command in ("432", "433", "436", "437"):
            self._another_nick(line)

    def _capabilities(self, line: Line) -> None:
        verb = line.param(1).upper()
        named = {name: value for each in line.last.split() for name, _, value in [each.partition("=")]}
        if verb == "LS":
            self._offered |= named
            wanted = CAPS & self._offered.keys()
            if not self.settings.account or "PLAIN" not in (self._offered.get("sasl") or "PLAIN").upper().split(","):
                wanted -= {"sasl"}
            if line.param(2) != "*":
                self.link.write("CAP", *(("REQ", " ".join(sorted(wanted))) if wanted else ("END",)))
        elif verb == "ACK":
            self.caps |= named.keys()
            self.link.write(*(("AUTHENTICATE", "PLAIN") if "sasl" in named else ("CAP", "END")))
        elif verb == "NAK":
            self.link.write("CAP", "END")

    def _authenticate(self, secret: str) -> None:
        said = base64.b64encode(secret.encode()).decode()
        for at in range(0, len(said), 400):
            self.link.write("AUTHENTICATE", said[at : at + 400])
        if len(said) % 400 == 0:
            self.link.write("AUTHENTICATE", "+")

    def _another_nick(self, line: Line) -> None:
        """Somebody has the nick: mostly an earlier connection of the bot, which the server has not missed yet."""
        wanted = self.settings.nick
        if line.command == "432" and self._tried == 0:
            raise BotError(f"{self.settings.server} does not take the nick {wanted!r}: {self.link.shown(line.last)}")
        self._tried += 1
        if self._tried > _NICKS_TRIED:
            raise Unreachable(f"On {self.settings.server} somebody has {wanted!r} and all nicks like it.")
        self.nick = f"{wanted}_" if self._tried == 1 else f"{wanted[:7]}_{self._tried}"
        self.link.write("NICK", self.nick)
