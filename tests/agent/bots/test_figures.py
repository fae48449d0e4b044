"""What a team can rely on, in numbers: nothing twice, nothing lost, nothing without leave, and a quick receipt."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chats.memory import MemoryWorld
from chats.team import Team, by_bot, run

from gemmagraph.bots.base import Message, Place, Pressed, Traits

FAST = Traits(most=4000, edit_every=0.0, choices="buttons", keyed=True)


@pytest.mark.long
def test_each_of_1000_events_delivered_four_times_is_answered_once(tmp_path: Path) -> None:
    team = Team(tmp_path, MemoryWorld(FAST), places=16)

    async def work() -> None:
        async with team.bot():
            for number in range(1000):
                await team.ask(random.choice(["ann", "bob"]), f"say number {number}.")
            await team.world.redeliver()
            await team.heard("number", times=400, seconds=120)
        async with team.bot() as bot:
            await team.world.redeliver()
            await team.world.redeliver()
            await team.heard("number", times=1000, seconds=240)
            await team.settled(bot)
        said = [one.text for one in by_bot(await team.world.seen(team.world.channel))]
        assert sorted(said) == sorted(f"number {number}." for number in range(1000))
        assert team.player.answered == {f"say number {number}.": 1 for number in range(1000)}

    run(work, 500)


@pytest.mark.long
def test_1000_events_are_acknowledged_while_the_model_is_stuck(tmp_path: Path) -> None:
    team = Team(tmp_path, MemoryWorld(FAST), places=2)
    took = []

    async def work() -> None:
        async with team.bot():
            for number in range(1000):
                begun = time.perf_counter()
                await team.ask("ann", f"slow {number}")
                took.append(time.perf_counter() - begun)
                await asyncio.sleep(0)
            team.player.go.set()

    run(work, 120)
    took.sort()
    assert took[989] <= 0.050, f"p99 {took[989] * 1000:.1f} ms, median {took[500] * 1000:.1f} ms"


ABUSES = (
    "wrong user",
    "no user",
    "name of an approver",
    "stale id",
    "foreign message",
    "other channel",
    "altered id",
    "decided before",
    "requester with four eyes",
    "code of another",
    "wrong code",
    "edit to forbidden",
)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
def test_generated_abuses_of_approvals_run_nothing(tmp_path: Path, seed: int) -> None:
    """100 with each seed; an honest decision in between shows that decisions work."""
    dice = random.Random(seed)
    team = Team(tmp_path, MemoryWorld(FAST), places=8)
    team.policy = [
        {"tool": "restart", "args": {"name": "forbidden"}, "then": "deny"},
        {"tool": "restart", "then": "ask", "approvers": ["group:leads"], "four_eyes": True},
    ]
    team.rooms = {"channels": {"ops": None, "random": None}}
    honest = 0

    async def work() -> None:
        nonlocal honest
        async with team.bot() as bot:
            service = team.world.service  # type: ignore[attr-defined]
            old: list[Any] = []
            for number in range(100):
                await team.ask("ann", f"restart s{number}")
                question = (await team.heard("May this run?"))[-1]
                approval = service.posted[question.id].approval
                right = Pressed(
                    f"x{number}", Place("", "ops", question.thread), "u-bob", "Bob", question.id, "approve", approval
                )
                abuse = ABUSES[number % len(ABUSES)]
                before = len(team.done)
                for event in abused(abuse, right, old, dice):
                    await service.happen(event)
                await team.quiet(bot)
                assert len(team.done) == before, abuse
                if number % 10 == 0:
                    await service.happen(replace(right, event=f"y{number}"))
                    await team.heard(f"s{number} runs")
                    honest += 1
                else:
                    await service.happen(replace(right, event=f"y{number}", verb="reject"))
                await team.settled(bot)
                old.append(right)

    run(work, 300)
    assert team.done == [f"s{number}" for number in range(0, 100, 10)]
    assert honest == 10


def abused(abuse: str, right: Pressed, old: list[Pressed], dice: random.Random) -> list[Any]:
    """What somebody sends who may not decide."""
    typed = Message(
        f"t{right.event}", right.place, "u-eve", "Bob", f"!approve {right.approval[:6]}", f"m{right.event}", True
    )
    stale = dice.choice(old) if old else replace(right, approval="0" * 12)
    match abuse:
        case "wrong user":
            return [replace(right, user=dice.choice(["u-eve", "U-BOB", "u-bob ", "u-bo", "bob", "group:leads"]))]
        case "no user":
            return [replace(right, user="")]
        case "name of an approver":
            return [replace(right, user="u-eve", name="Bob"), replace(typed, name="u-bob")]
        case "stale id":
            return [replace(right, message=stale.message, approval=stale.approval)]
        case "foreign message":
            return [replace(right, message=stale.message), replace(right, message="m0")]
        case "other channel":
            return [
                replace(right, place=Place("", "random", right.place.thread)),
                replace(right, place=Place("x", "ops")),
            ]
        case "altered id":
            return [replace(right, approval=right.approval[::-1]), replace(right, approval=right.approval[:6])]
        case "decided before":
            return [replace(stale, event=f"again{right.event}")] * 2
        case "requester with four eyes":
            return [replace(right, user="u-ann"), replace(typed, user="u-ann")]
        case "code of another":
            return [typed, replace(typed, event=f"u{right.event}", user="")]
        case "wrong code":
            wrong = f"{(int(right.approval[:6], 16) + 1) % 16**6:06x}"
            return [
                replace(typed, user="u-bob", text=f"!approve {wrong}"),
                replace(typed, event="v", text="!approve %"),
            ]
        case _:
            return [replace(typed, user="u-bob", text=f'!edit {right.approval[:6]} {{"name": "forbidden"}}')]
