"""Every chat service shows the same: all cases, over the service itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chats.cases import CASES
from chats.team import Team, run
from chats.worlds import WORLDS, world_of

EVERY_DAY = "an approved call runs and the decision stays visible"
"""Without the pauses between edits, which all others keep."""


def rows() -> Iterator[Any]:
    """All of them every day inside the process; of each service one, which meets the most."""
    for name in WORLDS:
        for title in CASES:
            marks = [] if name == "memory" or title == EVERY_DAY else [pytest.mark.long]
            yield pytest.param(name, title, id=f"{name}: {title}", marks=marks)


@pytest.mark.parametrize(("name", "title"), [*rows()])
def test_a_bot_does_what_people_expect(tmp_path: Path, name: str, title: str) -> None:
    needed = CASES[title]
    world = world_of(name)
    if reasons := [f"{what}: {world.absent[what]}" for what in needed.needs if what in world.absent]:
        pytest.skip(f"{name} has no {'; '.join(reasons)}")

    async def work() -> None:
        async with world:
            await needed.case(Team(tmp_path, world, edit_every=0.05 if title == EVERY_DAY else None))

    run(work, 150)
