"""Text as Mattermost keeps it: blocks written as its Markdown with nothing live in them, and what people wrote, read.

Its clients differ. A backslash holds in all of them for markup, but not for what they look for in the finished text:
`@name`, `~channel`, `#tag`, `:emoji:`, `;)`, addresses. There an invisible character (U+200B) keeps the pieces apart,
as it does for the server, which looks for mentions in the same way.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from gemmagraph.bots.text import Block, Code, Span, Style

GAP: Final = "\u200b"

_MATHS: Final = frozenset({"latex", "tex", "katex", "math"})
"""Languages of code blocks that are drawn as formulas."""

_LIVE: Final = re.compile(
    r"(?P<markup>[`*_\[\]|])"
    r"|(?P<tilde>~)"
    r"|(?P<bare>(?<=\w)\.(?=[^\W\d_]{2,}/))"
    r"|(?P<www>(?<![^\W_])[wW]{3}[0-9]{0,3})\."
    r"|(?P<angle><(?! ))"
    r"|[@\\]|(?:(?<![0-9]):|:(?![0-9]{2}(?![0-9])))(?=\S)|\#(?=[^\W\d_])|&(?=\#?\w+;)|;(?=-?\))"
    r"|(?<![^\W_])[xX](?=-[dD])"
)
_BEGINNING: Final = re.compile(r"(?P<mark>[-+>#])|(?P<number>[0-9]+)(?P<end>[.)])(?=\s|$)|[= \t]|```")
_STYLED: Final = re.compile(r"(\s*)([^*\\\s](?:[^*\\\n]*[^*\\\s])?)(\s*)")
_LINK: Final = re.compile(r"https?://(?:[^\s<>\"`\\@&]|&(?!\#?\w+;))+", re.IGNORECASE)
"""With `@` it is taken for a mail address, and entities are read in it."""
_TICKS: Final = re.compile("`+")
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")


def written(blocks: Sequence[Block]) -> str:
    """The blocks as a message that Mattermost shows as they are."""
    return "\n\n".join(_fenced(block) if isinstance(block, Code) else _paragraph(block.spans) for block in blocks)


def said(text: str, name: str) -> tuple[str, bool]:
    """What somebody wrote, without mentions of the bot, and whether there were any; what stands in code is none.

    Args:
        name: that of the bot.
    """
    mention = re.compile(rf"(?<![\w@])@{re.escape(name)}(?![\w@]|[.-]+\w)[,:]?[ \t]*", re.IGNORECASE)
    if not mention.search(text):
        return text, False
    pieces, at, times = [], 0, 0
    for begin, end in [*_code(text), (len(text), len(text))]:
        outside, found = mention.subn("", text[at:begin])
        pieces += [outside, text[begin:end]]
        at, times = end, times + found
    return ("".join(pieces).strip(), True) if times else (text, False)


def _code(text: str) -> Iterator[tuple[int, int]]:
    """Where code blocks and code spans begin and end."""
    at = prose = 0
    fence, begun = "", 0
    for line in text.splitlines(keepends=True):
        found = _FENCE.match(line)
        if fence and found and found.group(1).startswith(fence) and not line[found.end() :].strip():
            yield begun, at + len(line)
            fence, prose = "", at + len(line)
        elif not fence and found:
            yield from _spans(text, prose, at)
            fence, begun = found.group(1), at
        at += len(line)
    if fence:
        yield begun, at
    else:
        yield from _spans(text, prose, at)


def _spans(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Code spans: from some backticks to the next that are as many."""
    places: dict[int, list[int]] = defaultdict(list)
    runs = [(found.start(), found.end()) for found in _TICKS.finditer(text, begin, end)]
    for start, stop in runs:
        places[stop - start].append(start)
    at = begin
    for start, stop in runs:
        same = places[stop - start]
        closing = bisect(same, start)
        if start >= at and closing < len(same):
            at = same[closing] + stop - start
            yield start, at


def _fenced(block: Code) -> str:
    fence = "`" * max(3, _longest(block.text) + 1)
    language = "" if block.language.lower() in _MATHS else block.language
    return f"{fence}{language}\n{block.text}\n{fence}"


def _longest(text: str) -> int:
    """How many backticks stand side by side."""
    return max(map(len, _TICKS.findall(text)), default=0)


def _paragraph(spans: Sequence[Span]) -> str:
    spans = _merged(_marked(_merged(spans)))
    formulas = sum(span.text.count("$") for span in spans) > 1
    written = ""
    for span in spans:
        piece = _span(span)
        if formulas and span.style not in ("code", "link"):
            piece = piece.replace("$", "&#36;")  # all clients read it, and nothing else keeps formulas away
        apart = GAP if written[-1:] == piece[:1] and piece[:1] in ("*", "`") else ""
        written += apart + piece
    return "\n".join(_line(line) for line in written.split("\n"))


def _merged(spans: Iterable[Span]) -> list[Span]:
    """The spans without empty ones, and plain ones that touch as one: what they say together may be live."""
    merged: list[Span] = []
    for span in spans:
        if merged and not span.style and not merged[-1].style:
            merged[-1] = replace(span, text=merged[-1].text + span.text)
        elif span.text:
            merged.append(span)
    return merged


def _marked(spans: Sequence[Span]) -> Iterator[Span]:
    """The spans, those plain whose marks would not be taken for any; room within marks goes out of them."""
    for number, span in enumerate(spans):
        if span.style not in ("bold", "italic"):
            yield span
            continue
        before = spans[number - 1].text[-1:] if number else ""
        after = spans[number + 1].text[:1] if number + 1 < len(spans) else ""
        found = _STYLED.fullmatch(span.text)
        if found and _holds(span.style, before + found[1], found[2], found[3] + after):
            yield from (Span(found[1]), Span(found[2], span.style), Span(found[3]))
        else:
            yield Span(span.text)


def _holds(style: Style, before: str, core: str, after: str) -> bool:
    """Whether stars around the core are taken for marks, by all clients."""
    if style == "italic" and core[0] in '"<':
        return False
    return (core[0].isalnum() or not before[-1:].strip()) and (core[-1].isalnum() or not after[:1].strip())


def _span(span: Span) -> str:
    if span.style == "link" and _LINK.fullmatch(span.text):
        return f"<{span.text}>"
    if span.style in ("code", "link"):
        return "\n".join(_ticked(line) for line in span.text.split("\n"))
    star = {"bold": "**", "italic": "*"}.get(span.style, "")
    return f"{star}{_LIVE.sub(_dead, span.text)}{star}"


def _ticked(text: str) -> str:
    if not text.strip():
        return text
    ticks = "`" * (_longest(text) + 1)
    room = " " if "`" in (text.strip()[0], text.strip()[-1]) else ""
    return f"{ticks}{room}{text}{room}{ticks}"


def _dead(found: re.Match[str]) -> str:
    if found["markup"] or found["bare"]:
        return f"\\{found.group()}"
    if found["tilde"]:
        return f"\\~{GAP}"
    if found["angle"]:
        return f"&lt;{GAP}"
    return f"{found['www']}\\." if found["www"] else found.group() + GAP


def _line(line: str) -> str:
    """The line without the meaning that its beginning may have: list, quote, heading, rule, code block."""
    found = _BEGINNING.match(line)
    if not found or not line.strip():
        return line
    if found["mark"]:
        return f"\\{line}"
    return f"{found['number']}\\{line[found.end('number') :]}" if found["number"] else GAP + line
