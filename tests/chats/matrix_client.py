"""What a Matrix client shows of a message, written from what Element does: HTML drawn, and words that look like a
link made one, except in code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

_BLOCKS = {"p", "pre", "div", "blockquote", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6"}
_LINKIFIED = re.compile(
    r"(?:[a-z][a-z0-9+.-]*:/{1,2}\S+|mailto:\S+|[@#!][\w.=+/-]+:[\w.-]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|(?:[\w-]+\.)+[^\W\d_]{2,}\b(?:[:/]\S*)?|(?:\d{1,3}\.){3}\d{1,3}\S*)",
    re.IGNORECASE,
)


class _Drawn(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.live: list[str] = []
        self.tags: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag in _BLOCKS and self.parts and self.parts[-1] != "\n\n":
            self.parts.append("\n\n")
        if tag == "br":
            self.parts.append("\n")
        else:
            self.open.append(tag)
        self.live += [value for name, value in attrs if name in ("href", "src") and value]

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass
        if tag in _BLOCKS and self.parts[-1:] != ["\n\n"]:
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if "pre" in self.open or "code" in self.open:
            self.parts.append(data)
            return
        if "a" not in self.open:
            self.live += _LINKIFIED.findall(data)
        text = re.sub(r"[ \t\r\n]+", " ", data)
        if not self.parts or self.parts[-1].endswith(("\n", " ")):
            text = text.removeprefix(" ")
        self.parts.append(text)


def drawn(content: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The text that is seen, and what in it a click would open."""
    if content.get("format") != "org.matrix.custom.html":
        body = str(content.get("body", ""))
        return body, tuple(_LINKIFIED.findall(body))
    page = _Drawn()
    page.feed(content["formatted_body"])
    page.close()
    text = "".join(page.parts).replace("\u00a0", " ")
    return text.strip("\n"), tuple(page.live)


def pinged(content: Mapping[str, Any], people: Mapping[str, str]) -> tuple[str, ...]:
    """Whom it notifies by name.

    Args:
        people: user id -> what that person is called in tests.
    """
    mentions = content.get("m.mentions")
    if isinstance(mentions, Mapping):
        named = tuple(people.get(user, user) for user in mentions.get("user_ids", ()))
        return (*named, "everyone") if mentions.get("room") else named
    body = str(content.get("body", ""))  # without `m.mentions` a name in the text is enough
    named = tuple(name for name in people.values() if re.search(rf"\b{name}\b", body))
    return (*named, "everyone") if "@room" in body else named
