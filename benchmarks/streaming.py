"""What a piece of a streamed reply costs, on its way from the server to whoever asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from clients import Side, others, ours
from measure import QUICK, Effort, Rounds, Row, in_turns_async, microseconds, ratio, settle
from servers import Player, playing

_PIECE = 4
_PACES: Mapping[str, tuple[float, int]] = {"1 ms apart": (0.001, 200), "at once": (0.0, 500)}
"""Seconds between two pieces and how many there are: as from a model, where each wakes the reader up; and as fast as
the server can, where some arrive together."""
_PROSE = "The disk of the web server is nearly full, and it's the third time this month. "
_REACH = 1.0
_DOORS = {"Gemma": "Gemma.stream", "Agent": "Agent.stream"}


def rows(effort: Effort) -> list[Row]:
    return [row for protocol in ("ollama", "openai") for row in asyncio.run(_rows(protocol, effort))]


async def _rows(protocol: str, effort: Effort) -> list[Row]:
    found = []
    with playing(protocol) as server:
        sides = {**ours(protocol, server.url), **others(protocol, server.url)}
        for pace, (wait, most) in _PACES.items():
            count = most // 10 if effort == QUICK else most
            figures = {name: _per_piece(server, side, wait, count) for name, side in sides.items()}
            for figure in figures.values():
                await figure()
            settle()
            rounds = await in_turns_async(figures, effort.rounds)
            found += _shown(protocol, f"{protocol}: a piece of a reply, {pace}", rounds)
    return found


def _shown(protocol: str, what: str, rounds: Rounds) -> list[Row]:
    """The backend beside the server's own client, then all that is built on each."""
    langchain = f"langchain-{protocol}"
    first = _beside(what, "backend", protocol, rounds)
    if first.ratio:
        peers = {langchain: f"{ratio(rounds, langchain, protocol).median:.1f} x"} if langchain in rounds else {}
        met = first.ratio.median <= _REACH
        first = replace(first, peers=peers, reach=f"≤ {_REACH:.1f} x", met=met)
    doors = [_beside(f"the same out of {door}", side, protocol, rounds) for side, door in _DOORS.items()]
    return [first, *doors, _beside("the same out of ChatGemma.astream", "ChatGemma", langchain, rounds)]


def _beside(what: str, side: str, peer: str, rounds: Rounds) -> Row:
    if peer not in rounds:  # it is not installed
        return Row(what, microseconds(rounds[side]))
    floor = f"{peer} {microseconds(rounds[peer])}"
    return Row(what, microseconds(rounds[side]), floor, ratio(rounds, side, peer))


def _per_piece(server: Player, side: Side, wait: float, count: int) -> Callable[[], Awaitable[float]]:
    """The figure: CPU seconds of this process for a whole reply, divided by its pieces."""
    text = (_PROSE * (count * _PIECE // len(_PROSE) + 1))[: count * _PIECE]

    async def figure() -> float:
        server.plays(text=text, piece=_PIECE, wait=wait)
        begun = time.process_time()
        heard = [piece async for piece in side()]
        taken = time.process_time() - begun
        if "".join(heard) != text:
            raise AssertionError(f"{len(''.join(heard))} characters in place of {len(text)}")
        return taken / count

    return figure
