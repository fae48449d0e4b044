"""What Mattermost's clients make of a message: the browser's, not quite CommonMark, and the phone's, which is that.

Written after what the browser's client does: Markdown first, then names, tags, addresses and emoji are looked for in
the finished text. Where it is in doubt, this one finds more that is live.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from markdown_it import MarkdownIt

GAP = "\u200b"

_ESCAPE = re.compile(r"\\([`*{}\[\]()#+\-.!_>|~]|\\(?!\w))")
_AUTOLINK = re.compile(r"<([^ >]+(@|:/)[^ >]+|www\d{0,3}\.[^ >]+)>")
_URL = re.compile(
    r"(?:[A-Za-z][A-Za-z\d.+-]*:(?:/{1,3}|[^\W_]|%)|www\d{0,3}\.|[^\W_](?:[^\W_]|[.-])*\.[^\W\d_]{2,4}/)[^\s<>\"']+"
)
_SCHEMES = ("http", "https", "ftp", "mailto", "tel", "git", "smb")
_LINK = re.compile(r"!?\[([^\]]*)\]\(([^)]*)\)")
_STRONG = re.compile(r"\*\*(.+?)\*\*(?!\*)|__(.+?)__(?!_)", re.S)
_EMPHASIS = re.compile(r"\*([^\s*\"<]|[^\s\"<].*?[^\s*])\*(?!\*)|_([^\s_]|[^\s].*?[^\s_])_(?!\w)", re.S)
_STRUCK = re.compile(r"~~(?=\S)(.*?\S)~~", re.S)
_SPAN = re.compile(r"(`+)([^`]|[^`].*?[^`])\1(?!`)", re.S)
_FORMULA = re.compile(r"\$([^$\n]+)\$(?!\w)")

_ENTITY = re.compile(r"&#?\w+;")

_FENCE = re.compile(r" *(`{3,}|~{3,})[ .]*(\S+)? *$")
_LIST = re.compile(r"\A {0,3}(?:[*+-]|\d+[.)]) +")
_HEADING = re.compile(r"\A {0,3}#{1,6} *(?=[^\s#])")
_QUOTE = re.compile(r"\A {0,3}> ?")
_RULE = re.compile(r" {0,3}(?:(?:- *){3,}|(?:\* *){3,}|(?:_ *){3,}|=+ *|-+ *)$")
_TABLE = re.compile(r" *\|?[ :-]*-[ :|-]*$")

_MENTION = re.compile(r"(?<![^\W_])@([a-zA-Z0-9._-]+)")
_CHANNEL = re.compile(r"(?<![^\W_])~([a-zA-Z0-9._-]+)")
_HASHTAG = re.compile(r"(?<!\w)#[^\W\d_][\w.-]*\w")
_MAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]+\.[^\W\d_]{2,5}(?![^\W\d_])")
_EMOJI = re.compile(r":(?!\d\d:)([a-zA-Z0-9_+-]+):")
_EMOTICON = re.compile(
    r"(?<!\w)(?::-?[)(\]dp/s|$xo@\[]|;-?\)|:['’]-?\(|x-d|:-o)(?!\w)|</?3|(?<!\w):-?[dpsxo](?!\w)", re.IGNORECASE
)


@dataclass
class Shown:
    """A message as it stands before people."""

    text: str = ""
    live: list[str] = field(default_factory=list)
    """What a click would open, inside the service too: links, addresses, tags, channels."""
    mentioned: list[str] = field(default_factory=list)
    formulas: bool = False


def in_browser(message: str) -> Shown:
    shown = Shown()
    parts: list[str] = []
    prose: list[str] = []

    def end() -> None:
        if prose:
            parts.append(_paragraph(prose, shown))
            prose.clear()

    lines = iter(message.split("\n"))
    for line in lines:
        fence = _FENCE.match(line)
        if fence:
            end()
            inside = []
            for within in lines:
                if within.rstrip(" ").endswith(fence.group(1)):
                    inside.append(within.rstrip(" ")[: -len(fence.group(1))])
                    break
                inside.append(within)
            shown.formulas |= (fence.group(2) or "") in ("latex", "tex")
            parts.append("\n".join(inside).rstrip("\n").replace("&", "\0"))
        elif line.strip(" \t"):
            prose.append(line)
        else:
            end()
    end()
    text = _ENTITY.sub(lambda found: html.unescape(found.group()), "\n\n".join(parts))
    shown.text = text.replace("\0", "&").replace(GAP, "")
    return shown


def _paragraph(lines: list[str], shown: Shown) -> str:
    kept = []
    for number, line in enumerate(lines):
        if _RULE.match(line) or (number and "|" in lines[0] and _TABLE.match(line)):
            kept.append("―")
            continue
        if not number and line.startswith(("    ", "\t")):
            return "\n".join(part.strip() for part in lines)
        kept.append(_HEADING.sub("", _QUOTE.sub("", _LIST.sub("• ", line))))
    return _inline("\n".join(kept), shown)


def _inline(text: str, shown: Shown) -> str:
    out, plain, at = "", "", 0
    while at < len(text):
        for pattern, told in _INLINE:
            found = pattern.match(text, at)
            if not found or (pattern is _URL and at and (text[at - 1].isalnum() or not _clickable(found.group()))):
                continue
            if pattern is _ESCAPE:
                plain += found.group(1)
            else:
                out += _finished(plain, shown) + told(found, shown)
                plain = ""
            at = found.end()
            break
        else:
            plain += text[at]
            at += 1
    return out + _finished(plain, shown)


def _clickable(url: str) -> bool:
    scheme = re.match(r"[A-Za-z][A-Za-z\d.+-]*(?=:)", url)
    return not scheme or scheme.group().lower() in _SCHEMES


def _opens(url: str, text: str, shown: Shown) -> str:
    shown.live.append(url)
    return text


def _code(found: re.Match[str], shown: Shown) -> str:
    return found.group(2).strip().replace("&", "\0")


def _formula(found: re.Match[str], shown: Shown) -> str:
    shown.formulas = True
    return "∑"


_INLINE: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Shown], str]], ...] = (
    (_ESCAPE, lambda found, shown: ""),
    (_AUTOLINK, lambda found, shown: _opens(found.group(1), found.group(1), shown)),
    (_URL, lambda found, shown: _opens(found.group(), found.group(), shown)),
    (_LINK, lambda found, shown: _opens(found.group(2), _inline(found.group(1), shown), shown)),
    (_STRONG, lambda found, shown: _inline(found.group(1) or found.group(2), shown)),
    (_EMPHASIS, lambda found, shown: _inline(found.group(1) or found.group(2), shown)),
    (_SPAN, _code),
    (_STRUCK, lambda found, shown: _inline(found.group(1), shown)),
    (_FORMULA, _formula),
)


def _finished(text: str, shown: Shown) -> str:
    """What is found in text that is nothing else: all text of a stretch together, escaped or not."""
    shown.mentioned += [name.lower().rstrip("._-") for name in _MENTION.findall(text)]
    shown.live += [found.group() for found in _CHANNEL.finditer(text)]
    shown.live += [found.group() for found in _HASHTAG.finditer(text)]
    shown.live += [f"mailto:{found.group()}" for found in _MAIL.finditer(text)]
    return _EMOTICON.sub("🙂", _EMOJI.sub("😀", text))


def on_phone(message: str) -> str:
    """The text, as CommonMark with tables and strikethrough has it."""
    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parts: list[str] = []
    for token in reader.parse(message):
        if token.type in ("fence", "code_block"):
            parts.append(token.content.removesuffix("\n"))
        elif token.type == "inline":
            pieces = [
                "\n" if child.type in ("softbreak", "hardbreak") else child.content for child in token.children or []
            ]
            parts.append("".join(pieces))
        elif token.type in ("bullet_list_open", "ordered_list_open", "blockquote_open", "heading_open", "hr"):
            parts.append("―")
    return "\n\n".join(parts).replace(GAP, "")
