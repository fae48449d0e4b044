"""An MCP server that is reached by streamable HTTP. What the MCP library sends goes out by our guarded transport.

Loaded when the first such server is asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

import httpx
import httpx2
from mcp.client.streamable_http import streamable_http_client

from gemmagraph.prompts.errors import GemmagraphError
from gemmagraph.tools.bodies.http_answers import failed
from gemmagraph.tools.errors import BodyError, ToolError
from gemmagraph.tools.guards.transport import ANSWERED, CONNECT, Credentials, GuardedTransport
from gemmagraph.tools.imports.mcp_failures import MOST_BYTES, Failures, SessionLost
from gemmagraph.tools.imports.texts import readable
from gemmagraph.tools.secrets import beginning

if TYPE_CHECKING:
    import ssl

    from mcp.client._transport import TransportStreams

    from gemmagraph.tools.guards.transport import Resolver

_GOODBYE: Final = 2.0
"""Seconds for telling a server that its session is over."""
_NEWS: Final = 1024 * 1024
"""Bytes of news of its progress that may come before the answer to a call."""
_SESSION: Final = "mcp-session-id"
_MOST_SAID: Final = 300


@asynccontextmanager
async def http_streams(
    url: str,
    headers: Callable[[], Mapping[str, str]],
    failures: Failures,
    *,
    resolver: Resolver | None = None,
    verify: ssl.SSLContext | None = None,
) -> AsyncIterator[TransportStreams]:
    """What the server at `url` says and what it is told.

    Args:
        headers: what else goes along with each request, to this server only; asked for each time.
        failures: where each request that fails leaves why.
    """
    guarded = GuardedTransport(
        base_url=url.partition("?")[0],
        max_bytes=MOST_BYTES + _NEWS,
        credentials=lambda: Credentials(headers()),
        resolver=resolver,
        verify=verify,
    )
    client = httpx2.AsyncClient(
        transport=_Guarded(guarded, failures),
        timeout=httpx2.Timeout(None, connect=CONNECT),
        trust_env=False,
    )
    async with client, streamable_http_client(url, http_client=client, max_sse_event_size=MOST_BYTES) as streams:
        yield streams


class _Guarded(httpx2.AsyncBaseTransport):
    """Our transport as the MCP library's HTTP client has it.

    A request that fails is answered by us, so that the others go on: the library would end the whole session.
    """

    def __init__(self, guarded: GuardedTransport, failures: Failures) -> None:
        self._guarded = guarded
        self._failures = failures

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return await self._answer(request)
        if request.method == "DELETE":
            return await self._goodbye(request)
        try:
            return await self._answer(request)
        except httpx2.HTTPError as exc:
            return self._instead(_failure(exc.__cause__ or exc, request))

    async def aclose(self) -> None:
        await self._guarded.aclose()

    async def _goodbye(self, request: httpx2.Request) -> httpx2.Response:
        """Whatever comes of it: the session is over."""
        with suppress(TimeoutError, httpx2.HTTPError):
            async with asyncio.timeout(_GOODBYE):
                return await self._answer(request)
        return httpx2.Response(204)

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        """
        Raises:
            httpx2.HTTPError: there is none.
        """
        sent = httpx.Request(
            request.method, str(request.url), headers=request.headers.raw, content=await request.aread()
        )
        try:
            if sent.url.raw_path != request.url.raw_path:
                raise ToolError(f"{request.url.raw_path.decode()[:200]!r} would be sent otherwise.")
            answer = await self._guarded.handle_async_request(sent)
            if request.method != "POST" or (answer.is_success and _kind(answer) == "text/event-stream"):
                body = _Body(answer, endless=request.method == "GET")
                return httpx2.Response(answer.status_code, headers=answer.headers.raw, stream=body)
            return await self._whole(answer, request)
        except (GemmagraphError, httpx.HTTPError, httpx.InvalidURL) as exc:
            request.extensions[ANSWERED] = ANSWERED in sent.extensions
            raise httpx2.TransportError(str(exc)) from exc

    async def _whole(self, answer: httpx.Response, request: httpx2.Request) -> httpx2.Response:
        """An answer that comes at once, or what a refusal means."""
        try:
            content = await answer.aread()
        finally:
            await answer.aclose()
        kind = _kind(answer)
        if answer.is_success and content and kind != "application/json":
            said = f"{request.url.host} answered with {readable(kind, 60) or 'something'}, which is no message."
            return self._instead(BodyError(said, kinds=(), unknown=True))
        if not answer.is_error:
            return httpx2.Response(answer.status_code, headers=answer.headers.raw, content=content)
        if answer.status_code == 404 and _SESSION in request.headers:
            return self._instead(
                SessionLost(f"{request.url.host} has forgotten the session.", kinds=("unreachable",))
            )
        if kind == "application/json" and _is_error(content):
            return httpx2.Response(answer.status_code, headers=answer.headers.raw, content=content)
        return self._instead(_refusal(answer, request.url.host, content))

    def _instead(self, failure: BodyError) -> httpx2.Response:
        error = self._failures.put(failure).model_dump(mode="json")
        return httpx2.Response(500, json={"jsonrpc": "2.0", "id": None, "error": error})


class _Body(httpx2.AsyncByteStream):
    """The events of an answer.

    Args:
        endless: it is not one request's: beyond the bytes that one answer may have it ends, and another is asked for.
    """

    def __init__(self, answer: httpx.Response, *, endless: bool) -> None:
        self._answer = answer
        self._endless = endless

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._answer.aiter_raw():
                yield piece
        except httpx.HTTPError as exc:
            raise httpx2.ReadError(str(exc)) from exc
        except ToolError as exc:
            if not self._endless:
                raise httpx2.ReadError(str(exc)) from exc

    async def aclose(self) -> None:
        await self._answer.aclose()


def _failure(problem: BaseException, request: httpx2.Request) -> BodyError:
    if isinstance(problem, GemmagraphError) and not isinstance(problem, ToolError):  # a secret without a value
        return BodyError(problem.message, kinds=(), hint=problem.hint)
    return failed(
        cast(Exception, problem), request.url.host, reads=False, answered=bool(request.extensions.get(ANSWERED))
    )


def _refusal(answer: httpx.Response, host: str, content: bytes) -> BodyError:
    status = answer.status_code
    text = beginning(content[: 16 * _MOST_SAID].decode(errors="replace"), 4 * _MOST_SAID)
    said = "" if text.lstrip()[:1] in ("", "<") else f": {readable(text, _MOST_SAID).strip()}"
    hint = "Give what proves who you are under `headers`." if status in (401, 403) else ""
    kinds = (str(status), f"{status // 100}xx")
    scope: Mapping[str, Mapping[str, Any]] = {"response": {"status": status, "text": text}}
    return BodyError(
        f"{host} answered {status} {_phrase(status)}{said}".rstrip(".") + ".",
        kinds=kinds,
        scope=scope,
        transient=status in (429, 502, 503, 504),
        unknown=status >= 500 and status != 503,
        hint=hint,
    )


def _kind(answer: httpx.Response) -> str:
    said: str = answer.headers.get("content-type", "")
    return said.partition(";")[0].strip().lower()


def _is_error(content: bytes) -> bool:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and isinstance(said.get("error"), dict)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "with an error"
