"""A file that was read, with those it includes: values that are merged, and the place of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.declared import nodes
from gemmagraph.tools.declared.format import MERGED_LISTS, MERGED_TABLES
from gemmagraph.tools.declared.forms import Flaw
from gemmagraph.tools.declared.nodes import KeyPath, Node, key_paths
from gemmagraph.tools.declared.problems import MOST_SHOWN, Place, Problem, did_you_mean, find, name_of, nearest, where
from gemmagraph.tools.declared.settings import Settings
from gemmagraph.tools.declared.structures import Keys, OneOf
from gemmagraph.tools.declared.tools import DEFAULTS
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
    flaws: Sequence[Flaw] = field(default=(), repr=False)
    """What its form found."""

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

    def problems(self) -> list[Problem]:
        """What its form found, by line and column."""
        found = sorted(self._flawed, key=lambda flawed: (flawed[1].mark.line, flawed[1].mark.column))
        return [self._problem(path, flaw, index < MOST_SHOWN) for index, (path, flaw) in enumerate(found)]

    @cached_property
    def _flawed(self) -> list[tuple[KeyPath, Flaw]]:
        paths = key_paths(self.root) if self.flaws else {}
        own = ((paths[id(flaw.node)], flaw) for flaw in self.flaws)
        return [(path if flaw.key is None else (*path, flaw.key), flaw) for path, flaw in own]

    @cached_property
    def misfits(self) -> frozenset[KeyPath]:
        """What has a flaw itself."""
        return frozenset(path for path, _ in self._flawed)

    @cached_property
    def touched(self) -> frozenset[KeyPath]:
        """What has a flaw somewhere in it."""
        return frozenset(path[:length] for path in self.misfits for length in range(len(path) + 1))

    def misspelt(self, path: KeyPath, *keys: str) -> bool:
        """Whether a mapping has a key that is not known and is likely to mean one of these."""
        return any(nearest(word, keys) for word in self._unknown.get(path, ()))

    @cached_property
    def _unknown(self) -> dict[KeyPath, list[str]]:
        found: dict[KeyPath, list[str]] = {}
        for path, flaw in self._flawed:
            if flaw.unknown:
                found.setdefault(path[:-1], []).append(flaw.word)
        return found

    @cached_property
    def defaults(self) -> Mapping[str, JSON]:
        """What holds for its tools and imports that say nothing else."""
        node = find(self.root, ("defaults",))
        return DEFAULTS.parts(node) if node is not None and self.flaws else self.values.get("defaults") or {}

    def _problem(self, path: KeyPath, flaw: Flaw, near: bool) -> Problem:
        place = Place(self.name, flaw.mark.line + 1, flaw.mark.column + 1)
        said = where(self.root, path)
        if near and (meant := did_you_mean(flaw.word, flaw.near)):
            return Problem(place, said, f"{flaw.message}; {meant}")
        return Problem(place, said, flaw.message, flaw.hint)


@dataclass(frozen=True)
class Document:
    """A file and those it includes. `tools` and `imports` are one list: its own first, then those of each included
    file in turn; `secrets`, `settings` and `connections` are one table."""

    files: tuple[SourceFile, ...]
    values: dict[str, JSON]
    """Settings are filled in."""
    settings: Settings = field(default_factory=lambda: Settings({}), repr=False)
    complete: bool = True
    """Whether there is no file of which nothing is known."""
    problems: tuple[Problem, ...] = ()
    """What was found wrong so far."""
    wrong: frozenset[KeyPath] = frozenset()
    """What the checks found something in."""

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
        file, own = self._source(path)
        return file.place(own)

    def problem(self, path: KeyPath, message: str, hint: str = "") -> Problem:
        file, own = self._source(path)
        return file.problem(own, message, hint)

    def faults(self, path: KeyPath, faults: Iterable[Fault]) -> list[Problem]:
        """What a constructor found wrong with what stands at `path`."""
        return [self.problem((*path, *fault.key), fault.message, fault.hint) for fault in faults]

    def defaults(self, path: KeyPath) -> dict[str, JSON]:
        """What holds for a tool or an import that says nothing else: of its own file, then of those including it."""
        merged: dict[str, JSON] = {}
        for source in _upwards(self.file(path)):
            merged = with_defaults(source.defaults, merged)
        return merged

    def sorted(self, problems: Iterable[Problem]) -> list[Problem]:
        """By file, line and column, each of them once."""
        names = [file.name for file in self.files]

        def order(problem: Problem) -> tuple[int, str, int, int]:
            at = problem.place
            return names.index(at.file) if at.file in names else len(names), at.file, at.line, at.column

        return sorted(dict.fromkeys(problems), key=order)

    def right(self, path: KeyPath) -> bool:
        """Whether nothing was found wrong in what stands at `path`."""
        file, own = self._own(path)
        return own not in file.touched and path not in self.wrong

    def fits(self, path: KeyPath) -> bool:
        """Whether what stands at `path` is not wrong as a whole; parts of it may be."""
        file, own = self._own(path)
        return own not in file.misfits

    def sure(self, path: KeyPath, *keys: str) -> bool:
        """Whether some keys of a mapping say what is meant: none of them has a flaw, and where one of them is left
        out, no other is misspelt. What follows from keys that are not sure may be wrong for no other reason."""
        file, own = self._own(path)
        if not file.flaws:
            return True
        there = find(file.root, own)
        if not isinstance(there, nodes.Mapping):
            return False
        left_out = [key for key in keys if key not in there.entries]
        return not file.misspelt(own, *left_out) and not any((*own, key) in file.touched for key in keys)

    def lists(self, section: str) -> bool:
        """Whether the names under a section are all that there are."""
        return self.complete and all(
            (section,) not in file.misfits and (section in file.values or not file.misspelt((), section))
            for file in self.files
        )

    def name(self, path: KeyPath) -> str:
        """How a tool or an import is called where it stands."""
        file, own = self._own(path)
        return name_of(find(file.root, own))

    def parts(self, path: KeyPath, form: Keys | OneOf) -> dict[str, Any]:
        """The keys at `path` that have no flaw."""
        file, own = self._own(path)
        if own in file.touched:
            node = find(file.root, own)
            kept: dict[str, Any] = self.settings.fill(path, form.parts(node)) if node is not None else {}
            return kept
        whole: dict[str, Any] = self._value(path)
        return whole

    def _value(self, path: KeyPath) -> Any:
        found: Any = self.values
        for step in path:
            found = found[step]
        return found

    def _source(self, path: KeyPath) -> tuple[SourceFile, KeyPath]:
        """The file, and the path in it, from which a tool has something."""
        file, own = self._own(path)
        if own[0:1] == ("tools",) and len(own) > 2 and not file.has(own):
            for source in _upwards(file):
                if source.has(("defaults", *own[2:])):
                    return source, ("defaults", *own[2:])
        return file, own

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
