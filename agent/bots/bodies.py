"""What a service sends, read no further than it may go."""

from __future__ import annotations

from collections.abc import AsyncIterable

from gemmagraph.bots.errors import NotThere


async def at_most(most: int, pieces: AsyncIterable[bytes], what: str = "The file") -> bytes:
    """The pieces, put together.

    Raises:
        NotThere: they are more than `most` bytes; what comes behind those is not read.
    """
    content = bytearray()
    async for piece in pieces:
        content += piece
        if len(content) > most:
            raise NotThere(f"{what} is larger than {most} bytes.")
    return bytes(content)
