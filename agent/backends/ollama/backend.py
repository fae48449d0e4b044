"""The models of an Ollama server: chat messages, tools by the server's own fields, and whole prompts of plain text.

Streams are read by our own reader (`network.http`): Ollama's client takes a reply that was cut for a
whole one, and splits lines at characters that belong to the text. It asks the small questions. Requests are written
in `request`, replies read in `reply`; what the server's words mean is in `words`.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from gemmagraph.backends.base import Chunk, ModelInfo, Request, Transport
from gemmagraph.backends.network.again import asked_twice
from gemmagraph.backends.network.closing import end, shielded
from gemmagraph.backends.network.failures import translated
from gemmagraph.backends.network.http import Answer, Bounds, Http, Waiting
from gemmagraph.backends.network.queue import queue_for
from gemmagraph.backends.ollama.models import Facts, Running, facts_of, partly_on_gpu, running
from gemmagraph.backends.ollama.pull import LINE, SILENCE, Progress, pulled
from gemmagraph.backends.ollama.reply import StreamedReply
from gemmagraph.backends.ollama.request import Written, written
from gemmagraph.backends.ollama.words import address, blind, label_of, missing, refusal
from gemmagraph.backends.words import bearer, key_given, probably_cut, smaller_window
from gemmagraph.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    BadRequest,
    ContextOverflow,
    ModelNotFound,
    ServerError,
    TruncatedReply,
)
from gemmagraph.prompts.messages import Usage

if TYPE_CHECKING:
    import httpx
    import ollama

T = TypeVar("T")

DOWN = "Start it with `ollama serve`, or name its address in OLLAMA_HOST."
SLOW = "It may still be loading the model (`ollama ps` shows it): try again, or take a smaller model."


class OllamaBackend:
    """The models of one Ollama server.

    Args:
        base_url: where it is, in any form that OLLAMA_HOST may have; OLLAMA_HOST itself if None.
        api_key: sent as a bearer token, for servers behind a gateway; OLLAMA_API_KEY if None.
        at_once: how many requests the server gets at a time from this process; OLLAMA_NUM_PARALLEL, else 1.
            It would queue the others itself, without bound.
    """

    name = "ollama"
    transports: frozenset[Transport] = frozenset({"chat", "tools", "completion"})
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
        key = key_given(api_key, "OLLAMA_API_KEY", " of Ollama")
        self.label = label_of(url)
        self._http = Http(
            url,
            label=self.label,
            refusal=self._refused,
            headers=bearer(key),
            bounds=bounds,
            down=DOWN,
            slow=SLOW,
            queue=queue_for(url, at_once or _parallel()),
        )
        self._facts: dict[str, Facts] = {}
        self._running: dict[tuple[str, int | None], Running] = {}
        self._told: set[tuple[str, int | None]] = set()
        """Models and contexts of which the user was told that they do not fit."""

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """One request: its text and calls as they arrive. A reply that holds nothing is asked for once more, unless
        it is the server that reads the calls: what it could not read is lost each time."""
        facts = await self._known(request.model)
        if request.has_images and facts.lacks("vision"):
            raise await self._blind(request.model)
        wanted, most = request.context, facts.context
        if wanted and most and most < wanted:
            request = replace(request, context=most)
            if (request.model, wanted) not in self._told:
                self._told.add((request.model, wanted))
                yield Chunk(notice=f"{request.model} takes {most:,} tokens of context, not the {wanted:,} asked for")
        asked = written(request, facts)

        def ask(spent: Usage) -> tuple[StreamedReply, AsyncGenerator[Chunk, None]]:
            reply = StreamedReply(request.transport, self.label)
            return reply, self._reply(request, asked, reply, spent)

        try:
            async with aclosing(asked_twice(request.model, ask)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except ModelNotFound as exc:
            self._facts.pop(request.model, None)  # they may be those of an older model of that name
            raise await self._missing(request.model) from exc
        except BadRequest:
            self._facts.pop(request.model, None)
            raise
        except ContextOverflow as exc:
            if most is None or request.context != most:
                raise
            hint = f"{request.model} takes no more: shorten the prompt, or take another model."
            raise ContextOverflow(exc.message, hint=hint) from exc

    async def models(self) -> list[ModelInfo]:
        """The models that were pulled."""
        listed = await self._ask(lambda client: client.list())
        return [ModelInfo(entry.model or "", size=entry.size) for entry in listed.models]

    async def info(self, model: str) -> ModelInfo:
        """What the server knows about `model`."""
        facts = self._facts[model] = await self._shown(model)
        return ModelInfo(
            model, context=facts.context, capabilities=facts.capabilities or (), constraints=facts.constraints
        )

    async def version(self) -> str:
        """The server's own: `0.33.0`."""
        answer = await self._http.ask("/api/version")
        try:
            return str(json.loads(answer.text)["version"])
        except (ValueError, TypeError, KeyError):
            raise self._refused(answer) from None

    async def loaded(self) -> dict[str, int | None]:
        """The models in memory, each with the tokens of context that it was given."""
        there = (await self._ask(lambda client: client.ps())).models
        return {entry.model or entry.name or "": entry.context_length for entry in there}

    def pull(self, model: str) -> AsyncGenerator[Progress, None]:
        """Gets a model from the registry; what is told meanwhile. Closing it stops the server.

        Raises:
            ModelNotFound: the registry does not have it.
            BackendError: the server cannot be asked, or did not get it.
        """
        bounded = functools.partial(self._client, most=LINE, by_line=True)
        return pulled(bounded, model, self.label, self._http.bounds.pause)

    async def create(self, model: str, base: str, **parts: Any) -> None:
        """Makes `model` of another one: `create("gemma3-sober", "gemma3:4b", parameters={"temperature": 0})`.

        Args:
            parts: what to change, by Ollama's names: system, template, parameters …

        Raises:
            BackendError: the server cannot be asked, or did not make it.
        """
        async with self._client(SILENCE) as client:
            await client.create(model, from_=base, **parts)
        self._facts.pop(model, None)

    async def close(self) -> None:
        await self._http.close()

    async def _reply(
        self, request: Request, asked: Written, reply: StreamedReply, spent: Usage
    ) -> AsyncGenerator[Chunk, None]:
        """One reply, checked when it ends."""
        try:
            async with aclosing(self._http.lines(asked.page, asked.body)) as lines:
                async for line in lines:
                    if isinstance(line, Waiting):
                        yield Chunk(notice=line.told(request.model, self.label, " (the server may be loading it)"))
                        continue
                    chunk = reply.take(line)
                    if chunk.text or chunk.thought or chunk.calls:
                        yield chunk
                    if reply.done:
                        break
        except TruncatedReply as exc:
            raise reply.cut() from exc
        if not reply.done:
            raise reply.cut()
        notices = await self._window_notices(request, reply)
        reply.refuse_if_empty(request.model)
        for notice in (*notices, *reply.notices()):
            yield Chunk(notice=notice)
        usage = spent + reply.usage if reply.usage else None
        yield Chunk(usage=usage, stop="length" if reply.reason == "length" else "stop")

    async def _window_notices(self, request: Request, reply: StreamedReply) -> list[str]:
        """What the user should know about the context window of this reply, and about the memory it takes.

        Raises:
            ContextOverflow: the prompt filled the window, so the server cut it.
        """
        counted = reply.usage.input_tokens if reply.usage else 0
        new = (request.model, request.context) not in self._running
        runs = await self._runs(request)
        if runs.window and counted >= runs.window and not new:  # someone else may have made the server load it anew
            runs = await self._runs(request, again=True)
        if runs.window and counted >= runs.window:
            raise ContextOverflow(
                f"The prompt was cut: it filled the whole context window of {runs.window:,} tokens.",
                hint=f"Ask for a larger one (context={2 * runs.window}), or shorten the prompt.",
            )
        told = [probably_cut(request, counted)]
        if new and runs.window:
            told.append(smaller_window(request, runs.window))
        if new and runs.on_gpu < runs.size:
            told.append(partly_on_gpu(request.model, runs, await self._weights(request.model)))
        return [notice for notice in told if notice]

    async def _runs(self, request: Request, *, again: bool = False) -> Running:
        """How the model runs, asked once."""
        key = (request.model, request.context)
        if again or key not in self._running:
            try:
                self._running[key] = running(await self._ask(lambda client: client.ps()), request.model)
            except BackendError:  # an old server, or one that just went away: the reply is here all the same
                self._running[key] = Running()
        return self._running[key]

    async def _weights(self, model: str) -> int | None:
        """Bytes of its file; None if the server does not say."""
        try:
            return next((each.size for each in await self.models() if each.name in (model, f"{model}:latest")), None)
        except BackendError:
            return None

    async def _known(self, model: str) -> Facts:
        """What the model was made for, asked once; nothing if the server cannot say now."""
        if model not in self._facts:
            try:
                self._facts[model] = await self._shown(model)
            except ModelNotFound:
                raise
            except BackendError:  # what is amiss is said of the request itself
                return Facts()
        return self._facts[model]

    async def _shown(self, model: str) -> Facts:
        try:
            return facts_of(await self._ask(lambda client: client.show(model)))
        except ModelNotFound as exc:
            raise await self._missing(model) from exc

    async def _blind(self, model: str) -> BadRequest:
        return blind(model, await self._names(), self.label)

    async def _missing(self, model: str) -> ModelNotFound:
        return missing(model, await self._names(), self.label)

    async def _names(self) -> list[str]:
        """The models that are there; none if the server does not say."""
        try:
            return [entry.name for entry in await self.models()]
        except BackendError:
            return []

    def _refused(self, answer: Answer) -> BackendError:
        return refusal(answer, self.label, self._http.address)

    async def _ask(self, question: Callable[[ollama.AsyncClient], Awaitable[T]]) -> T:
        """The answer to one of the small questions. Ollama's client bounds neither its size nor, as long as a byte
        comes now and then, how long it takes."""
        bounds = self._http.bounds
        patience = min(bounds.question, bounds.first_byte)

        async def answered() -> T:
            async with self._client(patience, bounds.line) as client:
                return await question(client)

        # A task, because httpx lets go of its connection when it is cancelled again while it closes it.
        asking = asyncio.ensure_future(answered())
        try:
            await asyncio.wait({asking}, timeout=patience)
            if not asking.done():
                raise BackendTimeout(f"{self.label}: no answer came within {patience:g} s.", hint=SLOW)
            return asking.result()
        finally:
            await shielded(end(asking))

    @asynccontextmanager
    async def _client(
        self, patience: float, most: int | None = None, *, by_line: bool = False
    ) -> AsyncGenerator[ollama.AsyncClient, None]:
        """Ollama's own client, with errors of ours.

        Args:
            patience: seconds it waits for the next word.
            most: bytes of an answer, or of each line in it.
        """
        import httpx
        import ollama

        limits = httpx.Timeout(patience, connect=self._http.bounds.connect)
        try:
            async with ollama.AsyncClient(
                self._http.address,
                timeout=limits,
                headers=self._http.headers,
                trust_env=self._http.through_proxy,
                verify=self._http.address.startswith("https:"),  # certificates take 20 ms to load
                follow_redirects=False,
                event_hooks={"response": [_bounded(most, by_line)] if most is not None else []},
            ) as client:
                yield client
        except ollama.ResponseError as exc:
            raise self._refused(Answer(exc.status_code, "", str(exc.error))) from exc
        except httpx.HTTPError as exc:
            raise translated(exc, self.label, down=DOWN) from exc
        except ConnectionError as exc:  # what the client makes of httpx's ConnectError
            raise BackendUnavailable(f"{self.label} cannot be reached.", hint=DOWN) from exc
        except (ValueError, TypeError, AttributeError) as exc:  # no JSON, or JSON of another shape
            raise ServerError(
                f"What {self.label} answered is not Ollama's protocol.", hint="Check the address."
            ) from exc


def _bounded(most: int, by_line: bool) -> Callable[[httpx.Response], Awaitable[None]]:
    """A hook of httpx that breaks off an answer of more bytes, or one with such a line."""
    import httpx

    class Bounded(httpx.AsyncByteStream):
        def __init__(self, pieces: httpx.AsyncByteStream) -> None:
            self._pieces = pieces

        async def __aiter__(self) -> AsyncGenerator[bytes, None]:
            received = 0
            async for piece in self._pieces:
                first, *rest = piece.split(b"\n") if by_line else (piece,)
                longest = received + len(first)
                received = len(rest[-1]) if rest else longest
                if longest > most:
                    raise httpx.DecodingError(f"more than {most:,} bytes{' in a line' if by_line else ''}")
                yield piece

        async def aclose(self) -> None:
            await self._pieces.aclose()

    async def bound(response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = Bounded(response.stream)

    return bound


def _parallel() -> int:
    value = os.environ.get("OLLAMA_NUM_PARALLEL", "")
    return max(1, int(value)) if value.isdigit() else 1
