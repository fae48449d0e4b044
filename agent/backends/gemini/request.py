"""A request as google-genai takes it: contents and a config, in the form of dictionaries.

What Gemma 4 wants of its own: it knows two levels of thinking, and a budget in tokens is refused
(github.com/earendil-works/pi/issues/2812). Left alone it thinks at length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from gemmagraph.backends.base import Request
from gemmagraph.backends.gemini.words import family, takes_tools
from gemmagraph.backends.words import no_option
from gemmagraph.errors import BadRequest
from gemmagraph.prompts.checking.schemas import standard
from gemmagraph.prompts.messages import JSON, Audio, Image, Part, Text, ToolCall, ToolResult, ToolSpec, Turn
from gemmagraph.prompts.notations.writing import shown_json

OPTIONS: Final = frozenset({"temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty"})
_MODES: Final = {"auto": "AUTO", "required": "ANY", "none": "NONE"}


class Written(NamedTuple):
    """A request as it is asked."""

    contents: list[dict[str, Any]]
    config: dict[str, Any]


def written(request: Request, label: str) -> Written:
    """The request for the Gemini API.

    Args:
        label: how errors call it.

    Raises:
        BadRequest: it cannot do what is asked.
    """
    if request.prompt is not None:
        raise BadRequest(
            f"{label} takes chat messages or turns, not a finished prompt.",
            hint='Leave transport out, or say transport="chat".',
        )
    able = takes_tools(request.model)
    if request.messages is None and not able:
        raise BadRequest(f"{request.model!r} does not support tools on {label}.", hint='Say transport="chat".')
    if request.grammar is not None and request.schema is None:
        raise BadRequest(
            f"{label} holds no reply to a grammar.", hint="Give it a JSON Schema instead, or ask without."
        )
    if request.schema is not None and not able:
        raise BadRequest(f"{label} holds no reply of {request.model!r} to a JSON Schema.", hint="Ask without.")
    turns = request.turns if request.messages is None else tuple(map(_turn, request.messages))
    config = _config(request, label)
    system = "\n\n".join(turn.text for turn in turns if turn.role == "system")
    if system:
        config["system_instruction"] = system
    if request.messages is None and len(request.tools):
        config["tools"] = [{"function_declarations": [_declared(spec) for spec in request.tools]}]
        config["tool_config"] = {"function_calling_config": _calling(request.tool_choice)}
    return Written(list(_contents(turns)), config)


def _config(request: Request, label: str) -> dict[str, Any]:
    config: dict[str, Any] = {_option(name, label): value for name, value in request.options.items()}
    config["automatic_function_calling"] = {"disable": True}
    config["automatic_continuation"] = False
    if request.max_tokens is not None:
        config["max_output_tokens"] = request.max_tokens
    if request.stop:
        config["stop_sequences"] = list(request.stop)
    if request.schema is not None:
        config |= {"response_mime_type": "application/json", "response_json_schema": dict(request.schema)}
    found = family(request.model)
    if found is not None and found.thinks:
        level = "HIGH" if request.thinking else "MINIMAL"
        config["thinking_config"] = {"include_thoughts": bool(request.thinking), "thinking_level": level}
    elif request.thinking:
        config["thinking_config"] = {"include_thoughts": True}
    return config


def _option(name: str, label: str) -> str:
    if name in OPTIONS:
        return name
    raise no_option(name, OPTIONS, label)


def _declared(spec: ToolSpec) -> dict[str, Any]:
    declared: dict[str, Any] = {"name": spec.name, "description": spec.description or spec.name}
    if spec.parameters.get("properties"):  # an object without any is refused
        declared["parameters_json_schema"] = standard(spec.parameters)
    return declared


def _calling(choice: str) -> dict[str, Any]:
    if choice in _MODES:
        return {"mode": _MODES[choice]}
    return {"mode": "ANY", "allowed_function_names": [choice]}


def _turn(message: Mapping[str, JSON]) -> Turn:
    """A chat message as a turn."""
    parts: tuple[Part, ...] = (*message.get("images", ()), Text(message["content"]))
    if message["role"] == "system":
        return Turn("system", parts)
    return Turn("model" if message["role"] == "assistant" else "user", parts)


def _contents(turns: Sequence[Turn]) -> Iterator[dict[str, Any]]:
    """The conversation but for its system text, which has a place of its own."""
    called: set[str] = set()
    for turn in turns:
        if turn.role == "system":
            continue
        parts = [part for each in turn.parts for part in _parts(each, called)]
        if turn.role == "model":
            called = {part.id for part in turn.parts if isinstance(part, ToolCall)}
        if parts:
            yield {"role": "model" if turn.role == "model" else "user", "parts": parts}


def _parts(part: Part, called: set[str]) -> Iterator[dict[str, Any]]:
    """A part of a turn. Past thoughts are left out, as the model's own template does.

    Args:
        called: the calls of the model's last turn; a result of anything else would be refused, so it is told as text.
    """
    if isinstance(part, Text):
        if part.text:
            yield {"text": part.text}
    elif isinstance(part, Image | Audio):
        yield {"inline_data": {"data": part.data, "mime_type": part.mime_type}}
    elif isinstance(part, ToolCall):
        yield {"function_call": {"id": part.id, "name": part.name, "args": dict(part.arguments)}}
    elif isinstance(part, ToolResult):
        if part.call_id in called:
            response = {"error" if part.is_error else "output": part.content}
            yield {"function_response": {"id": part.call_id, "name": part.name, "response": response}}
        else:
            said = part.content if isinstance(part.content, str) else shown_json(part.content)
            yield {"text": f"{part.name}: {said}"}
