"""Every error of gemmagraph, drawn once.

GemmagraphError                  what happened, and a hint what to do        gemmagraph.prompts.errors
├── NotationError                no such notation, family or turn format
├── InvalidArguments             the arguments of a call do not fit          (read by the model)
├── ToolError                    raised in a tool, for the model to read     gemmagraph.tools.errors
├── ToolDefinitionError          a tool cannot be made from this
├── AgentError                   an agent was asked for something it cannot do
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

from gemmagraph.prompts.errors import GemmagraphError, InvalidArguments, NotationError
from gemmagraph.prompts.messages import Usage
from gemmagraph.tools.errors import ToolDefinitionError, ToolError

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
    "NotationError",
    "RateLimited",
    "ServerError",
    "ToolDefinitionError",
    "ToolError",
    "TruncatedReply",
    "Unauthorized",
]


class AgentError(GemmagraphError):
    """An agent was asked for something it cannot do. Read by the developer."""


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
