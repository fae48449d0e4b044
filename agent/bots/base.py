"""What an adapter and the core of bots promise each other.

An adapter translates between one chat service and these values, and decides nothing: who is answered, in what order,
with which tools, and what counts as an approval is the core's business. It is a class with the methods of `Adapter`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from gemmagraph.bots.text import Block
    from gemmagraph.prompts.messages import JSON

Verb: TypeAlias = Literal["approve", "reject"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is said. All ids are those of the service that never change."""

    workspace: str
    """Team, server or homeserver; empty where the service has only one."""
    channel: str
    thread: str = ""
    """The id of the message that the thread hangs on; empty: in the channel itself."""
    direct: bool = False
    """Whether only one person and the bot are there."""

    def shares_channel(self, other: Place) -> bool:
        return (self.workspace, self.channel) == (other.workspace, other.channel)


@dataclass(frozen=True, slots=True)
class File:
    """Something that came with a message, and was not fetched yet."""

    name: str
    """As its sender calls it. It is shown, and never a path."""
    mime: str
    size: int | None
    """Bytes, as the service says."""
    reference: Mapping[str, JSON] = field(default_factory=dict)
    """What `Adapter.fetch` needs to find it, also after a restart; nothing secret."""


@dataclass(frozen=True, slots=True)
class Message:
    """Somebody has said something. Told is what a person in the channel could see."""

    event: str
    """The service's id of this event: unique in the workspace, and the same each time it is delivered."""
    place: Place
    user: str
    """The immutable id of who said it, as it stands behind `slack:` in `groups`: `T1/U024`, `@ann:example.org`. Empty
    if it is not certain (IRC without a services account)."""
    name: str
    """What that person is called just now; it is shown, and decides nothing."""
    text: str
    """Plain text: mentions of people as @NAME, links as their URL, of the bot itself taken out."""
    id: str
    """The service's id of the message: what edits, deletions and threads name."""
    addressed: bool = False
    """Whether the bot was mentioned in the way that the service has for it."""
    machine: bool = False
    """Whether a bot, a webhook or the bot itself has said it."""
    files: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class Edited:
    """A message has another text now."""

    event: str
    message: Message
    """As it is now; its `id` is the one it had."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """A message was taken away."""

    event: str
    place: Place
    id: str
    user: str = ""
    """Who took it away, if the service tells."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """Somebody has pressed a button under a message of the bot, or reacted to it."""

    event: str
    place: Place
    user: str
    name: str
    message: str
    """The id of the bot's message."""
    verb: Verb
    approval: str = ""
    """What the button carried; empty for a reaction."""


Inbound: TypeAlias = Message | Edited | Deleted | Pressed


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision that is offered under a message."""

    verb: Verb
    approval: str
    """The id of the approval: all that a button carries."""
    label: str


@dataclass(frozen=True, slots=True)
class Traits:
    """What a service can do."""

    most: int
    """Characters of one message, as `Adapter.length` counts them."""
    edits: bool = True
    """Whether a message can be changed after it was sent."""
    edit_every: float = 1.0
    """Seconds between two edits of a message, at least."""
    threads: bool = True
    choices: Literal["buttons", "reactions", "code"] = "code"
    """How people decide; typing the code of an approval works everywhere."""
    keyed: bool = False
    """Whether a second `send` with the same key is not shown twice by the service itself."""
    findable: bool = False
    """Whether `find` can tell if a message with a key was sent."""
    forgets: bool = False
    """Whether people do not see any more what was sent before a restart, but would if it is edited."""
    command: str = "/"
    """What stands in front of commands where people type them. `!` works everywhere: some clients keep `/`."""


class Receiver(Protocol):
    """What an adapter tells what has happened."""

    @property
    def cursor(self) -> str | None:
        """What the last `accept` with a cursor said, also in an earlier process; None: the bot was never here."""

    async def accept(self, events: Sequence[Inbound], cursor: str | None = None) -> None:
        """Takes events. Once this returns they are on disk, and so is the cursor: only then may the adapter
        acknowledge them. Events that are known already change nothing. Never waits for a model.

        Args:
            cursor: where to go on reading after these (a sync token, an offset, the last id).

        Raises:
            StoreError: they could not be kept. Do not acknowledge them.
        """

    async def rest(self) -> None:
        """Returns when all that was accepted is answered, or waits for people: for an adapter that ends by itself."""

    def connected(self) -> None:
        """The bot can hear and speak (again)."""

    def lost(self, why: str) -> None:
        """The connection is gone; the adapter makes another."""


class Adapter(Protocol):
    """A chat service. It is made from the keys below its name in `bots:` of an assistant file, secrets filled in."""

    platform: ClassVar[str]
    """The first part of user ids: `slack` in `slack:T1/U024`."""
    traits: Traits

    async def listen(self, receiver: Receiver) -> None:
        """Connects, and tells the receiver what happens, until it is cancelled; then it ends its connections.
        A lost connection is made again, and what was missed meanwhile is told if the service still knows it. What
        was said before the bot was ever there (no cursor) is not told.

        Raises:
            Revoked: the service does not let the bot in.
        """

    async def send(self, place: Place, blocks: Sequence[Block], key: str, choices: Sequence[Choice] = ()) -> str:
        """Says something, and gives the id of the message. No previews of links, no mentions; all text of the blocks
        is escaped, so that it is shown as it is.

        Args:
            blocks: together at most `traits.most` long.
            key: stands for this message, whatever happens; see `Traits.keyed`.

        Raises:
            TooFast, Unreachable, NotThere, Revoked: as they say.
        """

    async def edit(self, place: Place, message: str, blocks: Sequence[Block], choices: Sequence[Choice] = ()) -> None:
        """Puts something else in the place of what the bot has said; without choices those there were are gone.

        Raises:
            TooFast, Unreachable, NotThere, Revoked: as they say.
        """

    async def find(self, place: Place, key: str) -> str | None:
        """The id of the message that was sent with this key, if it was (`Traits.findable`)."""

    async def fetch(self, file: File, most: int) -> bytes:
        """A file, from the service's own host only.

        Args:
            most: bytes; larger ones are refused while they are read.

        Raises:
            NotThere: it is gone, larger, or somewhere else.
            Unreachable, TooFast: as they say.
        """

    def length(self, blocks: Sequence[Block]) -> int:
        """How long the blocks are as this service counts: what `traits.most` bounds."""
