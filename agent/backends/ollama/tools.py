"""Tools, turns and pictures as `/api/chat` takes them.

What Ollama keeps of a tool's schema is listed in `KEPT`; all else it drops on arrival, without a word. So bounds,
defaults, formats and the like are said in the descriptions. The renderer of FunctionGemma drops more: it shows of
each parameter its first type and its description.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from gemmagraph.backends.words import result_text
from gemmagraph.prompts.checking import schemas
from gemmagraph.prompts.messages import JSON, Image, Thought, ToolCall, ToolResult, ToolSpec, Turn
from gemmagraph.prompts.native.schema import simple

KEPT: Final = frozenset({"type", "items", "description", "enum", "properties", "required"})
"""Keywords of a parameter that reach the model. (`anyOf` does, too; `simple` leaves none.)"""


def declared(spec: ToolSpec, *, plain: bool) -> dict[str, JSON]:
    """A tool as the server takes it.

    Args:
        plain: whether the server shows the model only type and description of a parameter.
    """
    whole = simple(spec.parameters)
    required = list(whole.get("required", ()))
    properties = {name: _parameter(name, part, name in required, plain) for name, part in whole["properties"].items()}
    description, more = spec.description, str(whole.get("description") or "")
    if more not in description:
        description = f"{description} {more}".strip()
    parameters = {"type": "object", "properties": properties, "required": required}
    return {
        "type": "function",
        "function": {"name": spec.name, "description": description, "parameters": parameters},
    }


def _parameter(name: str, part: Mapping[str, JSON], required: bool, plain: bool) -> dict[str, JSON]:
    found = _kept(part, also_items=plain)
    words = []
    if part.get("nullable") and required:
        words.append("null is possible")
    if plain:
        kind = schemas.type_words(found)
        words += [kind] if kind not in (found["type"], "list") else []
        words += [f"{place}: {said}" for place, said in schemas.notes(found, f"{name}.")]
    if words:
        found["description"] = f"{found.get('description') or ''} ({'; '.join(words)})".strip()
    return found


def _kept(part: Mapping[str, JSON], *, also_items: bool) -> dict[str, JSON]:
    """What the server keeps of a parameter; of its items it keeps all."""
    found = {key: value for key, value in part.items() if key in KEPT}
    if "properties" in found:
        inner = found["properties"].items()
        found["properties"] = {name: _kept(each, also_items=also_items) for name, each in inner}
    if also_items and isinstance(found.get("items"), Mapping):
        found["items"] = _kept(found["items"], also_items=True)
    return found


def messages_of(turns: Sequence[Turn]) -> Iterator[dict[str, JSON]]:
    """The conversation as the server takes it."""
    calls: list[str] = []
    for turn in turns:
        if turn.role == "tool":
            results = [part for part in turn.parts if isinstance(part, ToolResult)]
            # FunctionGemma's renderer names results by their place, not by `tool_name`.
            results.sort(key=lambda result: calls.index(result.call_id) if result.call_id in calls else len(calls))
            yield from map(_result, results)
            continue
        message: dict[str, JSON] = {"role": "assistant" if turn.role == "model" else turn.role, "content": turn.text}
        if thoughts := "".join(part.text for part in turn.parts if isinstance(part, Thought)):
            message["thinking"] = thoughts
        if images := encoded(part for part in turn.parts if isinstance(part, Image)):
            message["images"] = images
        if turn.role == "model":
            written = [part for part in turn.parts if isinstance(part, ToolCall)]
            calls = [call.id for call in written]
            if written:
                message["tool_calls"] = [_call(call) for call in written]
        yield message


def encoded(images: Iterable[Image]) -> list[JSON]:
    """Pictures as the server takes them."""
    return [b64encode(image.data).decode("ascii") for image in images]


def _call(call: ToolCall) -> dict[str, JSON]:
    named = {"id": call.id} if call.id else {}
    return {**named, "function": {"name": call.name, "arguments": dict(call.arguments)}}


def _result(result: ToolResult) -> dict[str, JSON]:
    """A result. Without `tool_name` it would be called "unknown"."""
    named = {"tool_call_id": result.call_id} if result.call_id else {}
    return {"role": "tool", "tool_name": result.name, "content": result_text(result), **named}
