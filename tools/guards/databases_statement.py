"""A statement with named binds, read as far as databases agree: what is quoted, what a comment, where it ends.

Nothing here makes a connection read-only; the databases do that. It finds the mistakes of whoever wrote the
statement before it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

READS: Final = frozenset(("select", "with", "values", "table", "explain", "show", "pragma"))
"""How a statement may begin on a read-only connection. Whatever ends a transaction, locks, prepares, listens or
copies begins otherwise, and so does a block of code."""

_TOKEN: Final = re.compile(
    r"""
    (?P<comment> --[^\n]* | /\*.*?\*/ )
  | (?P<quoted> (?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'
              | '(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*`
              | (?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$ )
  | (?P<unclosed> ['"`] | /\* )
  | (?P<number> (?<![\w$])\$\d+ )
  | (?<![\w:]):(?P<name>[^\W\d]\w*)
  | (?P<end> ; )
    """,
    re.VERBOSE | re.DOTALL,
)
_WORD: Final = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement as it was written, and what was read in it."""

    source: str
    pieces: tuple[str, ...]
    """The same in pieces: text, the name of a bind, text, and so on."""
    names: tuple[str, ...]
    """The binds, each once."""
    words: tuple[str, ...]
    """Its words outside of literals, names in quotes and comments, in lower case."""
    faults: tuple[tuple[str, str], ...]
    """What is wrong with it, each with a hint."""

    @property
    def begins(self) -> str:
        """Its first word."""
        return self.words[0] if self.words else ""

    def written(self, bind: Callable[[str], str], text: Callable[[str], str] = str) -> str:
        """The statement with each bind written by `bind`, and what stands between them by `text`."""
        return "".join(bind(piece) if at % 2 else text(piece) for at, piece in enumerate(self.pieces))


def read_statement(source: str) -> Statement:
    """Reads a statement. Never raises: what is wrong stands in `faults`."""
    faults: list[tuple[str, str]] = []
    pieces: list[str] = []
    plain: list[str] = []
    piece = at = end = 0
    for token in _TOKEN.finditer(source):
        plain += (source[at : token.start()], token["name"] or token["end"] or " ")
        at = token.end()
        if token["name"]:
            pieces += (source[piece : token.start()], token["name"])
            piece = at
        elif token["end"]:
            end = end or sum(map(len, plain))
        else:
            faults += _faults(token)
    pieces.append(source[piece:])
    text = "".join((*plain, source[at:]))
    words = tuple(word.lower() for word in _WORD.findall(text))
    if "{{" in source:
        faults.append(("a statement takes no {{ }}.", "Write :name, outside of quotes."))
    if "\0" in source:
        faults.append(("it holds a NUL character.", ""))
    if not words:
        faults.append(("it is empty.", ""))
    elif end and text[end:].strip(" \t\r\n;"):
        faults.append(("it holds more than one statement.", "Make one tool for each."))
    return Statement(source, tuple(pieces), tuple(dict.fromkeys(pieces[1::2])), words, tuple(faults))


def _faults(token: re.Match[str]) -> list[tuple[str, str]]:
    if token["unclosed"]:
        return [(f"{token[0]} is opened and never closed.", "")]
    if token["number"]:
        return [(f"{token[0]} stands for no value.", "Write :name.")]
    if token["comment"] and "/*" in token[0][2:] and not token[0].startswith("--"):
        return [("a comment begins inside of a comment.", "Databases do not agree where it ends.")]
    return []
