"""A thought in a reply that is still arriving: kept apart from the text, and read all the same.

A model may begin a call and forget to close its thought first; so a call in a thought that is never closed is real.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, TypeAlias

from gemmagraph.prompts.notation import Reader
from gemmagraph.prompts.reading import spelling
from gemmagraph.prompts.reading.scan import TURN_ENDS

ThoughtEnd: TypeAlias = Literal["open", "closed", "turn_end"]


def thought_begins(text: str, pos: int, opener: str, final: bool) -> int | None:
    """Where the words of a thought begin behind its opening mark; None if more text is needed. A channel's name
    (`<|channel>thought`) is no word of it."""
    if opener != "<|channel>":
        return pos
    name = spelling.CHANNEL_NAME.match(text, pos)
    if name and name.end() == len(text) and not name.group().endswith("\n") and not final:
        return None
    return name.end() if name else pos


class OpenThought:
    """A thought from behind its opening mark.

    Args:
        closer: the mark that closes it.
        inside: reads what it says, for the case that it is never closed.
        think: is told what it says.
    """

    def __init__(self, closer: str, inside: Reader, think: Callable[[str], None]) -> None:
        self.inside = inside
        self._end = re.compile("|".join(map(re.escape, (closer, *TURN_ENDS))), re.IGNORECASE)
        self._think = think

    def feed(self, text: str, pos: int, final: bool) -> tuple[ThoughtEnd, int]:
        """Goes on from `text[pos]`; "open": show the text from the returned position again, with more."""
        found = self._end.search(text, pos)
        end = found.start() if found else len(text)
        if not found and not final:
            partial = spelling.MARK_MAY_COME.search(text, max(pos, end - 24))
            end = partial.start() if partial else end
        if end > pos:
            self._think(text[pos:end])
            self.inside.feed(text[pos:end])
        if not found:
            return "open", end
        return ("turn_end", end) if found.group().lower() in TURN_ENDS else ("closed", found.end())
