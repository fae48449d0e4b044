"""Bytes that are read ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress

import pytest

from gemmagraph.backends.network.closing import end
from gemmagraph.backends.network.coming import AHEAD, Coming, Late, Limits

PATIENCE = 10
Feed = Callable[[Coming], Awaitable[None]]


def looked_at(
    feed: Feed,
    look: Callable[[Coming], Awaitable[None]],
    *,
    first: float = PATIENCE,
    between: float = PATIENCE,
    total: float = PATIENCE,
) -> None:
    async def run() -> None:
        async def fed(coming: Coming) -> None:
            await feed(coming)

        coming = Coming(fed, Limits(first, between, total, asyncio.get_running_loop().time() + total))
        try:
            async with asyncio.timeout(PATIENCE):
                await look(coming)
        finally:
            await end(coming.task)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


async def taken(coming: Coming) -> AsyncGenerator[bytes, None]:
    while await coming.there() and (piece := coming.take()) is not None:
        yield piece


def test_all_that_is_there_comes_at_once_and_then_the_end() -> None:
    async def feed(coming: Coming) -> None:
        coming.put(b"a")
        coming.put(b"b")
        await asyncio.sleep(0.01)
        coming.put(b"c")

    async def look(coming: Coming) -> None:
        assert [piece async for piece in taken(coming)] == [b"ab", b"c"]
        assert coming.take() is None

    looked_at(feed, look)


def test_what_ends_it_comes_behind_what_was_read() -> None:
    async def feed(coming: Coming) -> None:
        coming.put(b"a")
        raise ConnectionResetError("gone")

    async def look(coming: Coming) -> None:
        assert await coming.there()
        await asyncio.sleep(0)
        assert coming.take() == b"a"
        assert await coming.there()
        with pytest.raises(ConnectionResetError, match="gone"):
            coming.take()

    looked_at(feed, look)


def test_what_is_not_there_yet_may_still_come() -> None:
    go = asyncio.Event()

    async def feed(coming: Coming) -> None:
        await go.wait()
        coming.put(b"a")

    async def look(coming: Coming) -> None:
        now = asyncio.get_running_loop().time
        assert not await coming.there(now())
        assert not await coming.there(now() + 0.02)
        go.set()
        assert await coming.there()

    looked_at(feed, look)


async def nothing(coming: Coming) -> None:
    await asyncio.Event().wait()


async def one(coming: Coming) -> None:
    coming.put(b"a")
    await asyncio.Event().wait()


async def many(coming: Coming) -> None:
    while True:
        coming.put(b"a")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("feed", "limits", "words"),
    [
        pytest.param(nothing, {"first": 0.05}, "no reply began within 0.05 s", id="no first"),
        pytest.param(one, {"between": 0.05}, "nothing more came for 0.05 s", id="no next"),
        pytest.param(many, {"total": 0.05}, "the reply was not complete within 0.05 s", id="no end"),
        pytest.param(nothing, {"total": 0.05}, "the reply was not complete within 0.05 s", id="nothing at all"),
    ],
)
@pytest.mark.parametrize("watched", [True, False])
def test_what_comes_too_late_is_ended_whether_or_not_anybody_waits(
    feed: Feed, limits: dict[str, float], words: str, watched: bool
) -> None:
    async def look(coming: Coming) -> None:
        if not watched:
            await asyncio.wait({coming.task})
            assert coming.task.cancelled()
        with pytest.raises(Late, match=words):
            async for _ in taken(coming):
                pass

    looked_at(feed, look, **limits)


def test_a_feed_that_does_not_end_when_it_is_late_is_told_again() -> None:
    async def feed(coming: Coming) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def look(coming: Coming) -> None:
        await asyncio.wait({coming.task})
        with pytest.raises(Late):
            coming.take()

    looked_at(feed, look, first=0.01)


def test_no_more_is_read_ahead_than_fits() -> None:
    read, size = 0, AHEAD // 10

    async def feed(coming: Coming) -> None:
        nonlocal read
        for _ in range(100):
            read += 1
            if coming.put(bytes(size)):
                await coming.room()

    async def look(coming: Coming) -> None:
        assert await coming.there()
        for _ in range(50):
            await asyncio.sleep(0)
        assert read == 11
        whole = sum([len(piece) async for piece in taken(coming)])
        assert (whole, read) == (100 * size, 100)

    looked_at(feed, look)


def test_a_server_is_not_late_while_nobody_takes_what_it_has_sent() -> None:
    async def feed(coming: Coming) -> None:
        for _ in range(3):
            if coming.put(bytes(AHEAD + 1)):
                await coming.room()

    async def look(coming: Coming) -> None:
        await asyncio.sleep(0.1)
        assert len([piece async for piece in taken(coming)]) == 3

    looked_at(feed, look, between=0.03)
