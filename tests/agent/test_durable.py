"""What is kept of a thread, and what a process remembers of it, after every way a turn can end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from gemmagraph import Agent, Gemma, Limits, Reject, ToolContext, tool
from gemmagraph.approvals import Approval, Decision
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.errors import NeedsDecision, ServerError
from gemmagraph.store.address import default_store
from gemmagraph.store.inputs import Input, State
from gemmagraph.store.store import Store

CALL = 'FUNCTION_CALL: restart(name="web")'


def assistant(store: Store | Path, *steps: Any, tools: Any = (), **options: Any) -> Agent:
    return Agent(Gemma(ScriptedBackend(steps)), tools, store=store, **options)


@pytest.fixture
def restarted() -> list[str]:
    return []


@pytest.fixture
def restart(restarted: list[str]) -> Any:
    @tool(destructive=True)
    def restart(name: str) -> str:
        """Restarts a service."""
        restarted.append(name)
        return f"{name} runs"

    return restart


def said(agent: Agent) -> list[str]:
    return [message.text for message in agent.history("t") if message.type == "human"]


async def until(seen: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if seen():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


ENDS = {
    "no time": ([Step("late", delay=5)], {"limits": Limits(wall_time=0.05)}, "limit"),
    "output ignored": (["No number."] * 6, {"output": int}, "failed"),
    "a limit of tokens": (["Well."], {"limits": Limits(tokens=1)}, "answered"),
}


@pytest.mark.parametrize("ending", ENDS)
def test_a_turn_without_a_reply_loses_nothing_of_the_conversation(tmp_path: Path, ending: str) -> None:
    steps, options, stop = ENDS[ending]
    store = Store(tmp_path / "a.db")
    assistant(store, "Hello, Ann.").run("I am Ann.", thread="t")
    agent = assistant(store, *steps, **options)
    assert agent.run("And this?", thread="t").stop == stop
    assert said(agent) == ["I am Ann.", "And this?"]
    again = assistant(store, Step("You are Ann.", expect=("I am Ann.", "And this?")))
    assert again.run("Who am I?", thread="t").text == "You are Ann."
    store.close()
    fresh = Store(tmp_path / "a.db")
    assert said(assistant(fresh)) == said(again) == ["I am Ann.", "And this?", "Who am I?"]
    fresh.close()
    store.close()


def test_what_follows_a_turn_that_failed_at_a_question_is_answered(
    tmp_path: Path, restart: Any, restarted: list[str]
) -> None:
    def fail(approval: Any) -> Any:
        raise RuntimeError("no")

    store = Store(tmp_path / "a.db")
    with pytest.raises(RuntimeError):
        assistant(store, CALL, tools=[restart], approve=fail).run("Restart web.", thread="t")
    agent = assistant(store, Step("I see.", expect=("Restart web.", "Important!")), tools=[restart])
    if waiting := agent.approvals():
        with pytest.raises(NeedsDecision):
            agent.run("Important!", thread="t")
        asyncio.run(store.questions.decide(waiting[0].id, {"type": "reject", "reason": "late", "by": None}, None))
    assert agent.run("Important!", thread="t").text == "I see."
    assert (said(agent), restarted) == (["Restart web.", "Important!"], [])
    store.close()


def test_a_call_whose_tool_is_gone_by_now_is_told_to_the_model(tmp_path: Path, restart: Any) -> None:
    store = Store(tmp_path / "a.db")
    assert assistant(store, CALL, tools=[restart]).run("Restart web.", thread="t", user="ann").pending
    agent = assistant(store, Step("It cannot be done.", expect="There is no tool"))
    result = agent.resume("t", [Reject("no")], by="ann")
    assert (result.text, result.calls[0].status) == ("It cannot be done.", "refused")
    store.close()


def test_two_agents_on_one_store_keep_each_other_out(tmp_path: Path, restart: Any) -> None:
    async def main() -> None:
        store = Store(tmp_path / "a.db")
        first = assistant(store, Step("One.", delay=0.4))
        second = assistant(store, "Two.")
        running = asyncio.create_task(first.arun("1", thread="t"))
        await until(lambda: bool(store._tickets))
        held = dict(store._tickets)
        waiting = asyncio.create_task(second.arun("2", thread="t"))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert store._tickets == held
        assert (await running).text == "One."
        store.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_somebody_elses_wish_to_cancel_is_not_for_those_who_wait(tmp_path: Path) -> None:
    async def main() -> None:
        stores = [Store(tmp_path / "a.db") for _ in range(3)]
        running = asyncio.create_task(assistant(stores[0], Step("One.", delay=10)).arun("1", thread="t"))
        await until(lambda: bool(stores[0]._tickets))
        waiting = asyncio.create_task(assistant(stores[1], "Two.").arun("2", thread="t"))
        await asyncio.sleep(0.2)
        assert await stores[2].turns.cancel("t")
        assert (await running).stop == "cancelled"
        assert (await waiting).text == "Two."
        for store in stores:
            store.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_the_result_of_a_cancelled_turn_has_all_its_calls_and_stays_what_it_is(tmp_path: Path) -> None:
    begun: list[int] = []

    @tool(destructive=True, approval="allow")
    async def wipe(disk: str) -> str:
        """Wipes a disk."""
        begun.append(1)
        await asyncio.sleep(20)
        return "done"

    @tool(read_only=True)
    def look() -> str:
        """Looks."""
        return "fine"

    @tool(read_only=True)
    async def watch() -> str:
        """Watches."""
        await asyncio.sleep(20)
        return "seen"

    @tool(approval="ask")
    def restart() -> str:
        """Restarts."""
        return "done"

    async def ponder(approval: Approval) -> Decision:
        await asyncio.sleep(20)
        return Reject()

    tools = [wipe, look, watch, restart]
    calls = "".join(f"FUNCTION_CALL: {call}\n" for call in ("look()", 'wipe(disk="a")', "watch()"))

    async def main() -> None:
        store = Store(tmp_path / "a.db")
        agent = assistant(store, calls, tools=tools)
        turn = asyncio.create_task(agent.arun("1", thread="t"))
        await until(lambda: bool(begun))
        await asyncio.sleep(0.1)
        assert agent.cancel("t")
        first = await turn
        again = await assistant(store, tools=tools).aresume("t")
        for result in (first, again):
            assert (result.stop, result.reason) == ("cancelled", "the run was cancelled")
            found = [(call.name, call.status) for call in result.calls]
            assert found == [("look", "ok"), ("wipe", "unknown"), ("watch", "error")]
        agent = assistant(store, "FUNCTION_CALL: restart()", tools=tools, approve=ponder)
        turn = asyncio.create_task(agent.arun("2", thread="t"))
        await until(lambda: bool(agent.approvals()))
        assert agent.cancel("t")
        assert [(call.name, call.status) for call in (await turn).calls] == [("restart", "refused")]
        store.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_who_goes_on_with_a_thread_reads_its_messages_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db")
    assistant(store, "One.").run("1", thread="t")
    said = Input("m2", [HumanMessage("2", id="m2")], ToolContext())
    asyncio.run(store.do(store.inputs.accepting("t", "agent", said)))
    store.close()
    fresh = Store(tmp_path / "a.db")
    opened, read = fresh._workers._open_session, []

    def counting() -> Any:
        session: Any = opened()
        history = session.saver.get_delta_channel_history
        session.saver.get_delta_channel_history = lambda **asked: read.append(asked) or history(**asked)
        return session

    fresh._workers._open_session = counting
    result = assistant(fresh, Step("Two.", expect="One.")).resume("t")
    assert ([message.text for message in result.messages], len(read)) == (["1", "One.", "2", "Two."], 1)
    fresh.close()


@pytest.mark.parametrize(
    ("state", "why", "reason"),
    [("cancelled", None, "the run was cancelled"), ("failed", RuntimeError("it is down"), "it is down")],
)
def test_who_waited_for_what_somebody_else_has_ended_is_told(
    tmp_path: Path, state: State, why: Exception | None, reason: str
) -> None:
    async def main() -> None:
        store, other = Store(tmp_path / "a.db"), Store(tmp_path / "a.db")
        running = asyncio.create_task(assistant(store, Step("One.", delay=0.5)).arun("1", thread="t"))
        await until(lambda: bool(store._tickets))
        message = HumanMessage("2", id="m2")
        waiting = asyncio.create_task(assistant(other).arun([message], thread="t"))
        while await store.inputs.state("t", "m2") is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await store.do(store.inputs.settling("t", "m2", state, why))
        assert (await running).text == "One."
        result = await waiting
        assert (result.stop, result.reason, result.text) == (state, reason, "")
        store.close()
        other.close()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_second_cancel_does_not_break_into_the_end_of_the_first(tmp_path: Path, restart: Any) -> None:
    begun: list[int] = []

    @tool
    async def wait() -> str:
        """Waits."""
        begun.append(1)
        await asyncio.sleep(20)
        return "done"

    async def main() -> None:
        store = Store(tmp_path / "a.db")
        agent = assistant(store, "FUNCTION_CALL: wait()", "Next.", tools=[wait])
        slow = store._workers.do

        async def late(work: Any) -> Any:
            await asyncio.sleep(0.05)
            return await slow(work)

        turn = asyncio.create_task(agent.arun("1", thread="t"))
        await until(lambda: bool(begun))
        store._workers.do = late  # type: ignore[method-assign]
        for _ in range(5):
            turn.cancel()
            await asyncio.sleep(0.05)
        await asyncio.wait({turn})
        store._workers.do = slow  # type: ignore[method-assign]
        assert turn.cancelled()
        assert (await agent.arun("2", thread="t")).text == "Next."
        kept = [(message.type, message.text) for message in await agent.ahistory("t")]
        assert [kind for kind, _ in kept] == ["human", "ai", "tool", "human", "ai"]
        assert "unknown" in kept[2][1]
        assert [entry.state for entry in await store.journal.entries("t")] == ["unknown"]
        store.close()

    asyncio.run(asyncio.wait_for(main(), 30))


def test_the_same_message_is_tried_again_after_a_failure(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db")
    agent = assistant(store, Step(error=ServerError("down")), "Hello.")
    with pytest.raises(ServerError):
        agent.run([HumanMessage("Hi.", id="evt1")], thread="t")
    assert agent.run([HumanMessage("Hi.", id="evt1")], thread="t").text == "Hello."
    assert said(agent) == ["Hi."]
    store.close()


@pytest.mark.parametrize("written", ["----", "%%%%", "____", "????", "", "ab"])
def test_what_is_no_beginning_of_an_id_finds_no_approval(tmp_path: Path, restart: Any, written: str) -> None:
    store = Store(tmp_path / "a.db")
    agent = assistant(store, CALL, tools=[restart])
    (waiting,) = agent.run("Restart web.", thread="t").pending
    with pytest.raises(Exception, match="There is no approval"):
        asyncio.run(store.questions.get(written))
    assert asyncio.run(store.questions.get(waiting.id[:4])).approval.id == waiting.id
    store.close()


@pytest.mark.parametrize("stored", [False, True], ids=["in memory", "stored"])
def test_what_somebody_does_to_a_result_leaves_the_conversation_as_it_is(tmp_path: Path, stored: bool) -> None:
    @tool
    def add(a: int) -> int:
        """Adds."""
        return a + 1

    first = HumanMessage("one", id="h1")
    steps = ("FUNCTION_CALL: add(a=1)", "Two.", Step("Three.", expect=("one", "a=1", "Two.")))
    agent = Agent(Gemma(ScriptedBackend(steps)), [add], store=tmp_path / "a.db" if stored else None)
    with agent:
        result = agent.run([first], thread="t")
        for messages in (result.messages, agent.history("t")):
            messages[0].content = "changed"
            messages[1].tool_calls[0]["args"]["a"] = 5  # type: ignore[union-attr]
            messages[-1].content = "changed"
            messages.clear()
        assert agent.run("three", thread="t").text == "Three."
        assert [message.content for message in agent.history("t")] == ["one", "", "2", "Two.", "three", "Three."]


def test_the_loop_goes_on_while_an_agent_is_closed(tmp_path: Path) -> None:
    async def main() -> None:
        store = Store(tmp_path / "a.db")
        slow = asyncio.create_task(store.do(lambda session: time.sleep(0.3)))
        await asyncio.sleep(0)
        closing = asyncio.create_task(assistant(store).aclose())
        ticks = 0
        while not closing.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert ticks > 5
        await slow

    asyncio.run(asyncio.wait_for(main(), 20))


def test_the_users_own_store_may_be_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "50%20 off? #1"
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    store = Store(default_store())
    asyncio.run(store.check())
    store.close()
    assert (folder / "gemmagraph" / "agent.db").exists()
