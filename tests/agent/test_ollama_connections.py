"""Who leaves frees the server; who asks waits for a turn; event loops come and go."""

import asyncio
from contextlib import aclosing

import pytest

from gemmagraph import errors
from gemmagraph.backends.base import Request
from gemmagraph.backends.network.http import Bounds
from gemmagraph.backends.ollama.backend import OllamaBackend

REQUEST = Request("gemma3:4b", messages=({"role": "user", "content": "Say hello."},))


@pytest.mark.parametrize("stage", ["loading", "in the reply"])
@pytest.mark.parametrize("how", ["cancelled", "closed"])
def test_who_leaves_frees_the_server(ollama, stage, how, ask):
    backend = OllamaBackend(ollama.url, bounds=Bounds(notice=0.01))
    ollama.plays({"text": "Hello there.", "hang_after": 2}, "Yes.", load_seconds=20 if stage == "loading" else 0)

    async def run():
        reached = asyncio.Event()

        async def read():
            async with aclosing(backend.stream(REQUEST)) as chunks:
                async for chunk in chunks:
                    if chunk.notice if stage == "loading" else chunk.text:
                        reached.set()
                        if how == "closed":
                            await asyncio.to_thread(ollama.seen, begun=1)
                            return

        reading = asyncio.create_task(read())
        await asyncio.wait_for(reached.wait(), 10)
        await asyncio.to_thread(ollama.seen, begun=1)
        if how == "cancelled":
            reading.cancel()
        await asyncio.wait({reading}, timeout=10)
        assert reading.cancelled() == (how == "cancelled")
        return await asyncio.to_thread(ollama.seen, ended=1)

    assert [entry["ended"] for entry in asyncio.run(run())["requests"]] == ["disconnected"]
    ollama.plays(load_seconds=0)
    assert ask(backend).text == "Yes.", "the server is free"


@pytest.mark.parametrize("times", [1, 2])
def test_leaving_at_any_moment_leaves_nothing_behind(ollama, backend, hear, swept, times):
    async def run():
        ollama.plays(*[{"text": "Hello there.", "hang_after": 2}] * 50)
        for steps in range(50):
            task = asyncio.create_task(hear(backend))
            for _ in range(steps):
                await asyncio.sleep(0.001 if steps % 3 == 0 else 0)
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0)
            await asyncio.wait({task}, timeout=10)
            assert task.cancelled()
        ollama.reset()
        ollama.plays(*["Yes."] * 50)  # a request that was left may still arrive, and take one
        return (await hear(backend)).text

    assert asyncio.run(run()) == "Yes."


def test_requests_of_one_process_reach_the_server_one_at_a_time(ollama, hear):
    ollama.plays(*[{"text": "Hello there.", "wait": 0.01}] * 4)
    backends = [OllamaBackend(ollama.url), OllamaBackend(ollama.url + "/")]

    async def run():
        return await asyncio.gather(*(hear(backends[number % 2]) for number in range(4)))

    replies = asyncio.run(asyncio.wait_for(run(), 20))
    assert [heard.text for heard in replies] == ["Hello there."] * 4
    assert any("busy with another request" in notice for heard in replies for notice in heard.notices)
    assert ollama.seen()["most_at_once"] == 1


def test_as_many_requests_go_out_as_the_server_serves_at_once(ollama, monkeypatch, hear):
    monkeypatch.setenv("OLLAMA_NUM_PARALLEL", "3")
    ollama.plays(*[{"text": "Hello there.", "wait": 0.05}] * 3)
    backend = OllamaBackend(ollama.url)

    async def run():
        return await asyncio.gather(*(hear(backend) for _ in range(3)))

    asyncio.run(asyncio.wait_for(run(), 20))
    assert ollama.seen()["most_at_once"] > 1


def test_one_backend_serves_one_event_loop_after_another(ollama, backend, ask):
    ollama.plays("One.", "Two.")
    assert [ask(backend).text, ask(backend).text] == ["One.", "Two."]


def test_closing_ends_a_reply_under_way(ollama, backend, hear):
    ollama.plays({"text": "Hello there.", "hang_after": 1}, "Yes.")

    async def run():
        async with aclosing(backend.stream(REQUEST)) as chunks:
            await anext(chunks)
            await backend.close()
            with pytest.raises(errors.TruncatedReply):
                await asyncio.wait_for(anext(chunks), 10)
        assert (await asyncio.to_thread(ollama.seen, ended=1))["requests"][0]["ended"] == "disconnected"
        return await hear(backend)

    assert asyncio.run(run()).text == "Yes."


def test_a_connection_is_used_once_so_that_none_is_stale(ollama, backend, hear):
    ollama.plays(*["Yes."] * 5, close_second=True)

    async def run():
        return [(await hear(backend)).text for _ in range(5)]

    assert asyncio.run(run()) == ["Yes."] * 5
    assert len(ollama.seen()["requests"]) == 5
