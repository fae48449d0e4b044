"""Results of read-only calls that are kept for a while."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.fields import ABSENT, Absent

_MOST: Final = 64
"""Results that one tool keeps; the one that was not asked for the longest goes first."""


class Cache:
    """Results of one tool, by `cache_key`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: OrderedDict[str, tuple[float, Any]] = OrderedDict()

    def get(self, key: str) -> Any | Absent:
        """What was kept under `key`, unless it is too old."""
        kept = self._kept.get(key)
        if kept is None or time.monotonic() - kept[0] > self._seconds:
            return ABSENT
        self._kept.move_to_end(key)
        return kept[1]

    def put(self, key: str, result: Any) -> None:
        self._kept[key] = (time.monotonic(), result)
        self._kept.move_to_end(key)
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)


def cache_key(context: ToolContext, arguments: Mapping[str, JSON], bound: Mapping[str, JSON]) -> str:
    """The same for two calls that must have the same result. What a tool may know of who asks counts, but for the
    thread: a body may name it, and a function read it."""
    asker = [context.user, context.channel, dict(context.values)]
    return json.dumps([asker, dict(arguments), dict(bound)], sort_keys=True, default=repr)
