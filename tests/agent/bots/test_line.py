"""Who may ask the model next: persons in turn, nobody twice before the others, no place lost."""

from __future__ import annotations

import asyncio
import random

import pytest

from gemmagraph.bots.line import Line


def test_persons_come_in_turn_however_much_one_of_them_says() -> None:
    served: list[str] = []

    async def turn(line: Line, person: str) -> None:
        async with line.place(person):
            served.append(person)
            await asyncio.sleep(0)

    async def work() -> None:
        line = Line(1)
        turns = [asyncio.create_task(turn(line, person)) for person in ["ann"] * 5 + ["bob"] * 2 + ["eve"]]
        await asyncio.sleep(0)
        assert [line.before(person) for person in ("bob", "eve", "ann")] == [0, 1, 2]
        await asyncio.gather(*turns)
        assert (line.busy, line.length) == (0, 0)

    asyncio.run(work())
    assert served == ["ann", "bob", "eve", "ann", "bob", "ann", "ann", "ann"]


@pytest.mark.parametrize("seed", range(20))
def test_no_place_is_lost_whoever_leaves_when(seed: int) -> None:
    dice = random.Random(seed)
    at_once, most = 0, 0

    async def turn(line: Line, person: str) -> None:
        nonlocal at_once, most
        async with line.place(person):
            at_once += 1
            most = max(most, at_once)
            try:
                await asyncio.sleep(dice.choice([0, 0.001, 0.002]))
            finally:
                at_once -= 1

    async def work() -> None:
        line = Line(3)
        turns = []
        for _ in range(200):
            turns.append(asyncio.create_task(turn(line, dice.choice("abcdefg"))))
            if dice.random() < 0.5:
                dice.choice(turns).cancel()
            if dice.random() < 0.3:
                await asyncio.sleep(0)
        await asyncio.gather(*turns, return_exceptions=True)
        assert (line.busy, line.length) == (0, 0)
        async with asyncio.timeout(1), line.place("z"), line.place("z"), line.place("z"):
            assert line.busy == 3

    asyncio.run(work())
    assert most <= 3
