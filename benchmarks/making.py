"""What it costs to make tools of functions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from measure import Effort, Row, Spread, in_turns, milliseconds, settle
from script import functions
from sides import peers

_MANY = 1_000

Made = Callable[[Callable[..., Any]], object]


def rows(effort: Effort) -> list[Row]:
    makers = _makers()
    kept: list[Any] = []  # freed between the rounds: taking them down is not part of making them

    def figure(make: Made, count: int) -> Callable[[], float]:
        def seconds() -> float:
            kept.clear()
            found = functions(count)
            begun = time.process_time()
            kept.extend(map(make, found))
            return (time.process_time() - begun) / count

        return seconds

    for make in makers.values():
        figure(make, 5)()
    settle()
    one = in_turns({name: figure(make, 20) for name, make in makers.items()}, effort.rounds)
    ready = in_turns({"ours": _made_ready}, max(2, effort.rounds // 5))["ours"]
    return [
        Row(
            "a tool from a function",
            milliseconds(one["ours"]),
            peers={name: milliseconds(seconds) for name, seconds in one.items() if name != "ours"},
            reach="≤ 0.5 ms",
            met=Spread.of(one["ours"]).median <= 0.5e-3,
        ),
        Row(
            f"an agent with {_MANY:,} functions, the declarations written",
            milliseconds(ready),
            reach="≤ 300 ms",
            met=Spread.of(ready).median <= 0.3,
        ),
    ]


def _makers() -> dict[str, Made]:
    from gemmagraph import tool

    makers: dict[str, Made] = {"ours": tool}
    from langchain_core.tools import tool as langchain_tool

    makers["langchain @tool"] = langchain_tool
    if peers("pydantic-ai"):
        from pydantic_ai import Tool

        makers["pydantic-ai"] = Tool
    if peers("agno"):
        from agno.tools.function import Function

        makers["agno"] = Function.from_callable
    return makers


def _made_ready() -> float:
    from gemmagraph import Agent, Gemma
    from gemmagraph.backends.scripted import ScriptedBackend
    from gemmagraph.prompts.toolset import Toolset

    found: Sequence[Callable[..., Any]] = functions(_MANY)
    begun = time.process_time()
    agent = Agent(Gemma(ScriptedBackend([])), found)
    written = agent.model.writer(Toolset(tool.spec for tool in agent.tools.values())).declaration
    taken = time.process_time() - begun
    assert found[-1].__name__ in written
    return taken
