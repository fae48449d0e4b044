"""What all sides play: the same calls to the same tools, and the moments at which the model was asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

Calls = Sequence[dict[str, Any]]
"""The arguments of the calls in one reply, each to the first tool."""
QUESTION = "Please work it out."
ANSWER = "It is done, and the sum is right."


class Script:
    """The replies of a model without delay: in each step some calls, in the last step the answer."""

    def __init__(self, steps: Sequence[Calls]) -> None:
        self._steps = steps
        self.stamps: list[float] = []
        """CPU time of the process whenever the model was asked."""
        self.done = 0
        """Calls that were really run."""

    @classmethod
    def one_call_each(cls, steps: int) -> Script:
        """`steps` times the model is asked; every step but the last calls the tool, never twice with the same."""
        return cls([[{"a": step, "b": 2 * step}] for step in range(steps - 1)])

    def begin(self) -> None:
        self.stamps.clear()
        self.done = 0

    def next(self) -> Calls:
        """The calls of the next reply; none in the last one."""
        step = len(self.stamps)
        self.stamps.append(time.process_time())
        return self._steps[step] if step < len(self._steps) else ()

    def check(self) -> None:
        """That the run did all of the work."""
        expected = sum(map(len, self._steps))
        if len(self.stamps) != len(self._steps) + 1 or self.done != expected:
            raise AssertionError(f"{len(self.stamps)} steps and {self.done} calls in place of {expected}")

    def between_steps(self) -> list[float]:
        """CPU seconds from one step to the next. The first is left out: it may hold work for the whole run."""
        return [late - early for early, late in zip(self.stamps[1:], self.stamps[2:], strict=False)]


def adder(script: Script) -> Callable[..., Any]:
    async def add(a: int, b: int) -> int:
        """Adds two numbers.

        Args:
            a: The first number.
            b: The second number.
        """
        script.done += 1
        return a + b

    return add


def waiter(script: Script, seconds: float) -> Callable[..., Any]:
    async def wait(a: int) -> int:
        """Waits a moment.

        Args:
            a: What comes back.
        """
        await asyncio.sleep(seconds)
        script.done += 1
        return a

    return wait


def blocker(script: Script, seconds: float) -> Callable[..., Any]:
    def block(a: int) -> int:
        """Waits a moment.

        Args:
            a: What comes back.
        """
        time.sleep(seconds)
        script.done += 1
        return a

    return block


_SOURCE = '''
def {name}(city: str, days: int = 3, unit: str = "celsius", details: bool = False) -> str:
    """Tells the weather of the next days.

    Args:
        city: The city, in English.
        days: How many days ahead, at most 14.
        unit: The unit of temperatures.
        details: Whether wind and rain are told too.
    """
    return city
'''


def functions(count: int) -> list[Callable[..., Any]]:
    """Functions of four parameters with a docstring, each one compiled anew."""
    made = []
    for index in range(count):
        name = f"weather_{index}"
        space: dict[str, Any] = {}
        exec(_SOURCE.format(name=name), space)
        made.append(space[name])
    return made
