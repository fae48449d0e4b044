"""Runs inside runs: one on a thread that a run around it is on is refused at once."""

import asyncio
from typing import Any

import pytest

from gemmagraph import Agent, Approve, Gemma, Limits, tool
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.errors import AgentError

PATIENCE = 20


def scripted(*steps: Any, tools: Any = (), **options: Any) -> Agent:
    return Agent(Gemma(ScriptedBackend(steps)), tools, limits=Limits(wall_time=PATIENCE), **options)


def within(work: Any) -> Any:
    return asyncio.run(asyncio.wait_for(work, PATIENCE))


@pytest.fixture(params=["in memory", "in a store"])
def store(request, tmp_path):
    return tmp_path / "a.db" if request.param == "in a store" else None


class Caught(list[str]):
    """What was refused."""

    async def of(self, run: Any) -> str:
        try:
            return str(await run)
        except AgentError as exc:
            self.append(str(exc))
            return "refused"


REFUSED = (
    "The run in which this one was to begin is on the thread 't': the two would wait for each other. "
    "Use another thread or none here, or begin it when that run is over."
)


@pytest.mark.parametrize("waits", ["async", "in a thread", "going on"])
def test_a_tool_that_runs_its_agent_on_its_own_thread_is_refused(store, waits) -> None:
    caught = Caught()

    @tool
    async def again() -> str:
        """Asks again."""
        return await caught.of(agent.arun(None if waits == "going on" else "more", thread="t"))

    @tool(name="again")
    def again_in_a_thread() -> str:
        """Asks again."""
        try:
            return agent.run("more", thread="t").text
        except AgentError as exc:
            caught.append(str(exc))
            return "refused"

    steps = ("FUNCTION_CALL: again()", "It cannot be done.")
    with scripted(*steps, tools=[again_in_a_thread if waits == "in a thread" else again], store=store) as agent:
        result = agent.run("go", thread="t")
        assert (result.text, [call.result for call in result.calls]) == ("It cannot be done.", ["refused"])
        kept = [message.content for message in agent.history("t")]
        assert kept == ["go", "", "refused", "It cannot be done."]
    assert len(caught) == 1
    assert store is None or caught == [REFUSED]


def test_so_is_whoever_decides_about_a_call(store) -> None:
    caught = Caught()

    @tool(destructive=True)
    def wipe() -> str:
        """Wipes."""
        return "wiped"

    async def approve(approval: Any) -> Approve:
        await caught.of(agent.arun("Is it wise?", thread="t"))
        return Approve()

    with scripted("FUNCTION_CALL: wipe()", "Wiped.", tools=[wipe], store=store, approve=approve) as agent:
        assert agent.run("go", thread="t").text == "Wiped."
    assert caught == [REFUSED]


def test_so_is_another_agent_on_the_same_store_and_any_run_further_in(tmp_path) -> None:
    caught = Caught()
    inner = scripted(store=tmp_path / "a.db", name="inner")

    @tool
    async def deeper() -> str:
        """Goes deeper."""
        return await caught.of(inner.arun("more", thread="t"))

    middle = scripted("FUNCTION_CALL: deeper()", "No.", tools=[deeper], store=tmp_path / "a.db", name="middle")

    @tool
    async def deep() -> str:
        """Goes deep."""
        return (await middle.arun("more", thread="other")).text

    outer = scripted("FUNCTION_CALL: deep()", "So be it.", tools=[deep], store=tmp_path / "a.db")
    with outer, middle, inner:
        result = outer.run("go", thread="t")
    assert (result.text, result.calls[0].result, caught) == ("So be it.", "No.", [REFUSED])


def test_other_threads_and_other_places_are_free(store, tmp_path) -> None:
    others = [scripted("Yes.", name="a"), scripted("Yes.", name="b", store=tmp_path / "b.db")]

    @tool
    async def ask() -> str:
        """Asks."""
        said = [await agent.arun("more", thread="other"), await agent.arun("more")]
        return " ".join(map(str, said + [await other.arun("more", thread="t") for other in others]))

    steps = ("FUNCTION_CALL: ask()", "One.", "Two.", "Fine.")
    with scripted(*steps, tools=[ask], store=store) as agent, others[0], others[1]:
        result = agent.run("go", thread="t")
        assert (result.text, result.calls[0].result) == ("Fine.", "One. Two. Yes. Yes.")
        assert len(agent.history("other")) == 2


def test_what_a_run_has_begun_may_use_its_thread_once_it_is_over(store) -> None:
    left: list[asyncio.Task[Any]] = []
    over = asyncio.Event()

    @tool
    async def later() -> str:
        """Goes on later."""

        async def go_on() -> Any:
            await over.wait()
            return await agent.arun("And now?", thread="t")

        left.append(asyncio.create_task(go_on()))
        return "later"

    agent = scripted("FUNCTION_CALL: later()", "Fine.", "Now.", tools=[later], store=store)

    async def both() -> list[str]:
        async with agent:
            first = await agent.arun("go", thread="t")
            over.set()
            return [first.text, (await left[0]).text]

    assert within(both()) == ["Fine.", "Now."]
