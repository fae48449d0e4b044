"""The bot's process is killed, again and again, in the middle of calls: seen from outside, from the file of effects
and from what people read."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from bot_process import Child, answered
from chats.team import by_bot, run
from chats.world import World, until

KILLS = 12
"""In one test: it takes a minute or two."""


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("where", ["slack", "telegram", "mattermost"])
def test_kills_repeat_nothing_and_leave_nobody_without_an_answer(tmp_path: Path, where: str, seed: int) -> None:
    dice = random.Random(seed)

    async def work() -> None:
        world: World
        async with import_module(f"chats.{where}").World() as world:
            child = Child(tmp_path, world)
            await child.start()
            await world.say("ann", "say ready", to_bot=True)
            await world.until(lambda seen: by_bot(seen, "ready"), seconds=30)
            names = [f"s{number}x" for number in range(KILLS)]
            for number, name in enumerate(names):
                await world.say("ann", f"restart {name}", to_bot=True)
                if number % 2:
                    with suppress(TimeoutError):
                        await until(lambda name=name: child.effects[name] > 0, name, 5)  # type: ignore[misc]
                    await asyncio.sleep(dice.uniform(0, 0.2))
                else:
                    await asyncio.sleep(dice.uniform(0, 0.8))
                await child.kill()
                await child.start()
            try:
                await world.until(lambda seen: all(answered(by_bot(seen), name) for name in names), seconds=60)
                said = by_bot(await world.seen(world.channel))
            finally:
                code = await child.kill(signal.SIGTERM)
            assert code == 0
            check(said, names, child.effects)

    run(work, 280)


def check(said: list[Any], names: list[str], effects: Counter[str]) -> None:
    assert max(effects.values()) == 1, effects
    unknown = 0
    for name in names:
        final = answered(said, name)
        assert len(final) == 1, (name, final)
        unknown += "Outcome unknown" in final[0]
        if "Outcome unknown" not in final[0]:
            assert effects[name] == 1, name
    assert unknown > 0, "no call was hit in the middle"
    print(f"{len(names)} kills, {sum(effects.values())} effects, {unknown} unknown, all told")
