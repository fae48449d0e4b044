"""What Ollama makes of a request before the model sees it: what it refuses to decode, what it drops, what it shows.

The stand-in `ollama_server.py` records the outcome with each request, so that tests can look at what a model would
have read. Facts: api/types.go and model/renderers of ollama/ollama.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from ollama_answers import RENDERERS, Refused

KEPT = ("anyOf", "type", "items", "description", "enum", "properties", "required")
LENGTH = re.compile(r"[-+]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h))+)")
CONTROL = re.compile(
    r"<(?:start|end)_of_turn>|<(?:start|end)_function_(?:declaration|call|response)>|<escape>|<eos>|<bos>"
    r'|<\|(?:turn|tool|tool_call|tool_response|channel|think|")\|?>|<(?:turn|tool|tool_call|tool_response|channel)\|>'
)
"""Tokens that the engine does not print unless a parser of the server asks for them; in raw mode none does."""


def decoded(asked: dict[str, Any]) -> dict[str, Any]:
    """What the model is shown of tools and results: `tools`, by name; `results`, as pairs of name and text.

    Raises:
        Refused: the server cannot decode the request.
    """
    seconds(asked.get("keep_alive"))
    wanted = asked.get("format")
    if not (wanted in (None, "", "json") or isinstance(wanted, dict)):
        raise Refused(400, f'invalid format: {wanted!r}; expected "json" or a valid JSON Schema object')
    messages = asked.get("messages") or []
    for message in messages:
        message["role"] = message["role"].lower()
        for image in message.get("images") or ():
            decode_image(image)
        for call in message.get("tool_calls") or ():
            if not isinstance(call["function"].get("arguments"), dict):
                kind = type(call["function"].get("arguments")).__name__
                raise Refused(
                    400, f"json: cannot unmarshal {kind} into field .messages.tool_calls.function.arguments"
                )
    renderer = RENDERERS.get(asked["model"], "")
    tools = [kept_of_tool(tool) for tool in asked.get("tools") or ()]
    return {
        "tools": {tool["name"]: plain(tool) if renderer == "functiongemma" else tool for tool in tools},
        "results": list(results(messages, renderer)),
    }


def decode_image(image: str) -> None:
    try:
        base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "illegal base64 data at input byte 0") from None


def seconds(keep_alive: Any) -> float:
    """How long a model stays in memory: five minutes if nobody says.

    Raises:
        Refused: it is no length of time.
    """
    if keep_alive is None:
        return 300.0
    if isinstance(keep_alive, int | float) and not isinstance(keep_alive, bool):
        return float(keep_alive)
    if not isinstance(keep_alive, str) or not LENGTH.fullmatch(keep_alive):
        raise Refused(400, f'time: invalid duration "{keep_alive}"')
    return 0.0 if re.fullmatch(r"[-+]?0(\.0*)?[a-zµ]*", keep_alive) else 300.0


def kept_of_tool(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool["function"]
    parameters = function.get("parameters") or {}
    properties = parameters.get("properties") or {}
    return {
        "name": function["name"],
        "description": function.get("description", ""),
        "properties": {name: kept(part) for name, part in properties.items()},
        "required": parameters.get("required") or [],
    }


def kept(part: dict[str, Any]) -> dict[str, Any]:
    """A parameter without the keywords that have no field on the server; what stands in `items` is kept whole."""
    found = {key: value for key, value in part.items() if key in KEPT}
    if "properties" in found:
        found["properties"] = {name: kept(inner) for name, inner in found["properties"].items()}
    return found


def plain(tool: dict[str, Any]) -> dict[str, Any]:
    """What FunctionGemma's renderer writes of a tool."""
    shown = {}
    for name, part in tool["properties"].items():
        kinds = part.get("type") or []
        kinds = [kinds] if isinstance(kinds, str) else kinds
        shown[name] = {"description": part.get("description", ""), "type": (kinds or [""])[0].upper()}
    return {**tool, "properties": shown}


def results(messages: list[dict[str, Any]], renderer: str) -> Any:
    """Results as the renderers name them: FunctionGemma's by their place, the other by id or `tool_name`. Gemma 4's
    passes over those that stand behind no call."""
    calls: list[dict[str, Any]] = []
    place = 0
    for message in messages:
        if message["role"] == "assistant":
            calls, place = message.get("tool_calls") or [], 0
        elif message["role"] != "tool":
            calls = []
        elif renderer == "functiongemma":
            name = calls[place]["function"]["name"] if place < len(calls) else ""
            place += 1
            yield [name, message["content"]]
        elif calls or not renderer:
            by_id = {call.get("id"): call["function"]["name"] for call in calls if call.get("id")}
            name = by_id.get(message.get("tool_call_id")) or message.get("tool_name") or "unknown"
            yield [name, message["content"]]


def parsed(model: str, said: str) -> tuple[str, list[dict[str, Any]]]:
    """The text and the calls that the server's parser finds in what a model wrote, with its known faults: a call
    without its end is lost, and one that FunctionGemma's pattern does not match has no name."""
    if RENDERERS.get(model) != "functiongemma":
        return said, []
    text, calls = "", []
    while (at := said.find("<start_function_call>")) >= 0:
        inside, end, rest = said[at:].removeprefix("<start_function_call>").partition("<end_function_call>")
        text, said = text + said[:at], rest if end else ""
        if not end:
            break
        found = re.match(r"call:([^{]+)\{(.*)\}", inside)
        pairs = re.findall(r"(\w+):(?:<escape>(.*?)<escape>|([^,{}]*))", found[2]) if found else ()
        arguments = {key: quoted or bare for key, quoted, bare in pairs}
        calls.append({"function": {"name": found[1] if found else "", "arguments": arguments}})
    return text + said, calls


def heard(asked: dict[str, Any], reply: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The reply as the server makes it of what the model said: text and calls, each with an id of the server's."""
    text, calls = reply.get("says", reply.get("text", "")), list(reply.get("tool_calls") or ())
    if asked.get("raw"):
        text = CONTROL.sub("", text)
    elif asked.get("tools") and "says" in reply:
        text, calls = parsed(asked["model"], text)
    if asked.get("format") and asked.get("think") is not True:
        calls = []  # the grammar covers the whole reply, so that no call can be written
    named = [
        {"id": f"call_{place:08x}", "function": {"index": place, **call["function"]}}
        for place, call in enumerate(calls)
    ]
    return {**reply, "text": text}, named
