"""The values everyone speaks: turns and their parts, tool declarations, calls, results, replies.

Frozen, standard library only. Nothing here knows a model, a server or a spelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

JSON: TypeAlias = Any
"""A JSON value: dict, list, str, int, float, bool or None. (A recursive alias would buy nothing here: what a
model or a server sends is checked against a schema, not against a type.)"""

Role: TypeAlias = Literal["system", "user", "model", "tool"]
"""Who speaks. `tool` holds results only; where they are put in the prompt is up to the turn format."""

StopReason: TypeAlias = Literal["stop", "length"]
"""Why the model stopped: by itself (or at a stop string), or because its token limit cut it."""

BadKind: TypeAlias = Literal["unterminated", "unknown_tool", "invalid_arguments", "malformed"]
"""What is wrong with a call: cut before its end; no such tool; arguments that do not fit; not readable."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model gets to know it."""

    name: str
    description: str = ""
    parameters: Mapping[str, JSON] = field(default_factory=lambda: {"type": "object", "properties": {}})
    """JSON Schema 2020-12 of the arguments: exactly what is validated."""
    examples: tuple[Mapping[str, JSON], ...] = ()
    """Examples of use: `{"user": "what a person says", "args": {...}}`."""


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """What the model thought before it spoke. Never shown as text."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    data: bytes
    mime_type: str


@dataclass(frozen=True, slots=True)
class Audio:
    data: bytes
    mime_type: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that may run: its tool exists and its arguments are valid."""

    id: str
    name: str
    arguments: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class BadCall:
    """A call that must not run, as data."""

    kind: BadKind
    tool: str | None
    """The name the model wrote, if one could be read."""
    message: str
    """Says to the model what was wrong and what would be right; at most 240 characters."""
    raw: str
    """What the model wrote, untouched."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    call_id: str
    name: str
    content: JSON
    """What the tool returned: text as it is, anything else as a JSON value."""
    is_error: bool = False


Part: TypeAlias = Text | Thought | Image | Audio | ToolCall | ToolResult


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation."""

    role: Role
    parts: tuple[Part, ...]
    raw: str | None = None
    """A model turn's own text, when it was read by us without repair: it is replayed byte for byte, so that
    the server's prompt cache holds."""

    @property
    def text(self) -> str:
        """The visible text of the turn."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the server counted them."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model's output says, once read."""

    text: str = ""
    """What a person may see: no call markup, no thoughts, no control marks."""
    thoughts: str = ""
    calls: tuple[ToolCall, ...] = ()
    """Calls that may run, in the order the model wrote them."""
    bad_calls: tuple[BadCall, ...] = ()
    stop: StopReason = "stop"
    usage: Usage | None = None
    raw: str = ""
    """The whole output, untouched."""
    repaired: bool = False
    """Whether something was put right while reading, or dropped: then `raw` is not what the reply means."""
