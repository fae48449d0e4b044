"""A message as it stands on the screen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Final, Literal, TypeAlias

from gemmagraph.bots.base import Choice, File, Message, Place
from gemmagraph.bots.terminal.text import Piece
from gemmagraph.bots.text import Block, Paragraph, Span, plain

How: TypeAlias = Literal["", "changed", "again"]
"""Whether a message is shown once more: it was changed, and does not stand on the screen any more; or it was said
before a restart."""

DIRECT: Final = "@"
"""Before a person's id: the channel that this person has alone with the bot."""
GONE: Final = (Paragraph((Span("(taken away)", "italic"),)),)


@dataclass(frozen=True)
class Shown:
    """A message."""

    number: int
    who: str
    place: Place
    blocks: Sequence[Block]
    said: Message | None = None
    """What the bot was told; None: it is the bot's own."""
    choices: Sequence[Choice] = ()

    @property
    def id(self) -> str:
        return id_of(self.number)

    def head(self, how: How = "") -> list[Piece]:
        where = f"@{where_of(self.place, self.who)}{f' ({how})' if how else ''}: "
        return [(f"#{self.number} ", "dim"), (self.who, "bold"), (where, "dim")]

    @property
    def body(self) -> list[Block]:
        if not self.choices:
            return list(self.blocks)
        offers = " ".join(f"[{choice.verb}]" for choice in self.choices)
        how = f": .press {self.number} {self.choices[0].verb}"
        return [*self.blocks, Paragraph((Span(offers, "bold"), Span(how)))]


def id_of(number: int) -> str:
    """Not the bare number: topics of Telegram, which somebody may pretend to be in, are called so."""
    return f"t{number}"


def number_of(message: str) -> int:
    return int(message.removeprefix("t"))


def where_of(place: Place, who: str) -> str:
    """A place, for whom it is shown to."""
    channel = place.channel
    if place.direct:
        whose = channel.removeprefix(DIRECT)
        channel = "direct" if whose == who else f"direct({whose})"
    return f"{channel}/{number_of(place.thread)}" if place.thread else channel


def cursor_of(number: int, places: Mapping[int, Place]) -> str:
    """The number of the last message, and where messages stand, for the next process."""
    return json.dumps([number, [[key, *astuple(place)] for key, place in places.items()]])


def read_cursor(cursor: str) -> tuple[int, dict[int, Place]]:
    kept = json.loads(cursor)
    number, places = kept if isinstance(kept, list) else (kept, [])  # it was only the number once
    return number, {key: Place(*place) for key, *place in places}


def said(text: str, files: Sequence[File]) -> list[Block]:
    """What somebody has said, as it is shown."""
    names = "".join(f"\n({file.name})" for file in files)
    return [plain(f"{text}{names}")]
