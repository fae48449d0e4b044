"""One model, many people: who has used up a share is told so, who waits hears how long, `!stop` frees the model."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from chats.cases import goes_on, reached
from chats.memory import MemoryWorld
from chats.team import Team, by_bot, run
from chats.world import until

from gemmagraph import Agent, Gemma, Limits, tool
from gemmagraph.bots.base import Traits
from gemmagraph.bots.bot import Bot
from gemmagraph.limits import Spent
from gemmagraph.policy import Policy
from gemmagraph.store.store import Store

LINES = Traits(most=4000, edits=False, threads=False, keyed=True)
"""Nothing that was said goes away, as on IRC."""
NEXT = "The model is busy; you are next."


def alone(path: Path, patience: float, traits: Traits | None = None) -> Team:
    """A team whose model serves one person at a time."""
    return Team(path, MemoryWorld(traits), places=1, patience=patience)


async def in_line(bot: Bot, length: int) -> None:
    """Waits until so many wait for the model."""
    await until(lambda: bot.line.length == length, f"{length} in line")


@pytest.mark.parametrize(("what", "most"), [("runs", "1/day"), ("calls", "1/day"), ("tokens", "15/day")])
def test_who_has_used_up_a_share_is_told_so_and_the_next_person_is_served(
    tmp_path: Path, what: Spent, most: str
) -> None:
    @tool(read_only=True)
    def look() -> str:
        """Looks."""
        return "all is well"

    def make(policy: Policy, store: Store) -> Agent:
        limits = Limits(per_user={what: most})
        return Agent(Gemma(team.player), [look], limits=limits, policy=policy, store=store)

    team = Team(tmp_path, MemoryWorld(), make=make)
    used_up = f"{team.person('ann')} has used up {most.split('/')[0]} {what} per day; again in"

    async def work() -> None:
        async with team.bot():
            await team.ask("ann", "look")
            await team.heard("all is well")
            asked = team.player.asked
            await team.ask("ann", "say more")
            (told,) = await team.heard(used_up)
            assert len(told.text.splitlines()) == 1
            assert team.player.asked == asked
        async with team.bot():  # the store knows it after a restart
            await team.ask("ann", "say more")
            await team.heard(used_up, times=2)
            assert team.player.asked == asked
            await team.ask("bob", "look")
            await team.heard("all is well", times=2)
        assert len(by_bot(await team.world.seen(team.world.channel))) == 4

    run(work)


@pytest.mark.parametrize("traits", [None, LINES], ids=["edits", "no edits"])
def test_who_waits_for_long_is_told_how_many_come_before(tmp_path: Path, traits: Traits | None) -> None:
    team = alone(tmp_path, 0.05, traits)

    async def work() -> None:
        async with team.bot() as bot:
            direct = {person: await team.world.direct(person) for person in ("ann", "bob")}
            await team.world.say("ann", "slow one", channel=direct["ann"])
            await reached(team, 1)
            await team.world.say("bob", "say two", channel=direct["bob"])
            await team.heard(NEXT, channel=direct["bob"])
            await team.ask("eve", "say three")
            await team.heard("One turn comes before yours.")
            team.player.go.set()
            await team.heard("two", channel=direct["bob"])
            await team.heard("three")
            await team.settled(bot)
            for channel, answer in (
                (direct["ann"], "slow one"),
                (direct["bob"], "two"),
                (team.world.channel, "three"),
            ):
                said = by_bot(await team.world.seen(channel))
                assert answer in said[-1].text
                assert "before yours" not in said[-1].text
                assert len(by_bot(said, answer)) == 1
                if traits is None:  # what it said of the line has become the answer
                    assert len(said) == 1

    run(work)


def test_a_short_wait_is_not_mentioned(tmp_path: Path) -> None:
    team = alone(tmp_path, 30, LINES)

    async def work() -> None:
        async with team.bot() as bot:
            await team.world.say("ann", "slow one", channel=await team.world.direct("ann"))
            await reached(team, 1)
            await team.ask("bob", "say two")
            await in_line(bot, 1)
            await team.ask("eve", "!status")
            await team.heard("turns at work: 1, waiting: 1")
            team.player.go.set()
            await team.heard("two")
            await team.settled(bot)
            assert [one.text for one in by_bot(await team.world.seen(team.world.channel))][1:] == ["two"]

    run(work)


def test_stop_gives_up_a_place_in_line(tmp_path: Path) -> None:
    team = alone(tmp_path, 0.05)

    async def work() -> None:
        async with team.bot() as bot:
            await team.ask("ann", "slow one")
            await reached(team, 1)
            second = await team.ask("bob", "say two")
            await team.heard(NEXT)
            await team.ask("eve", "say three")
            await team.heard("One turn comes before yours.")
            await goes_on(team, "bob", "!stop", second)
            await team.heard("Stopped before I began.")
            await in_line(bot, 1)
            await team.heard(NEXT)
            team.player.go.set()
            await team.heard("three")
            await goes_on(team, "bob", "say four", second)
            await team.heard("four")
            assert set(team.player.answered) == {"slow one", "say three", "say four"}
            assert (bot.line.busy, bot.line.length) == (0, 0)

    run(work)


def test_stop_ends_the_request_at_the_server(tmp_path: Path, openai: Any) -> None:
    """The socket is closed while the model still writes; the next person is served."""
    openai.plays({"text": "It begins with", "finish": None, "hang": True}, "All is well.")

    def make(policy: Policy, store: Store) -> Agent:
        return Agent(Gemma("openai:gemma3:4b", base_url=f"{openai.url}/v1"), policy=policy, store=store)

    team = alone(tmp_path, 30)
    team.make = make

    async def work() -> None:
        async with team.bot():
            first = await team.ask("ann", "Tell me everything.")
            await team.heard("It begins")
            second = await team.ask("bob", "And you?")
            await goes_on(team, "ann", "!stop", first)
            await team.heard("Stopped.")
            stopped, _ = (await asyncio.to_thread(openai.seen, ended=2))["requests"]
            assert stopped["ended"] == "disconnected"
            (answer,) = await team.heard("All is well.")
            assert answer.thread == second

    run(work)
