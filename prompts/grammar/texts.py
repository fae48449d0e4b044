"""Texts in a grammar: strings between quotes or marks, of any length or a certain one, of a format; a thought, and an
answer in plain words. No control mark of any family can be spelled in one, and no call in an answer.

An engine matches the text of every token against a grammar, that of control tokens too, so that a class such as
`[^"]` lets `<end_of_turn>` through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from types import MappingProxyType
from typing import Final

from gemmagraph.prompts.grammar.gbnf import (
    CONTROLS,
    MOST_REPEATS,
    OTHER,
    Pattern,
    Rules,
    Step,
    Text,
    behind,
    char_class,
    either,
    literal,
    pattern,
    text_rules,
)
from gemmagraph.prompts.turns import ALL_MARKS

_DIGITS: Final = frozenset("0123456789")
_SMALL: Final = frozenset("abcdefghijklmnopqrstuvwxyz")
_LETTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ") | _SMALL
_NUL: Final = frozenset("\0")
"""llama.cpp ends a grammar's text there."""
_MARKS: Final = (
    *map(pattern, sorted(ALL_MARKS)),
    *((*pattern("<unused"), *[Step(_DIGITS)] * digits, *pattern(">")) for digits in range(1, 5)),
)
_BACKSLASH: Final = ("backslash", literal("\\\\"))
_BREAK: Final = ("break", r'"\\n"')
_TAB: Final = ("tab", r'"\\t"')
_CODED: Final = ("coded", r'"\\" (["] | "u00" [01] [0-9a-f])')
"""What `writing.quoted` escapes beside a backslash, in parts: behind `C:` only this one can always be read."""
_PLAIN: Final = r'^"\\\x00-\x1F<'
"""The class of what it does not escape, and of what begins no mark, without its brackets."""
_BLANK: Final = frozenset(filter(str.isspace, map(chr, range(0x3001))))
_BLANKS: Final = Step(_BLANK, many=True)
_NO_WORD: Final = _BLANK | frozenset(",:={}[]()<\"'")
_MARKED_CHARACTERS: Final = (
    ("char", r"[^\x00<]"),
    ("no-comma", r"[^\x00<,]"),
    ("no-key", char_class({"\0", "<", ":", "=", *_BLANK}, negated=True)),
)
_CHARACTERS: Final = (
    _BACKSLASH,
    _BREAK,
    _TAB,
    _CODED,
    ("char", f"[{_PLAIN}] | backslash | break | tab | coded"),
    ("no-letter", f"[{_PLAIN}A-Za-z] | backslash | break | tab | coded"),
    ("no-colon", f"[{_PLAIN}:] | backslash | break | tab | coded"),
    ("no-escape", f"[{_PLAIN}] | backslash | coded"),
    ("no-small", f"[{_PLAIN}a-z] | backslash | break | tab | coded"),
)

_CLOCK: Final = '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,9})?'
_OFFSET: Final = '("Z" | [+\\x2D] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])'
_FORMATS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "date": '[12] [0-9] [0-9] [0-9] "-" (("0" [13578] | "1" [02]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])'
        ' | ("0" [469] | "11") "-" ("0" [1-9] | [12] [0-9] | "30") | "02-" ("0" [1-9] | "1" [0-9] | "2" [0-8]))',
        "time": f"{_CLOCK} {_OFFSET}",
        "time-local": _CLOCK,
        "time-or-local": f"{_CLOCK} {_OFFSET}?",
        "uuid": '[0-9a-fA-F]{8} ("-" [0-9a-fA-F]{4}){3} "-" [0-9a-fA-F]{12}',
        "ipv4": 'octet "." octet "." octet "." octet',
        "ipv6": '[0-9a-fA-F]{1,4} (":" [0-9a-fA-F]{1,4}){7}',
        "email": '[0-9A-Za-z._+\\x2D]{1,64} "@" [0-9A-Za-z.\\x2D]{1,190}',
        "uri": '[A-Za-z] [0-9A-Za-z+.\\x2D]{0,30} ":" [0-9A-Za-z._~!$&\'()*+,;=:@/\\x2D]*'
        ' ("?" [0-9A-Za-z._~!$&\'()*+,;=:@/?\\x2D]*)? ("#" [0-9A-Za-z._~!$&\'()*+,;=:@/?\\x2D]*)?',
    }
)
"""Part of what each format allows: no 29th of February, no time without seconds, no short IPv6 address, no `%41` in a
URI, no year before 1000."""
_TIMES: Final = {"date-time": "time", "date-time-local": "time-local", "date-time-or-local": "time-or-local"}
"""What stands behind the date."""
_OCTET: Final = '"25" [0-5] | "2" [0-4] [0-9] | "1" [0-9] [0-9] | [1-9] [0-9] | [0-9]'


class Strings:
    """The rules of strings.

    Args:
        rules: where they go.
        mark: the mark, as a token, that stands for a quote; "" for double quotes and escapes.
    """

    def __init__(self, rules: Rules, mark: str = "") -> None:
        self._rules = rules
        self._quote = mark or literal('"')
        self._escapes = not mark
        rules.include(text_rules(_marked(mark) if mark else _QUOTED))
        rules.include(_MARKED_CHARACTERS if mark else _CHARACTERS)
        self.any = rules.rule(f"{self._quote} str", "string")
        """The rule of any string."""

    def of_length(self, least: int, most: int | None) -> str:
        """The rule of strings of so many characters; without any `<`, so that no mark is in them."""
        least = min(least, MOST_REPEATS)
        if most is None and least < 2:
            return self._rules.rule(f"{self._quote} str-some") if least else self.any
        most = None if most is None else min(most, MOST_REPEATS)
        if most == 0:
            return self._rules.rule(f"{self._quote} {self._quote}")
        return self._rules.rule(f"{self._quote} {(self._escaped if self._escapes else self._plain)(least, most)}")

    def _plain(self, least: int, most: int | None) -> str:
        """Without a comma, or not ending as if a key followed: see `_marked`."""
        if most is None:
            return f"char{{{least}}} str"
        whole = f"no-comma{{{least},{most}}}"
        return f"({whole} | char{{{max(least - 1, 0)},{most - 1}}} no-key) {self._quote}"

    def _escaped(self, least: int, most: int | None) -> str:
        """The first four characters one by one, so that none begins like a path: see `_paths`."""
        fourth = self._start(3, least, most, "no-small")
        third = self._start(2, least, most, "no-escape", f"(break | tab) {fourth}")
        second = self._start(1, least, most, "no-colon", f'":" {third}')
        return self._start(0, least, most, "no-letter", f"[A-Za-z] {second}")

    def _start(self, done: int, least: int, most: int | None, safe: str, *others: str) -> str:
        """What may stand behind `done` characters: a safe one and any others, or something else."""
        if done == most:
            return self._quote
        found = [f"{safe} {self._after(done + 1, least, most)}", *others]
        return either([*found, self._quote] if done >= least else found)

    def _after(self, done: int, least: int, most: int | None) -> str:
        """The rest of a string behind `done` characters, with its quote."""
        least = max(least - done, 0)
        if most is None:
            return f"char{{{least}}} str-rest" if least else "str-rest"
        return f"char{{{least},{most - done}}} {self._quote}" if most > done else self._quote

    def of_format(self, name: str) -> str | None:
        """The rule of strings of a format; None if it is not constrained."""
        text = self._format(name)
        return text and self._rules.rule(f"{self._quote} {text} {self._quote}")

    def _format(self, name: str) -> str | None:
        if name in _TIMES:
            return f'{self._format("date")} "T" {self._format(_TIMES[name])}'
        if name not in _FORMATS:
            return None
        if name == "ipv4":
            self._rules.include([("octet", _OCTET)])
        self._rules.include([(f"a-{name}", _FORMATS[name])])
        return f"a-{name}"


_DRIVES: Final = frozenset("CDEFGHcdefgh")
_HOST: Final = _LETTERS | _DIGITS | {"_", "-"}
_TO_TAB: Final = (Step(frozenset({"tab"})), Step(_SMALL))
_TO_BREAK: Final = (Step(frozenset({"break"})), Step(_SMALL))
_FOLDER: Final = (Step(frozenset({"backslash"})), Step(_HOST - {"-"}), Step(_HOST, many=True))


def _paths() -> Iterator[Pattern]:
    """`C:\\new`, `..\\temp` behind a blank: what is taken for a path whose backslashes were not doubled."""
    drive = (Step(_LETTERS | _DIGITS, negated=True), Step(_DRIVES), *pattern(":"))
    yield *drive, *_TO_TAB
    yield *drive, *_TO_BREAK
    for dots in (".", ".."):
        yield Step(frozenset({" ", "break", "tab"})), *pattern(dots), *_TO_TAB


def _folders() -> Iterator[Pattern]:
    """`C:\\\\temp\\new.txt`: only one backslash of two is doubled."""
    rest = (*_TO_BREAK, Step(_HOST, many=True))
    yield *_FOLDER, *_TO_TAB
    yield *_FOLDER, *rest, *pattern("."), Step(_LETTERS | _DIGITS)
    yield *_FOLDER, *rest, Step(frozenset({"backslash"})), Step(_HOST - {"-"})


_SERVER: Final = (Step(frozenset(" ")), *_FOLDER[:2], Step(_HOST), *_FOLDER[2:], *_TO_BREAK, Step(_HOST, many=True))
"""`dir \\\\server\\new`, at the end."""
_QUOTED: Final = Text(
    "str",
    nowhere=(*_MARKS, *_paths(), *_folders()),
    not_first=tuple(path[1:] for path in _paths()),
    not_last=(_SERVER,),
    never=CONTROLS | {'"', "\\"},
    units=(("backslash", "backslash"), ("break", "break"), ("tab", "tab"), ("coded", "coded")),
    end=literal('"'),
)


def _marked(mark: str) -> Text:
    """Nothing is escaped between marks. What ends like `, key:` is taken for an argument that lost its mark; there,
    and at the start of a text that may not be empty, no `<` can come either."""
    key = (
        Step(frozenset(",")),
        _BLANKS,
        Step(_NO_WORD, negated=True),
        Step(_NO_WORD, many=True, negated=True),
        _BLANKS,
        Step(frozenset(":=")),
        _BLANKS,
    )
    return Text("str", nowhere=_MARKS, not_last=(key,), never=_NUL, end=mark, end_begins=frozenset("<"))


# Thoughts and answers


def thought(rules: Rules, opening: str, closing: str) -> tuple[str, tuple[str, str]]:
    """The rule of a thought between its marks, and the tokens in it.

    Args:
        rules: where it goes.
        opening: a mark, and the text that always stands behind it.
        closing: a mark.
    """
    mark, end, begun = opening.partition(">")
    mark += end
    text = Text("thought", nowhere=_MARKS, never=_NO_TEXT, end=closing, end_begins=frozenset("<"))
    rules.include(text_rules(text))
    return rules.rule(behind(mark, literal(begun), text.name)), (mark, closing)


def answer(rules: Rules, native: bool) -> str:
    """The rule of a text, not empty, in which nothing is a call: none of the introducers that readers believe.

    Args:
        rules: where it goes.
        native: whether readers take for a call only what something introduces.
    """
    rules.include(text_rules(_NATIVE_ANSWER if native else _ANSWER))
    return "answer-some"


def _any_of(chars: str, many: bool = False) -> Step:
    return Step(frozenset(chars.lower() + chars.upper()), many)


def _any_case(text: str) -> Pattern:
    return tuple(map(_any_of, text))


_SPACE: Final = _any_of(" \t", many=True)
_WORD: Final = frozenset("_.:/-") | _DIGITS | _LETTERS | {OTHER}
_NAME: Final = (Step(_LETTERS | {"_", OTHER}), Step(_WORD, many=True))


def _introducers() -> Iterator[Pattern]:
    """`FUNCTION_CALL:`, `<tool_call>`, three backticks and `tool_code`, in all the ways that readers know."""
    for who, between in product(("function", "func", "tool"), ("", " ", "_", "-")):
        yield (
            *_any_case(f"{who}{between}call"),
            _any_of("s", many=True),
            _any_of("*_` \t", many=True),
            _any_of(":："),
        )
    for who, what, end in product(("tool", "function"), ("call", "code"), ("", "s")):
        yield _any_case(f"<{who}_{what}{end}>")
    for fence, word in product("`~", ("tool", "function_call", "call")):
        yield (*_any_case(fence * 3), _any_of(fence, many=True), _SPACE, *_any_case(word))


def _bodies() -> Iterator[Pattern]:
    """`{"name":` and `[name(`, where a line begins."""
    for key in ("name", "func", "tool", "call"):
        yield (_any_of("{["), _any_of("{[ \t\r\n\"'", many=True), *pattern(key))
    yield (_any_of("["), *_NAME, _any_of("("))


_NO_TEXT: Final = CONTROLS - frozenset("\t\n\r")
_NATIVE_ANSWER: Final = Text("answer", nowhere=(*_MARKS, *_introducers()), never=_NO_TEXT)
_ANSWER: Final = Text(
    "answer",
    nowhere=(*_MARKS, *_introducers(), *((*pattern("\n"), _BLANKS, *body) for body in _bodies())),
    not_first=((_BLANKS, *_NAME, _any_of("(")), *((_BLANKS, *body) for body in _bodies())),
    never=_NO_TEXT,
)
