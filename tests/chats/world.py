"""A chat service with people in it, as its users see it: what the conformance suite of adapters speaks to.

Each service has a world of its own: the real server, or a small stand-in that the vendor's unmodified client library
speaks to. What people do and see goes past the adapter, over the service.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from gemmagraph.bots.base import Adapter, Verb
from gemmagraph.errors import StoreError

PEOPLE = ("ann", "bob", "eve")


@dataclass(frozen=True)
class Seen:
    """A message as it stands in a channel now."""

    id: str
    who: str
    """One of `PEOPLE`, `bot`, or `robot` (another bot)."""
    text: str
    """As people read it, markup taken away: what a client shows."""
    raw: str = ""
    """As the service keeps it, markup and all."""
    thread: str = ""
    offers: tuple[Verb, ...] = ()
    """Decisions that can be made under it, by buttons or by the reactions that the bot has put there."""
    edits: int = 0
    live: tuple[str, ...] = ()
    """URLs in it that a click would open, or the service itself would fetch or preview."""
    pings: tuple[str, ...] = ()
    """Whom it would notify: people, or groups like `everyone`."""


@dataclass(frozen=True)
class Request:
    """Something that the bot has asked of the service."""

    at: float
    """`time.monotonic()`."""
    what: Literal["send", "edit", "other"]
    message: str = ""
    """The id of the message that it was about, if known."""
    refused: float = 0.0
    """Seconds for which the service then wanted a pause; 0: it was done."""


@dataclass(frozen=True)
class Upload:
    name: str
    mime: str
    content: bytes


class World(Protocol):
    """Made with no arguments; async context manager: the service runs inside, on a free loopback port.

    Everything is bounded: what does not come within ten seconds raises TimeoutError and says what was waited for.
    """

    platform: ClassVar[str]
    absent: ClassVar[Mapping[str, str]]
    """What the service does not have, and why in half a sentence: of `edits` (the bot's own), `threads`, `buttons`,
    `reactions`, `changes` (people edit), `deletions`, `files`, `redelivery`, `history` (what was missed can be read
    later), `drop`, `refuse`, `robots`, `renames`, `revoke`, `ids` (of messages)."""

    keys: dict[str, Any]
    """What stands below the platform's name in `bots:`: tokens, addresses; without `channels`."""
    channel: str
    """A channel in which all `PEOPLE` and the bot are."""
    other: str
    """Another one."""
    requests: list[Request]

    async def __aenter__(self) -> World: ...
    async def __aexit__(self, *failure: object) -> None: ...

    def adapter(self) -> Adapter:
        """A new adapter, made from `keys` as the program does it; the old one is another process, so to say."""

    def user(self, person: str) -> str:
        """The immutable id, as it stands behind `PLATFORM:` in `groups`."""

    async def direct(self, person: str) -> str:
        """The channel that the person has alone with the bot."""

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
        """The person (`robot` is one that is none) writes, and mentions the bot in front if `to_bot`. The id."""

    async def change(self, person: str, channel: str, message: str, text: str) -> None:
        """The person edits a message."""

    async def delete(self, person: str, channel: str, message: str) -> None: ...

    async def press(self, person: str, channel: str, message: str, verb: Verb) -> None:
        """The person uses a button or reaction below a message."""

    async def seen(self, channel: str, thread: str | None = None) -> list[Seen]:
        """What stands there now, the oldest first; None: in the channel and all its threads."""

    async def until(self, true: Callable[[list[Seen]], Any], channel: str = "", seconds: float = 10.0) -> list[Seen]:
        """Waits until something is true of what stands in the channel: `until_seen` does it in every world."""

    async def redeliver(self) -> None:
        """All events so far are delivered once more, as the service does when it does not know that they came."""

    async def drop(self) -> None:
        """The bot's connection is cut, without a word."""

    def refuse(self, seconds: float, times: int = 1) -> None:
        """The next sends and edits are answered as the service does to those who are too fast."""

    async def rename(self, person: str, name: str) -> None:
        """The person is called something else from now on."""

    def revoke(self) -> None:
        """The bot's token is worth nothing any more, also for the connection there is."""

    def forbid(self, channel: str) -> None:
        """The bot may not write there any more."""


async def until(true: Callable[[], Any], what: str | Callable[[], object] = "it", seconds: float = 10.0) -> Any:
    """What is true, or what the awaitable comes to, once it is.

    Raises:
        TimeoutError: it says what was waited for.
    """
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = true()
                if inspect.isawaitable(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise TimeoutError(f"Not within {seconds:g} s: {what() if callable(what) else what}") from None


async def until_seen(
    world: World, true: Callable[[list[Seen]], Any], channel: str = "", seconds: float = 10.0
) -> list[Seen]:
    """The method `until` of every world."""
    seen: list[Seen] = []

    async def look() -> Any:
        nonlocal seen
        seen = await world.seen(channel or world.channel)
        return true(seen)

    await until(look, lambda: f"something else than\n{getattr(world, 'screen', seen)}", seconds)
    return seen


@dataclass
class Heard:
    """A receiver that keeps what it is told, for an adapter's own tests."""

    events: list[Any] = field(default_factory=list)
    cursor: str | None = None
    up: int = 0
    down: list[str] = field(default_factory=list)

    async def accept(self, events: Sequence[Any], cursor: str | None = None) -> None:
        self.events += events
        self.cursor = cursor or self.cursor

    async def rest(self) -> None: ...

    def connected(self) -> None:
        self.up += 1

    def lost(self, why: str) -> None:
        self.down.append(why)


@dataclass
class Full(Heard):
    """A receiver that cannot keep what it is told, some times."""

    failures: int = 2

    async def accept(self, events: Sequence[Any], cursor: str | None = None) -> None:
        if events and self.failures:
            self.failures -= 1
            raise StoreError("The disk is full.")
        await super().accept(events, cursor)


@dataclass
class Slow(Heard):
    """A receiver that takes two milliseconds, and notes when it had kept what."""

    kept: dict[str, float] = field(default_factory=dict)
    """By the text of messages."""

    async def accept(self, events: Sequence[Any], cursor: str | None = None) -> None:
        await asyncio.sleep(0.002)
        await super().accept(events, cursor)
        self.kept |= {event.text: time.monotonic() for event in events}
