"""Whether a call may run, and what is said of it where no policy speaks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from gemmagraph.tools.secrets import masked_trace

_log = logging.getLogger("gemmagraph")

Verdict: TypeAlias = Literal["allow", "ask", "deny"]

EXPIRES: Final = 900.0
"""Seconds that a person has to decide, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Consent:
    """`approval:` of a tool: whether a person is asked, and who."""

    mode: Verdict
    approvers: tuple[str, ...] | None = None
    """Users and `group:NAME`; None: who asked for the call."""
    four_eyes: bool | None = None
    """Whether it must be somebody else than who asked for the call."""
    expires: float | None = None
    """Seconds until the question is answered with no."""


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A rule that did not decide, and why."""

    place: str
    why: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was decided about one call."""

    verdict: Verdict
    reason: str
    """Goes on after "because". The model may read it."""
    approvers: tuple[str, ...] | None = None
    four_eyes: bool = False
    expires: float = EXPIRES
    place: str | None = None
    """File and line of the rule that decided: for people only."""
    passed: tuple[PassedOver, ...] = field(default=(), compare=False)
    """The rules that were passed over, in their order."""
    fits: str = field(default="", compare=False)
    """Why the rule that decided fits; empty where none did, or nobody asked."""

    @property
    def told(self) -> str:
        """The reason as people get it."""
        return f"{self.reason} ({self.place})" if self.place else self.reason


def judged(gate: Callable[[], Ruling], name: str) -> Ruling:
    """What a gate rules of a tool. One that fails lets nothing pass."""
    try:
        ruling = gate()
        if ruling.verdict in ("allow", "ask", "deny"):
            return ruling
        raise ValueError(f"{ruling.verdict!r} is no verdict")
    except Exception as exc:  # noqa: BLE001 - a guard fails closed, whoever wrote it
        _log.error("The gate of the tool %s failed.\n%s", name, masked_trace(exc))
        return Ruling("deny", f"whether {name} may be called could not be found out")


@lru_cache(maxsize=1024)
def unmarked(name: str, kind: str, *, reads: bool, read_only: bool | None, destructive: bool | None) -> Ruling:
    """What the marks of a tool say, where neither a policy nor the tool itself does."""
    if destructive:
        return Ruling("ask", f"{name} is marked destructive")
    if read_only:
        return Ruling("allow", f"{name} is marked read-only")
    if kind == "python":
        return Ruling("allow", f"{name} is Python code of this application, not marked destructive")
    if reads:
        return Ruling("allow", f"{name} only reads: {_READS[kind]}")
    return Ruling("ask", f"{name} is {_ACTS[kind]}, not marked read-only")


_READS: Final = {"http": "an HTTP GET or HEAD", "sql": "SQL on a read-only connection"}
_ACTS: Final = {
    "http": "an HTTP request that may change something",
    "sql": "SQL on a writable connection",
    "shell": "a program",
    "mcp": "somebody else's tool over MCP",
}
