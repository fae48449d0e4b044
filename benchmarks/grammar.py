"""What it costs to make the grammar of a reply from the tools: with a hundred, and against ten."""

from __future__ import annotations

import sys
from pathlib import Path

from measure import Effort, Row, cpu, in_turns, milliseconds, ratio, settle

from gemmagraph.prompts.grammar.calls import grammar

sys.path.append(str(Path(__file__).parent.parent / "tests" / "prompts"))
from made_up_tools import typical_tool

_NOTATIONS = ("function_call", "json", "tool_code", "pythonic", "functiongemma", "gemma4")
_FEW, _MANY = 10, 100


def rows(effort: Effort) -> list[Row]:
    return [_row(notation, effort) for notation in _NOTATIONS]


def _row(notation: str, effort: Effort) -> Row:
    few, many = (list(map(typical_tool, range(count))) for count in (_FEW, _MANY))  # of a toolset it is kept
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
