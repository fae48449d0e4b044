"""A call that waits for a person, and what the person may say."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeAlias

from gemmagraph.errors import AgentError
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.results import as_json
from gemmagraph.tools.runtime import in_thread


@dataclass(frozen=True, slots=True)
class Approval:
    """A call that waits. What is shown here is what will run."""

    id: str
    tool: str
    arguments: Mapping[str, JSON]
    request: str
    """The call as a person reads it."""
    reason: str
    """Why it is asked for."""
    user: str | None = None
    thread: str | None = None
    digest: str = ""
    """Stands for what was shown; what has another by the time it runs is not what was approved."""


@dataclass(frozen=True, slots=True)
class Approve:
    """Run it as it is."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Run it with these arguments. They are checked again."""

    arguments: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Reject:
    """Do not run it. The model is told the reason."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Respond:
    """Do not run it; this is its result."""

    text: str


Decision: TypeAlias = Approve | Edit | Reject | Respond
Approver: TypeAlias = Callable[[Approval], Decision | Awaitable[Decision]]
"""What `approve=` takes. A plain function runs in a thread, so that it may wait for a person."""


async def decide(approve: Approver, approval: Approval) -> Decision:
    """Asks, and returns a decision that is one.

    Raises:
        AgentError: what came back is no decision. Whatever the approver raises is raised too; nothing is run then.
    """
    target = approve if inspect.isroutine(approve) else type(approve).__call__
    answer = approve(approval) if inspect.iscoroutinefunction(target) else await in_thread(approve, approval)
    if inspect.isawaitable(answer):
        answer = await answer
    match answer:
        case Approve() | Reject(str()) | Respond(str()):
            return answer
        case Edit(Mapping() as arguments):
            with suppress(TypeError):
                return replace(answer, arguments=as_json(arguments))
    raise AgentError(
        f"approve= answered {answer!r} for {approval.tool}.",
        hint="Return Approve(), Edit(arguments), Reject(reason) or Respond(text).",
    )
