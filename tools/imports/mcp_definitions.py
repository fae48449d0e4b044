"""What an MCP server says of its tools: read with care, since somebody else wrote it, and pinned.

Marks of its own (`readOnlyHint` and the like) count for nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.imports.texts import readable

MOST_OF_A_DESCRIPTION: Final = 2_000
MOST_SHOWN: Final = 100
"""Characters of a name that messages repeat."""
_MOST_OF_A_DEFINITION: Final = 256 * 1024
_LONGEST_NAME: Final = 64


@dataclass(frozen=True)
class Definition:
    """One tool as its server describes it."""

    name: str
    description: str
    parameters: Mapping[str, JSON]
    output: Mapping[str, JSON] | None = None

    @property
    def title(self) -> str:
        """A name that a tool can have: its own, if it is one."""
        return re.sub(r"[^A-Za-z0-9_.-]+", "_", self.name[: 4 * _LONGEST_NAME])[:_LONGEST_NAME]

    @property
    def told(self) -> str:
        """The description as the model gets it."""
        return readable(self.description, MOST_OF_A_DESCRIPTION).strip()

    @cached_property
    def digest(self) -> str:
        """Of all that is said of it, the name left out."""
        said = {"description": self.description, "input": self.parameters, "output": self.output}
        return _sha256(said)


def pinned(definitions: Iterable[Definition]) -> str:
    """What `pin` says of them: a digest of names, descriptions and schemas."""
    return "sha256:" + _sha256({one.name: one.digest for one in definitions})


def tidied(
    entries: Iterable[Any], problem_of: Callable[[Mapping[str, Any]], str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The tools of a list that can be read, with nothing else in them than we use; and why the others cannot.

    Args:
        problem_of: why a tool is not taken by whoever reads the list next.
    """
    kept: list[dict[str, Any]] = []
    refused: dict[str, str] = {}
    for entry in entries:
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if not isinstance(name, str) or not name:
            refused[f"tool {len(kept) + len(refused) + 1}"] = "it has no name"
        elif problem := _problem(entry) or problem_of(tidy := _tidy(entry)):
            refused[readable(name, MOST_SHOWN)] = problem
        else:
            kept.append(tidy)
    return kept, refused


def _tidy(entry: Mapping[str, Any]) -> dict[str, Any]:
    tidy: dict[str, Any] = {"name": entry["name"], "description": entry.get("description") or ""}
    for key in ("inputSchema", "outputSchema"):
        if isinstance(schema := entry.get(key), dict):
            tidy[key] = {"type": "object", **schema}
    return tidy


def _problem(entry: Mapping[str, Any]) -> str:
    """Why an entry is not taken; empty if it is."""
    schema, description = entry.get("inputSchema"), entry.get("description")
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        return "its inputSchema is no schema of an object"
    if description is not None and not isinstance(description, str):
        return "its description is no text"
    output = entry.get("outputSchema")
    if isinstance(output, dict) and output.get("type", "object") != "object":
        return "its outputSchema is no schema of an object"
    try:
        size = len(json.dumps([schema, description, output]))
    except (RecursionError, ValueError):
        return "its schemas are nested too deeply"
    return "its description and schemas are too large" if size > _MOST_OF_A_DEFINITION else ""


def _sha256(value: JSON) -> str:
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
