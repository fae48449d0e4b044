"""Where a text ends whose quotes leave two readings: such a call must not run.

A model that forgets to escape a quote inside a text ends the text too early: what it writes then may look like a
whole call, and does something else than was meant.
"""

from __future__ import annotations

import re

from gemmagraph.prompts.reading import spelling
from gemmagraph.prompts.reading.scan import KEY, TURN_END, Extent, is_short
from gemmagraph.prompts.toolset import Toolset

_KEY_BEFORE = re.compile(r"(\w{1,60})\s{0,4}=\s{0,4}\Z")
_LONGEST_LINE = 1000
"""Characters of the line behind a call that are waited for to see whether its last text goes on."""
_LONGEST_TAIL = 500
"""Closing brackets and spaces that may stand between a text and the end of the call."""
_MAY_CLOSE = {
    quote: re.compile(rf"{quote}[ \t]{{0,20}}(?:[)\]}}]|,[ \t]{{0,20}}{KEY.pattern})") for quote in ('"', "'")
}
"""A quote that could close a text: in front of a closing bracket, or of a comma and a key (group 2)."""
_CLOSES_LINE = {quote: re.compile(rf"{quote}[ \t]{{0,20}}[)\]}}]{{1,20}}[ \t\r,;]{{0,20}}\Z") for quote in ('"', "'")}
"""The end of a line that closes a text and a call."""
_SEPARATOR = re.compile(r"[ \t)\]}`*_,;]*(?:(?:[-+•]|\d{1,3}[.)])[ \t*_]{1,20})?")
_NAME_AND_BRACKET = re.compile(r"([^\W\d][\w.:/-]{0,199})[ \t]{0,20}\(")
_OTHER = re.compile(
    "|".join(
        mark.pattern.removeprefix("(?i)")
        for mark in (spelling.PREFIX, spelling.CALL_TAG, spelling.CALL_TAG_END, spelling.RESULT_TAG, TURN_END)
    ),
    re.IGNORECASE,
)
"""What begins something else than the rest of a text, wherever it stands in the line."""
_IN_OTHERS = re.compile("[<:：]")
"""Each of them holds one of these, which are found sooner."""


def is_doubtful(body: str, quote: str, keys: frozenset[str]) -> bool:
    """Whether a string with its own quote inside, unescaped, could mean something else than that quote.

    Clear are an apostrophe or inch mark behind a word, and a pair around words. A quote behind a key or a bracket
    may open the next value, one in front of a space may end this one: then there are two readings.
    """
    opened = False
    depth = 0
    at = -1
    for at in _unescaped(body, quote):
        before, after = body[at - 1 : at], body[at + 1 : at + 2]
        if before in ("(", "[", "{", ":") or body[max(0, at - 8) : at].rstrip().endswith(('":', "':")):
            return True
        key = _KEY_BEFORE.search(body, max(0, at - 70), at)
        if key and key.group(1) in keys:
            return True
        closing = bool(before) and not before.isspace() and not after.isalnum()
        if opened and closing:
            opened = False
        elif before.isalpha() if quote == "'" else before.isdigit() and not after.isalnum():
            continue
        elif opened or closing or not after or after.isspace():
            return True
        else:
            opened = True
    for char in body if at >= 0 else "":
        depth += (char in "([{") - (char in ")]}")
        if depth < 0:
            return True
    return opened or depth != 0


def _unescaped(body: str, quote: str) -> list[int]:
    """Where `quote` stands in `body` without a backslash in front."""
    return [match.start() for match in re.finditer(rf"\\.|{quote}", body, re.DOTALL) if match.group() == quote]


def rest_of_text(call: str, text: str, pos: int, final: bool, tools: Toolset) -> int | None:
    """Where the rest of a text ends that the end of `call` may have cut, if `text[pos:]` follows on it; `pos` if
    there is none; None if more text is needed to tell.

    In `remember(text="print(")")` the text may be `print(` or `print(")`: a quote in the rest of the line could
    close it as well. What is another call is not the rest of a text.
    """
    quote = call[-_LONGEST_TAIL:].rstrip(")]}, \t\r\n")[-1:]
    if quote not in _MAY_CLOSE:
        return pos
    line, newline, _ = text[pos : pos + _LONGEST_LINE].partition("\n")
    if _is_result(line):
        return pos
    if newline and not line.strip(" \t\r"):
        return _rest_below(text, pos + len(line) + 1, quote, final, pos, tools)
    other = _OTHER.search(line) if _IN_OTHERS.search(line) else None
    if is_short(text, pos, final, _LONGEST_LINE) and not (newline or other):
        return None
    line = line[: other.start()] if other else line
    if _another_begins(line, quote, tools):
        return pos
    closes = any(not found.group(2) or found.group(2) in tools.keys for found in _MAY_CLOSE[quote].finditer(line))
    if closes or ("\n" in call and line.rstrip(" \t\r,").endswith(quote)):
        return pos + len(line)
    return pos


def _rest_below(text: str, pos: int, quote: str, final: bool, end: int, tools: Toolset) -> int | None:
    """The same for the line that begins at `pos`; `end` if the text does not go on there."""
    line, newline, _ = text[pos : pos + _LONGEST_LINE].partition("\n")
    decoration = spelling.LINE_DECORATION.match(line)
    at = decoration.end() if decoration else 0
    if spelling.PREFIX.match(line, at) or line.startswith(("`", "~", "<"), at):
        return end
    if is_short(text, pos, final, _LONGEST_LINE) and not newline:
        return None
    closing = _CLOSES_LINE[quote].search(line)
    odd = closing and len(_unescaped(line, quote)) % 2
    return pos + len(line) if odd and not _another_begins(line[at:], quote, tools) else end


def _is_result(line: str) -> bool:
    """Whether the rest of a line begins with a result that is made up."""
    at = _behind_separator(line, 0)
    return any(result.match(line, at) for result in (spelling.RESULT_LINE, spelling.RESULT_IN_LINE))


def _another_begins(line: str, quote: str, tools: Toolset) -> bool:
    """Whether the rest of a line begins with other calls; not if `quote` shows that they stand inside a text."""
    at = _behind_separator(line, 0)
    begun = False
    while (bracket := _bracket_of_call(line, at, tools)) is not None:
        state, end = Extent(tools.keys).feed(line, bracket, True)
        if state != "closed":
            return True
        begun = True
        at = _behind_separator(line, end)
    return begun and not (line.startswith(quote, at) or len(_unescaped(line[at:], quote)) % 2)


def _behind_separator(line: str, pos: int) -> int:
    gap = _SEPARATOR.match(line, pos)
    return gap.end() if gap else pos


def _bracket_of_call(line: str, at: int, tools: Toolset) -> int | None:
    """Where the bracket of the call stands that begins at `at`; None if none does."""
    if line.startswith(("{", "["), at):
        return at if spelling.BODY_START.match(line, at) else None
    named = _NAME_AND_BRACKET.match(line, at)
    if named and ("," in line[:at] or ";" in line[:at] or tools.resolve(named.group(1))):
        return named.end() - 1
    return None
