"""Whose turn a thread is, among processes: each `Store` here is one."""

import asyncio
import time
from contextlib import closing

import pytest
from langchain_core.messages import HumanMessage
from langgraph.graph import START, StateGraph

from gemmagraph.errors import NeedsDecision, TurnLost
from gemmagraph.state import StoredState
from gemmagraph.store.store import Store

pytest_plugins = ("crashes", "postgres")

PATIENCE = 20


def nothing(session):
    """There is nothing to do."""


def turn_of(store, stopped, *, before=nothing):
    def stop(why):
        stopped.append(why)
        return True

    return store.turns.turn("t", stop, before=before, begin=nothing)


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what another process sees
            await asyncio.sleep(0.01)


@pytest.fixture
def stores(place):
    with closing(Store(place.url, lease=0.6)) as one, closing(Store(place.url, lease=0.6)) as other:
        asyncio.run(one.check())
        yield one, other


def test_the_state_of_a_thread_is_written_only_as_long_as_its_turn_is_held(stores, place):
    store, _ = stores

    async def answers(state):
        place.rows("DELETE FROM turns WHERE thread = 't' RETURNING 1")
        return {"messages": []}

    graph = StateGraph(StoredState).add_node("answers", answers).add_edge(START, "answers").compile(store.saver)
    config = {"configurable": {"thread_id": "t"}}

    async def run():
        async with turn_of(store, []):
            with pytest.raises(TurnLost):
                await graph.ainvoke({"messages": [HumanMessage("hello")]}, config, durability="sync")
        return len([state async for state in graph.aget_state_history(config)])

    assert asyncio.run(asyncio.wait_for(run(), PATIENCE)) == 2  # those from before it was lost


def test_whoever_lost_its_turn_is_told(stores, place):
    stopped = []

    async def run():
        async with turn_of(stores[0], stopped):
            place.rows("DELETE FROM turns RETURNING 1")
            await until(lambda: stopped)

    asyncio.run(run())
    assert [type(why) for why in stopped] == [TurnLost]


def test_a_turn_is_kept_for_longer_than_its_lease_as_long_as_its_process_is_alive(stores, place):
    stopped = []

    async def run():
        async with turn_of(stores[0], stopped) as (turn, _):
            held = lambda: place.rows("SELECT until FROM turns WHERE ticket = ?", turn.ticket)[0][0]  # noqa: E731
            first = held()
            waiting = asyncio.create_task(turn_of(stores[1], stopped).__aenter__())
            await until(lambda: held() > first + 0.7)  # its lease
            assert not waiting.done()
            waiting.cancel()
            await asyncio.wait({waiting}, timeout=PATIENCE)

    asyncio.run(run())
    assert stopped == []


def test_somebody_else_may_ask_for_its_end(stores):
    stopped = []

    async def run():
        assert not await stores[1].turns.cancel("t")
        async with turn_of(stores[0], stopped):
            assert await stores[1].turns.cancel("t")
            await until(lambda: stopped)

    asyncio.run(run())
    assert stopped == [None]


def test_who_gives_up_waiting_leaves_the_queue(stores, place):
    async def run():
        async with turn_of(stores[0], []):
            waiting = asyncio.create_task(turn_of(stores[1], []).__aenter__())
            await until(lambda: len(place.rows("SELECT 1 FROM turns")) == 2)
            waiting.cancel()
            await asyncio.wait({waiting}, timeout=PATIENCE)
            await until(lambda: len(place.rows("SELECT 1 FROM turns")) == 1)

    asyncio.run(run())
    assert place.rows("SELECT 1 FROM turns") == []


def test_what_is_refused_at_the_door_does_not_join_the_queue(stores, place):
    def refuses(session):
        session.change("INSERT INTO threads VALUES ('t', 'agent', '', 0, 0)")
        raise NeedsDecision("t", [])

    async def run():
        async with turn_of(stores[0], [], before=refuses):
            pytest.fail("it came in")

    with pytest.raises(NeedsDecision):
        asyncio.run(run())
    assert place.rows("SELECT 1 FROM turns") == place.rows("SELECT 1 FROM threads") == []


def test_what_was_left_to_write_is_written_with_the_end_of_the_turn_or_never(stores, place):
    def write(session):
        session.change("INSERT INTO threads VALUES ('t', 'agent', '', 0, 0)")

    async def run(lost):
        async with turn_of(stores[0], []) as (turn, _):
            turn.last.append(write)
            if lost:
                place.rows("DELETE FROM turns RETURNING 1")

    with pytest.raises(TurnLost):
        asyncio.run(run(lost=True))
    assert place.rows("SELECT 1 FROM threads") == []
    asyncio.run(run(lost=False))
    assert place.rows("SELECT 1 FROM threads") == [(1,)]


def test_a_wish_to_cancel_that_finds_nothing_to_stop_is_told_again(stores):
    heard = []

    def stop(why):
        heard.append(why)
        return len(heard) > 1

    async def run():
        async with stores[0].turns.turn("t", stop, before=nothing, begin=nothing):
            assert await stores[1].turns.cancel("t")
            await until(lambda: len(heard) > 1)

    asyncio.run(run())
    assert heard == [None, None]


def test_a_wish_to_cancel_goes_over_to_whoever_comes_after_the_dead(stores, place):
    stopped = []
    dead = "INSERT INTO turns (thread, owner, until) VALUES ('t', 'dead', ?) RETURNING 1"
    place.rows(dead, time.time() + 60)

    async def run():
        assert await stores[1].turns.cancel("t")
        place.rows("UPDATE turns SET until = 1 RETURNING 1")
        async with turn_of(stores[0], stopped) as (turn, _):
            assert turn.cancelled
            await asyncio.sleep(0.5)  # more than one sign of life
            assert stopped == []
            await stores[0].do(turn.heard)
            assert not turn.cancelled
            assert await stores[1].turns.cancel("t")
            await until(lambda: stopped)
        async with turn_of(stores[0], stopped) as (turn, _):
            assert not turn.cancelled

    asyncio.run(run())
    assert stopped == [None]


def test_a_cancel_is_never_swallowed(stores):
    async def turn():
        async with turn_of(stores[0], []):
            pass
        await asyncio.sleep(PATIENCE)

    async def run(moment):
        task = asyncio.create_task(turn())
        for _ in range(moment):
            await asyncio.sleep(0.0001)
        task.cancel()
        await asyncio.wait({task}, timeout=PATIENCE / 2)
        return task.cancelled()

    assert all(asyncio.run(run(moment)) for moment in range(50))


def test_a_ticket_of_the_future_is_valid_only_as_long_as_its_holder_is_alive(stores, place):
    """The clock was set back; or the holder has a far longer lease."""
    place.rows("INSERT INTO turns (thread, owner, until) VALUES ('t', 'dead', ?) RETURNING 1", time.time() + 3_600)
    with closing(Store(place.url, lease=100)) as patient:

        async def run():
            async with turn_of(stores[0], []):
                pass
            stopped = []
            async with turn_of(patient, stopped):
                waiting = asyncio.create_task(turn_of(stores[1], []).__aenter__())
                await asyncio.wait({waiting}, timeout=3)
                assert not waiting.done()
                waiting.cancel()
                await asyncio.wait({waiting}, timeout=PATIENCE)
            assert stopped == []

        asyncio.run(asyncio.wait_for(run(), PATIENCE))
