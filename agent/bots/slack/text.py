"""Slack's two ways to write text, and ours.

What the bot says goes out as a `rich_text` block: its text is text, whatever it holds, and only a `link` element is
live. The `text` beside it stands in notifications alone; there `&`, `<` and `>` begin what Slack reads as its own.

What people write comes as a `rich_text` block too, made by Slack's clients; apps and old clients send `mrkdwn` only:

    <@U024> <#C123|general> <!here> <https://example.org|a name> &amp; &lt; &gt;
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from gemmagraph.bots.text import Block, Code, Paragraph, as_text

if TYPE_CHECKING:
    from gemmagraph.prompts.messages import JSON

MOST_OF_A_NOTICE: Final = 2000
"""Characters of what notifications show: Slack keeps at most 4,000 in an edit, and counts an emoji as its name."""
_MARK: Final = re.compile(r"<([@#!][^<>\n]*|[A-Za-z][A-Za-z0-9+.-]*:[^<>\n]+)>")
_FENCED: Final = re.compile(r"```\n?(.*?)\n?```", re.DOTALL)
_US: Final = "\x00"
"""Where the bot itself was named, until that is taken out."""


def rich(blocks: Sequence[Block]) -> dict[str, JSON]:
    """The blocks as one block of Slack."""
    elements: list[JSON] = []
    for code, group in groupby(blocks, lambda block: isinstance(block, Code)):
        if code:
            elements += [_preformatted(block.text) for block in group if isinstance(block, Code)]
        else:
            inside = list(_inside(block for block in group if isinstance(block, Paragraph)))
            elements.append({"type": "rich_text_section", "elements": inside or [_text(" ")]})
    return {"type": "rich_text", "elements": elements or [{"type": "rich_text_section", "elements": [_text(" ")]}]}


def _preformatted(text: str) -> dict[str, JSON]:
    return {"type": "rich_text_preformatted", "elements": [_text(text or " ")]}


def _inside(paragraphs: Iterable[Paragraph]) -> Iterator[dict[str, JSON]]:
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield _text("\n\n")
        for span in paragraph.spans:
            if span.text and span.style == "link":
                yield {"type": "link", "url": span.text}
            elif span.text:
                yield _text(span.text, span.style)


def _text(text: str, style: str = "") -> dict[str, JSON]:
    element: dict[str, JSON] = {"type": "text", "text": text}
    return element | {"style": {style: True}} if style else element


def notice(blocks: Sequence[Block]) -> str:
    """What notifications show of the blocks: nothing in it is read by Slack, no URL is whole."""
    text = as_text(blocks)[:MOST_OF_A_NOTICE].replace("://", ": //")
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")[:MOST_OF_A_NOTICE]
    return re.sub(r"&[a-z]{0,3}$", "", text) or " "


def length(blocks: Sequence[Block]) -> int:
    """Characters as Slack counts them: UTF-16 units."""
    return len(as_text(blocks).encode("utf-16-le", "surrogatepass")) // 2


def said(message: Mapping[str, Any], us: str, names: Mapping[str, str]) -> tuple[str, bool]:
    """What a message of Slack says as plain text, and whether it names the bot.

    Args:
        us: the bot's user id.
        names: of user ids; those that are missing stay ids.
    """
    blocks = [block for block in message.get("blocks") or () if block.get("type") == "rich_text"]
    if blocks:
        parts = [_part(part, us, names) for block in blocks for part in block.get("elements") or ()]
        text = "".join(part if part.endswith("\n") else f"{part}\n" for part in parts)
    else:
        text = _plain(str(message.get("text") or ""), us, names)
    addressed = _US in text
    text = re.sub(rf"^\s*{_US}[ \t]*[,:]?", "", text)  # "@bot, status" and "@bot: status" are one command
    return re.sub(rf"[ \t]*{_US}[ \t]*", " ", text).strip(), addressed


def named(message: Mapping[str, Any]) -> set[str]:
    """The ids of the people whom a message names."""
    found = {mark[1:].partition("|")[0] for mark in _MARK.findall(str(message.get("text") or "")) if mark[0] == "@"}
    left = [*(message.get("blocks") or ())]
    while left:
        element = left.pop()
        if element.get("type") == "user":
            found.add(str(element.get("user_id")))
        inside = element.get("elements")
        left += inside if isinstance(inside, list) else ()
    return found


def _part(part: Mapping[str, Any], us: str, names: Mapping[str, str], bullet: str = "") -> str:
    """A section, list, quote or code block."""
    kind, inside = part.get("type"), part.get("elements") or ()
    if kind == "rich_text_list":
        marks = (f"{number}. " if part.get("style") == "ordered" else "• " for number in range(1, len(inside) + 1))
        indent = "    " * min(int(part.get("indent") or 0), 8)
        return "\n".join(indent + mark + _part(one, us, names) for mark, one in zip(marks, inside, strict=True))
    text = "".join(_element(element, us, names, kind == "rich_text_preformatted") for element in inside)
    if kind == "rich_text_preformatted":
        return f"```\n{text}\n```"
    return "\n".join(f"> {line}" for line in text.split("\n")) if kind == "rich_text_quote" else text


def _element(element: Mapping[str, Any], us: str, names: Mapping[str, str], code: bool) -> str:
    match element.get("type"):
        case "user":
            user = str(element.get("user_id"))
            return _US if user == us else f"@{names.get(user, user)}"
        case "link":
            return _link(str(element.get("url") or ""), str(element.get("text") or ""))
        case "channel":
            return f"#{element.get('channel_id')}"
        case "usergroup":
            return f"@{element.get('usergroup_id')}"
        case "broadcast":
            return f"@{element.get('range')}"
        case "emoji":
            return _emoji(element)
        case "text":
            text = str(element.get("text") or "").replace(_US, "")
            return f"`{text}`" if (element.get("style") or {}).get("code") and not code else text
        case _:
            return str(element.get("fallback") or element.get("text") or element.get("value") or "")


def _emoji(element: Mapping[str, Any]) -> str:
    try:
        return "".join(chr(int(point, 16)) for point in element["unicode"].split("-"))
    except (KeyError, ValueError, AttributeError, OverflowError):
        return f":{element.get('name')}:"


def _link(url: str, name: str) -> str:
    """The URL; what was typed, if Slack has made the URL of it; the name too, if it says something else."""
    if not name or name == url:
        return url
    return (
        name if url in (f"http://{name}", f"https://{name}", f"mailto:{name}", f"tel:{name}") else f"{name} ({url})"
    )


def _plain(text: str, us: str, names: Mapping[str, str]) -> str:
    text = _FENCED.sub(lambda found: f"\n```\n{found.group(1)}\n```\n", text.replace(_US, "")).strip("\n")
    parts, at = [], 0
    for found in _MARK.finditer(text):
        parts += [_unescaped(text[at : found.start()]), _marked(found.group(1), us, names)]
        at = found.end()
    return "".join([*parts, _unescaped(text[at:])])


def _marked(mark: str, us: str, names: Mapping[str, str]) -> str:
    """What stands between `<` and `>`."""
    target, _, name = mark.partition("|")
    name = _unescaped(name)
    match target[0]:
        case "@":
            user = target[1:]
            return _US if user == us else f"@{names.get(user) or name or user}"
        case "#":
            return f"#{name or target[1:]}"
        case "!":
            return name if target.startswith("!date") else f"@{name.lstrip('@') or target[1:].partition('^')[0]}"
        case _:
            return _link(_unescaped(target), name)


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
