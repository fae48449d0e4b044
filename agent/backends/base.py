"""What a model server or engine promises: `Backend`, and the values that go in and come out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from gemmagraph.prompts.messages import JSON, StopReason, Turn, Usage
from gemmagraph.prompts.toolset import Toolset

if TYPE_CHECKING:
    from gemmagraph.prompts.grammar import Grammar

Transport: TypeAlias = Literal["completion", "chat", "tools"]
"""How a request goes to a server: the whole prompt as text; chat messages, tools written into them by us; chat
messages with the server's own field for tools."""

Constraint: TypeAlias = Literal["grammar", "schema"]
"""What a reply can be held to: a grammar in GBNF, a JSON Schema."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request for one reply. Exactly one of `prompt` and `messages` is set."""

    model: str
    prompt: str | None = None
    """Transport `completion`: the whole prompt."""
    messages: tuple[Mapping[str, JSON], ...] | None = None
    """Transport `chat`: `{"role": "system" | "user" | "assistant", "content": text}`, as every server takes it."""
    turns: tuple[Turn, ...] = ()
    """What prompt or messages were written from, for backends that are no language model."""
    tools: Toolset = field(default_factory=Toolset)
    """What was declared in it."""
    stop: tuple[str, ...] = ()
    context: int | None = None
    """Tokens of context to allocate; the same on every request of a run, or the server loads the model anew."""
    max_tokens: int | None = None
    options: Mapping[str, JSON] = field(default_factory=dict)
    """Sampling options by their usual names: temperature, top_p, top_k, min_p, seed, repeat_penalty …"""
    thinking: bool | None = None
    grammar: Grammar | None = None
    """What the reply is held to, where the server takes grammars; a backend that cannot refuses the request."""
    schema: Mapping[str, JSON] | None = None
    """The JSON Schema of the reply, where the server takes that; a backend that cannot refuses the request. With
    both, the grammar counts where the server takes it."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a reply as it arrives. The last one has `stop`; a stream that ends without is a `TruncatedReply`."""

    text: str = ""
    thought: str = ""
    """Thoughts that the server itself told apart from the text."""
    usage: Usage | None = None
    """Only in the last chunk: the total, retries included."""
    stop: StopReason | None = None
    notice: str = ""
    """Something the user should know while waiting or afterwards ("loading gemma3:4b", "prompt was cut")."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a server says about one of its models."""

    name: str
    context: int | None = None
    """Tokens the model was trained for."""
    capabilities: tuple[str, ...] = ()
    size: int | None = None
    """Bytes on disk."""
    constraints: frozenset[Constraint] = frozenset()
    """What the server can hold the model's replies to."""


class Backend(Protocol):
    """A model server or engine. One object serves many requests at once; it keeps its connections until `close`."""

    name: str
    """How it is called in front of the colon: `ollama` in `ollama:gemma3:4b`."""
    label: str
    """How people know it: `Ollama at http://127.0.0.1:11434`."""
    transports: frozenset[Transport]
    read_only_tools: bool
    """Whether only tools that change nothing may be offered to it (true for `builtin`, which understands nothing)."""

    def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """One request. An async generator; closing it ends the request at the server.

        Raises:
            BackendError: of the kind that fits, saying what to do.
        """
        ...

    async def models(self) -> list[ModelInfo]:
        """The models that can be asked for now.

        Raises:
            BackendError: the server cannot be asked.
        """
        ...

    async def info(self, model: str) -> ModelInfo:
        """What the server knows about `model`.

        Raises:
            ModelNotFound: it does not have it.
            BackendError: the server cannot be asked.
        """
        ...

    async def close(self) -> None:
        """Ends connections and work under way."""
        ...
