"""What a value may be: each form reads a node into a plain JSON value and writes its JSON Schema. One truth for both.

A form notes what is wrong and goes on, so that all problems of a file are found at once. Forms that hold others
(mappings, lists) are in `structures.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.declared import units
from gemmagraph.tools.declared.nodes import Mapping, Mark, Node, Scalar, Sequence, plain, shown

Kind: TypeAlias = Literal["text", "number", "boolean", "null", "list", "mapping"]
Definitions: TypeAlias = dict[str, Any]
"""`$defs` of the schema that is being written."""

_MOST_FLAWS: Final = 500

_AN: Final[dict[Kind, str]] = {
    "text": "a text",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
    "list": "a list",
    "mapping": "a mapping",
}
_SCALARS: Final[dict[type, Kind]] = {str: "text", int: "number", float: "number", bool: "boolean", type(None): "null"}


@dataclass(slots=True, eq=False)
class Flaw:
    """Something that does not fit its form."""

    node: Node
    message: str
    hint: str = ""
    """What would be right; left out where something near is known."""
    key: str | None = None
    """The key of `node`, a mapping, that it is about."""
    near: Collection[str] = ()
    """What `word` could have been meant to be; looked at only if the flaw is shown."""
    word: str = ""

    @property
    def mark(self) -> Mark:
        """Where it is shown: at the key, else at the value."""
        return self.node.marks[self.key] if self.key is not None and type(self.node) is Mapping else self.node.mark

    @property
    def unknown(self) -> bool:
        """Whether it is a key that is not known there, and may be meant to be another."""
        return self.key is not None and self.key == self.word


class Enough(Exception):
    """So much is wrong that the rest does not matter."""


class Flaws(list[Flaw]):
    """What was found so far."""

    def append(self, flaw: Flaw) -> None:
        super().append(flaw)
        if len(self) >= _MOST_FLAWS:
            raise Enough


def kind_of(node: Node) -> Kind:
    if isinstance(node, Mapping):
        return "mapping"
    return "list" if isinstance(node, Sequence) else _SCALARS[type(node.value)]


class Unfit:
    """Stands for a value of which nothing can be used."""


UNFIT: Final = Unfit()


class Form:
    """A kind of value."""

    takes: frozenset[Kind]
    """The kinds of nodes that it reads at all."""
    hidden = False
    """Whether what stands there may be a secret, and is shown in no message."""
    right: str
    """What would be right; goes on after "must be"."""

    def read(self, node: Node, flaws: Flaws) -> JSON:
        """The plain value. If there is a flaw, it is noted, and what comes back means nothing."""
        raise NotImplementedError

    def sound(self, node: Node) -> JSON | Unfit:
        """The plain value without those of its parts that have flaws; UNFIT where it cannot do without them."""
        flaws = Flaws()
        value = self.read(node, flaws)
        return UNFIT if flaws else value

    def schema(self, definitions: Definitions) -> dict[str, JSON]:
        raise NotImplementedError

    def misfit(self, node: Node, flaws: Flaws) -> None:
        """Notes that `node` is something else altogether."""
        flaws.append(Flaw(node, f"must be {self.right}, not {self.got(node)}", self._hint(node)))

    def got(self, node: Node) -> str:
        kind = kind_of(node)
        if self.hidden:
            return _AN[kind]
        if isinstance(node, Scalar) and kind == "text":
            return f"the text {shown(node.text)}" if "text" not in self.takes else shown(node.text)
        return shown(node.text).strip("'") if isinstance(node, Scalar) and node.text else _AN[kind]

    def _hint(self, node: Node) -> str:
        kind = kind_of(node)
        if not isinstance(node, Scalar):
            return ""
        if "boolean" in self.takes and node.text.lower() in _YES_NO:
            return f"Write {_YES_NO[node.text.lower()]}."
        if "number" in self.takes and kind == "text" and re.fullmatch(r"[0-9.]{1,20}", node.text):
            return "Leave out the quotes."
        if "list" in self.takes and kind == "text" and not self.hidden:
            return f"Write it as a list: [{', '.join(node.text[:60].split())}]."
        return ""


_YES_NO: Final = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


class Anything(Form):
    """Any JSON value."""

    takes = frozenset(_AN)
    right = "anything"

    def read(self, node: Node, flaws: Flaws) -> JSON:
        return plain(node)

    def schema(self, definitions: Definitions) -> dict[str, JSON]:
        return {}


class Text(Form):
    """A text, or with `scalars` also a number or a boolean, taken as it is written.

    Args:
        pattern: an expression that ECMA and Python read alike; the whole text must fit.
        right: what would be right, in words.
        refused: texts that are not taken though they fit.
        hidden: whether the value may be a secret.
    """

    def __init__(
        self,
        *,
        pattern: str | None = None,
        right: str = "a text",
        refused: Collection[str] = (),
        least: int = 0,
        scalars: bool = False,
        hidden: bool = False,
    ) -> None:
        self.takes = frozenset(("text", "number", "boolean") if scalars else ("text",))
        self.right = right
        self._pattern = pattern
        self._fits = re.compile(pattern).fullmatch if pattern else None
        self._refused = frozenset(refused)
        self._least = least
        self._scalars = scalars
        self.hidden = hidden

    def read(self, node: Node, flaws: Flaws) -> JSON:
        if type(node) is not Scalar:
            return self.misfit(node, flaws)
        text = node.value
        if type(text) is not str:
            if not self._scalars or text is None:
                return self.misfit(node, flaws)
            text = node.text
        if self._fits is not None and not self._fits(text):
            self.misfit(node, flaws)
        elif text in self._refused:
            flaws.append(Flaw(node, f"must not be {text!r}", "That word is taken."))
        elif len(text) < self._least:
            flaws.append(Flaw(node, f"must be {self.right}, not empty"))
        return text

    def _hint(self, node: Node) -> str:
        if isinstance(node, Scalar) and type(node.value) in (int, float, bool) and not self.hidden:
            fits = self._fits is None or self._fits(node.text)
            return f'Put it into quotes: "{node.text[:60]}".' if fits else ""
        return super()._hint(node)

    def schema(self, definitions: Definitions) -> dict[str, JSON]:
        written: dict[str, JSON] = {"type": ["string", "number", "boolean"] if self._scalars else "string"}
        if self._pattern:
            written["pattern"] = self._pattern
        if self._refused:
            written["not"] = {"enum": sorted(self._refused)}
        if self._least:
            written["minLength"] = self._least
        return written


class Choice(Form):
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self.takes = frozenset(("text",))
        self.right = _either(words)
        self._words = words

    def read(self, node: Node, flaws: Flaws) -> JSON:
        if type(node) is Scalar and type(node.value) is str:
            if node.value not in self._words:
                message = f"must be {self.right}, not {shown(node.text)}"
                flaws.append(Flaw(node, message, near=self._words, word=node.value))
            return node.value
        return self.misfit(node, flaws)

    def schema(self, definitions: Definitions) -> dict[str, JSON]:
        return {"enum": list(self._words)}


class Boolean(Form):
    takes = frozenset(("boolean",))
    right = "true or false"

    def read(self, node: Node, flaws: Flaws) -> JSON:
        if type(node) is Scalar and type(node.value) is bool:
            return node.value
        return self.misfit(node, flaws)

    def schema(self, definitions: Definitions) -> dict[str, JSON]:
        return {"type": "boolean"}


class Number(Form):
    """A number between two others, both included; `whole`: without a fraction."""

    takes = frozenset(("number",))

    def __init__(
        self, least: float | None = None, most: float | None = None, *, whole: bool = False, right: str = ""
    ) -> None:
        self._least, self._most, self._whole = least, most, whole
        kind = "a whole number" if whole else "a number"
        bounds = {
            (True, True): f" from {least} to {most}",
            (True, False): f" of at least {least}",
            (False, True): f" of at most {most}",
        }
        self.right = right or kind + bounds.get((least is not None, most is not None), "")

    def read(self, node: Node, flaws: Flaws) -> JSON:
        value = node.value if type(node) is Scalar else None
        if type(value) is not int and type(value) is not float:
            return self.misfit(node, flaws)
        if (
            (self._least is not None and value < self._least)
            or (self._most is not None and value > self._most)
            or (self._whole and value != int(value))
        ):
            return self.misfit(node, flaws)
        return int(value) if self._whole else value

    def schema(self, definitions: Definitions) -> dict[str, JSON]:
        written: dict[str, JSON] = {"type": "integer" if self._whole else "number"}
        if self._least is not None:
            written["minimum"] = self._least
        if self._most is not None:
            written["maximum"] = self._most
        return written


def whole(least: int | None = None, most: int | None = None) -> Number:
    return Number(least, most, whole=True)


class Amount(Form):
    """A text with a unit, or (unless it is a rate) a number: read by `units`."""

    def __init__(
        self, read: Callable[[Any], JSON], pattern: str, right: str, number: dict[str, JSON] | None = None
    ) -> None:
        self.takes = frozenset(("text", "number") if number else ("text",))
        self.right = right
        self._read, self._pattern, self._number = read, pattern, number

    def read(self, node: Node, flaws: Flaws) -> JSON:
        if kind_of(node) not in self.takes:
            return self.misfit(node, flaws)
        try:
            return self._read(node.value if type(node) is Scalar else None)
        except ValueError:
            return self.misfit(node, flaws)

    def schema(self, definitions: Definitions) -> dict[str, JSON]:
        text: dict[str, JSON] = {"type": "string", "pattern": self._pattern}
        return {"anyOf": [self._number, text]} if self._number else text


def _as_chars(written: str | float) -> JSON:
    found = units.size(written)
    if not isinstance(written, str) and not 200 <= found <= 2_000_000:
        raise ValueError(written)
    return found


def _as_rate(text: str) -> JSON:
    found = units.rate(text)
    return {"count": found.count, "seconds": found.seconds}


DURATION: Final = Amount(
    units.seconds, units.DURATION_PATTERN, units.DURATION, {"type": "number", "exclusiveMinimum": 0}
)
"""Read as seconds."""
SIZE: Final = Amount(units.size, units.SIZE_PATTERN, units.SIZE, {"type": "integer", "minimum": 1})
"""Read as a whole number."""
CHARS: Final = Amount(
    _as_chars,
    units.SIZE_PATTERN,
    "a number of characters from 200 to 2,000,000: 2000, 20k",
    {"type": "integer", "minimum": 200, "maximum": 2_000_000},
)
"""Read as a whole number. Whether one with a unit is in bounds, a schema cannot say."""
RATE: Final = Amount(_as_rate, units.RATE_PATTERN, units.RATE)
"""Read as `{"count": 30, "seconds": 60}`."""


def _either(words: Collection[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
