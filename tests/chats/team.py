"""A bot in a chat service, with people around it: what tests of bots begin with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chats.players import Player
from chats.world import Seen, World, until

from gemmagraph import Agent, Gemma, tool
from gemmagraph.bots.bot import Bot
from gemmagraph.bots.line import Line
from gemmagraph.bots.rooms import Rooms
from gemmagraph.policy import Policy
from gemmagraph.store.store import Store

ROOMS = {"direct": None}


@dataclass
class Team:
    """Everything that outlives the bot's process, and how it is started.

    Ann is on call, Bob leads, Eve is neither.
    """

    path: Path
    world: World
    player: Player = field(default_factory=Player)
    policy: list[dict[str, Any]] = field(default_factory=list)
    rooms: dict[str, Any] = field(default_factory=dict)
    """Keys of the bot beside `channels`, or in their place."""
    make: Callable[[Policy, Store], Agent] | None = None
    """Makes the agent, if it is another one than the player's."""
    places: int = 4
    patience: float = 3.0
    hosts: tuple[str, ...] = ()
    edit_every: float | None = None
    """Seconds, if not those of the service."""
    done: list[str] = field(default_factory=list)
    """What was restarted."""
    _running: asyncio.Task[None] | None = None

    @property
    def groups(self) -> dict[str, list[str]]:
        return {
            "oncall": [self.person("ann")],
            "leads": [self.person("bob")],
        }

    def person(self, name: str) -> str:
        return f"{self.world.platform}:{self.world.user(name)}"

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[Bot]:
        """The bot, listening."""

        @tool(destructive=True)
        def restart(name: str) -> str:
            """Restarts a service."""
            self.done.append(name)
            return f"{name} runs"

        @tool(read_only=True)
        def look() -> str:
            """Looks."""
            return "all is well"

        policy = Policy(self.policy, self.groups)
        store = Store(self.path / "bot.db")
        if self.make is not None:
            agent = self.make(policy, store)
        else:
            agent = Agent(Gemma(self.player), [restart, look], policy=policy, store=store)
        adapter = self.world.adapter()
        if self.edit_every is not None:
            adapter.traits = replace(adapter.traits, edit_every=self.edit_every)
        keys = {"channels": {self.world.channel: None, **ROOMS}, **self.rooms}
        rooms = Rooms(adapter.platform, keys, policy)
        agents = dict.fromkeys(rooms.toolsets, agent)
        line = Line(self.places)
        bot = Bot(f"team/{adapter.platform}", adapter, rooms, agents, store, line, self.hosts, self.patience)
        up = asyncio.Event()
        connected = bot.connected
        bot.connected = lambda: (connected(), up.set())[0]  # type: ignore[method-assign]
        self._running = running = asyncio.create_task(bot.run())
        waiting = asyncio.create_task(up.wait())
        try:
            async with asyncio.timeout(20):
                await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            yield bot
        finally:
            waiting.cancel()
            running.cancel()
            await asyncio.wait([running])
            await agent.aclose()
        if not running.cancelled() and (failure := running.exception()) is not None:
            raise failure

    async def ask(self, person: str, text: str, **where: Any) -> str:
        """Somebody speaks to the bot; the id of the message."""
        return await self.world.say(person, text, to_bot=True, **where)

    async def heard(self, text: str, *, channel: str = "", times: int = 1, seconds: float = 15.0) -> list[Seen]:
        """What the bot says with this in it, once it has said so."""
        seen = await self.world.until(lambda seen: len(by_bot(seen, text)) >= times, channel, seconds)
        return by_bot(seen, text)

    async def quiet(self, bot: Bot) -> None:
        """Waits until what was pressed and typed has had its effect."""
        await until(lambda: not bot.busy, "an end of what was pressed and typed", 15)

    async def ended(self, seconds: float) -> None:
        """Waits until the bot ends by itself."""
        assert self._running is not None
        await asyncio.wait([self._running], timeout=seconds)

    async def settled(self, bot: Bot) -> None:
        """Waits until nothing is at work."""
        async with asyncio.timeout(15):
            await bot.rest()


def by_bot(seen: list[Seen], text: str = "") -> list[Seen]:
    return [one for one in seen if one.who == "bot" and text in one.text]


def run(work: Callable[[], Awaitable[None]], seconds: float = 60.0) -> None:
    """Runs a test that is async, for so long at most."""

    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await work()

    asyncio.run(bounded())
