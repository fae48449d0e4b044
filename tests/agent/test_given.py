"""What a run is given: names and values that no store could keep are refused at once, wherever the run is kept."""

import asyncio
import math
from contextlib import closing
from datetime import datetime
from enum import StrEnum
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from gemmagraph import Agent, Approve, Gemma, Limits, ToolContext, tool
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.errors import AgentError
from gemmagraph.store.store import Store

pytest_plugins = ("crashes", "postgres")

LONG = "".join(f"{number:04x}" for number in range(2_250))
"""PostgreSQL makes repetitions so short that an index takes them."""


def scripted(*steps: Any, tools: Any = (), **options: Any) -> Agent:
    return Agent(Gemma(ScriptedBackend(steps)), tools, **options)


@pytest.fixture(params=["in memory", "in a store"])
def agent(request, tmp_path):
    store = tmp_path / "a.db" if request.param == "in a store" else None
    with scripted("Fine.", store=store) as agent:
        yield agent
        assert agent.run("Hello.", thread="t").text == "Fine."  # whatever was refused took no step


NO_NAMES: dict[str, Any] = {
    "empty": ("", "=''"),
    "a number": (7, "=7"),
    "bytes": (b"t", "=b't'"),
    "a list": (["t"], "=['t']"),
    "a NUL": ("a\0b", "NUL"),
    "half a character": ("a\ud800", "half a character"),
    "too long": (LONG, "9,000 bytes"),
    "too long in UTF-8": ("ä" * 501, "1,002 bytes"),
}


@pytest.mark.parametrize("name", NO_NAMES)
@pytest.mark.parametrize("what", ["thread", "user", "channel"])
def test_a_name_that_no_store_keeps_is_refused(agent: Agent, what: str, name: str) -> None:
    value, words = NO_NAMES[name]
    with pytest.raises(AgentError) as caught:
        agent.run("Hello.", **{what: value})
    assert caught.value.message.startswith(f"{what}=")
    assert words in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("door", ["history", "steps", "fork", "cancel", "resume"])
@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_is_refused_at_the_doors_of_threads(agent: Agent, door: str, name: str) -> None:
    value, words = NO_NAMES[name]
    with pytest.raises(AgentError, match="thread=") as caught:
        getattr(agent, door)(value)
    assert words in caught.value.message


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_fork_gets_a_name_that_can_be_kept(tmp_path, name: str) -> None:
    with scripted("Fine.", store=tmp_path / "a.db") as agent:
        agent.run("Hello.", thread="t")
        with pytest.raises(AgentError, match="into="):
            agent.fork("t", into=NO_NAMES[name][0])


@pytest.mark.parametrize("identity", ["a\0b", "\ud800", LONG], ids=["a NUL", "half a character", "too long"])
def test_the_id_of_a_message_is_a_name_too(agent: Agent, identity: str) -> None:
    with pytest.raises(AgentError, match="id="):
        agent.run([HumanMessage("Hello.", id=identity)], thread="t")


def test_the_longest_names_fit_into_every_store(place) -> None:
    thread, user, channel, identity = (f"{letter}{LONG}"[:1_000] for letter in "tuci")

    @tool(destructive=True)
    def wipe() -> str:
        """Wipes."""
        return "wiped"

    with scripted(
        "FUNCTION_CALL: wipe()", "Done.", tools=[wipe], store=place.url, limits=Limits(per_user={"runs": "5/h"})
    ) as agent:
        said = [HumanMessage("Hello.", id=identity)]
        (asked,) = agent.run(said, thread=thread, user=user, channel=channel).pending
        assert agent.resume(thread, {asked.id: Approve()}, by=user).text == "Done."
        assert len(agent.history(agent.fork(thread, into=f"f{LONG}"[:1_000]))) == 4


ROUND: list[Any] = []
ROUND.append(ROUND)


class Color(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ({"at": datetime(2026, 1, 1)}, "context['at'] is datetime."),
        ({"rates": [1.5, {"x": math.nan}]}, "context['rates'][1]['x'] is nan."),
        ({"rate": math.inf}, "context['rate'] is inf."),
        ({"key": b"k"}, "context['key'] is bytes."),
        ({"deep": {"set": {1}}}, "context['deep']['set'] is set."),
        ({1: "x"}, "context[1]: 1 is no text."),
        ({"deep": {None: 1}}, "context['deep'][None]: None is no text."),
        ({"round": ROUND}, "context= is nested too deeply, or holds itself."),
        (["x"], "context=['x'] is no mapping."),
        ("x", "context='x' is no mapping."),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
def test_a_context_that_is_no_json_is_refused(agent: Agent, context: Any, words: str) -> None:
    with pytest.raises(AgentError) as caught:
        agent.run("Hello.", thread="t", context=context)
    assert caught.value.message == words
    assert caught.value.hint


def test_a_context_of_json_reaches_the_tools_as_it_is(tmp_path) -> None:
    seen: list[Any] = []

    @tool(read_only=True)
    def look(context: ToolContext) -> str:
        """Looks."""
        seen.append(dict(context.values))
        return "seen"

    given = {
        "n": 2**70,
        "r": 0.5,
        "no": None,
        "yes": True,
        "list": [1, {"a": "\ud800"}],
        "pair": (1, 2),
        "c": Color.RED,
    }
    for store in (None, tmp_path / "a.db"):
        with scripted("FUNCTION_CALL: look()", "Fine.", tools=[look], store=store) as agent:
            assert agent.run("go", thread="t", context=given).text == "Fine."
    assert seen == [given] * 2


def test_going_on_with_what_is_not_there_is_told(place) -> None:
    with closing(Store(place.url)) as store:
        agent = scripted("Fine.", store=store)
        for go_on in (lambda: agent.resume("nosuch"), lambda: asyncio.run(agent.arun(None, thread="nosuch"))):
            with pytest.raises(AgentError, match="There is no thread 'nosuch'"):
                go_on()
        with pytest.raises(AgentError, match="nothing to go on with"):
            asyncio.run(agent.arun(None))
        assert agent.run("Hello.", thread="t").text == "Fine."
        assert agent.resume("t").text == "Fine."
