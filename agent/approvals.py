"""A call that waits for a person, and what the person may say."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeAlias

from gemmagraph.errors import AgentError
from gemmagraph.limits import storable
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
    """Who asked for the call."""
    thread: str | None = None
    channel: str | None = None
    digest: str = ""
    """Stands for what was shown; what has another by the time it runs is not what was approved."""
    call: str = ""
    """The id of the call."""
    approvers: tuple[str, ...] | None = None
    """Users and `group:NAME` who may decide; None: who asked for the call."""
    deciders: tuple[str, ...] | None = None
    """The ids of those users, groups resolved; None: who asked for the call, or anybody if nobody is known to."""
    four_eyes: bool = False
    """Whether it must be somebody else than who asked for the call."""
    created: float = 0.0
    """Seconds since 1970; with a store only, as is the next."""
    expires: float = 0.0
    """When the answer will be no."""

    def refuses(self, by: str | None) -> str:
        """Why this person may not decide, or empty."""
        if self.four_eyes and (by is None or by == self.user):
            return f"somebody else than {self.user or 'who asked for it'} must decide (four eyes)"
        if self.deciders is not None and by not in self.deciders:
            return f"only {', '.join(self.approvers or self.deciders) or 'nobody'} may decide"
        if self.deciders is None and not self.four_eyes and self.user is not None and by != self.user:
            return f"only {self.user}, who asked for it, may decide"
        return ""


def approval_id(thread: str | None, call: str) -> str:
    """Short enough to be typed; the same call of a thread always has the same."""
    return hashlib.sha256(f"{thread}\0{call}".encode()).hexdigest()[:12]


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


async def answer_of(approve: Approver, approval: Approval) -> Decision:
    """Asks, and returns a decision that is one.

    Raises:
        AgentError: what came back is no decision. Whatever the approver raises is raised too; nothing is run then.
    """
    target = approve if inspect.isroutine(approve) else type(approve).__call__
    answer = approve(approval) if inspect.iscoroutinefunction(target) else await in_thread(approve, approval)
    if inspect.isawaitable(answer):
        answer = await answer
    return checked(answer, f"approve= answered for {approval.tool}", approval.tool)


def checked(answer: object, said: str, tool: str) -> Decision:
    """A decision, given as one of ours or as LangChain's review of calls by people writes it.

    Args:
        said: who said it of what, for the message.
        tool: what the call is to. A decision does not make it one to another.

    Raises:
        AgentError: it is none.
    """
    match answer:
        case Approve() | Reject(str()) | Respond(str()):
            return answer
        case Edit(Mapping() as arguments):
            with suppress(TypeError):
                return replace(answer, arguments=as_json(arguments))
        case {"type": "approve"}:
            return Approve()
        case {"type": "edit", "edited_action": {"name": other}} if other != tool:
            raise AgentError(
                f"{said}: the call is to {tool!r} and cannot be made one to {other!r}.",
                hint="Change its arguments only, or reject it and say what to do instead.",
            )
        case {"type": "edit", "edited_action": {"args": Mapping() as arguments}}:
            with suppress(TypeError):
                return Edit(as_json(arguments))
        case {"type": "reject", "message": str(reason)}:
            return Reject(reason)
        case {"type": "reject", **rest} if "message" not in rest:
            return Reject()
        case {"type": "respond", "message": str(text)}:
            return Respond(text)
    raise AgentError(
        f"{said}: {answer!r} is no decision.",
        hint="Give Approve(), Edit(arguments), Reject(reason) or Respond(text).",
    )


def decision_as_json(decision: Decision, digest: str, by: str | None = None) -> dict[str, JSON]:
    """A decision as it is kept: who made it, and where the call may run the digest of what was shown."""
    match decision:
        case Approve():
            return {"type": "approve", "digest": digest, "by": by}
        case Edit(arguments) if not storable(arguments):
            return {"type": "reject", "reason": "an integer in the changed arguments is beyond 64 bits", "by": by}
        case Edit(arguments):
            return {"type": "edit", "arguments": dict(arguments), "digest": digest, "by": by}
        case Reject(reason):
            return {"type": "reject", "reason": reason, "by": by}
        case Respond(text):
            return {"type": "respond", "text": text, "by": by}


def decision_of(kept: Mapping[str, JSON]) -> Decision:
    """The decision that `decision_as_json` wrote."""
    match kept:
        case {"type": "approve"}:
            return Approve()
        case {"type": "edit", "arguments": Mapping() as arguments}:
            return Edit(arguments)
        case {"type": "respond", "text": str(text)}:
            return Respond(text)
    return Reject(str(kept.get("reason") or ""))
