"""Finding where things end in a text that is still arriving: turn ends, quoted strings, bracketed bodies.

Nothing here knows what a body means; `literals` reads one once it is whole. All of it is linear in the text,
and waits for more instead of guessing where the text at hand does not decide.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

TURN_ENDS: Final = ("<end_of_turn>", "<start_of_turn>", "<turn|>", "<|turn>", "<eos>")
"""Marks after which nothing of a reply counts: the end of the turn, or the start of somebody else's."""
TURN_END: Final = re.compile("|".join(map(re.escape, TURN_ENDS)))

MAX_DEPTH: Final = 200
"""Brackets deeper than this are not the arguments of a tool. Our own limit, no format's."""

_LONGEST_TURN_END = max(map(len, TURN_ENDS))
_MAX_GAP = 64
"""White space behind a quote that is looked across to decide whether the quote closes its string."""
_MAX_KEY = 80

_CLOSER = {"(": ")", "[": "]", "{": "}"}
_CODE = re.compile(r"""["'()\[\]{}<#/]""")
_INSIDE = {
    '"': re.compile(r'["\\<]'),
    '"""': re.compile(r'["\\<]'),
    "'": re.compile(r"['\\<]"),
    "'''": re.compile(r"['\\<]"),
    "#": re.compile(r"[\n<]"),
}
_WORD_TAIL = re.compile(r"\w+\Z")
_STRING_PREFIXES = frozenset({"r", "b", "u", "f", "rb", "br", "rf", "fr"})
KEY: Final = re.compile(r"""(["']?)([^\W\d][\w.-]{0,63})\1\s{0,8}(=(?!=)|:)""")
"""A key and its sign: group 2 is the name, group 3 `=` or `:`."""
_WORD = re.compile(r"\w{1,8}")
_OPERATOR_WORDS = frozenset({"if", "else", "or", "and", "in", "not", "is", "for"})

State: TypeAlias = Literal["open", "closed", "turn_end"]


def turn_end_at(text: str, pos: int, final: bool) -> bool | None:
    """Whether a turn-end mark stands at `pos`; None if the text is too short to tell."""
    if text.startswith(TURN_ENDS, pos):
        return True
    if final or len(text) - pos >= _LONGEST_TURN_END:
        return False
    tail = text[pos:]
    return None if any(mark.startswith(tail) for mark in TURN_ENDS) else False


def is_short(text: str, pos: int, final: bool, most: int) -> bool:
    """Whether more text may come, and fewer than `most` characters stand from `pos` on."""
    return not final and len(text) - pos < most


def first_visible(text: str, pos: int) -> int:
    """Where the indentation of a line that begins at `pos` ends."""
    while pos < len(text) and text[pos] in " \t":
        pos += 1
    return pos


class Extent:
    """Follows brackets, strings and comments to the end of one body: `(…)`, `[…]` or `{…}`.

    A quote closes its string only before a structural character, the end of the text, or a key, so that an
    apostrophe or an unescaped quote inside a string does not cut it; before an operator it does close, because
    an expression must not be taken for text.
    """

    __slots__ = (
        "_before",
        "_closers",
        "_count",
        "_inner",
        "_inside",
        "_key",
        "_keys",
        "_opened",
        "_significant",
        "strings",
    )

    def __init__(self, keys: frozenset[str]) -> None:
        self.strings: dict[int, int] = {}
        """Offset of each string's first quote in the body: offset behind its last."""
        self._keys = keys
        self._closers: list[str] = []
        self._count = 0
        """Characters of the body before the text at hand."""
        self._inside = ""
        """The quote of the open string, `#` in a comment, else empty."""
        self._opened = 0
        self._key = False
        """Whether the open string stands where a key may stand."""
        self._inner = False
        """Whether a quote inside the open string was opened and not closed again."""
        self._significant = ""
        self._before = ""

    @property
    def plain(self) -> re.Pattern[str] | None:
        """While a string is open: text in which this finds nothing only makes it longer."""
        return _INSIDE.get(self._inside)

    def skip(self, length: int) -> None:
        """Counts text that `plain` found nothing in, in place of feeding it."""
        self._count += length

    def feed(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        """Goes on from `text[pos]`.

        Returns:
            "closed" and the position behind the body; or "turn_end" and the position of the mark; or "open" and
            the position from which the text has to be shown again, with more behind it.
        """
        state: State = "open"
        while pos < len(text) and state == "open":
            if self._inside:
                state, after = self._string(text, pos, final)
            else:
                state, after = self._code(text, pos, final)
            self._count += after - pos
            if after == pos:
                break
            pos = after
        return state, pos

    def _code(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        found = _CODE.search(text, pos)
        if not found:
            self._note(text[pos:])
            return "open", len(text)
        at = found.start()
        if at > pos:
            self._note(text[pos:at])
            return "open", at
        char = text[at]
        if char in "\"'":
            return self._open_string(text, at, final)
        if char == "<":
            ends = turn_end_at(text, at, final)
            if ends is None:
                return "open", at
            if ends:
                return "turn_end", at
        elif char in "#/":
            if char == "/" and at + 1 == len(text) and not final:
                return "open", at
            if (char == "#" or text.startswith("//", at)) and self._comment_may_start():
                self._inside = "#"
                return "open", at + 1
        elif char in _CLOSER:
            self._closers.append(_CLOSER[char])
            if len(self._closers) > 2 * MAX_DEPTH:
                self._closers = ["nothing closes what is nested this deep"]
        elif char in self._closers:  # a stray closer is passed over here; the reading of the body refuses it
            while self._closers.pop() != char:
                pass
            if not self._closers:
                return "closed", at + 1
        self._note(char)
        return "open", at + 1

    def _note(self, code: str) -> None:
        self._before = (self._before + code[-4:])[-4:]
        stripped = code.rstrip()
        if stripped:
            self._significant = stripped[-1]

    def _comment_may_start(self) -> bool:
        return self._before[-1:].isspace() or self._before[-1:] in (",", "(", "[", "{")

    def _open_string(self, text: str, at: int, final: bool) -> tuple[State, int]:
        quote = text[at]
        if len(text) - at < 3 and not final and text.count(quote, at) == len(text) - at:
            return "open", at
        word = _WORD_TAIL.search(self._before)
        if word and word.group().lower() not in _STRING_PREFIXES:  # the apostrophe of a bare word
            self._note(quote)
            return "open", at + 1
        self._inside = quote * 3 if text.startswith(quote * 3, at) else quote
        self._opened = self._count
        self._inner = False
        self._key = self._significant in tuple("({,") and self._closers[-1:] != ["]"]
        return "open", at + len(self._inside)

    def _string(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        found = _INSIDE[self._inside].search(text, pos)
        if not found:
            return "open", len(text)
        at = found.start()
        if at > pos:
            return "open", at
        char = text[at]
        if char == "\\":
            if at + 1 == len(text) and not final:
                return "open", at
            return "open", at + 1 if text.startswith("<", at + 1) else min(at + 2, len(text))
        if char == "<":
            ends = turn_end_at(text, at, final)
            return ("open" if not ends else "turn_end"), at if ends or ends is None else at + 1
        if char == "\n":
            self._inside = ""
            self._note("\n")
            return "open", at + 1
        return "open", (self._triple if len(self._inside) == 3 else self._single)(text, at, final)

    def _triple(self, text: str, at: int, final: bool) -> int:
        """A run of quotes in a triple-quoted string: its last three close, those before them are text."""
        quote = text[at]
        end = at
        while end < len(text) and end - at < 6 and text[end] == quote:
            end += 1
        if end == len(text) and end - at < 6 and not final:
            return at
        if end - at >= 3:
            self._close_string(end - at)
        return end

    def _single(self, text: str, at: int, final: bool) -> int:
        closes = self._closes(text, at + 1, final)
        if closes is None:
            return at
        if closes:
            self._close_string(1)
        return at + 1

    def _close_string(self, length: int) -> None:
        self.strings[self._opened] = self._count + length
        self._inside = ""
        self._before = self._significant = '"'

    def _closes(self, text: str, after: int, final: bool) -> bool | None:
        """Whether the quote in front of `after` closes its string; None if more text is needed to tell."""
        pos = after
        limit = min(len(text), after + _MAX_GAP)
        while pos < limit and text[pos].isspace():
            pos += 1
        if pos == after + _MAX_GAP:
            return True
        if not final and len(text) - pos < _MAX_KEY and (pos == len(text) or text[pos] not in ",)]}:"):
            tail = text[pos:]
            if _undecided(tail):
                return None
        if pos == len(text):
            return True
        char = text[pos]
        if char in ",)]}" or (char == ":" and self._key):
            return True
        key = KEY.match(text, pos)
        if key and (key.group(2) in self._keys or key.group(3) == "="):
            return True
        was_inner, self._inner = self._inner, False
        if was_inner:
            return False
        if not (char.isalnum() or char == "_"):
            return True
        if pos == after:
            self._inner = True
            return False
        word = _WORD.match(text, pos)
        return word is not None and word.group() in _OPERATOR_WORDS


def _undecided(tail: str) -> bool:
    """Whether what stands behind a quote could still become a key or an operator word."""
    if not tail:
        return True
    key = re.fullmatch(r"""["']?[\w.-]*["']?\s*=?""", tail)
    return key is not None
