"""Ids of messages. They tell when a message was made."""

from __future__ import annotations

import re
import time
from secrets import token_hex
from typing import Final

_OURS: Final = re.compile(r"m_([0-9a-f]{12})[0-9a-f]{20}")
_FIRST: Final = 1_577_836_800.0
"""Seconds since 1970 of the year 2020: what says less was not made here."""


def new_id() -> str:
    """An id that no other message has."""
    return f"m_{time.time_ns() // 1_000_000:012x}{token_hex(10)}"


def call_id(message: str, place: int) -> str:
    """The id of a call, by that of its message and its place in it."""
    return f"{message}-{place}"


def time_of(identity: str) -> float | None:
    """Seconds since 1970 when the message was made whose id this is, or begins with; None: it is not one of ours."""
    found = _OURS.match(identity)
    seconds = int(found[1], 16) / 1000 if found else 0.0
    return seconds if seconds >= _FIRST else None
