"""What each person's runs have cost lately: the limits of a person over time are kept by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gemmagraph.store.session import Session
from gemmagraph.store.workers import Workers

_LONGEST: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much one person may use in any stretch of `seconds`. A run that has begun is let to its end."""

    what: Literal["runs", "calls", "tokens"]
    most: int
    seconds: float


class Spending:
    """Of one store."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def begin(self, run: str, person: str, allowances: Sequence[Allowance]) -> tuple[Allowance | None, float]:
        """Counts a run of this person, if none of the allowances is used up. The same run counts once.

        Returns:
            The allowance that is used up, if one is: then no run was counted; and the seconds until there is room in
            it again.
        """
        # Others may count the same person for longer.
        longest = max(_LONGEST, *(allowance.seconds for allowance in allowances))

        def work(session: Session) -> tuple[Allowance | None, float]:
            with session.writing():
                session.alone(f"spending {person}")
                now = session.now()
                session.change("DELETE FROM spent WHERE person = ? AND at < ?", person, now - longest)
                rows = session.rows(
                    "SELECT at, calls, tokens FROM spent WHERE person = ? AND run <> ? ORDER BY at", person, run
                )
                for allowance in allowances:
                    wait = _wait(allowance, rows, now)
                    if wait > 0:
                        return allowance, wait
                session.change(
                    "INSERT INTO spent VALUES (?, ?, ?, 0, 0) ON CONFLICT (run) DO NOTHING", run, person, now
                )
                return None, 0.0

        return await self._workers.do(work)

    async def end(self, run: str, *, calls: int, tokens: int) -> None:
        """Writes down what a run has used."""
        await self._workers.do(
            lambda session: session.change("UPDATE spent SET calls = ?, tokens = ? WHERE run = ?", calls, tokens, run)
        )


def _wait(allowance: Allowance, rows: Sequence[tuple[float, int, int]], now: float) -> float:
    """Seconds until what is inside the allowance's stretch is below it; 0 if it is now. The oldest come first."""
    inside = [
        (at, 1 if allowance.what == "runs" else calls if allowance.what == "calls" else tokens)
        for at, calls, tokens in rows
        if at > now - allowance.seconds
    ]
    used = sum(amount for _, amount in inside)
    wait = 0.0
    for at, amount in inside:
        if used < allowance.most:
            break
        used -= amount
        wait = at + allowance.seconds - now
    return wait
