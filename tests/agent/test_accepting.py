"""What was said is kept before its turn has come, in its order, and not answered if whoever said it gave up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gemmagraph import Agent, Gemma, tool
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.errors import TurnLost
from gemmagraph.store.store import Store
from gemmagraph.store.turns import Turn

pytest_plugins = ("crashes", "postgres")

PATIENCE = 30


def assistant(store: Store, *steps: Any, tools: Any = ()) -> Agent:
    return Agent(Gemma(ScriptedBackend(steps)), tools, store=store)


def play(play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(play(), PATIENCE))


async def until(seen: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    while not await seen():  # noqa: ASYNC110 - what another process sees
        await asyncio.sleep(0.01)


async def open_inputs(store: Store) -> list[str]:
    return [said.messages[-1].text for said in await store.inputs.open("t")]


async def said(agent: Agent) -> list[str]:
    return [message.text for message in await agent.ahistory("t") if message.type == "human"]


def accepted(store: Store, *texts: str) -> Callable[[], Coroutine[Any, Any, bool]]:
    async def seen() -> bool:
        return await open_inputs(store) == [*texts]

    return seen


def test_what_waits_for_its_turn_is_kept_already_and_answered_in_its_order(place: Any) -> None:
    async def main() -> None:
        with closing(Store(place.url)) as store, closing(Store(place.url)) as other:
            agent = assistant(store, Step("One.", delay=0.5), "Two.", "Three.", "Four.")
            runs = [asyncio.create_task(agent.arun(text, thread="t")) for text in "1234"]
            await until(accepted(other, *"1234"))
            assert [(await run).text for run in runs] == ["One.", "Two.", "Three.", "Four."]
            assert await said(agent) == [*"1234"]

    play(main)


def test_whoever_gives_up_waiting_is_not_answered_later(place: Any) -> None:
    async def main() -> None:
        with closing(Store(place.url)) as store:
            agent = assistant(store, Step("One.", delay=0.4), "Three.")
            first = asyncio.create_task(agent.arun("1", thread="t"))
            await until(accepted(store, "1"))
            second = asyncio.create_task(agent.arun("2", thread="t"))
            await until(accepted(store, "1", "2"))
            second.cancel()
            await asyncio.wait({second})
            assert second.cancelled()
            assert await open_inputs(store) == ["1"]
            assert (await first).text == "One."
            assert (await agent.arun("3", thread="t")).text == "Three."
            assert await said(agent) == ["1", "3"]

    play(main)


def test_whoever_gives_up_at_any_moment_is_not_answered_later(tmp_path: Path) -> None:
    async def main() -> None:
        with closing(Store(tmp_path / "a.db")) as store:
            for moment in range(60):
                agent = assistant(store, *["Too late."] * 2)
                run = asyncio.create_task(agent.arun(f"{moment}", thread="t"))
                if moment:
                    await asyncio.sleep(0.0005 * moment)
                pending = run.cancel()
                await asyncio.wait({run})
                assert run.cancelled() == pending
                assert await open_inputs(store) == []
                assert await store.threads() == [] or (await store.thread("t")).state == "idle"

    play(main)


def test_the_turn_of_two_agents_in_one_process_is_not_mistaken(tmp_path: Path) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    @tool(read_only=True)
    async def look() -> str:
        """Looks."""
        begun.set()
        await go_on.wait()
        return "seen"

    async def main() -> None:
        with closing(Store(tmp_path / "a.db")) as store:
            first = assistant(store, "FUNCTION_CALL: look()", "One.", tools=[look])
            second = assistant(store, Step("Two.", delay=0.5), "Three.", tools=[look])
            lost = asyncio.create_task(first.arun("1", thread="t"))
            await begun.wait()
            await store.do(lambda session: session.change("DELETE FROM turns"))
            taken = asyncio.create_task(second.arun("2", thread="t"))
            await until(accepted(store, "1", "2"))
            await asyncio.sleep(0.1)
            go_on.set()
            with pytest.raises(TurnLost):
                await lost
            assert (await taken).text
            assert await said(second) == ["1", "2"]

    play(main)


def test_a_process_that_lost_its_turn_leaves_the_journal_as_it_is(place: Any) -> None:
    @tool
    def act() -> str:
        """Acts."""
        place.rows("DELETE FROM turns RETURNING 1")
        return "done"

    with closing(Store(place.url)) as store:
        agent = assistant(store, "FUNCTION_CALL: act()", tools=[act])
        with pytest.raises(TurnLost):
            agent.run("go", thread="t")
        assert place.rows("SELECT state, outcome FROM calls") == [("started", None)]


def test_without_the_turn_nobody_is_asked_and_nothing_is_refused(place: Any) -> None:
    @tool(destructive=True)
    def destroy() -> str:
        """Destroys."""
        return "done"

    lost = Turn("t", 999)
    with closing(Store(place.url)) as store:
        agent = assistant(store, "FUNCTION_CALL: destroy()", tools=[destroy])
        (asked,) = agent.run("go", thread="t").pending
        with pytest.raises(TurnLost):
            asyncio.run(store.questions.refuse(lost, {"type": "reject", "reason": "", "by": None}))
        assert agent.approvals() == [asked]
        with pytest.raises(TurnLost):
            asyncio.run(store.questions.ask(lost, replace(asked, id="other"), 60))
        assert agent.approvals() == [asked]
