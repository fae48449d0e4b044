"""OpenAI-style JSON, as most software writes it, read as our values: tools and conversations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from gemmagraph.errors import AgentError
from gemmagraph.prompts.messages import JSON, Part, Role, Text, ToolCall, ToolResult, ToolSpec, Turn

_ROLES: Final[Mapping[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "model",
    "model": "model",
    "tool": "tool",
}


def specs_of(tools: JSON) -> list[ToolSpec]:
    """Tool objects, `{"type": "function", "function": {…}}` or just what is inside; None is no tools.

    Raises:
        AgentError: something there is no tool object.
    """
    if tools is None:
        return []
    if not isinstance(tools, list):
        raise AgentError(f'"tools" is {_shown(tools)}, not a list.')
    return [_spec(tool) for tool in tools]


def _spec(tool: JSON) -> ToolSpec:
    said = tool.get("function", tool) if isinstance(tool, dict) else None
    if not isinstance(said, dict) or not isinstance(said.get("name"), str) or not said["name"]:
        raise AgentError(f'A tool needs a "name": {_shown(tool)} has none.')
    parameters = said.get("parameters")
    if parameters is None:
        parameters = {"type": "object", "properties": {}}
    if not isinstance(parameters, dict):
        raise AgentError(f'The "parameters" of {said["name"]!r} are {_shown(parameters)}, not a JSON Schema.')
    return ToolSpec(said["name"], str(said.get("description") or ""), parameters)


def turns_of(messages: JSON) -> list[Turn]:
    """Messages with the roles system, developer, user, assistant, tool.

    Raises:
        AgentError: something there is no such message; its place is named.
    """
    if not isinstance(messages, list) or not messages:
        raise AgentError(f"A conversation is a list of messages, not {_shown(messages)}.")
    turns = []
    names: dict[str, str] = {}
    for number, message in enumerate(messages, 1):
        try:
            turns.append(_turn(message, names))
        except (AttributeError, LookupError, TypeError, ValueError) as exc:
            raise AgentError(
                f"Message {number} cannot be read: {_shown(message)}.",
                hint='It needs a "role" (system, user, assistant, tool) and "content"; an assistant\'s "tool_calls" '
                'need "function" with "name" and "arguments".',
            ) from exc
    return turns


def _turn(message: Mapping[str, JSON], names: dict[str, str]) -> Turn:
    role = _ROLES[message["role"]]
    text = _text(message.get("content"))
    if role == "tool":
        identity = str(message.get("tool_call_id") or "")
        name = message.get("name") or names.get(identity)
        if not name:
            raise ValueError("a result of no call")
        return Turn(role, (ToolResult(identity, str(name), text),))
    parts: list[Part] = [Text(text)] if text else []
    if role == "model":
        for call in _calls(message.get("tool_calls") or []):
            names[call.id] = call.name
            parts.append(call)
    return Turn(role, tuple(parts))


def _calls(written: JSON) -> Iterator[ToolCall]:
    for call in written:
        said = call.get("function", call)
        arguments = said.get("arguments") or {}
        if isinstance(arguments, str):
            arguments = json.loads(arguments)
        if not isinstance(arguments, dict) or not isinstance(said["name"], str):
            raise ValueError("no call")
        yield ToolCall(str(call.get("id") or ""), said["name"], arguments)


def _text(content: JSON) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part if isinstance(part, str) else part["text"] for part in content)


def _shown(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:99] + "…"
