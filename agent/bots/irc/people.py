"""Who is who on IRC: a nick says nothing, the account of the network's services does.

Where each message tells the account of its sender (`account-tag`), nothing is remembered. Else what `account-notify`,
`extended-join` and WHOX tell is, for as long as the server tells of every change.
"""

from __future__ import annotations

from typing import Final

from gemmagraph.bots.irc.lines import Line, lowering

_MARK: Final = "77"
WHOX: Final = f"%tcnaf,{_MARK}"
"""What to ask WHO for: its answers begin with the number, and hold channel, nick, flags and account."""
_MOST: Final = 50_000


class People:
    """Of one connection. Nicks come as the server compares them: see `lower`."""

    def __init__(self) -> None:
        self.lower = lowering("rfc1459")
        self.caps: set[str] = set()
        """Capabilities that are in force."""
        self.bot_flag = ""
        """The letter that stands for bots in WHO."""
        self._accounts: dict[str, str] = {}
        self._robots: set[str] = set()

    @property
    def need_who(self) -> bool:
        """Whether WHO can tell what messages do not."""
        by_account = "account-notify" in self.caps and "account-tag" not in self.caps
        return by_account or (bool(self.bot_flag) and "message-tags" not in self.caps)

    def account(self, line: Line) -> str:
        """Of who has sent this; empty if it is not certain."""
        if "account-tag" in self.caps:
            return line.tags.get("account", "")
        return self._accounts.get(self.lower(line.nick), "") if "account-notify" in self.caps else ""

    def robot(self, line: Line) -> bool:
        """Whether who has sent this is known as a bot."""
        tags = {"bot", "draft/bot", "inspircd.org/bot"} if "message-tags" in self.caps else set()
        return not tags.isdisjoint(line.tags) or self.lower(line.nick) in self._robots

    def learn(self, line: Line) -> None:
        """What a line says about somebody."""
        nick = self.lower(line.nick)
        if line.command == "ACCOUNT":
            self._set(nick, line.param(0))
        elif line.command == "JOIN" and "extended-join" in self.caps:
            self._set(nick, line.param(1))
        elif line.command in ("NICK", "QUIT", "PART"):
            self._forget(nick)
            self._forget(self.lower(line.param(0)) if line.command == "NICK" else "")
        elif line.command == "KICK":
            self._forget(self.lower(line.param(1)))
        elif line.command == "354" and line.param(1) == _MARK and len(line.params) == 6:
            nick = self.lower(line.param(3))
            self._set(nick, line.param(5))
            if self.bot_flag and self.bot_flag in line.param(4):
                self._robots.add(nick)

    def forget_all(self) -> None:
        """What was known of people in a channel that the bot is not in any more would grow stale."""
        self._accounts.clear()
        self._robots.clear()

    def _set(self, nick: str, account: str) -> None:
        self._forget(nick)
        if account not in ("", "*", "0") and len(self._accounts) < _MOST:
            self._accounts[nick] = account

    def _forget(self, nick: str) -> None:
        self._accounts.pop(nick, None)
        self._robots.discard(nick)
