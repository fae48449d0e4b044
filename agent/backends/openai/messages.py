"""Conversations, pictures and tools in the form in which OpenAI-compatible servers take them.

Ids of calls are counted anew: OpenAI takes no long ones, and who asks may have used one twice.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from gemmagraph.backends.base import Request
from gemmagraph.backends.openai.kinds import Body, Kind
from gemmagraph.backends.words import result_text
from gemmagraph.prompts.checking.schemas import standard
from gemmagraph.prompts.messages import JSON, Image, Part, Text, Thought, ToolCall, ToolResult, ToolSpec, Turn

P = TypeVar("P")


def chat_messages(messages: Iterable[Mapping[str, JSON]]) -> list[Body]:
    """Messages of the transport `chat`. Pictures stand in front of the text, as Gemma was trained."""
    return [
        {"role": message["role"], "content": _content([*message.get("images", ()), Text(message["content"])])}
        for message in messages
    ]


def conversation(turns: Sequence[Turn], thoughts: str = "") -> list[Body]:
    """Turns of the transport `tools`.

    A result whose call is not there, such as the reason why a call could not be read, is said by the user: servers
    refuse it as a result. It waits for the other results of the turn, since nothing may stand between them.

    Args:
        thoughts: the field for what the model thought since the user last spoke; "" if there is none.
    """
    written: list[Body] = []
    waiting: dict[str, list[str]] = {}
    """The calls of the last turn that have no result so far: their own ids, and those they are sent with."""
    stray: list[Body] = []
    calls = 0
    asked = max((place for place, turn in enumerate(turns) if turn.role == "user"), default=-1)
    for place, turn in enumerate(turns):
        if turn.role != "tool":
            written += stray
            stray.clear()
        if turn.role == "model":
            numbered = [(f"call_{calls + n}", call) for n, call in enumerate(_parts(turn, ToolCall), 1)]
            calls += len(numbered)
            waiting.clear()
            for number, call in numbered:
                waiting.setdefault(call.id, []).append(number)
            written += _said(turn, numbered, thoughts if place > asked else "")
        elif turn.role != "tool":
            written.append({"role": turn.role, "content": _content(turn.parts)})
        for result in _parts(turn, ToolResult):
            text = result_text(result)
            if numbers := waiting.get(result.call_id):
                written.append({"role": "tool", "tool_call_id": numbers.pop(0), "name": result.name, "content": text})
            else:
                stray.append({"role": "user", "content": text})
    return written + stray


def offer(request: Request, kind: Kind) -> Body:
    """The tools that are declared, and whether one has to be called, as far as the server knows words for that."""
    choice, specs = request.tool_choice, list(request.tools)
    is_name = choice not in ("auto", "required", "none")
    if is_name and kind.tool_choice != "objects":
        specs = [spec for spec in specs if spec.name == choice]
    if not specs or (choice == "none" and kind.tool_choice == ""):
        return {}
    body: Body = {"tools": [_declared(spec) for spec in specs]}
    if kind.tool_choice == "objects" and is_name:
        body["tool_choice"] = {"type": "function", "function": {"name": choice}}
    elif kind.tool_choice and choice != "auto":
        body["tool_choice"] = "required" if is_name else choice
    return body


def _declared(spec: ToolSpec) -> Body:
    function = {"name": spec.name, "description": spec.description, "parameters": standard(spec.parameters)}
    return {"type": "function", "function": function}


def _said(turn: Turn, calls: Sequence[tuple[str, ToolCall]], thoughts: str) -> list[Body]:
    """What the model said, if that is anything."""
    thought = "\n".join(part.text for part in _parts(turn, Thought)) if thoughts else ""
    if not (turn.text or calls):
        return []
    message: Body = {"role": "assistant", "content": turn.text or None}
    if thought:
        message[thoughts] = thought
    if calls:
        message["tool_calls"] = [
            {
                "id": number,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments), ensure_ascii=False)},
            }
            for number, call in calls
        ]
    return [message]


def _content(parts: Sequence[Part]) -> str | list[Body]:
    """Text alone, or the parts of it if there are pictures between."""
    if not any(isinstance(part, Image) for part in parts):
        return "".join(part.text for part in parts if isinstance(part, Text))
    return [_part(part) for part in parts if isinstance(part, Image) or (isinstance(part, Text) and part.text)]


def _part(part: Image | Text) -> Body:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    data = base64.b64encode(part.data).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:{part.mime_type};base64,{data}"}}


def _parts(turn: Turn, kind: type[P]) -> list[P]:
    return [part for part in turn.parts if isinstance(part, kind)]
