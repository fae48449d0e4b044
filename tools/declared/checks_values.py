"""What the checks look at: the merged values of a file, in which parts that did not fit their form are missing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.declared.document import Document
from gemmagraph.tools.declared.nodes import KeyPath
from gemmagraph.tools.declared.problems import did_you_mean

Finding: TypeAlias = tuple[KeyPath, str, str]
"""Key path, message, hint."""


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def items(document: Document, section: str) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """Each tool, import or rule, with its path."""
    for index, item in enumerate(listed(document.values.get(section))):
        yield (section, index), mapping(item)


def table(document: Document, section: str) -> Mapping[str, Any]:
    return mapping(document.values.get(section))


def unknown(kind: str, name: str, known: Collection[str], path: KeyPath, holder: str = "file") -> Finding:
    near = did_you_mean(name, known)
    several = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    few = f"There are: {', '.join(sorted(known)[:12])}." if known else f"The {holder} has no {several}."
    return path, f"there is no {kind} {name!r}" + (f"; {near}" if near else ""), "" if near else few


def tools_and_overrides(document: Document) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    yield from items(document, "tools")
    for path, made in items(document, "imports"):
        for name, override in mapping(made.get("overrides")).items():
            yield (*path, "overrides", name), mapping(override)


def texts(value: JSON, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """The texts in a value that have placeholders."""
    if type(value) is str:
        if "{{" in value:
            yield path, value
    elif type(value) is dict:
        for key, child in value.items():
            if type(child) is not bool:
                yield from texts(child, (*path, key))
    elif type(value) is list:
        for index, child in enumerate(value):
            yield from texts(child, (*path, index))
