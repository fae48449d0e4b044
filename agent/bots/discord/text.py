"""What Discord makes of characters: a bot's blocks as its Markdown with nothing live in it, and people's messages as
plain text. Nothing here knows the library."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from gemmagraph.bots.text import Block, Code, Paragraph, Span

JOINT: Final = "\u200b"
"""Not shown; keeps characters apart that would mean something side by side."""

_LIVE: Final = re.compile(r"[\\*_~|`<\[@]|:(?=\S)")
"""Emphasis, spoilers, code, mentions, times, masked links, names of emoji, `://`."""
_AT_LINE: Final = re.compile(r"^([ \t]*)([#>+-])", re.MULTILINE)
_NUMBERED: Final = re.compile(r"^([ \t]*\d+)([.)])", re.MULTILINE)
_INVITE: Final = re.compile(r"(discord(?:app)?\.(?:gg|com|new|gift)|dis\.gd)/", re.IGNORECASE)
"""Clients show a card for these, without a scheme as well."""
_STYLES: Final = {"bold": "**", "italic": "*"}

_ENTITY: Final = re.compile(
    r"(?P<kept>```.*?```|(?P<ticks>`{1,2})(?!`).+?(?<!`)(?P=ticks)(?!`)|\\.)"
    r"|<(?P<mention>@!?|@&|#)(?P<id>\d{1,20})>(?P<gap>[ \t]*)"
    r"|<a?:(?P<emoji>\w{1,64}):\d{1,20}>"
    r"|<t:(?P<time>-?\d{1,12})(?::[a-zA-Z])?>"
    r"|<(?P<command>/[^:<>\n]{1,100}):\d{1,20}>"
    r"|<(?P<url>https?://[^\s<>]+)>",
    re.DOTALL,
)


def render(blocks: Sequence[Block]) -> str:
    """Markdown that shows the blocks and does nothing."""
    text = ""
    for block in blocks:
        piece = _code(block) if isinstance(block, Code) else _paragraph(block)
        if piece.strip():
            text += ("" if not text else "\n" if isinstance(block, Code) or text.endswith("```") else "\n\n") + piece
    return text


def length(blocks: Sequence[Block]) -> int:
    """As UTF-16, which is never less than what Discord counts."""
    return len(render(blocks).encode("utf-16-le", "surrogatepass")) // 2


def spoken(content: str, called: Callable[[str, int], str | None]) -> str:
    """A person's message as plain text. Emphasis stays as it was typed: `*.log` and `__init__` are no markup here.

    Args:
        called: the name of a mention, by its mark (`@`, `@&`, `#`) and id; None takes it out.
    """

    def plain(found: re.Match[str]) -> str:
        groups = found.groupdict()
        if groups["kept"]:
            return found.group()
        if mark := groups["mention"]:
            name = called(mark.rstrip("!"), int(groups["id"]))
            return "" if name is None else f"{mark[0]}{name}{groups['gap']}"
        if groups["emoji"]:
            return f":{groups['emoji']}:"
        if groups["time"]:
            return _moment(int(groups["time"])) or found.group()
        return groups["command"] or groups["url"] or found.group()

    return _ENTITY.sub(plain, content).strip()


def _moment(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return ""


def _paragraph(block: Paragraph) -> str:
    text = ""
    for span in block.spans:
        piece = _span(span)
        if text and piece and text[-1] in "*`" and piece[0] in "*`":
            text += JOINT
        text += piece
    return text


def _span(span: Span) -> str:
    if span.style == "code":
        return _inline(span.text)
    if span.style == "link" and re.match(r"https?://\S+$", span.text):
        return f"<{span.text.replace('<', '%3C').replace('>', '%3E')}>"
    said = span.text.strip()
    if span.style not in _STYLES or not said:
        return _escaped(span.text)
    begin = span.text.index(said)
    mark = _STYLES[span.style]
    return f"{span.text[:begin]}{mark}{_escaped(said)}{mark}{span.text[begin + len(said) :]}"


def _escaped(text: str) -> str:
    text = _LIVE.sub(r"\\\g<0>", text)
    text = _AT_LINE.sub(r"\1\\\2", text)
    text = _NUMBERED.sub(r"\1\\\2", text)
    return _INVITE.sub(r"\1\\/", text)


def _inline(text: str) -> str:
    if "`" not in text:
        return f"`{text}`" if text else ""
    apart = re.sub("`{2,}", lambda run: JOINT.join(run.group()), text)
    # A space between a mark and a backtick is not shown, however many follow.
    before, behind = apart.lstrip(" ").startswith("`"), apart.rstrip(" ").endswith("`")
    return f"``{' ' * before}{apart}{' ' * behind}``"


def _code(block: Code) -> str:
    text = re.sub("`{3,}", lambda run: JOINT.join(run.group()), block.text)
    return f"```{block.language}\n{text if text.strip() else JOINT}\n```"
