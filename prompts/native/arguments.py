"""The arguments of a native call, read while they arrive: `{city:<|"|>Paris<|"|>,days:3}`.

Read as it is written: bare keys, texts between delimiters without escapes, numbers, `true`, `false`, `null`, arrays,
objects. Also read, as models write it: JSON, `=` for `:`, round brackets with Python's values, a missing comma before
a declared argument; and, if the mark that closes the call is there, texts that lack a delimiter.
Nothing is evaluated, and an open text is never completed: what has two readings is `broken`.
"""

from __future__ import annotations

import re

from gemmagraph.prompts.native.bare import KEY_AT_END, is_scalar, plain_value
from gemmagraph.prompts.native.frames import CLOSERS, TAIL, Frame, State
from gemmagraph.prompts.native.marks import Marks
from gemmagraph.prompts.native.texts import NativeTexts
from gemmagraph.prompts.reading.literals import Unreadable
from gemmagraph.prompts.reading.scan import MAX_DEPTH

_SPACE = re.compile(r"\s*")
_WORD_END = re.compile(r"""[\s,:={}\[\]()<"']""")


class NativeArguments(NativeTexts):
    """Reads the arguments of one call from behind their opening bracket.

    Args:
        marks: of the family.
        declared: the arguments of the tool.
        opener: `{`, or `(` for arguments in Python's way.
    """

    def __init__(self, marks: Marks, declared: frozenset[str], opener: str) -> None:
        super().__init__(marks, declared, opener)
        self._step = self._key

    @property
    def is_text(self) -> bool:
        """Whether text without a `<` only makes the open text longer."""
        return self._step in (self._text, self._bare)

    def feed(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        """Goes on from `text[pos]`; "open": show the text from the returned position again, with more."""
        self._reached = pos
        try:
            while pos < len(text):
                step = self._step
                state, after = step(text, pos, final)
                if state != "open" or (after == pos and step == self._step):
                    return state, after
                pos = after
        except Unreadable as problem:
            self.reason = str(problem)
            return "broken", max(pos, self._reached)
        return "open", pos

    def end(self) -> State:
        """The output is over: whether the call was closed all the same, is broken, or is cut."""
        if not self._seen:
            return "cut"
        try:
            self._close_at_mark()
        except Unreadable as problem:
            self.reason = str(problem)
            return "broken"
        return "earlier"

    def _key(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        """Where a key, or in round brackets a value, must stand."""
        if len(self._frames) == 1 and (after := self._plain(text, pos)) > pos:
            return "open", after
        pos = _behind_space(text, pos)
        if pos == len(text):
            return "open", pos
        char = text[pos]
        if char == self._frames[-1].closer:
            return self._pop(pos)
        if char in "<\"'":
            return self._open_text(text, pos, final, is_key=True)
        if self._in_call_brackets and char in "[{(*":
            if char == "*" and len(text) - pos < 2 and not final:
                return "open", pos
            self._merge = text.startswith("**", pos)
            self._step = self._value
            return "open", pos + 2 if self._merge else pos
        self._begin(self._key_word)
        return "open", pos

    def _plain(self, text: str, pos: int) -> int:
        """The quick road: reads arguments as long as they are plain; where the first begins that is not."""
        plain = self._marks.plain_argument
        named = self.named
        closer = self._frames[0].closer
        while found := plain.match(text, pos):
            key, string, word, behind = found.groups()
            if key in named or (behind != "," and behind != closer) or (string and self._ends_like_a_key(string)):
                break
            named[key] = string if string is not None else plain_value(word)
            pos = found.start(4)
            if behind == closer:
                self._ended = ""
                self._step = self._after
                break
            pos += 1
        return pos

    def _ends_like_a_key(self, string: str) -> bool:
        found = KEY_AT_END.search(string, max(0, len(string) - TAIL))
        return found is not None and found.group(1) in self._declared

    @property
    def _in_call_brackets(self) -> bool:
        """Whether arguments stand here in Python's way: a value needs no key."""
        return self.is_round and len(self._frames) == 1

    def _key_word(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        found = _WORD_END.search(text, pos)
        end = found.start() if found else len(text)
        self.more(text[pos:end])
        if found:
            self._step = self._behind_word
        return "open", end

    def _behind_word(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        pos = _behind_space(text, pos)
        if pos == len(text):
            return "open", pos
        word = "".join(self._parts)
        if text[pos] in ":=" and word:
            return self._named(word, text, pos, final)
        if self._in_call_brackets and is_scalar(word):
            return self._positional(plain_value(word), pos)
        if not word or (self._in_call_brackets and text[pos] in ",)("):
            raise Unreadable(f"{(word or text[pos])[:40]!r} is not a value" if self.is_round else "a key is missing")
        raise Unreadable(f"a colon is missing behind {word[:40]!r}")

    def _behind_key(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        pos = _behind_space(text, pos)
        if pos == len(text):
            return "open", pos
        key = self._parts[0]
        if text[pos] in ":=":
            return self._named(key, text, pos, final)
        if self._in_call_brackets:
            return self._positional(key, pos)
        raise Unreadable("a text stands without a key")

    def _named(self, key: str, text: str, pos: int, final: bool) -> tuple[State, int]:
        if len(text) - pos < 2 and not final:
            return "open", pos
        if text.startswith("==", pos):
            raise Unreadable("== is an expression")
        self.repaired |= text[pos] == "=" and not self.is_round
        self._frames[-1].key = key
        self._step = self._value
        return "open", pos + 1

    def _value(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        """Where a value must stand."""
        pos = _behind_space(text, pos)
        if pos == len(text):
            return "open", pos
        char, frame = text[pos], self._frames[-1]
        if char in "\"'<":
            return self._open_text(text, pos, final, is_key=False)
        if char in CLOSERS:
            if len(self._frames) > MAX_DEPTH:
                raise Unreadable(f"brackets are nested deeper than {MAX_DEPTH}")
            self._frames.append(Frame(CLOSERS[char], named={} if char == "{" else None))
            self._step = self._key if char == "{" else self._value
            return "open", pos + 1
        if char == frame.closer and frame.named is None:
            return self._pop(pos)
        if char in ",:=)]}":
            raise Unreadable(f"the value of {frame.key} is missing" if frame.key else "a value is missing")
        self._is_key = False
        self._begin(self._word)
        return "open", pos

    def _pop(self, pos: int) -> tuple[State, int]:
        """A closing bracket at `pos`."""
        if len(self._frames) == 1:
            return "closed", pos + 1
        value = self._frames.pop().value()
        self._ended = ""
        self._take(value)
        return "open", pos + 1

    def _after(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        """Behind a value."""
        if text[pos].isspace():
            if self._ended == "quoted":
                self._ended = ""
            return "open", _behind_space(text, pos)
        char, frame = text[pos], self._frames[-1]
        if char == ",":
            frame.comma = True
            self._step = self._value if frame.named is None else self._key
            return "open", pos + 1
        if char == frame.closer:
            return self._pop(pos)
        if char == "<":
            return self._mark_behind(text, pos, final)
        if char in "}])":
            raise Unreadable("its brackets do not match")
        key = self._declared_key(text, pos, final)
        if key is None:
            return "open", pos
        if key:
            self.repaired = True
            self._step = self._key
            return "open", pos
        raise Unreadable(f"a comma or bracket is missing before {char!r}")

    def _mark_behind(self, text: str, pos: int, final: bool) -> tuple[State, int]:
        mark = self._marks.at(text, pos, final)
        if mark is None:
            return "open", pos
        if mark == self._marks.quote and self._ended == "quoted" and len(self._frames) == 1:
            self._ended = ""
            self.repaired = self.needs_mark = True
            return "open", pos + len(mark)
        return self._ends(mark, text, pos)


def _behind_space(text: str, pos: int) -> int:
    found = _SPACE.match(text, pos)
    return found.end() if found else pos
