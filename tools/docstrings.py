"""What a docstring says about a function and its parameters: Google, NumPy and Sphinx style.

Only what helps a caller is kept: sections on results, exceptions, attributes and examples are dropped, since
the model calls in a notation of its own and is shown the result.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

_Section: TypeAlias = Literal["text", "parameters", "dropped"]

_HEADINGS: dict[str, _Section] = {
    **dict.fromkeys(
        (
            *("args", "arguments", "params", "parameters", "keyword args", "keyword arguments"),
            *("other args", "other parameters"),
        ),
        "parameters",
    ),
    **dict.fromkeys(
        (
            *("return", "returns", "yield", "yields", "receives", "raise", "raises", "warns", "attributes"),
            *("methods", "example", "examples", "see also", "references", "todo"),
        ),
        "dropped",
    ),
    **dict.fromkeys(("note", "notes", "warning", "warnings"), "text"),
}
_INLINE_RESULT = re.compile(r"(?:returns?|yields?|raises?):\s", re.IGNORECASE)
_UNDERLINE = re.compile(r"-{3,}\s*$")
_GOOGLE_ITEM = re.compile(r"\*{0,2}(\w+)\s*(?:\(.*?\))?\s*:(?:\s+(.*)|)$")
_NUMPY_ITEM = re.compile(r"(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?$")
_SPHINX_FIELD = re.compile(r":(\w+)(?:\s+([^:]*?))?:(?:\s+(.*)|)$")
_SPHINX_PARAMETERS = frozenset(("param", "parameter", "arg", "argument", "key", "keyword"))
_SPHINX_DROPPED = frozenset(
    (
        *("return", "returns", "rtype", "yield", "yields", "ytype", "raise", "raises", "except", "exception"),
        *("type", "var", "ivar", "cvar", "vartype", "meta"),
    )
)


@dataclass(frozen=True, slots=True)
class Docstring:
    description: str = ""
    """Summary and body."""
    parameters: dict[str, str] = field(default_factory=dict)


def parse_docstring(text: str | None, names: Collection[str]) -> Docstring:
    """Reads a docstring of any of the three styles, also mixed.

    Args:
        text: The docstring as it stands in the source.
        names: The function's parameters. Other names in the list of parameters are left out.
    """
    if not text:
        return Docstring()
    reader = _Reader(names)
    lines = inspect.cleandoc(text).splitlines()
    if _is_heading(lines[0]) and not any(map(_is_heading, lines[1:])):
        # A section that is all there is: its lines have lost their indent.
        lines[1:] = [f"    {line}" for line in lines[1:]]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        reader.take(line, following)
    return Docstring(
        re.sub(r"\n{3,}", "\n\n", "\n".join(reader.body)).strip(),
        {name: " ".join(words) for name, words in reader.found.items() if name in names and words},
    )


def _is_heading(line: str) -> bool:
    return line.endswith(":") and line[:-1].lower() in _HEADINGS


class _Reader:
    """Takes a docstring line by line; knows in which section it is and which parameter is being described."""

    def __init__(self, names: Collection[str]) -> None:
        self.body: list[str] = []
        self.found: dict[str, list[str]] = {}
        self._names = names
        self._section: _Section = "text"
        self._style: Literal["google", "numpy", "sphinx"] | None = None
        self._item: list[str] = []
        self._item_indent: int | None = None

    def take(self, line: str, following: str) -> None:
        bare = line.strip()
        indent = len(line) - len(line.lstrip())
        if indent == 0 and bare and self._opens_section(bare, following):
            return
        if self._style == "numpy" and _UNDERLINE.match(line):
            return
        if indent == 0 and bare and self._style != "numpy":
            # Back at the margin: a Google section or a Sphinx field is over.
            self._section, self._style = "text", None
        if self._section == "text":
            self.body.append(line)
        elif self._section == "parameters" and bare:
            self._parameter_line(bare, indent)

    def _opens_section(self, bare: str, following: str) -> bool:
        section = _HEADINGS.get(bare.rstrip(":").lower())
        underlined = bool(_UNDERLINE.match(following))
        if section is None and underlined and self._style == "numpy":
            section = "text"
        if section and underlined:
            self._start(section, "numpy")
        elif section and bare.endswith(":"):
            self._start(section, "google")
        elif _INLINE_RESULT.match(bare):
            self._start("dropped", "google")
        elif sphinx := _SPHINX_FIELD.match(bare):
            return self._sphinx_field(sphinx)
        else:
            return False
        if section == "text":
            self.body.append(bare if bare.endswith(":") else f"{bare}:")
        return True

    def _start(self, section: _Section, style: Literal["google", "numpy", "sphinx"]) -> None:
        self._section, self._style = section, style
        self._item, self._item_indent = [], None

    def _sphinx_field(self, match: re.Match[str]) -> bool:
        kind, argument, text = match[1].lower(), match[2] or "", match[3] or ""
        if kind in _SPHINX_PARAMETERS and argument:
            self._start("parameters", "sphinx")
            self._item = self.found.setdefault(argument.split()[-1].lstrip("*"), [])
            self._item.extend(text.split())
            return True
        if kind in _SPHINX_DROPPED:
            self._start("dropped", "sphinx")
            return True
        return False

    def _parameter_line(self, bare: str, indent: int) -> None:
        if self._style != "sphinx":
            if self._item_indent is None:
                self._item_indent = indent
            if indent <= self._item_indent and self._starts_item(bare):
                return
        self._item.extend(bare.split())

    def _starts_item(self, bare: str) -> bool:
        if self._style == "numpy":
            if not (match := _NUMPY_ITEM.match(bare)):
                return False
            self._item = []
            for name in match[1].split(","):
                # `x, y : float` is one text for both.
                self.found[name.strip().lstrip("*")] = self._item
            return True
        if not (match := _GOOGLE_ITEM.match(bare)):
            return False
        self._item = self.found.setdefault(match[1], [])
        self._item.extend((match[2] or "").split())
        return True
