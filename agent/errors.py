"""Every error of gemmagraph, drawn once.

GemmagraphError                  what happened, and a hint what to do        gemmagraph.prompts.errors
├── NotationError                no such notation, family or turn format
├── InvalidArguments             the arguments of a call do not fit          (read by the model)
├── ToolError                    raised in a tool, for the model to read     gemmagraph.tools.errors
├── ToolDefinitionError          a tool cannot be made from this
├── AgentError                   an agent was asked for something it cannot do
│   └── NeedsDecision            its thread waits for a person
├── StoreError                   threads cannot be kept or found: read by the operator
│   └── TurnLost                 another process has taken the thread over
└── BackendError                 a model server or engine: read by the operator
    ├── BackendUnavailable       nothing answers there
    ├── ModelNotFound            the server does not have the model
    ├── Unauthorized             the key is missing or refused
    ├── RateLimited              too many requests
    ├── BadRequest               the server refuses the request as it is
    ├── ContextOverflow          the prompt does not fit the context window
    ├── ServerError              the server failed
    ├── BackendTimeout           nothing came in time
    ├── TruncatedReply           the reply ended without its last frame
    └── EmptyReply               the reply holds nothing at all
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gemmagraph.prompts.errors import GemmagraphError, InvalidArguments, NotationError
from gemmagraph.prompts.messages import Usage
from gemmagraph.tools.errors import ToolDefinitionError, ToolError

if TYPE_CHECKING:
    from gemmagraph.approvals import Approval

__all__ = [
    "AgentError",
    "BackendError",
    "BackendTimeout",
    "BackendUnavailable",
    "BadRequest",
    "ChoiceIgnored",
    "ContextOverflow",
    "EmptyReply",
    "GemmagraphError",
    "InvalidArguments",
    "ModelNotFound",
    "NeedsDecision",
    "NotationError",
    "RateLimited",
    "ServerError",
    "StoreError",
    "ToolDefinitionError",
    "ToolError",
    "TruncatedReply",
    "TurnLost",
    "Unauthorized",
]


class AgentError(GemmagraphError):
    """An agent was asked for something it cannot do. Read by the developer."""


class NeedsDecision(AgentError):
    """A thread waits for a person, and takes nothing new until it has the answer."""

    def __init__(self, thread: str, pending: Sequence[Approval]) -> None:
        waiting = ", ".join(f"{approval.tool} ({approval.id})" for approval in pending)
        super().__init__(
            f"The thread {thread!r} waits for a decision on {waiting}.",
            hint="Decide with Agent.resume(), or `gemmagraph approvals`.",
        )
        self.pending = tuple(pending)


class StoreError(GemmagraphError):
    """Threads cannot be kept or found. Read by the operator."""


class TurnLost(StoreError):
    """A process was silent for so long that its turn on a thread went to another. It has written nothing since."""

    def __init__(self, thread: str) -> None:
        super().__init__(
            f"Another process has taken over the thread {thread!r}, since this one was not heard of.",
            hint="What was done is kept; it goes on there.",
        )


class HandedBack(StoreError):
    """A run was left as it is, because its process ends: whoever resumes the thread goes on with it."""

    def __init__(self, thread: str) -> None:
        super().__init__(f"The run on the thread {thread!r} was left as it is.", hint="Resume the thread.")


class BackendError(GemmagraphError):
    """A model server or engine did not do what was asked. Read by the operator."""

    usage: Usage | None = None
    """The tokens that a reply cost which was of no use, where the server has counted them."""


class BackendUnavailable(BackendError):
    """Nothing answers at the address, or the connection died before a reply began."""


class ModelNotFound(BackendError):
    """The server does not have the model."""


class Unauthorized(BackendError):
    """The key is missing or refused."""


class RateLimited(BackendError):
    """The server takes no more requests for now."""


class BadRequest(BackendError):
    """The server refuses the request as it is."""


class ContextOverflow(BackendError):
    """The prompt does not fit the context window, or the server cut it to make it fit."""


class ServerError(BackendError):
    """The server failed while it worked on the request."""


class BackendTimeout(BackendError):
    """No answer, or no next piece of it, came in time."""


class TruncatedReply(BackendError):
    """The reply ended without the frame that says it is complete."""


class ChoiceIgnored(BackendError):
    """The model did not call a tool although it had to, or called one although it must not, however often asked."""


class EmptyReply(BackendError):
    """The reply is complete and holds nothing: no text, no call, no thought."""
