"""One answer as it grows: shown by changing what stands there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final

from gemmagraph.bots.base import Adapter, Place
from gemmagraph.bots.outbox import EMPTY, Outbox
from gemmagraph.bots.text import Block, blocks_of, split
from gemmagraph.bots.wording import call_text, note
from gemmagraph.events import Event, Reasked, StepStarted, TextDelta, ToolFinished, ToolProgress, ToolStarted

_FIRST: Final = 0.7
"""Seconds before something is shown that is not the whole."""


class Draft:
    """What a run has come to so far, as people may see it."""

    def __init__(self, hosts: Collection[str]) -> None:
        self._hosts = hosts
        self._text = ""
        self._running: dict[str, str] = {}

    def take(self, event: Event) -> bool:
        """Whether it looks different now."""
        match event:
            case StepStarted() | Reasked():
                self._text = ""
            case TextDelta(text):
                self._text += text
            case ToolStarted(call):
                self._running[call.id] = call_text(call.name, call.arguments)
            case ToolProgress(call, text):
                self._running[call.id] = f"{call_text(call.name, call.arguments)}: {' '.join(text.split())[:100]}"
            case ToolFinished(call):
                self._running.pop(call.id, None)
            case _:
                return False
        return True

    def blocks(self) -> list[Block]:
        return [*blocks_of(self._text, self._hosts), *(note(f"… {call}") for call in self._running.values())]


class Answer:
    """Shown under a key; parts of it, if it is too long for one message, under the same with a number.

    Use it as an async context manager: what is shown last stands there in the end.
    """

    def __init__(self, outbox: Outbox, adapter: Adapter, key: str, place: Place) -> None:
        self._outbox = outbox
        self._adapter = adapter
        self._key = key
        self._place = place
        self._growing: Callable[[], Sequence[Block]] = lambda: EMPTY
        self._shown: list[list[Block]] = []
        self._changed = asyncio.Event()
        self._pushing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Answer:
        if self._adapter.traits.edits:
            self._pushing = asyncio.create_task(self._push())
        return self

    async def __aexit__(self, *failure: object) -> None:
        if self._pushing is not None:
            self._pushing.cancel()
            with suppress(asyncio.CancelledError):
                await self._pushing

    def show(self, blocks: Callable[[], Sequence[Block]]) -> None:
        """Lets this stand there soon; what comes before that takes its place.

        Args:
            blocks: asked when there is time to show it: an answer grows faster than services take edits.
        """
        self._growing = blocks
        self._changed.set()

    async def leave(self, blocks: Sequence[Block], key: str) -> None:
        """Goes on below whatever is said next, under another key. If something stands there already, it ends so.

        Args:
            blocks: how it ends.
        """
        await self.__aexit__()
        if self._adapter.traits.edits and (self._shown or await self._outbox.said(f"{self._key}/0") is not None):
            await self.finish(blocks)
        self._key, self._shown, self._growing = key, [], lambda: EMPTY
        self._changed.clear()
        await self.__aenter__()

    async def finish(self, blocks: Sequence[Block]) -> None:
        """Lets this stand there, and returns when it does."""
        await self.__aexit__()
        wanted = self._split(blocks)
        surplus: list[list[Block]] = [[note("(nothing more)")] for _ in self._shown[len(wanted) :]]
        await self._level([*wanted, *surplus])

    def _split(self, blocks: Sequence[Block]) -> list[list[Block]]:
        return split(blocks, self._adapter.length, self._adapter.traits.most)

    async def _push(self) -> None:
        await asyncio.sleep(_FIRST)
        while True:
            await self._changed.wait()
            await asyncio.sleep(self._outbox.wait_for(f"{self._key}/{max(len(self._shown) - 1, 0)}"))
            self._changed.clear()
            await self._level(self._split(self._growing() or EMPTY))

    async def _level(self, wanted: Sequence[list[Block]]) -> None:
        for index, blocks in enumerate(wanted):
            if index < len(self._shown) and self._shown[index] == blocks:
                continue
            # Noted before: one that is cancelled in the middle is done again at the end.
            self._shown[index:] = [[], *self._shown[index + 1 :]]
            await self._outbox.put(f"{self._key}/{index}", self._place, blocks)
            self._shown[index] = blocks
