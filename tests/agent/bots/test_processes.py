"""Several processes on one PostgreSQL: one listens, another takes its place; nothing is said or done twice."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from bot_process import Child, answered
from chats.team import by_bot, run

if TYPE_CHECKING:
    from postgres import Server

pytest_plugins = ("postgres",)

TIMES = 4


@pytest.mark.long
@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP", "SIGTERM"])
def test_another_process_takes_the_place_of_one_that_ends_or_sleeps(
    tmp_path: Path, own_postgres: Server, how: str
) -> None:
    async def work() -> None:
        async with import_module("chats.slack").World() as world:
            first, second = (Child(tmp_path / name, world, own_postgres.dsn()) for name in ("one", "two"))
            await first.start()
            await second.start(listens=False)
            await world.say("ann", "say ready", to_bot=True)
            await world.until(lambda seen: by_bot(seen, "ready"), seconds=30)
            names = [f"s{number}x" for number in range(TIMES)]
            for name in names:
                await world.say("ann", f"restart {name}", to_bot=True)
                await asyncio.sleep(0.3)
                assert first.process is not None
                first.process.send_signal(signal.Signals[how])
                await second.up()
                if how == "SIGSTOP":
                    await asyncio.sleep(0.5)
                    await first.kill(signal.SIGCONT, wait=False)
                    await asyncio.sleep(1.5)
                    await first.kill()
                else:
                    await first.process.wait()
                first, second = second, first
                await second.start(listens=False)
            await world.until(lambda seen: all(answered(by_bot(seen), name) for name in names), seconds=60)
            await asyncio.sleep(1)
            said = by_bot(await world.seen(world.channel))
            for child in (first, second):
                await child.kill()
            effects: Counter[str] = first.effects + second.effects
            assert max(effects.values()) == 1, effects
            finals: list[Any] = [answered(said, name) for name in names]
            assert [len(final) for final in finals] == [1] * TIMES, finals

    run(work, 280)
