"""Texts in a native call: between delimiters, between quotes, or bare."""

from __future__ import annotations

import re
from typing import Final

from gemmagraph.prompts.native.bare import KEY_AT_END, NOT_CLEAR, before_brace, is_scalar, plain_value, split
from gemmagraph.prompts.native.frames import TAIL, NativeFrames, State, add
from gemmagraph.prompts.reading.doubt import is_doubtful
from gemmagraph.prompts.reading.escapes import is_half_escaped, unescaped
from gemmagraph.prompts.reading.literals import Unreadable

_SPACE = re.compile(r"\s*")
_GAP = re.compile(r"\s{0,64}")
_WORD_END = re.compile(r"""[\s,:={}\[\]()<"']""")
_SURROGATE = re.compile("[\ud800-\udfff]")
_OPENER_BEFORE = re.compile(r"[:=,\[({]\s{0,20}\Z")
_BEHIND_A_TEXT: Final = frozenset({",", "]", "}", ")", "<", ":", "=", ""})
_QUOTED_STOPS: Final = {quote: re.compile(rf"[\\<{quote}]") for quote in "\"'"}


class NativeTexts(NativeFrames):
    """Reads the texts, and values without delimiters."""

    def _open_text(self, text: str, pos: int, final: bool, is_key: bool) -> tuple[State, int]:
        """At a `<` or a quote where a key or a value must stand."""
        self._is_key = is_key
        if text[pos] != "<":
            self._quote = text[pos]
            self._begin(self._quoted)
            return "open", pos + 1
        mark = self._marks.at(text, pos, final)
        if mark is None:
            return "open", pos
        if mark == self._marks.quote:
            self._begin(self._text)
            return "open", pos + len(mark)
        if not mark and not is_key:
            self._begin(self._word)
            self.more("<")
            self._spaced = True
            return "open", pos + 1
        return self._ends(mark, text, pos)

    def _behind_key(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        """Behind a text where a key must stand."""
        raise NotImplementedError

    def _text(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        """Between delimiters: everything is text but the marks of the family."""
        marks = self._marks
        mark, at = self._to_mark(text, pos, final)
        if not mark:
            return "open", at
        after = at + len(mark)
        if mark == marks.quote:
            return self._delimiter(text, at, final)
        if mark == marks.call_end:
            if not self._seen and not self._odd:
                self._seen = [self._held, self._held + len(mark)]
        elif mark != marks.call or self._seen:
            state = self._cut_text(mark != marks.call)
            if state != "open":
                return state, at
        self._odd = True
        self.more(mark)
        return "open", after

    def _to_mark(self, text: str, pos: int, final: bool) -> tuple[str, int]:
        """Takes the text up to the next mark, if there is one; says which and where."""
        mark, at = self._marks.search(text, pos, final)
        if at > pos:
            self.more(text[pos:at])
            self._reached = at
        return mark, at

    def _cut_text(self, must_end: bool) -> State:
        """At a mark that ends the call, in a text whose delimiter may be missing."""
        if not self._seen:
            return "cut"
        try:
            self._close_at_mark()
        except Unreadable:
            if must_end:
                raise
            self._seen = []
            return "open"
        return "earlier"

    def _close_at_mark(self) -> None:
        """Closes the call at the closing mark that stands in the open text: its delimiter is missing.

        Raises:
            Unreadable: it can not be closed there.
        """
        if len(self._frames) > 1 or self._is_key or self.is_round or self._inner:
            raise Unreadable("a text in it has no end")
        whole = "".join(self._parts)
        inside = before_brace(whole[: self._seen[0]])
        self._take_split(inside, 1)
        self.rest = len(whole) - self._seen[1]

    def _take_split(self, text: str, quoted: int) -> None:
        frame = self._frames[0]
        assert frame.key is not None
        for key, value in split(frame.key, text, self._declared, self.named, quoted).items():
            add(self.named, key, value)
        frame.key = None
        self.repaired = self.needs_mark = True

    def _delimiter(self, text: str, at: int, final: bool) -> tuple[State, int]:
        """At a delimiter in a text that has one: it closes it, or is a part of it, or opens the next one."""
        after = at + len(self._marks.quote)
        closes = self._closes(text, after, final)
        if closes is None:
            return "open", at
        tail = self._tail()
        is_value = not self._is_key and len(self._frames) == 1
        key = KEY_AT_END.search(tail) if is_value else None
        behind = skip(_GAP, text, after)
        following = text[behind : behind + 1]
        doubtful = self._odd or (closes and following not in _BEHIND_A_TEXT)  # only a missing comma explains that
        if doubtful and (not closes or _OPENER_BEFORE.search(tail)):
            raise Unreadable("a text in it has no clear end")
        if closes and not (key and key.group(1) in self._declared):
            body = "".join(self._parts)
            if self._inner and self._marks.joined.search(body):
                raise Unreadable("an expression is not a plain text")
            self._close_text("text", body)
            return "open", after
        if key and not closes:
            return self._next_text(key.group(1), after, 1)
        if closes or _OPENER_BEFORE.search(tail) or not self._stands_apart(tail, text, after):
            raise Unreadable("a text in it has no clear end")
        self._inner = True
        self.more(self._marks.quote)
        return "open", after

    def _stands_apart(self, before: str, text: str, after: int) -> bool:
        """Whether a delimiter inside a text is a part of it beyond doubt: a space stands beside it, and no other
        delimiter, and it is not where the text begins."""
        quote = self._marks.quote
        if not before.strip() or before.rstrip().endswith(quote) or text.startswith(quote, skip(_GAP, text, after)):
            return False
        return before[-1].isspace() or text[after : after + 1].isspace()

    def _next_text(self, key: str, after: int, quoted: int) -> tuple[State, int]:
        """The delimiter in front of `after` opens the text of the next argument: what stands before lacks one."""
        whole = "".join(self._parts)
        found = KEY_AT_END.search(whole, max(0, len(whole) - TAIL))
        assert found is not None
        if self.is_round or key not in self._declared or key in self.named or key == self._frames[0].key:
            raise Unreadable(NOT_CLEAR)
        self._take_split(whole[: found.start()], quoted)
        if key in self.named:
            raise Unreadable(NOT_CLEAR)
        self._frames[0].key = key
        self._begin(self._text)
        return "open", after

    def _closes(self, text: str, after: int, final: bool) -> bool | None:
        """Whether a delimiter or quote in front of `after` may close its text; None if more text is needed."""
        pos = skip(_GAP, text, after)
        if pos == len(text) or pos - after == 64:
            return True if final or pos - after == 64 else None
        char = text[pos]
        if char in ",]})":
            return True
        if char in ":=" and self._is_key:
            return True
        if char == "<":
            mark = self._marks.at(text, pos, final)
            return mark if mark is None else bool(mark) and (mark != self._marks.quote or self._step == self._quoted)
        return self._declared_key(text, pos, final)

    def _close_text(self, kind: str, value: str) -> None:
        if _SURROGATE.search(value):
            raise Unreadable("a text holds half a character (a lone surrogate)")
        self._ended = kind
        self._seen = []
        if self._is_key:
            self._parts = [value]
            self._step = self._behind_key
        else:
            self._take(value)

    def _quoted(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        """Between quotes: JSON's and Python's escapes are read."""
        found = _QUOTED_STOPS[self._quote].search(text, pos)
        at = found.start() if found else len(text)
        if at > pos:
            self.more(text[pos:at])
            return "open", at
        char = text[at]
        if char == "\\":
            if len(text) - at < 2:
                return "open", at + final
            self.more(text[at : at + 2])
            return "open", at + 2
        if char == "<":
            mark = self._marks.at(text, at, final)
            if mark is None:
                return "open", at
            if mark and mark != self._marks.quote:
                return self._ends(mark, text, at)
            self.more(mark or char)
            return "open", at + len(mark or char)
        closes = self._closes(text, at + 1, final)
        if closes is None:
            return "open", at
        if not closes:
            self._odd = True
            self.more(char)
            return "open", at + 1
        self._close_text("quoted", self._unquoted("".join(self._parts)))
        return "open", at + 1

    def _unquoted(self, body: str) -> str:
        if self._odd and is_doubtful(body, self._quote, self._declared):
            raise Unreadable(f"a quote inside the text {body[:30]!r} must be written as \\{self._quote}")
        if body.startswith(self._marks.quote) or body.endswith(self._marks.quote):
            raise Unreadable("a text stands between quotes and delimiters")
        self.repaired |= self._odd or (self._quote == "'" and not self.is_round)
        if "\\" not in body:
            return body
        python = self.is_round or self._quote == "'"
        if is_half_escaped(body, python):
            raise Unreadable(f"the backslashes in {body[:30]!r} must be doubled; a line break is \\u000a there")
        return unescaped(body, python)

    def _word(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        """A number, a constant or a bare word; where it is more than that, the beginning of a bare text."""
        found = _WORD_END.search(text, pos)
        end = found.start() if found else len(text)
        if end > pos and not self._spaced:
            self.more(text[pos:end])
            return "open", end
        char = text[pos]
        if char.isspace():
            end = skip(_SPACE, text, pos)
            self.more(text[pos:end])
            self._spaced = True
            return "open", end
        mark = self._marks.at(text, pos, final) if char == "<" else ""
        if mark is None:
            return "open", pos
        word = "".join(self._parts).strip()
        at_end = char in (",", self._frames[-1].closer)
        if at_end and is_scalar(word):
            self._ended = ""
            self._take(plain_value(word))
        elif self.is_round:
            raise Unreadable(f"{word[:40]!r} is not quoted")
        elif len(self._frames) == 1:
            self._step = self._bare
        elif at_end:
            self.repaired = self.needs_mark = True
            self._ended = ""
            self._take(word)
        elif mark and mark != self._marks.quote:
            return self._ends(mark, text, pos)
        else:
            raise Unreadable(f"{word[:40]!r} is not delimited")
        return "open", pos

    def _bare(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        """A text of the call itself that has no opening delimiter, or no delimiters at all."""
        marks = self._marks
        mark, at = self._to_mark(text, pos, final)
        if not mark:
            return "open", at
        if mark == marks.call_end:
            self._take_split(before_brace("".join(self._parts)), 0)
            return "mark", at
        if mark != marks.quote:
            return "cut", at
        after = at + len(mark)
        closes = self._closes(text, after, final)
        if closes is None:
            return "open", at
        tail = self._tail()
        key = KEY_AT_END.search(tail)
        if key and not closes:
            return self._next_text(key.group(1), after, 0)
        if not closes or _OPENER_BEFORE.search(tail):
            raise Unreadable(NOT_CLEAR)
        self._take_split("".join(self._parts), -1)
        self._ended = "text"
        self._step = self._after
        return "open", after

    @property
    def is_bare_and_closed(self) -> bool:
        """Whether the arguments end with a text that has no delimiters, and with a brace."""
        return self._step == self._bare and self._tail().rstrip().endswith("}")

    def _ends(self, mark: str, text: str, pos: int) -> tuple[State, int]:
        """A mark, or a `<` that is none, where neither may stand."""
        if mark == self._marks.call_end:
            raise Unreadable("its brackets are not balanced")
        if not mark or mark == self._marks.quote:
            raise Unreadable(f"a {mark or '<'} stands in the wrong place")
        return "cut", pos


def skip(pattern: re.Pattern[str], text: str, pos: int) -> int:
    found = pattern.match(text, pos)
    return found.end() if found else pos
