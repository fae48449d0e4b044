"""Whether a request that failed may be made once more, and when."""

from __future__ import annotations

import email.utils
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final, Protocol

from gemmagraph.backends.base import Chunk
from gemmagraph.errors import BackendError, EmptyReply, TruncatedReply
from gemmagraph.prompts.messages import Usage

RETRIED_STATUSES: Final = frozenset({408, 429, 502, 503, 504})
"""Of refusals that pass by themselves."""


class Again(Exception):
    """A try failed with `error`, and another may succeed."""

    def __init__(self, error: BackendError, retry_after: float | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.retry_after = retry_after


def seconds_asked(value: str) -> float | None:
    """Seconds from a Retry-After header: a number, or a date."""
    if value.strip().isdecimal():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, when.timestamp() - time.time())


class StreamedReply(Protocol):
    """A reply so far."""

    usage: Usage | None

    def worth_another_try(self, failed: BackendError) -> bool:
        """Whether the same request may bring more than this reply, which failed so."""
        ...


async def asked_twice(
    model: str, ask: Callable[[Usage], tuple[StreamedReply, AsyncGenerator[Chunk, None]]]
) -> AsyncGenerator[Chunk, None]:
    """A reply; one that holds nothing is asked for once more where that may help.

    Args:
        ask: makes a reply and what reads it, from what was spent before.
    """
    spent = Usage()
    for last_try in (False, True):
        reply, coming = ask(spent)
        try:
            async with aclosing(coming) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        except (EmptyReply, TruncatedReply) as exc:
            if last_try or not reply.worth_another_try(exc):
                exc.usage = spent + (reply.usage or Usage())
                raise
        spent += reply.usage or Usage()
        yield Chunk(notice=f"{model} sent an empty reply; asking once more")
