"""What one person may use over time, by all runs of an agent, in all processes on its store."""

from __future__ import annotations

import hashlib
import logging
import math
from typing import Final

from gemmagraph.errors import StoreError
from gemmagraph.limits import Limits
from gemmagraph.run import Run
from gemmagraph.store.spending import Allowance, Spending

_log = logging.getLogger("gemmagraph")

_PERIODS: Final = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


class Allowances:
    """Of one agent.

    Args:
        agent: its name: agents of the same name share what a person may use.
    """

    def __init__(self, spending: Spending, limits: Limits, agent: str) -> None:
        self._spending = spending
        self._agent = agent
        self._allowances = [Allowance(what, rate.count, rate.seconds) for what, rate in limits.rates.items()]

    async def begin(self, run: Run, said: str) -> str:
        """Counts a run; or says why it may not begin. Whoever is not known is not counted.

        Args:
            said: the id of what it answers.

        Raises:
            StoreError: the database failed.
        """
        user = run.asker.user
        if user is None:
            return ""
        used_up, wait = await self._spending.begin(_key(run, said), f"{self._agent}/{user}", self._allowances)
        if used_up is None:
            return ""
        period = _PERIODS.get(int(used_up.seconds), f"{used_up.seconds:g} s")
        return f"{user} has used up {used_up.most:,} {used_up.what} per {period}; again in {_spelled(wait)}"

    async def end(self, run: Run, said: str) -> None:
        """Writes down what a run has used by now. It is the whole of it: a run that is resumed counts once."""
        if run.asker.user is None:
            return
        tokens = run.usage.input_tokens + run.usage.output_tokens
        try:
            await self._spending.end(_key(run, said), calls=run.calls, tokens=tokens)
        except StoreError as exc:  # the run has come to its end all the same
            _log.error("What %s has used could not be written down. %s", run.asker.user, exc)


def _key(run: Run, said: str) -> str:
    """Of a size that any index takes."""
    return hashlib.sha256(f"{run.thread or ''}\0{said}".encode()).hexdigest()


def _spelled(seconds: float) -> str:
    """A time as people say it, rounded up."""
    for size, unit in _UNITS:
        if seconds > size:
            return f"{math.ceil(seconds / size)} {unit}"
    return f"{math.ceil(seconds)} s"
