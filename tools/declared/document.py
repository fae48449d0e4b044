"""A file that was read, with those it includes: values that are merged, and the place of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.declared.format import MERGED_LISTS, MERGED_TABLES
from gemmagraph.tools.declared.forms import Flaw
from gemmagraph.tools.declared.nodes import KeyPath, Node, key_paths
from gemmagraph.tools.declared.problems import MOST_SHOWN, Place, Problem, did_you_mean, find, where
from gemmagraph.tools.errors import Fault

Kind: TypeAlias = Literal["assistant", "tools"]


@dataclass(frozen=True)
class SourceFile:
    """One file, as it was read."""

    path: Path
    name: str
    """As the person named it, or relative to that."""
    kind: Kind
    root: Node
    values: dict[str, JSON]
    """What its form made of it; parts that did not fit are missing or None."""
    parent: SourceFile | None = field(default=None, repr=False)
    """The file that includes it."""

    def place(self, path: KeyPath) -> Place:
        """Where a key path of this file stands, or the nearest part of it that is there."""
        for length in range(len(path), -1, -1):
            node = find(self.root, path[:length])
            if node is not None:
                return Place(self.name, node.mark.line + 1, node.mark.column + 1)
        raise AssertionError("the root is always there")

    def has(self, path: KeyPath) -> bool:
        return find(self.root, path) is not None

    def problem(self, path: KeyPath, message: str, hint: str = "") -> Problem:
        return Problem(self.place(path), where(self.root, path), message, hint)

    def problems(self, flaws: Sequence[Flaw]) -> list[Problem]:
        """What its form found."""
        paths = key_paths(self.root) if flaws else {}
        flaws = sorted(flaws, key=lambda flaw: (flaw.mark.line, flaw.mark.column))
        return [self._problem(flaw, paths[id(flaw.node)], index < MOST_SHOWN) for index, flaw in enumerate(flaws)]

    def _problem(self, flaw: Flaw, path: KeyPath, near: bool) -> Problem:
        place = Place(self.name, flaw.mark.line + 1, flaw.mark.column + 1)
        said = where(self.root, path if flaw.key is None else (*path, flaw.key))
        if near and (meant := did_you_mean(flaw.word, flaw.near)):
            return Problem(place, said, f"{flaw.message}; {meant}")
        return Problem(place, said, flaw.message, flaw.hint)


@dataclass(frozen=True)
class Document:
    """A file and those it includes. `tools` and `imports` are one list: its own first, then those of each included
    file in turn; `secrets` and `connections` are one table."""

    files: tuple[SourceFile, ...]
    values: dict[str, JSON]

    @property
    def path(self) -> Path:
        return self.files[0].path

    @property
    def kind(self) -> Kind:
        return self.files[0].kind

    def file(self, path: KeyPath) -> SourceFile:
        """The file in which a key path of the merged values stands."""
        return self._own(path)[0]

    def folder(self, path: KeyPath) -> Path:
        """The folder that paths written there are relative to."""
        return self.file(path).path.parent

    def place(self, path: KeyPath) -> Place:
        """Where a key path stands, or the nearest part of it that is there. What a tool has from `defaults` stands
        there."""
        file, own = self._own(path)
        if own[0:1] == ("tools",) and not file.has(own):
            for source in _upwards(file):
                if source.has(("defaults", *own[2:])) and len(own) > 2:
                    return source.place(("defaults", *own[2:]))
        return file.place(own)

    def problem(self, path: KeyPath, message: str, hint: str = "") -> Problem:
        file, own = self._own(path)
        return Problem(self.place(path), where(file.root, own), message, hint)

    def faults(self, path: KeyPath, faults: Iterable[Fault]) -> list[Problem]:
        """What a constructor found wrong with what stands at `path`."""
        return [self.problem((*path, *fault.key), fault.message, fault.hint) for fault in faults]

    def defaults(self, path: KeyPath) -> dict[str, JSON]:
        """What holds for a tool or an import that says nothing else: of its own file, then of those including it."""
        merged: dict[str, JSON] = {}
        for source in _upwards(self.file(path)):
            merged = with_defaults(source.values.get("defaults") or {}, merged)
        return merged

    def sorted(self, problems: Iterable[Problem]) -> list[Problem]:
        """By file, line and column."""
        names = [file.name for file in self.files]

        def order(problem: Problem) -> tuple[int, str, int, int]:
            at = problem.place
            return names.index(at.file) if at.file in names else len(names), at.file, at.line, at.column

        return sorted(problems, key=order)

    def _own(self, path: KeyPath) -> tuple[SourceFile, KeyPath]:
        """The file, and the path in it."""
        if len(path) >= 2:
            section, step, *rest = path
            if section in MERGED_LISTS and isinstance(step, int):
                for file in self.files:
                    count = len(file.values.get(section) or ())
                    if step < count:
                        return file, (section, step, *rest)
                    step -= count
            elif section in MERGED_TABLES:
                for file in self.files:
                    if step in (file.values.get(section) or ()):
                        return file, path
        return self.files[0], path


def _upwards(file: SourceFile) -> Iterable[SourceFile]:
    source: SourceFile | None = file
    while source is not None:
        yield source
        source = source.parent


def merged(files: Sequence[SourceFile]) -> dict[str, JSON]:
    """The values of the first file, with what the others add."""
    values = dict(files[0].values)
    for section in MERGED_LISTS:
        if any(section in file.values for file in files):
            values[section] = [item for file in files for item in file.values.get(section) or ()]
    for section in MERGED_TABLES:
        if any(section in file.values for file in files):
            values[section] = {
                name: value for file in reversed(files) for name, value in (file.values.get(section) or {}).items()
            }
    return values


def with_defaults(defaults: Mapping[str, JSON], own: Mapping[str, JSON]) -> dict[str, JSON]:
    """`own` with what it does not say; mappings are merged key by key, lists and all else are replaced."""
    merged = {**defaults, **own}
    for key, value in defaults.items():
        if isinstance(value, dict) and isinstance(own.get(key), dict):
            merged[key] = with_defaults(value, own[key])
    return merged
