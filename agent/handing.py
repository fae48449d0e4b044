"""The messages that those who ask are given of conversations which are remembered: copies. Whatever they do to them,
the conversation stays as it is."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage

_THREADS: Final = 64


class Handing:
    """Copies each message of a thread once, not with each result."""

    def __init__(self) -> None:
        self._copies: dict[str, tuple[list[AnyMessage], list[AnyMessage]]] = {}
        """Of each thread: its messages, and their copies."""

    def out(self, thread: str | None, messages: Sequence[AnyMessage]) -> list[AnyMessage]:
        """The messages for whoever has asked on a thread; without one nobody remembers them."""
        if not thread:
            return list(messages)
        known, copies = self._copies.pop(thread, ([], []))
        if len(known) > len(messages) or not all(map(operator.is_, known, messages)):
            known, copies = [], []
        copies = [*copies, *map(copy_of, messages[len(known) :])]
        self._copies[thread] = list(messages), copies
        while len(self._copies) > _THREADS:
            self._copies.pop(next(iter(self._copies)), None)
        return list(copies)


def copy_of(message: AnyMessage) -> AnyMessage:
    """A message with nothing in it that the other could be changed by."""
    copy = message.model_copy()
    for name, value in vars(copy).items():
        if isinstance(value, list | dict):
            vars(copy)[name] = deepcopy(value) if value else value.copy()
    return copy
