"""How long the first text of a reply takes from the server to whoever asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import closing

from clients import Bare, Side, others, ours
from measure import QUICK, Effort, Rounds, Row, Spread, in_turns_async, milliseconds, settle
from servers import Player, playing

_REPLIES, _FEW = 50, 5
_DELAY = 0.01
_TEXT = "The disk is nearly full."
_FIRST = _TEXT[:4]
_MOST = 3.0
_FLOOR, _ANEW = "bare", "a socket opened anew"
_DOORS = {"Gemma": "Gemma.stream", "Agent": "Agent.stream"}


def rows(effort: Effort) -> list[Row]:
    return [row for protocol in ("ollama", "openai") for row in asyncio.run(_rows(protocol, effort))]


async def _rows(protocol: str, effort: Effort) -> list[Row]:
    with playing(protocol) as server, closing(Bare(protocol, server.url, kept=True)) as floor:
        sides = {**ours(protocol, server.url), **others(protocol, server.url)}
        figures = {name: _until_seen(server, side) for name, side in sides.items()}
        figures[_FLOOR] = _until_there(server, floor)
        figures[_ANEW] = _until_there(server, Bare(protocol, server.url, kept=False))
        for figure in figures.values():
            await figure()
        settle()
        rounds = await in_turns_async(figures, _FEW if effort == QUICK else _REPLIES)
    later = {name: _behind(rounds, name) for name in rounds if name != _FLOOR}
    return [
        Row(
            f"{protocol}: the first text of {door}, after the server's own",
            _shown(later[side]),
            f"a bare socket {milliseconds(rounds[_FLOOR])}",
            peers={name: _shown(later[name]) for name in later if name not in _DOORS},
            reach=f"≤ {_MOST:.0f} ms",
            met=later[side].median <= _MOST,
        )
        for side, door in _DOORS.items()
    ]


def _behind(rounds: Rounds, name: str) -> Spread:
    """Milliseconds after the bare socket in the same round."""
    return Spread.of((late - early) * 1e3 for late, early in zip(rounds[name], rounds[_FLOOR], strict=True))


def _shown(later: Spread) -> str:
    return f"{later.median:.1f} (worst {later.high:.1f}) ms"


def _until_seen(server: Player, side: Side) -> Callable[[], Awaitable[float]]:
    """The figure: seconds until the first text comes out. The rest is heard too."""

    async def figure() -> float:
        server.plays(text=_TEXT, delay=_DELAY)
        seen = 0.0
        begun = time.perf_counter()
        async for piece in side():
            if piece and not seen:
                seen = time.perf_counter() - begun
        return seen

    return figure


def _until_there(server: Player, socket: Bare) -> Callable[[], Awaitable[float]]:
    async def figure() -> float:
        server.plays(text=_TEXT, delay=_DELAY)
        return socket.seconds(_FIRST)

    return figure
