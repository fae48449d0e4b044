"""A YAML file as a tree of values that know where they stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from gemmagraph.prompts.messages import JSON

KeyPath: TypeAlias = tuple[str | int, ...]


class Mark(Protocol):
    """A place in a text, counted from 0."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


# Not frozen: that makes them three times slower to make, and a file has tens of thousands.
@dataclass(slots=True, eq=False)
class Scalar:
    value: str | int | float | bool | None
    text: str
    """As it is written, without quotes: `010`, `on`, `~`."""
    mark: Mark


@dataclass(slots=True, eq=False)
class Sequence:
    items: list[Node]
    mark: Mark


@dataclass(slots=True, eq=False)
class Mapping:
    entries: dict[str, Node]
    marks: dict[str, Mark]
    """Where each key stands."""
    mark: Mark


Node: TypeAlias = Scalar | Sequence | Mapping


def plain(node: Node) -> JSON:
    """The value alone."""
    if type(node) is Scalar:
        return node.value
    if type(node) is Mapping:
        return {key: plain(child) for key, child in node.entries.items()}
    assert type(node) is Sequence
    return [plain(child) for child in node.items]


def children(node: Node) -> Iterator[tuple[str | int, Node]]:
    if isinstance(node, Mapping):
        yield from node.entries.items()
    elif isinstance(node, Sequence):
        yield from enumerate(node.items)


def key_paths(root: Node) -> dict[int, KeyPath]:
    """The path of every node below `root`, by its `id`."""
    paths: dict[int, KeyPath] = {id(root): ()}
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        here = paths[id(parent)]
        for key, child in children(parent):
            paths[id(child)] = (*here, key)
            waiting.append(child)
    return paths


def shown(text: str) -> str:
    """A text in quotes, cut when it is long."""
    return repr(text if len(text) <= 60 else text[:57] + "…")
