"""What a step of the loop costs: beside the bare loop and others, and when messages and tools are many."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from measure import Effort, Row, in_turns_async, microseconds, ratio, settle
from script import Script, adder, functions
from sides import Maker, Side, bare, ours, peers

_STEPS = 11
_FEW, _MANY = 10, 1_000


def rows(effort: Effort) -> list[Row]:
    """The rows of this file."""
    return asyncio.run(_one_step(effort)) + asyncio.run(_many(effort))


async def _one_step(effort: Effort) -> list[Row]:
    makers: dict[str, Maker] = {"ours": ours, "bare": bare, **peers()}
    long = await in_turns_async(await _runs(makers, _STEPS, effort), effort.rounds)
    short = await in_turns_async(await _runs(makers, 2, effort), effort.rounds)
    others = [name for name in makers if name not in ("ours", "bare")]
    found = []
    for what, rounds in ((f"a step, in runs of {_STEPS}", long), ("a step, in runs of 2", short)):
        to_bare = ratio(rounds, "ours", "bare")
        found.append(
            Row(
                what,
                microseconds(rounds["ours"]),
                f"bare loop {microseconds(rounds['bare'])}",
                to_bare,
                {name: f"{ratio(rounds, name, 'bare').median:.1f} x" for name in others},
                "≤ 1.3 x" if rounds is long else "",
                to_bare.median <= 1.3 if rounds is long else None,
            )
        )
    if "create_agent" in makers:
        to_peer = ratio(long, "ours", "create_agent")
        floor = f"create_agent {microseconds(long['create_agent'])}"
        found.append(
            Row(
                "the same, against create_agent",
                microseconds(long["ours"]),
                floor,
                to_peer,
                {},
                "≤ 0.4 x",
                to_peer.median <= 0.4,
            )
        )
    return found


async def _many(effort: Effort) -> list[Row]:
    """A step among many messages or tools, against a step among few. Whole runs would show what is done once."""
    makers: dict[str, Maker] = {"ours": ours, "bare": bare, **peers("create_agent", "pydantic-ai")}
    few = {name: await _one_more(maker, 1, _FEW) for name, maker in makers.items()}
    messages = {name: await _one_more(maker, 1, _MANY) for name, maker in makers.items()}
    tools = {name: await _one_more(maker, _MANY, _FEW) for name, maker in makers.items() if name != "bare"}
    settle()
    found = []
    for what, many in ((f"a step after {_MANY:,} messages", messages), (f"a step with {_MANY:,} tools", tools)):
        figures = {f"{name} few": few[name] for name in many} | {f"{name} many": many[name] for name in many}
        rounds = await in_turns_async(figures, effort.rounds)
        grown = ratio(rounds, "ours many", "ours few")
        found.append(
            Row(
                what,
                microseconds(rounds["ours many"]),
                f"{_FEW} messages, 1 tool {microseconds(rounds['ours few'])}",
                grown,
                {
                    name: f"{ratio(rounds, f'{name} many', f'{name} few').median:.1f} x"
                    for name in many
                    if name != "ours"
                },
                "≤ 1.5 x",
                grown.median <= 1.5,
            )
        )
    return found


async def _one_more(maker: Maker, tools: int, earlier: int) -> Callable[[], Awaitable[float]]:
    """A side's figure: CPU seconds from one step to the next, the median in a run."""
    script = Script.one_call_each(_STEPS)
    side = maker(script, [adder(script), *functions(tools - 1)], earlier)
    await _checked(script, side)

    async def figure() -> float:
        await _checked(script, side)
        return statistics.median(script.between_steps())

    return figure


async def _runs(makers: dict[str, Maker], steps: int, effort: Effort) -> dict[str, Callable[[], Awaitable[float]]]:
    """Each side's figure: CPU seconds of a step, whole runs divided by their steps."""
    figures = {}
    for name, maker in makers.items():
        script = Script.one_call_each(steps)
        side = maker(script, [adder(script)], 0)
        figures[name] = _per_step(script, side, steps, await _times(script, side, effort))
    settle()
    return figures


async def _times(script: Script, side: Side, effort: Effort) -> int:
    """How many runs fit into a round. The first run is not counted: it builds what is built once."""
    await _checked(script, side)
    begun = time.process_time()
    await _checked(script, side)
    return max(1, round(effort.seconds / (time.process_time() - begun)))


async def _checked(script: Script, side: Side) -> None:
    script.begin()
    await side()
    script.check()


def _per_step(script: Script, side: Side, steps: int, times: int) -> Callable[[], Awaitable[float]]:
    async def figure() -> float:
        begun = time.process_time()
        for _ in range(times):
            await _checked(script, side)
        return (time.process_time() - begun) / (times * steps)

    return figure
