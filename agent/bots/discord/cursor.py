"""How far a bot has read on Discord, across restarts. Ids of Discord grow with time over all channels, so that one is
enough; only the direct channels must be named, since Discord does not list them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

_EPOCH = 1_420_070_400
"""Ids count milliseconds from here, in their upper bits."""
_BACK = 30.0
"""Seconds that are read once more: channels are not told in one order."""
_MOST_DIRECT = 80


def id_at(seconds: float) -> int:
    """The lowest id of a moment."""
    return max(0, int((seconds - _EPOCH) * 1000)) << 22


def moment(number: int) -> float:
    """When an id was given, in seconds since 1970."""
    return (number >> 22) / 1000 + _EPOCH


class Cursor:
    """What is read, and what need not be.

    Args:
        text: as `write` gave it; None: the bot was never here.
    """

    def __init__(self, text: str | None) -> None:
        kept = json.loads(text) if text else {}
        self.first = text is None
        """Whether nothing that stands in the channels by now is to be told."""
        self.since: int = kept.get("since") or id_at(time.time())
        """The id before which the bot was not here."""
        self.seen: int = kept.get("seen") or self.since
        self.direct: dict[int, None] = dict.fromkeys(kept.get("direct", ()))

    def begin_after(self, ids: Iterable[int]) -> None:
        """The first time: what has these ids was there before the bot."""
        self.since = max(self.since, *ids, 0)
        self.seen = max(self.seen, self.since)

    def see(self, message: int, direct: int = 0) -> None:
        """
        Args:
            direct: the channel, if it is a direct one.
        """
        self.seen = max(self.seen, message)
        if direct:
            self.direct.pop(direct, None)
            self.direct[direct] = None
            while len(self.direct) > _MOST_DIRECT:
                del self.direct[next(iter(self.direct))]

    @property
    def floor(self) -> int:
        """What is newer may have been missed."""
        return max(self.since, self.seen - (int(_BACK * 1000) << 22))

    def write(self) -> str:
        return json.dumps({"since": self.since, "seen": self.seen, "direct": [*self.direct]}, separators=(",", ":"))
