"""How things are measured: sides take turns, and only ratios from the same round count.

Absolute times differ from machine to machine and from minute to minute; two sides that were run right after one
another have met the same machine.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    rounds: int
    seconds: float
    """What one side may take of a round, about."""


QUICK = Effort(rounds=5, seconds=0.02)
FULL = Effort(rounds=25, seconds=0.06)


@dataclass(frozen=True)
class Spread:
    """A figure of several rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        known = list(values)
        return cls(statistics.median(known), min(known), max(known))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    ours: str
    floor: str = ""
    """What ours is divided by."""
    ratio: Spread | None = None
    peers: Mapping[str, str] = field(default_factory=dict)
    """The same figure of others, or how many times the floor they take."""
    reach: str = ""
    met: bool | None = None
    """None where there is nothing to reach."""


Rounds = dict[str, list[float]]
"""By side: its figure in each round."""


def ratio(rounds: Rounds, over: str, under: str) -> Spread:
    return Spread.of(a / b for a, b in zip(rounds[over], rounds[under], strict=True))


def in_turns(sides: Mapping[str, Callable[[], float]], rounds: int) -> Rounds:
    """The figure of every side in every round."""
    found: Rounds = {name: [] for name in sides}
    for name in _order(list(sides), rounds):
        found[name].append(sides[name]())
    return found


async def in_turns_async(sides: Mapping[str, Callable[[], Awaitable[float]]], rounds: int) -> Rounds:
    """`in_turns` for figures that need an event loop."""
    found: Rounds = {name: [] for name in sides}
    for name in _order(list(sides), rounds):
        found[name].append(await sides[name]())
    return found


def _order(names: Sequence[str], rounds: int) -> Iterator[str]:
    """Whose turn it is. In each round somebody else begins, and nobody has to clear up after another."""
    for number in range(rounds):
        shift = number % len(names)
        for name in (*names[shift:], *names[:shift]):
            gc.collect()
            yield name


def cpu(work: Callable[[], object], seconds: float) -> Callable[[], float]:
    """A figure: CPU seconds of `work`, done as often as fits into `seconds`."""
    begun = time.process_time()
    work()
    once = time.process_time() - begun
    times = max(1, round(seconds / max(once, 1e-7)))

    def figure() -> float:
        begun = time.process_time()
        for _ in range(times):
            work()
        return (time.process_time() - begun) / times

    return figure


def settle() -> None:
    """Takes all that is loaded and built out of the garbage collector's view, so that no side pays for another."""
    gc.collect()
    gc.freeze()


def microseconds(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1e6:,.0f} µs"


def milliseconds(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1e3:,.2f} ms"
