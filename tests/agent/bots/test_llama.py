"""A whole conversation in each chat service with a real engine, llama.cpp. Its model says something else each time,
and a grammar gives that its form; what a team relies on holds whatever it says."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from chats.cases import decide
from chats.team import Team, by_bot, run
from chats.world import Seen
from chats.worlds import WORLDS, world_of
from llama import llama_or_skip

from gemmagraph import Agent, Gemma, Limits, tool
from gemmagraph.bots.audit import audit_of
from gemmagraph.events import PromptSent
from gemmagraph.policy import Policy
from gemmagraph.prompts.messages import Reply
from gemmagraph.store.store import Store

TRIES = 10
"""Messages, until it has called the tool twice."""
SEED = 6
"""With it the model soon calls the tool, as llama.cpp draws now; with others it takes more messages."""
FORM = {
    "type": "object",
    "properties": {"verdict": {"enum": ["fine", "broken"]}},
    "required": ["verdict"],
    "additionalProperties": False,
}
ENDED = re.compile(r'\{"verdict": "(?:fine|broken)"\}|I stopped before the end: .* is reached')


class Overheard(Gemma):
    """Keeps what the model was held to, and what it has replied; has a seed of its own for each reply."""

    def __init__(self, *told: Any, **how: Any) -> None:
        super().__init__(*told, **how)
        self.held: set[str] = set()
        self.replies: list[Reply] = []

    async def stream(self, *asked: Any, **how: Any) -> AsyncGenerator[Any, None]:
        self.sampling = {**self.sampling, "seed": SEED + len(self.replies)}
        async with aclosing(super().stream(*asked, **how)) as events:
            async for event in events:
                if isinstance(event, PromptSent):
                    self.held.add(event.held_to)
                elif isinstance(event, Reply):
                    self.replies.append(event)
                yield event


@pytest.fixture(scope="session")
def server() -> Iterator[dict[str, Any]]:
    yield from llama_or_skip("8192")


@dataclass
class Talk:
    """What people do in one channel: ann asks, and decides about calls. The first call may run, no other."""

    team: Team
    said: list[str] = field(default_factory=list)
    decided: set[str] = field(default_factory=set)
    approved: list[str] = field(default_factory=list)
    """What was to be restarted."""

    async def go_on(self) -> None:
        """Asks, and decides until it is answered."""
        self.said.append(
            await self.team.ask("ann", f"Look after the services, please. This is day {len(self.said)}.")
        )
        while True:
            seen = await self.team.world.until(
                lambda seen: self._open(seen) or len(answers(seen)) >= len(self.said), seconds=20
            )
            if not (questions := self._open(seen)):
                return
            await self._decide(questions[0])

    def _open(self, seen: list[Seen]) -> list[Seen]:
        return [one for one in by_bot(seen, "May this run?") if one.id not in self.decided]

    async def _decide(self, question: Seen) -> None:
        first = not self.decided
        if first:
            self.approved += re.findall(r'restart\(name="(\w+)"\)', question.text)
        await decide(self.team, "ann", question, "approve" if first else "reject")
        self.decided.add(question.id)


def answers(seen: list[Seen]) -> list[Seen]:
    return [one for one in by_bot(seen) if ENDED.search(one.text)]


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in WORLDS if name != "memory"])
def test_what_a_model_wants_is_done_once_if_approved(tmp_path: Path, server: dict[str, Any], name: str) -> None:
    how = {"transport": "chat", "notation": "function_call", "max_tokens": 400, **server["options"]}
    gemma = Overheard("openai:gemma-3-tiny", base_url=f"{server['url']}/v1", **how)
    team = Team(tmp_path, world_of(name))
    talk = Talk(team)

    @tool(destructive=True)
    def restart(name: Literal["web", "mail"]) -> str:
        """Restarts a service."""
        team.done.append(name)
        return f"{name} runs"

    def make(policy: Policy, store: Store) -> Agent:
        return Agent(gemma, [restart], output=FORM, limits=Limits(steps=3, calls=6), policy=policy, store=store)

    team.make = make

    async def work() -> None:
        async with team.world, team.bot() as bot:
            while len(talk.decided) < 2 and len(talk.said) < TRIES:
                await talk.go_on()
            await team.settled(bot)
            check(talk, await team.world.seen(team.world.channel))
            entries, _ = await audit_of(bot.store)
            ran = [one.details["tool"] for one in entries if one.what == "call" and one.details["status"] == "ok"]
            assert ran.count("restart") == 1

    run(work, 60)
    assert gemma.held == {"grammar"}
    for reply in gemma.replies:
        assert (reply.bad_calls, reply.repaired) == ((), False), reply.raw


def check(talk: Talk, seen: list[Seen]) -> None:
    """What people see in the end, whatever the model has said."""
    team = talk.team
    assert len(talk.decided) >= 2, "the model was to call the tool"
    assert len(talk.approved) == 1
    assert team.done == talk.approved

    assert len(answers(seen)) == len(talk.said)
    if "threads" not in team.world.absent:
        assert [one.thread for one in answers(seen)] == talk.said
    for verb, times in (("Approved", 1), ("Rejected", len(talk.decided) - 1)):
        assert len(by_bot(seen, f"{verb} by {team.person('ann')}")) == times
    if "edits" not in team.world.absent:
        assert not by_bot(seen, "May this run?")
