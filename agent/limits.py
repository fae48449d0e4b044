"""The bounds of a run, and of the numbers in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gemmagraph.errors import AgentError
from gemmagraph.prompts.messages import JSON

_BIGGEST: Final = 2**63
"""Integers from here on do not fit where messages are stored."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one run may do. Reaching a bound ends the run in order, with the reason and what is known so far.

    Raises:
        AgentError: a bound is not a positive number.
    """

    steps: int = 12
    """Times the model is asked."""
    calls: int = 40
    """Tool calls."""
    wall_time: float | None = 600.0
    """Seconds, waiting for a person included."""
    tokens: int | None = None
    """Tokens read and written, as the server counts them."""
    same_call_warn: int = 2
    """The model is warned when a call with the same arguments has had the same result this often."""
    same_call_stop: int = 4
    """The run ends when it has had it this often."""
    tools: int | None = 32
    """Tools that the model is shown at once; of more, those are picked that fit what was said."""
    parallel: int = 16
    """Calls of one turn that run at the same time."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is None and name in ("wall_time", "tokens", "tools"):
                continue
            if not isinstance(value, (int, float) if name == "wall_time" else int) or not value > 0:
                raise AgentError(f"Limits: {name} is {value!r}.", hint="It must be a number above 0.")


def storable(value: JSON) -> bool:
    """Whether every integer in it fits into 64 bits."""
    if isinstance(value, int):
        return -_BIGGEST <= value < _BIGGEST
    if isinstance(value, Mapping):
        return all(map(storable, value.values()))
    if isinstance(value, list):
        return all(map(storable, value))
    return True
