"""What is wrong with a file, for the person who wrote it: file, line, tool, key, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from gemmagraph.prompts.errors import GemmagraphError
from gemmagraph.tools.declared.nodes import KeyPath, Mapping, Node, Scalar, Sequence
from gemmagraph.tools.errors import spelled_key

MOST_SHOWN: Final = 50
_MOST_COMPARED: Final = 200
_LONGEST: Final = 400


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. Lines and columns count from 1."""

    file: str
    """As the person named it, or relative to that."""
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    place: Place
    where: str
    """The tool and the key: `tools[2] (create_issue) → http.path`; empty for the file as a whole."""
    message: str
    hint: str = ""

    def __str__(self) -> str:
        message = self.message if len(self.message) <= _LONGEST else self.message[:_LONGEST] + "…"
        said = f"{self.where}: {message}" if self.where else message
        said = f"{self.place}: {said}"
        if not self.hint:
            return said
        return f"{said} {self.hint}" if said.endswith((".", "?", "!")) else f"{said}. {self.hint}"


class FileErrors(GemmagraphError):
    """All that is wrong with a file and those it includes. Read by the developer.

    Its message has a line for each problem, in the order of the files and lines.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        if more := len(self.problems) - len(lines):
            lines.append(f"… and {more:,} more.")
        super().__init__("\n".join(lines))


def nearest(word: str, known: Collection[str], likeness: float = 0.6) -> str | None:
    """The one of `known` that `word` is likely to mean."""
    if len(word) > 60:
        return None
    if len(known) > _MOST_COMPARED:
        known = list(islice((name for name in known if name[:1] == word[:1]), _MOST_COMPARED))
    by_case = {name.casefold(): name for name in known if len(name) <= 60}
    near = difflib.get_close_matches(word.casefold(), by_case, n=1, cutoff=likeness)
    return by_case[near[0]] if near else None


def did_you_mean(word: str, known: Collection[str]) -> str:
    """The question, or nothing."""
    near = nearest(word, known)
    return f"did you mean {near!r}?" if near else ""


def where(root: Node, path: KeyPath) -> str:
    """A path of keys for people; of a tool or an import, with its name."""
    if len(path) < 2 or path[0] not in ("tools", "imports") or not isinstance(path[1], int):
        return _spelled(path)
    name = name_of(find(root, path[:2]))
    item = spelled_key(path[:2]) + (f" ({name})" if name else "")
    return f"{item} → {_spelled(path[2:])}" if path[2:] else item


def _spelled(path: KeyPath) -> str:
    return spelled_key([step[:60] if isinstance(step, str) else step for step in path])


def name_of(node: Node | None) -> str:
    """The name of a tool, the document or the server of an import."""
    while isinstance(node, Mapping):
        node = next((node.entries[key] for key in _NAMING if key in node.entries), None)
    return node.text[:60] if isinstance(node, Scalar) else ""


_NAMING = ("name", "openapi", "mcp", "command", "url")


def find(root: Node, path: KeyPath) -> Node | None:
    """The node of a path of keys, if there is one.

    A key that a short form leaves out (`shell: [ls]` for `shell: {argv: [ls]}`) is passed over.
    """
    node = root
    for step in path:
        if isinstance(node, Mapping):
            child = node.entries.get(str(step))
            if child is None:
                return None
            node = child
        elif isinstance(step, int):
            if not isinstance(node, Sequence) or step >= len(node.items):
                return None
            node = node.items[step]
    return node
