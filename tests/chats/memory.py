"""A chat service inside the process: what the core of bots is tried on where no network matters. It delivers what
people say to the adapter that listens, keeps what they see, and can be made to fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar

from chats.world import Request, Seen, Upload, until_seen

from gemmagraph.bots.base import (
    Choice,
    Deleted,
    Edited,
    File,
    Inbound,
    Message,
    Place,
    Pressed,
    Receiver,
    Traits,
    Verb,
)
from gemmagraph.bots.errors import NotThere, Revoked, TooFast, Unreachable
from gemmagraph.bots.text import Block, Code, as_text


@dataclass
class _Posted:
    seen: Seen
    channel: str
    key: str = ""
    approval: str = ""


@dataclass
class MemoryService:
    """Channels and what stands in them."""

    direct: frozenset[str] = frozenset()
    """Channels in which only one person and the bot are."""
    posted: dict[str, _Posted] = field(default_factory=dict)
    events: list[Inbound] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    receivers: list[Receiver] = field(default_factory=list)
    faults: list[Callable[[], Exception | None]] = field(default_factory=list)
    """Each fails one send or edit, before it took effect or after (`late`)."""
    late: list[Exception] = field(default_factory=list)
    """Failures after a send or edit has taken effect."""
    files: dict[str, bytes] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    revoked: asyncio.Event = field(default_factory=asyncio.Event)
    not_before: float = 0.0
    early: int = 0
    """Requests that came before the pause was over."""

    async def happen(self, event: Inbound) -> None:
        self.events.append(event)
        for receiver in list(self.receivers):
            await receiver.accept([event], str(len(self.events)))

    def check(self, what: str, message: str, channel: str) -> None:
        if channel in self.forbidden:
            raise NotThere(f"The bot may not write in {channel}.")
        if time.monotonic() < self.not_before:
            self.early += 1
        failure = self.faults.pop(0)() if self.faults else None
        refused = failure.seconds if isinstance(failure, TooFast) else 0.0
        self.requests.append(Request(time.monotonic(), what, message, refused))  # type: ignore[arg-type]
        if isinstance(failure, TooFast):
            self.not_before = time.monotonic() + failure.seconds
        if failure is not None:
            raise failure

    def after(self) -> None:
        if self.late:
            raise self.late.pop(0)


class MemoryAdapter:
    """An adapter for `MemoryService`."""

    platform: ClassVar[str] = "memory"

    def __init__(self, service: MemoryService, traits: Traits) -> None:
        self.service = service
        self.traits = traits

    async def listen(self, receiver: Receiver) -> None:
        if receiver.cursor is not None:
            await receiver.accept(self.service.events[int(receiver.cursor) :], str(len(self.service.events)))
        else:
            await receiver.accept([], str(len(self.service.events)))
        self.service.receivers.append(receiver)
        receiver.connected()
        try:
            await self.service.revoked.wait()
            raise Revoked("The service does not let the bot in.")
        finally:
            self.service.receivers.remove(receiver)

    async def send(self, place: Place, blocks: Sequence[Block], key: str, choices: Sequence[Choice] = ()) -> str:
        service = self.service
        service.check("send", "", place.channel)
        assert self.length(blocks) <= self.traits.most
        if self.traits.keyed:
            for posted in service.posted.values():
                if posted.key == key:
                    return posted.seen.id
        identity = f"b{len(service.posted)}"
        seen = Seen(identity, "bot", as_text(blocks), _raw(blocks), place.thread, tuple(one.verb for one in choices))
        service.posted[identity] = _Posted(seen, place.channel, key, choices[0].approval if choices else "")
        service.after()
        return identity

    async def edit(self, place: Place, message: str, blocks: Sequence[Block], choices: Sequence[Choice] = ()) -> None:
        service = self.service
        service.check("edit", message, place.channel)
        posted = service.posted[message]
        offers = tuple(one.verb for one in choices)
        seen = replace(
            posted.seen, text=as_text(blocks), raw=_raw(blocks), offers=offers, edits=posted.seen.edits + 1
        )
        service.posted[message] = replace(posted, seen=seen)
        service.after()

    async def find(self, place: Place, key: str) -> str | None:
        found = [posted.seen.id for posted in self.service.posted.values() if posted.key == key]
        return found[0] if found else None

    async def fetch(self, file: File, most: int) -> bytes:
        content = self.service.files.get(str(file.reference["name"]))
        if content is None or len(content) > most:
            raise NotThere("The file is gone, or too large.")
        return content

    def length(self, blocks: Sequence[Block]) -> int:
        return len(as_text(blocks))


class MemoryWorld:
    """The same methods as the worlds of real services, in a process."""

    platform: ClassVar[str] = "memory"
    absent: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __init__(self, traits: Traits | None = None) -> None:
        self.traits = traits or Traits(most=4000, edit_every=0.05, choices="buttons", keyed=True)
        self.service = MemoryService(frozenset(f"dm-{person}" for person in ("ann", "bob", "eve")))
        self.keys: dict[str, Any] = {}
        self.channel, self.other = "ops", "random"
        self.names = {"ann": "Ann", "bob": "Bob", "eve": "Eve", "robot": "Robot"}

    async def __aenter__(self) -> MemoryWorld:
        return self

    async def __aexit__(self, *failure: object) -> None: ...

    @property
    def requests(self) -> list[Request]:
        return self.service.requests

    def adapter(self) -> MemoryAdapter:
        return MemoryAdapter(self.service, self.traits)

    def user(self, person: str) -> str:
        return f"u-{person}"

    async def direct(self, person: str) -> str:
        return f"dm-{person}"

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
        channel = channel or self.channel
        identity = f"m{len(self.service.posted)}"
        self.service.posted[identity] = _Posted(Seen(identity, person, text, text, thread), channel)
        self.service.files |= {file.name: file.content for file in files}
        message = Message(
            event=f"e-{identity}",
            place=Place("", channel, thread, direct=channel in self.service.direct),
            user=self.user(person),
            name=self.names[person],
            text=text,
            id=identity,
            addressed=to_bot,
            machine=person == "robot",
            files=tuple(File(file.name, file.mime, len(file.content), {"name": file.name}) for file in files),
        )
        await self.service.happen(message)
        return identity

    async def change(self, person: str, channel: str, message: str, text: str) -> None:
        said = next(e for e in self.service.events if isinstance(e, Message) and e.id == message)
        event = f"c-{message}-{len(self.service.events)}"
        await self.service.happen(Edited(event, replace(said, event=event, text=text)))

    async def delete(self, person: str, channel: str, message: str) -> None:
        posted = self.service.posted.pop(message)
        place = Place("", channel, posted.seen.thread, direct=channel in self.service.direct)
        await self.service.happen(Deleted(f"d-{message}", place, message, self.user(person)))

    async def press(self, person: str, channel: str, message: str, verb: Verb) -> None:
        posted = self.service.posted[message]
        event = f"p-{message}-{person}-{len(self.service.events)}"
        place = Place("", channel, posted.seen.thread, direct=channel in self.service.direct)
        pressed = Pressed(event, place, self.user(person), self.names[person], message, verb, posted.approval)
        await self.service.happen(pressed)

    async def seen(self, channel: str, thread: str | None = None) -> list[Seen]:
        there = (posted.seen for posted in self.service.posted.values() if posted.channel == channel)
        return [one for one in there if thread is None or one.thread == thread]

    until = until_seen

    async def redeliver(self) -> None:
        for event in list(self.service.events):
            for receiver in list(self.service.receivers):
                await receiver.accept([event])

    async def drop(self) -> None: ...

    def refuse(self, seconds: float, times: int = 1) -> None:
        self.service.faults += [lambda: TooFast(seconds)] * times

    def break_down(self, times: int = 1, *, late: bool = False) -> None:
        """The next sends and edits fail, before or after they took effect."""
        if late:
            self.service.late += [Unreachable("no reply")] * times
        else:
            self.service.faults += [lambda: Unreachable("down")] * times

    async def rename(self, person: str, name: str) -> None:
        self.names[person] = name

    def revoke(self) -> None:
        self.service.revoked.set()

    def forbid(self, channel: str) -> None:
        self.service.forbidden.add(channel)


def _raw(blocks: Sequence[Block]) -> str:
    """With code told apart from text."""
    said = []
    for block in blocks:
        if isinstance(block, Code):
            said.append(f"```{block.text}```")
        else:
            said.append("".join(f"`{span.text}`" if span.style == "code" else span.text for span in block.spans))
    return "\n\n".join(said)
