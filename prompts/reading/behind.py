"""What stands behind a call that a prefix introduced: another call, the rest of an expression, or text again."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from gemmagraph.prompts.reading import spelling
from gemmagraph.prompts.reading.bodies import NAME
from gemmagraph.prompts.reading.scan import TURN_ENDS, is_short, turn_end_at
from gemmagraph.prompts.toolset import Toolset

Behind: TypeAlias = Literal["open", "calls", "follow", "conditional", "dropped"]
"""Nothing that belongs to the call; another call; words that take the call back or make it depend on something; a
rest of the line that means nothing."""

_DOUBT = re.compile(
    r"(?i)[-–—(,;: ]{0,4}(?:only )?(?:if|unless|or|falls|wenn)\b"
    r"|.*(?:\b(?:wrong|forbidden|dangerous|a mistake|would be|mache ich nicht)\b|不会|请勿|不要"
    r"|(?:\b(?:not|never|cannot)|n['’]t)[ \t](?:[\w'’]+[ \t]){0,2}(?:run|call|do|execute|use|mean)\b)"
)
"""With these the rest of a line takes a call back, or makes it depend on something."""
_LINE_END = re.compile(rf"[\n<]|{spelling.PREFIX.pattern.removeprefix('(?i)')}", re.IGNORECASE)
_OBJECT = re.compile(r"\{\s{0,80}[\"']")
_OBJECT_MAY_COME = re.compile(r"\{\s{0,80}")
_LONGEST_LINE = 300
"""Characters of a line that are waited for to see whether it is an expression."""


def behind_prefix(text: str, pos: int, final: bool, tools: Toolset, bad: bool) -> tuple[Behind, int]:
    """What follows at `pos` on a call of a prefix (`bad`: one that must not run), and where that ends.

    "open": show the text from `pos` again, with more behind it.
    """
    start = next_call(text, pos, final, tools)
    if start is None:
        return "open", pos
    if start >= 0:
        return "follow", pos
    gap = spelling.BETWEEN.match(text, pos)
    after = gap.end() if gap else pos
    if not final and text[after:] == "/":
        return "open", pos
    is_comment = text.startswith(("#", "//"), after)
    if not bad and not is_comment and after < len(text) and "\n" not in text[pos:after]:
        taken_back = _is_taken_back(text, after, final)
        if taken_back is None:
            return "open", pos
        if taken_back:
            return "conditional", _line_end(text, after)
    if is_comment:
        return "dropped", pos
    if bad and text[pos : pos + 1] in (",", ")", "]", "}"):
        return "dropped", pos
    left_over = spelling.LEFT_OVER.match(text, pos) if final or "\n" in text[pos : pos + 60] else None
    if is_short(text, pos, final, 60) and not left_over and spelling.LEFT_OVER_MAY_COME.fullmatch(text, pos):
        return "open", pos
    closing = left_over or spelling.CLOSING_DECORATION.match(text, pos)
    return "calls", closing.end() if closing else pos


def next_call(text: str, pos: int, final: bool, tools: Toolset) -> int | None:
    """Where another call to a declared tool begins behind a gap at `pos`; -1 if none does; None if the text is too
    short to tell."""
    if not final and spelling.BETWEEN_MAY_GO_ON.fullmatch(text, pos):
        return None
    gap = spelling.BETWEEN.match(text, pos)
    after = gap.end() if gap else pos
    named = NAME.match(text, after)
    if text.startswith("{", after) and "\n" not in text[pos:after]:
        if not final and _OBJECT_MAY_COME.fullmatch(text, after):
            return None
        return after if _OBJECT.match(text, after) else -1
    if text[after - 1 : after] == "`" and not (
        after - 1 > pos and text[pos : after - 1].lstrip(" \t*_").startswith("`")
    ):
        return -1  # a code span, but the call before it stands in none
    begins = named and spelling.OPENING_BRACKET.match(text, named.end()) and tools.resolve(named.group())
    return after if begins else -1


def behind_call(
    text: str, pos: int, final: bool, follows: bool
) -> tuple[Literal["open", "calls", "follow", "text"], int]:
    """Whether a call in the middle of a text is one: only if its line ends behind it, or another follows."""
    gap = spelling.CLOSING_DECORATION.match(text, pos)
    after = gap.end() if gap else pos
    if not final and (after == len(text) or turn_end_at(text, after, False) is None):
        return "open", pos
    if follows and text[after : after + 1] in (",", ";"):
        return "follow", after
    if after == len(text) or text[after] == "\n" or text.startswith(TURN_ENDS, after):
        return ("follow" if follows else "calls"), after
    return "text", pos


def _is_taken_back(text: str, at: int, final: bool) -> bool | None:
    """Whether the rest of the line says that the call is not meant, or only on a condition; None if more text is
    needed. It ends where something else begins."""
    line = text[at : _line_end(text, at)]
    if at + len(line) == len(text) and is_short(text, at, final, _LONGEST_LINE):
        return None
    return _DOUBT.match(line) is not None


def _line_end(text: str, at: int) -> int:
    end = _LINE_END.search(text, at, at + _LONGEST_LINE)
    return end.start() if end else min(len(text), at + _LONGEST_LINE)
