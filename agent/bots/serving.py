"""The bots of an assistant file, as one process: started, kept running, ended in order."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gemmagraph.bots.base import Adapter
from gemmagraph.bots.bot import Bot
from gemmagraph.bots.declared import TERMINAL, completed, made, own_keys, rooms_of
from gemmagraph.bots.errors import BotError, Revoked
from gemmagraph.bots.lease import LEASE, listening
from gemmagraph.bots.line import Line
from gemmagraph.bots.rooms import PretendedRooms, Rooms
from gemmagraph.errors import AgentError, StoreError
from gemmagraph.store.address import default_store
from gemmagraph.store.store import Store

if TYPE_CHECKING:
    from gemmagraph.agent import Agent
    from gemmagraph.assistant import Assistant
    from gemmagraph.fallback import Model

log: Final = logging.getLogger("gemmagraph.bots")

GRACE: Final = 30.0
"""Seconds that turns at work have to come to their end when the process is told to end."""
_PLACES: Final = {"ollama": 2, "gguf": 1, "transformers": 1}
_MANY_PLACES: Final = 8
_AGAIN: Final = 5.0
_LAST_AGAIN: Final = 60.0


@dataclass(frozen=True, slots=True)
class Service:
    """One chat service of the file."""

    name: str
    keys: Mapping[str, Any]
    adapter: Adapter
    rooms: Rooms


class Serving:
    """The bots of a file that are to run here.

    Args:
        names: which of them; unless said, all but the terminal.
        model: stands in for the one that the file names.
        store: where things are kept, in place of where the file says. The terminal alone never keeps them there:
            who only pretends to be somebody is not to be found among what people really did.
        places: turns that may ask the model at once.
        lease: seconds for which this process may be silent before another stands in.

    Raises:
        GemmagraphError: the file is wrong, or one of the bots cannot be made as it says.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        names: Sequence[str] = (),
        *,
        model: str | Model | None = None,
        store: str | os.PathLike[str] | Store | None = None,
        places: int | None = None,
        lease: float = LEASE,
    ) -> None:
        from gemmagraph.assistant import load_assistant

        self._path = path
        self._assistant = load_assistant(path)
        names = [*dict.fromkeys(names)] or [name for name in self._assistant.bots if name != "terminal"]
        if not names:
            raise AgentError(
                f"{self._assistant.document.path} names no bots.",
                hint="Name chat services below `bots:`, or try it here: gemmagraph bot terminal",
            )
        self.services = [_service(self._assistant, name) for name in names]
        self._model = model
        self._places = places
        if store is None and [*names] == ["terminal"]:
            store = _store_of_trials(self._assistant.document.path)
        declared = self._assistant.store() if store is None else store
        self.store = declared if isinstance(declared, Store) else Store(declared or default_store(), lease=lease)
        self.lease = lease

    @asynccontextmanager
    async def bots(self) -> AsyncIterator[list[Bot]]:
        """The bots, which do not listen yet. Everything that they use ends with this.

        Raises:
            GemmagraphError: the model, the store or a tool cannot be used.
        """
        await self.store.check()
        toolsets = {toolset for service in self.services for toolset in service.rooms.toolsets}
        agents: dict[str | None, Agent] = {}
        try:
            model = await self._chosen()
            for toolset in sorted(toolsets, key=str):
                agents[toolset] = await asyncio.to_thread(self._agent, toolset, model)
            line = Line(self._places or _PLACES.get(model.name.partition(":")[0], _MANY_PLACES))
            yield [
                Bot(
                    f"{self._assistant.name}/{service.name}",
                    service.adapter,
                    service.rooms,
                    agents,
                    self.store,
                    line,
                    service.keys.get("links") or (),
                )
                for service in self.services
            ]
        finally:
            for agent in agents.values():
                await agent.aclose()

    async def _chosen(self) -> Model:
        """The model that all bots ask.

        Raises:
            AgentError: there is none but the built-in matcher.
        """
        from gemmagraph.choice import choose_model
        from gemmagraph.model import Gemma

        model = self._model if self._model is not None else self._assistant.model()
        why = "the built-in matcher never serves bots"
        if model is None:
            model, why = await choose_model()
        model = Gemma(model) if isinstance(model, str) else model
        if isinstance(model, Gemma) and model.backend.read_only_tools:
            raise AgentError(
                f"There is no model that bots could ask: {why}.",
                hint="Name one: `model: ollama:gemma3:4b` in the file, or -m.",
            )
        return model

    def _agent(self, toolset: str | None, model: Model) -> Agent:
        from gemmagraph.agent import Agent

        return Agent.from_file(self._path, toolset=toolset, model=model, store=self.store)


async def serve(serving: Serving, *, grace: float = GRACE) -> bool:
    """Runs bots until a signal ends the process, or none of them goes on. Returns whether that is in order: it was a
    signal, or people at a terminal have left.

    Args:
        grace: seconds for turns at work.
    """
    async with serving.bots() as bots:
        stop = asyncio.Event()
        with _signals(stop):
            running = {asyncio.create_task(_kept(bot, serving)): bot for bot in bots}
            stopping = asyncio.create_task(stop.wait())
            while not stop.is_set() and (alive := [task for task in running if not task.done()]):
                await asyncio.wait([stopping, *alive], return_when=asyncio.FIRST_COMPLETED)
                others = " ".join(bot.name for task, bot in running.items() if not task.done())
                for ended in [running[task].name for task in alive if task.done()] if others else ():
                    log.info("ended; others go on", extra={"bot": ended, "details": {"others": others}})
            stopping.cancel()
            if stop.is_set():
                log.info("ending: turns at work come to their end")
                await asyncio.gather(*(bot.finish(grace) for bot in bots))
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            return stop.is_set() or any(not task.cancelled() and task.result() for task in running)


async def _kept(bot: Bot, serving: Serving) -> bool:
    """One bot, again and again: after the store failed, or another process had taken its place. Returns whether its
    people have left."""
    pause = _AGAIN
    while True:
        begun, lost = time.monotonic(), asyncio.Event()
        try:
            async with listening(serving.store, bot.name, lost, serving.lease):
                running, gone = asyncio.create_task(bot.run()), asyncio.create_task(lost.wait())
                try:
                    await asyncio.wait([running, gone], return_when=asyncio.FIRST_COMPLETED)
                    if running.done():
                        running.result()
                        return True
                    log.warning("another process listens now", extra={"bot": bot.name})
                finally:
                    gone.cancel()
                    running.cancel()
                    await asyncio.wait([running])
        except Revoked as exc:
            log.error("ended: %s", exc, extra={"bot": bot.name})
            return False
        except (StoreError, BotError) as exc:
            log.error("ended: %s", exc, extra={"bot": bot.name})
        except Exception:
            log.exception("a bug", extra={"bot": bot.name})
        if time.monotonic() - begun > _LAST_AGAIN:
            pause = _AGAIN
        await asyncio.sleep(pause * random.uniform(0.75, 1.25))
        pause = min(2 * pause, _LAST_AGAIN)


def _store_of_trials(path: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:8]
    return default_store().with_name(f"terminal-{path.stem}-{digest}.db")


def _service(assistant: Assistant, name: str) -> Service:
    named = name != TERMINAL or name in assistant.bots
    keys = completed(name, assistant.bot(name) if named else {})
    rooms = rooms_of(assistant, name)
    own = _to_pretend(assistant, rooms) if isinstance(rooms, PretendedRooms) else own_keys(assistant, name, keys)
    return Service(name, keys, made(assistant, name, own), rooms)


def _to_pretend(assistant: Assistant, rooms: PretendedRooms) -> dict[str, Any]:
    """The people and channels that a file names."""
    rules = assistant.policy.rules
    people = set().union(*assistant.policy.groups.values(), *((rule.users or ()) for rule in rules))
    channels = [f"{name}:{channel}" for name, other in rooms.others.items() for channel in other.named]
    channels += [channel for rule in rules for channel in rule.channels or ()]
    return {
        "people": sorted(person for person in people if not person.startswith("group:")),
        "channels": [*rooms.named, *dict.fromkeys(channels)],
    }


@contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """Inside, the signals that end a process set `stop`; the second time they end it at once."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
