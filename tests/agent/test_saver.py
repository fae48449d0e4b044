"""LangGraph's saver on a store, as it is configured: LangGraph's own suite for savers, and what that has no tests
for: messages that are saved as what each step adds, read back, replayed, forked and edited, against a plain list."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import closing
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from typing_extensions import TypedDict

from gemmagraph.state import State, StoredState, merge_all
from gemmagraph.store.store import Store

pytest_plugins = ("crashes", "postgres")

BASE = {"put": 17, "put_writes": 10, "get_tuple": 10, "list": 16, "delete_thread": 5}
"""How many tests LangGraph's suite has for what every saver must be able to."""


def test_langgraphs_own_suite_for_savers_passes(place):
    @checkpointer_test(name="ours")
    async def ours() -> AsyncGenerator[BaseCheckpointSaver[str], None]:
        store = Store(place.url)
        yield store.saver
        store.close()

    report = asyncio.run(validate(ours, capabilities=set(BASE)))
    failures = {name: result.failures for name, result in report.results.items() if result.failures}
    assert failures == {}
    passed = {name: report.results[name].tests_passed for name in BASE}
    assert passed == BASE
    assert report.passed_all_base()


class OftenWhole(TypedDict, total=False):
    """As `StoredState`, with a whole copy after every few steps."""

    messages: Annotated[list[AnyMessage], DeltaChannel(merge_all, snapshot_frequency=3)]


class Talk:
    """A thread of a graph that answers in two steps, done to by people who travel in time."""

    def __init__(self, state: Any, saver: BaseCheckpointSaver[Any]) -> None:
        graph = StateGraph(state)
        graph.add_node("one", self._answer)
        graph.add_node("two", self._answer)
        graph.add_edge(START, "one")
        graph.add_edge("one", "two")
        self._graph = graph.compile(saver)
        self._thread = {"configurable": {"thread_id": "t"}}
        self._answers = 0

    async def _answer(self, state: Any) -> dict[str, Any]:
        self._answers += 1
        last = state["messages"][-1].content if state["messages"] else "nothing"
        return {"messages": [AIMessage(f"{self._answers} to {last}", id=f"a{self._answers}")]}

    async def checkpoints(self) -> list[Any]:
        """Where it was, the first first."""
        found = [state.config async for state in self._graph.aget_state_history(self._thread)]
        return sorted(found, key=lambda config: str(config["configurable"]["checkpoint_id"]))

    async def say(self, text: str, identity: str, at: Any = None) -> None:
        await self._graph.ainvoke({"messages": [HumanMessage(text, id=identity)]}, at or self._thread)

    async def replay(self, at: Any) -> None:
        await self._graph.ainvoke(None, at)

    async def change(self, messages: list[Any], step: str, at: Any = None, *, go_on: bool = False) -> None:
        there = await self._graph.aupdate_state(at or self._thread, {"messages": messages}, as_node=step)
        if go_on:
            await self._graph.ainvoke(None, there)

    async def seen(self, at: Any = None) -> tuple[list[tuple[str, str, str]], Any]:
        state = await self._graph.aget_state(at or self._thread)
        messages = [(message.type, message.id, message.content) for message in state.values.get("messages", [])]
        return messages, state.next


async def travels(chance: random.Random, steps: int, *talks: Talk) -> None:
    """Does the same to several talks, and sees the same in all of them after each step."""
    for number in range(steps):
        there = [await talk.checkpoints() for talk in talks]
        assert len({len(found) for found in there}) == 1
        place = chance.randrange(len(there[0])) if there[0] else None
        ats = [None if place is None or chance.random() < 0.4 else found[place] for found in there]
        ats = ats if all(ats) else [None] * len(talks)
        messages, _ = await talks[0].seen(ats[0])
        identity = chance.choice(messages)[1] if messages else None
        what = chance.choice(("say", "say", "replay", "append", "edit", "remove", "remove all"))
        step = chance.choice(("one", "two"))
        go_on = chance.random() < 0.5
        changes = {
            "append": [HumanMessage(f"more {number}", id=f"h{number}")],
            "edit": [HumanMessage(f"changed {number}", id=identity)],
            "remove": [RemoveMessage(id=identity or "")],
            "remove all": [RemoveMessage(id=REMOVE_ALL_MESSAGES), HumanMessage("anew", id=f"n{number}")],
        }
        for talk, at in zip(talks, ats, strict=True):
            if what == "say" or identity is None:
                await talk.say(f"said {number}", f"h{number}", at)
            elif what == "replay":
                await talk.replay(at or (await talk.checkpoints())[-1])
            else:
                await talk.change(changes[what], step, at, go_on=go_on)
        first, *others = [await talk.seen() for talk in talks]
        assert others == [first], f"after {what}"
    for number, configs in enumerate(zip(*[await talk.checkpoints() for talk in talks], strict=True)):
        first, *others = [await talk.seen(config) for talk, config in zip(talks, configs, strict=True)]
        assert others == [first], f"checkpoint {number}"


def travel(place: Any, state: Any, seeds: range, steps: int) -> None:
    for seed in seeds:
        with closing(Store(place.url)) as store, closing(Store(place.url)) as other:
            plain = Talk(State, InMemorySaver())
            stored = Talk(state, store.saver)
            asyncio.run(travels(random.Random(seed), steps, plain, stored))
            # What another process reads, which has nothing of it in memory.
            there = Talk(state, other.saver)
            assert asyncio.run(there.seen()) == asyncio.run(plain.seen())
            asyncio.run(store.saver.adelete_thread("t"))


@pytest.mark.parametrize("state", [StoredState, OftenWhole])
def test_time_travel_finds_what_a_plain_list_would_hold(place, state):
    travel(place, state, range(3), 8)


@pytest.mark.long
@pytest.mark.parametrize("state", [StoredState, OftenWhole])
def test_time_travel_finds_what_a_plain_list_would_hold_in_many_ways(place, state):
    travel(place, state, range(100, 110), 14)
