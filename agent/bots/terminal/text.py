"""What a terminal shows of a message: rows that are no wider than it, so that they can be counted and taken back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, TypeAlias

from gemmagraph.bots.text import Block, Code
from gemmagraph.cli.terminal import plain, width_of

Piece: TypeAlias = tuple[str, str]
"""Some text and its style: one of spans, or `dim`."""

INDENT: Final = "    "
_BAR: Final = "│ "
_CODES: Final = {"bold": "1", "italic": "3", "code": "36", "link": "4", "dim": "2"}
_WORDS: Final = re.compile(r"\s+|\S+")
_CHARACTERS: Final = re.compile(r"[\s\S]")


def rows_of(head: Sequence[Piece], blocks: Sequence[Block], columns: int, *, coloured: bool) -> list[str]:
    """The rows of a message.

    Args:
        head: what stands before its first line; the others are indented.
    """
    rows: list[str] = []
    lead = list(head)
    for fixed, line in _lines(blocks):
        width = columns - sum(width_of(text) for text, _ in lead)
        for row in _wrapped(line, max(width, 8), columns - len(INDENT), words=not fixed):
            rows.append(_painted([*lead, *([(_BAR, "dim")] if fixed else []), *row], coloured).rstrip())
            lead = [(INDENT, "")]
    return rows


def _lines(blocks: Sequence[Block]) -> Iterator[tuple[bool, list[Piece]]]:
    """Each line, and whether it is one of code."""
    before: Block | None = None
    for block in blocks:
        if before is not None and not isinstance(before, Code) and not isinstance(block, Code):
            yield False, []
        if isinstance(block, Code):
            if before is None:
                yield False, []
            yield from ((True, [(line, "")]) for line in _shown(block.text).split("\n"))
        else:
            line: list[Piece] = []
            for span in block.spans:
                first, *more = _shown(span.text).split("\n")
                line.append((first, span.style))
                for text in more:
                    yield False, line
                    line = [(text, span.style)]
            yield False, line
        before = block


def _shown(text: str) -> str:
    return plain(text).expandtabs(4)


def _wrapped(line: Sequence[Piece], first: int, width: int, *, words: bool) -> Iterator[list[Piece]]:
    """A line as rows: apart between words, or anywhere."""
    if not words:
        first, width = first - len(_BAR), width - len(_BAR)
    row: list[Piece] = []
    left = first
    for text, style in _atoms(line, words=words):
        need = width_of(text)
        if need > left and row:
            yield row
            row, left = [], width
            if text.isspace() and words:
                continue
        while need > left:  # a word that is wider than the screen
            kept = _cut(text, left)
            yield [(kept, style)]
            text, left = text[len(kept) :], width
            need = width_of(text)
        row.append((text, style))
        left -= need
    yield row


def _atoms(line: Sequence[Piece], *, words: bool) -> Iterator[Piece]:
    for text, style in line:
        yield from ((found.group(), style) for found in (_WORDS if words else _CHARACTERS).finditer(text))


def _cut(text: str, columns: int) -> str:
    """As much of the beginning as fits, and at least one character."""
    end = 1
    while end < len(text) and width_of(text[: end + 1]) <= columns:
        end += 1
    return text[:end]


def _painted(pieces: Iterable[Piece], coloured: bool) -> str:
    said = []
    for style, group in groupby(pieces, key=lambda piece: piece[1]):
        text = "".join(piece for piece, _ in group)
        said.append(f"\x1b[{_CODES[style]}m{text}\x1b[0m" if coloured and style in _CODES else text)
    return "".join(said)
