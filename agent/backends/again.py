"""Whether a request that failed may be made once more, and when."""

from __future__ import annotations

import email.utils
import time
from typing import Final

from gemmagraph.errors import BackendError

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
