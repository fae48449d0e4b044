"""Reads a file and those it includes; all that is wrong with all of them is found at once."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from gemmagraph.tools.declared.checks import check
from gemmagraph.tools.declared.document import Document, Kind, SourceFile, merged
from gemmagraph.tools.declared.format import ASSISTANT, TOOLS
from gemmagraph.tools.declared.forms import Enough, Flaws
from gemmagraph.tools.declared.nodes import KeyPath, Mapping, Node
from gemmagraph.tools.declared.problems import FileErrors, Place, Problem
from gemmagraph.tools.declared.settings import Settings
from gemmagraph.tools.declared.source import MOST_BYTES, read_source

_MOST_FILES = 100


def load_document(path: str | os.PathLike[str], kind: Kind | None = None) -> Document:
    """The file, with those it includes.

    Args:
        path: an assistant file or a tools file.
        kind: which of the two; unless said, a file that has only the keys of a tools file is one.

    Raises:
        FileErrors: one of them cannot be read, or does not fit the format.
    """
    document = read_document(path, kind)
    if document.problems:
        raise FileErrors(document.problems)
    return document


def read_document(path: str | os.PathLike[str], kind: Kind | None = None) -> Document:
    """The same, with what is wrong in its `problems`: a `Maker` may find more.

    Raises:
        FileErrors: nothing is known of the file.
    """
    loading = _Loading(kind)
    loading.load(Path(path), os.fspath(path), None)
    if not loading.files:
        raise FileErrors(loading.problems)
    values = merged(loading.files)
    settings = Settings(values.get("settings") or {})
    document = Document(tuple(loading.files), settings.fill((), values), settings, complete=not loading.unread)
    found = check(document)
    problems = [*loading.problems, *(document.problem(*finding) for finding in found)]
    wrong = frozenset(at[:length] for at, _, _ in found for length in range(len(at) + 1))
    return replace(document, problems=tuple(document.sorted(problems)), wrong=wrong)


@dataclass
class _Loading:
    kind: Kind | None
    files: list[SourceFile] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unread: bool = False
    """Whether there is a file of which nothing is known."""
    _met: set[Path] = field(default_factory=set)

    def load(self, path: Path, name: str, parent: SourceFile | None, said: Problem | None = None) -> None:
        """One file, then those it includes.

        Args:
            said: what to report if it cannot be opened; else the error stands for the file itself.
        """
        self._met.add(path.resolve())
        root = self._root(path, name, said)
        if root is None:
            self.unread = True
            return
        kind: Kind = "tools" if parent else self.kind or _kind_of(root)
        flaws = Flaws()
        values = None
        with suppress(Enough):
            values = (TOOLS if kind == "tools" else ASSISTANT).read(root, flaws)
        self.unread |= values is None
        file = SourceFile(path, name, kind, root, values or {}, parent, tuple(flaws))
        self.files.append(file)
        self.problems += file.problems()
        for index, entry in enumerate(file.values.get("include") or ()):
            self._include(file, ("include", index), entry)

    def _root(self, path: Path, name: str, said: Problem | None) -> Node | None:
        try:
            with path.open("rb") as opened:
                data = opened.read(MOST_BYTES + 1)
        except (OSError, ValueError) as problem:
            why = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
            place = said.place if said else Place(name, 1, 1)
            self.problems.append(Problem(place, said.where if said else "", f"cannot read {name!r}: {why}"))
            return None
        source = read_source(data)
        self.problems += [
            Problem(Place(name, flaw.line, flaw.column), "", flaw.message, flaw.hint) for flaw in source.flaws
        ]
        return source.root

    def _include(self, file: SourceFile, key: KeyPath, entry: object) -> None:
        if not isinstance(entry, str) or not entry:
            return
        said = file.problem(key, "")
        refused = _refusal(entry)
        path = file.path.parent / entry
        if not refused and path.resolve() in _lineage(file):
            refused = f"{entry!r} includes this file: a circle"
        if not refused and len(self._met) >= _MOST_FILES:
            refused = f"more than {_MOST_FILES} files"
        if refused:
            self.problems.append(Problem(said.place, said.where, refused))
        elif path.resolve() not in self._met:
            name = os.path.normpath(os.path.join(os.path.dirname(file.name), entry))
            self.load(path, name, file, said)


def _refusal(entry: str) -> str:
    if "://" in entry:
        return f"{entry!r} is an address; only local files are included"
    return "a path cannot hold a NUL" if "\0" in entry else ""


def _lineage(file: SourceFile | None) -> set[Path]:
    """The file and those that include it."""
    found = set()
    while file is not None:
        found.add(file.path.resolve())
        file = file.parent
    return found


def _kind_of(root: Node) -> Kind:
    only_shared = isinstance(root, Mapping) and root.entries.keys() <= TOOLS.keys.keys()
    return "tools" if only_shared else "assistant"
