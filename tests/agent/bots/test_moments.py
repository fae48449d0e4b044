"""`/stop`, `/reset`, edits, restarts and lost stores, at moments that nobody chooses: no message is lost by them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from chats.cases import asked, goes_on, reached
from chats.memory import MemoryAdapter, MemoryWorld
from chats.players import Player
from chats.team import Team, by_bot, run
from chats.world import until

from gemmagraph import Agent, Gemma, Limits, tool
from gemmagraph.bots.base import Receiver, Traits
from gemmagraph.bots.serving import _kept
from gemmagraph.errors import StoreError
from gemmagraph.policy import Policy
from gemmagraph.store.store import Store

FAST = Traits(most=4000, edit_every=0.02, choices="buttons", keyed=True)


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path, MemoryWorld(FAST))


def test_after_the_store_failed_the_same_bot_goes_on(team: Team) -> None:
    async def work() -> None:
        async with team.bot() as bot:
            first = await team.ask("ann", "slow one")
            await reached(team, 1)
            bot.fail(StoreError("the database is gone"))
            await until(lambda: not team.world.service.receivers)  # type: ignore[attr-defined]
            await goes_on(team, "ann", "say two", first)
            team.player.go.set()
            again = asyncio.create_task(bot.run())
            try:
                await team.heard("two")
                await goes_on(team, "ann", "say three", first)
                await team.heard("three")
                texts = [one.text.split()[-1] for one in by_bot(await team.world.seen("ops"))]
                assert texts == ["one", "two", "three"]
            finally:
                again.cancel()
                await asyncio.wait([again])

    with pytest.raises(StoreError, match="the database is gone"):
        run(work)


@pytest.mark.long
def test_a_bug_in_an_adapter_is_no_end_for_good(team: Team) -> None:
    """It takes the pause before the next try."""
    listened = 0

    class Fails(MemoryAdapter):
        async def listen(self, receiver: Receiver) -> None:
            nonlocal listened
            listened += 1
            if listened == 2:
                raise KeyError("a bug of the adapter")
            await super().listen(receiver)

    team.world.adapter = lambda: Fails(team.world.service, FAST)  # type: ignore[attr-defined, method-assign]

    async def work() -> None:
        async with team.bot() as bot:
            bot.fail(StoreError("the database is gone"))
            await until(lambda: not team.world.service.receivers)  # type: ignore[attr-defined]
            serving: Any = SimpleNamespace(store=bot.store, lease=1.0)
            kept = asyncio.create_task(_kept(bot, serving))
            try:
                await until(lambda: listened == 3)
                await team.ask("ann", "say hello")
                await team.heard("hello")
            finally:
                kept.cancel()
                await asyncio.wait([kept])

    with pytest.raises(StoreError, match="the database is gone"):
        run(work)


@pytest.mark.parametrize("command", ["!stop", "!reset"])
def test_what_is_said_after_a_command_is_answered(team: Team, command: str) -> None:
    async def work() -> None:
        async with team.bot():
            first = await team.ask("ann", "slow one")
            await reached(team, 1)
            await goes_on(team, "ann", "say dropped", first)
            await asyncio.gather(goes_on(team, "ann", command, first), goes_on(team, "ann", "say later", first))
            await team.heard("later")
            await team.heard("Stopped.")
            assert not by_bot(await team.world.seen("ops"), "dropped")

    run(work)


def test_what_is_said_right_behind_reset_is_a_new_conversation(team: Team) -> None:
    async def work() -> None:
        async with team.bot():
            first = await team.ask("ann", "say plum")
            await team.heard("plum")
            await asyncio.gather(goes_on(team, "ann", "!reset", first), goes_on(team, "ann", "say fresh", first))
            await team.heard("fresh")
            assert team.player.longest("fresh") == 1

    run(work)


def test_stop_counts_whenever_it_comes(team: Team) -> None:
    async def work() -> None:
        async with team.bot() as bot:
            for moment in range(30):
                first = await team.ask("ann", f"slow {moment}")
                if moment:
                    await asyncio.sleep(0.002 * moment)
                await goes_on(team, "ann", "!stop", first)
                await team.heard("topped", times=moment + 1, seconds=5)
            await team.settled(bot)
            assert (bot.line.busy, bot.line.length) == (0, 0)
            assert not team.player.answered

    run(work)


@pytest.mark.parametrize("ticks", [*range(12), 30, 100])
def test_stop_counts_while_the_run_only_begins(team: Team, ticks: int) -> None:
    @tool(read_only=True)
    def look() -> str:
        """Looks."""
        return "all is well"

    def make(policy: Policy, store: Store) -> Agent:
        limits = Limits(per_user={"runs": "100/day"})
        return Agent(Gemma(team.player), [look], policy=policy, store=store, limits=limits)

    team.make = make

    async def work() -> None:
        async with team.bot() as bot:
            await team.ask("ann", "slow one")
            (conversation,) = bot.conversations.values()
            while conversation.state != "working":  # noqa: ASYNC110
                await asyncio.sleep(0)
            for _ in range(ticks):
                await asyncio.sleep(0)
            assert await conversation.stop(2)
            await team.heard("Stopped.", seconds=5)
            await team.settled(bot)
            assert bot.line.busy == 0

    run(work)


@pytest.mark.parametrize("again", [False, True], ids=["at once", "after a restart"])
@pytest.mark.parametrize("command", ["!stop", "!reset"])
def test_stop_takes_back_a_call_that_waits(team: Team, command: str, again: bool) -> None:
    async def stopped(question: Any) -> None:
        await team.world.say("ann", command, thread=question.thread)
        await team.heard("Stopped.")
        await team.world.press("ann", "ops", question.id, "approve")
        await team.world.say("ann", "say after", thread=question.thread)
        await team.heard("after")
        assert not team.done
        assert not by_bot(await team.world.seen("ops"), "There is no thread")

    async def work() -> None:
        async with team.bot() as bot:
            question = await asked(team)
            await until(lambda: bot.conversations and all(one.resting for one in bot.conversations.values()))
            if not again:
                await stopped(question)
        if again:
            async with team.bot():
                await stopped(question)

    run(work)


def test_an_edit_counts_while_the_message_waits_for_the_model(team: Team) -> None:
    team.places = 1

    async def work() -> None:
        async with team.bot() as bot:
            await team.ask("bob", "slow one")
            await reached(team, 1)
            said = await team.ask("ann", "say worse")
            await until(lambda: bot.line.length == 1)
            await team.world.change("ann", "ops", said, "say better")
            team.player.go.set()
            await team.heard("better")
            assert not by_bot(await team.world.seen("ops"), "worse")

    run(work)


def test_what_is_said_while_an_older_call_waits_is_not_lost(team: Team) -> None:
    """The bot was told to be silent in the channel, and is back: what it asked there before waits still."""

    async def work() -> None:
        async with team.bot():
            question = await asked(team)
        team.rooms = {"channels": {"random": None}}
        async with team.bot() as bot:
            await team.settled(bot)
        team.rooms = {}
        async with team.bot() as bot:
            await team.world.say("ann", "say later", thread=question.thread)
            await until(lambda: bot.conversations and all(one.resting for one in bot.conversations.values()))
            await team.world.press("ann", "ops", question.id, "reject")
            await team.heard("later")
            assert not team.done

    run(work)


def test_each_of_several_calls_shows_who_decided_also_if_the_model_is_busy_meanwhile(team: Team) -> None:
    team.places = 1

    async def work() -> None:
        async with team.bot() as bot:
            await team.ask("ann", 'say FUNCTION_CALL: restart(name="a")\nFUNCTION_CALL: restart(name="b")')
            questions = await team.heard("May this run?", times=2)
            await team.ask("bob", "slow one")
            await reached(team, 2)
            await team.world.press("ann", "ops", questions[0].id, "approve")
            await until(lambda: bot.line.length == 1)  # the first is decided, and its run waits in line
            await team.world.press("ann", "ops", questions[1].id, "approve")
            await team.quiet(bot)
            team.player.go.set()
            await team.heard("It came to this")
            await team.heard("Approved by", times=2)
            assert team.done == ["a", "b"]

    run(work)


@pytest.mark.parametrize("paused", [False, True], ids=["at once", "while the service wants a pause"])
def test_a_press_is_written_down_before_it_is_acknowledged(team: Team, paused: bool) -> None:
    async def work() -> None:
        async with team.bot() as bot:
            question = await asked(team)
            (waiting,) = await bot.store.questions.pending()
            if paused:
                team.world.refuse(30)
            await team.world.press("ann", "ops", question.id, "approve")
            assert (await bot.store.questions.get(waiting.approval.id)).decider == "memory:u-ann"

    run(work)


@pytest.mark.parametrize("ticks", range(6))
def test_a_conversation_that_ends_when_its_place_comes_keeps_none(team: Team, ticks: int) -> None:
    team.places = 1

    async def work() -> None:
        async with team.bot() as bot:
            async with bot.line.place("somebody"):
                await team.ask("ann", "say one")
                await until(lambda: bot.line.length == 1)
            for _ in range(ticks):
                await asyncio.sleep(0)
            await asyncio.gather(*(one.end() for one in bot.conversations.values()))
            async with asyncio.timeout(2), bot.line.place("else"):
                assert bot.line.busy == 1

    run(work)


@pytest.mark.parametrize("alive", [False, True], ids=["which is gone", "which answers"])
def test_a_turn_that_another_process_took_away_is_answered_once(team: Team, alive: bool) -> None:
    async def work() -> None:
        async with team.bot() as bot:
            first = await team.ask("ann", "slow one")
            await reached(team, 1)
            # As after a silence of this process, longer than a turn is kept for.
            await bot.store.do(lambda session: session.change("DELETE FROM turns"))
            if alive:
                player = Player()
                (talk,) = bot.inbox.talks.values()
                other = Agent(Gemma(player), instructions="Answer.", store=Store(team.path / "bot.db"))
                going_on = asyncio.create_task(other.aresume(talk.thread))
                await until(lambda: player.asked)
                await until(lambda: not team.player.now)  # it has noticed
                player.go.set()
                await going_on
            else:
                await reached(team, 2)
                team.player.go.set()
            await team.heard("You said: slow one")
            await goes_on(team, "ann", "say two", first)
            team.player.go.set()
            await team.heard("two")
            assert team.player.asked == (2 if alive else 3)
            assert len(by_bot(await team.world.seen("ops"))) == 2

    run(work)
