"""google-genai's client, over our own `Http`.

It writes requests and reads frames; time limits, retries, refusals and leaving are those of every other server. Left
to itself it has one time limit for everything, closes a reply that nobody wants any more when its memory is cleared,
and reads on in a line without end.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, TypeVar

import httpx
from google import genai
from google.genai import errors, types
from google.genai.models import AsyncModels

from gemmagraph.backends.gemini.request import Written
from gemmagraph.backends.gemini.words import named_error, refusal
from gemmagraph.backends.network.http import Http, Waiting
from gemmagraph.backends.words import Place
from gemmagraph.errors import BadRequest, ServerError

T = TypeVar("T")

Frame = types.GenerateContentResponse

_UNREADABLE: Final = (ValueError, TypeError, AttributeError, KeyError, RecursionError)
"""What google-genai raises for JSON that is none, or of another shape."""


async def frames(http: Http, place: Place, model: str, asked: Written) -> AsyncGenerator[Frame | Waiting, None]:
    """The frames of a reply as they arrive.

    Raises:
        BackendError: of the kind that fits.
    """
    try:
        config = types.GenerateContentConfig.model_validate(asked.config)
        contents: Any = [types.Content.model_validate(each) for each in asked.contents]
    except ValueError as exc:
        raise BadRequest(f"google-genai refuses the request: {_first_line(exc)}.") from exc
    carrier = _Carrier(http, place)
    try:
        models = _models(carrier)
        coming = await models.generate_content_stream(model=model, contents=contents, config=config)
        async for frame in coming:
            yield carrier.waiting.popleft() if carrier.waiting else frame
    except errors.APIError as exc:
        raise named_error(exc.code, json.dumps(exc.details), place, late=True) from exc
    except _UNREADABLE as exc:
        raise _no_frame(exc, place) from exc
    finally:
        await carrier.aclose()


async def answer(http: Http, place: Place, question: Callable[[AsyncModels], Awaitable[T]]) -> T:
    """The answer to a small question.

    Raises:
        BackendError: of the kind that fits.
    """
    try:
        return await question(_models(_Carrier(http, place)))
    except _UNREADABLE as exc:
        shown = place.masked(_first_line(exc))
        raise ServerError(
            f"What {place.label} answered is not the Gemini API ({shown}).", hint="Check base_url."
        ) from exc


def _models(carrier: _Carrier) -> AsyncModels:
    """A client for one request. It never learns the key, so it cannot tell it."""
    options = types.HttpOptions(
        base_url="http://gemini",
        api_version="v1beta",
        httpx_async_client=httpx.AsyncClient(transport=carrier),
        httpx_client=httpx.Client(transport=httpx.BaseTransport()),
        async_client_args={"ssl": True},  # or it loads certificates, which it does not need, for 20 ms
    )
    return genai.Client(vertexai=False, api_key="none", http_options=options).aio.models


class _Carrier(httpx.AsyncBaseTransport):
    """Carries one request of google-genai."""

    def __init__(self, http: Http, place: Place) -> None:
        self.waiting: deque[Waiting] = deque()
        """Those for which an empty frame was passed on: so whoever reads frames hears of them at once."""
        self._http = http
        self._place = place
        self._events: AsyncGenerator[bytes | Waiting, None] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode("ascii")
        body = _as_text(await request.aread())
        if ":streamGenerateContent" in path:
            self._events = self._http.events(path, body)
            return httpx.Response(200, content=self._frames(self._events))
        said = await self._http.ask(path, body or None)
        if said.status != 200 or said.media_type != "application/json":
            raise refusal(said, self._place)
        return httpx.Response(200, text=said.text)

    async def aclose(self) -> None:
        """Ends the request."""
        if self._events is not None:
            await self._events.aclose()

    async def _frames(self, events: AsyncGenerator[bytes | Waiting, None]) -> AsyncIterator[bytes]:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Waiting):
                    self.waiting.append(event)
                    yield b"data: {}\n\n"
                elif event.endswith(b"\n"):  # else it was cut; that no end of the reply was seen tells as much
                    yield b"data: %s\n\n" % event.strip().replace(b"\n", b" ")


def _as_text(body: bytes) -> bytes:
    """The JSON with half surrogate pairs replaced: they are no text, and escaped they are refused."""
    if b"\\ud" not in body:
        return body
    return json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8", "replace")


def _no_frame(exc: Exception, place: Place) -> ServerError:
    return ServerError(
        f"{place.label} sent an event that is no frame of a reply: {place.masked(_first_line(exc))!r}.",
        hint="Check base_url.",
    )


def _first_line(exc: Exception) -> str:
    return (str(exc) or type(exc).__name__).partition("\n")[0][:160].rstrip(".")
