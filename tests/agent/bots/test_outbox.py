"""What is sent and what stands there, where sending is cut off in the middle."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from chats.memory import MemoryAdapter, MemoryWorld
from chats.team import run
from chats.world import until

from gemmagraph.bots.base import Place, Traits
from gemmagraph.bots.outbox import Outbox
from gemmagraph.bots.text import plain
from gemmagraph.store.store import Store


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("other", [{"keyed": True}, {"findable": True}, {}], ids=["keyed", "findable", "neither"])
def test_the_last_text_stands_there_after_a_draft_whose_sending_was_cut_off(
    tmp_path: Path, other: dict[str, bool], restarted: bool
) -> None:
    world = MemoryWorld(Traits(most=500, edit_every=0.02, **other))
    place = Place("", "ops", "")

    class Cut(MemoryAdapter):
        async def send(self, *sent: object, **more: object) -> str:
            await super().send(*sent, **more)  # type: ignore[arg-type]
            await asyncio.Event().wait()
            raise AssertionError

    async def work() -> None:
        store = Store(tmp_path / "bot.db")
        outbox = Outbox(store, "bot", Cut(world.service, world.traits))
        draft = asyncio.create_task(outbox.put("a:1/0", place, [plain("a draft")]))
        await until(lambda: world.service.posted)
        draft.cancel()
        await asyncio.wait([draft])
        if restarted:
            outbox = Outbox(store, "bot", world.adapter())
        else:
            outbox._adapter = world.adapter()
        await outbox.put("a:1/0", place, [plain("the answer")])
        texts = [one.seen.text for one in world.service.posted.values()]
        assert texts[-1] == "the answer"
        assert "a draft" not in texts

    run(work)
