"""An MCP server that is a program of this machine: given nothing but what is said, ended with all that it started.

It is run as commands are (see `guards.processes`); what it reads and what it writes are messages, one a line. Loaded
when the first one is started.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from typing import Any, Final

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCMessage, jsonrpc_message_adapter

from gemmagraph.tools.errors import BodyError
from gemmagraph.tools.guards.processes import ProcessLimits, connected, last_words, order_for, send
from gemmagraph.tools.imports.mcp_failures import MOST_BYTES, Failures
from gemmagraph.tools.imports.mcp_streams import Incoming, Stream
from gemmagraph.tools.imports.texts import readable
from gemmagraph.tools.secrets import ending, longest

_LIMITS: Final = ProcessLimits(cpu=1 << 30, memory=1 << 42, processes=1024, file_size=1 << 42, files=4096)
"""A server stays, and some reserve much memory at once: only the number of its processes is bounded."""
_GRACE: Final = 2.0
"""Seconds that it gets to end by itself once nobody will ask it any more."""
_KILLED: Final = 2.0
_STUCK: Final = 10.0
"""Seconds after which a server that does not read what is sent to it is given up."""
_CHUNK: Final = 1 << 16
_EDGE: Final = 200
"""Bytes at either end of a message too long to keep, among which its number stands."""
_NUMBER: Final = re.compile(
    rb'^\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d{1,18})|"id"\s*:\s*(\d{1,18})\s*\}\s*$'
)
_WORDS: Final = 4_000
_MOST_SAID: Final = 600
_BREATH: Final = 0.05
"""Seconds without reading, so that a flood does not take all of the time."""
_BURST: Final = 50
"""Lines that are no messages, read before each breath."""
_A_LOT: Final = 1 << 20
"""Bytes of complaints that are read before each breath."""


class ServerProcess:
    """One run of a server.

    Args:
        argv: its program by its whole path, and its arguments.
        env: what its environment holds beside PATH, LANG and HOME.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, failures: Failures) -> None:
        self._order = order_for(argv, env, cwd, _LIMITS)
        self._failures = failures
        self._words = _Words()
        self._ended: asyncio.Task[dict[str, Any] | None] | None = None

    @asynccontextmanager
    async def streams(self) -> AsyncIterator[tuple[_Lines, _Pen]]:
        """What it says and what it is told, while it runs. It is ended at the end, however that comes.

        Raises:
            ToolError: nothing can be started here.
        """
        async with AsyncExitStack() as stack:
            channel = stack.enter_context(await connected())
            # Sockets in place of pipes: asyncio reads and writes them by its public means.
            told, stdin = socket.socketpair()
            said, stdout = socket.socketpair()
            stack.callback(told.close)
            stack.callback(said.close)
            out, stderr = os.pipe()
            errors = stack.enter_context(os.fdopen(out, "rb", buffering=0))
            with stdin, stdout, closing(os.fdopen(stderr, "wb", buffering=0)):
                await send(channel, self._order, [stdin.fileno(), stdout.fileno(), stderr])
            self._ended = asyncio.create_task(last_words(channel))
            stack.callback(self._ended.cancel)
            heard, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: self._words, errors)
            stack.callback(heard.close)
            reader, listening = await asyncio.open_connection(sock=said, limit=_CHUNK)
            stack.callback(listening.transport.abort)
            _, writer = await asyncio.open_connection(sock=told)
            stack.push_async_callback(self._end, self._ended, reader, writer)
            yield _Lines(reader, self._words, self._failures), _Pen(writer)

    async def epitaph(self) -> str:
        """How it ended, and what it complained of; empty if it still runs and said nothing."""
        how = ""
        if self._ended is not None:
            await asyncio.wait({self._ended}, timeout=0.5)
            if self._ended.done() and not self._ended.cancelled():
                how = _how(self._ended.result())
        said = self._words.last()
        return ". ".join(filter(None, (how, f"It said: {said}" if said else "")))

    async def _end(
        self, ended: asyncio.Task[Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Ends it: first it is told that nothing more comes, then it is killed with all that it started."""
        with suppress(OSError, RuntimeError):
            writer.write_eof()
        rest = asyncio.create_task(_drained(reader))  # or it might hang while it writes
        try:
            await asyncio.wait({ended}, timeout=_GRACE)
        finally:
            ended.cancel()
            rest.cancel()
            writer.transport.abort()
        await asyncio.wait({ended, rest}, timeout=_KILLED)


class _Lines(Incoming):
    """The messages that a server writes. What else it writes there counts as a complaint."""

    def __init__(self, reader: asyncio.StreamReader, words: _Words, failures: Failures) -> None:
        self._reader = reader
        self._words = words
        self._failures = failures
        self._rest = bytearray()
        self._noise = 0

    async def receive(self) -> SessionMessage:
        while True:
            line, left_out = await self._line()
            if left_out:
                message = self._too_long(line)
            else:
                try:
                    message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                except ValueError:
                    self._words.data_received(line + b"\n")
                    self._noise += 1
                    if self._noise % _BURST == 0:
                        await asyncio.sleep(_BREATH)
                    continue
            return SessionMessage(message)

    async def _line(self) -> tuple[bytes, int]:
        """The next line; of one that is too long its ends, and how many bytes lie between."""
        looked, left_out, head = 0, 0, b""
        while (end := self._rest.find(b"\n", looked)) < 0:
            looked = len(self._rest)
            if looked > MOST_BYTES:
                head = head or bytes(self._rest[:_EDGE])
                left_out += looked - _EDGE
                if left_out > 10 * MOST_BYTES:
                    raise anyio.EndOfStream
                del self._rest[: looked - _EDGE]
                looked = _EDGE
            try:
                piece = await self._reader.read(_CHUNK)
            except OSError:
                piece = b""
            if not piece:
                raise anyio.EndOfStream
            self._rest += piece
        line = head + bytes(self._rest[:end])
        del self._rest[: end + 1]
        return line, left_out

    def _too_long(self, line: bytes) -> JSONRPCMessage:
        """What stands for a message that is not kept: a failure of the request that it answers."""
        found = _NUMBER.search(line)
        if found is None:
            raise anyio.EndOfStream  # somebody waits for it, and nobody can tell who
        failure = BodyError(
            f"The answer is larger than {MOST_BYTES // 1024**2} MiB, and was not read.", kinds=(), unknown=True
        )
        return JSONRPCError(jsonrpc="2.0", id=int(found[1] or found[2]), error=self._failures.put(failure))


class _Pen(Stream):
    """The messages that a server is sent."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def send(self, item: SessionMessage, /) -> None:
        line = item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
        try:
            self._writer.write(line)
            async with asyncio.timeout(_STUCK):
                await self._writer.drain()
        except OSError as exc:  # TimeoutError is one
            self._writer.transport.abort()
            raise anyio.BrokenResourceError from exc


class _Words(asyncio.Protocol):
    """The last of what a server complains of, however much that is."""

    def __init__(self) -> None:
        self._kept = b""
        self._heard = 0
        self._pipe: asyncio.ReadTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.ReadTransport)
        self._pipe = transport

    def data_received(self, data: bytes) -> None:
        most = _WORDS + 4 * longest()  # so that a secret is seen whole of which only the end would be kept
        self._kept = (self._kept + data[-most:])[-most:]
        self._heard += len(data)
        if self._heard > _A_LOT and self._pipe is not None:
            self._heard = 0
            self._pipe.pause_reading()
            asyncio.get_running_loop().call_later(_BREATH, self._go_on)

    def _go_on(self) -> None:
        if self._pipe is not None and not self._pipe.is_closing():
            self._pipe.resume_reading()

    def last(self) -> str:
        said = ending(self._kept.decode(errors="replace"), _WORDS)
        return " ".join(readable(said, _WORDS).split())[-_MOST_SAID:]


async def _drained(reader: asyncio.StreamReader) -> None:
    with suppress(OSError):
        while await reader.read(_CHUNK):
            pass


def _how(said: dict[str, Any] | None) -> str:
    if said is None:
        return "It was killed"
    if "failed" in said:
        return f"It could not be started: {said['failed']}"
    if said["stopped"]:
        return f"It was ended: {said['stopped']}"
    code = said["code"]
    return f"It was ended by signal {-code}" if code is not None and code < 0 else f"It ended with exit code {code}"
