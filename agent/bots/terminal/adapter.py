"""The terminal as a chat service: one keyboard, and as many pretended people as somebody likes to be.

Lines that begin with a dot are for this adapter (`.as bob`, `.in #dev`), all others are said: docs/bots/terminal.md.
Where nobody sits, as with a pipe, each line waits until the one before it is answered, and what was written stands.
"""

from __future__ import annotations

import asyncio
import getpass
import mimetypes
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final, cast

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
from gemmagraph.bots.errors import BotError, NotThere
from gemmagraph.bots.terminal.input import Input
from gemmagraph.bots.terminal.notes import gathered
from gemmagraph.bots.terminal.screen import Screen
from gemmagraph.bots.terminal.shown import (
    DIRECT,
    GONE,
    Shown,
    cursor_of,
    id_of,
    number_of,
    read_cursor,
    said,
    where_of,
)
from gemmagraph.bots.text import Block, as_text
from gemmagraph.errors import StoreError

LOCAL: Final = "local"
"""Of ids of people who sit at this machine."""
_COMMAND: Final = re.compile(r"\.([a-z]+)(?:[ \t]+(.*))?", re.DOTALL)
_MENTION: Final = re.compile(r"(?<![\w@.])@bot(?![\w-])[ \t]*[:,]?[ \t]*", re.IGNORECASE)
_ID: Final = re.compile(r"[^\s@]\S{0,199}")
_NUMBER: Final = re.compile(r"#?(\d{1,9})(?:[ \t]+(.*))?", re.DOTALL)
_TOLD: Final = 1000
"""Events that `.redeliver` tells again, and messages that can be named."""
_PLACED: Final = 100
"""Messages of which it is known after a restart where they stand."""
_PATIENT: Final = 0.5
"""Seconds that somebody who leaves waits before hearing why."""


class TerminalAdapter:
    """Args:
    keys: `people` and `channels` of the file, only to be shown.
    source, out: file descriptors.
    """

    platform: ClassVar[str] = LOCAL

    def __init__(self, keys: Mapping[str, Any], source: int = 0, out: int = 1) -> None:
        if unknown := sorted(keys.keys() - {"people", "channels"}):
            raise BotError(f"The terminal has no key {unknown[0]!r}.")
        self._keys = keys
        live = os.isatty(source) and os.isatty(out) and os.environ.get("TERM") != "dumb"
        self.traits = Traits(most=3000, edits=live, edit_every=0.2, choices="buttons", keyed=True, forgets=live)
        self._input = Input(source, live=live)
        self._patient = not os.isatty(source)
        self._screen = Screen(out, live=live, gone=self._input.stop)
        self._ours = (source, out) == (0, 1)
        self._receiver: Receiver | None = None
        self._person = _login()
        self._place = Place("", next((one for one in keys.get("channels") or () if ":" not in one), "#ops"))
        self._files: list[File] = []
        """They go with what is said next."""
        self._number = 0
        self._messages: dict[int, Shown] = {}
        self._places: dict[int, Place] = {}
        """Of the last messages, also those of an earlier process."""
        self._sent: dict[str, str] = {}
        """Ids of the bot's messages, by key."""
        self._told: list[Inbound] = []

    async def listen(self, receiver: Receiver) -> None:
        """Returns at the end of the input, once all is answered, or with Ctrl-C."""
        self._receiver = receiver
        if receiver.cursor is not None:
            self._number, self._places = read_cursor(receiver.cursor)
        with ExitStack() as stack:
            stack.enter_context(self._input.open(self._prompt))
            stack.enter_context(self._screen.open())
            if self._ours and self.traits.edits:
                stack.enter_context(gathered(self._screen.note))
            for line in _BEGINNING:
                self._screen.note(line.format(person=self._person, channel=self._place.channel))
            receiver.connected()
            self._prompt()
            tasks = [asyncio.create_task(work) for work in (self._hear(receiver), self._input.stopped())]
            try:
                for task in (await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))[0]:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _hear(self, receiver: Receiver) -> None:
        while (line := await self._input.line()) is not None:
            if self._patient:
                await receiver.rest()
            try:
                if (command := _COMMAND.fullmatch(line.strip())) is not None:
                    await self._obey(command[1], (command[2] or "").strip())
                elif line.strip() or self._files:
                    await self._say(line, self._place)
            except _Wrong as exc:
                self._screen.note(str(exc))
            except StoreError as exc:
                self._screen.note(f"The bot did not hear it: {exc.message}")
            self._prompt()
        resting = asyncio.ensure_future(receiver.rest())
        try:
            if not (await asyncio.wait([resting], timeout=_PATIENT))[0]:
                self._screen.note("The bot finishes what it has begun; Ctrl-C leaves at once.")
            await resting
        finally:
            resting.cancel()

    def _prompt(self) -> None:
        """Shows what is being typed."""
        files = f" ({', '.join(file.name for file in self._files)})" if self._files else ""
        prompt = f"{self._person}@{where_of(self._place, self._person)}{files}> "
        self._screen.line(prompt, self._input.text, self._input.at)

    async def _tell(self, event: Inbound, cursor: str | None = None) -> None:
        self._told = [*self._told[-_TOLD:], event]
        assert self._receiver is not None
        await self._receiver.accept([event], cursor)

    def _next(self, place: Place) -> str:
        """Gives the next message its number; the cursor, so that nothing else is called so after a restart."""
        self._number += 1
        self._places[self._number] = place
        if len(self._places) > _PLACED:
            del self._places[next(iter(self._places))]
        return cursor_of(self._number, self._places)

    async def _say(self, text: str, place: Place) -> None:
        cursor = self._next(place)
        files, self._files = tuple(self._files), []
        message = Message(
            event=f"m{self._number}",
            place=place,
            user=self._person,
            name=self._person,
            text=_MENTION.sub("", text),
            id=id_of(self._number),
            addressed=_MENTION.search(text) is not None,
            files=files,
        )
        self._show(Shown(self._number, self._person, place, said(text, files), message))
        if text[:1] in ("/", "!") and not (place.thread or place.direct):
            self._screen.note(f"The bot does not hear that here; `@bot {text.split()[0]}` is for it.")
        await self._tell(message, cursor)

    async def _obey(self, name: str, rest: str) -> None:
        """Does what a line with a dot says.

        Raises:
            _Wrong: it cannot be done.
            StoreError: the bot cannot hear just now.
        """
        match name:
            case "as":
                self._become(_one(rest, "Who? .as bob, or .as slack:T1/U024"))
            case "in" if rest:
                self._place = Place("", _one(rest, "Where? .in #dev, or .in slack:T1/C0AA"))
            case "in":
                self._place = replace(self._place, thread="")
            case "direct":
                self._place = Place("", f"{DIRECT}{self._person}", direct=True)
            case "thread" | "reply":
                number, text = self._named(rest, of_now=False)
                place = self._thread(number)
                if name == "thread":
                    self._place = place
                else:
                    await self._say(text, place)
            case "edit":
                await self._edit(*self._named(rest))
            case "delete":
                await self._delete(self._named(rest)[0])
            case "press":
                await self._press(*self._named(rest, of_now=False))
            case "file":
                self._attach(rest)
            case "redeliver":
                await self._redeliver()
            case "help":
                self._help()
            case _:
                raise _Wrong(f"There is no .{name}; .help says what there is.")

    def _become(self, person: str) -> None:
        if self._place.direct:
            self._place = Place("", f"{DIRECT}{person}", direct=True)
        self._person = person

    def _named(self, rest: str, *, of_now: bool = True) -> tuple[int, str]:
        """The message that is meant, and what stands behind its number.

        Args:
            of_now: whether it must have been said since the adapter began.
        """
        found = _NUMBER.fullmatch(rest)
        number = int(found[1]) if found is not None else 0
        if not self._number:
            raise _Wrong("Nothing was said yet.")
        if found is None or not 0 < number <= self._number:
            raise _Wrong(f"Which message? Its number is between 1 and {self._number}.")
        if of_now and number not in self._messages:
            raise _Wrong(f"#{number} was said too long ago.")
        return number, found[2] or ""

    def _thread(self, number: int) -> Place:
        place = self._places.get(number)
        if place is None:  # said long ago: it is taken for the first of a thread here
            return replace(self._place, thread=id_of(number))
        return replace(place, thread=place.thread or id_of(number))

    def _own(self, number: int) -> tuple[Shown, Message]:
        shown = self._messages[number]
        if shown.said is None or shown.who != self._person:
            raise _Wrong(f"#{number} is not of {self._person}.")
        return shown, shown.said

    async def _edit(self, number: int, text: str) -> None:
        shown, before = self._own(number)
        event = _event("c", number)
        addressed = _MENTION.search(text) is not None
        message = replace(before, event=event, text=_MENTION.sub("", text), addressed=addressed)
        self._change(replace(shown, blocks=said(text, before.files), said=message))
        await self._tell(Edited(event, message))

    async def _delete(self, number: int) -> None:
        shown, _ = self._own(number)
        self._change(replace(shown, blocks=GONE, said=None))
        await self._tell(Deleted(_event("d", number), shown.place, shown.id, self._person))

    async def _press(self, number: int, verb: str) -> None:
        if verb not in ("approve", "reject"):
            raise _Wrong(f"What? .press {number} approve, or .press {number} reject")
        shown = self._messages.get(number)
        if shown is not None and not shown.choices:
            raise _Wrong(f"There is nothing to press under #{number}.")
        place = self._places.get(number, self._place)
        approval = shown.choices[0].approval if shown is not None else ""
        self._screen.note(f"{self._person} presses {verb} under #{number}")
        person, event = self._person, _event("p", number)
        await self._tell(Pressed(event, place, person, person, id_of(number), cast(Verb, verb), approval))

    def _attach(self, name: str) -> None:
        try:
            path = Path(name).expanduser().resolve()
            size = path.stat().st_size if path.is_file() else None
        except (OSError, RuntimeError):
            size = None
        if size is None:
            raise _Wrong(f"There is no file {name!r}.")
        mime, _ = mimetypes.guess_type(path.name)
        self._files.append(File(path.name, mime or "application/octet-stream", size, {"path": str(path)}))

    async def _redeliver(self) -> None:
        assert self._receiver is not None
        for event in self._told:
            await self._receiver.accept([event])
        self._screen.note(f"{len(self._told)} events were delivered once more.")

    def _help(self) -> None:
        for line in _HELP:
            self._screen.note(line)
        for what in ("people", "channels"):
            if named := self._keys.get(what):
                self._screen.note(f"{what.capitalize()} in the file: {', '.join(named)}")

    async def send(self, place: Place, blocks: Sequence[Block], key: str, choices: Sequence[Choice] = ()) -> str:
        if (sent := self._sent.get(key)) is not None:
            await self.edit(place, sent, blocks, choices)
            return sent
        assert self._receiver is not None
        cursor = self._next(place)
        shown = Shown(self._number, "bot", place, tuple(blocks), choices=tuple(choices))
        await self._receiver.accept([], cursor)
        self._sent[key] = shown.id
        self._show(shown)
        return shown.id

    async def edit(self, place: Place, message: str, blocks: Sequence[Block], choices: Sequence[Choice] = ()) -> None:
        self._change(Shown(number_of(message), "bot", place, tuple(blocks), choices=tuple(choices)))

    async def find(self, place: Place, key: str) -> str | None:
        return self._sent.get(key)

    async def fetch(self, file: File, most: int) -> bytes:
        def read() -> bytes:
            with Path(str(file.reference["path"])).open("rb") as opened:
                return opened.read(most + 1)

        try:
            content = await asyncio.to_thread(read)
        except OSError as exc:
            raise NotThere(f"The file cannot be read: {exc.strerror}.") from exc
        if len(content) > most:
            raise NotThere("The file is too large.")
        return content

    def length(self, blocks: Sequence[Block]) -> int:
        return len(as_text(blocks))

    def _show(self, shown: Shown) -> None:
        self._messages[shown.number] = shown
        if len(self._messages) > _TOLD:
            del self._messages[next(iter(self._messages))]
        self._screen.show(shown)

    def _change(self, shown: Shown) -> None:
        before = self._messages.get(shown.number)
        self._messages[shown.number] = shown
        if before is None:
            self._screen.show(shown, "again")
        elif before.body != shown.body and not self._screen.change(shown):
            self._screen.show(shown, "changed")


class _Wrong(Exception):
    """Whoever sits here has typed something that cannot be done."""


def _event(what: str, number: int) -> str:
    return f"{what}{number}-{time.time_ns():x}"


def _one(said: str, question: str) -> str:
    said = said.removeprefix(f"{LOCAL}:")
    if _ID.fullmatch(said) is None or not said.isprintable():
        raise _Wrong(question)
    return said


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "me"


_BEGINNING: Final = (
    "You are {person} in {channel}. `@bot TEXT` is for the bot; in its threads, TEXT is.",
    ".as bob  .in #dev  .direct  .thread 1  .press 2 approve  .help  Ctrl-D leaves",
)
_HELP: Final = """
.as bob                be somebody else; .as slack:T1/U024 is that user of Slack
.in #dev               go there; .in slack:T1/C0AA is that channel; .in alone leaves the thread
.direct                alone with the bot
.thread 1              go to the thread that hangs on #1
.reply 1 TEXT          say one thing there
.press 2 approve       the button under #2, or reject
.edit 1 TEXT           change what you said
.delete 1              take it away
.file PATH             goes with what you say next
.redeliver             tell the bot all once more, as services do
A line that ends in \\ goes on in the next.
Ctrl-D leaves when all is answered, Ctrl-C at once.
""".strip().splitlines()
