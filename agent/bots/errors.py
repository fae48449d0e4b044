"""What may go wrong with a chat service.

GemmagraphError
└── BotError            whoever runs the bot reads it
    ├── NotInstalled    a library that it needs is not here
    ├── TooFast         the service wants to be left alone for some seconds
    ├── Unreachable     it cannot be reached, or fails by itself: the same is tried again
    ├── NotThere        this message cannot be sent or changed, now or later
    └── Revoked         it does not let the bot in
"""

from __future__ import annotations

from typing import Self

from gemmagraph.prompts.errors import GemmagraphError


class BotError(GemmagraphError):
    """Something is wrong with a bot or its chat service."""


class NotInstalled(BotError):
    """A library that the bot needs is not here; nothing need be wrong with its keys."""

    @classmethod
    def of(cls, what: str, package: str) -> Self:
        """What needs more, and what is installed for it."""
        return cls(f"{what} needs more packages.", hint=f'Run: pip install "{package}"')


class TooFast(BotError):
    """The service wants nothing from us for some time (HTTP 429)."""

    def __init__(self, seconds: float, message: str = "") -> None:
        super().__init__(message or f"The chat service wants a pause of {seconds:g} s.")
        self.seconds = seconds


class Unreachable(BotError):
    """The service cannot be reached, or fails by itself; the same request may do later.

    Args:
        sent: whether the request may have been carried out all the same.
    """

    def __init__(self, message: str, *, hint: str = "", sent: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.sent = sent


class NotThere(BotError):
    """The channel or message is gone, or the bot may not write there; trying again changes nothing."""


class Revoked(BotError):
    """The service does not let the bot in: a wrong or revoked token."""
