"""The Ollama backend against a real server. Run with OLLAMA_HOST set (and a Gemma pulled there):

    OLLAMA_HOST=127.0.0.1:11434 python -m pytest -m live

OLLAMA_TEST_MODEL names the model; else the smallest Gemma of the server is taken.
"""

import asyncio
from contextlib import aclosing

import pytest

from gemmagraph import errors
from gemmagraph.backends.base import Request
from gemmagraph.backends.ollama import OllamaBackend

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def live(live_ollama):
    """The backend and the name of its smallest Gemma."""
    address, wanted = live_ollama
    backend = OllamaBackend(address)
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
