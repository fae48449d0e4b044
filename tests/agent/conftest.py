"""For tests of what lives in `agent/`: asking a backend and hearing all it says."""

import asyncio
import gc
import signal
import sys
import warnings
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest

from gemmagraph.backends.base import Backend, Chunk, Request
from gemmagraph.backends.http import Bounds
from gemmagraph.backends.ollama import OllamaBackend

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # What a shell runs in the background ignores Ctrl-C, and so would the programs that are tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)

sys.path.append(str(Path(__file__).parent.parent))  # `tiny_gemma` is for tests in more than one folder


@dataclass(frozen=True)
class Heard:
    """All chunks of a reply."""

    chunks: list[Chunk]

    @property
    def text(self) -> str:
        return "".join(chunk.text for chunk in self.chunks)

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
