"""For tests of what lives in `agent/`: asking a backend and hearing all it says."""

import asyncio
import gc
import signal
import sys
import threading
import warnings
from contextlib import aclosing
from pathlib import Path

import pytest

from gemmagraph import asking, errors
from gemmagraph.backends.base import Backend, Request
from gemmagraph.backends.network.http import Bounds
from gemmagraph.backends.ollama.backend import OllamaBackend

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # What a shell runs in the background ignores Ctrl-C, and so would the programs that are tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)

sys.path.append(str(Path(__file__).parent.parent))  # `tiny_gemma` is for tests in more than one folder


class Heard(asking.Heard):
    @property
    def thought(self) -> str:
        return "".join(chunk.thought for chunk in self.chunks)

    @property
    def notices(self) -> list[str]:
        return [chunk.notice for chunk in self.chunks if chunk.notice]


async def hear_all(backend: Backend, **changes) -> Heard:
    asked = {
        "model": "gemma3:4b",
        "messages": ({"role": "user", "content": "Say hello."},),
        "context": 8192,
    }
    async with aclosing(backend.stream(Request(**asked | changes))) as chunks:
        return Heard([chunk async for chunk in chunks])


@pytest.fixture
def swept():
    """What tests before left to the garbage collector is none of this one's; what it leaves is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()
    yield
    gc.collect()  # a socket or task left over is a warning, and so an error


@pytest.fixture
def hear():
    """`await hear(backend, **changes)`: the reply to a small request, with these changes."""
    return hear_all


@pytest.fixture
def ask():
    """`ask(backend, **changes)`: the same, each time in an event loop of its own."""

    def asked(backend: Backend, **changes) -> Heard:
        return asyncio.run(asyncio.wait_for(hear_all(backend, **changes), 20))

    return asked


async def leave(backend: Backend, asked: Request, how: str) -> None:
    begun = asyncio.Event()

    async def reads():
        async with aclosing(backend.stream(asked)) as chunks:
            async for chunk in chunks:
                if chunk.text:
                    begun.set()
                    if how == "closed":
                        return

    reading = asyncio.create_task(reads())
    await asyncio.wait_for(begun.wait(), 10)
    if how == "cancelled":
        reading.cancel()
    await asyncio.wait({reading}, timeout=10)


@pytest.fixture
def leaves():
    """`await leaves(backend, request, how)`: leaves a reply at its first text, "closed" or "cancelled"."""
    return leave


@pytest.fixture
def backend(ollama):
    """The stand-in server's, with short pauses."""
    bounds = Bounds(connect=2, first_byte=10, between=10, total=20, pause=0.01, notice=5)
    return OllamaBackend(ollama.url, bounds=bounds)


@pytest.fixture
def serves_loops_in_turn():
    """`serves_loops_in_turn(backend, request, tokens, patience)`: sees that an engine serves the requests of three
    event loops in turn, each of them whole, with so many tokens of reply."""

    def sees(backend: Backend, request: Request, tokens: int, patience: float) -> None:
        ended, failed = [], []
        started = threading.Barrier(3)

        async def ask(who):
            for number in range(3):
                async with aclosing(backend.stream(request)) as chunks:
                    *_, last = [chunk async for chunk in chunks]
                assert last.usage.output_tokens == tokens
                ended.append((who, number))

        def run(who):
            try:
                started.wait(10)
                asyncio.run(asyncio.wait_for(ask(who), patience))
            except (errors.BackendError, TimeoutError, AssertionError) as exc:
                failed.append(exc)

        threads = [threading.Thread(target=run, args=(who,)) for who in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(patience + 5)
        assert failed == []
        assert {number for _, number in ended[:3]} == {0}  # nobody's second comes before somebody's first
        assert len(ended) == 9

    return sees
