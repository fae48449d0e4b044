"""A run as events, and a run that is left or cancelled before its end."""

import asyncio
import threading
from contextlib import aclosing

import pytest

from gemmagraph import Agent, Gemma, tool
from gemmagraph.backends.base import Chunk
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.errors import BackendUnavailable
from gemmagraph.events import RunFinished, StepStarted, TextDelta, ToolFinished, ToolStarted

PATIENCE = 20
"""Seconds after which a test that waits has failed."""


def scripted(*steps, tools=(), **options) -> Agent:
    return Agent(Gemma(ScriptedBackend(steps)), tools, **options)


@tool(read_only=True)
def disk(path: str = "/") -> str:
    """How full a disk is."""
    return f"{path} is 40% full"


class Hanging(ScriptedBackend):
    """Begins a reply and does not go on. Knows whether it was let go."""

    def __init__(self, *steps) -> None:
        super().__init__(["never used"])
        self.begun = threading.Event()
        self.freed = threading.Event()

    async def stream(self, request):
        self.begun.set()
        try:
            yield Chunk(text="It is so")
            await asyncio.Event().wait()
        finally:
            self.freed.set()


# --- events ---------------------------------------------------------------------------------------------


def collected(stream) -> list:
    async def collect():
        async with aclosing(stream) as events:
            return [event async for event in events]

    return asyncio.run(asyncio.wait_for(collect(), PATIENCE))


def test_a_stream_ends_with_the_result():
    agent = scripted("FUNCTION_CALL: disk()", Step("It is full.", chunk=4), tools=[disk])
    events = collected(agent.stream("full?"))
    assert isinstance(events[-1], RunFinished)
    assert [type(event) for event in events if isinstance(event, StepStarted | ToolStarted | ToolFinished)] == [
        StepStarted,
        ToolStarted,
        ToolFinished,
        StepStarted,
    ]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "It is full."
    assert events[-1].result.text == "It is full."


def test_a_stream_raises_what_the_run_raises():
    with pytest.raises(BackendUnavailable):
        collected(scripted(Step(error=BackendUnavailable("down"))).stream("hello"))


def test_text_comes_while_the_model_speaks():
    backend = Hanging()

    async def first_words():
        async with aclosing(Agent(Gemma(backend)).stream("hello")) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    return event.text
        return None

    assert asyncio.run(asyncio.wait_for(first_words(), PATIENCE)) == "It is so"
    assert backend.freed.is_set()


def test_leaving_a_stream_by_break_frees_the_backend():
    backend = Hanging()

    async def look():
        async for event in Agent(Gemma(backend)).stream("hello", thread="t"):
            if isinstance(event, TextDelta):
                break
        await asyncio.to_thread(backend.freed.wait, PATIENCE)

    asyncio.run(asyncio.wait_for(look(), PATIENCE))
    assert backend.freed.is_set()


def test_leaving_a_stream_ends_the_tool_and_keeps_the_thread_usable():
    ended = asyncio.Event()

    @tool
    async def slow() -> str:
        """Slow."""
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    agent = scripted("FUNCTION_CALL: slow()", "Fine.", tools=[slow])

    async def look():
        before = asyncio.all_tasks()
        async with aclosing(agent.stream("go", thread="t")) as events:
            async for event in events:
                if isinstance(event, ToolStarted):
                    break
        assert ended.is_set()
        assert asyncio.all_tasks() == before
        return await agent.arun("and now?", thread="t")

    assert asyncio.run(asyncio.wait_for(look(), PATIENCE)).text == "Fine."
    assert agent.history("t")[2].content == "Stopped before it finished; whether it took effect is unknown."


# --- cancelling -----------------------------------------------------------------------------------------


def test_cancel_from_another_thread_ends_the_run_with_what_was_said():
    backend = Hanging()
    agent = Agent(Gemma(backend))
    results = []
    run = threading.Thread(target=lambda: results.append(agent.run("hello", thread="t")))
    run.start()
    assert backend.begun.wait(PATIENCE)
    assert agent.cancel("t")
    run.join(PATIENCE)
    assert (results[0].stop, backend.freed.is_set()) == ("cancelled", True)
    assert [message.content for message in agent.history("t")] == ["hello"]


def test_cancel_keeps_what_other_calls_of_the_turn_have_brought():
    done = threading.Event()
    waits = threading.Event()

    @tool(read_only=True)
    def quick() -> str:
        """Quick."""
        return "here"

    @tool
    async def slow() -> str:
        """Slow."""
        waits.set()
        await asyncio.Event().wait()
        return ""

    agent = scripted("FUNCTION_CALL: quick()\nFUNCTION_CALL: slow()", "Fine.", tools=[quick, slow])

    async def go():
        async with aclosing(agent.stream("go", thread="t")) as events:
            async for event in events:
                if isinstance(event, ToolFinished):
                    done.set()
                if done.is_set() and waits.is_set():
                    agent.cancel("t")
                if isinstance(event, RunFinished):
                    return event.result
        return None

    result = asyncio.run(asyncio.wait_for(go(), PATIENCE))
    assert result.stop == "cancelled"
    unknown = "Stopped before it finished; whether it took effect is unknown."
    assert [(call.name, call.result) for call in result.calls] == [("quick", "here"), ("slow", unknown)]
    assert [message.content for message in result.messages[2:]] == ["here", unknown]
    assert result.reason == "the run was cancelled"
    assert agent.run("and now?", thread="t").text == "Fine."


def test_cancel_says_whether_there_was_anything_to_cancel():
    agent = scripted("Hi.")
    assert not agent.cancel("t")
    agent.run("hello", thread="t")
    assert not agent.cancel("t")


def test_a_run_can_be_cancelled_from_inside_it():
    agent = scripted(lambda request: "Hi." if agent.cancel("t") else "?", "Hello again.")
    assert agent.run("hello", thread="t").stop == "cancelled"
    assert agent.run("hello", thread="t").text == "Hello again."
