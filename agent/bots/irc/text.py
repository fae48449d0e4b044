"""What the bot says on IRC: blocks as lines that no client makes more of than they say.

IRC has no markup but control codes, and its servers make nothing live: clients do, each by its own rules. An URL
that should not be live is broken where everybody sees it: `https[:]//evil.example[/]x`. Names of hosts stay whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from gemmagraph.bots.text import Block, Code, Paragraph, clean

BOLD: Final = "\x02"
MOST_OF_A_LINE: Final = 400
"""Bytes of text; a line has 512 with all that stands before the text where others get it."""
_CODE: Final = "│ "
_CODE_GOES_ON: Final = "┊ "
_LIVE: Final = re.compile(
    r"(?<=[\w+.-])://(?P<host>[^\s/?#]*)(?P<path>[/?#]?)"
    r"|(?<!\w)(?P<word>mailto|magnet|xmpp|sips?|tel|sms|callto|skype|javascript|data):(?=\S)"
    r"|(?<=[\w.+%-])(?P<mail>@)(?=[\w-]+(?:\.[\w-]+)*\.\w)"
    r"|(?<=[\w-])\.(?P<top>[^\W\d_]{2,24}(?::\d{1,5})?)(?P<after>[/?#])",
    re.IGNORECASE,
)
"""What clients take for an address: each has its own rules, and this is what common ones have."""
_END_OF_LINK: Final = re.compile(r"[),.;:!?]*(?=\s|$)")
_WWW: Final = re.compile(r"(?<!\w)(www\d{0,3})\.(?=\w)", re.IGNORECASE)
_JOINED: Final = "\u200c\u200d\ufe0e\ufe0f"


def lines_of(blocks: Iterable[Block], most: int = MOST_OF_A_LINE) -> list[str]:
    """Lines of at most `most` bytes; empty ones are left out of all but code."""
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Code):
            for line in clean(block.text).expandtabs(4).split("\n"):
                lines += _cut((_CODE + broken(line)).rstrip(), most, _CODE_GOES_ON)
        else:
            for line in _paragraph(block).split("\n"):
                if line.replace(BOLD, "").strip():
                    lines += _cut(line.rstrip(), most)
    return lines


def _paragraph(block: Paragraph) -> str:
    spans = [(clean(span.text).replace("\t", " "), span.style) for span in block.spans]
    whole = "".join(text for text, _ in spans)
    marked = _marked("".join(" " * len(text) if style == "link" else text for text, style in spans))
    said, at = [], 0
    for text, style in spans:
        end = at + len(text)
        if style == "link":  # nothing beside it may become a part of it
            before = "" if at == 0 or whole[at - 1] in " \n(" else " "
            said.append(before + text + ("" if _END_OF_LINK.match(whole, end) else " "))
        else:
            text = "".join(f"[{each}]" if place in marked else each for place, each in enumerate(text, at))
            if style == "bold":
                text = "\n".join(f"{BOLD}{line}{BOLD}" if line.strip() else line for line in text.split("\n"))
            said.append(text)
        at = end
    return "".join(said)


def broken(text: str) -> str:
    """The text with nothing in it that clients take for an address."""
    marked = _marked(text)
    return "".join(f"[{each}]" if place in marked else each for place, each in enumerate(text)) if marked else text


def _marked(text: str) -> set[int]:
    """The places of what would make an address: it is put into brackets."""
    marked = {found.end(1) for found in _WWW.finditer(text)}
    for found in _LIVE.finditer(text):
        if found["host"] is not None:
            marked.add(found.start())
            marked |= {place for place in range(found.start("host"), found.end("host")) if text[place] == "@"}
            marked |= {found.start("path")} if found["path"] else set()
        elif found["mail"]:
            marked.add(found.start())
        else:
            marked.add(found.end("word") if found["word"] else found.start("after"))
    return marked


def _cut(line: str, most: int, goes_on: str = "") -> Iterator[str]:
    """The line in pieces. Prose is cut between words; a piece of a bold stretch is bold."""
    bold = False
    while len(line.encode()) > most:
        at = _fitting(line, most - len(BOLD))
        if not goes_on and (blank := line.rfind(" ", at // 2, at)) > 0:
            at = blank
        piece, line = line[:at], line[at:] if goes_on else line[at:].lstrip(" ")
        bold = piece.count(BOLD) % 2 == 1
        yield piece + BOLD if bold else piece
        line = (BOLD if bold else goes_on) + line
    if line.replace(BOLD, ""):
        yield line


def _fitting(line: str, most: int) -> int:
    """How many characters fit; marks stay with what they mark."""
    at = len(line.encode()[:most].decode("utf-8", "ignore"))
    for before in range(at, max(at - 20, 1), -1):
        if not (unicodedata.combining(line[before]) or line[before] in _JOINED or line[before - 1] == "\u200d"):
            return before
    return at


def length(blocks: Sequence[Block], enough: int) -> int:
    """How long they are: bytes, and no line shorter than 100, since each takes its time. What is surely longer than
    `enough` is not looked at closely."""
    said = sum(
        len(block.text) if isinstance(block, Code) else sum(len(span.text) for span in block.spans)
        for block in blocks
    )
    return said if said > enough else sum(max(len(line.encode()), 100) for line in lines_of(blocks))


def addressed(text: str, nicks: Iterable[str], lower: Callable[[str], str]) -> tuple[bool, str]:
    """Whether a message begins with `nick:`, `nick,` or `@nick`, and the rest of it."""
    said = text.lstrip()
    at = said.startswith("@")
    said = said[at:]
    for nick in nicks:
        after = said[len(nick) :]
        if lower(said[: len(nick)]) == lower(nick) and (
            after.startswith((":", ",")) or (at and (not after or after[0].isspace()))
        ):
            return True, after[1:].strip()
    return False, text
