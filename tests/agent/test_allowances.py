"""What one user may use over time: counted in the store, by all processes, for whoever is known."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from langchain_core.messages import HumanMessage

from gemmagraph import Agent, Approve, Gemma, Limits, tool
from gemmagraph.backends.base import Chunk
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.errors import AgentError, BackendUnavailable
from gemmagraph.events import LimitReached, RunFinished
from gemmagraph.prompts.messages import Usage
from gemmagraph.store.spending import Allowance
from gemmagraph.store.store import Store
from gemmagraph.tools.declared.units import Rate

pytest_plugins = ("postgres",)

if TYPE_CHECKING:
    from postgres import Server

PATIENCE = 20


class Counted(ScriptedBackend):
    """Each reply costs ten tokens."""

    async def stream(self, request):
        async for chunk in super().stream(request):
            yield Chunk(text=chunk.text, stop=chunk.stop, usage=Usage(7, 3) if chunk.stop else None)


class Clocked(Store):
    """Its database's clock is set by the test."""

    def __init__(self, path) -> None:
        super().__init__(path)
        self.time = 1_000_000.0
        make = self._workers._open_session

        def opened():
            session = make()
            session.now = lambda: self.time
            return session

        self._workers._open_session = opened


@pytest.fixture
def store(tmp_path):
    store = Clocked(tmp_path / "a.db")
    yield store
    store.close()


def counted(store, *steps, tools=(), name="ops", **per_user) -> Agent:
    return Agent(
        Gemma(Counted(steps)), tools, store=store, name=name, limits=Limits(wall_time=PATIENCE, per_user=per_user)
    )


@tool(read_only=True)
def disk() -> str:
    """How full the disk is."""
    return "40%"


DISK = "FUNCTION_CALL: disk()"


def test_runs_beyond_the_allowance_are_refused_before_anything_happens(store) -> None:
    agent = counted(store, "One.", "Two.", "Again.", runs="2/min")
    assert [agent.run("go", user="ann", thread="t").text for _ in range(2)] == ["One.", "Two."]
    store.time += 48
    result = agent.run("go", user="ann", thread="t")
    assert (result.text, result.stop) == ("", "limit")
    assert result.reason == "ann has used up 2 runs per minute; again in 12 s"
    assert [message.content for message in result.messages] == ["go", "One.", "go", "Two."]
    assert [message.content for message in agent.history("t")] == ["go", "One.", "go", "Two."]
    assert asyncio.run(store.inputs.open("t")) == []
    store.time += 12.5
    assert agent.run("go", user="ann", thread="t").text == "Again."


def test_a_message_that_is_said_again_counts_as_a_run_unless_a_thread_has_its_answer(store) -> None:
    said = [HumanMessage("go", id="evt1")]
    agent = counted(store, "One.", "Two.", "Three.", runs="3/min")
    assert [agent.run(said, user="ann", thread="t").text for _ in range(3)] == ["One."] * 3
    assert [agent.run(said, user="ann").text for _ in range(3)] == ["Two.", "Three.", ""]
    assert agent.run(said, user="ann").reason.startswith("ann has used up 3 runs per minute")


def test_whoever_watches_is_told(store) -> None:
    agent = counted(store, "One.", runs="1/day")
    agent.run("go", user="ann")

    async def watched():
        return [event async for event in agent.stream("go", user="ann")]

    events = asyncio.run(watched())
    assert [type(event) for event in events] == [LimitReached, RunFinished]
    assert events[0].reason == "ann has used up 1 runs per day; again in 24 h"


def test_others_and_whoever_is_not_known_are_not_held_up(store) -> None:
    agent = counted(store, *["Fine."] * 5, runs="1/h")
    agent.run("go", user="ann")
    assert agent.run("go", user="ann").stop == "limit"
    assert [agent.run("go", user=user).stop for user in ("bob", None, None)] == ["answered"] * 3
    assert counted(store, "Fine.", name="other", runs="1/h").run("go", user="ann").stop == "answered"
    assert agent.run("go", user="ann").stop == "limit"


@pytest.mark.parametrize(
    ("per_user", "reason"),
    [
        ({"calls": "2/hour"}, "ann has used up 2 calls per hour; again in 60 min"),
        ({"tokens": "30/day"}, "ann has used up 30 tokens per day; again in 24 h"),
        ({"runs": "100/s", "tokens": "0.03k/min"}, "ann has used up 30 tokens per minute; again in 60 s"),
    ],
    ids=["calls", "tokens", "the one that is used up"],
)
def test_calls_and_tokens_count_when_a_run_ends(store, per_user, reason) -> None:
    agent = counted(store, DISK, DISK, "40%.", tools=[disk], **per_user)
    assert agent.run("go", user="ann").usage == Usage(21, 9)
    assert agent.run("go", user="ann").reason == reason


def test_tokens_count_also_where_no_server_tells_them(store) -> None:
    limits = Limits(wall_time=PATIENCE, per_user={"tokens": "30/day"})
    with Agent(Gemma(ScriptedBackend(["word " * 50])), store=store, limits=limits) as agent:
        agent.run("go", user="ann", thread="t")
        assert agent.run("go", user="ann", thread="t").reason.startswith("ann has used up 30 tokens per day")


def test_a_run_that_fails_counts_with_what_it_has_used(store) -> None:
    agent = counted(store, DISK, Step(error=BackendUnavailable("down")), tools=[disk], tokens="10/min")
    with pytest.raises(BackendUnavailable):
        agent.run("go", user="ann", thread="t")
    assert agent.run("go", user="ann", thread="t").reason.startswith("ann has used up 10 tokens per minute")


def test_a_run_that_failed_counts_again_when_it_is_tried_again(store) -> None:
    agent = counted(store, *[Step(error=BackendUnavailable("down"))] * 2, "Fine.", runs="2/min")
    with pytest.raises(BackendUnavailable):
        agent.run("go", user="ann", thread="t")
    with pytest.raises(BackendUnavailable):
        agent.resume("t")
    result = agent.resume("t")
    assert (result.stop, result.reason) == ("limit", "ann has used up 2 runs per minute; again in 60 s")
    store.time += 61
    assert agent.resume("t").text == "Fine."


def test_a_run_that_is_cancelled_counts_with_what_it_has_used(store) -> None:
    begun = asyncio.Event()

    @tool
    async def wait() -> str:
        """Waits."""
        begun.set()
        await asyncio.Event().wait()
        return ""

    agent = counted(store, "FUNCTION_CALL: wait()", tools=[wait], tokens="10/min")

    async def both():
        run = asyncio.create_task(agent.arun("go", user="ann", thread="t"))
        await begun.wait()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        return await agent.arun("go", user="ann")

    assert asyncio.run(asyncio.wait_for(both(), PATIENCE)).stop == "limit"


def test_a_run_that_waited_for_a_person_counts_once_and_as_a_whole(store) -> None:
    @tool(destructive=True)
    def wipe() -> str:
        """Wipes."""
        return "wiped"

    agent = counted(store, "FUNCTION_CALL: wipe()", "Done.", "More.", tools=[wipe], runs="2/h", tokens="20/h")
    waiting = agent.run("go", user="ann", thread="t")
    assert agent.resume("t", {waiting.pending[0].id: Approve()}, by="ann").text == "Done."
    rows = asyncio.run(store._workers.do(lambda session: session.rows("SELECT person, calls, tokens FROM spent")))
    assert rows == [("ops/ann", 1, 20)]
    assert agent.run("go", user="ann").reason.startswith("ann has used up 20 tokens per hour")


def test_a_run_inside_another_counts_for_its_own_agent(store) -> None:
    inner = counted(store, *["40%."] * 2, name="disks", runs="1/h")
    ask = 'FUNCTION_CALL: disks(request="full?")'
    outer = counted(store, ask, "Fine.", ask, "Not known.", tools=[inner], runs="9/h")
    assert outer.run("go", user="ann").text == "Fine."
    assert outer.run("go", user="ann").calls[0].result == (
        "(disks ended before it was done: ann has used up 1 runs per hour; again in 60 min.)"
    )
    assert inner.run("go").text == "40%."


def test_agents_that_count_for_less_time_forget_nothing_that_others_count(store) -> None:
    minute, day = Allowance("runs", 9, 60), Allowance("runs", 1, 86_400)

    async def begun():
        await store.spending.begin("1", "ann", [day])
        store.time += 3_600
        await store.spending.begin("2", "ann", [minute])
        return await store.spending.begin("3", "ann", [day])

    assert asyncio.run(begun())[0] == day


def test_postgresql_counts_too(postgres: Server) -> None:
    postgres.rows("CREATE DATABASE of_one_user")
    store = Store(postgres.dsn(database="of_one_user"))
    agent = counted(store, DISK, "40%.", tools=[disk], runs="5/h", tokens="20/day")
    with agent:
        assert agent.run("go", user="ann", thread="t").text == "40%."
        assert agent.run("go", user="ann", thread="t").reason.startswith("ann has used up 20 tokens per day")
        assert agent.run("go", user="ann").stop == "limit"


class Counting(RuleBasedStateMachine):
    """Runs of two people, against all that was ever used, looked through each time."""

    ALLOWANCES = (Allowance("runs", 3, 60), Allowance("calls", 6, 60), Allowance("tokens", 50, 3600))

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.store = Clocked(Path(self.folder.name, "a.db"))
        self.used: list[dict] = []

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(seconds=st.sampled_from([1, 20, 59, 61, 1800, 3601]))
    def time_passes(self, seconds) -> None:
        self.store.time += seconds

    @rule(who=st.sampled_from(["ann", "bob"]), new=st.booleans())
    def begin(self, who, new) -> None:
        mine = [one for one in self.used if one["who"] == who]
        run = f"{who}{len(self.used)}" if new or not mine else mine[-1]["run"]
        found, wait = asyncio.run(self.store.spending.begin(run, who, self.ALLOWANCES))
        others = [one for one in mine if one["run"] != run]  # it does not stand in its own way
        expected = next((each for each in self.ALLOWANCES if self._inside(each, others, 0.0) >= each.most), None)
        assert found == expected
        if found is not None:
            assert self._inside(found, others, wait - 0.01) >= found.most > self._inside(found, others, wait + 0.01)
        elif len(others) == len(mine):
            self.used.append({"run": run, "who": who, "at": self.store.time, "runs": 1, "calls": 0, "tokens": 0})

    @precondition(lambda self: self.used)
    @rule(which=st.integers(0, 9), calls=st.integers(0, 4), tokens=st.integers(0, 40))
    def end(self, which, calls, tokens) -> None:
        one = self.used[which % len(self.used)]
        if one["at"] >= self.store.time - 86_400:  # else it may be forgotten
            one |= {"calls": calls, "tokens": tokens}
            asyncio.run(self.store.spending.end(one["run"], calls=calls, tokens=tokens))

    def _inside(self, allowance, mine, later) -> int:
        since = self.store.time + later - allowance.seconds
        return sum(one[allowance.what] for one in mine if one["at"] > since)


Counting.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
test_what_is_used_is_counted_as_by_somebody_who_looks_at_all_of_it = Counting.TestCase


CHILD = """
import sys
from gemmagraph import Agent, Gemma, Limits
from gemmagraph.backends.scripted import ScriptedBackend
agent = Agent(
    Gemma(ScriptedBackend(["Fine."] * 5)), store=sys.argv[1], name="ops", limits=Limits(per_user={"runs": "5/day"})
)
print(sum(agent.run("go", user="ann").stop == "answered" for _ in range(4)))
"""


def test_processes_on_one_store_count_together(tmp_path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, f"sqlite:///{tmp_path}/a.db"], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [child.communicate(timeout=60)[0] for child in children]
    assert sum(map(int, said)) == 5


@pytest.mark.parametrize(
    ("per_user", "message"),
    [
        ({"runs": "30"}, "runs is '30'"),
        ({"runs": 30}, "runs is 30"),
        ({"tokens": "0/day"}, "tokens is '0/day'"),
        ({"tokens": "200k/week"}, "tokens is '200k/week'"),
        ({"steps": "3/min"}, "per_user has no 'steps'"),
    ],
    ids=str,
)
def test_what_is_no_limit_over_time_is_refused(per_user, message) -> None:
    with pytest.raises(AgentError, match=message):
        Limits(per_user=per_user)


def test_a_limit_over_time_is_understood_once() -> None:
    limits = Limits(per_user={"runs": "30/min", "tokens": "200k/day", "calls": Rate(5, 3600)})
    assert limits.rates == {"runs": Rate(30, 60), "tokens": Rate(200_000, 86_400), "calls": Rate(5, 3600)}
    assert hash(limits) == hash(Limits())


def test_without_a_store_nothing_can_be_counted() -> None:
    with pytest.raises(AgentError, match=r"\(per_user\) is counted in a store, and there is none"):
        Agent(Gemma(ScriptedBackend(["Fine."])), limits=Limits(per_user={"runs": "1/min"}))
