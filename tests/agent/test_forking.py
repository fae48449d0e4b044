"""The steps of a thread, and threads that begin where another was."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from gemmagraph import Agent, Approve, Edit, Gemma, Limits, Reject, tool
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.errors import AgentError, StoreError
from gemmagraph.ids import new_id, time_of
from gemmagraph.store.store import Store

pytest_plugins = ("postgres",)

if TYPE_CHECKING:
    from postgres import Server

PATIENCE = 20
REMOVE = 'FUNCTION_CALL: remove(path="/tmp/a")'
DISK = 'FUNCTION_CALL: disk(path="/")\nFUNCTION_CALL: disk(path="/home")'


@tool(read_only=True)
def disk(path: str) -> str:
    """How full a disk is."""
    return f"{path} is\n 40% full"


@tool(destructive=True)
def remove(path: str) -> str:
    """Removes a file."""
    return f"removed {path}"


@pytest.fixture(params=["in memory", "stored"])
def store(request, tmp_path):
    return None if request.param == "in memory" else tmp_path / "a.db"


def scripted(store, *steps, **options) -> Agent:
    limits = Limits(wall_time=PATIENCE)
    return Agent(Gemma(ScriptedBackend(steps)), [disk, remove], store=store, limits=limits, **options)


def contents(agent, thread) -> list[str]:
    return [message.content for message in agent.history(thread)]


def test_the_steps_of_a_thread_are_told_in_their_order(store) -> None:
    before = time.time()
    with scripted(store, "Hello.", DISK, "Both are\nfine.") as agent:
        agent.run("Hi", thread="t")
        agent.run("full?", thread="t")
        steps = agent.steps("t")
    assert [(step.number, step.what, step.summary, step.messages) for step in steps] == [
        (1, "said", "Hi", 1),
        (2, "model", "Hello.", 2),
        (3, "said", "full?", 3),
        (4, "model", 'disk(path="/"), disk(path="/home")', 4),
        (5, "tools", "disk: / is 40% full; disk: /home is 40% full", 6),
        (6, "model", "Both are fine.", 7),
    ]
    times = [step.time for step in steps]
    assert times == sorted(times)
    assert before - 0.01 <= times[0] <= times[-1] <= time.time()


def test_what_people_decided_is_a_step(tmp_path) -> None:
    with scripted(tmp_path / "a.db", f"{REMOVE}\n{REMOVE.replace('/a', '/b')}", "Done.") as agent:
        first, second = agent.run("go", thread="t", user="ann").pending
        agent.resume("t", {second.id: Reject("no")}, by="ann")
        agent.resume("t", {first.id: Edit({"path": "/tmp/c"})}, by="ann")
        steps = agent.steps("t")
    assert [step.what for step in steps] == ["said", "model", "decided", "decided", "tools", "model"]
    assert [step.summary for step in steps[2:4]] == ["remove: edit, by ann", "remove: reject, by ann"]
    assert {step.messages for step in steps[1:4]} == {2}


def test_a_thread_goes_on_from_any_of_its_steps_and_the_other_stays_as_it_is(store) -> None:
    with scripted(store, "One.", DISK, "Two.", Step("Other.", expect="/home is\n 40% full"), "Third.") as agent:
        agent.run("first", thread="t")
        agent.run("full?", thread="t")
        kept = agent.history("t")
        assert agent.fork("t", 5, into="u") == "u"
        assert contents(agent, "u") == contents(agent, "t")[:6]
        assert agent.run("and?", thread="u").text == "Other."
        assert agent.history("t") == kept
        assert agent.run("go on", thread="t").text == "Third."
        assert contents(agent, "u")[-2:] == ["and?", "Other."]


def test_without_a_step_it_is_all_of_the_thread_and_a_name_is_found(store) -> None:
    with scripted(store, "One.", "Two.") as agent:
        agent.run("first", thread="t")
        made = [agent.fork("t") for _ in range(3)]
        assert len({*made, "t"}) == 4
        assert all(name.startswith("t-") for name in made)
        assert contents(agent, made[0]) == ["first", "One."]
        assert agent.run("second", thread=made[0]).text == "Two."


def test_calls_that_had_no_result_by_then_are_not_made(store) -> None:
    with scripted(
        store, DISK, "Both.", Step("Not now.", expect="Not run: the conversation was forked here.")
    ) as agent:
        agent.run("full?", thread="t")
        agent.fork("t", 2, into="u")
        assert contents(agent, "u")[2:] == ["Not run: the conversation was forked here."] * 2
        assert [message.tool_call_id for message in agent.history("u")[2:]] == [
            call["id"] for call in agent.history("u")[1].tool_calls
        ]
        assert agent.run("so?", thread="u").text == "Not now."


def test_a_thread_that_waits_for_a_person_is_forked_without_the_question(tmp_path) -> None:
    with scripted(tmp_path / "a.db", REMOVE, "Then not.", "Removed.") as agent:
        (approval,) = agent.run("go", thread="t").pending
        agent.fork("t", into="u")
        assert agent.run("do nothing", thread="u").text == "Then not."
        assert [waiting.id for waiting in agent.approvals()] == [approval.id]
        assert agent.resume("t", {approval.id: Approve()}).text == "Removed."
        assert contents(agent, "t")[2] == "removed /tmp/a"


def test_a_fork_is_a_thread_of_the_store(tmp_path) -> None:
    with scripted(tmp_path / "a.db", "One.") as agent:
        agent.run("first", thread="t")
        agent.fork("t", into="u")
        found = asyncio.run(agent._store.threads())
    assert {(thread.id, thread.title, thread.state) for thread in found} == {
        ("t", "first", "idle"),
        ("u", "first", "idle"),
    }
    with scripted(tmp_path / "a.db", "Two.") as agent:
        assert agent.run("second", thread="u").text == "Two."


def test_a_fork_that_breaks_off_anywhere_leaves_no_thread_and_is_made_anew(tmp_path) -> None:
    with scripted(tmp_path / "a.db", "One.", "Two.") as agent:
        agent.run("first", thread="t")
        agent.run("second", thread="t")
    points = 0
    while True:
        store = Breaking(tmp_path / "a.db", points)
        with scripted(store) as agent:
            try:
                agent.fork("t", into="u")
                break
            except StoreError:
                points += 1
            store.left = None
            assert [thread.id for thread in asyncio.run(store.threads())] == ["t"]
            agent.fork("t", 2, into="u")
            assert contents(agent, "u") == ["first", "One."]
            asyncio.run(store.delete("u"))
    assert points >= 2


class Breaking(Store):
    """A store of which so many writes succeed, and then none."""

    def __init__(self, path: Path, left: int) -> None:
        super().__init__(path)
        self.left: int | None = left
        open_session = self._workers._open_session

        def opened() -> Any:
            session: Any = open_session()
            changes, saver = session.change, session.saver

            def counted(write: Any) -> Any:
                def write_if_left(*values: Any) -> Any:
                    statement = values[0] if write == changes else ""
                    if self.left is not None and "turns" not in statement.split("WHERE")[0].split("SELECT")[0]:
                        if self.left == 0:
                            raise sqlite3.OperationalError("disk I/O error")
                        self.left -= 1
                    return write(*values)

                return write_if_left

            session.change = counted(changes)
            saver.put, saver.put_writes = counted(saver.put), counted(saver.put_writes)
            return session

        self._workers._open_session = opened


def test_a_thread_in_postgresql_is_forked_like_any_other(postgres: Server) -> None:
    postgres.rows("CREATE DATABASE of_forks")
    with scripted(Store(postgres.dsn(database="of_forks")), "One.", DISK, "Two.", "Other.") as agent:
        agent.run("first", thread="t")
        agent.run("full?", thread="t")
        assert [step.what for step in agent.steps("t")] == ["said", "model", "said", "model", "tools", "model"]
        assert agent.run("and?", thread=agent.fork("t", 4)).text == "Other."
        with pytest.raises(AgentError, match="There is a thread 't' already"):
            agent.fork("t", into="t")


@pytest.mark.parametrize("step", [0, 3, -1, True, "1"], ids=repr)
def test_a_step_that_is_not_there_is_refused_with_those_that_are(store, step) -> None:
    with scripted(store, "One.") as agent:
        agent.run("first", thread="t")
        with pytest.raises(AgentError, match=rf"'t' has no step {step!r}.*It has the steps 1 to 2"):
            agent.fork("t", step)


def test_a_thread_that_is_not_there_has_no_steps_and_no_fork(store) -> None:
    with scripted(store, "One.") as agent:
        agent.run("first", thread="t")
        for ask in (agent.steps, agent.fork, agent.history):
            with pytest.raises(AgentError, match="There is no thread 'none'"):
                ask("none")


def test_no_thread_is_written_over(store) -> None:
    with scripted(store, "One.", "Two.") as agent:
        agent.run("first", thread="t")
        agent.run("other", thread="u")
        with pytest.raises(AgentError, match="There is a thread 'u' already"):
            agent.fork("t", into="u")
        assert contents(agent, "u") == ["other", "Two."]


def test_a_long_thread_is_read_quickly(tmp_path) -> None:
    """The ceiling is for 300 turns; reading the checkpoints one by one takes seconds."""
    with scripted(tmp_path / "a.db", "One.") as agent:
        agent.run("first", thread="t")
        messages = []
        for turn in range(300):
            name = new_id()
            call = {"name": "disk", "args": {"path": "/"}, "id": f"{name}-0", "type": "tool_call"}
            messages += [
                HumanMessage(f"question {turn}", id=new_id()),
                AIMessage("", id=name, tool_calls=[call]),
                ToolMessage("x" * 500, tool_call_id=call["id"], name="disk", id=f"{name}-0-result"),
                AIMessage("It is fine.", id=new_id()),
            ]
        config = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        asyncio.run(agent._runs._saved.aupdate_state(config, {"messages": messages}, as_node="model"))
        assert len(agent.steps("t")) == 1_202
        took = []
        for _ in range(3):
            begun = time.process_time()
            agent.steps("t")
            took.append(time.process_time() - begun)
        assert min(took) < 0.1


def test_an_id_tells_when_it_was_made_and_no_other_does() -> None:
    before = time.time()
    made = [new_id() for _ in range(1_000)]
    assert len(set(made)) == 1_000
    assert all(before - 0.01 <= time_of(identity) <= time.time() for identity in made)
    assert time_of(f"{made[0]}-0-result") == time_of(made[0])
    for other in ("", "m_1", "run-0e6f", "m_" + "0" * 32, "M_" + "f" * 32):
        assert time_of(other) is None
