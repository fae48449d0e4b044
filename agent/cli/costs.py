"""What it costs to tell a model of tools: characters in a prompt, by notation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gemmagraph.cli.terminal import plain
from gemmagraph.prompts.messages import ToolSpec
from gemmagraph.prompts.notation import Notation, notation_named, notation_names
from gemmagraph.prompts.toolset import Toolset

_PROBE = ToolSpec("probe", "")
"""Stands beside a tool that is measured, so that what is said once for all tools is not counted."""
_TWIN = ToolSpec("other", "")


@dataclass(frozen=True)
class Cost:
    """Characters that a notation takes to declare tools."""

    each: tuple[int, ...]
    fixed: int
    """What is said once, however many tools there are."""
    total: int

    @classmethod
    def of(cls, notation: Notation, specs: Sequence[ToolSpec]) -> Cost:
        def length(*shown: ToolSpec) -> int:
            return len(notation.declare(Toolset(shown)))

        alone = length(_PROBE)
        fixed = 2 * alone - length(_PROBE, _TWIN)
        return cls(tuple(length(_PROBE, spec) - alone for spec in specs), fixed, length(*specs) if specs else 0)


def costs_of(specs: Sequence[ToolSpec]) -> dict[str, Cost]:
    """By the name of each notation."""
    return {name: Cost.of(notation_named(name), specs) for name in notation_names()}


def cost_table(specs: Sequence[ToolSpec], costs: Mapping[str, Cost]) -> str:
    """Characters by tool and notation, and what all of them take together."""
    head = ["characters", *costs]
    rows = [
        [plain(spec.name)[:40], *(str(cost.each[place]) for cost in costs.values())]
        for place, spec in enumerate(specs)
    ]
    rows.append(["once", *(str(cost.fixed) for cost in costs.values())])
    rows.append(["together", *(str(cost.total) for cost in costs.values())])
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in [head, *rows]
    ]
    return "\n".join(lines)
