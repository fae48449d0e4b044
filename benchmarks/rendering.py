"""What it costs to write a prompt: all of it, and one more turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from measure import Effort, Row, cpu, in_turns, microseconds, ratio, settle

from gemmagraph.prompts import (
    PromptWriter,
    Text,
    ToolCall,
    ToolResult,
    Toolset,
    ToolSpec,
    Transcript,
    Turn,
    notation_named,
    turn_format,
)

_NOTATIONS = (
    ("function_call", "gemma"),
    ("json", "gemma"),
    ("tool_code", "gemma"),
    ("pythonic", "gemma"),
    ("functiongemma", "functiongemma"),
    ("gemma4", "gemma4"),
)
_FEW, _MANY = 10, 1_000
_STEPS = 50


def rows(effort: Effort) -> list[Row]:
    return [row for notation, form in _NOTATIONS for row in _rows(notation, form, effort)]


def _rows(notation: str, form: str, effort: Effort) -> list[Row]:

    specs = _specs(100)

    def writer() -> PromptWriter:
        return PromptWriter(turn_format(form), notation_named(notation), Toolset(specs))

    def anew() -> None:
        transcript = Transcript(writer())
        transcript.update(turns)
        transcript.completion()

    turns = _turns(100)
    settle()
    whole = in_turns({"anew": cpu(anew, effort.seconds)}, effort.rounds)["anew"]
    kept = writer()
    rounds = in_turns({"few": _added(kept, _FEW), "many": _added(kept, _MANY)}, effort.rounds)
    grown = ratio(rounds, "many", "few")
    return [
        Row(f"{notation}: a prompt of 100 turns and 100 tools", microseconds(whole)),
        Row(
            f"{notation}: one more turn after {_MANY:,} against after {_FEW}",
            f"{microseconds(rounds['many'])} against {microseconds(rounds['few'])}",
            ratio=grown,
            reach="≤ 1.3 x",
            met=grown.median <= 1.3,
        ),
    ]


def _added(writer: PromptWriter, count: int) -> Callable[[], float]:
    """CPU seconds of a prompt that is a result and an answer longer than the one before, behind `count` turns."""
    known = _turns(count)
    steps = [_turns(4)[2:] for _ in range(_STEPS)]

    def figure() -> float:
        transcript = Transcript(writer)
        transcript.update(known)
        transcript.completion()
        turns = list(known)
        spent = 0.0
        for added in steps:
            turns += added
            begun = time.process_time()
            transcript.update(turns)
            transcript.completion()
            spent += time.process_time() - begun
        return spent / _STEPS

    return figure


def _specs(count: int) -> Sequence[ToolSpec]:

    declared = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Name of the city."},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    }
    return [ToolSpec(f"get_weather_{number}", f"The weather, source {number}.", declared) for number in range(count)]


def _turns(count: int) -> list[Turn]:

    found: list[Turn] = []
    for number in range((count + 3) // 4):
        call = ToolCall(f"{number}", "get_weather_1", {"city": f"Paris {number}", "days": 3})
        result = ToolResult(call.id, call.name, {"sky": "rain", "temp": number})
        found += [
            Turn("user", (Text(f"Is it raining in Paris, and shall I take an umbrella on day {number}?"),)),
            Turn("model", (call,)),
            Turn("tool", (result,)),
            Turn("model", (Text("It is raining, so take one; it will be dry again in the evening."),)),
        ]
    return found[:count]
