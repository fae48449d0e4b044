"""What is known of a call that began before, and what is done about it."""

import asyncio
from contextlib import closing

import pytest

from gemmagraph.errors import TurnLost
from gemmagraph.journal import Written
from gemmagraph.prompts.messages import ToolCall
from gemmagraph.store.store import Store
from gemmagraph.store.turns import Turn

pytest_plugins = ("crashes", "postgres")

CALL = ToolCall("c1", "act", {"n": "a"})
CAME = Written({"said": "half \ud83d a pair", "big": [1, None]}, "ok", 0.5)


@pytest.fixture
def store(place):
    with closing(Store(place.url)) as store:
        yield store


async def begin(store, *, repeatable=False):
    """In a turn that goes on."""
    rows = await store._workers.do(lambda session: session.rows("SELECT ticket FROM turns"))
    if not rows:
        until = "INSERT INTO turns (thread, owner, until) VALUES ('t', 'o', 9e12)"
        await store._workers.do(lambda session: session.change(until))
        rows = await store._workers.do(lambda session: session.rows("SELECT ticket FROM turns"))
    turn = Turn("t", rows[0][0])
    return turn, await store.journal.start(turn, CALL, repeatable=repeatable)


def test_a_call_that_is_new_is_made(store):
    async def run():
        _, before = await begin(store)
        return before, await store.journal.entries("t")

    before, (entry,) = asyncio.run(run())
    assert before is None
    assert (entry.call, entry.tool, entry.arguments, entry.state) == ("c1", "act", {"n": "a"}, "started")


def test_a_call_that_is_done_is_not_made_again_and_has_the_same_result(store):
    async def run():
        turn, _ = await begin(store)
        await store.journal.finish(turn, "c1", CAME)
        return [(await begin(store))[1], (await begin(store, repeatable=True))[1]]

    assert asyncio.run(run()) == [CAME, CAME]


def test_what_became_of_a_call_that_began_and_has_no_result_is_unknown(store):
    async def run():
        await begin(store)
        return [(await begin(store))[1] for _ in range(2)], await store.journal.entries("t")

    came, (entry,) = asyncio.run(run())
    assert [written.status for written in came] == ["unknown", "unknown"]
    assert "act was started before. Whether it took effect is unknown" in came[0].content
    assert entry.state == "unknown"


def test_a_call_that_does_no_harm_twice_is_made_again(store):
    async def run():
        turn, _ = await begin(store, repeatable=True)
        again = (await begin(store, repeatable=True))[1]
        await store.journal.finish(turn, "c1", CAME, known=False)
        return again, (await begin(store, repeatable=True))[1]

    assert asyncio.run(run()) == (None, None)


def test_a_timeout_is_told_as_it_was(store):
    late = Written("no answer in time", "timeout", 60.0)

    async def run():
        turn, _ = await begin(store)
        await store.journal.finish(turn, "c1", late, known=False)
        return (await begin(store))[1]

    assert asyncio.run(run()) == late


def test_without_the_turn_no_call_begins(store, place):
    with pytest.raises(TurnLost):
        asyncio.run(store.journal.start(Turn("t", 999), CALL, repeatable=False))
    assert place.rows("SELECT 1 FROM calls") == []


def test_without_the_turn_no_call_is_made_again(store, place):
    async def run():
        turn, _ = await begin(store, repeatable=True)
        place.rows("DELETE FROM turns RETURNING 1")
        await store.journal.start(turn, CALL, repeatable=True)

    with pytest.raises(TurnLost):
        asyncio.run(run())


def test_without_the_turn_no_result_is_written(store, place):
    async def run():
        turn, _ = await begin(store)
        place.rows("DELETE FROM turns RETURNING 1")
        await store.journal.finish(turn, "c1", CAME)

    with pytest.raises(TurnLost):
        asyncio.run(run())
    assert place.rows("SELECT state, outcome FROM calls") == [("started", None)]


def test_of_two_that_begin_the_same_call_at_once_one_makes_it(place):
    async def run():
        with closing(Store(place.url)) as one, closing(Store(place.url)) as other:
            turn, _ = await begin(one)
            place.rows("DELETE FROM calls RETURNING 1")
            starts = [store.journal.start(turn, CALL, repeatable=False) for store in (one, other) * 4]
            return await asyncio.gather(*starts)

    assert [written.status if written else "made" for written in asyncio.run(run())].count("made") == 1
