"""Strict YAML 1.2 core, read from libyaml's events, so that a hostile file is refused before it costs anything.

Read: block and flow style, all five scalar styles, the core types (`on`, `12:30` and dates are text, `010` is 10).
Refused, since a tool's definition should mean what it shows: duplicate keys, tags, anchors, aliases, merge keys,
several documents, keys that are no text, infinite numbers, and control characters that editors hide.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NoReturn

from gemmagraph.tools.declared.nodes import Mapping, Mark, Node, Scalar, Sequence, shown
from gemmagraph.tools.declared.scalars import core_value

if TYPE_CHECKING:
    from yaml.error import YAMLError

MOST_BYTES: Final = 256 * 1024
MOST_DEPTH: Final = 20
MOST_VALUES: Final = 15_000
"""Keys, values and items. A file of 100 tools has about 9,000."""
_MOST_FLAWS: Final = 20

# NEL, LS and PS are line breaks for libyaml, which counts lines by YAML 1.1, and for no editor.
_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_DIRECTIVE = re.compile(r"(?:\A|[\r\n])%")
_QUOTE_IT: Final = 'A {{ placeholder }} needs quotes: "{{ … }}".'


@dataclass(frozen=True, slots=True)
class SourceFlaw:
    """Why a text is not read. Line and column count from 1."""

    line: int
    column: int
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """What was read. `root` is None when nothing could be made of it."""

    root: Node | None
    flaws: tuple[SourceFlaw, ...] = ()


def read_source(data: bytes | str, parser: Any = None) -> Source:
    """The tree of a YAML text, and all that is wrong with it as YAML.

    Args:
        parser: makes the events of a text; unless said, libyaml's, and PyYAML's own where that is missing.
    """
    try:
        text = _decoded(data)
        return _Reader(text, parser or _fast_parser()).document()
    except _Refused as refused:
        return Source(None, tuple(refused.flaws))


class _Refused(Exception):
    def __init__(self, *flaws: SourceFlaw) -> None:
        super().__init__()
        self.flaws = flaws


def _decoded(data: bytes | str) -> str:
    """The text, if it is UTF-8 without anything that an editor would not show."""
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    if len(data) > MOST_BYTES:
        line = data.count(b"\n", 0, MOST_BYTES) + 1
        raise _Refused(SourceFlaw(line, 1, f"the file is larger than {MOST_BYTES // 1024} KiB", "Split it: include."))
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _Refused(SourceFlaw(1, 1, "the file is in UTF-16", "Save it as UTF-8."))
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as problem:
        line, column = _position(data[: problem.start].decode("utf-8"))
        wrong = SourceFlaw(line, column, f"the byte 0x{data[problem.start]:02x} is not UTF-8", "Save it as UTF-8.")
        raise _Refused(wrong) from None
    if hidden := _HIDDEN.search(text):
        line, column = _position(text[: hidden.start()])
        code = f"{ord(hidden[0]):04X}"
        hint = f'Take it out, or write "\\u{code}" in double quotes.'
        raise _Refused(SourceFlaw(line, column, f"there is an invisible character, U+{code}", hint))
    # libyaml takes seconds for thousands of them.
    if directive := _DIRECTIVE.search(text):
        line, column = _position(text[: directive.end() - 1])
        hint = "It would be a directive, and a file is read as YAML 1.2. Indent the line if it is a text."
        raise _Refused(SourceFlaw(line, column, "a line begins with %", hint))
    return text


def _position(before: str) -> tuple[int, int]:
    """Line and column of what follows."""
    lines = re.split("\r\n|\r|\n", before)
    return len(lines), len(lines[-1]) + 1


@cache
def _fast_parser() -> Any:
    try:
        from yaml._yaml import CParser
    except ImportError:
        return slow_parser()
    return CParser


@cache
def slow_parser() -> Any:
    """PyYAML's own parser: the same events, some fifty times slower."""
    from yaml.parser import Parser
    from yaml.reader import Reader
    from yaml.scanner import Scanner

    class SlowParser(Reader, Scanner, Parser):
        def __init__(self, text: str) -> None:
            Reader.__init__(self, text)
            Scanner.__init__(self)
            Parser.__init__(self)

    return SlowParser


class _Reader:
    """One reading of a text, event by event."""

    def __init__(self, text: str, parser: Any) -> None:
        from yaml import events

        self.text = text
        self.flaws: list[SourceFlaw] = []
        self._parser = parser
        self._next: Callable[[], Any]
        self._left = MOST_VALUES
        self._stream_end = events.StreamEndEvent
        self._scalar: Any = events.ScalarEvent
        self._mapping, self._mapping_end = events.MappingStartEvent, events.MappingEndEvent
        self._sequence, self._sequence_end = events.SequenceStartEvent, events.SequenceEndEvent

    def document(self) -> Source:
        from yaml.error import YAMLError

        try:
            self._next = self._parser(self.text).get_event
            self._next()
            if type(self._next()) is self._stream_end:
                raise _Refused(SourceFlaw(1, 1, "the file is empty"))
            root = self.node(self._next(), MOST_DEPTH)
            self._next()
            after = self._next()
            if type(after) is not self._stream_end:
                self.refuse(after.start_mark, "a second document begins here", "Keep one per file; use include.")
        except YAMLError as problem:
            raise _Refused(*self.flaws, self._syntax(problem)) from None
        except _Refused as refused:
            raise _Refused(*self.flaws, *refused.flaws) from None
        return Source(root, tuple(self.flaws))

    def node(self, event: Any, depth: int) -> Node:
        kind = type(event)
        if kind is self._scalar:
            return self.scalar(event)
        if kind is self._mapping:
            return self.mapping(event, depth)
        if kind is self._sequence:
            return self.sequence(event, depth)
        return self.refuse(event.start_mark, "this is an alias", "Write the value out, or quote it if it is a text.")

    def scalar(self, event: Any) -> Scalar:
        if event.tag is not None or event.anchor is not None:
            self._check_bare(event)
        text, mark = event.value, event.start_mark
        if event.implicit[0]:
            try:
                return Scalar(core_value(text), text, mark)
            except ValueError as problem:
                self.refuse(mark, str(problem))
        if not text.isascii():
            self._check_whole(text, mark)
        return Scalar(text, text, mark)

    def sequence(self, event: Any, depth: int) -> Sequence:
        self._enter(event, depth)
        items: list[Node] = []
        made = Sequence(items, event.start_mark)
        end, following = self._sequence_end, self._next
        while type(event := following()) is not end:
            self._left -= 1
            if self._left < 0:
                self._too_many(event.start_mark)
            items.append(self.node(event, depth - 1))
        return made

    def mapping(self, event: Any, depth: int) -> Mapping:
        self._enter(event, depth)
        entries: dict[str, Node] = {}
        marks: dict[str, Mark] = {}
        made = Mapping(entries, marks, event.start_mark)
        end, following = self._mapping_end, self._next
        while type(event := following()) is not end:
            key = self.key(event, made)
            mark = event.start_mark
            self._left -= 2
            if self._left < 0:
                self._too_many(mark)
            child = self.node(following(), depth - 1)
            if key in entries:
                first = f"it stands in line {marks[key].line + 1} already"
                self.note(mark, f"the key {shown(key)} is there twice; {first}", "Keep one of them.")
            else:
                entries[key], marks[key] = child, mark
        return made

    def key(self, event: Any, parent: Mapping) -> str:
        """The text of a key; a number or `on` is taken as it is written."""
        if type(event) is not self._scalar:
            if type(event) is self._mapping and event.flow_style:
                self.refuse(parent.mark, "YAML reads { } as a mapping", _QUOTE_IT)
            self.refuse(event.start_mark, "a key must be a text")
        key: str = event.value
        if event.implicit[0]:
            if not key:
                self.refuse(event.start_mark, "there is no key in front of the colon")
            if key == "<<":
                self.refuse(event.start_mark, "<< is a merge key", "Write the keys out.")
        if event.tag is not None or event.anchor is not None:
            self._check_bare(event)
        if not key.isascii():
            self._check_whole(key, event.start_mark)
        return key

    def refuse(self, mark: Mark, message: str, hint: str = "") -> NoReturn:
        raise _Refused(SourceFlaw(mark.line + 1, mark.column + 1, message, hint))

    def note(self, mark: Mark, message: str, hint: str = "") -> None:
        """One more flaw; reading goes on, unless there have been enough."""
        if len(self.flaws) >= _MOST_FLAWS:
            self.refuse(mark, message, hint)
        self.flaws.append(SourceFlaw(mark.line + 1, mark.column + 1, message, hint))

    def _enter(self, event: Any, depth: int) -> None:
        if depth == 0:
            self.refuse(event.start_mark, f"this is nested deeper than {MOST_DEPTH} levels")
        if event.tag is not None or event.anchor is not None:
            self._check_bare(event)

    def _too_many(self, mark: Mark) -> NoReturn:
        self.refuse(mark, f"the file has more than {MOST_VALUES:,} keys and values", "Split the file: include.")

    def _check_bare(self, event: Any) -> None:
        if event.tag is not None:
            self.note(event.start_mark, f"{shown(event.tag)} is a tag", "Values have the type they are written as.")
        if event.anchor is not None:
            self.note(event.start_mark, f"{shown('&' + event.anchor)} is an anchor", "Write the value out twice.")

    def _check_whole(self, text: str, mark: Mark) -> None:
        """libyaml sees to this itself."""
        try:
            text.encode()
        except UnicodeEncodeError:
            self.refuse(mark, "this is half of a character (a lone surrogate)", "Write the character itself.")

    def _syntax(self, problem: YAMLError) -> SourceFlaw:
        from yaml.error import MarkedYAMLError

        if not isinstance(problem, MarkedYAMLError) or problem.problem_mark is None:
            return SourceFlaw(1, 1, f"this is not YAML ({problem})")
        mark = problem.problem_mark
        lines = re.split("\r\n|\r|\n", self.text)
        line = lines[mark.line] if mark.line < len(lines) else ""
        message, hint = _explained(str(problem.problem), line, mark.column)
        if problem.context_mark is not None and 0 < problem.context_mark.line < mark.line:
            message += f", in what begins in line {problem.context_mark.line + 1}"
        return SourceFlaw(mark.line + 1, mark.column + 1, message, hint)


def _explained(problem: str, line: str, column: int) -> tuple[str, str]:
    """The words for a syntax error: those of the parser, unless there are better ones."""
    here = line[column : column + 1]
    if here == "\t" or "tab character" in problem:
        return "there is a tab", "Indent with spaces."
    if here in ("@", "`", "%"):
        return f"a text cannot begin with {here}", "Put it into quotes."
    if "{{" in line and not re.search(r"[\"'][^\"']*\{\{", line):
        return "this is not YAML", _QUOTE_IT
    if "mapping values are not allowed" in problem:
        return 'this ": " follows no key', "Quote the text, or look at the indentation of this line."
    hint = "Look at the indentation, brackets and quotes of this line and the one before."
    return f"this is not YAML ({problem})", hint
