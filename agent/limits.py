"""The bounds of a run, and of the numbers in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, cast, get_args

from gemmagraph.errors import AgentError
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.declared.units import Rate, rate

Spent: TypeAlias = Literal["runs", "calls", "tokens"]

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
    """Tokens read and written, as the server counts them; about, where it tells none."""
    same_call_warn: int = 2
    """The model is warned when a call with the same arguments has had the same result this often."""
    same_call_stop: int = 4
    """The run ends when it has had it this often: the model is asked once more, and may not call anything."""
    tools: int | None = 32
    """Tools that the model is shown at once; of more, those are picked that fit what was said."""
    parallel: int = 16
    """Calls of one turn that run at the same time."""
    per_user: Mapping[Spent, str | Rate] = field(default_factory=dict, hash=False)
    """What one user may use over time: `{"runs": "30/min", "calls": "500/h", "tokens": "200k/day"}`. The
    agent's store counts; runs that do not say who their user is are not counted."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "per_user", {what: _rate(what, most) for what, most in self.per_user.items()})
        for name in self.__slots__:
            value = getattr(self, name)
            if name == "per_user":
                continue
            if value is None and name in ("wall_time", "tokens", "tools"):
                continue
            number = (int, float) if name == "wall_time" else int
            if isinstance(value, bool) or not isinstance(value, number) or not value > 0:
                raise AgentError(f"Limits: {name} is {value!r}.", hint="It must be a number above 0.")

    @property
    def of_tokens(self) -> bool:
        """Whether any of them is about tokens."""
        return self.tokens is not None or "tokens" in self.per_user

    @property
    def rates(self) -> Mapping[Spent, Rate]:
        """`per_user`, understood."""
        return cast("Mapping[Spent, Rate]", self.per_user)


def _rate(what: str, most: object) -> Rate:
    if what not in get_args(Spent):
        raise AgentError(f"Limits: per_user has no {what!r}.", hint=f"It has {', '.join(get_args(Spent))}.")
    if isinstance(most, Rate):
        return most
    try:
        return rate(cast(str, most))
    except (TypeError, ValueError) as problem:
        raise AgentError(
            f"Limits: per_user: {what} is {most!r}.", hint='Write it as "30/min", "200k/day".'
        ) from problem


def storable(value: JSON) -> bool:
    """Whether every integer in it fits into 64 bits."""
    if isinstance(value, int):
        return -_BIGGEST <= value < _BIGGEST
    if isinstance(value, Mapping):
        return all(map(storable, value.values()))
    if isinstance(value, list):
        return all(map(storable, value))
    return True
