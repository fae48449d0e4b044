"""`{{ }}` placeholders: a path that is looked up, escaped by the place it stands in. No loops, calls or filters.

What a place escapes is the business of the body that has the place; the syntax is known here only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypeAlias

from gemmagraph.prompts.errors import GemmagraphError
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.errors import Fault

Scope: TypeAlias = Mapping[str, Mapping[str, JSON]]
"""What may be named: `{"args": {...}, "bind": {...}, ...}`."""


class Absent:
    """Stands for a value that is not there, which null is."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> Literal[False]:
        return False


ABSENT: Final = Absent()

_MOST_QUOTED: Final = 200
"""Characters of a text that an error repeats: there may be more in it than a placeholder."""
_MARKS = re.compile(r"\{\{|\}\}")
_PATH = re.compile(r"([A-Za-z_]\w*)((?:\.[A-Za-z_][\w-]*|\[\d{1,9}\])*)", re.ASCII)
_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d+)\]", re.ASCII)


class FieldError(GemmagraphError):
    """A text with placeholders that cannot be used. Read by the developer."""


@dataclass(frozen=True, slots=True)
class Path:
    """What one placeholder names: a root, and the steps from there."""

    root: str
    steps: tuple[str | int, ...]

    def __str__(self) -> str:
        return self.root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.steps)

    def find(self, scope: Scope) -> JSON | Absent:
        """The value; ABSENT where a step leads nowhere."""
        found: JSON | Absent | Mapping[str, JSON] = scope.get(self.root, ABSENT)
        for step in self.steps:
            if isinstance(found, list) and isinstance(step, int):
                found = found[step] if step < len(found) else ABSENT
            elif isinstance(found, Mapping) and isinstance(step, str):
                found = found.get(step, ABSENT)
            else:
                return ABSENT
        return dict(found) if isinstance(found, Mapping) and not isinstance(found, dict) else found


@dataclass(frozen=True)
class Field:
    """A text with placeholders, compiled."""

    source: str
    pieces: tuple[str | Path, ...]

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        return tuple(piece for piece in self.pieces if isinstance(piece, Path))

    @property
    def lone(self) -> bool:
        """Whether the whole text is one placeholder."""
        return len(self.pieces) == 1 and bool(self.paths)

    @property
    def literal(self) -> str | None:
        """The text, if it has no placeholder."""
        return None if self.paths else "".join(str(piece) for piece in self.pieces)

    @property
    def prefix(self) -> str:
        """The text in front of the first placeholder."""
        return self.pieces[0] if self.pieces and isinstance(self.pieces[0], str) else ""

    def value(self, scope: Scope) -> JSON | Absent:
        """A lone placeholder keeps the type of its value; anything else is a text. ABSENT if a part of it is."""
        return self.paths[0].find(scope) if self.lone else self.text(scope)

    def text(self, scope: Scope, escape: Callable[[str], str] = str) -> str | Absent:
        """The text, each value escaped by `escape`. ABSENT if one of them is."""
        parts = []
        for piece in self.pieces:
            if isinstance(piece, str):
                parts.append(piece)
                continue
            found = piece.find(scope)
            if isinstance(found, Absent):
                return ABSENT
            parts.append(escape(as_text(found)))
        return "".join(parts)


def as_text(value: JSON) -> str:
    """A value inside a text: a text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def compile_field(source: str, roots: Collection[str]) -> Field:
    """A text that may name values of `roots`.

    Raises:
        FieldError: a brace is left open, a path is not one, or its root is not among `roots`.
    """
    pieces: list[str | Path] = []
    at = 0
    for opened, closed, inner in _placeholders(source):
        if opened > at:
            pieces.append(source[at:opened])
        pieces.append(_path(inner, roots))
        at = closed
    if at < len(source):
        pieces.append(source[at:])
    return Field(source, tuple(pieces))


def _placeholders(source: str) -> Iterator[tuple[int, int, str]]:
    """Where each placeholder begins and ends, and what stands in it."""
    at = 0
    while mark := _MARKS.search(source, at):
        if mark[0] == "}}":
            # "}}" ends many a text that has nothing to do with us: JSON, Go templates.
            at = mark.end()
            continue
        end = source.find("}}", mark.end())
        if end < 0:
            begun = source[mark.start() : mark.start() + _MOST_QUOTED]
            raise FieldError(
                f"the {{{{ in {begun!r} is not closed.", hint="Write {{ args.name }}, with two braces on each side."
            )
        yield mark.start(), end + 2, source[mark.end() : end].strip()
        at = end + 2


def _path(inner: str, roots: Collection[str]) -> Path:
    inner = inner if len(inner) <= _MOST_QUOTED else f"{inner[:_MOST_QUOTED]}…"  # too long for a path anyway
    match = _PATH.fullmatch(inner)
    if match is None:
        raise FieldError(
            f"{{{{ {inner} }}}} is no path.",
            hint="Only a look-up may stand there, like {{ args.name }}: no filters, calls or loops.",
        )
    root, rest = match.groups()
    if root not in roots:
        allowed = ", ".join(sorted(roots)) or "nothing"
        raise FieldError(f"{{{{ {inner} }}}} names {root!r}.", hint=f"What can be named here: {allowed}.")
    steps = tuple(key or int(index) for key, index in _STEP.findall(rest))
    if not steps:
        raise FieldError(
            f"{{{{ {inner} }}}} names all of {root!r}.", hint=f"Name one value of it: {{{{ {root}.name }}}}."
        )
    return Path(root, steps)


@dataclass(frozen=True, slots=True)
class Tree:
    """A JSON value whose texts may hold placeholders."""

    root: object
    """Lists and objects as they are, each text in it a `Field`."""

    def value(self, scope: Scope) -> JSON | Absent:
        """The JSON value. What is absent drops its key, or its place in a list."""
        return _filled(self.root, scope)

    @property
    def fields(self) -> Iterator[Field]:
        return _fields(self.root)


def _filled(node: object, scope: Scope) -> JSON | Absent:
    if isinstance(node, Field):
        return node.value(scope)
    if isinstance(node, dict):
        entries = ((key, _filled(value, scope)) for key, value in node.items())
        return {key: value for key, value in entries if not isinstance(value, Absent)}
    if isinstance(node, list):
        items = (_filled(value, scope) for value in node)
        return [value for value in items if not isinstance(value, Absent)]
    return node


def _fields(node: object) -> Iterator[Field]:
    if isinstance(node, Field):
        yield node
    elif isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _fields(child)


def compile_tree(value: JSON, roots: Collection[str], key: tuple[str | int, ...], faults: list[Fault]) -> Tree:
    """A JSON value with placeholders in its texts. What is wrong is added to `faults`, under `key`."""
    if isinstance(value, str):
        return Tree(field_or_fault(value, roots, key, faults))
    if isinstance(value, dict):
        return Tree({name: compile_tree(entry, roots, (*key, name), faults).root for name, entry in value.items()})
    if isinstance(value, list):
        return Tree([compile_tree(item, roots, (*key, index), faults).root for index, item in enumerate(value)])
    return Tree(value)


def field_or_fault(source: str, roots: Collection[str], key: tuple[str | int, ...], faults: list[Fault]) -> Field:
    """A compiled text; if it cannot be, a fault under `key`, and the text as it stands."""
    try:
        return compile_field(source, roots)
    except FieldError as problem:
        faults.append(Fault(key, problem.message, problem.hint))
        return Field(source, (source,))
