"""The OpenAI backend against a real server. Run with its address:

    OPENAI_BASE_URL=http://127.0.0.1:8000/v1 python -m pytest -m live tests/agent/test_openai_live.py

OPENAI_API_KEY is used if it is set; OPENAI_TEST_MODEL names the model, else the first Gemma of the server is taken.
"""

import asyncio
import json

import pytest

from gemmagraph import Agent, Gemma, errors, tool
from gemmagraph.backends.openai.backend import OpenAIBackend

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def live(live_openai):
    """The address, the key and the name of a Gemma there."""
    address, key, wanted = live_openai
    backend = OpenAIBackend(address, key)
    try:
        models = asyncio.run(backend.models())
    except errors.BackendUnavailable as exc:
        pytest.skip(f"OPENAI_BASE_URL is set, but nothing answers: {exc.message}")
    gemmas = [model.name for model in models if "gemma" in model.name.lower()]
    if not wanted and not gemmas:
        pytest.skip(f"{backend.label} lists no Gemma: name a model in OPENAI_TEST_MODEL")
    return address, key, wanted or gemmas[0]


@pytest.fixture
def say(live, hear):
    """`say(words, **changes)`: the reply of the model."""
    address, key, model = live

    def said(words, **changes):
        asked = {"model": model, "messages": ({"role": "user", "content": words},), "max_tokens": 100} | changes
        return asyncio.run(asyncio.wait_for(hear(OpenAIBackend(address, key), **asked), 900))

    return said


def test_a_real_model_answers_with_usage(say):
    heard = say("Say just the word: hello", options={"temperature": 0})
    assert "hello" in heard.text.lower()
    assert 3 < heard.chunks[-1].usage.input_tokens < 200


def test_a_real_model_stops_at_its_token_limit(say):
    last = say("Count from one to one hundred.", max_tokens=5).chunks[-1]
    assert (last.stop, last.usage.output_tokens <= 6) == ("length", True)


def test_a_real_model_keeps_to_a_schema(say, live):
    address, key, model = live
    if "schema" not in asyncio.run(OpenAIBackend(address, key).info(model)).constraints:
        pytest.skip("this server holds no reply to a JSON Schema")
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    heard = say("Name the capital of France.", schema=schema)
    assert "paris" in json.loads(heard.text)["city"].lower()


def test_a_real_server_names_a_missing_model(say):
    with pytest.raises(errors.BackendError):
        say("Hello", model="gemma-3-no-such-model")


@pytest.mark.parametrize("transport", ["chat", "tools"])
def test_a_real_model_calls_a_tool_and_answers_with_its_result(live, transport):
    address, key, model = live

    @tool(read_only=True)
    def get_weather(city: str) -> str:
        """The weather in a city now."""
        return "17 degrees and rain"

    gemma = Gemma(f"openai:{model}", base_url=address, api_key=key or None, transport=transport, temperature=0)
    with Agent(gemma, [get_weather]) as agent:
        result = agent.run("What is the weather in Paris?")
    assert [call.arguments["city"] for call in result.calls] == ["Paris"]
    assert "17" in result.text
