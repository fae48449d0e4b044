"""Ten calls in one reply: whether they run at the same time, and whether the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from measure import Effort, Row, Spread, in_turns_async, settle
from script import Script, blocker, waiter
from sides import Maker, ours, peers

_CALLS = 10
_SECONDS = 0.05
_TICK = 0.001


def rows(effort: Effort) -> list[Row]:
    return asyncio.run(_rows(effort))


async def _rows(effort: Effort) -> list[Row]:
    makers: dict[str, Maker] = {"ours": ours, **peers()}
    found = []
    for what, tool, reach in (("async functions", waiter, 1.15), ("blocking functions", blocker, 1.25)):
        blocks: dict[str, list[float]] = {name: [] for name in makers}
        figures = {}
        for name, maker in makers.items():
            script = Script([[{"a": number} for number in range(_CALLS)]])
            figures[name] = _wall(script, maker(script, [tool(script, _SECONDS)], 0), blocks[name])
        for figure in figures.values():
            await figure()
        for found_first in blocks.values():
            found_first.clear()
        settle()
        rounds = await in_turns_async(figures, effort.rounds)
        times = {name: Spread.of(wall / _SECONDS for wall in walls) for name, walls in rounds.items()}
        longest = {name: Spread.of(seconds * 1e3 for seconds in blocks[name]) for name in makers}
        title = f"{_CALLS} calls of {_SECONDS * 1e3:.0f} ms, {what}"
        others = [name for name in makers if name != "ours"]
        found += [
            Row(
                title,
                f"{times['ours'].median * _SECONDS * 1e3:.1f} ms",
                f"{_SECONDS * 1e3:.0f} ms",
                times["ours"],
                {name: f"{times[name].median:.2f} x" for name in others},
                f"≤ {reach} x",
                times["ours"].median <= reach,
            ),
            Row(
                "its longest block of the event loop",
                f"{longest['ours']} ms",
                peers={name: f"{longest[name].median:.1f} ms" for name in others},
                reach="≤ 10 ms",
                met=longest["ours"].median <= 10,
            ),
        ]
    return found


def _wall(
    script: Script, side: Callable[[], Awaitable[object]], blocks: list[float]
) -> Callable[[], Awaitable[float]]:
    """The figure: wall seconds of a whole run. `blocks` gets the longest time in which the loop did not turn."""

    async def figure() -> float:
        script.begin()
        ticker = asyncio.create_task(_longest_block())
        await asyncio.sleep(0)
        begun = time.perf_counter()
        await side()
        wall = time.perf_counter() - begun
        script.check()
        ticker.cancel()
        blocks.append(await ticker)
        return wall

    return figure


async def _longest_block() -> float:
    longest = 0.0
    before = time.perf_counter()
    try:
        while True:
            await asyncio.sleep(_TICK)
            now = time.perf_counter()
            longest = max(longest, now - before - _TICK)
            before = now
    except asyncio.CancelledError:
        return longest
