"""What it costs to make the grammar of a reply from the tools: with a hundred, and against ten."""

from __future__ import annotations

from measure import Effort, Row, cpu, in_turns, milliseconds, ratio, settle

from gemmagraph.prompts import Toolset, ToolSpec
from gemmagraph.prompts.grammar import grammar

_NOTATIONS = ("function_call", "json", "tool_code", "pythonic", "functiongemma", "gemma4")
_FEW, _MANY = 10, 100


def rows(effort: Effort) -> list[Row]:
    return [_row(notation, effort) for notation in _NOTATIONS]


def _row(notation: str, effort: Effort) -> Row:
    few, many = (Toolset(map(_tool, range(count))) for count in (_FEW, _MANY))
    settle()
    rounds = in_turns(
        {
            "few": cpu(lambda: grammar(notation, few, "required"), effort.seconds),
            "many": cpu(lambda: grammar(notation, many, "required"), effort.seconds),
        },
        effort.rounds,
    )
    grown = ratio(rounds, "many", "few")
    return Row(
        f"{notation}: the grammar of {_MANY} tools, against {_FEW}",
        f"{milliseconds(rounds['many'])} against {milliseconds(rounds['few'])}",
        ratio=grown,
        reach=f"≤ {1.2 * _MANY / _FEW:.0f} x",
        met=grown.median <= 1.2 * _MANY / _FEW,
    )


def _tool(place: int) -> ToolSpec:
    properties = {
        f"query_{place}": {"type": "string"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 100 + place},
        "order": {"enum": ["ascending", "descending", f"by field {place}"]},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 40}, "maxItems": 10},
        "area": {
            "type": "object",
            "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}, "name": {"type": "string"}},
            "required": ["lat", "lon"],
        },
    }
    required = [f"query_{place}", "area"]
    return ToolSpec(f"tool_{place}", "", {"type": "object", "properties": properties, "required": required})
