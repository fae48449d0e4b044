"""A thread whose process was killed: who wants it to end is heard at once, on the same machine."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from gemmagraph import Agent, Approve, Gemma, tool
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.errors import AgentError
from gemmagraph.store.store import Store

CHILD = """
import sys, time
from gemmagraph import Agent, Gemma, tool
from gemmagraph.backends.scripted import ScriptedBackend

@tool(destructive=True, approval="allow")
def bump() -> str:
    '''Bumps.'''
    print("bumping", flush=True)
    time.sleep(60)
    return "bumped"

Agent(Gemma(ScriptedBackend(["FUNCTION_CALL: bump()"])), [bump], store=sys.argv[1]).run("go", thread="t")
"""


def killed(store: Path) -> None:
    """Leaves a run that a killed process was at work on."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, f"sqlite:///{store}"], stdout=subprocess.PIPE, text=True)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "bumping\n"
        child.send_signal(signal.SIGKILL)


@tool(destructive=True, approval="allow")
def bump() -> str:
    """Bumps."""
    raise AssertionError("it is not made again")


def test_a_cancel_ends_what_a_killed_process_has_left(tmp_path: Path) -> None:
    store = tmp_path / "agent.db"
    killed(store)
    begun = time.monotonic()
    with Agent(Gemma(ScriptedBackend([])), [bump], store=store) as agent:
        assert agent.cancel("t")
        assert not agent.cancel("t")
        assert [message.type for message in agent.history("t")] == ["human", "ai", "tool"]
    assert time.monotonic() - begun < 10, "it waited until the dead process was silent for long enough"


@pytest.fixture
def far(tmp_path: Path) -> Path:
    """A store with a run that a process of another machine has left when it was killed, and that is to end."""
    store = tmp_path / "agent.db"
    killed(store)

    def change(what: str, *values: object) -> None:
        with closing(sqlite3.connect(store)) as connection, connection:
            connection.execute(f"UPDATE turns SET {what}", values)

    change("owner = 'elsewhere/1/1', until = ?", time.time() + 60)
    with Agent(Gemma(ScriptedBackend([])), [bump], store=store) as agent:
        assert agent.cancel("t")
    change("until = 1")
    return store


def test_a_cancel_that_a_dead_process_could_not_hear_is_heard_by_who_goes_on(far: Path) -> None:
    with Agent(Gemma(ScriptedBackend([])), [bump], store=far) as agent:
        for result in (agent.resume("t"), agent.resume("t")):
            assert (result.stop, result.reason) == ("cancelled", "the run was cancelled")
            assert [(call.name, call.status) for call in result.calls] == [("bump", "unknown")]
        assert not agent.cancel("t")


def test_such_a_cancel_is_not_for_what_was_said_after_it(far: Path) -> None:
    with Agent(Gemma(ScriptedBackend([Step("Hello.", expect="is unknown")])), [bump], store=far) as agent:
        result = agent.run("hello", thread="t")
        assert (result.text, result.stop, result.calls) == ("Hello.", "answered", ())
        assert [message.type for message in agent.history("t")] == ["human", "ai", "tool", "human", "ai"]


def test_who_goes_on_after_such_a_cancel_can_be_cancelled_too(far: Path) -> None:
    async def main() -> None:
        with closing(Store(far)) as store, closing(Store(far)) as other:
            agent = Agent(Gemma(ScriptedBackend([Step("Hello.", delay=15)])), [bump], store=store)
            running = asyncio.create_task(agent.arun("hello", thread="t"))
            while not agent._runs._running:  # type: ignore[union-attr]  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert await other.turns.cancel("t")
            assert (await running).stop == "cancelled"

    asyncio.run(asyncio.wait_for(main(), 12))


@pytest.mark.parametrize("decisions", [True, Approve(), "approve", 3])
def test_a_decision_about_no_call_is_refused(tmp_path: Path, decisions: object) -> None:
    with Agent(Gemma(ScriptedBackend(["hi"])), store=tmp_path / "agent.db") as agent:
        agent.run("hello", thread="t")
        with pytest.raises(AgentError, match="which call"):
            agent.resume("t", decisions)  # type: ignore[arg-type]
