"""What a GGUF file says of itself: the facts in front of the weights, and whether it is whole.

Source: docs/gguf.md of the ggml project.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from gemmagraph.errors import AgentError
from gemmagraph.prompts.catalog import family_of
from gemmagraph.prompts.errors import NotationError

Fact: TypeAlias = str | int | float | bool | None
"""None stands for a list: those are long, and of no use here."""

_NUMBERS: Final = {kind: f"<{code}" for kind, code in enumerate("BbHhIif?..Qqd") if code != "."}
"""How the kinds of numbers are packed."""
_TEXT, _LIST = 8, 9


@dataclass(frozen=True, slots=True)
class GgufFile:
    """A model's file."""

    path: Path
    size: int
    """Bytes."""
    facts: Mapping[str, Fact]

    @property
    def architecture(self) -> str:
        return str(self.facts.get("general.architecture", ""))

    @property
    def trained(self) -> int | None:
        """Tokens of context that the model was trained for."""
        found = self.facts.get(f"{self.architecture}.context_length")
        return found if isinstance(found, int) and found > 0 else None

    @property
    def model(self) -> str:
        """A name of the model that tells its family: one from the file or its own, if that fits the architecture."""
        parts = [str(self.facts.get(f"general.{part}") or "") for part in ("basename", "size_label", "finetune")]
        for name in ("-".join(filter(None, parts)), str(self.facts.get("general.name") or ""), self.path.stem):
            if _fits(name, self.architecture):
                return name
        return "-".join(filter(None, (self.architecture, parts[1])))

    @property
    def shown_size(self) -> str:
        """`2.5 GB`."""
        return f"{self.size / 1e9:.1f} GB" if self.size >= 1e9 else f"{self.size / 1e6:.1f} MB"


def _fits(name: str, architecture: str) -> bool:
    """Whether `name` is of a model with that architecture. A derivative (FunctionGemma, MedGemma) has that of its
    base, and only its name tells it from that."""
    try:
        family = family_of(name)
    except NotationError:
        return False
    return not family.guessed and (family.name == architecture or not family.name.startswith("gemma"))


def read_gguf(path: Path) -> GgufFile:
    """The model in a file.

    Raises:
        AgentError: there is no such file, or no model of Gemma's in it.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            size = len(view)
            facts = _facts(view)
    except FileNotFoundError as exc:
        raise AgentError(f"There is no file {str(path)!r}.", hint=_near(path)) from exc
    except IsADirectoryError as exc:
        raise AgentError(f"{str(path)!r} is a folder.", hint=f"Name a file in it. {_near(path / '_')}") from exc
    except OSError as exc:
        raise AgentError(f"{str(path)!r} cannot be read: {exc.strerror or exc}.") from exc
    except (ValueError, struct.error) as exc:  # an empty file cannot be mapped: also a ValueError
        raise AgentError(
            f"{str(path)!r} is no GGUF file: {exc}.", hint="Take one whose name ends in .gguf, downloaded whole."
        ) from exc
    found = GgufFile(path, size, facts)
    if facts.get("split.no"):
        raise AgentError(f"{str(path)!r} is a later part of a model.", hint="Name its first part (-00001-of-…).")
    if "gemma" not in found.architecture:
        raise AgentError(
            f"{str(path)!r} holds a model of the architecture {found.architecture!r}, which is no Gemma.",
            hint="Take the file of a Gemma; one for images only (mmproj) is no model by itself.",
        )
    return found


def _near(path: Path) -> str:
    """What the folder has instead."""
    there = sorted(each.name for each in path.parent.glob("*.gguf"))[:5]
    return f"There: {', '.join(there)}." if there else "There is no .gguf file in that folder."


def missing_bytes(path: Path) -> int:
    """How many bytes the file lacks, at least: of one that was not downloaded whole.

    Raises:
        OSError, ValueError, struct.error: it is not there, or no GGUF file.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        cursor = _Cursor(view)
        tensors, entries = _head(cursor)
        facts = dict(_entries(cursor, entries))
        end = 0
        for _ in range(tensors):
            cursor.text()
            cursor.skip(8 * int(cursor.number("<I")))
            cursor.skip(4)
            end = max(end, int(cursor.number("<Q")) + 1)  # of how many bytes it is, its type says; one at least
        alignment = facts.get("general.alignment")
        step = alignment if isinstance(alignment, int) and alignment > 0 else 32
        weights = -(-cursor.place // step) * step
        return max(0, weights + end - len(view)) if end else 0


def _facts(view: mmap.mmap) -> dict[str, Fact]:
    """The facts of a file, up to the vocabulary if those that count come before: it is long."""
    cursor = _Cursor(view)
    facts: dict[str, Fact] = {}
    for key, fact in _entries(cursor, _head(cursor)[1]):
        if key.startswith("tokenizer.") and f"{facts.get('general.architecture')}.context_length" in facts:
            break
        facts[key] = fact
    return facts


def _head(cursor: _Cursor) -> tuple[int, int]:
    """How many tensors and facts there are.

    Raises:
        ValueError: it is not the head of a GGUF file, of a version that we can read.
    """
    magic = bytes(cursor.view[:4])
    if magic != b"GGUF":
        raise ValueError(f"it begins with {magic!r}")
    cursor.skip(4)
    version = int(cursor.number("<I"))
    if version not in (2, 3):
        raise ValueError(f"its version is {version}")
    return int(cursor.number("<Q")), int(cursor.number("<Q"))


def _entries(cursor: _Cursor, count: int) -> Iterator[tuple[str, Fact]]:
    for _ in range(count):
        key, kind = cursor.text(), int(cursor.number("<I"))
        yield key, cursor.fact(kind)


@dataclass(slots=True)
class _Cursor:
    """A place in a file."""

    view: mmap.mmap
    place: int = 0

    def number(self, form: str) -> int | float | bool:
        (found,) = struct.unpack_from(form, self.view, self.place)
        self.place += struct.calcsize(form)
        number: int | float | bool = found
        return number

    def text(self) -> str:
        length = int(self.number("<Q"))
        self.skip(length)
        return self.view[self.place - length : self.place].decode("utf-8", "replace")

    def skip(self, length: int) -> None:
        self.place += length
        if self.place > len(self.view):
            raise ValueError("it ends too early")

    def fact(self, kind: int) -> Fact:
        if kind == _TEXT:
            return self.text()
        if kind == _LIST:
            self._pass_list()
            return None
        if kind not in _NUMBERS:
            raise ValueError(f"it holds a value of the unknown kind {kind}")
        return self.number(_NUMBERS[kind])

    def _pass_list(self) -> None:
        kind, count = int(self.number("<I")), int(self.number("<Q"))
        if kind in _NUMBERS:
            self.skip(count * struct.calcsize(_NUMBERS[kind]))
        elif kind == _TEXT:
            for _ in range(count):
                self.skip(int(self.number("<Q")))
        else:
            raise ValueError(f"it holds a list of the unknown kind {kind}")
