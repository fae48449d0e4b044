"""What is kept of what the application gives along with an input: without secrets, no longer than it is needed."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from gemmagraph import Agent, Approve, Gemma, Limits, ToolContext, tool
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.errors import ServerError
from gemmagraph.store.store import Store
from gemmagraph.tools import secrets

pytest_plugins = ("crashes", "postgres")

WIPE = "FUNCTION_CALL: wipe()"
DOWN = Step(error=ServerError("down"))


@pytest.fixture
def store(place: Any) -> Iterator[Store]:
    with closing(Store(place.url)) as store:
        yield store


@pytest.fixture
def seen() -> list[Any]:
    """What the tool was given."""
    return []


@pytest.fixture
def wipe(seen: list[Any]) -> Any:
    @tool(destructive=True)
    def wipe(context: ToolContext) -> str:
        """Wipes."""
        seen.append(dict(context.values))
        return "wiped"

    return wipe


def assistant(store: Store, *steps: Any, **options: Any) -> Agent:
    return Agent(Gemma(ScriptedBackend(steps)), store=store, **options)


def kept(place: Any) -> list[tuple[str, Any]]:
    """State and values of each input, in their order."""
    return [
        (state, json.loads(asker)["values"])
        for state, asker in place.rows("SELECT state, asker FROM inputs ORDER BY place")
    ]


def test_a_known_secret_among_them_is_masked(store, place, wipe, seen, monkeypatch) -> None:
    monkeypatch.setattr(secrets, "_known", secrets._Known())
    secrets.remember("TOKEN", "s3cret-of-the-shop")
    context = {"headers": {"Authorization": "Bearer s3cret-of-the-shop"}, "tenant": "acme"}
    agent = assistant(store, WIPE, "Done.", tools=[wipe])
    (asked,) = agent.run("go", thread="t", user="ann", context=context).pending
    shown = {"headers": {"Authorization": "Bearer [secret TOKEN]"}, "tenant": "acme"}
    assert kept(place) == [("accepted", shown)]
    assert agent.resume("t", {asked.id: Approve()}, by="ann").text == "Done."
    assert seen == [shown]


def test_a_tool_in_the_process_that_was_given_a_secret_gets_it(store, wipe, seen, monkeypatch) -> None:
    monkeypatch.setattr(secrets, "_known", secrets._Known())
    secrets.remember("TOKEN", "s3cret-of-the-shop")
    agent = assistant(store, WIPE, "Done.", tools=[wipe], approve=lambda approval: Approve())
    assert agent.run("go", thread="t", context={"token": "s3cret-of-the-shop"}).text == "Done."
    assert seen == [{"token": "s3cret-of-the-shop"}]


def test_what_was_answered_has_lost_them(store, place, wipe) -> None:
    agent = assistant(store, WIPE, "Done.", tools=[wipe])
    (asked,) = agent.run("go", thread="t", user="ann", channel="c", context={"tenant": "acme"}).pending
    assert kept(place) == [("accepted", {"tenant": "acme"})]
    agent.resume("t", {asked.id: Approve()}, by="ann")
    assert kept(place) == [("answered", {})]
    ((asker,),) = place.rows("SELECT asker FROM inputs")
    assert json.loads(asker) == {"user": "ann", "channel": "c", "values": {}}


def test_what_was_cancelled_has_lost_them(store, place, wipe) -> None:
    agent = assistant(store, WIPE, tools=[wipe])
    agent.run("go", thread="t", context={"tenant": "acme"})
    assert agent.cancel("t")
    assert kept(place) == [("cancelled", {})]


def test_what_failed_has_them_until_it_is_tried_again(store, place, wipe, seen) -> None:
    with pytest.raises(ServerError):
        assistant(store, DOWN).run("go", thread="t", context={"tenant": "acme"})
    assert kept(place) == [("failed", {"tenant": "acme"})]
    agent = assistant(store, WIPE, "Done.", tools=[wipe], approve=lambda approval: Approve())
    assert agent.resume("t").text == "Done."
    assert (seen, kept(place)) == ([{"tenant": "acme"}], [("answered", {})])


def test_or_until_something_else_is_answered(store, place) -> None:
    with pytest.raises(ServerError):
        assistant(store, DOWN).run("go", thread="t", context={"tenant": "acme"})
    with pytest.raises(ServerError):
        assistant(store, DOWN).run("go", thread="other", context={"tenant": "else"})
    assert assistant(store, "Fine.").run("Well?", thread="t").text == "Fine."
    assert sorted(map(str, kept(place))) == [
        "('answered', {})",
        "('failed', {'tenant': 'else'})",
        "('failed', {})",
    ]


@pytest.mark.parametrize("damaged", ["nope", '{"user": 5, "values": {"tenant": "acme"}}'])
def test_one_that_cannot_be_read_loses_them_and_spoils_no_other(store, place, damaged) -> None:
    with pytest.raises(ServerError):
        assistant(store, DOWN).run("go", thread="t", context={"tenant": "acme"})
    place.rows("UPDATE inputs SET asker = ? RETURNING 1", damaged)
    assert [assistant(store, "Fine.").run("Well?", thread="t").text for _ in range(2)] == ["Fine."] * 2
    assert place.rows("SELECT state, asker FROM inputs ORDER BY place")[0] == ("failed", "null")


def test_the_same_message_said_again_brings_its_own(store, place, wipe, seen) -> None:
    said = [HumanMessage("go", id="evt1")]
    with pytest.raises(ServerError):
        assistant(store, DOWN).run(said, thread="t", context={"turn": 1})
    (asked,) = assistant(store, WIPE, tools=[wipe]).run(said, thread="t", context={"turn": 2}).pending
    assert kept(place) == [("accepted", {"turn": 2})]
    assistant(store, "Done.", tools=[wipe]).resume("t", {asked.id: Approve()})
    assert seen == [{"turn": 2}]


def test_one_that_is_settled_twice_stays_settled(store, place) -> None:
    assistant(store, "Fine.", limits=Limits()).run([HumanMessage("go", id="evt1")], thread="t", context={"a": 1})
    asyncio.run(store.inputs.settle("t", "evt1", "answered"))
    assert kept(place) == [("answered", {})]
