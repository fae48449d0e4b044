"""The bounds of a run."""

from __future__ import annotations

from dataclasses import dataclass

from gemmagraph.errors import AgentError


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
    parallel: int = 16
    """Calls of one turn that run at the same time."""

    def __post_init__(self) -> None:
        for name in ("steps", "calls", "wall_time", "tokens", "same_call_warn", "same_call_stop", "parallel"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise AgentError(f"Limits: {name} is {value!r}.", hint="It must be a number above 0.")
