"""What imports have in common: chosen tools, under names and with facts of this file's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gemmagraph.tools.declared.document import with_defaults
from gemmagraph.tools.declared.making import facts_of
from gemmagraph.tools.declaring import error_fields
from gemmagraph.tools.errors import Fault, ToolDefinitionError
from gemmagraph.tools.tool import Tool


@dataclass
class Import:
    """One entry under `imports:`."""

    name: str
    """What it imports from, for people."""
    kind: str
    place: str
    open: Callable[[], Awaitable[list[Tool]]]
    """Its tools. Raises ToolDefinitionError if they cannot be had."""

    @property
    def left_out(self) -> dict[str, str]:
        """What it has and does not give, and why; complete once it was opened."""
        return {}


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
