"""Texts in a native call that lack a delimiter: what they can mean, if it is one thing only.

Such a text runs to the next declared argument or to the last brace. Where a word that is no declared argument
stands like one, or braces do not pair up, there are two readings, and the call is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from gemmagraph.prompts.checking.arguments import Number
from gemmagraph.prompts.native.marks import BY_OPENING
from gemmagraph.prompts.reading.literals import Unreadable

CONSTANTS: Final = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WORD = r"""[^\s,:={}\[\]()<"']{1,80}"""
_NEXT_KEY = re.compile(rf",\s*({_WORD})\s{{0,20}}[:=]")
_KEY_INSIDE = re.compile(rf"\s({_WORD})[:=]")
KEY_AT_END: Final = re.compile(rf",\s{{0,20}}({_WORD})\s{{0,20}}[:=]\s{{0,20}}\Z")
"""A further argument seems to begin at the end of a text."""
_QUOTED = re.compile(r"""(["'])([^"'\\]*)\1""")
_EXPRESSION = re.compile(r"[^\W\d][\w.]{0,80}[\[(][^\n]{0,300}[\])]")
"""Something of a program that would have to be evaluated: `os.environ["X"]`, `now()`."""
_QUOTE_FIRST = re.compile(r"""[rRbBuUfF]{0,2}["']""")

NOT_CLEAR: Final = "a text without its delimiters has two readings"


def plain_value(word: str) -> object:
    """The number or constant that a bare word is; itself if it is neither."""
    if word in CONSTANTS:
        return CONSTANTS[word]
    return Number(word) if _NUMBER.fullmatch(word) else word


def is_scalar(word: str) -> bool:
    """Whether a bare word needs no delimiters."""
    return word in CONSTANTS or _NUMBER.fullmatch(word) is not None


def before_brace(text: str) -> str:
    """What stands before the brace that closes the arguments, at the end of `text`.

    Raises:
        Unreadable: no brace does.
    """
    inside = text.rstrip()
    if not inside.endswith("}") or not _is_paired(inside[:-1]):
        raise Unreadable("its braces are not balanced")
    return inside[:-1].rstrip()


def _is_paired(text: str) -> bool:
    depth = 0
    for brace in re.findall("[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def split(key: str, text: str, declared: frozenset[str], given: Iterable[str], quoted: int) -> dict[str, object]:
    """The arguments in `text`, which begins with the value of `key`.

    Args:
        key: the argument that comes first.
        text: values without delimiters, further keys between them.
        declared: the arguments of the tool.
        given: those that were read before.
        quoted: 1 if the first value has its opening delimiter, -1 if the last has its closing one, else 0.

    Raises:
        Unreadable: it has more than one reading.
    """
    seen = {key, *given}
    pieces: list[tuple[str, str]] = []
    begin = 0
    for found in _NEXT_KEY.finditer(text):
        name = found.group(1)
        if name not in declared or name in seen:
            raise Unreadable(f"{NOT_CLEAR}: {name[:40]!r} may be an argument or a part of it")
        seen.add(name)
        pieces.append((key, text[begin : found.start()]))
        key, begin = name, found.end()
    pieces.append((key, text[begin:]))
    for _, value in pieces[bool(quoted == 1) :]:
        glued = next((word for word in _KEY_INSIDE.findall(value) if word in declared and word not in seen), None)
        if glued:
            raise Unreadable(f"{NOT_CLEAR}: {glued[:40]!r} may be an argument or a part of it")
    if quoted == -1:
        if len(pieces) > 1:
            raise Unreadable(NOT_CLEAR)
        return {key: text.lstrip()}
    if quoted == 1:
        _check_opened(pieces)
    return {name: value if quoted and name == pieces[0][0] else _bare(value) for name, value in pieces}


def _check_opened(pieces: list[tuple[str, str]]) -> None:
    """Refuses a text that lacks its closing delimiter where what follows may be a part of it."""
    (_, text), *others = pieces
    if text.rstrip().endswith(",") or text.count('"') % 2 or not all(is_scalar(value.strip()) for _, value in others):
        raise Unreadable(NOT_CLEAR)


def _bare(text: str) -> object:
    text = text.strip()
    if not text:
        raise Unreadable("a value is missing")
    quoted = _QUOTED.fullmatch(text)
    if quoted:
        return quoted.group(2)
    if (
        _EXPRESSION.fullmatch(text)
        or _QUOTE_FIRST.match(text)
        or any(marks.quote in text for marks in BY_OPENING.values())
    ):
        raise Unreadable(f"{text[:30]!r} is not a plain text")
    return plain_value(text)
