"""Bytes that are read ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from gemmagraph.backends.closing import end
from gemmagraph.backends.coming import Coming

PATIENCE = 10
Source = Callable[[], AsyncGenerator[bytes, None]]


def looked_at(source: Source, look: Callable[[Coming], Awaitable[None]]) -> None:
    async def run() -> None:
        coming = Coming(source())
        try:
            async with asyncio.timeout(PATIENCE):
                await look(coming)
        finally:
            await end(coming.task, coming.pieces)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def far() -> float:
    return asyncio.get_running_loop().time() + PATIENCE


def test_all_that_is_there_comes_at_once_and_then_the_end() -> None:
    async def source() -> AsyncGenerator[bytes, None]:
        yield b"a"
        yield b"b"
        await asyncio.sleep(0.01)
        yield b"c"

    async def look(coming: Coming) -> None:
        taken = []
        while await coming.there(far()) and (piece := coming.take()) is not None:
            taken.append(piece)
        assert taken == [b"ab", b"c"]
        assert coming.take() is None

    looked_at(source, look)


def test_what_ends_it_comes_behind_what_was_read() -> None:
    async def source() -> AsyncGenerator[bytes, None]:
        yield b"a"
        raise ConnectionResetError("gone")

    async def look(coming: Coming) -> None:
        assert await coming.there(far())
        await asyncio.sleep(0)
        assert coming.take() == b"a"
        assert await coming.there(far())
        with pytest.raises(ConnectionResetError, match="gone"):
            coming.take()

    looked_at(source, look)


def test_what_is_late_is_told_and_may_still_come() -> None:
    go = asyncio.Event()

    async def source() -> AsyncGenerator[bytes, None]:
        await go.wait()
        yield b"a"

    async def look(coming: Coming) -> None:
        now = asyncio.get_running_loop().time
        assert not await coming.there(now())
        assert not await coming.there(now() + 0.02)
        go.set()
        assert await coming.there(far())
        assert coming.take() == b"a"

    looked_at(source, look)


def test_an_earlier_limit_counts_although_a_later_one_was_set() -> None:
    async def source() -> AsyncGenerator[bytes, None]:
        yield b"a"
        await asyncio.Event().wait()

    async def look(coming: Coming) -> None:
        assert await coming.there(far())
        coming.take()
        waits = asyncio.ensure_future(coming.there(far()))
        await asyncio.sleep(0)
        waits.cancel()
        await asyncio.wait({waits})
        assert not await coming.there(asyncio.get_running_loop().time() + 0.02)

    looked_at(source, look)


def test_no_more_is_read_ahead_than_fits() -> None:
    read = 0

    async def source() -> AsyncGenerator[bytes, None]:
        nonlocal read
        for _ in range(1000):
            read += 1
            yield bytes(10_000)

    async def look(coming: Coming) -> None:
        assert await coming.there(far())
        for _ in range(50):
            await asyncio.sleep(0)
        assert read < 10
        whole = 0
        while await coming.there(far()) and (piece := coming.take()) is not None:
            whole += len(piece)
        assert (whole, read) == (10_000_000, 1000)

    looked_at(source, look)


def test_leaving_closes_the_source() -> None:
    closed = []

    async def source() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield bytes(100_000)
        finally:
            closed.append(True)

    async def look(coming: Coming) -> None:
        assert await coming.there(far())

    looked_at(source, look)
    assert closed == [True]
