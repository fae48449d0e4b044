"""What is wrong with a call, in words for a small model: which argument, what it was, what is expected, and a
right call. At most 240 characters, whatever the model wrote and however long the schema is.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final, TypeAlias

from gemmagraph.prompts.checking.number import Number

LONGEST: Final = 240
"""Characters in a message: more confuses a small model and costs prompt in every further step."""

Path: TypeAlias = tuple[str | int, ...]
_WIDTHS: Final = (60, 24)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with the arguments."""

    path: Path
    """Where: names and indices, from an argument on; empty for the arguments as a whole."""
    words: Callable[[int], str]
    """What is wrong, with each piece of foreign text cut to a width."""
    instead: Path | None = None
    """The declared name that was probably meant by an undeclared one, with the path to it."""


def message(tool: str, faults: Sequence[Fault], examples: Iterable[str]) -> str:
    """The message about `faults`: the first two if there is room, and the first of `examples` that fits."""
    start = f"{cut(clean(tool), 64)}: "
    for example in chain(map(_writable, examples), [""]):
        for count in (2, 1):
            for width in _WIDTHS:
                what = "; ".join(dict.fromkeys(fault.words(width) for fault in faults[:count]))
                what += "" if what.endswith("?") else "."
                text = f"{start}{what} Example: {example}" if example else start + what
                if len(text) <= LONGEST:
                    return text
    return cut(text, LONGEST)


def unknown_tool_message(name: str, nearest: Sequence[str], all_names: Sequence[str]) -> str:
    """What to tell a model that called a tool which does not exist."""
    start = f"{show(name, 60)} is not a tool"
    if not all_names:
        return f"{start}, and there are no others. Answer in words."
    meant = " or ".join(show(near, 50) for near in nearest[:2])
    start += f", did you mean {meant}?" if meant else "."
    return f"{start} Tools: {listed(all_names, LONGEST - len(start) - len(' Tools: .'))}."


def show(value: object, width: int) -> str:
    """A value as JSON, cut in the middle."""
    if isinstance(value, Number):
        return cut(clean(value.text), width)
    if isinstance(value, str) and len(value) > 2 * LONGEST:
        value = f"{value[:LONGEST]}…{value[-LONGEST:]}"
    try:
        return cut(clean(json.dumps(value, ensure_ascii=False, default=_foreign)), width)
    except (ValueError, TypeError, RecursionError):
        return "too big to be shown"


def clean(text: str) -> str:
    """The text on one line, so that it can be written anywhere."""
    return _writable(" ".join(text.split()))


def cut(text: str, width: int) -> str:
    """The text with its middle left out if it is longer than `width`."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 3
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    few = list(islice(known, 500))
    folded = {name.lower().replace("-", "_"): name for name in reversed(few)}
    same = folded.get(word[:200].lower().replace("-", "_"))
    close = difflib.get_close_matches(word[:60], [name for name in few if len(name) <= 100], n=1, cutoff=0.6)
    return same or (close[0] if close else None)


def listed(words: Sequence[str], room: int, joint: str = ", ") -> str:
    """As many of the words as there is room for, and how many are left out."""
    shown = [cut(clean(word), 100) for word in words[: room // 2 + 1]]
    for count in range(len(shown), 0, -1):
        rest = f" and {len(words) - count} more" if count < len(words) else ""
        text = joint.join(shown[:count]) + rest
        if len(text) <= room:
            return text
    return cut(shown[0], room) if shown else ""


def _writable(text: str) -> str:
    """The text with lone surrogates escaped: no file and no terminal takes them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _foreign(value: object) -> str:
    return value.text if isinstance(value, Number) else f"a {type(value).__name__}"
