"""What a bot says: the model's Markdown as blocks that every service can show, with nothing live in it that should
not be.

    ## Result                     bold
    **bold**, *italic*, `code`    as they are
    ```sh … ```                   code
    | a | b |                     code, as it stands
    https://…                     live if its host is allowed, else code: services fetch what they take for a link
    [name](https://…)             name (https://…), the same

Whatever else the text holds is shown as it is: adapters escape it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

Style: TypeAlias = Literal["", "bold", "italic", "code", "link"]


@dataclass(frozen=True, slots=True)
class Span:
    text: str
    """May hold line ends."""
    style: Style = ""
    """`link`: the text is an URL that may be live. `code` and `link` hold no style of their own."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Code:
    text: str
    language: str = ""


Block: TypeAlias = Paragraph | Code

_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([A-Za-z0-9_+#.-]{0,30})[^`\n]*$")
_HEADING: Final = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)[ \t#]*$")
_TABLE: Final = re.compile(r"[ \t]*\|.*\|[ \t]*$")
_URL: Final = r"[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s<>\"'`\\^{}|\[\]]+"
_INLINE: Final = re.compile(
    r"(?P<code>`+)(?P<inside>[^\n]*?[^`\n])(?P=code)(?!`)"
    rf"|!?\[(?P<name>[^\]\n]{{0,300}})\]\((?P<target>[^)\s]{{1,2000}})[^)\n]{{0,200}}\)"
    rf"|<?(?P<url>{_URL})>?"
    r"|(?<![\w/.@:-])(?P<bare>(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?::\d{1,5})?/[^\s<>\"'`]*)"
    r"|(?P<mail>mailto:[^\s<>]{1,300})"
    r"|\*\*(?P<bold>[^*\n]{1,500})\*\*"
    r"|(?<![\w*])\*(?P<italic>[^*\s](?:[^*\n]{0,500}[^*\s])?)\*(?![\w*])"
)
_TRAILING: Final = ".,;:!?)"
_CONTROL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
    "|[\U000e0000-\U000e0fff]"
)


def clean(text: str) -> str:
    """The text without control characters, and with those that turn or hide what stands beside them spelled out."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub(lambda found: _spelled(found.group()), text)


def _spelled(character: str) -> str:
    if character in "\u200c\u200d\u200b\u00ad\ufeff\u2060":  # joiners and the like: many scripts and emoji use them
        return character if character in "\u200c\u200d" else ""
    number = ord(character)
    return "" if number < 0xA0 or 0xD800 <= number < 0xE000 else f"\\u{number:04x}"


def blocks_of(text: str, hosts: Collection[str] = ()) -> list[Block]:
    """What the model wrote, as blocks.

    Args:
        hosts: those whose links are live; `*.example.org` for all below one.
    """
    blocks: list[Block] = []
    lines: list[str] = []
    table: list[str] = []

    def end() -> None:
        if table:
            blocks.append(Code("\n".join(table)))
        elif lines:
            blocks.append(Paragraph(tuple(_spans("\n".join(lines), hosts))))
        table.clear()
        lines.clear()

    rest = iter(clean(text).split("\n"))
    for line in rest:
        of_table = bool(_TABLE.match(line))
        if of_table is not bool(table):
            end()
        if fence := _FENCE.match(line):
            end()
            blocks.append(Code("\n".join(_inside(rest, fence.group(1))), fence.group(2)))
        elif of_table:
            table.append(line.strip())
        elif heading := _HEADING.match(line):
            end()
            if said := heading.group(1).replace("*", "").replace("`", "").strip():
                lines.append(f"**{said[:500]}**")
        elif line.strip():
            lines.append(line)
        else:
            end()
    end()
    return blocks


def plain(text: str) -> Paragraph:
    """Text that is shown as it is."""
    return Paragraph((Span(clean(text)),))


def _inside(lines: Iterator[str], fence: str) -> Iterator[str]:
    """The lines of a code block, to its end or that of the text."""
    for line in lines:
        said = line.strip()
        if len(said) >= len(fence) and said == said[0] * len(said) and said[0] == fence[0]:
            return
        yield line


def _spans(text: str, hosts: Collection[str]) -> Iterator[Span]:
    at = 0
    for found in _INLINE.finditer(text):
        if found.start() > at:
            yield Span(text[at : found.start()])
        at = found.end()
        groups = found.groupdict()
        if groups["code"]:
            yield Span(groups["inside"].strip() or groups["inside"], "code")
        elif groups["target"]:
            if name := groups["name"].strip():
                yield from _spans(f"{name} (", hosts)
            yield _link(groups["target"], hosts)
            if name:
                yield Span(")")
        elif said := groups["url"] or groups["bare"] or groups["mail"]:
            kept = said.rstrip(_TRAILING)
            yield _link(kept, hosts)
            if said != kept:
                yield Span(said[len(kept) :])
        else:
            yield Span(groups["bold"] or groups["italic"], "bold" if groups["bold"] else "italic")
    if at < len(text):
        yield Span(text[at:])


def _link(target: str, hosts: Collection[str]) -> Span:
    return Span(target, "link" if _allowed(target, hosts) else "code")


def _allowed(target: str, hosts: Collection[str]) -> bool:
    try:
        parts = urlsplit(target)
        host = (parts.hostname or "").lower()
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or parts.username is not None or "\\" in target or not host.isascii():
        return False
    return any(host == one.lower() or (one.startswith("*.") and host.endswith(one[1:].lower())) for one in hosts)


def split(blocks: Sequence[Block], length: Callable[[Sequence[Block]], int], most: int) -> list[list[Block]]:
    """The blocks as messages, each at most `most` long: apart between blocks where that is possible, else between
    lines, else between words; a code block goes on as code.

    Args:
        length: how long some blocks are, as the service counts.
    """
    messages: list[list[Block]] = [[]]
    left = list(reversed(blocks))
    while left:
        block, last = left.pop(), messages[-1]
        if length([*last, block]) <= most:
            last.append(block)
        elif last:  # what fits into a message of its own is not torn
            messages.append([])
            left.append(block)
        else:
            head, tail = _cut(block, lambda part: length([part]) <= most)
            last.append(head)
            if tail is not None:
                messages.append([])
                left.append(tail)
    return [message for message in messages if message]


def _cut(block: Block, fits: Callable[[Block], bool]) -> tuple[Block, Block | None]:
    """As much of the beginning as fits, and the rest. If not even one character fits, the whole."""
    text = block.text if isinstance(block, Code) else "".join(span.text for span in block.spans)
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(_part(block, 0, middle)) else (low, middle - 1)
    if low == 0:
        return block, None
    for mark in ("\n", " "):
        at = text.rfind(mark, low // 2, low + 1)
        if at > 0:
            return _part(block, 0, at), _part(block, at + 1, len(text))
    return _part(block, 0, low), _part(block, low, len(text))


def _part(block: Block, begin: int, end: int) -> Block:
    if isinstance(block, Code):
        return replace(block, text=block.text[begin:end])
    spans, at = [], 0
    for span in block.spans:
        piece = span.text[max(begin - at, 0) : max(end - at, 0)]
        if piece:
            spans.append(replace(span, text=piece))
        at += len(span.text)
    return Paragraph(tuple(spans))


def as_text(blocks: Iterable[Block]) -> str:
    """The blocks where there is nothing but plain text."""
    return "\n\n".join(
        block.text if isinstance(block, Code) else "".join(span.text for span in block.spans) for block in blocks
    )
