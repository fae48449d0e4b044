"""What one person says, does or sends ends nothing for the others, and costs nobody an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from chats.cases import asked, goes_on, reached
from chats.memory import MemoryAdapter, MemoryWorld
from chats.players import Player
from chats.team import Team, by_bot, run

from gemmagraph.bots.base import Choice, Edited, Message, Place, Pressed, Traits
from gemmagraph.bots.text import Block

FAST = Traits(most=4000, edit_every=0.02, choices="buttons", keyed=True)
LINES = Traits(most=4000, edits=False, threads=False)


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path, MemoryWorld(FAST))


HOSTILE = {
    "deep arguments": "!edit abcd " + "[" * 100_000,
    "deep arguments that are JSON": '!edit abcd {"a":' + "[" * 700 + "]" * 700 + "}",
    "half a pair of surrogates": "!approve \ud800abc",
    "a zero": "!approve \x00abcd",
    "a percent sign": "!approve ab%%",
    "100 kB for a code": "!approve " + "a" * 100_000,
    "100 kB": "x" * 100_000,
}


@pytest.mark.parametrize("said", HOSTILE)
def test_a_message_ends_the_bot_for_nobody(team: Team, said: str) -> None:
    async def work() -> None:
        async with team.bot():
            await team.ask("eve", HOSTILE[said])
            await team.world.until(lambda seen: len(by_bot(seen)) == 1)
            await team.ask("ann", "say hello")
            await team.heard("hello")
            assert len(by_bot(await team.world.seen("ops"))) == 2

    run(work)


@pytest.mark.parametrize("most", [150, 600])
def test_what_is_longer_than_a_message_comes_in_several(team: Team, most: int) -> None:
    team.world = MemoryWorld(replace(FAST, most=most))

    async def work() -> None:
        async with team.bot():
            await team.ask("ann", "!help")
            await team.heard("who you are to me")

    run(work)


@pytest.mark.parametrize("decision", ["approve", "edit"])
def test_a_request_that_is_too_long_for_a_message_is_asked_about_in_one(team: Team, decision: str) -> None:
    team.world = MemoryWorld(replace(FAST, most=600))

    async def work() -> None:
        async with team.bot():
            question = await asked(team, text=f"restart {'x' * 2400}")
            assert question.offers
            assert "more characters: gemmagraph approvals show" in question.text
            if decision == "approve":
                await team.world.press("ann", "ops", question.id, "approve")
            else:
                code = question.text.split("/approve ")[1].split()[0]
                await team.world.say("ann", f'!edit {code} {{"name": "{"y" * 2400}"}}', thread=question.thread)
            await team.heard("by memory:u-ann")
            await team.heard("It came to this")
            assert team.done == [("x" if decision == "approve" else "y") * 2400]

    run(work)


def test_a_reason_without_end_is_shown_in_one_message(team: Team) -> None:
    async def work() -> None:
        async with team.bot():
            question = await asked(team)
            code = question.text.split("/approve ")[1].split()[0]
            await team.world.say("ann", f"!reject {code} because {'no ' * 5000}", thread=question.thread)
            await team.heard("Rejected by memory:u-ann: no no no")
            await team.heard("It came to this")

    run(work)


def test_a_long_answer_is_said_whole_also_if_it_was_perhaps_said_before(team: Team) -> None:
    team.world = MemoryWorld(Traits(most=200, edits=False, threads=False))

    async def work() -> None:
        async with team.bot():
            team.world.break_down(late=True)
            await team.ask("ann", f"say {'w' * 199}")
            await team.heard("w" * 199, times=2)

    run(work)


def test_an_answer_in_small_pieces_is_split_no_more_often_than_it_is_shown(team: Team) -> None:
    measured = 0

    class Counts(MemoryAdapter):
        def length(self, blocks: Sequence[Block]) -> int:
            nonlocal measured
            measured += 1
            return super().length(blocks)

    team.world.adapter = lambda: Counts(team.world.service, replace(FAST, edit_every=1.0))  # type: ignore[attr-defined, method-assign]
    team.player = Player(piece=4)

    async def work() -> None:
        async with team.bot():
            await team.ask("ann", "long")
            await team.heard("Paragraph 39")
            assert measured < 3000  # as many as there are pieces

    run(work)


def test_a_message_that_the_adapter_cannot_say_keeps_no_other_waiting(team: Team) -> None:
    class Fails(MemoryAdapter):
        async def send(self, place: Place, blocks: Sequence[Block], key: str, choices: Sequence[Choice] = ()) -> str:
            if "odd" in str(blocks):
                raise KeyError("a bug of the adapter")
            return await super().send(place, blocks, key, choices)

    team.world.adapter = lambda: Fails(team.world.service, FAST)  # type: ignore[attr-defined, method-assign]

    async def work() -> None:
        async with team.bot():
            first = await team.ask("ann", "say odd")
            await goes_on(team, "ann", "say even", first)
            await team.heard("even")

    run(work)


def test_who_may_not_decide_is_told_once_however_often_they_press(team: Team) -> None:
    async def work() -> None:
        async with team.bot() as bot:
            question = await asked(team)
            for number in range(20):
                place = Place("", "ops", question.thread)
                await team.world.service.happen(  # type: ignore[attr-defined]
                    Pressed(f"p{number}", place, "u-eve", "Eve", question.id, "approve")
                )
            await team.quiet(bot)
            assert len(by_bot(await team.world.seen("ops"), "may decide")) == 1

    run(work)


def test_a_code_says_nothing_of_other_channels(team: Team) -> None:
    team.rooms = {"channels": {"ops": None, "random": None}}

    async def work() -> None:
        async with team.bot():
            question = await asked(team)
            code = question.text.split("/approve ")[1].split()[0]
            wrong = code[:-1] + ("0" if code[-1] != "0" else "1")
            for tried in (code, wrong):
                await team.ask("bob", f"!approve {tried}", channel="random")
            told = await team.heard("There is no approval", channel="random", times=2)
            assert {one.text.replace(code, "…").replace(wrong, "…") for one in told} == {
                "There is no approval '…' in this channel."
            }

    run(work)


def test_another_person_changes_nobodys_message(team: Team) -> None:
    async def work() -> None:
        async with team.bot() as bot:
            first = await team.ask("ann", "slow one")
            await reached(team, 1)
            await goes_on(team, "ann", "say mine", first)
            message = team.world.service.events[-1]  # type: ignore[attr-defined]
            await bot.accept([Edited("c", replace(message, event="c", user="u-eve", text="say theirs"))])
            team.player.go.set()
            await team.heard("mine")

    run(work)


def test_events_of_two_workspaces_may_have_one_number(team: Team) -> None:
    async def work() -> None:
        async with team.bot() as bot:
            said = [
                Message("1", Place(where, "ops"), "u-ann", "Ann", f"say {where}", f"m-{where}", addressed=True)
                for where in ("T1", "T2")
            ]
            await bot.accept(said)
            await team.heard("T1")
            await team.heard("T2")

    run(work)


def test_without_edits_a_decision_of_long_ago_is_not_told_anew(team: Team) -> None:
    team.world = MemoryWorld(LINES)

    async def decide() -> None:
        question = await asked(team)
        code = question.text.split("approve ")[1].split()[0]
        await team.ask("ann", f"!reject {code}")

    async def work() -> None:
        async with team.bot() as bot:
            await decide()
            await team.heard("Rejected by")
            await team.settled(bot)
            await bot.store.do(lambda session: session.change("UPDATE bot_outbox SET at = 0"))
        async with team.bot() as bot:  # what was said long ago is forgotten by now
            await team.ask("ann", "restart web")
            question = (await team.heard("May this run?", times=2))[-1]
            await team.ask("ann", f"!reject {question.text.split('approve ')[1].split()[0]}")
            await team.heard("Rejected by", times=2)
            await team.settled(bot)
            await asyncio.sleep(0.05)
            assert len(by_bot(await team.world.seen("ops"), "Rejected by")) == 2

    run(work)
