"""What tools there are, what each may do, and what it costs in a prompt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from gemmagraph.cli.terminal import plain
from gemmagraph.prompts import schemas
from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.prompts.notation import Notation, notation_named, notation_names
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.tools import Tool

_PROBE = ToolSpec("probe", "")
"""Stands beside a tool that is measured, so that what is said once for all tools is not counted."""
_TWIN = ToolSpec("other", "")


def shown(tools: Sequence[Tool], cost: bool, as_json: bool) -> str:
    """Tools as a person reads them, or as one JSON object.

    Args:
        tools: of which.
        cost: whether the characters are told that each of them takes in a prompt.
        as_json: for programs.
    """
    notations = [notation_named(name) for name in notation_names()] if cost else []
    specs = [tool.spec for tool in tools]
    costs = {notation.name: _Cost.of(notation, specs) for notation in notations}
    if as_json:
        return json.dumps(_as_json(tools, costs), ensure_ascii=False, indent=2)
    text = "\n\n".join(_described(tool) for tool in tools)
    return f"{text}\n\n{_table(specs, costs)}" if costs else text


@dataclass(frozen=True)
class _Cost:
    """Characters that a notation takes to declare tools."""

    each: tuple[int, ...]
    fixed: int
    """What is said once, however many tools there are."""
    total: int

    @classmethod
    def of(cls, notation: Notation, specs: Sequence[ToolSpec]) -> _Cost:
        def length(*shown: ToolSpec) -> int:
            return len(notation.declare(Toolset(shown)))

        alone = length(_PROBE)
        fixed = 2 * alone - length(_PROBE, _TWIN)
        return cls(tuple(length(_PROBE, spec) - alone for spec in specs), fixed, length(*specs) if specs else 0)


def _described(tool: Tool) -> str:
    """A tool in a few lines: how it is called, what it does, what it may do."""
    lines = [schemas.signature(tool.name, schemas.flat(tool.spec.parameters))]
    lines += [f"  {line.strip()}" for line in tool.spec.description.splitlines() if line.strip()]
    facts = [*_facts(tool)]
    ruling = tool.own_ruling()
    if ruling.verdict != "allow":
        facts.append(f"{'asks a person' if ruling.verdict == 'ask' else 'never runs'} ({ruling.reason})")
    if facts:
        lines.append(f"  {' · '.join(facts)}")
    return plain("\n".join(lines))


def _facts(tool: Tool) -> Sequence[str]:
    known = ("read_only", "idempotent", "destructive", "open_world", "return_direct", "sequential")
    return [fact.replace("_", " ") for fact in known if getattr(tool, fact)]


def _table(specs: Sequence[ToolSpec], costs: dict[str, _Cost]) -> str:
    """Characters by tool and notation, and what all of them take together."""
    head = ["characters in a prompt", *costs]
    rows = [
        [plain(spec.name)[:40], *(str(cost.each[place]) for cost in costs.values())]
        for place, spec in enumerate(specs)
    ]
    rows.append(["once, whatever the tools", *(str(cost.fixed) for cost in costs.values())])
    rows.append(["all together", *(str(cost.total) for cost in costs.values())])
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in [head, *rows]
    ]
    return "\n".join(lines)


def _as_json(tools: Sequence[Tool], costs: dict[str, _Cost]) -> dict[str, JSON]:
    listed = []
    for place, tool in enumerate(tools):
        ruling = tool.own_ruling()
        entry: dict[str, JSON] = {
            "name": tool.name,
            "description": tool.spec.description,
            "parameters": dict(tool.spec.parameters),
            "facts": list(_facts(tool)),
            "approval": {"verdict": ruling.verdict, "reason": ruling.reason},
        }
        if costs:
            entry["characters"] = {name: cost.each[place] for name, cost in costs.items()}
        listed.append(entry)
    answer: dict[str, JSON] = {"tools": listed}
    if costs:
        answer["characters"] = {name: {"once": cost.fixed, "total": cost.total} for name, cost in costs.items()}
    return answer
