"""One try of a call within its time, further tries where they are safe, and a turn where calls must wait."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakKeyDictionary

from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.errors import BodyError, ToolError
from gemmagraph.tools.runtime import Errand, Job

T = TypeVar("T")

OUTCOME_UNKNOWN: Final = "Its outcome is unknown: it may have taken effect. Find out before you call it again."
_FIRST_WAIT: Final = 0.2
_LONGEST_WAIT: Final = 5.0
_LONGEST_ASKED: Final = 30.0
"""Seconds that another side may ask us to wait; beyond, its refusal is the result."""


class Timed(Protocol):
    """What a try needs to know of its tool."""

    @property
    def name(self) -> str: ...
    @property
    def timeout(self) -> float | None: ...
    @property
    def repeatable(self) -> bool: ...


class Expired(Exception):
    """A call took longer than its tool allows."""

    def __init__(self, tool: Timed) -> None:
        after = "Calling it again is safe." if tool.repeatable else OUTCOME_UNKNOWN
        super().__init__(f"{tool.name} did not finish within {tool.timeout:g} s. {after}")


async def within(work: Errand | Job, tool: Timed) -> Any:
    """The result of `work`, if it comes in time.

    Raises:
        Expired: it did not.
        ToolError: it was not even started.
    """
    try:
        in_time = await work.wait(tool.timeout)
    except asyncio.CancelledError:
        await work.abandon()
        raise
    if not in_time:
        if not await work.abandon():
            raise ToolError(f"{tool.name} was not started: too many other calls are running.")
        raise Expired(tool)
    if work.future.cancelled():
        raise RuntimeError("cancelled itself")
    error = work.future.exception()
    if error is not None and not isinstance(error, Exception):
        raise RuntimeError(f"raised {error!r}") from error
    return work.future.result()


async def tried(attempt: Callable[[], Awaitable[T]], again: int, context: ToolContext) -> T:
    """The result of `attempt`, made up to `again` times more where the failure may pass: a time that ran out, a
    connection that broke, a server that says so. In between it waits, longer each time, with full jitter. Those who
    watch the call are told through `context`."""
    for number in range(again):
        try:
            return await attempt()
        except (Expired, ConnectionError, TimeoutError, BodyError) as problem:
            wait = random.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2**number))
            if isinstance(problem, BodyError):
                asked = problem.retry_after or 0.0
                if not problem.transient or asked > _LONGEST_ASKED:
                    raise
                wait = max(wait, asked)
            context.retried(number + 2, str(problem) or type(problem).__name__, wait)
        await asyncio.sleep(wait)
    return await attempt()


class Slots:
    """How many calls of one tool may run at once, on each event loop."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._free: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    async def take(self, name: str, timeout: float | None) -> asyncio.Semaphore:
        """Waits for a turn. Whoever gets it gives it back by `release()`.

        Raises:
            ToolError: none came in `timeout` seconds.
        """
        slot = self._free.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self._count))
        try:
            async with asyncio.timeout(timeout):
                await slot.acquire()
        except TimeoutError:
            raise ToolError(f"{name} is busy with earlier calls. This one was not started.") from None
        return slot
