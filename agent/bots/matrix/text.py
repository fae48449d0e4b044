"""Messages of Matrix: our blocks as its HTML, and its HTML as plain text.

Clients make links of whatever looks like one (`evil.example`, `ann@mail.example`, `@bob:server`), but not inside
`<code>`. So that is where such words stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape, unescape
from typing import Any, Final
from urllib.parse import unquote

from gemmagraph.bots.text import Block, Code, Span

_WORD: Final = re.compile(r"\S+")
_LINKED: Final = re.compile(
    r":/|//|\\\\|[\w-][.\u3002\uff0e\uff61][^\W\d_]{2}|\d\.\d{1,3}\.\d|\w@\w|[@#!+$][^\s:]{1,255}:[\w\[]"
    r"|\b(?:mailto|tel|sms|xmpp|matrix|magnet|geo|bitcoin|data|javascript|file|ftp):|\bwww\.",
    re.IGNORECASE,
)
_TAG: Final = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9-]*)(?![A-Za-z0-9-])([^<>]*)>|<[!?][^<>]*>")
_ATTRIBUTE: Final = re.compile(r"([A-Za-z-]{1,40})\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_PILL: Final = re.compile(r"(?:https?://matrix\.to/#/|matrix:u/)(@?[^?#]+)", re.IGNORECASE)
_BLOCKS: Final = re.compile(r"p|div|h[1-6]|[uo]l|li|blockquote|table|thead|tbody|tr|details|summary|hr|pre")
_UNSEEN: Final = frozenset(("mx-reply", "script", "style", "textarea", "noscript", "option", "title"))
_FENCE_RUN: Final = re.compile(r"`{3,}")
_QUOTE: Final = re.compile(r"(?:> .*\n)+\n?")


def html_of(blocks: Sequence[Block]) -> str:
    """What a client draws: nothing in it is live but the spans of links."""
    return "".join(_block(block) for block in blocks)


def body_of(blocks: Sequence[Block]) -> str:
    """What is shown where there is no HTML: in notices of a new message, and in terminals."""
    parts = []
    for block in blocks:
        if isinstance(block, Code):
            parts.append(f"```{block.language}\n{block.text}\n```")
        else:
            parts.append("".join(span.text for span in block.spans))
    return _storable("\n\n".join(parts))


def size_of(blocks: Sequence[Block]) -> int:
    """Bytes of both, as they stand in an event."""
    both = json.dumps([body_of(blocks), html_of(blocks)], ensure_ascii=False)
    return len(both.encode())


def _block(block: Block) -> str:
    if isinstance(block, Code):
        language = f' class="language-{escape(block.language)}"' if block.language else ""
        return f"<pre><code{language}>{escape(_storable(block.text))}</code></pre>"
    shown, before = "", "\n"
    for span in block.spans:
        shown += _span(span, before)
        before = span.text[-1:] or before
    return f"<p>{shown}</p>"


def _span(span: Span, before: str) -> str:
    """A span in HTML.

    Args:
        before: the character that it follows.
    """
    text = _storable(span.text)
    if span.style == "link" and re.match(r"https?://", text, re.IGNORECASE):
        return f'<a href="{escape(text)}">{escape(text)}</a>'
    if span.style in ("code", "link"):
        return f"<code>{escape(text)}</code>".replace("\n", "<br>")
    inner = "".join(_words(text, before)).replace("\n", "<br>")
    return {"bold": f"<strong>{inner}</strong>", "italic": f"<em>{inner}</em>"}.get(span.style, inner)


def _words(text: str, before: str) -> Iterator[str]:
    """The text escaped, with its spaces, and with what clients would make a link of as code."""
    at = 0
    for found in _WORD.finditer(text):
        yield _spaces(text[at : found.start()], before)
        before = ""
        at = found.end()
        word = found.group()
        if _LINKED.search(word):
            opening, inner, closing = (escape(part) for part in _parted(word))
            yield f"{opening}<code>{inner}</code>{closing}"
        else:
            yield escape(word)
    yield _spaces(text[at:], before)


def _parted(word: str) -> tuple[str, ...]:
    """A word without the punctuation around it."""
    begin = len(word) - len(word.lstrip("([{'\""))
    end = len(word.rstrip(")]}'\".,;:!?"))
    parts = word[:begin], word[begin:end], word[end:]
    return parts if _LINKED.search(parts[1]) else ("", word, "")


def _spaces(between: str, before: str) -> str:
    """HTML shows several spaces as one, and none where a line begins."""
    between = between.replace("\t", "    ")
    shown = re.sub(r"(?<=[ \n]) ", "\u00a0", between)
    return f"\u00a0{shown[1:]}" if shown.startswith(" ") and before in ("\n", " ") else shown


def _storable(text: str) -> str:
    """Without halves of characters and NUL: no server takes them."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def text_of(content: Mapping[str, Any], me: str, names: Sequence[str] = ()) -> tuple[str, bool]:
    """What a person reads in a message, and whether it is addressed to the bot.

    Args:
        content: of an `m.room.message`.
        me: the bot's user id.
        names: what it is called; taken out where it is spoken to by one at the beginning.
    """
    formatted, body = content.get("formatted_body"), content.get("body")
    said = body if isinstance(body, str) else ""
    pilled = False
    if content.get("format") == "org.matrix.custom.html" and isinstance(formatted, str) and formatted:
        said, pilled = _read(formatted, me)
    elif _replies(content):
        quote = _QUOTE.match(said)  # what older clients repeat of the message that is answered
        said = said[quote.end() :] if quote else said
    mentions = content.get("m.mentions")
    if isinstance(mentions, Mapping):
        named = mentions.get("user_ids")
        addressed = isinstance(named, list) and me in named
    else:
        addressed = pilled
    if addressed or pilled:
        called = "|".join(re.escape(name) for name in (me, *names) if name)
        said = re.sub(rf"^\s*(?:@?(?:{called})(?!\w))?[:,]?\s*", "", said, count=1, flags=re.IGNORECASE)
    return said.strip(), addressed


def _replies(content: Mapping[str, Any]) -> bool:
    relation = content.get("m.relates_to")
    return isinstance(relation, Mapping) and "m.in_reply_to" in relation


def _read(html: str, me: str) -> tuple[str, bool]:
    """HTML as plain text, and whether the bot is mentioned in it."""
    reader = _Reader(me)
    at = 0
    for tag in _TAG.finditer(html):
        reader.text(html[at : tag.start()])
        at = tag.end()
        if tag.group(2):
            reader.tag(tag.group(2).lower(), bool(tag.group(1)), tag.group(3))
    reader.text(html[at:])
    reader.tag("pre", True, "")
    return re.sub(r"\n{3,}", "\n\n", "".join(reader.out)).strip(), reader.mentioned


class _Reader:
    """Text and tags, one after the other. The parser of the standard library takes quadratic time on some input."""

    def __init__(self, me: str) -> None:
        self.me = me
        self.mentioned = False
        self.out: list[str] = []
        self.unseen = ""
        self.pre: list[str] | None = None
        self.language = ""
        self.link: tuple[str, int] | None = None
        self.numbers: list[int] = []

    def text(self, raw: str) -> None:
        if not raw or self.unseen:
            return
        text = unescape(raw)
        if self.pre is not None:
            self.pre.append(text)
            return
        text = re.sub(r"[ \t\r\n]+", " ", text).replace("\u00a0", " ")
        if not self.out or self.out[-1].endswith("\n"):
            text = text.removeprefix(" ")
        if text:
            self.out.append(text)

    def tag(self, name: str, closing: bool, attributes: str) -> None:
        if self.unseen:
            self.unseen = "" if closing and name == self.unseen else self.unseen
        elif name in _UNSEEN:
            self.unseen = "" if closing else name
        elif self.pre is not None:
            self._in_pre(name, closing, attributes)
        elif name == "br":
            self.out.append("\n")
        elif name == "code":
            self.out.append("`")
        elif name == "a":
            self._link(closing, attributes)
        elif name == "img":
            self.out.append(_attributes(attributes).get("alt", ""))
        elif _BLOCKS.fullmatch(name):
            self._block(name, closing)
        elif name in ("td", "th") and not closing:
            self.out.append(" | ")

    def _block(self, name: str, closing: bool) -> None:
        if self.out and not self.out[-1].endswith("\n"):
            self.out.append("\n")
        if name in ("ul", "ol"):
            if closing and self.numbers:
                self.numbers.pop()
            elif not closing:
                self.numbers.append(1 if name == "ol" else 0)
        elif name == "li" and not closing:
            number = self.numbers[-1] if self.numbers else 0
            self.out.append(f"{number}. " if number else "- ")
            if number:
                self.numbers[-1] += 1
        elif name == "blockquote" and not closing:
            self.out.append("> ")
        elif name == "p" and closing:
            self.out.append("\n")
        elif name == "pre" and not closing:
            self.pre, self.language = [], ""

    def _in_pre(self, name: str, closing: bool, attributes: str) -> None:
        assert self.pre is not None
        if name == "br":
            self.pre.append("\n")
        elif name == "code" and not closing and not self.language:
            found = re.match(r"language-([A-Za-z0-9_+#.-]{1,30})", _attributes(attributes).get("class", ""))
            self.language = found.group(1) if found else ""
        elif name == "pre" and closing:
            code, self.pre = "".join(self.pre), None
            longest = max(map(len, _FENCE_RUN.findall(code)), default=2)
            fence = "`" * (longest + 1)
            self.out.append(f"{fence}{self.language}\n{code.removesuffix(chr(10))}\n{fence}\n")

    def _link(self, closing: bool, attributes: str) -> None:
        if not closing:
            self.link = (_attributes(attributes).get("href", ""), len(self.out))
            return
        if self.link is None:
            return
        (target, begin), self.link = self.link, None
        shown = "".join(self.out[begin:])
        if pill := _PILL.match(target):
            user = unquote(pill.group(1))
            del self.out[begin:]
            if user.lstrip("@") == self.me.lstrip("@"):
                self.mentioned = True
            else:
                self.out.append(f"@{shown.lstrip('@')}" if user.startswith("@") or "matrix:u/" in target else shown)
        elif target and target.removesuffix("/") != shown.strip().removesuffix("/"):
            self.out.append(f" ({target})" if shown.strip() else target)


def _attributes(text: str) -> dict[str, str]:
    return {found[0].lower(): unescape(found[1] or found[2]) for found in _ATTRIBUTE.findall(text)}
