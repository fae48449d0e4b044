"""Our bot in the stand-in for Slack, listening, for tests of the adapter alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from chats.slack import World
from chats.world import Heard, until

from gemmagraph.bots.base import Message, Place
from gemmagraph.bots.slack.adapter import SlackAdapter
from gemmagraph.bots.text import Block, blocks_of

HOSTS = ("ok.example.org",)


class Bot:
    """The adapter, and what it has told."""

    def __init__(self, world: World, heard: Heard) -> None:
        self.world, self.heard = world, heard
        self.adapter: SlackAdapter = world.adapter()
        self.task = asyncio.create_task(self.adapter.listen(heard))

    async def until(self, true: Callable[[], Any], what: str = "it") -> None:
        await until(
            lambda: true() or (self.task.done() and self.task.result()),
            lambda: f"{what}; told was {self.heard.events}",
        )

    async def told(self, number: int = 1) -> list[Any]:
        """The first events, each once, as soon as there are so many."""
        await self.until(lambda: len(self.events) >= number, f"{number} events")
        return self.events

    @property
    def events(self) -> list[Any]:
        return list({event.event: event for event in self.heard.events}.values())

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Message)]

    async def quiet(self, channel: str = "") -> None:
        """Until all that has happened so far was told: what is said now comes after it."""
        mark = await self.world.say("bob", "mark", channel=channel or self.world.other)
        await self.until(lambda: any(event.id == mark for event in self.heard.events if isinstance(event, Message)))

    @property
    def place(self) -> Place:
        return Place("T024BE7LD", self.world.channel)


@asynccontextmanager
async def listening(world: World, cursor: str | None = None) -> AsyncIterator[Bot]:
    bot = Bot(world, Heard(cursor=cursor))
    try:
        await bot.until(lambda: bot.heard.up and bot.heard.cursor, "the connection")
        yield bot
    finally:
        bot.task.cancel()
        with suppress(asyncio.CancelledError):
            await bot.task


def blocks(text: str) -> list[Block]:
    return blocks_of(text, HOSTS)
