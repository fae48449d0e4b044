"""One session with an MCP server: from its handshake until one of both sides ends it.

It lives in a task of its own, since what the MCP library opens in one task must be closed there. What the server
sends without being asked is dropped, but for the news that its tools changed, and of how far a call is that somebody
watches; its own requests, to sample, to elicit or to name roots, are refused by the library. Loaded when the first
server is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    UNSUPPORTED_PROTOCOL_VERSION,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    PaginatedRequestParams,
)
from mcp_types.methods import validate_server_result
from mcp_types.version import LATEST_HANDSHAKE_VERSION
from pydantic import ValidationError

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.errors import BodyError
from gemmagraph.tools.imports.mcp_definitions import Definition, tidied
from gemmagraph.tools.imports.mcp_failures import Failures
from gemmagraph.tools.imports.mcp_streams import Incoming
from gemmagraph.tools.imports.texts import readable

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams
    from mcp.shared._stream_protocols import ReadStream
    from mcp.shared.message import SessionMessage

MOST_TOOLS: Final = 1_000
_MOST_PAGES: Final = 100
_TOO_OLD: Final = (UNSUPPORTED_PROTOCOL_VERSION, METHOD_NOT_FOUND, INVALID_REQUEST)
"""How a server may refuse a handshake that it does not know."""
_CLOSING: Final = 8.0
"""Seconds that a session gets to end, longer than what it waits for by itself."""
_PULSE: Final = 1.0
"""Seconds in which the server must answer a ping once a call was given up."""
_MOST_SAID: Final = 1_000
_BURST: Final = 50
_BREATH: Final = 0.05
"""Seconds without reading after each so many messages that nobody asked for."""


class Session:
    """A session that is begun by `start`.

    Args:
        server: how people know the server.
        streams: opens what it says and what it is told.
        epitaph: how the server ended, once it did.
    """

    def __init__(
        self,
        server: str,
        streams: AbstractAsyncContextManager[TransportStreams],
        epitaph: Callable[[], Awaitable[str]],
        failures: Failures,
    ) -> None:
        self.over = asyncio.Event()
        """Whether it has ended, or is to end."""
        self.stale = True
        """Whether the server may have other tools than it last listed."""
        self.refused: dict[str, str] = {}
        """The tools of the last list that cannot be used, and why."""
        self.awaited = 3
        """Answers that may still come; the handshake takes up to three."""
        self.watched = 0
        """Calls of which somebody sees how far they are."""
        self._server = server
        self._streams = streams
        self._failures = failures
        self._epitaph = epitaph
        self._listed: list[Definition] = []
        self._listing = asyncio.Lock()
        self._ready: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    async def start(self, seconds: float) -> None:
        """
        Raises:
            BodyError: there is no such server, it does not answer in time, or it speaks otherwise.
        """
        self._task = asyncio.create_task(self._keep(seconds))
        try:
            await asyncio.shield(self._ready)
        except asyncio.CancelledError:
            await self.close()
            raise
        except TimeoutError as exc:
            why = f"it did not answer within {seconds:g} s"
            raise await self._unreachable(why, exc) from exc
        except Exception as exc:
            ended = isinstance(exc, MCPError) and exc.code == CONNECTION_CLOSED
            raise await self._unreachable("it ended the connection" if ended else _words(exc), exc) from exc

    async def close(self) -> None:
        """Ends it, and the server's process. Never waits for long."""
        self.over.set()
        if self._task is None:
            return
        if not self._ready.done():
            self._task.cancel()
        for _ in range(2):
            await asyncio.wait({self._task}, timeout=_CLOSING)
            if self._task.done():
                return
            self._task.cancel()

    async def tools(self) -> list[Definition]:
        """The server's tools, asked for again if they may have changed.

        Raises:
            BodyError: it does not say.
        """
        async with self._listing:
            if self.stale:
                self.stale = self._modern()  # before it is asked: a change may be told meanwhile
                try:
                    self._listed = await self._pages()
                except BaseException:
                    self.stale = True
                    raise
        return self._listed

    async def call(self, name: str, arguments: Mapping[str, JSON], context: ToolContext) -> CallToolResult:
        """What one of its tools answers. When the caller is cancelled, the server is told so. How far it is, is asked
        for only where somebody sees it.

        Raises:
            BodyError: it refused, or the connection broke.
        """
        params = CallToolRequestParams(name=name, arguments=dict(arguments))
        request = CallToolRequest(params=params)
        session = self._ready.result()
        if not context.watched:
            plain: CallToolResult = await self._asked(session.send_request(request, CallToolResult))
            return plain

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            said = f"{progress:g} of {total:g}" if total else f"{progress:g}"
            context.progress(readable(message or said, _MOST_SAID), progress / total if total else None)

        self.watched += 1
        try:
            answer: CallToolResult = await self._asked(
                session.send_request(request, CallToolResult, progress_callback=tell)
            )
        finally:
            self.watched -= 1
        return answer

    async def end_if_silent(self) -> None:
        """Ends it if the server answers nothing any more."""
        try:
            async with asyncio.timeout(_PULSE):
                await self._asked(self._ready.result().send_ping())
        except TimeoutError:
            self.over.set()
        except BodyError:
            pass  # it knows no ping, which is an answer too; or it has ended

    async def _keep(self, seconds: float) -> None:
        """The whole session."""
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(seconds):
                    said, told = await stack.enter_async_context(self._streams)
                    session = ClientSession(_Sieve(said, self), told, client_info=_ourselves())
                    await stack.enter_async_context(session)
                    await self._shake_hands(session)
                self._ready.set_result(session)
                await self.over.wait()
        except Exception as exc:  # noqa: BLE001 - whatever ends a session: whoever waits for its beginning gets it
            if not self._ready.done():
                self._ready.set_exception(_first(exc))
                self._ready.exception()  # seen: whoever waited for it may have gone
        finally:
            self.over.set()
            self._ready.cancel()

    async def _shake_hands(self, session: ClientSession) -> None:
        """The handshake of most servers; then that of those which know no other than the newest one."""
        try:
            await session.initialize()
        except MCPError as exc:
            if (failure := self._failures.take(exc)) is not None:
                raise failure from exc
            if exc.code not in _TOO_OLD:
                raise
            try:
                await session.discover()
            except MCPError:
                raise exc from None

    def _modern(self) -> bool:
        """Whether it speaks the newest protocol, where changes are only told to those who keep a request open."""
        return self._ready.result().discover_result is not None

    async def _pages(self) -> list[Definition]:
        found: list[Definition] = []
        self.refused = {}
        cursor, seen = None, set[str | None]()
        for _ in range(_MOST_PAGES):
            seen.add(cursor)
            params = PaginatedRequestParams(cursor=cursor)
            page = await self._asked(self._ready.result().list_tools(params=params))
            found += (
                Definition(each.name, each.description or "", each.input_schema, each.output_schema)
                for each in page.tools
            )
            cursor = page.next_cursor
            if cursor is None or cursor in seen or len(found) > MOST_TOOLS:
                break
        if cursor is not None or len(found) > MOST_TOOLS:
            self.refused["further tools"] = f"it lists more than {MOST_TOOLS:,}, or the same page again"
        return found[:MOST_TOOLS]

    async def _asked(self, request: Awaitable[Any]) -> Any:
        """
        Raises:
            BodyError: there is no answer, or none that can be read.
        """
        self.awaited += 1
        try:
            return await request
        except MCPError as exc:
            if (failure := self._failures.take(exc)) is not None:
                raise failure from exc
            said = readable(exc.message, _MOST_SAID)
            if exc.code == CONNECTION_CLOSED:
                raise await self._lost(said) from exc
            if exc.code == PARSE_ERROR:
                raise self._unreadable(exc) from exc
            scope: Mapping[str, Mapping[str, JSON]] = {"response": {"code": exc.code, "text": said}}
            raise BodyError(f"{self._server} refuses: {said}", kinds=(str(exc.code), "error"), scope=scope) from exc
        except (ValueError, RuntimeError) as exc:  # what pydantic raises is one
            raise self._unreadable(exc) from exc

    def _unreadable(self, problem: Exception) -> BodyError:
        text = f"What {self._server} answered cannot be read: {_words(problem).rstrip('.')}."
        return BodyError(text, kinds=(), unknown=True)

    async def _lost(self, said: str) -> BodyError:
        why = "" if said == "Connection closed" else f": {said}"
        text = f"The connection to {self._server} ended before there was an answer{why}".rstrip(".") + "."
        how = await self._epitaph() if self.over.is_set() else ""
        return BodyError(f"{text} {how}".strip(), kinds=("unreachable",), transient=True, unknown=True)

    async def _unreachable(self, why: str, problem: Exception) -> BodyError:
        await self.close()
        told = problem if isinstance(problem, BodyError) else None
        text = f"The MCP server {self._server} is not there: {why}".rstrip(".") + "."
        epitaph = await self._epitaph()
        return BodyError(
            f"{text} {epitaph}".strip(),
            kinds=told.kinds if told else ("unreachable",),
            transient=told.transient if told else False,
            hint=told.hint if told else "",
        )


class _Sieve(Incoming):
    """What a server says, without what nobody asked for."""

    def __init__(self, said: ReadStream[SessionMessage | Exception], session: Session) -> None:
        self._said = said
        self._session = session
        self._unasked = 0

    async def receive(self) -> SessionMessage:
        while True:
            try:
                item = await self._said.receive()
            except (anyio.EndOfStream, anyio.ClosedResourceError):
                self._session.over.set()
                raise anyio.EndOfStream from None
            if isinstance(item, Exception):
                continue
            message = item.message
            if isinstance(message, JSONRPCNotification | JSONRPCRequest) or self._session.awaited == 0:
                await self._rest()
            else:
                self._session.awaited -= 1
            if isinstance(message, JSONRPCNotification):
                self._session.stale |= message.method == "notifications/tools/list_changed"
                if not (self._session.watched and message.method == "notifications/progress"):
                    continue
                return item
            if isinstance(message, JSONRPCResponse) and isinstance(entries := message.result.get("tools"), list):
                message.result["tools"], refused = tidied(entries, self._problem)
                self._session.refused |= refused
            return item

    def _problem(self, entry: Mapping[str, Any]) -> str:
        """What the MCP library would refuse the whole list for."""
        try:
            validate_server_result("tools/list", LATEST_HANDSHAKE_VERSION, {"tools": [entry]})
        except ValueError as exc:
            problem = exc.errors()[0] if isinstance(exc, ValidationError) else {"loc": (), "msg": str(exc)}
            where = ".".join(str(step) for step in problem["loc"][2:])
            return readable(f"{where}: {problem['msg']}".removeprefix(": "), _MOST_SAID)
        return ""

    async def _rest(self) -> None:
        """Keeps a flood from taking all of the time."""
        self._unasked += 1
        if self._unasked % _BURST == 0:
            await asyncio.sleep(_BREATH)

    async def aclose(self) -> None:
        await self._said.aclose()


def _ourselves() -> Implementation:
    try:
        version = metadata.version("gemmagraph")
    except metadata.PackageNotFoundError:
        version = "0"
    return Implementation(name="gemmagraph", version=version)


def _first(problem: Exception) -> Exception:
    """What is at the bottom of a group of exceptions, as the MCP library raises them."""
    while isinstance(problem, ExceptionGroup):
        problem = problem.exceptions[0]
    return problem


def _words(problem: Exception) -> str:
    first = str(problem).strip().partition("\n")[0]
    return readable(first, _MOST_SAID) or type(problem).__name__
