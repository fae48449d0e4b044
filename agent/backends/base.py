"""What a model server or engine promises: `Backend`, and the values that go in and come out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from gemmagraph.prompts.messages import JSON, Image, StopReason, Turn, Usage
from gemmagraph.prompts.toolset import Toolset

if TYPE_CHECKING:
    from gemmagraph.prompts.grammar.calls import Grammar

Transport: TypeAlias = Literal["completion", "chat", "tools"]
"""How a request goes to a server: the whole prompt as text; chat messages, tools written into them by us; turns and
tools, for which the server has fields of its own."""

Constraint: TypeAlias = Literal["grammar", "schema", "tool_choice"]
"""What a reply can be held to: a grammar in GBNF, a JSON Schema; over `tools`, the `tool_choice` of the request."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request for one reply. At most one of `prompt` and `messages` is set; neither for the transport `tools`."""

    model: str
    prompt: str | None = None
    """Transport `completion`: the whole prompt."""
    messages: tuple[Mapping[str, JSON], ...] | None = None
    """Transport `chat`: `{"role": "system" | "user" | "assistant", "content": text}`, as every server takes it; with
    pictures to look at also `"images"`, a tuple of `Image`, which each server takes in a form of its own."""
    turns: tuple[Turn, ...] = ()
    """Transport `tools`: the conversation, without any control mark of the model's family in it. Else what prompt or
    messages were written from, for backends that are no language model."""
    tools: Toolset = field(default_factory=Toolset)
    """What was declared in it, or with the transport `tools` is to be declared by the server."""
    tool_choice: str = "auto"
    """Transport `tools`: `auto`, `required`, `none` or the name of a tool, as far as the server has a field for it;
    the reply is checked in any case."""
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

    @property
    def transport(self) -> Transport:
        """How it goes to the server."""
        return "completion" if self.prompt is not None else "chat" if self.messages is not None else "tools"

    @property
    def has_images(self) -> bool:
        """Whether there are pictures to look at."""
        if self.messages is not None:
            return any(message.get("images") for message in self.messages)
        return any(isinstance(part, Image) for turn in self.turns for part in turn.parts)


@dataclass(frozen=True, slots=True)
class ServerCall:
    """A call that a server read out of the model's output. Nothing about it was checked."""

    name: str
    arguments: JSON
    """An object, or the text that the server gave in place of one."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a reply as it arrives. The last one has `stop`; a stream that ends without is a `TruncatedReply`."""

    text: str = ""
    thought: str = ""
    """Thoughts that the server itself told apart from the text."""
    calls: tuple[ServerCall, ...] = ()
    """Transport `tools`: calls that are complete."""
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
    window: int | None = None
    """Tokens that a request has there, where the server has settled that and not the request."""


class CountsTokens(Protocol):
    """What a backend has beside the methods of `Backend` if its server or engine can count tokens."""

    async def count(self, model: str, text: str) -> int:
        """The tokens of `text` as the model reads it in a prompt, control marks as the tokens that they are, without
        a token that is put in front of every prompt.

        Raises:
            BackendError: it cannot be asked, or does not count after all.
        """
        ...


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
