"""A server's place is given back when its reply is here, whether or not anybody reads it to its end."""

import asyncio
import gc
import subprocess
import sys
from contextlib import aclosing, contextmanager

import pytest
import tiny_gemma

from gemmagraph import ChatGemma, Gemma, errors
from gemmagraph.backends.base import Request
from gemmagraph.backends.gguf.backend import GgufBackend
from gemmagraph.backends.network.coming import AHEAD
from gemmagraph.backends.network.http import Bounds
from gemmagraph.backends.ollama.backend import OllamaBackend
from gemmagraph.backends.openai.backend import OpenAIBackend

PATIENCE = 20
FLAT = {name: value for name, value in tiny_gemma.FLAT_AND_HOT.items() if name != "cache_prompt"} | {"seed": 3}
HELLO = {"text": "Hello there."}
SAID = ({"role": "user", "content": "Say hello."},)


@contextmanager
def engine(kind, tmp_path):
    """A backend that runs a tiny model in this process."""
    if kind == "gguf":
        pytest.importorskip("xllamacpp", reason="xllamacpp is not installed, or has no wheel here")
        made = GgufBackend(tiny_gemma.write_tiny_gemma(tmp_path / "gemma-3-tiny.gguf"), threads=1)
    else:
        for package in ("torch", "transformers", "accelerate", "safetensors"):
            pytest.importorskip(package, reason=f"{package} IS NOT INSTALLED: NO MODEL IS RUN BY TRANSFORMERS")
        import tiny_transformers

        from gemmagraph.backends.transformers.backend import TransformersBackend

        made = TransformersBackend(tiny_transformers.write_tiny_gemma_folder(tmp_path / "gemma3-tiny", "gemma3"))
    yield made
    asyncio.run(made.close())


@pytest.fixture(params=["ollama", "openai", "gguf", "transformers"])
def asked(request, tmp_path):
    """A backend with one place, a request for a reply of several pieces, and what makes the server say it again."""
    kind = request.param
    if kind in ("gguf", "transformers"):
        with engine(kind, tmp_path) as backend:
            options = FLAT if kind == "gguf" else {"seed": 3}
            yield backend, Request(kind, prompt="Hi", max_tokens=40, options=options), lambda: None
        return
    server = request.getfixturevalue(kind)
    backend = OllamaBackend(server.url) if kind == "ollama" else OpenAIBackend(f"{server.url}/v1", at_once=1)
    server.plays(HELLO)
    yield backend, Request("gemma3:4b", messages=SAID), lambda: server.plays(HELLO)


async def until_text(chunks):
    async for chunk in chunks:
        if chunk.text:
            return


async def whole(backend, request):
    async with aclosing(backend.stream(request)) as chunks:
        return "".join([chunk.text async for chunk in chunks])


def test_a_reply_that_nobody_reads_on_keeps_no_place(asked):
    backend, request, again = asked

    async def run():
        left = backend.stream(request)
        await until_text(left)
        again()
        second = await whole(backend, request)
        rest = [chunk async for chunk in left]
        return second, rest[-1].stop

    second, stop = asyncio.run(asyncio.wait_for(run(), PATIENCE))
    assert second
    assert stop, "who reads on after all gets the rest"


def test_a_chat_model_may_be_asked_while_its_stream_is_half_read(asked):
    backend, request, again = asked
    gemma = Gemma(backend, **({} if request.prompt is None else {"max_tokens": 40, **request.options}))
    if request.prompt is None:
        gemma.model = request.model
    chat = ChatGemma(gemma=gemma, timeout=PATIENCE)
    stream = chat.stream("Say hello.")
    assert next(stream)
    again()
    assert chat.invoke("Say hello.").content
    stream.close()


@pytest.mark.parametrize("how", ["closed", "cancelled", "collected"])
@pytest.mark.parametrize("kind", ["ollama", "openai"])
def test_who_leaves_an_endless_reply_leaves_its_place(kind, request, how):
    server = request.getfixturevalue(kind)
    server.plays(HELLO | {"hang_after": 1}, HELLO)
    backend = OllamaBackend(server.url) if kind == "ollama" else OpenAIBackend(f"{server.url}/v1", at_once=1)
    asked = Request("gemma3:4b", messages=SAID)

    async def run():
        left = backend.stream(asked)
        await until_text(left)
        if how == "closed":
            await left.aclose()
        elif how == "cancelled":
            reading = asyncio.create_task(anext(left))
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait({reading})
        else:
            del left
            gc.collect()
        return await whole(backend, asked)

    assert asyncio.run(asyncio.wait_for(run(), PATIENCE)) == "Hello there."


@pytest.mark.parametrize("kind", ["gguf", "transformers"])
def test_an_engine_is_free_when_a_reply_is_forgotten(kind, tmp_path):
    with engine(kind, tmp_path) as backend:
        options = FLAT if kind == "gguf" else {"seed": 3}
        long = Request(kind, prompt="Hi", max_tokens=3000, options=options)

        async def run():
            left = backend.stream(long)
            await until_text(left)
            del left
            gc.collect()
            return await whole(backend, Request(kind, prompt="Hi", max_tokens=4, options=options))

        assert asyncio.run(asyncio.wait_for(run(), PATIENCE))


def test_a_time_limit_frees_the_place_though_nobody_waits_for_the_reply(ollama):
    ollama.plays(HELLO | {"hang_after": 1}, HELLO)
    asked = Request("gemma3:4b", messages=SAID)

    async def run():
        left = OllamaBackend(ollama.url, bounds=Bounds(between=0.2)).stream(asked)
        await until_text(left)
        second = await whole(OllamaBackend(ollama.url), asked)
        with pytest.raises(errors.BackendTimeout, match=r"nothing more came for 0\.2 s"):
            await anext(left)
        return second

    assert asyncio.run(asyncio.wait_for(run(), PATIENCE)) == "Hello there."


def test_who_waits_behind_more_than_is_read_ahead_is_told_what_to_do(ollama):
    piece = "x" * 500_000
    pieces = 4 * AHEAD // len(piece)
    ollama.plays({"text": piece, "piece": len(piece), "repeat": pieces}, HELLO)
    asked = Request("gemma3:4b", messages=SAID)

    async def run():
        left = OllamaBackend(ollama.url).stream(asked)
        await until_text(left)
        with pytest.raises(errors.BackendTimeout, match=r"is busy: for 0.5 s .* in thread 'MainThread'.*aclosing"):
            await whole(OllamaBackend(ollama.url, bounds=Bounds(total=0.5)), asked)
        rest = sum([len(chunk.text) async for chunk in left])
        return rest, await whole(OllamaBackend(ollama.url), asked)

    rest, second = asyncio.run(asyncio.wait_for(run(), PATIENCE))
    assert rest == (pieces - 1) * len(piece), "nothing of it is lost"
    assert second == "Hello there."


ASKS = """
import asyncio, sys
from gemmagraph.backends.base import Request
from gemmagraph.backends.ollama.backend import OllamaBackend

async def ask(backend):
    said = Request("gemma3:4b", messages=({"role": "user", "content": "Say hello."},))
    return "".join([chunk.text async for chunk in backend.stream(said)])

async def main():
    backend = OllamaBackend(sys.argv[1])
    return await asyncio.gather(*(ask(backend) for _ in range(3)))

print("ready", flush=True)
sys.stdin.readline()
print(*asyncio.run(main()))
"""


def test_two_processes_that_ask_one_busy_server_both_get_their_answers(ollama):
    ollama.plays(*[HELLO | {"wait": 0.05}] * 6)
    command, pipe = [sys.executable, "-c", ASKS, ollama.url], subprocess.PIPE
    both = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(2)]
    try:
        assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
        for process in both:
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=PATIENCE) for process in both]
    finally:
        for process in both:
            process.kill()
    assert said == [(" ".join(["Hello there."] * 3) + "\n", "")] * 2
    assert ollama.seen()["most_at_once"] <= 2, "of each process one, and the server serves one after the other"
