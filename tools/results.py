"""What a tool returned, as JSON and as the model gets it: converted, and cut at the tool's ceiling.

The work is bounded by the ceiling too: of a gigabyte of text only the end that is kept is ever copied.
"""

from __future__ import annotations

import codecs
import dataclasses
import datetime
import json
import math
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence, Set, ValuesView
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from itertools import islice
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any, Literal, TypeAlias, TypeGuard
from uuid import UUID

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.secrets import beginning, ending, longest

Keep: TypeAlias = Literal["head", "tail"]

MAX_DEPTH = 60
MOST_CHARS = 2_000_000
"""Characters of a result that are looked at where all of it is needed: to select from it, to keep it."""
_MOST_BYTES = 1_000_000
_CONTINUED = bytes(range(0x80, 0xC0))
"""What a character of several bytes goes on with."""
_MAX_INTEGER_BITS = 4096
"""Python refuses to write out integers from about 14,000 bits on; nobody reads one of a thousand digits."""


_written = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` makes one at each call


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call of a tool ended."""

    content: JSON
    """What the model is told: text, or a JSON value."""
    status: Literal["ok", "error", "failed", "timeout"]
    """`error`: the tool told the model what is wrong. `failed`: anything else that it raised."""
    seconds: float
    error: BaseException | None = None
    """For the developer, unless all is well."""


class Partial(str):
    """A text of which some was left out while it was taken: how long it was is not known."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A value as text or JSON, as far as a limit of characters went."""

    content: JSON
    """Of a text that is longer, a character more than the limit."""
    size: str
    """How large the whole is, in words."""
    whole: bool
    partial: bool = False
    """Whether the value itself was cut before it came here."""

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else _written(self.content)


def convert(value: object, limit: int, keep: Keep = "head") -> Converted:
    """`value` as the model may get it: text as it is, anything else as a JSON value.

    Of what is longer than `limit` at least so much is there, from the end that is to be kept. Another object
    becomes its `str()`, unless that names only its type.

    Raises:
        TypeError: there is no sensible text for it; the message says what was returned.
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _converted_bytes(value, limit, keep)
    if keep == "tail" and isinstance(value, str):
        seen = limit + longest()  # so that a secret which ends among what is kept is seen whole
        tail = _Converter(limit=seen, lenient=True).convert(value[-seen:])
        return Converted(tail, _size_of(value), len(value) <= seen, isinstance(value, Partial))
    if keep == "tail" and _is_listed(value):
        last = list(islice(reversed(value), limit + 1))
        converter = _Converter(limit=limit, lenient=True)
        content = converter.convert(last)
        return Converted(content[::-1], converter.size(value), converter.whole and len(last) == len(value))
    converter = _Converter(limit=limit if keep == "head" else max(limit, MOST_CHARS), lenient=True)
    content = converter.convert(value)
    return Converted(content, converter.size(value), converter.whole, isinstance(value, Partial))


def _size_of(text: str) -> str:
    return f"{'more than ' if isinstance(text, Partial) else ''}{len(text):,} characters"


def _is_listed(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str) and not hasattr(type(value), "_asdict")


def as_content(value: object, max_chars: int, keep: Keep = "head") -> JSON:
    """`value` for the model: text as it is, anything else as a JSON value, either at most `max_chars` long.

    What is cut keeps one end, and a note at the other says so. A JSON value that is too long as text becomes text.

    Raises:
        TypeError: there is no sensible text for it; the message says what was returned.
    """
    found = convert(value, max_chars, keep)
    text = found.text
    return found.content if found.whole and len(text) <= max_chars else cut(text, max_chars, found.size, keep)


def as_json(value: object) -> JSON:
    """`value` as a JSON value, nothing lost.

    Raises:
        TypeError: it has none.
    """
    return _Converter(limit=sys.maxsize, lenient=False).convert(value)


def enum_words(kind: type[Enum]) -> dict[Any, Enum]:
    """The members of an Enum by what stands for them in JSON: values, or names if one value is no scalar."""
    by_value = _speaks_by_value(kind)
    return {member.value if by_value else member.name: member for member in kind}


@lru_cache(maxsize=256)
def _speaks_by_value(kind: type[Enum]) -> bool:
    return all(isinstance(member.value, (str, int, float)) for member in kind)


def clip(text: str, max_chars: int, keep: Keep = "head") -> str:
    """`text`, cut with a note if it is longer than `max_chars`."""
    return text if len(text) <= max_chars else cut(text, max_chars, f"{len(text):,} characters", keep)


def cut(text: str, max_chars: int, size: str, keep: Keep = "head") -> str:
    """One end of `text`, and a note that says how large the whole is."""
    if keep == "head":
        return beside(text, max_chars, f"[Cut. The whole has {size}; this is the beginning.]")
    return beside(text, max_chars, f"[Cut. The whole has {size}; this is the end.]", keep)


def beside(text: str, max_chars: int, note: str, keep: Keep = "head") -> str:
    """As much of one end of `text` as fits beside a note, which stands where something is missing.

    It ends at the end of a line, if one is near.
    """
    room = max(0, max_chars - len(note) - 1)
    if keep == "head":
        head = beginning(text, room)
        return f"{head[: line_end(head, room)]}\n{note}"
    tail = ending(text, room)
    start = tail.find("\n", 0, len(tail) // 5) + 1
    return f"{note}\n{tail[start:]}"


def line_end(text: str, room: int) -> int:
    """Where to cut a text so that at most `room` characters stay: at the last line break, if it is near."""
    found = text.rfind("\n", room - room // 5, room)
    return room if found < 0 else found


def _converted_bytes(value: bytes | bytearray | memoryview, limit: int, keep: Keep) -> Converted:
    size, most = memoryview(value).nbytes, 4 * (limit + 1 + (longest() if keep == "tail" else 0))
    whole = size <= most
    part = bytes(value[:most]) if keep == "head" else bytes(value[-most:]).lstrip(b"" if whole else _CONTINUED)
    text = _decoded(part, final=keep == "tail" or whole)
    if text is not None and keep == "head" and not whole:
        text = beginning(text, len(text))
    return Converted(_binary(size) if text is None else text, f"{size:,} bytes", whole or text is None)


def _decoded(data: bytes, *, final: bool) -> str | None:
    """The text; None if it is none."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data, final=final)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _binary(size: int) -> str:
    return f"{size:,} bytes of binary data, not shown."


class _Converter:
    """Turns a value into JSON, and stops once more than `limit` characters have come together."""

    def __init__(self, limit: int, *, lenient: bool) -> None:
        self._left = limit
        self._limit = limit
        self._lenient = lenient
        self.whole = True
        """Whether nothing was left out."""
        self._stopped: int | None = None
        """At which depth the limit was noticed; None if everything was seen."""

    def convert(self, value: object, depth: int = 0) -> JSON:
        if depth > MAX_DEPTH:
            raise TypeError(f"more than {MAX_DEPTH} levels deep, or a value that contains itself")
        self._left -= 1
        if value is None or value is True or value is False:
            return value
        if isinstance(value, Enum):
            return self.convert(value.value if _speaks_by_value(type(value)) else value.name, depth + 1)
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Real):
            return self._number(value)
        if isinstance(value, Mapping):
            return self._mapping(value.items(), depth)
        if hasattr(type(value), "_asdict"):
            return self._mapping(value._asdict().items(), depth)  # type: ignore[attr-defined]  # a named tuple
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            return self._mapping(((field.name, getattr(value, field.name)) for field in fields), depth)
        if isinstance(value, (bytes, bytearray, memoryview)):
            found = _converted_bytes(value, min(self._limit, _MOST_BYTES), "head")
            self.whole = self.whole and found.whole
            return self._text(found.text)
        if isinstance(value, (Sequence, Set, ValuesView)):
            return self._items(value, depth)
        return self._object(value, depth)

    def size(self, value: object) -> str:
        """How large the whole of `value` is, after it was converted as far as the limit went."""
        if isinstance(value, str):
            return _size_of(value)
        if self._stopped is None:
            return f"about {self._limit - self._left:,} characters"
        if self._stopped == 0 and isinstance(value, Collection):
            return f"{len(value):,} {'keys' if isinstance(value, Mapping) else 'items'}"
        return f"more than {self._limit:,} characters"

    def _stop(self, depth: int) -> None:
        self.whole = False
        self._stopped = depth if self._stopped is None else self._stopped

    def _text(self, value: str) -> str:
        self._left -= len(value)
        self.whole = self.whole and len(value) <= self._limit
        if len(value) > self._limit:
            value = beginning(str.__getitem__(value, slice(0, self._limit + 1)), self._limit + 1)
        elif type(value) is not str:
            value = str.__getitem__(value, slice(None))
        if not value.isascii():
            # Names of files may hold bytes that are no UTF-8: surrogates in Python, which no server takes.
            return value.encode("utf-8", "replace").decode("utf-8")
        return value

    def _number(self, value: Real) -> JSON:
        if isinstance(value, Integral):
            number = int(value)
            if number.bit_length() <= _MAX_INTEGER_BITS:
                return number
            if self._lenient:
                return f"an integer of {number.bit_length():,} bits, too long to write out"
            raise TypeError(f"an integer of {number.bit_length():,} bits")
        if math.isfinite(value):
            return float(value)
        if self._lenient:
            return str(float(value))
        raise TypeError(f"{float(value)} is no JSON number")

    def _mapping(self, items: Iterable[tuple[object, object]], depth: int) -> dict[str, JSON]:
        result: dict[str, JSON] = {}
        for key, value in items:
            if self._left < 0:
                self._stop(depth)
                break
            name = self.convert(key, depth + 1)
            if not isinstance(name, str):
                name = json.dumps(name, ensure_ascii=False)
            result[name] = self.convert(value, depth + 1)
        return result

    def _items(self, values: Iterable[object], depth: int) -> list[JSON]:
        result: list[JSON] = []
        for value in values:
            if self._left < 0:
                self._stop(depth)
                break
            result.append(self.convert(value, depth + 1))
        return result

    def _object(self, value: object, depth: int) -> JSON:
        if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
            return self._text(value.isoformat())
        if isinstance(value, (datetime.timedelta, Decimal, UUID, PurePath)):
            return self._text(str(value))
        model = getattr(sys.modules.get("pydantic.main"), "BaseModel", ())
        if isinstance(value, model):
            return self.convert(value.model_dump(mode="json"), depth + 1)
        if self._lenient:
            text = str(value)
            # `<generator object numbers at 0x7f…>` tells nobody anything.
            if not (text.startswith("<") and text.endswith(">")):
                return self._text(text)
        kind = type(value)
        raise TypeError(f"a value of the type {kind.__module__}.{kind.__qualname__}, which is no JSON")
