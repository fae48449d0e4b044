"""LangChain's messages and ours: the one border between the graph's state and the prompt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from secrets import token_bytes
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    UsageMetadata,
    convert_to_messages,
)
from langchain_core.messages.tool import tool_call_chunk

from gemmagraph.errors import AgentError
from gemmagraph.events import TextDelta, ThoughtDelta
from gemmagraph.ids import call_id, new_id
from gemmagraph.pictures import image_in
from gemmagraph.prompts.messages import JSON, Image, Part, Reply, Text, Thought, ToolCall, ToolResult, Turn, Usage
from gemmagraph.prompts.prompt import PromptWriter
from gemmagraph.tools.secrets import mask_all

_written = json.JSONEncoder(ensure_ascii=False).encode
_JSON_CONTENT: Final = "gemmagraph_json"
"""In a ToolMessage's `additional_kwargs`: its content is a JSON value written out, not text."""
_BESIDE_TEXT: Final = frozenset(
    {"tool_use", "tool_call", "tool_call_chunk", "invalid_tool_call", "thinking", "reasoning"}
)
"""Parts of what a model said that stand elsewhere in the message too, or are no part of a prompt."""
_THOUGHTS: Final = "reasoning_content"
"""In an AIMessage's `additional_kwargs`, where LangChain's own models put it: what the model thought."""
_USAGE: Final = "usage"
"""In a ToolMessage's `response_metadata`: the tokens of the agent whose result it is."""
_ENTERING: Final = ("content", "tool_calls", "invalid_tool_calls", "additional_kwargs", "response_metadata")
"""What a message may have brought along that is not ours."""
_SECRET: Final = token_bytes(16)
"""Makes seals that nobody outside of this process can make."""


def ai_message(reply: Reply, writer: PromptWriter, identity: str = "") -> AIMessage:
    """A reply as a message. Call ids are its id and their place in it."""
    identity = identity or new_id()
    calls = [
        {"name": call.name, "args": dict(call.arguments), "id": call_id(identity, index), "type": "tool_call"}
        for index, call in enumerate(reply.calls)
    ]
    message = AIMessage(
        content=reply.text,
        id=identity,
        tool_calls=calls,
        invalid_tool_calls=[
            {
                "name": bad.tool,
                "args": bad.raw,
                "id": f"{identity}-x{index}",
                "error": f"{bad.kind}: {bad.message}",
                "type": "invalid_tool_call",
            }
            for index, bad in enumerate(reply.bad_calls)
        ],
        usage_metadata=_usage_metadata(reply.usage) if reply.usage and reply.usage != Usage() else None,
    )
    if reply.thoughts:
        message.additional_kwargs[_THOUGHTS] = reply.thoughts
    if not reply.repaired and (writer.native or not writer.defuse.finds(reply.raw)):
        message.response_metadata.update(raw=reply.raw, notation=writer.notation.name)
        message.response_metadata["seal"] = _seal(reply.raw, message)
    return message


def tokens_of(message: AIMessage | ToolMessage) -> Usage:
    """What a reply has cost, as it is noted in its message; or a result that another agent has made."""
    noted = message.usage_metadata if isinstance(message, AIMessage) else message.response_metadata.get(_USAGE)
    return Usage(noted["input_tokens"], noted["output_tokens"]) if noted else Usage()


def _usage_metadata(usage: Usage) -> UsageMetadata:
    read, written = usage.input_tokens, usage.output_tokens
    return {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}


def message_chunk(piece: TextDelta | ThoughtDelta | AIMessage) -> AIMessageChunk:
    """A piece of a reply, or the whole of it as the last, as LangChain streams it: the text is in pieces only."""
    if isinstance(piece, TextDelta):
        return AIMessageChunk(content=piece.text)
    if isinstance(piece, ThoughtDelta):
        return AIMessageChunk(content="", additional_kwargs={_THOUGHTS: piece.text})
    calls = [
        tool_call_chunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=index)
        for index, call in enumerate(piece.tool_calls)
    ]
    return AIMessageChunk(
        content="",
        id=piece.id,
        tool_call_chunks=calls,
        invalid_tool_calls=piece.invalid_tool_calls,
        usage_metadata=piece.usage_metadata,
        response_metadata=piece.response_metadata,
        chunk_position="last",
    )


def tool_message(
    call_id: str, name: str, content: JSON, is_error: bool = False, usage: Usage | None = None
) -> ToolMessage:
    """A result as a message."""
    text = isinstance(content, str)
    return ToolMessage(
        content=content if text else _written(content),
        tool_call_id=call_id,
        name=name,
        id=f"{call_id}-result",
        status="error" if is_error else "success",
        additional_kwargs={} if text else {_JSON_CONTENT: True},
        response_metadata={_USAGE: _usage_metadata(usage)} if usage else {},
    )


def messages_of(said: str | Sequence[Any]) -> list[AnyMessage]:
    """What a caller passes to `run`: a text, a message, or messages, in any form that LangChain takes.

    Raises:
        AgentError: it is none of these, or empty, or holds more than text.
    """
    if isinstance(said, BaseMessage | Mapping) or (isinstance(said, tuple) and all(isinstance(x, str) for x in said)):
        said = [said]
    try:
        found: list[Any] = [HumanMessage(said)] if isinstance(said, str) else list(convert_to_messages(said))
    except (TypeError, ValueError, NotImplementedError) as exc:
        why = str(exc).partition("\n")[0]
        raise AgentError(f"These are no messages: {why}", hint="Pass a text or LangChain messages.") from exc
    if not found or (isinstance(said, str) and not said.strip()):
        raise AgentError("There is nothing to answer.", hint="Pass a text or at least one message.")
    for message in found:
        _text(message)  # what cannot be read must not get into a conversation
    # The caller's messages stay as they are: one with an id would take its own place when it is said again.
    return [_entering(message) for message in found]


def _entering(message: AnyMessage) -> AnyMessage:
    """A message as it enters a conversation: with an id, and without the value of any secret."""
    changes: dict[str, Any] = {} if message.id else {"id": new_id()}
    for name in _ENTERING:
        given = getattr(message, name, None)
        if (masked := mask_all(given)) is not given:
            changes[name] = masked
    return message.model_copy(update=changes) if changes else message


class Converter:
    """Messages as turns. Show it the state again at each step: only new messages are converted.

    Args:
        writer: writes them; which text may not be replayed as it is depends on it.
    """

    def __init__(self, writer: PromptWriter) -> None:
        self._writer = writer
        self._messages: list[BaseMessage] = []
        self._turns: list[Turn] = []

    def turns(self, messages: Sequence[BaseMessage]) -> list[Turn]:
        known = len(self._messages)
        if known and (
            known > len(messages)
            or messages[0] is not self._messages[0]
            or messages[known - 1] is not self._messages[-1]
        ):
            self._messages, self._turns = [], []
            known = 0
        for message in messages[known:]:
            self._messages.append(message)
            turn = self._turn(message)
            if turn is not None:
                self._turns.append(turn)
        return self._turns

    def _turn(self, message: BaseMessage) -> Turn | None:
        """A message as a turn, or None if it does not belong into a prompt."""
        if isinstance(message, AIMessage):
            return self._model_turn(message)
        if isinstance(message, ToolMessage):
            content: JSON = _text(message)
            if message.additional_kwargs.get(_JSON_CONTENT):
                with suppress(ValueError):  # somebody edited it
                    content = json.loads(content)
            result = ToolResult(message.tool_call_id, message.name or "tool", content, message.status == "error")
            return Turn("tool", (result,))
        if isinstance(message, SystemMessage):
            return Turn("system", (Text(_text(message)),))
        text, images = _read(message)
        return Turn("user", (Text(text), *images))

    def _model_turn(self, message: AIMessage) -> Turn | None:
        if message.invalid_tool_calls and not message.tool_calls:
            return None  # a last try that was no better: it would teach the model its own mistake
        text = _text(message)
        thoughts = message.additional_kwargs.get(_THOUGHTS)
        parts: list[Part] = [Thought(thoughts)] if isinstance(thoughts, str) else []
        parts += [Text(text)] if text else []
        parts += (ToolCall(call["id"] or "", call["name"], call["args"]) for call in message.tool_calls)
        raw, seal = (message.response_metadata.get(key) for key in ("raw", "seal"))
        ours = self._writer.notation.name
        if not isinstance(raw, str) or seal is None or seal != _seal(raw, message):
            raw = None
        elif message.response_metadata.get("notation", ours) != ours:
            raw = None  # another model's: its calls are none here, and its marks may be
        elif not self._writer.native and self._writer.defuse.finds(raw):
            raw = None  # no call in such a notation needs a mark
        return Turn("model", tuple(parts), raw)


def _text(message: BaseMessage) -> str:
    """The text of a message; raises as `_read` does."""
    return _read(message)[0]


def _read(message: BaseMessage) -> tuple[str, Sequence[Image]]:
    """The text of a message, and the pictures in what a person says.

    Raises:
        AgentError: it holds something else.
    """
    if isinstance(message.content, str):
        return message.content, ()
    pieces: list[str] = []
    images: list[Image] = []
    for block in message.content:
        if isinstance(block, str):
            pieces.append(block)
        elif block.get("type") == "text":
            pieces.append(str(block.get("text", "")))
        elif isinstance(message, AIMessage) and block.get("type") in _BESIDE_TEXT:
            continue
        elif isinstance(message, HumanMessage) and (image := image_in(block)) is not None:
            images.append(image)
        else:
            raise AgentError(
                f"A message holds a part of type {block.get('type')!r}.",
                hint="Text is understood, and pictures in what a person says.",
            )
    return "".join(pieces), images


def holds_images(messages: Sequence[BaseMessage]) -> bool:
    """Whether there is a picture in what people say."""
    return any(_read(message)[1] for message in messages)


def _seal(raw: str, message: AIMessage) -> str:
    """A digest over a raw reply, its notation and what was read from it: it breaks when one is edited, and in another
    process, where the message may come from anybody."""
    notation = message.response_metadata.get("notation")
    calls = [[call["name"], call["args"], call["id"]] for call in message.tool_calls]
    # A third of what JSON costs, and the same for the same JSON.
    sealed = repr([raw, notation, message.content, calls])
    return hashlib.blake2b(sealed.encode(errors="surrogatepass"), digest_size=16, key=_SECRET).hexdigest()
