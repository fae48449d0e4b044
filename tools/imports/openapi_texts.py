"""What an OpenAPI document says in words, cut to what a model needs; and names made of its names."""

from __future__ import annotations

import re
from typing import Final

from gemmagraph.tools.imports.texts import seen

MOST_OF_A_TOOL: Final = 600
MOST_OF_A_PROPERTY: Final = 300
_LONGEST_NAME: Final = 64
_RESERVED: Final = frozenset(("auto", "any", "required", "none"))
_TAG: Final = re.compile(r"</?[A-Za-z][A-Za-z0-9]{0,10}(?:\s[^<>]{0,200})?/?>")
_SENTENCE: Final = re.compile(r"[.!?](?=\s)|[。！？]")


def description(summary: str, details: str, most: int = MOST_OF_A_TOOL) -> str:
    """A summary and what follows it, unless that says it again."""
    said, more = (_plain(text, most) for text in (summary, details))
    if not more or more.startswith(said.rstrip(".")):
        return shortened(more or said, most)
    if said and said[-1] not in ".!?。":
        said += "."
    return shortened(f"{said}\n{more}" if said else more, most)


def tidy(text: str, most: int = MOST_OF_A_PROPERTY) -> str:
    """A text on one line."""
    return shortened(" ".join(_plain(text, most).split()), most)


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters, whole sentences if these are most of it."""
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    end = max((found.end() for found in _SENTENCE.finditer(cut)), default=0)
    if end >= most // 2:
        return cut[:end]
    return cut.rsplit(None, 1)[0].rstrip(" ,;:") + "…"


def _plain(text: str, most: int) -> str:
    """Without HTML and what is hidden, paragraphs kept. Of a long text only the beginning is looked at."""
    text = _TAG.sub(" ", seen(text, 4 * most))
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    return "\n".join(filter(None, paragraphs)).strip()


def tool_name(identifier: str, method: str) -> str:
    """A tool's name made of an operationId; empty if nothing of it can stand in one."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", identifier[: 4 * _LONGEST_NAME]).strip("_.-")
    if not name:
        return ""
    if not (name[0].isalpha() or name[0] == "_") or name.lower() in _RESERVED:
        name = f"{method.lower()}_{name}"
    return name[:_LONGEST_NAME].rstrip("_.-")


def argument_name(wire: str) -> str:
    """A name for an argument: what is no letter, digit or _ becomes _."""
    name = re.sub(r"\W+", "_", wire[: 4 * _LONGEST_NAME]).strip("_")[:_LONGEST_NAME]
    return f"_{name}" if not name or name[0].isdigit() else name
