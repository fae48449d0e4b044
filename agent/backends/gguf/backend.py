"""The model in a GGUF file, run by llama.cpp in this process: `gguf:models/gemma-3-4b-it.gguf`.

The engine is asked through the functions of `xllamacpp`, not over HTTP: they stream a reply frame by frame and end it
between any two, and there is no connection to lose. What it is asked and what it says are the words of llama.cpp's
server, so they are written and read as for that one.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Final

from gemmagraph.backends.base import Chunk, ModelInfo, Request, Transport
from gemmagraph.backends.engine_thread import Hand, handed_out
from gemmagraph.backends.gguf.engine import Engine, Given
from gemmagraph.backends.gguf.file import read_gguf
from gemmagraph.backends.network.again import asked_twice
from gemmagraph.backends.network.closing import shielded
from gemmagraph.backends.network.queue import Queue
from gemmagraph.backends.openai.kinds import LLAMA_CPP
from gemmagraph.backends.openai.probe import Server
from gemmagraph.backends.openai.reply import StreamedReply
from gemmagraph.backends.openai.request import Written, written
from gemmagraph.backends.openai.words import named_error
from gemmagraph.backends.words import Place
from gemmagraph.errors import (
    AgentError,
    BackendError,
    BackendUnavailable,
    BadRequest,
    ContextOverflow,
    ModelNotFound,
    ServerError,
)
from gemmagraph.prompts.messages import Usage

BOS: Final = 2
"""`<bos>` in the vocabulary of every Gemma."""
DEFAULT_CONTEXT: Final = 8_192
"""Tokens of context where nobody says: all that a model was trained for would fill the memory."""


class GgufBackend:
    """The model in one GGUF file. It is loaded at the first request, and stays loaded until `close`.

    Args:
        path: of the file; of its first part, if it has several.
        threads: of the processor that work on it; the engine's own choice if None.
        pause: seconds between two notices while it loads.

    Raises:
        AgentError: it is no such file, no model of Gemma's, or xllamacpp is not installed.
    """

    name = "gguf"
    label = "llama.cpp in this process"
    transports: frozenset[Transport] = frozenset({"completion"})
    read_only_tools = False

    def __init__(self, path: str | Path, *, threads: int | None = None, pause: float = 2.0) -> None:
        self._file = read_gguf(Path(path).expanduser())
        if importlib.util.find_spec("xllamacpp") is None:
            raise AgentError(
                "To run a GGUF file, xllamacpp has to be installed.", hint='Run: pip install "gemmagraph[gguf]"'
            )
        self.model = self._file.model
        """What tells its family."""
        self._names = {self.name, self.model, str(path), str(self._file.path), self._file.path.name}
        self._place = Place(self.label, "")
        self._engine = Engine(self._file, threads=threads, pause=pause)
        self._queue = Queue()
        self._hand: Hand[Given] | None = None
        """Of the request under way."""
        self._closings = 0
        self._capped: set[int] = set()
        """Contexts that were too large for the model, of which the user was told."""

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """One request: its text as it arrives. A reply that holds nothing is asked for once more."""
        body = self._written(request).encoded(usage=True)
        closings, name = self._closings, self._file.path.name
        context, notice = self._context(request)
        if notice:
            yield Chunk(notice=notice)

        def ask(spent: Usage) -> tuple[StreamedReply, AsyncGenerator[Chunk, None]]:
            reply = StreamedReply("completion", self._place)
            return reply, self._reply(body, context, reply, closings, spent)

        async with aclosing(asked_twice(name, ask)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def models(self) -> list[ModelInfo]:
        """The one in the file."""
        return [await self.info(self.name)]

    async def info(self, model: str) -> ModelInfo:
        """What the file says."""
        self._refuse_other(model)
        return ModelInfo(
            str(self._file.path),
            context=self._file.trained,
            capabilities=("completion",),
            size=self._file.size,
            constraints=LLAMA_CPP.completion_constraints,
        )

    async def count(self, model: str, text: str) -> int:
        """The tokens of a text, by the model's own vocabulary. Loads the model if it is not."""
        self._refuse_other(model)
        context = min(DEFAULT_CONTEXT, self._file.trained or DEFAULT_CONTEXT)
        hand = Hand[int | str]()
        async with aclosing(handed_out(lambda hand: self._engine.count(text, context, hand), hand)) as given:
            async for item in given:
                if isinstance(item, int):
                    return item
        raise self._closed()

    async def close(self) -> None:
        """Ends the requests, and frees the memory. A later one loads the model again."""
        self._closings += 1
        if self._hand is not None:
            self._hand.leave()
        await shielded(asyncio.to_thread(self._engine.unload))

    async def _reply(
        self, body: bytes, context: int, reply: StreamedReply, closings: int, spent: Usage
    ) -> AsyncGenerator[Chunk, None]:
        """One reply, checked when it ends."""
        name = self._file.path.name
        if self._queue.full:
            yield Chunk(notice=f"{name} is busy with another request of ours; waiting")
        async with self._queue.place(name) as place:
            if self._closings != closings:
                raise self._closed()
            hand = self._hand = Hand[Given](place.leave)
            async with aclosing(handed_out(lambda hand: self._engine.complete(body, context, hand), hand)) as given:
                async for item in given:
                    if isinstance(item, str):
                        yield Chunk(notice=item)
                        continue
                    if item.startswith(b'{"error"'):
                        raise self._refused(item, context)
                    chunk = reply.take(item)
                    if chunk.text:
                        yield chunk
        if not reply.finished:
            raise self._closed() if self._closings != closings else reply.cut()
        reply.refuse_if_empty(name)
        yield Chunk(usage=spent + (reply.usage or Usage()), stop=reply.stop)

    def _written(self, request: Request) -> Written:
        """The request in the words of llama.cpp's server.

        Raises:
            BackendError: it cannot do what is asked.
        """
        self._refuse_other(request.model)
        if request.transport != "completion":
            raise BadRequest(
                f"{self.label} takes a finished prompt, not chat messages.",
                hint='Leave transport out, or say transport="completion".',
            )
        asked = written(request, Server(LLAMA_CPP), self.label)
        # As an id, since whether the engine adds `<bos>` by itself depends on the file. Telling its progress, it
        # hears between two batches of the prompt that nobody waits any more.
        prompt = [BOS, asked.body["prompt"]]
        return asked._replace(body={**asked.body, "prompt": prompt, "return_progress": True})

    def _context(self, request: Request) -> tuple[int, str]:
        """Tokens of context to run with, and what the user should know about them."""
        asked = request.context or self._engine.context or DEFAULT_CONTEXT
        trained = self._file.trained
        if trained is None or asked <= trained:
            return asked, ""
        if request.context is None or asked in self._capped:
            return trained, ""
        self._capped.add(asked)
        return trained, (
            f"{self._file.path.name} runs with the {trained:,} tokens of context that it was trained for, not with "
            f"the {asked:,} asked for"
        )

    def _refused(self, frame: bytes, context: int) -> BackendError:
        """The error for a frame that is none of a reply."""
        said = json.loads(frame)["error"]
        error = named_error(said.get("code"), frame.decode("utf-8", "replace"), self._place)
        if isinstance(error, ContextOverflow):
            more = context < (self._file.trained or context + 1)
            error.hint = "Shorten it, or ask for a larger one (context=)." if more else "Shorten it."
        elif isinstance(error, ServerError):
            error.hint = "Ask again; if it happens again, restart the program."
        return error

    def _refuse_other(self, model: str) -> None:
        if model not in self._names:
            raise ModelNotFound(
                f"{self.label} runs {self._file.path.name!r}, not {model!r}.",
                hint=f"Make another backend for that: gguf:{model}.",
            )

    def _closed(self) -> BackendUnavailable:
        return BackendUnavailable(f"{self._file.path.name} was closed.", hint="Ask again: that loads it anew.")
