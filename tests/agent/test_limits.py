"""The bounds of a run: reaching one ends it in order, with the reason and what is known so far."""

import asyncio
import math
import threading

import pytest

from gemmagraph import Agent, Gemma, Limits, tool
from gemmagraph.backends.base import Chunk
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.errors import AgentError
from gemmagraph.events import LimitReached
from gemmagraph.limits import storable
from gemmagraph.prompts.messages import Usage

PATIENCE = 20


def scripted(*steps, tools=(), **limits) -> Agent:
    limits.setdefault("wall_time", PATIENCE)
    return Agent(Gemma(ScriptedBackend(steps)), tools, limits=Limits(**limits))


def assert_no_call_is_open(messages) -> None:
    called = [call["id"] for message in messages if message.type == "ai" for call in message.tool_calls]
    answered = [message.tool_call_id for message in messages if message.type == "tool"]
    assert called == answered


@tool(read_only=True)
def add(n: int) -> int:
    """Adds one."""
    return n + 1


def test_steps_end_the_run_with_what_was_said():
    agent = scripted(
        "First.\nFUNCTION_CALL: add(n=1)", "Second.\nFUNCTION_CALL: add(n=2)", "Three.", tools=[add], steps=2
    )
    result = agent.run("count", thread="t")
    assert (result.text, result.stop, result.reason) == ("Second.", "limit", "the limit of 2 steps is reached")
    assert [call.result for call in result.calls] == [2, 3]
    assert_no_call_is_open(result.messages)
    assert agent.run("go on", thread="t").text == "Three."


def test_tokens_that_no_server_counts_are_estimated():
    long = "word " * 50
    agent = scripted(f"FUNCTION_CALL: add(n=1) {long}", "Two.", tools=[add], tokens=100)
    assert agent.run(long).stop == "limit"
    result = scripted("FUNCTION_CALL: add(n=", "Two.", tools=[add], tokens=100_000).run("1 + 1?")
    assert (result.text, result.usage.input_tokens > 200, 0 < result.usage.output_tokens < 30) == ("Two.", True, True)
    mixed = scripted(Step("FUNCTION_CALL: add(n=1)", usage=Usage(70, 7)), "Two.", tools=[add], tokens=100_000)
    assert 100 < mixed.run("1 + 1?").usage.input_tokens - 70 < 200
    assert scripted("Two.").run("1 + 1?").usage == Usage()


def test_tokens_of_an_agent_inside_are_estimated_for_the_limits_around_it():
    inner = Agent(Gemma(ScriptedBackend(["Two."])), name="inner")
    steps = Step('FUNCTION_CALL: inner(request="1 + 1?")', usage=Usage(1, 1)), Step("Two.", usage=Usage(1, 1))
    assert scripted(*steps, tools=[inner], tokens=100).run("go").usage.input_tokens > 2


def test_calls_beyond_the_limit_are_refused_and_the_run_ends():
    written = "\n".join(f"FUNCTION_CALL: add(n={n})" for n in range(5))
    agent = scripted("FUNCTION_CALL: add(n=9)", written, "Fine.", tools=[add], calls=3)
    events = []

    async def watch():
        events.extend([event async for event in agent.stream("go", thread="t")])
        return events[-1].result

    result = asyncio.run(watch())
    assert (result.stop, result.reason) == ("limit", "the limit of 3 tool calls is reached")
    assert [call.status for call in result.calls] == ["ok"] * 3 + ["refused"] * 3
    assert result.messages[-1].content == "Not run: the limit of 3 tool calls is reached."
    assert [event.reason for event in events if isinstance(event, LimitReached)] == [result.reason]
    assert_no_call_is_open(result.messages)
    assert agent.run("and now?", thread="t").text == "Fine."


def test_tokens_end_the_run():
    steps = [Step(f"FUNCTION_CALL: add(n={n})", usage=Usage(40, 10)) for n in range(5)]
    result = scripted(*steps, tools=[add], tokens=100).run("go")
    assert (result.stop, result.reason) == ("limit", "the limit of 100 tokens is reached")
    assert (result.usage, len(result.calls)) == (Usage(80, 20), 2)


def test_wall_time_ends_a_reply_that_does_not_end_and_keeps_what_was_said():
    class Slow(ScriptedBackend):
        async def stream(self, request):
            if self.requests:
                async for chunk in super().stream(request):
                    yield chunk
                return
            self.requests.append(request)
            yield Chunk(text="It all began in")
            await asyncio.Event().wait()

    agent = Agent(Gemma(Slow(["", "Fine."])), limits=Limits(wall_time=0.05))
    result = agent.run("tell me", thread="t")
    assert (result.text, result.stop) == ("It all began in", "limit")
    assert result.reason == "the limit of 0.05 seconds is reached"
    assert [message.type for message in result.messages] == ["human"]
    assert agent.run("and now?", thread="t").text == "Fine."


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "blocking"])
def test_wall_time_ends_a_tool(is_async):
    let_go = threading.Event()

    @tool
    def wait() -> str:
        """Waits."""
        let_go.wait(PATIENCE)
        return "late"

    @tool(name="wait")
    async def wait_async() -> str:
        """Waits."""
        await asyncio.Event().wait()
        return "late"

    agent = scripted("FUNCTION_CALL: wait()", "Fine.", tools=[wait_async if is_async else wait], wall_time=0.05)
    result = agent.run("go", thread="t")
    let_go.set()
    assert (result.stop, result.calls[0].status) == ("limit", "timeout")
    assert result.messages[-1].content == (
        "wait did not finish: the limit of 0.05 seconds is reached. Whether it took effect is unknown."
    )
    assert agent.run("and now?", thread="t").text == "Fine."


def test_calls_that_wait_for_room_when_the_time_is_over_are_not_begun():
    begun = []

    @tool
    async def wait(n: int) -> str:
        """Waits."""
        begun.append(n)
        await asyncio.Event().wait()
        return ""

    result = scripted(
        "FUNCTION_CALL: wait(n=1)\nFUNCTION_CALL: wait(n=2)", tools=[wait], parallel=1, wall_time=0.05
    ).run("go")
    assert (begun, [call.status for call in result.calls]) == ([1], ["timeout", "refused"])
    assert_no_call_is_open(result.messages)


def test_repeated_calls_are_warned_of_and_stopped_when_the_limits_say():
    replies = [*["FUNCTION_CALL: add(n=1)"] * 2, "It is 1, as far as I know."]
    result = scripted(*replies, tools=[add], same_call_warn=1, same_call_stop=2).run("go")
    assert (result.stop, len(result.calls)) == ("limit", 2)
    assert "You made this very call before" in result.messages[2].content
    assert result.text == result.messages[-1].content == "It is 1, as far as I know."
    assert_no_call_is_open(result.messages)


def test_a_model_that_cannot_stop_calling_ends_with_what_is_known():
    replies = ["I look.\nFUNCTION_CALL: add(n=1)"] * 5  # the last three are asked for without tools
    result = scripted(*replies, tools=[add], same_call_warn=1, same_call_stop=2).run("go")
    assert (result.stop, len(result.calls)) == ("limit", 2)
    assert result.reason.startswith("the model made the same call 2 times")
    assert_no_call_is_open(result.messages)


@pytest.mark.parametrize("value", [0, -1, None, "5", math.nan, 2.5, True], ids=str)
def test_a_bound_must_be_a_number_above_0(value):
    with pytest.raises(AgentError, match="Limits: steps is"):
        Limits(steps=value)


def test_time_and_tokens_may_be_unbounded():
    assert Limits(wall_time=None, tokens=None) == Limits(wall_time=None)
    assert scripted("Hi.", wall_time=None).run("hello").text == "Hi."


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        (2**63 - 1, True),
        (-(2**63), True),
        (2**63, False),
        (-(2**63) - 1, False),
        (1e300, True),
        ({"a": [1, {"b": 2**64}]}, False),
        ({"a": ["9" * 30, None, True]}, True),
    ],
    ids=str,
)
def test_integers_beyond_64_bits_cannot_be_stored(value, fits):
    assert storable(value) is fits


def test_what_was_said_in_a_reply_that_was_asked_for_again_is_no_partial_answer():
    result = scripted("I am sure:\nFUNCTION_CALL: ad(n=1)", "FUNCTION_CALL: add(n=1)", tools=[add], steps=1).run("go")
    assert (result.text, result.stop) == ("", "limit")
