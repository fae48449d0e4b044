"""A reply within a time, and asked for again where none of it came."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final, TypeVar

from gemmagraph.errors import BackendTimeout, BackendUnavailable, RateLimited, ServerError

T = TypeVar("T")

_MAY_PASS: Final = (BackendUnavailable, RateLimited, ServerError)
"""Failures after which asking again may help."""
_FIRST: Final = 0.5
"""Seconds at most until the second try; twice as many until each further one. Our own choice."""
_LONGEST: Final = 16.0
"""Seconds at most between two tries."""


async def patiently(
    ask: Callable[[], AsyncGenerator[T, None]], *, name: str, timeout: float | None = None, retries: int = 0
) -> AsyncGenerator[T, None]:
    """The pieces of a reply.

    Args:
        ask: asks for it.
        name: whose it is, for the error.
        timeout: seconds for the whole of it, all tries together.
        retries: how often it is asked for again while no piece has come.

    Raises:
        BackendTimeout: it was not there in time.
        BackendError: as the last try.
    """
    now = asyncio.get_running_loop().time
    by = now() + timeout if timeout is not None else None
    for tried in range(retries + 1):
        begun = False
        try:
            async with aclosing(ask()) as pieces:
                while True:
                    coming = anext(pieces, None)
                    # Not one limit around the loop: each piece may be waited for in a task of its own.
                    piece = await (coming if by is None else asyncio.wait_for(coming, by - now()))
                    if piece is None:
                        return
                    begun = True
                    yield piece
        except TimeoutError as exc:
            raise BackendTimeout(
                f"The reply of {name} was not there in {timeout:g} s.",
                hint="Give it more (timeout=), or ask for fewer tokens.",
            ) from exc
        except _MAY_PASS:
            pause = random.uniform(0, min(_FIRST * 2**tried, _LONGEST))
            if begun or tried == retries or (by is not None and now() + pause >= by):
                raise
            await asyncio.sleep(pause)
