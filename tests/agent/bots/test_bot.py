"""The core of bots, over a chat service inside the process: what the cases for all services do not show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chats.cases import asked, reached
from chats.memory import MemoryAdapter, MemoryService, MemoryWorld
from chats.players import Player
from chats.team import Team, by_bot, run
from chats.world import Upload, until

from gemmagraph.approvals import Approval, Approve, decision_as_json
from gemmagraph.backends.base import Chunk, Request
from gemmagraph.bots.audit import Entry, audit_of
from gemmagraph.bots.base import Choice, Deleted, File, Message, Place, Pressed, Traits
from gemmagraph.bots.bot import Bot
from gemmagraph.bots.errors import BotError, NotThere, TooFast, Unreachable
from gemmagraph.bots.text import Block, as_text
from gemmagraph.bots.wording import question
from gemmagraph.errors import BackendUnavailable

FAST = Traits(most=4000, edit_every=0.05, choices="buttons", keyed=True)


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path, MemoryWorld(FAST))


def test_stop_frees_the_model(team: Team) -> None:
    team.places = 1

    async def work() -> None:
        async with team.bot():
            said = await team.world.say("ann", "slow", to_bot=True)
            await reached(team, 1)
            await team.world.say("bob", "hello", to_bot=True)
            await team.world.say("ann", "/stop", thread=said)
            await team.heard("hello")
            await team.heard("Stopped.")

    run(work)


COMMANDS = {
    "/help": "/whoami",
    "!help": "/whoami",
    "/status": "turns at work",
    "/tools": "restart",
    "/approvals": "Nothing waits",
    "/whoami": "groups: oncall",
    "/stop": "nothing to stop",
    "/reset": "begin anew",
    "/approve 123456": "no approval",
    "/WhoAmI": "groups: oncall",
    "/approve abc": "at least 4 characters",
    "/reject": "Which one?",
    "/edit abcdef {": "Write it so",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_answered_past_the_model(team: Team, command: str) -> None:
    async def work() -> None:
        async with team.bot():
            await team.world.say("ann", command, to_bot=True)
            await team.world.until(lambda seen: by_bot(seen, COMMANDS[command]))
            assert team.player.asked == 0

    run(work)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "traits",
    [
        Traits(most=500, edit_every=0.02, keyed=True),
        Traits(most=500, edit_every=0.02, findable=True),
        Traits(most=500, edit_every=0.02),
        Traits(most=500, edits=False, threads=False, findable=True),
    ],
    ids=["keyed", "findable", "neither", "no edits"],
)
def test_what_fails_on_the_way_is_said_once(
    team: Team, traits: Traits, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gemmagraph.bots.outbox._FIRST_PAUSE", 0.01)
    team.world = MemoryWorld(traits)

    async def work() -> None:
        async with team.bot():
            team.world.break_down(2, late=late)
            await team.world.say("ann", "say this once", to_bot=True)
            seen = await team.world.until(lambda seen: by_bot(seen, "this once"))
            await team.world.say("ann", "say that", to_bot=True)
            seen = await team.world.until(lambda seen: by_bot(seen, "that"))
            assert len(by_bot(seen, "this once")) == 1

    run(work)


def test_nothing_is_changed_before_the_service_wants_it(team: Team) -> None:
    team.player = Player(piece=400, pause=0.02)

    async def work() -> None:
        async with team.bot():
            team.world.refuse(0.3, times=3)
            await team.world.say("ann", "long", to_bot=True)
            await team.world.until(lambda seen: "Paragraph 39" in "".join(one.text for one in by_bot(seen)))
            assert team.world.service.early == 0

    run(work)


def test_a_decision_counts_that_comes_before_the_question_is_known_to_be_sent(team: Team) -> None:
    """As where reactions are put below it one by one."""
    shown = asyncio.Event()

    class Slow(MemoryAdapter):
        async def send(self, place: Place, blocks: Sequence[Block], key: str, choices: Sequence[Choice] = ()) -> str:
            sent = await super().send(place, blocks, key, choices)
            if choices:
                await shown.wait()
            return sent

    class World(MemoryWorld):
        def adapter(self) -> MemoryAdapter:
            return Slow(self.service, self.traits)

    team.world = World(FAST)

    async def work() -> None:
        async with team.bot() as bot:
            await team.ask("ann", "restart web")
            (asked,) = await team.heard("May this run?")
            await team.world.press("ann", team.world.channel, asked.id, "approve")
            await asyncio.sleep(0)
            await bot.store.do(lambda session: None)  # it has been looked for
            shown.set()
            await team.heard("web runs")
        assert team.done == ["web"]

    run(work)


def test_the_audit_tells_who_did_what(team: Team) -> None:
    async def work() -> None:
        async with team.bot() as bot:
            await team.world.say("ann", "restart web", to_bot=True)
            asked = by_bot(await team.world.until(lambda seen: by_bot(seen, "May this run?")))[-1]
            await team.world.press("ann", "ops", asked.id, "approve")
            await team.world.until(lambda seen: by_bot(seen, "web runs"))
            await team.settled(bot)
            entries, wrong = await audit_of(bot.store)
            assert [entry.what for entry in entries] == ["message", "asked", "decision", "call", "answer"]
            assert not wrong
            await bot.store.do(lambda session: session.change("UPDATE bot_audit SET person = 'eve' WHERE number = 3"))
            entries, wrong = await audit_of(bot.store)
            assert (len(entries), [*wrong]) == (5, [3])

    run(work)


@pytest.mark.parametrize("bad", ["\ud800", "a\0b"], ids=["half a surrogate", "NUL"])
def test_ids_that_no_database_takes_keep_nobody_else_from_an_answer(team: Team, bad: str) -> None:
    async def work() -> None:
        async with team.bot() as bot:
            good = Message("e1", Place("", "ops"), "u-ann", "Ann", "say this", "m1", addressed=True)
            worse = [replace(good, event=bad), replace(good, id=bad), replace(good, user=bad)]
            worse.append(replace(good, place=Place("", "ops", bad)))
            pressed = Pressed(bad, Place("", "ops"), "u-eve", "Eve", bad, "approve")
            await bot.accept([*worse, Deleted("e2", Place("", "ops"), bad), pressed, good])
            await team.heard("this")

    run(work)


def test_a_conversation_that_was_quiet_for_long_is_none_any_more(team: Team) -> None:
    async def work() -> None:
        async with team.bot() as bot:
            first, second = await team.ask("ann", "say one"), await team.ask("ann", "say two")
            await team.heard("one")
            await team.heard("two")
            await team.world.say("ann", "!reset", thread=second)
            await team.heard("begin anew")
            await team.settled(bot)
            await bot.store.do(lambda session: session.change("UPDATE bot_talks SET at = at - 91 * 86400"))
            await bot.inbox.tidy()
            assert [talk.place.thread for talk in bot.inbox.talks.values()] == [second]
            await team.world.say("ann", "say nothing", thread=first)
            await team.world.say("ann", "say three", thread=second)
            await team.heard("three")
            assert team.player.asked == 3

    run(work)


def test_a_model_that_cannot_be_asked_is_told_of_without_its_address(team: Team) -> None:
    class Dead(Player):
        async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
            raise BackendUnavailable("No server at http://10.0.0.7:11434.", hint="Start it with ollama serve.")
            yield Chunk()

    team.player = Dead()

    async def work() -> None:
        async with team.bot() as bot:
            await team.ask("ann", "hello")
            (told,) = await team.heard("does not answer")
            assert "10.0.0.7" not in told.text
            assert "ollama" not in told.text
            await team.settled(bot)
            entries, _ = await audit_of(bot.store)
            assert "10.0.0.7" in str(entries[-1].details)

    run(work)


RULES = {
    "denied for some arguments": ([{"tool": "restart", "args": {"name": "db*"}, "then": "deny"}], "it depends"),
    "asked about for some": ([{"tool": "restart", "args": {"name": "db*"}, "then": "ask"}], "asks first"),
    "denied for this person": ([{"tool": "restart", "users": ["memory:u-ann"], "then": "deny"}], "not for you"),
    "denied but for some arguments": (
        [{"tool": "restart", "args": {"name": "web"}, "then": "allow"}, {"tool": "restart", "then": "deny"}],
        "not for you",
    ),
    "allowed for some arguments": (
        [{"tool": "restart", "args": {"name": "web"}, "then": "allow"}, {"tool": "restart", "then": "ask"}],
        "it depends",
    ),
    "denied for others": (
        [{"tool": "restart", "users": ["memory:u-bob"], "args": {"name": "db*"}, "then": "deny"}],
        "asks first",
    ),
}


@pytest.mark.parametrize("case", RULES)
def test_a_tool_is_for_nobody_only_if_no_arguments_are_allowed(team: Team, case: str) -> None:
    team.policy, says = RULES[case]

    async def work() -> None:
        async with team.bot():
            await team.ask("ann", "/tools")
            (told,) = await team.heard("Restarts a service.")
            assert f"restart  {says:<11}  Restarts" in told.text

    run(work)


class Grudging(MemoryAdapter):
    """Gives a file only at the third request."""

    def __init__(self, service: MemoryService, failure: BotError) -> None:
        super().__init__(service, FAST)
        self.failure = failure
        self.asked = 0

    async def fetch(self, file: File, most: int) -> bytes:
        self.asked += 1
        if self.asked < 3:
            raise self.failure
        return await super().fetch(file, most)


@pytest.mark.parametrize(
    ("failure", "asked", "told"),
    [
        (TooFast(0.05), 3, "the disk is full"),
        (Unreachable("The service cannot be reached."), 3, "the disk is full"),
        (TooFast(3600), 1, "I could not get notes.txt: The chat service wants a pause of 3600 s."),
        (NotThere("The file is gone."), 1, "The file is gone."),
    ],
    ids=["a pause", "an interruption", "a pause without end", "gone"],
)
def test_a_file_is_asked_for_as_long_as_that_may_help(team: Team, failure: BotError, asked: int, told: str) -> None:
    adapter = Grudging(team.world.service, failure)  # type: ignore[attr-defined]
    team.world.adapter = lambda: adapter  # type: ignore[method-assign]

    async def work() -> None:
        async with team.bot():
            await team.ask("ann", "read this", files=[Upload("notes.txt", "text/plain", b"the disk is full")])
            await team.heard(told)
            assert adapter.asked == asked

    run(work)


def test_what_was_shown_as_decided_long_ago_is_not_read_again(team: Team) -> None:
    async def work() -> None:
        async with team.bot() as bot:
            said = await team.ask("ann", "restart web")
            for number in range(3):
                if number:
                    await team.world.say("ann", "restart web", thread=said)
                question = (await team.heard("May this run?"))[-1]
                await team.world.press("ann", "ops", question.id, "reject")
                await team.heard("Rejected by", times=number + 1)
                await team.settled(bot)
            looked: list[Any] = []
            do = bot.store.do
            bot.store.do = lambda work: (looked.append(work), do(work))[1]  # type: ignore[assignment, method-assign]
            (talk,) = bot.inbox.talks.values()
            await bot.decisions.settle(talk)
            assert len(looked) == 1

    run(work)


def test_who_asks_what_waits_is_told_what_they_cannot_decide(team: Team) -> None:
    team.policy = [{"tool": "restart", "then": "ask", "four_eyes": True}]

    async def work() -> None:
        async with team.bot():
            await team.ask("ann", "restart web")
            await team.heard("May this run?")
            await team.ask("ann", "/approvals")
            await team.heard("You cannot decide this one: somebody else than memory:u-ann must decide")
            await team.ask("bob", "/approvals")
            (_, _, other) = await team.heard("May this run?", times=3)
            assert "cannot decide" not in other.text

    run(work)


@pytest.mark.parametrize("damage", ["details = '{'", "details = x'ff00'", "at = 'abc'", "details = '[]'"])
def test_a_row_of_the_audit_that_cannot_be_read_hides_no_other(team: Team, damage: str) -> None:
    async def work() -> None:
        async with team.bot() as bot:
            for number in range(3):
                await bot.audit.note("message", f"p{number}", "ops")
            await bot.store.do(lambda session: session.change(f"UPDATE bot_audit SET {damage} WHERE number = 2"))
        entries, wrong = await audit_of(bot.store)
        assert [entry.person for entry in entries] == ["p0", "p2"]
        assert "cannot be read" in wrong[2]

    run(work)


def test_what_only_looks_like_a_decision_is_something_to_say(team: Team) -> None:
    async def work() -> None:
        async with team.bot():
            await team.ask("ann", "approve cafe menu for friday")
            await team.heard("You said: approve cafe menu for friday")

    run(work)


def test_a_code_without_a_mark_decides(team: Team) -> None:
    async def work() -> None:
        async with team.bot() as bot:
            question = await asked(team)
            (waiting,) = await bot.store.questions.pending()
            await team.world.say("ann", f"Approve {waiting.approval.id[:6]}", thread=question.thread)
            await team.heard("web runs")

    run(work)


def test_the_same_decision_is_taken_silently_and_another_is_told_that_it_comes_late(team: Team) -> None:
    async def work() -> None:
        async with team.bot() as bot:
            question = await asked(team)
            (waiting,) = await bot.store.questions.pending()
            await team.world.press("ann", "ops", question.id, "approve")
            await team.heard("web runs")
            for verb in ("approve", "reject"):
                await team.world.say("ann", f"!{verb} {waiting.approval.id}", thread=question.thread)
                await team.quiet(bot)
            assert len(await team.heard("It was decided before: Approved by memory:u-ann.")) == 1

    run(work)


def entries_of(entries: Sequence[Entry]) -> list[tuple[str, dict[str, Any]]]:
    said = [(one.person, dict(one.details)) for one in entries if one.what == "decision"]
    return [(person, {key: details[key] for key in details if key != "approval"}) for person, details in said]


ELSEWHERE: dict[str, tuple[str, dict[str, Any]]] = {
    "decided": ("memory:u-ann", {"said": "approve", "way": "store"}),
    "expired": ("", {"said": "reject", "why": "nobody decided in time"}),
}


@pytest.mark.parametrize("again", [False, True], ids=["at once", "after a restart"])
@pytest.mark.parametrize("how", ELSEWHERE)
def test_what_was_decided_past_the_bot_is_in_its_audit_once(
    team: Team, how: str, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gemmagraph.bots.decisions._LOOK", 0.05)

    async def decided(bot: Bot) -> None:
        (waiting,) = await bot.store.questions.pending()
        if how == "decided":
            said = decision_as_json(Approve(), waiting.approval.digest, "memory:u-ann")
            await bot.store.questions.decide(waiting.approval.id, said, "memory:u-ann")
        else:
            await bot.store.do(lambda session: session.change("UPDATE approvals SET expires = 1"))

    async def work() -> None:
        async with team.bot() as bot:
            await asked(team)
            if not again:
                await decided(bot)
                await team.heard("It came to this")
        if again:
            await decided(bot)
        async with team.bot() as bot:
            await team.heard("It came to this")
            await team.settled(bot)
            (talk,) = bot.inbox.talks.values()
            await bot.store.do(lambda session: session.change("DELETE FROM bot_outbox WHERE key LIKE '%/end'"))
            await bot.decisions.settle(talk)  # as after a kill before it was written down that this was shown
            entries, _ = await audit_of(bot.store)
            assert entries_of(entries) == [ELSEWHERE[how]]

    run(work)


def test_people_are_told_what_they_approved_and_was_not_run(team: Team) -> None:
    """The file was changed meanwhile: by now somebody else must decide."""
    team.policy = [{"tool": "restart", "then": "ask", "approvers": ["group:oncall"]}]

    async def work() -> None:
        async with team.bot() as bot:
            await asked(team)
        (waiting,) = await bot.store.questions.pending()
        said = decision_as_json(Approve(), waiting.approval.digest, "memory:u-ann")
        await bot.store.questions.decide(waiting.approval.id, said, "memory:u-ann")
        team.policy[0]["approvers"] = ["group:leads"]
        async with team.bot():
            (answer,) = await team.heard("It came to this")
            assert 'Not run: restart(name="web"): a person approved it, but by now only group:leads' in answer.text
            assert not team.done

    run(work)


def test_a_call_that_only_waited_is_no_error_when_it_is_stopped(team: Team) -> None:
    async def work() -> None:
        async with team.bot() as bot:
            question = await asked(team)
            await until(lambda: bot.conversations and all(one.resting for one in bot.conversations.values()))
            await team.world.say("ann", "/STOP", thread=question.thread)
            await team.heard("Stopped.")
            await team.settled(bot)
            entries, _ = await audit_of(bot.store)
            assert [one.details["status"] for one in entries if one.what == "call"] == ["refused"]
            assert entries_of(entries) == [("", {"said": "reject", "why": "the run was cancelled"})]

    run(work)


def test_who_is_not_known_for_certain_is_told_who_can_decide() -> None:
    approval = Approval("05ff66aa1122", "restart", {}, "restart web", "it changes something", "irc:?", expires=9e9)
    asked_for = as_text(question(approval, "!"))
    assert "nobody here can decide" in asked_for
    assert "gemmagraph approvals approve 05ff66aa1122 --as 'irc:?'" in asked_for
    assert "!approve" not in asked_for
    assert "!approve" in as_text(question(replace(approval, user="irc:ann"), "!"))
