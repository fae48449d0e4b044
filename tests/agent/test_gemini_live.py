"""The Gemini backend against the real API. Run with a key in GEMINI_API_KEY (it costs some requests of its quota):

    GEMINI_API_KEY=… python -m pytest -m live tests/agent/test_gemini_live.py

What is known only from documents and threads is asked here: JSON Schemas and calls that must be made with Gemma 4,
thoughts without their signatures, what counts as tokens.
"""

import asyncio
import json

import pytest

from gemmagraph import errors
from gemmagraph.agent import Agent
from gemmagraph.backends.base import Request
from gemmagraph.backends.gemini.backend import GeminiBackend
from gemmagraph.model import Gemma
from gemmagraph.prompts.messages import Text, ToolSpec, Turn
from gemmagraph.prompts.toolset import Toolset

pytestmark = pytest.mark.live

GEMMA_4, GEMMA_3 = "gemma-4-26b-a4b-it", "gemma-3-27b-it"
PLACE = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
TOOLS = Toolset([ToolSpec("weather", "Tells the weather of a place.", PLACE), ToolSpec("now", "Tells the time.")])


@pytest.fixture
def say(live_key, hear):
    """`say(words, **changes)`: the reply of Gemma 4."""

    def said(words, **changes):
        backend = GeminiBackend(GEMMA_4, api_key=live_key)
        asked = {"model": GEMMA_4, "messages": ({"role": "user", "content": words},), "max_tokens": 500} | changes
        return asyncio.run(asyncio.wait_for(hear(backend, **asked), 300))

    return said


def test_a_real_model_answers_with_usage(say):
    heard = say("Say just the word: hello", options={"temperature": 0})
    assert "hello" in heard.text.lower()
    assert heard.chunks[-1].stop == "stop"
    assert 3 < heard.chunks[-1].usage.input_tokens < 200


def test_a_real_model_thinks_when_it_should(say):
    heard = say("What is 17 * 23?", thinking=True, max_tokens=2000)
    assert heard.thought
    assert "391" in heard.text


def test_a_real_model_is_held_to_a_schema(say):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    assert "city" in json.loads(say("Name the capital of France.", schema=schema).text)


@pytest.mark.parametrize("choice", ["required", "now"])
def test_a_real_model_makes_the_call_that_it_must(say, choice):
    turns = (Turn("user", (Text("Will it rain in Oslo?"),)),)
    heard = say("", messages=None, turns=turns, tools=TOOLS, tool_choice=choice)
    called = [call.name for chunk in heard.chunks for call in chunk.calls]
    assert called
    assert set(called) <= ({"now"} if choice == "now" else set(TOOLS.names))


@pytest.mark.parametrize("model", [GEMMA_4, GEMMA_3])
def test_a_real_agent_runs_its_tools(live_key, model):
    def weather(place: str) -> str:
        """Tells the weather of a place."""
        return f"heavy rain in {place}, 7 degrees"

    with Agent(Gemma(f"gemini:{model}", api_key=live_key), [weather]) as agent:
        result = agent.run("How many degrees are there in Oslo? Use the tool.")
    assert [call.name for call in result.calls] == ["weather"]
    assert "7" in result.text


def test_a_real_api_describes_its_models(live_key):
    async def run():
        backend = GeminiBackend(GEMMA_4, api_key=live_key)
        return await backend.models(), await backend.info(GEMMA_4), await backend.count(GEMMA_4, "Hello there.")

    listed, info, count = asyncio.run(asyncio.wait_for(run(), 60))
    assert GEMMA_4 in [model.name for model in listed]
    assert (info.context or 0) >= 32_768
    assert 2 <= count <= 10


def test_a_real_api_refuses_a_wrong_key(live_key, ask):
    with pytest.raises(errors.Unauthorized):
        ask(GeminiBackend(GEMMA_4, api_key="AIza" + "x" * 35), model=GEMMA_4)


def test_a_real_api_names_a_missing_model(say):
    with pytest.raises(errors.ModelNotFound, match=r"gemma-"):
        say("Hello", model="gemma-4-9999b-it")


def test_a_real_reply_can_be_left(live_key, leaves):
    asked = Request(GEMMA_4, messages=({"role": "user", "content": "Write a long story."},), max_tokens=4000)
    asyncio.run(asyncio.wait_for(leaves(GeminiBackend(GEMMA_4, api_key=live_key), asked, "cancelled"), 120))
