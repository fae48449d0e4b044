"""Text as Telegram has it: characters, and beside them entities, which say what a range of them is.

    bold, italic, code, pre, text_link          we send; nothing in the text itself is markup
    mention, text_mention, bot_command, url …   Telegram finds them in any text, ours too, unless a code entity covers
                                                them: so that is what we put over all that it might take for live

Offsets count UTF-16 units. https://core.telegram.org/bots/api#messageentity
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from gemmagraph.bots.text import Block, Code, as_text

MOST_MARKS: Final = 100
"""Of one message; Telegram leaves out those after, without a word."""

_STYLES: Final = {"bold": "bold", "italic": "italic", "code": "code", "link": "text_link"}

_Range: TypeAlias = tuple[int, int, str, str]

_TOKEN: Final = re.compile(r"[^\s<>\"«»“”„()\[\]{}|]+")
"""None of what ends a token can stand within the beginning of something live."""

_LIVE: Final = re.compile(
    r"://"
    r"|@[A-Za-z0-9_]"  # notifies a person, or is a mail address
    r"|(?<![A-Za-z0-9_/])/[A-Za-z0-9_]"  # sends the command in the name of who touches it
    r"|#[^#]*[^\W\d_]"
    r"|\$[A-Z1]"
    r"|[^.]\.(?:[^\W\d_]|[^\x00-\x7f]){2}"  # no list of top-level domains: it grows
    r"|\.xn--"
    r"|\d\.\d{1,3}\.\d{1,3}\.\d"
)
_NUMBER: Final = re.compile(r"\+\d(?:[ ().-]{0,2}\d){6,}|\d(?:[ -]?\d){12,}")
"""Of telephones and bank cards: both become live."""
_COMMA: Final = re.compile(r"\A[,:;](?:\s+|\Z)")
"""What is left of «@bot, do this»."""
_AROUND: Final = ".,;:!?'*"


@dataclass(frozen=True, slots=True)
class Mark:
    """An entity of a text of ours."""

    type: str
    offset: int
    length: int
    language: str = ""
    url: str = ""


class Entity(Protocol):
    """One of a text of somebody else's, as the library has it."""

    @property
    def type(self) -> str: ...
    @property
    def offset(self) -> int: ...
    @property
    def length(self) -> int: ...


def units(text: str) -> int:
    """How long the text is for Telegram."""
    return len(text) + sum(character > "\uffff" for character in text)


def marked(blocks: Sequence[Block]) -> tuple[str, list[Mark]]:
    """What is sent for the blocks: their text as it is, with no more live in it than their links."""
    text = as_text(blocks)
    fixed: list[_Range] = []
    loose: list[_Range] = []
    for begin, end, kind, more in _ranges(blocks):
        (loose if kind in ("bold", "italic") else fixed).append((begin, end, kind, more))
    taken = [(begin, end) for begin, end, *_ in fixed]
    live = list(_live(text, 0, len(text)))
    for begin, end in _without(0, len(text), taken):  # what is live only because code stands in front of it
        live += _live(text, begin, end)
    for begin, end in live:
        if len(fixed) > MOST_MARKS:
            break
        for piece in _without(begin, end, taken):
            fixed.append((*piece, "code", ""))
            taken.append(piece)
    if len(fixed) > MOST_MARKS:
        return text, [_mark(text, 0, len(text), "code", "")]
    styled = [(*piece, kind, "") for begin, end, kind, _ in loose for piece in _without(begin, end, taken)]
    return text, [_mark(text, *one) for one in sorted(fixed + styled[: MOST_MARKS - len(fixed)])]


def _ranges(blocks: Iterable[Block]) -> Iterator[_Range]:
    """What in the text of the blocks has a style: begin, end, type of entity, and the language or URL."""
    at = 0
    for block in blocks:
        if isinstance(block, Code):
            if block.text:
                yield at, at + len(block.text), "pre", block.language
            at += len(block.text)
        else:
            for span in block.spans:
                if span.style and span.text:
                    yield at, at + len(span.text), _STYLES[span.style], span.text if span.style == "link" else ""
                at += len(span.text)
        at += len("\n\n")


def _live(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """What Telegram might take for something to touch."""
    part = text[begin:end]
    for found in _TOKEN.finditer(part):
        token = found.group()
        if _LIVE.search(token):
            front = len(token) - len(token.lstrip(_AROUND))
            yield begin + found.start() + front, begin + found.start() + len(token.rstrip(_AROUND))
    for found in _NUMBER.finditer(part):
        yield begin + found.start(), begin + found.end()


def _without(begin: int, end: int, taken: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The pieces of a range that are not taken."""
    for first, last in sorted(taken):
        if last <= begin or first >= end:
            continue
        if first > begin:
            yield begin, first
        begin = max(begin, last)
    if begin < end:
        yield begin, end


def _mark(text: str, begin: int, end: int, kind: str, more: str) -> Mark:
    where = units(text[:begin]), units(text[begin:end])
    return Mark(kind, *where, language=more if kind == "pre" else "", url=more if kind == "text_link" else "")


def sound(text: str) -> str:
    """The text without halves of characters and NUL, which no database takes."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\x00", "")


def plain_text(text: str, entities: Iterable[Entity], bot: int, name: str) -> tuple[str, bool]:
    """What somebody has said as plain text without the bot's own mention, and whether there was one.

    Args:
        name: the bot's user name.
    """
    said = text.encode("utf-16-le", "surrogatepass")
    pieces: list[str] = []
    at, addressed = 0, False

    def until(end: int) -> str:
        return said[at:end].decode("utf-16-le", "replace")

    for entity in sorted(entities, key=lambda one: (one.offset, -one.length)):
        begin, end = 2 * entity.offset, 2 * (entity.offset + entity.length)
        if not at <= begin < end <= len(said):  # also: within one that is done
            continue
        inside = said[begin:end].decode("utf-16-le", "replace")
        instead = _instead(entity, inside, bot, name)
        if instead is None:
            continue
        before = until(begin)
        addressed = addressed or not instead or entity.type == "bot_command"
        if entity.type == "pre":
            before += "" if not (before or pieces) or before.endswith("\n") else "\n"
            instead += "" if end == len(said) or said[end : end + 2] == b"\n\x00" else "\n"
        pieces += [before, instead]
        at = end
        if not instead and (not before or before[-1].isspace()) and said[at : at + 2] == b" \x00":
            at += 2
    whole = "".join([*pieces, until(len(said))]).replace("\x00", "").strip()
    return _COMMA.sub("", whole) if addressed else whole, addressed


def _instead(entity: Entity, inside: str, bot: int, name: str) -> str | None:
    """What stands in the plain text for an entity; empty for a mention of the bot, None for the same as before."""
    user = getattr(entity, "user", None)
    match entity.type:
        case "mention":
            return "" if inside.lower() == f"@{name}".lower() else None
        case "text_mention" if user is not None:
            return "" if user.id == bot else f"@{sound(user.full_name)}"
        case "bot_command":
            command, _, whose = inside.partition("@")
            return command if whose and whose.lower() == name.lower() else None
        case "text_link":
            url = str(getattr(entity, "url", None) or "")
            return inside if not url or url == inside else f"{inside} ({url})"
        case "code":
            return f"`{inside}`"
        case "pre":
            fence = "```"
            while fence in inside:
                fence += "`"
            language = re.sub(r"\W", "", str(getattr(entity, "language", None) or ""))[:30]
            return f"{fence}{language}\n{inside}\n{fence}"
    return None
