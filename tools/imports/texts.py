"""Texts that somebody else wrote, without what no reader sees: the one place where they are cleaned.

A model reads characters that people do not: a whole sentence can be written in tags (U+E0020 and on) behind one
letter, words can be turned around or kept apart by what has no look.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.secrets import beginning, mask

_BREAKS: Final = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
"""What has no look, beside what Unicode calls control, format and unassigned characters."""
_SMUGGLED: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0e\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Of all these, what no value needs. Some scripts join or part letters, and some pictures choose their look (U+200C,
U+200D, U+FE0F)."""


def visible(text: str) -> str:
    """A text without control characters and what else has no look. Line breaks of any kind stay, as plain ones."""
    if text.isascii() and text.isprintable():
        return text
    text = _BLANK.sub("", _BREAKS.sub("\n", text))
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char)[0] != "C")


def seen(text: str, most: int) -> str:
    """What can be seen of the first characters of a text, masked."""
    found = visible(text[:most])
    return mask(found) if len(text) <= most else beginning(found, len(found))


def readable(text: str, most: int) -> str:
    """What can be seen of a text, masked, in at most so many characters."""
    found = seen(text, 4 * most)
    return found if len(found) <= most and len(text) <= 4 * most else found[: most - 1] + "…"


def smuggled(value: JSON) -> str:
    """A character in the texts of a JSON value that nobody sees and no value needs, as `U+202E`; empty if there is
    none."""
    if isinstance(value, str):
        found = _SMUGGLED.search(value)
        return f"U+{ord(found[0]):04X}" if found else ""
    if isinstance(value, dict):
        return next(filter(None, map(smuggled, (*value.keys(), *value.values()))), "")
    return next(filter(None, map(smuggled, value)), "") if isinstance(value, list) else ""
