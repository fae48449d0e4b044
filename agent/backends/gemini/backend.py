"""Gemma on Google's Gemini API, through google-genai: `gemini:gemma-4-31b-it`.

Gemma 4 takes tools, system text and JSON Schemas there; Gemma 3 and 3n take only chat messages. Requests are written
in `request`, carried and their frames read in `client`, replies put together in `reply`; what
Google's words mean is in `words`.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import re
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, TypeVar

from gemmagraph.backends.base import Chunk, Constraint, ModelInfo, Request, Transport
from gemmagraph.backends.gemini.reply import StreamedReply
from gemmagraph.backends.gemini.request import Written, written
from gemmagraph.backends.gemini.words import HOSTED, Quota, address, family, key, refusal, takes_tools
from gemmagraph.backends.network.again import Again, asked_twice
from gemmagraph.backends.network.http import Bounds, Http, Waiting
from gemmagraph.backends.network.queue import queue_for
from gemmagraph.backends.words import Place, near_names, without_login
from gemmagraph.errors import AgentError, BackendError, ModelNotFound, TruncatedReply
from gemmagraph.prompts.messages import Usage

if TYPE_CHECKING:
    from google.genai import types
    from google.genai.models import AsyncModels

T = TypeVar("T")

DOWN: Final = "Check the connection, and HTTPS_PROXY if there is a proxy."
SLOW: Final = "The model may be overloaded: try again later, or ask for fewer tokens."
TAIL: Final = 5.0
"""Seconds in which a reply that is whole has to end."""
_CLIENT: Final = "gemmagraph.backends.gemini.client"


class GeminiBackend:
    """The Gemmas of the Gemini API.

    Args:
        model: the one that will be asked, for what `transports` holds.
        base_url: where the API is; GOOGLE_GEMINI_BASE_URL if None, else Google's own.
        api_key: the key; GOOGLE_API_KEY or GEMINI_API_KEY if None.
        at_once: how many requests it gets at a time from this process.

    Raises:
        AgentError: the address or the key is none, or google-genai is not installed.
    """

    name = "gemini"
    read_only_tools = False

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        bounds: Bounds | None = None,
        at_once: int = 16,
    ) -> None:
        if not _installed():
            raise AgentError(
                "To use the Gemini API, google-genai has to be installed.",
                hint='Run: pip install "gemmagraph[gemini]"',
            )
        self.transports: frozenset[Transport] = frozenset({"tools", "chat"} if takes_tools(model) else {"chat"})
        url, secret = address(base_url), key(api_key)
        self.label = "Gemini API" if url == HOSTED else f"Gemini API at {without_login(url)}"
        self._place = Place(self.label, url, secret)
        self._http = _Http(
            url,
            label=self.label,
            refusal=lambda answer: refusal(answer, self._place),
            headers={"x-goog-api-key": secret} if secret else {},
            bounds=bounds,
            down=DOWN,
            slow=SLOW,
            queue=queue_for(url, at_once),
        )

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """One request: its text as it arrives. A reply that holds nothing is asked for once more, but over `tools`
        that is left to who asked."""
        self._refuse_no_name(request.model)
        asked = written(request, self.label)
        await _load()

        def ask(spent: Usage) -> tuple[StreamedReply, AsyncGenerator[Chunk, None]]:
            reply = StreamedReply(request, self._place)
            return reply, self._reply(request, asked, reply, spent)

        try:
            async with aclosing(asked_twice(request.model, ask)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except ModelNotFound as exc:
            raise await self._missing(request.model) from exc

    async def models(self) -> list[ModelInfo]:
        """The Gemmas that can be asked now."""

        async def listed(models: AsyncModels) -> list[types.Model]:
            return [model async for model in await models.list(config={"page_size": 1000})]

        found = await self._ask(listed)
        able = [model for model in found if "generateContent" in (model.supported_actions or ())]
        return [_described(model) for model in able if family(model.name or "") is not None]

    async def info(self, model: str) -> ModelInfo:
        """What the API knows about `model`."""
        self._refuse_no_name(model)
        try:
            return _described(await self._ask(lambda models: models.get(model=model)))
        except ModelNotFound as exc:
            raise await self._missing(model) from exc

    async def count(self, model: str, text: str) -> int:
        """The tokens of `text`, as the API counts them."""
        self._refuse_no_name(model)
        if not text:
            return 0  # it may refuse a part without text
        counted = await self._ask(lambda models: models.count_tokens(model=model, contents=text))
        return counted.total_tokens or 0

    async def close(self) -> None:
        await self._http.close()

    async def _reply(
        self, request: Request, asked: Written, reply: StreamedReply, spent: Usage
    ) -> AsyncGenerator[Chunk, None]:
        """One reply, checked when it ends."""
        from gemmagraph.backends.gemini.client import frames

        try:
            async with aclosing(frames(self._http, self._place, request.model, asked)) as coming:
                while True:
                    async with asyncio.timeout(TAIL if reply.reason else None):
                        frame = await anext(coming, None)
                    if frame is None:
                        break
                    if isinstance(frame, Waiting):
                        yield Chunk(notice=frame.told(request.model, self.label))
                        continue
                    chunk = reply.take(frame)
                    if chunk.text or chunk.thought or chunk.calls:
                        yield chunk
        except TruncatedReply as exc:
            if not reply.reason:
                raise reply.cut() from exc
        except TimeoutError:
            pass  # the reply is whole all the same
        reply.check()
        for notice in reply.notices():
            yield Chunk(notice=notice)
        yield Chunk(usage=spent + reply.usage if reply.usage else None, stop=reply.stop)

    async def _ask(self, question: Callable[[AsyncModels], Awaitable[T]]) -> T:
        await _load()
        from gemmagraph.backends.gemini.client import answer

        return await answer(self._http, self._place, question)

    async def _missing(self, model: str) -> ModelNotFound:
        try:
            there = [each.name for each in await self.models()]
        except BackendError:
            there = []
        known = f"It has: {', '.join(near_names(model, there) or there[:8])}." if there else "Check its name."
        return ModelNotFound(f"{self.label} has no model {model!r}.", hint=known)

    def _refuse_no_name(self, model: str) -> None:
        """google-genai makes a part of an address of it."""
        if not re.fullmatch(r"\w[\w.:/-]*", model, re.ASCII) or ".." in model:
            raise ModelNotFound(f"{self.label} has no model {model!r}.", hint="Take one such as gemma-4-31b-it.")


class _Http(Http):
    def _pause(self, attempt: int, failed: Again, deadline: float) -> float:
        """As ever, but how long to wait for more of a quota is said in the body of the refusal."""
        if isinstance(failed.error, Quota):
            failed = Again(failed.error, failed.error.seconds)
        return super()._pause(attempt, failed, deadline)


def _described(model: types.Model) -> ModelInfo:
    name = (model.name or "").removeprefix("models/")
    able, found = takes_tools(name), family(name)
    capabilities = {
        "completion": True,
        "tools": able,
        "vision": found is not None and found.images,
        "thinking": bool(model.thinking),
    }
    held: frozenset[Constraint] = frozenset({"schema", "tool_choice"} if able else ())
    has = tuple(each for each, there in capabilities.items() if there)
    limit = model.input_token_limit
    return ModelInfo(name, context=limit, window=limit, capabilities=has, constraints=held)


async def _load() -> None:
    """Imports google-genai, which takes half a second, without holding up the event loop."""
    if _CLIENT not in sys.modules:
        await asyncio.to_thread(importlib.import_module, _CLIENT)


def _installed() -> bool:
    try:
        return importlib.util.find_spec("google.genai") is not None
    except ModuleNotFoundError:  # no `google` at all
        return False
