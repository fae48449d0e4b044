"""The path of a request: values that stay one segment of it, and requests that stay below a prefix.

Servers and what stands in front of them decode a path once, twice, or only in part before they walk it. A value
is refused if any of them could take it for a step: empty, `.`, `..`, whatever its spelling.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import quote, unquote

from gemmagraph.tools.errors import ToolError

_SEPARATORS: Final = re.compile(r"[/\\]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_DECODINGS: Final = 8


def segment(value: str) -> str:
    """`value` as one percent-encoded segment of a path.

    Raises:
        ToolError: it would not stay one.
    """
    if problem := _problem(value):
        raise ToolError(f"{value[:80]!r} cannot stand in a path: {problem}.")
    return quote(value, safe="")


class Prefix:
    """The path that requests stay below: that of a base URL."""

    def __init__(self, path: str) -> None:
        self._path = path.rstrip("/")

    def check(self, target: str) -> None:
        """
        Raises:
            ToolError: the path of `target` lies elsewhere, or has a step that may lead elsewhere.
        """
        path = target.partition("?")[0]
        if path != self._path and not path.startswith(self._path + "/"):
            raise ToolError(f"The path {path[:200]!r} is not below {self._path + '/'!r}.")
        if climbs(path):
            raise ToolError(f"The path {path[:200]!r} has a step '.' or '..'.")


def climbs(path: str) -> bool:
    """Whether a path as it is sent has a segment that is `.` or `..` to some server."""
    decoded = _decoded(path)
    return decoded is None or any(part and _steps(part) for part in _SEPARATORS.split(decoded))


def _problem(value: str) -> str:
    """Why it is not one segment; empty if it is."""
    decoded = _decoded(value)
    if decoded is None:
        return "it is encoded too often"
    if _CONTROL.search(decoded):
        return "it has a control character"
    if any(_steps(part) for part in _SEPARATORS.split(decoded)):
        return "a part of it is empty, '.' or '..'"
    return ""


def _decoded(text: str) -> str | None:
    """Decoded until nothing changes, look-alikes of dots and slashes made plain; None if that takes too long."""
    for _ in range(_DECODINGS):
        plain = unicodedata.normalize("NFKC", unquote(text))
        if plain == text:
            return plain
        text = plain
    return None


def _steps(part: str) -> bool:
    """Whether nothing is left but dots, without what some servers drop: spaces, parameters behind a semicolon."""
    return not part.partition(";")[0].strip(". ")
