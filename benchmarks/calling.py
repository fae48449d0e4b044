"""What a tool adds to the function that it calls: arguments checked, a time limit, a result as the model gets it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from measure import Effort, Row, Spread, cpu, in_turns, microseconds, settle

_CALLS = 200
"""In one go: the event loop of the measurement is started and stopped once for all of them."""
_ARGUMENTS = {"city": "Rome", "days": 3}
_MOST = {"async": 60e-6, "blocking": 200e-6}


async def forecast(city: str, days: int = 1, unit: str = "celsius") -> str:
    """Forecasts the weather."""
    return "sunny"


def forecast_now(city: str, days: int = 1, unit: str = "celsius") -> str:
    """Forecasts the weather."""
    return "sunny"


def rows(effort: Effort) -> list[Row]:
    from gemmagraph.tools import Tool, tool

    functions: dict[str, Callable[..., Any]] = {"async": forecast, "blocking": forecast_now}
    loop = asyncio.new_event_loop()

    def repeated(call: Callable[[], Awaitable[object]]) -> Callable[[], None]:
        async def all_of_them() -> None:
            for _ in range(_CALLS):
                await call()

        return lambda: loop.run_until_complete(all_of_them())

    def of_tool(made: Tool) -> Callable[[], Awaitable[object]]:
        return lambda: made.run(made.check(_ARGUMENTS))

    async def blocking() -> object:
        return forecast_now(**_ARGUMENTS)  # type: ignore[arg-type]  # as they come from a model

    bare: dict[str, Callable[[], Awaitable[object]]] = {
        "async": lambda: forecast(**_ARGUMENTS),  # type: ignore[arg-type]  # so here
        "blocking": blocking,
    }
    sides = {
        **{f"{kind} tool": repeated(of_tool(tool(function, timeout=10))) for kind, function in functions.items()},
        **{f"{kind} function": repeated(call) for kind, call in bare.items()},
    }
    settle()
    try:
        seconds = in_turns({name: cpu(work, effort.seconds) for name, work in sides.items()}, effort.rounds)
    finally:
        loop.close()
    return [_row(kind, seconds[f"{kind} tool"], seconds[f"{kind} function"]) for kind in functions]


def _row(kind: str, tool: list[float], function: list[float]) -> Row:
    added = [(ours - theirs) / _CALLS for ours, theirs in zip(tool, function, strict=True)]
    return Row(
        f"added to a call of a function, {kind}",
        microseconds(added),
        f"the call alone {microseconds([seconds / _CALLS for seconds in function])}",
        reach=f"≤ {_MOST[kind] * 1e6:.0f} µs",
        met=Spread.of(added).median <= _MOST[kind],
    )
