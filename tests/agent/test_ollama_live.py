"""The Ollama backend against a real server. Run with OLLAMA_HOST set (and a Gemma pulled there):

    OLLAMA_HOST=127.0.0.1:11434 python -m pytest -m live

OLLAMA_TEST_MODEL names the model; else the smallest Gemma of the server is taken.
"""

import asyncio
import json
from contextlib import aclosing

import httpx
import pytest

from gemmagraph import errors
from gemmagraph.backends.base import Request
from gemmagraph.backends.ollama.backend import OllamaBackend
from gemmagraph.backends.ollama.words import address
from gemmagraph.prompts.catalog import family_of
from gemmagraph.prompts.messages import Text, ToolCall, ToolResult, ToolSpec, Turn
from gemmagraph.prompts.notation import notation_named
from gemmagraph.prompts.prompt import PromptWriter, Transcript
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.turns import turn_format

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def live(live_ollama):
    """The backend and the name of its smallest Gemma."""
    place, wanted = live_ollama
    backend = OllamaBackend(place)
    try:
        models = asyncio.run(backend.models())
    except errors.BackendUnavailable as exc:
        pytest.skip(f"OLLAMA_HOST is set, but nothing answers: {exc.message}")
    gemmas = sorted((model.size or 0, model.name) for model in models if "gemma" in model.name)
    if not wanted and not gemmas:
        pytest.skip(f"{backend.label} has no Gemma: `ollama pull gemma3:1b`, or name a model in OLLAMA_TEST_MODEL")
    return backend, wanted or gemmas[0][1]


def asking(model, words, **changes):
    message = {"role": "user", "content": words}
    return Request(**{"model": model, "messages": (message,), "context": 2048, "max_tokens": 40} | changes)


def heard(backend, request):
    async def run():
        async with aclosing(backend.stream(request)) as chunks:
            return [chunk async for chunk in chunks]

    return asyncio.run(asyncio.wait_for(run(), 900))


def test_a_real_model_answers_with_usage(live):
    backend, model = live
    chunks = heard(backend, asking(model, "Say just the word: hello", options={"temperature": 0}))
    assert "hello" in "".join(chunk.text for chunk in chunks).lower()
    assert chunks[-1].stop in ("stop", "length")
    assert 5 < chunks[-1].usage.input_tokens < 200


def test_a_real_model_stops_at_its_token_limit(live):
    backend, model = live
    chunks = heard(backend, asking(model, "Count from one to one hundred.", max_tokens=5))
    assert (chunks[-1].stop, chunks[-1].usage.output_tokens <= 6) == ("length", True)


def test_a_real_server_refuses_a_prompt_that_does_not_fit(live):
    backend, model = live
    with pytest.raises(errors.ContextOverflow):
        heard(backend, asking(model, "word " * 20_000))


def test_a_real_server_names_a_missing_model(live):
    backend, _ = live
    with pytest.raises(errors.ModelNotFound, match="ollama pull"):
        heard(backend, asking("gemma3:no-such-tag", "Hello"))


def test_a_real_server_describes_its_model(live):
    backend, model = live
    info = asyncio.run(backend.info(model))
    assert (info.context or 0) >= 2048
    assert "completion" in info.capabilities


def test_a_real_model_keeps_to_a_schema(live):
    backend, model = live
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    chunks = heard(backend, asking(model, "Name the capital of France.", schema=schema, max_tokens=200))
    assert isinstance(json.loads("".join(chunk.text for chunk in chunks))["city"], str)


def test_a_real_model_completes_a_whole_prompt(live):
    backend, model = live
    prompt = "Count: one, two, three,"
    chunks = heard(backend, asking(model, "", messages=None, prompt=prompt, options={"temperature": 0}))
    assert "four" in "".join(chunk.text for chunk in chunks)


def test_a_real_model_calls_a_tool_by_the_servers_own_fields(live):
    backend, model = live
    if "tools" not in asyncio.run(backend.info(model)).capabilities:
        pytest.skip(f"{model} takes no tools there")
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = Toolset([ToolSpec("get_weather", "The weather in a city now.", city)])
    turns = (Turn("user", (Text("What is the weather in Paris? Use the tool."),)),)
    asked = asking(model, "", messages=None, turns=turns, tools=tools, max_tokens=200, options={"temperature": 0})
    (call,) = (call for chunk in heard(backend, asked) for call in chunk.calls)
    assert call.name == "get_weather"
    assert "paris" in call.arguments["city"].lower()


def test_a_real_server_makes_the_prompt_of_our_messages_that_we_would_write(live, live_ollama):
    """What `/api/chat` writes from our messages, and what we write where the whole prompt is ours."""
    _, model = live
    family = family_of(model)
    notation = notation_named("function_call")
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = Toolset([ToolSpec("get_weather", "The weather in a city now.", city)])
    transcript = Transcript(PromptWriter(turn_format(family.turn_format), notation, tools))
    transcript.update(
        [
            Turn("system", (Text("Be brief."),)),
            Turn("user", (Text("What is the weather in Paris?"),)),
            Turn("model", (ToolCall("1", "get_weather", {"city": "Paris"}),)),
            Turn("tool", (ToolResult("1", "get_weather", "sunny"),)),
        ]
    )
    asked = {"model": model, "messages": transcript.chat(), "_debug_render_only": True, "stream": False}
    answer = httpx.post(f"{address(live_ollama[0])}/api/chat", json=asked, timeout=300).json()
    if "_debug_info" not in answer:
        pytest.skip("this server does not show the prompts that it writes")
    rendered = answer["_debug_info"]["rendered_template"]
    assert rendered.removeprefix("<bos>").strip() == transcript.completion().removeprefix("<bos>").strip()


def test_a_real_model_stays_loaded_whatever_is_asked(live):
    backend, model = live
    for changes in ({}, {"messages": None, "prompt": "Hi."}, {"schema": {"type": "object"}}):
        chunks = heard(backend, asking(model, "Say hello as JSON.", **changes))
        assert chunks[-1].stop
        assert asyncio.run(backend.loaded())[model] == 2048


def test_a_real_server_goes_on_after_who_asked_has_left(live):
    backend, model = live

    async def run():
        async with aclosing(backend.stream(asking(model, "Write a long story.", max_tokens=5000))) as chunks:
            async for chunk in chunks:
                if chunk.text:
                    break
        async with aclosing(backend.stream(asking(model, "Say hello."))) as chunks:
            return "".join([chunk.text async for chunk in chunks])

    assert asyncio.run(asyncio.wait_for(run(), 900))
