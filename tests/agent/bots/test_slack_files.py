"""Slack: files that people send, fetched from Slack's host alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from chats.slack import World
from chats.slack_bot import Bot, listening
from chats.slack_service import TOKEN
from chats.world import Upload

from gemmagraph.bots.base import File
from gemmagraph.bots.errors import BotError, NotThere, TooFast, Unreachable

pytestmark = pytest.mark.long

CONTENT = bytes(range(256)) * 40


def with_a_file(test: Callable[[World, Bot, File], Awaitable[None]]) -> None:
    async def run() -> None:
        async with World() as world, listening(world) as bot:
            await world.say("ann", "look", files=[Upload("../../etc/x.png", "image/png", CONTENT)])
            [message] = await bot.told()
            await test(world, bot, message.files[0])

    asyncio.run(run())


def test_a_file_is_fetched_also_by_another_process() -> None:
    async def test(world: World, bot: Bot, file: File) -> None:
        assert (file.name, file.mime, file.size) == ("../../etc/x.png", "image/png", len(CONTENT))
        assert TOKEN not in repr(file)
        assert await bot.adapter.fetch(file, len(CONTENT)) == CONTENT
        assert await world.adapter().fetch(file, len(CONTENT)) == CONTENT

    with_a_file(test)


def test_a_file_without_an_address_is_looked_up() -> None:
    async def test(world: World, bot: Bot, file: File) -> None:
        world.service.files["F7"] = world.service.files["T024BE7LD-F00000000"]
        assert await bot.adapter.fetch(File("x", "image/png", None, {"id": "F7", "url": ""}), 10**6) == CONTENT
        with pytest.raises(NotThere, match="file_not_found"):
            await bot.adapter.fetch(File("x", "image/png", None, {"id": "F8", "url": ""}), 10**6)

    with_a_file(test)


def test_a_file_that_is_too_large_is_not_read_to_its_end() -> None:
    async def test(world: World, bot: Bot, file: File) -> None:
        sent = 0

        async def endless(request: web.Request) -> web.StreamResponse:
            nonlocal sent
            answer = web.StreamResponse(headers={"Content-Type": "image/png"})
            await answer.prepare(request)
            while True:
                await answer.write(b"x" * 65_536)
                sent += 65_536

        world.service.page = endless
        with pytest.raises(NotThere, match="larger than 100000 bytes"):
            await bot.adapter.fetch(file, 100_000)
        assert sent < 50_000_000

    with_a_file(test)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:9/files-pri/x",
        "https://evil.example/files-pri/x",
        "http://127.0.0.1@evil.example/x",
        "file:///etc/passwd",
        "//evil.example/x",
        "http://[::1",
        "",
    ],
)
def test_another_host_is_not_even_asked(address: str) -> None:
    async def test(world: World, bot: Bot, file: File) -> None:
        asked = len(world.service.asked)
        with pytest.raises(NotThere, match="not on Slack's host"):
            await bot.adapter.fetch(File("x", "image/png", 1, {"id": "", "url": address}), 100)
        assert len(world.service.asked) == asked

    with_a_file(test)


def test_the_token_does_not_follow_a_redirect_elsewhere() -> None:
    async def test(world: World, bot: Bot, file: File) -> None:
        asked: list[Any] = []

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readline())
            writer.close()

        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        elsewhere = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/login"

        async def redirect(request: web.Request) -> web.StreamResponse:
            raise web.HTTPFound(elsewhere)

        world.service.page = redirect
        async with server:
            with pytest.raises(NotThere, match="files:read"):
                await bot.adapter.fetch(file, 10**6)
        assert asked == []

    with_a_file(test)


def answering(status: int = 200, mime: str = "image/png", headers: dict[str, str] | None = None) -> Any:
    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=b"<html>", content_type=mime, headers=headers)

    return page


async def around(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound(str(request.rel_url))


@pytest.mark.parametrize(
    ("page", "kind", "words"),
    [
        pytest.param(answering(mime="text/html"), NotThere, "files:read", id="the page where people log in"),
        pytest.param(answering(403), NotThere, "files:read", id="forbidden"),
        pytest.param(answering(404), NotThere, "gone", id="gone"),
        pytest.param(answering(503), Unreachable, "503", id="failing"),
        pytest.param(answering(429, headers={"Retry-After": "9"}), TooFast, "9 s", id="too fast"),
        pytest.param(around, NotThere, "one address to the next", id="round and round"),
    ],
)
def test_a_file_that_is_not_given_says_why(page: Any, kind: type[BotError], words: str) -> None:
    async def test(world: World, bot: Bot, file: File) -> None:
        world.service.page = page
        with pytest.raises(kind, match=words) as failed:
            await bot.adapter.fetch(file, 10**6)
        assert TOKEN not in repr(failed.value)

    with_a_file(test)


def test_a_web_page_that_somebody_sent_is_a_file() -> None:
    async def test(world: World, bot: Bot, file: File) -> None:
        world.service.page = answering(mime="text/html")
        page = File("a.html", "text/html", 6, file.reference)
        assert await bot.adapter.fetch(page, 100) == b"<html>"

    with_a_file(test)
