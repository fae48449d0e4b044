"""How requests go to a server, and in which notation: what fits a family and a backend best.

A native notation is written with control tokens. They come through in a whole prompt, or where the server writes and
reads them itself; in chat messages they would be text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from gemmagraph.backends.base import Request, Transport
from gemmagraph.errors import AgentError
from gemmagraph.prompts.catalog import Family, family_of
from gemmagraph.prompts.checking.arguments import write_plainly
from gemmagraph.prompts.messages import JSON, ToolCall, ToolResult, Turn
from gemmagraph.prompts.notation import Notation, notation_named

if TYPE_CHECKING:
    from gemmagraph.backends.base import Backend

FALLBACK_NOTATION: Final = "function_call"
"""Any model that follows instructions can be asked to write it."""

_FALLBACK_FAMILY: Final = "gemma3"

_BEST_WITH_TOOLS: Final = frozenset({("ollama", "gemma4"), ("gemini", "gemma4")})
"""Backends and families for which the server's own fields for tools are best: what the models were trained on reaches
them no other way. FunctionGemma on Ollama is none of them, though it could be: its server divides arguments at commas
if the file counts `<escape>` among its control tokens, and a call would run with half a text."""
_WITHOUT_MARKS: Final = frozenset({"ollama"})
"""Backends whose server drops control tokens from what a whole prompt brings forth."""


def family_for(backend: Backend, model: str) -> Family:
    """The family of a model; of a backend that is no model, that of most.

    Raises:
        AgentError: its models hold no conversations.
    """
    if model == backend.name:
        return family_of(_FALLBACK_FAMILY)
    family = family_of(model)
    if not family.tools:
        raise AgentError(
            f"{model!r} is a {family.name} model, which does not hold conversations.",
            hint="Use a chat model, such as gemma3:4b.",
        )
    return family


def notation_for(named: str | None, family: Family, backend: Backend, transport: Transport | None) -> Notation:
    """The notation that was named, or else the one in which a family calls tools best on a server.

    Raises:
        NotationError: there is none of that name.
    """
    if named:
        return notation_named(named)
    own = notation_named(family.notation)
    if own.turns is None or transport == "tools" or (transport is None and _best_with_tools(family, backend)):
        return own
    if transport != "chat" and _keeps_marks(backend) and (transport or "chat" not in backend.transports):
        return own
    return notation_named(FALLBACK_NOTATION)


def transport_for(notation: Notation, family: Family, backend: Backend) -> Transport:
    """How requests in a notation go to a server.

    Raises:
        AgentError: the notation is native, and does not come through there.
    """
    if notation.turns is None:
        return "chat" if "chat" in backend.transports else "completion"
    if _best_with_tools(family, backend) and notation.name == family.notation:
        return "tools"
    if not _keeps_marks(backend):
        raise AgentError(
            f"{backend.label} lets no control token through, and the notation {notation.name!r} is made of them.",
            hint="Leave the notation out, or run a GGUF file in process (gguf:FILE).",
        )
    return "completion"


def _keeps_marks(backend: Backend) -> bool:
    return "completion" in backend.transports and backend.name not in _WITHOUT_MARKS


def _best_with_tools(family: Family, backend: Backend) -> bool:
    return (backend.name, family.name) in _BEST_WITH_TOOLS and "tools" in backend.transports


def shown(request: Request) -> str | tuple[Mapping[str, JSON], ...]:
    """A request as a person may look at it: where the server writes the prompt, its turns in the form of messages."""
    if request.transport != "tools":
        return request.messages or request.prompt or ""
    return tuple({"role": turn.role, "content": in_words(turn)} for turn in request.turns)


def in_words(turn: Turn) -> str:
    """A turn for readers who know no notation: its text, calls and results, each on lines of their own."""
    lines = [turn.text] if turn.text else []
    lines += (write_plainly(part.name, part.arguments) for part in turn.parts if isinstance(part, ToolCall))
    lines += (f"{part.name}: {part.content}" for part in turn.parts if isinstance(part, ToolResult))
    return "\n".join(lines)
