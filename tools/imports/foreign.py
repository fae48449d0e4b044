"""What imports have in common: chosen tools, under names and with facts of this file's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from gemmagraph.tools.declared.document import with_defaults
from gemmagraph.tools.declared.making import facts_of
from gemmagraph.tools.declaring import error_fields
from gemmagraph.tools.errors import Fault, ToolDefinitionError
from gemmagraph.tools.secrets import Secrets
from gemmagraph.tools.tool import Tool


@dataclass(frozen=True)
class Surroundings:
    """What a file says around an import."""

    folder: Path
    """What relative paths are relative to."""
    secrets: Secrets
    place: str
    """File and line."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What holds for each tool of which nothing else is said."""


@dataclass
class Import:
    """One entry under `imports:`."""

    name: str
    """What it imports from, for people."""
    kind: str
    place: str
    open: Callable[[], Awaitable[list[Tool]]]
    """Its tools. Raises ToolDefinitionError if they cannot be had."""
    names: Collection[str] | None = None
    """Names and globs, one of which each of its tools' names fits, as far as that is known before it is opened; None:
    they may have any."""
    left_out: dict[str, str] = field(default_factory=dict)
    """What it has and does not give, and why; complete once it was opened."""

    def may_have(self, globs: Iterable[str]) -> bool:
        """Whether one of its tools may have a name that fits one of the globs."""
        return self.names is None or any(_meet(name, glob) for glob in globs for name in self.names)


def overridden(tool: Tool, said: Mapping[str, Any], place: str, defaults: Mapping[str, Any]) -> Tool:
    """An imported tool with what this file says of it: the mapping under `overrides`, and the file's `defaults`.

    Raises:
        ToolDefinitionError: something in it is wrong.
    """
    faults: list[Fault] = []
    said = with_defaults(defaults, said)
    errors = error_fields(said.get("errors") or {}, faults)
    if faults:
        raise ToolDefinitionError(f"The tool {tool.name}", faults=faults)
    spec = replace(
        tool.spec,
        name=said.get("name", tool.name),
        description=said.get("description", tool.description),
        examples=tuple(said.get("examples") or tool.examples),
    )
    return replace(tool, spec=spec, errors={**tool.errors, **errors}, place=place, **facts_of(said))


@lru_cache(maxsize=4096)
def _meet(one: str, other: str) -> bool:
    """Whether a text may fit both globs. What stands in brackets may be anything."""
    if "[" in one + other or not one or not other:
        return "[" in one + other or not (one + other).strip("*")
    if one[0] == "*":
        return _meet(one[1:], other) or _meet(one, other[1:])
    if other[0] == "*":
        return _meet(other, one)
    return (one[0] == other[0] or "?" in (one[0], other[0])) and _meet(one[1:], other[1:])
