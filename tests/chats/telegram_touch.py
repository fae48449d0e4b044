"""What a message at Telegram is when people see it: the entities that Telegram adds to those that the sender gave.

After the regular expressions in the comments of Telegram's own code (tdlib, `MessageEntity.cpp`), with a few
top-level domains instead of all. Nothing is found where code, a block or a link of the sender's stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Entity = dict[str, Any]

MOST = 100
"""Entities of one message; what comes after them is left out."""
TLDS = (
    "com|org|net|io|dev|md|py|sh|rs|me|test|example|info|app|zip|mov|ai|co|uk|de|ru|cn|onion|ton|рф|中国|भारत"
    "|xn--p1ai"
)
_DOMAIN = r"[A-Za-z0-9_\-~À-\u1fff\u200c\u200d\u2010-\u2015\u2070-\u2fff\u3001-\U0010ffff]"
_PATH = r"[^\s<>\"«»]"
_WORD = r"[^\W]"
_PATTERNS = {
    "mention": r"(?<!\w)@[A-Za-z0-9_]{2,32}(?!\w)",
    "bot_command": r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/<>])",
    "hashtag": r"(?<![\w\u200c])#(?=\w*[^\W\d_])\w{1,256}(?![#\w])",
    "cashtag": r"(?<![\w$])\$(?:1INCH|[A-Z]{1,8})(?![\w$])",
    "email": r"(?<![\w.+-])[A-Za-z0-9_+.-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,8}(?![\w@])",
    "url": (
        rf"(?:https?://|ftp://)?(?<![@/#])(?:(?<=//)|(?<!{_DOMAIN}))(?:{_DOMAIN}+\.)+(?:{TLDS})(?!{_DOMAIN})"
        rf"\.?(?::\d{{1,5}})?(?:[/?#]{_PATH}*)?"
        r"|(?:https?://|ftp://)(?:[^\s/@<>]+@)?[\w.~-]+\.[\w~-]+(?::\d{1,5})?(?:[/?#][^\s<>\"«»]*)?"
        r"|(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)(?::\d{1,5})?(?:[/?#][^\s<>\"«»]*)?"
        r"|(?:tg|ton)://[A-Za-z0-9_-]{1,253}(?:[/?#][^\s<>\"«»]*)?"
    ),
    "phone_number": r"(?<![\w+])\+\d[\d ().-]{6,18}\d(?!\w)",
    "bank_card": r"(?<![\w.,+-])\d(?:[ -]?\d){12,18}(?![\w-])",
}
FOUND = {kind: re.compile(pattern) for kind, pattern in _PATTERNS.items()}
_GIVEN = {"bold", "italic", "underline", "strikethrough", "spoiler", "blockquote", "code", "pre", "text_link"}
_ALONE = {"code", "pre", "text_link", "text_mention"}


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def part(text: str, entity: Entity) -> str:
    """The text that an entity covers."""
    begin, end = 2 * entity["offset"], 2 * (entity["offset"] + entity["length"])
    return text.encode("utf-16-le", "surrogatepass")[begin:end].decode("utf-16-le", "replace")


def found(text: str) -> Iterator[Entity]:
    for kind, pattern in FOUND.items():
        for match in pattern.finditer(text):
            yield {"type": kind, "offset": units(text[: match.start()]), "length": units(match.group())}


def kept(text: str, given: list[Entity]) -> tuple[str, list[Entity]]:
    """A message of a bot as it is kept: without space around it, and with all its entities."""
    stripped = text.strip()
    shift, most = units(text[: len(text) - len(text.lstrip())]), units(stripped)
    entities = []
    for one in given[:MOST]:
        begin = max(0, one["offset"] - shift)
        end = min(most, one["offset"] - shift + one["length"])
        if one["type"] in _GIVEN and begin < end:
            entities.append({**one, "offset": begin, "length": end - begin})
    for one in found(stripped):
        if not any(_meet(one, other) for other in entities if other["type"] in _ALONE):
            entities.append(one)
    return stripped, sorted(entities, key=lambda one: (one["offset"], -one["length"]))


def _meet(one: Entity, other: Entity) -> bool:
    return one["offset"] < other["offset"] + other["length"] and other["offset"] < one["offset"] + one["length"]


def typed(text: str) -> tuple[str, list[Entity]]:
    """What a person types, as the person's app sends it: fences and backticks are no characters any more."""
    pieces: list[str] = []
    entities: list[Entity] = []
    at = 0

    def length() -> int:
        return sum(map(units, pieces))

    for match in re.finditer(r"```(?:([\w+-]*)\n)?([\s\S]+?)\n?```|`([^`\n]+)`", text):
        pieces.append(text[at : match.start()])
        language, block, code = match.groups()
        inside = code if code is not None else block
        entity: Entity = {"type": "code" if code is not None else "pre", "offset": length(), "length": units(inside)}
        if language:
            entity["language"] = language
        entities.append(entity)
        pieces.append(inside)
        at = match.end()
    whole = "".join([*pieces, text[at:]])
    for one in found(whole):
        if not any(_meet(one, other) for other in entities):
            entities.append(one)
    return whole, sorted(entities, key=lambda one: (one["offset"], -one["length"]))
