"""Reading a bracketed body that is whole: Python and JSON literals, calls written with them.

Nothing is evaluated: there are values as they stand, or `Unreadable` with the reason in words for the model.
No recursion, so that depth is bounded by our own limit and not by the interpreter's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gemmagraph.prompts.checking.arguments import Number
from gemmagraph.prompts.checking.complaint import clean
from gemmagraph.prompts.reading.doubt import is_doubtful
from gemmagraph.prompts.reading.escapes import is_half_escaped, unescaped
from gemmagraph.prompts.reading.scan import KEY, MAX_DEPTH, Extent

_GAP = re.compile(r"(?:\s+|(?:(?<=[\s,(\[{])|\A)(?:#|//)[^\n]*)*")
_NO_GAP = frozenset("()[]{},:=\"'_-.")
_PLAIN_ARGUMENT = re.compile(
    r'([^\W\d]\w*)=(?:"([^"\\\n\ud800-\udfff]*)"|([+-]?[0-9]+(?:\.[0-9]+)?)|(True|False|None))(\)|, ?(?=[^\W\d]))'
)
"""A named argument that can be read in one way only, and the comma or bracket behind it."""
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)"
)
_WORD = re.compile(r"[^\W\d][\w.:/-]*")
_BARE_KEY = re.compile(r"[^\W\d][\w-]*")
_JUNK = re.compile(r"[^\s,)\]}]{1,40}")
_STRING = re.compile(r"""([rRbBuUfF]{0,2})('''|\"\"\"|'|")""")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_CONSTANTS = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None}
_CLOSER = {"(": ")", "[": "]", "{": "}"}


class Unreadable(Exception):
    """The text is not literal, or not written as a call is. Its one argument says why, for the model."""


class Unclear(Unreadable):
    """Where a text in it ends is not certain: what stands behind it may belong to that text."""


class Cut(Unreadable):
    """The text ends before the value does."""

    def __init__(self) -> None:
        super().__init__("it ends in the middle")


@dataclass(slots=True)
class WrittenCall:
    """A call as it was written, before anybody asks what the tool declares."""

    name: str
    positional: list[object] = field(default_factory=list)
    named: dict[str, object] = field(default_factory=dict)
    end: int = 0
    """Offset behind the call in the text it was read from."""
    repaired: bool = False


@dataclass(slots=True)
class _Frame:
    """An open bracket and what has been read inside it."""

    closer: str
    items: list[object] = field(default_factory=list)
    mapping: dict[str, object] | None = None
    key: str | None = None
    comma: bool = False

    def value(self) -> object:
        if self.mapping is not None:
            return self.mapping
        if self.closer == ")" and len(self.items) == 1 and not self.comma:
            return self.items[0]
        if self.closer == "}" and not self.items:
            return {}
        return self.items


def same(left: object, right: object) -> bool:
    """Whether two read values are alike: 1, 1.0, True and "1" are four things."""
    return repr(left) == repr(right)


class Literals:
    """Reads values and calls from a text whose strings `Extent` has measured.

    `python` tells how double-quoted strings are escaped and whether bare keys are variables; JSON is read with
    single quotes, comments and trailing commas too.
    """

    def __init__(self, text: str, strings: Mapping[int, int], keys: frozenset[str], python: bool) -> None:
        self.text = text
        self.repaired = False
        """Whether something had to be put right."""
        self._strings = strings
        self._keys = keys
        self._python = python

    def gap(self, pos: int) -> int:
        """The position behind white space and comments."""
        char = self.text[pos : pos + 1]
        if char.isalnum() or char in _NO_GAP:
            return pos
        match = _GAP.match(self.text, pos)
        return match.end() if match else pos

    def peek(self, pos: int) -> str:
        """The character at `pos`.

        Raises:
            Cut: there is none.
        """
        if pos >= len(self.text):
            raise Cut
        return self.text[pos]

    def value(self, pos: int) -> tuple[object, int]:
        """The value at `pos`, and the position behind it.

        Raises:
            Unreadable: it is not a literal; Cut, if the text ends inside it.
        """
        frames: list[_Frame] = []
        while True:
            pos = self.gap(pos)
            char = self.peek(pos)
            if char in _CLOSER:
                if len(frames) >= MAX_DEPTH:
                    raise Unreadable(f"brackets are nested deeper than {MAX_DEPTH}")
                frames.append(_Frame(_CLOSER[char]))
                pos = self.gap(pos + 1)
                if self.peek(pos) != frames[-1].closer:
                    pos = self._key(frames[-1], pos)
                    continue
                item: object = frames.pop().value()
                pos += 1
            else:
                item, pos = self._scalar(pos, bool(frames) and frames[-1].closer in "]}")
            while frames:
                frame = frames[-1]
                self._add(frame, item)
                pos = self.gap(pos)
                more, pos = self._separator(frame, pos)
                if more:
                    pos = self._key(frame, pos)
                    break
                item = frames.pop().value()
            else:
                return item, pos

    def _add(self, frame: _Frame, item: object) -> None:
        if frame.mapping is None:
            if isinstance(item, dict | list) and frame.closer == "}":
                raise Unreadable("a set can not hold a list or an object")
            frame.items.append(item)
            return
        assert frame.key is not None
        if frame.key in frame.mapping and not same(frame.mapping[frame.key], item):
            raise Unreadable(f"{_shown(frame.key)} is given twice with different values")
        frame.mapping[frame.key] = item

    def _separator(self, frame: _Frame, pos: int) -> tuple[bool, int]:
        """Whether another element follows, and the position of it or behind the closing bracket."""
        char = self.peek(pos)
        if char == frame.closer:
            return False, pos + 1
        if char == ",":
            frame.comma = True
            pos = self.gap(pos + 1)
            if self.peek(pos) == frame.closer:
                return False, pos + 1
            return True, pos
        if frame.mapping is not None and self.known_key(pos):
            self.repaired = True
            return True, pos
        raise Unreadable(f"a comma or {frame.closer} is missing before {_shown(self.text[pos : pos + 20])}")

    def _key(self, frame: _Frame, pos: int) -> int:
        """Reads `key:` where an object's next key must stand; the position of what follows."""
        if frame.closer != "}" or (frame.items and frame.mapping is None):
            return pos
        char = self.peek(pos)
        if char in _CLOSER:
            if frame.mapping is None:
                return pos
            raise Unreadable("a key of an object must be a string")
        bare = None if _STRING.match(self.text, pos) else _BARE_KEY.match(self.text, pos)
        if bare and bare.group() not in _CONSTANTS:
            if self._python:
                raise Unreadable(f"{_shown(bare.group())} is not quoted")
            key: object = bare.group()
            after = bare.end()
            self.repaired = True
        else:
            key, after = self._key_piece(pos)
        written = self.text[pos:after]
        after = self.gap(after)
        if self.peek(after) != ":":
            is_set = frame.mapping is None and not (bare and bare.group() not in _CONSTANTS)
            if is_set and (not isinstance(key, str) or self.text[after] in ",}"):
                return pos
            raise Unreadable(f"a colon is missing after {_shown(written)}")
        if isinstance(key, Number):
            key = key.text
        if not isinstance(key, str):
            raise Unreadable("a key of an object must be a string")
        if frame.mapping is None:
            frame.mapping = {}
        frame.key = key
        return after + 1

    def _key_piece(self, pos: int) -> tuple[object, int]:
        """The scalar at `pos`, where a key may stand: of strings in a row, the first."""
        string = _STRING.match(self.text, pos)
        return self._string(string) if string else self._scalar(pos)

    def known_key(self, pos: int) -> bool:
        """Whether a declared key, bare or quoted, and its `:` or `=` stand at `pos`."""
        found = KEY.match(self.text, pos)
        return found is not None and found.group(2) in self._keys

    def _scalar(self, pos: int, in_list: bool = False) -> tuple[object, int]:
        string = _STRING.match(self.text, pos)
        if string:
            return self._text(string, in_list)
        number = _NUMBER.match(self.text, pos)
        if number:
            after = self.text[number.end() : number.end() + 1]
            if after and (after.isalnum() or after in "_.-+*/%"):
                junk = _JUNK.match(self.text, pos)
                raise Unreadable(f"{_shown(junk.group() if junk else after)} is not quoted")
            return Number(number.group()), number.end()
        word = _WORD.match(self.text, pos)
        if word:
            if word.group() in _CONSTANTS:
                return _CONSTANTS[word.group()], word.end()
            if self.text[word.end() : word.end() + 1] == "(":
                raise Unreadable(f"{_shown(word.group())}(…) is a call inside a call; arguments must be plain values")
            raise Unreadable(f"{_shown(word.group())} is not quoted")
        raise Unreadable(f"{_shown(self.text[pos : pos + 20])} is not a value")

    def _text(self, opened: re.Match[str], in_list: bool) -> tuple[str, int]:
        """The string that begins there, joined with those that follow it as Python joins them; in a list or object,
        where a comma may be missing as well, they must not follow."""
        whole: list[str] = []
        found: re.Match[str] | None = opened
        end = opened.start()
        while found:
            piece, end = self._string(found)
            whole.append(piece)
            pos = self.gap(end)
            found = _STRING.match(self.text, pos) if self._python and not self.known_key(pos) else None
            if found and (in_list or "\n" not in self.text[end:pos]):  # also how an unescaped quote looks
                quote = opened.group(2)[0]
                raise Unclear(f"two texts stand side by side; a quote inside a text must be written as \\{quote}")
        return "".join(whole), end

    def _string(self, opened: re.Match[str]) -> tuple[str, int]:
        prefix, quote = opened.group(1).lower(), opened.group(2)
        end = self._strings.get(opened.start(2))
        if end is None:
            raise Cut
        body = self.text[opened.end() : end - len(quote)]
        if len(quote) == 1 and quote in body and is_doubtful(body, quote, self._keys):
            written = _shown(self.text[opened.start() : end])
            raise Unclear(f"a quote inside the text {written} must be written as \\{quote}")
        if "b" in prefix:
            raise Unreadable("bytes are not a value that a tool can take; write a plain string")
        if "f" in prefix:
            if re.search(r"[{}]", body.replace("{{", "").replace("}}", "")):
                raise Unreadable("an f-string is not a plain value")
            body = body.replace("{{", "{").replace("}}", "}")
        if "\\" in body and "r" not in prefix:
            python = self._python or quote != '"'
            if is_half_escaped(body, python):
                written = _shown(self.text[opened.start() : end])
                raise Unreadable(f"the backslashes in {written} must be doubled; a line break is \\u000a there")
            body = unescaped(body, python)
        if _LONE_SURROGATE.search(body):
            raise Unreadable("a text holds half a character (a lone surrogate)")
        return body, end

    def call(self, name: str, pos: int) -> WrittenCall:
        """The call whose opening bracket is at `pos`: `(a, k=v, "k": v, **{…})`.

        Raises:
            Unreadable: something in it is not literal, or not written as arguments are.
        """
        written = WrittenCall(name)
        pos = self._plain_arguments(written, pos + 1)
        if written.end:
            return written
        pos = self.gap(pos)
        while self.peek(pos) != ")":
            pos = self._argument(written, pos)
            pos = self.gap(pos)
            char = self.peek(pos)
            if char == ",":
                pos = self.gap(pos + 1)
            elif char != ")":
                if not self.known_key(pos):
                    raise Unreadable(f"a comma is missing before {_shown(self.text[pos : pos + 20])}")
                self.repaired = True
        written.end = pos + 1
        written.repaired = self.repaired
        return written

    def _plain_arguments(self, written: WrittenCall, pos: int) -> int:
        """The quick road: reads arguments as long as they are plain; the position of the first that is not."""
        while found := _PLAIN_ARGUMENT.match(self.text, pos):
            key, string, number, constant, behind = found.groups()
            whole = string is None or self._strings.get(found.start(2) - 1) == found.end(2) + 1
            if key in written.named or not whole:
                break
            if string is not None:
                written.named[key] = string
            else:
                written.named[key] = Number(number) if number else _CONSTANTS[constant]
            pos = found.end()
            if behind == ")":
                written.end = pos
                break
        return pos

    def _argument(self, written: WrittenCall, pos: int) -> int:
        if self.text.startswith("**", pos):
            merged, pos = self.value(pos + 2)
            if not isinstance(merged, dict):
                raise Unreadable("** must stand before an object")
            for key, item in merged.items():
                self._name_argument(written, key, item)
            return pos
        key = _BARE_KEY.match(self.text, pos)
        after = self.gap(key.end()) if key else pos
        if not key and _STRING.match(self.text, pos):
            quoted, after = self._key_piece(pos)
            after = self.gap(after)
        elif key:
            quoted = key.group()
        else:
            quoted = None
        sign = self.text[after : after + 2]
        if isinstance(quoted, str) and sign[:1] in ("=", ":") and sign != "==":
            self.repaired |= sign[0] == ":" or key is None
            item, pos = self.value(after + (2 if sign == "=>" else 1))
            self._name_argument(written, quoted, item)
            return pos
        if key is None and quoted in self._keys and _STRING.match(self.text, after):
            raise Unreadable(f"= is missing after {_shown(self.text[pos:after])}")
        item, pos = self.value(pos)
        if written.named:
            raise Unreadable("a value without a name stands after named ones")
        written.positional.append(item)
        return pos

    def _name_argument(self, written: WrittenCall, key: str, item: object) -> None:
        if key in written.named and not same(written.named[key], item):
            raise Unreadable(f"{_shown(key)} is given twice with different values")
        written.named[key] = item


def _shown(written: str) -> str:
    """A piece of what was written, for a message: on one line, and short."""
    return clean(written[:40]) + ("…" if len(written) > 40 else "")


def json_value(text: str, keys: frozenset[str]) -> object:
    """The one value that `text` is, read as leniently as a body.

    Raises:
        Unreadable: it is none, or more than one.
    """
    extent = Extent(keys)
    extent.feed(text, 0, True)
    literals = Literals(text, extent.strings, keys, python=False)
    item, pos = literals.value(0)
    if literals.gap(pos) != len(text):
        raise Unreadable(f"something stands behind the value: {_shown(text[pos : pos + 20])}")
    return item
