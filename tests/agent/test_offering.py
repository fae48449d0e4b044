"""Which of many tools the model is shown: picked by what was said, the same through a turn, in a steady order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from declared_assistants import call
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from gemmagraph import Agent, Gemma, Limits, Tool, tool_from_schema
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.events import ToolsPicked
from gemmagraph.offering import Offer

THINGS = ("weather", "invoice", "calendar", "printer", "garden", "library", "kitchen", "traffic", "music", "bank")
SCHEMA = {"properties": {"about": {"type": "string"}}}


def made(thing: str, **facts: Any) -> Tool:
    return tool_from_schema(f"ask_{thing}", f"Tells about the {thing}.", SCHEMA, lambda about="": thing, **facts)


def tools(*pinned: str) -> list[Tool]:
    return [made(thing, read_only=True, pinned=thing in pinned) for thing in THINGS]


def said(*texts: str) -> list[AnyMessage]:
    return [HumanMessage(text) for text in texts]


def names(offer: Offer, messages: Sequence[AnyMessage]) -> list[str]:
    return [name.removeprefix("ask_") for name in offer.toolset(messages).names]


def test_of_few_tools_all_are_shown() -> None:
    for most in (None, len(THINGS)):
        offer = Offer(tools(), most)
        assert not offer.picks
        assert names(offer, said("How is the weather?")) == list(THINGS)


@pytest.mark.parametrize(
    ("messages", "shown"),
    [
        (said("Play music in the garden"), ["garden", "music", "weather"]),
        (said("How is the traffic?"), ["traffic", "weather", "invoice"]),
        (said("How is the traffic?", "And do it now, please."), ["traffic", "weather", "invoice"]),
        (said("The printer", "the bank", "the garden, the music and the kitchen"), ["garden", "kitchen", "music"]),
        (said("The printer", "the bank", "the garden"), ["garden", "bank", "weather"]),
        (said("What can you do?"), ["weather", "invoice", "calendar"]),
        (said("Bitte sag mir mehr."), ["weather", "invoice", "calendar"]),
    ],
    ids=[
        "both",
        "the room left is filled",
        "before",
        "the last has the first choice",
        "two turns",
        "nothing fits",
        "foreign",
    ],
)
def test_what_was_said_decides_which_are_shown(messages: list[AnyMessage], shown: list[str]) -> None:
    assert sorted(names(Offer(tools(), 3), messages)) == sorted(shown)


def test_the_order_is_that_of_all_tools_and_the_same_ones_are_the_same_object() -> None:
    offer = Offer(tools(), 3)
    first = offer.toolset(said("music, garden, weather"))
    assert [name.removeprefix("ask_") for name in first.names] == ["weather", "garden", "music"]
    assert offer.toolset(said("the weather in the garden, and music")) is first


def test_pinned_tools_stay_and_take_a_place() -> None:
    offer = Offer(tools("bank"), 3, pinned=["ask_library", "not there"])
    shown = names(offer, said("music in the garden"))
    assert {"bank", "library"} < set(shown)
    assert len(shown) == 3
    assert {"bank", "library"} <= set(names(Offer(tools("bank"), 1, pinned=["ask_library"]), said("music")))


def test_tools_that_were_called_stay_at_hand() -> None:
    spoken: list[AnyMessage] = [
        HumanMessage("Ask the library."),
        AIMessage("", tool_calls=[{"id": "1", "name": "ask_library", "args": {}}]),
        ToolMessage("Open.", tool_call_id="1"),
        AIMessage("It is open."),
        *said("the music", "the garden, the kitchen and the bank"),
    ]
    shown = names(Offer(tools(), 3), spoken)
    assert "library" in shown
    assert len(shown) == 3


def run(agent: Agent, text: str, thread: str) -> list[Any]:
    async def events() -> list[Any]:
        return [event async for event in agent.stream(text, thread=thread)]

    return asyncio.run(asyncio.wait_for(events(), 20))


def test_within_a_turn_the_tools_and_the_beginning_of_the_prompt_stay() -> None:
    replies = [call("ask_traffic"), call("ask_bank"), "Both are closed.", "It plays."]
    backend = ScriptedBackend(replies)
    with Agent(Gemma(backend), tools(), limits=Limits(tools=3)) as agent:
        first = run(agent, "How are traffic and bank?", "t")
        second = run(agent, "Music!", "t")
    (picked,) = (event for event in first if isinstance(event, ToolsPicked))
    assert picked == ToolsPicked(("ask_weather", "ask_traffic", "ask_bank"), len(THINGS))
    shown = [request.tools.names for request in backend.requests]
    assert shown[0] == shown[1] == shown[2] == picked.names
    assert shown[3] == ("ask_traffic", "ask_music", "ask_bank")  # those that were called stay
    assert any(isinstance(event, ToolsPicked) for event in second)
    for request in backend.requests[:3]:
        assert "ask_garden" not in str(request.prompt or request.messages)


def test_a_tool_that_is_not_shown_cannot_be_called() -> None:
    with Agent(Gemma(ScriptedBackend([call("ask_music"), "No."])), tools(), limits=Limits(tools=2)) as agent:
        result = agent.run("How is the traffic?")
    assert result.calls == ()


@pytest.mark.parametrize("most", [None, 10, 100])
def test_with_room_for_all_nothing_is_picked(most: int | None) -> None:
    with Agent(Gemma(ScriptedBackend(["Hello."])), tools(), limits=Limits(tools=most)) as agent:
        assert not any(isinstance(event, ToolsPicked) for event in run(agent, "Hi.", "t"))
