"""The threads of the runs around: a run made inside one that is on the same thread would wait for itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from gemmagraph.errors import AgentError


@dataclass(slots=True)
class _Held:
    """A thread that a run is on."""

    where: object
    thread: str
    over: bool = False
    """Tasks that were begun inside the run may outlive it."""


_around: ContextVar[tuple[_Held, ...]] = ContextVar("gemmagraph_threads_of_runs_around", default=())


@contextmanager
def holding(where: object, thread: str | None) -> Iterator[None]:
    """While a run is on a thread, or waits for it.

    Args:
        where: what keeps the thread: there it has only one of this name.

    Raises:
        AgentError: this is done inside of a run on the same thread, by a tool or by who decides about its calls.
    """
    if thread is None:
        yield
        return
    around = _around.get()
    if any(held.thread == thread and held.where == where and not held.over for held in around):
        raise AgentError(
            f"The run in which this one was to begin is on the thread {thread!r}: the two would wait for each other.",
            hint="Use another thread or none here, or begin it when that run is over.",
        )
    held = _Held(where, thread)
    token = _around.set((*around, held))
    try:
        yield
    finally:
        held.over = True
        _around.reset(token)
