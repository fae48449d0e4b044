"""Any server behind OpenAI's protocol: vLLM, llama.cpp's, LM Studio, hosted ones.

Replies are read by our own reader of events: OpenAI's client takes a reply that was cut for a whole one. What answers
is found out at the first request (`probe`), and what sets it apart is a row of `kinds`. Requests are
written in `request`, replies read in `reply`; what a server's words mean is in `words`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Final

from gemmagraph.backends.base import Chunk, ModelInfo, Request, Transport
from gemmagraph.backends.network.again import asked_twice
from gemmagraph.backends.network.http import Bounds, Http, Waiting
from gemmagraph.backends.network.queue import Queue, queue_for
from gemmagraph.backends.openai.count import CountsNone, counted
from gemmagraph.backends.openai.kinds import LLAMA_CPP
from gemmagraph.backends.openai.probe import Server, probe
from gemmagraph.backends.openai.reply import StreamedReply
from gemmagraph.backends.openai.request import Written, written
from gemmagraph.backends.openai.words import NoRoom, StillLoading, UsageRefused, address, missing, refusal
from gemmagraph.backends.words import Place, bearer, key_given, probably_cut, smaller_window, without_login
from gemmagraph.errors import (
    BackendTimeout,
    BackendUnavailable,
    ModelNotFound,
    TruncatedReply,
)
from gemmagraph.prompts.messages import Usage

DOWN: Final = "Start it, or name its address: base_url=, or OPENAI_BASE_URL."
SLOW: Final = "It may still be loading the model or be busy: try again, or ask for fewer tokens."

_PERHAPS: Final = " (the server may be loading it, or reading the prompt)"

TAIL: Final = 5.0
"""Seconds that the counts of tokens may take, once the reply is whole: some servers never end their streams."""


class OpenAIBackend:
    """The models of one server behind OpenAI's protocol.

    Args:
        base_url: where it is, `/v1` included where the server has that; OPENAI_BASE_URL if None, else OpenAI's own.
        api_key: the key; OPENAI_API_KEY if None. A server of one's own may want none.
        at_once: how many requests the server gets at a time from this process; what it says it can serve if None.

    Raises:
        AgentError: the address or the key is none.
    """

    name = "openai"
    read_only_tools = False

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        bounds: Bounds | None = None,
        at_once: int | None = None,
    ) -> None:
        url = address(base_url)
        key = key_given(api_key, "OPENAI_API_KEY")
        self.transports: frozenset[Transport] = frozenset({"chat", "completion", "tools"})
        root = url.removesuffix("/v1")
        self._prefix = url[len(root) :]
        self.label = f"Server at {without_login(url)}"
        """Says what it is, too, once that is known."""
        self._place = Place(self.label, url, key)
        self._http = Http(
            root,
            label=self.label,
            refusal=lambda answer: refusal(answer, self._place),
            headers=bearer(key),
            bounds=bounds,
            down=DOWN,
            slow=SLOW,
        )
        self._at_once = at_once
        self._asking = Queue()
        """Who finds out what the server is; the others wait."""
        self._server: Server | None = None
        self._uncounted: Server | None = None
        """It, if it has said that it does not count tokens."""
        self._counts = True
        """Whether the server takes `stream_options`."""
        self._told: set[tuple[str, int | None]] = set()
        """Models and contexts of which the user was told what is amiss."""

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """One request: its text as it arrives. A reply that holds nothing is asked for once more, unless the server
        was to read the calls: then it holds nothing because one was lost, as it may be again. A server that loads
        its model is waited for as long as for a first byte."""
        by = 0.0
        while True:
            try:
                async with aclosing(self._once(request)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                return
            except StillLoading as exc:
                self._server = None  # it says more when it has loaded
                bounds, now = self._http.bounds, asyncio.get_running_loop().time()
                if not by:
                    by = now + bounds.first_byte
                    yield Chunk(notice=f"{self.label} is still loading its model; waiting")
                if now >= by:
                    raise BackendTimeout(f"{exc.message} It had {bounds.first_byte:g} s.", hint=SLOW) from exc
                await asyncio.sleep(min(by - now, bounds.pause * 2**bounds.tries))
            except BackendUnavailable:
                self._server = None  # what comes up there next may be another
                raise

    async def _once(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """The same, of a server that has loaded its model."""
        server = await self._known()
        asked = written(request, server, self.label)
        self._http.queue = queue_for(self._place.url, self._at_once or server.at_once)
        async with aclosing(self._asked(request, asked, server)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def models(self) -> list[ModelInfo]:
        """The models that the server lists now."""
        server = await self._known(again=True)
        return [server.described(model) for model in server.models.values()]

    async def info(self, model: str) -> ModelInfo:
        """What the server knows about `model`: of one that lists none, only what it can be asked for."""
        server = await self._known()
        found = server.model(model)
        if found is None and server.models:
            raise missing(model, server.models, self._place)
        if found is None:
            return ModelInfo(model, constraints=server.constraints)
        return server.described(found)

    async def count(self, model: str, text: str) -> int:
        """The tokens of `text`, where the server counts them: llama.cpp's and vLLM do.

        Raises:
            BadRequest: it does not; once it has said so, it is not asked again.
            BackendError: it cannot be asked.
        """
        server = await self._known()
        if server is self._uncounted:
            raise CountsNone(self.label)
        try:
            return await counted(self._http, server, model, text, self._place)
        except CountsNone:
            self._uncounted = server
            raise

    async def close(self) -> None:
        await self._http.close()

    async def _known(self, *, again: bool = False) -> Server:
        """What the server is, asked once."""
        async with self._asking.place(self.label):
            if self._server is None or again:
                found = await probe(self._http, self._prefix, self._place)
                self.label = self._http.label = f"{found.name} at {without_login(self._place.url)}"
                self._place = replace(self._place, label=self.label)
                if found.kind.completion is None:
                    self.transports = frozenset({"chat", "tools"})
                self._server = found
            return self._server

    async def _asked(self, request: Request, asked: Written, server: Server) -> AsyncGenerator[Chunk, None]:
        """The reply, to a request as the server takes it. Some refuse to count, others to write more than there is
        room for, and most of those say then how much there is."""
        is_shorter = False
        while True:
            try:
                async with aclosing(asked_twice(request.model, partial(self._try, request, asked, server))) as chunks:
                    async for chunk in chunks:
                        yield chunk
                return
            except UsageRefused:
                if not self._counts:
                    raise
                self._counts = False
            except NoRoom as exc:
                shorter = asked.shorter(None if is_shorter else exc.room)
                if shorter is None:
                    raise
                if not is_shorter:
                    yield Chunk(notice=f"the prompt leaves less than the {request.max_tokens:,} tokens for the reply")
                asked, is_shorter = shorter, True
            except ModelNotFound as exc:
                raise missing(request.model, server.models, self._place) from exc

    def _try(
        self, request: Request, asked: Written, server: Server, spent: Usage
    ) -> tuple[StreamedReply, AsyncGenerator[Chunk, None]]:
        reply = StreamedReply(asked.shape, self._place, by_server=request.transport == "tools")
        return reply, self._reply(request, asked, server, reply, spent)

    async def _reply(
        self, request: Request, asked: Written, server: Server, reply: StreamedReply, spent: Usage
    ) -> AsyncGenerator[Chunk, None]:
        """One reply, checked when it ends."""
        pages = {"chat": f"{self._prefix}/chat/completions", "completion": f"{self._prefix}/completions"}
        body = asked.encoded(self._counts)
        try:
            async with aclosing(self._http.events(pages.get(asked.shape, "/completion"), body)) as events:
                async for event in events:
                    if isinstance(event, Waiting):
                        if isinstance(event.failed, StillLoading):
                            continue  # it is said once
                        yield Chunk(notice=event.told(request.model, self.label, _PERHAPS))
                        continue
                    chunk = reply.take(event)
                    if chunk.text or chunk.thought:
                        yield chunk
                    if reply.finished:
                        for chunk in await _tail(events, reply):
                            yield chunk
                        break
        except TruncatedReply as exc:
            if reply.finished:
                raise
            raise reply.cut() from exc
        if not reply.finished:
            raise reply.cut()
        reply.refuse_if_empty(request.model)
        if request.transport == "tools" and reply.calls:
            yield Chunk(calls=reply.calls)
        cut = probably_cut(request, reply.usage.input_tokens if reply.usage else 0)
        for notice in (*self._told_once(request, server), *([cut] if cut else []), *reply.notices()):
            yield Chunk(notice=notice)
        yield Chunk(usage=spent + reply.usage if reply.usage else None, stop=reply.stop)

    def _told_once(self, request: Request, server: Server) -> list[str]:
        """What the user should know of the model that answers, said once."""
        model = server.model(request.model)
        if model is None or (request.model, request.context) in self._told:
            return []
        self._told.add((request.model, request.context))
        notices = []
        if server.kind.warning:
            notices.append(f"{self.label} {server.kind.warning}")
        if server.kind is LLAMA_CPP and request.model.lower() not in model.name.lower():
            notices.append(f"{self.label} runs {model.name!r}, whatever model is asked for")
        if model.window and (smaller := smaller_window(request, model.window)):
            notices.append(smaller)
        return notices


async def _tail(events: AsyncGenerator[bytes | Waiting, None], reply: StreamedReply) -> list[Chunk]:
    """What comes behind the end of a reply: the counts, and from some servers more text.

    Raises:
        BackendError: an error of the server.
    """
    chunks = []
    try:
        async with asyncio.timeout(TAIL):
            while not reply.over:
                event = await anext(events)
                if isinstance(event, bytes):
                    chunks.append(reply.take(event))
    except (StopAsyncIteration, TimeoutError, TruncatedReply, BackendTimeout):
        pass  # the reply is whole all the same
    return [chunk for chunk in chunks if chunk.text or chunk.thought]
