"""What the MCP library reads messages from and writes them to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import anyio
from mcp.shared.message import SessionMessage


class Stream:
    async def aclose(self) -> None:
        """Whoever opened what is behind it closes that."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class Incoming(Stream, ABC):
    """Messages of a server."""

    @abstractmethod
    async def receive(self) -> SessionMessage:
        """The next one.

        Raises:
            anyio.EndOfStream: there is none any more.
        """

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None
