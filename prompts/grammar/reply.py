"""A JSON Schema of a whole reply, calls or a final answer, for servers that constrain a model by that alone.

    {"name": "get_weather", "arguments": {"city": "Paris"}}
    [{"name": "get_weather", "arguments": {"city": "Paris"}}, …]
    {"answer": "It is sunny."}

The first two are what the notation `json` reads; `unwrapped` takes the answer out of the third.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from gemmagraph.prompts.checking.schemas import changed, moved, standard
from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.grammar.calls import Choice
from gemmagraph.prompts.messages import JSON, Reply, ToolSpec
from gemmagraph.prompts.toolset import Toolset

_ANSWER: Final = "answer"
_CLOSING: Final = {
    "additionalProperties",
    "unevaluatedProperties",
    "$ref",
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "dependentSchemas",
}


def reply_schema(
    tools: Toolset | Iterable[ToolSpec], choice: Choice = "auto", *, tool: str = "", several: bool = True
) -> dict[str, JSON]:
    """The JSON Schema of a reply.

    Args:
        tools: what may be called.
        choice: whether to call.
        tool: the only tool to call; "" for any.
        several: whether there may be a list of calls.

    Raises:
        NotationError: there is no such tool, or none to call.
    """
    tools = Toolset.of(tools)
    if tool and tool not in tools:
        raise NotationError(f"There is no tool {tool!r}.", hint=f"There are: {', '.join(tools.names)}.")
    callable_ = [tools[tool]] if tool else list(tools)
    if choice == "required" and not callable_:
        raise NotationError("A call is required, but there is no tool.", hint="Give some tools.")
    defs: dict[str, JSON] = {}
    calls = [_call(spec, f"tool{place}", defs) for place, spec in enumerate(callable_)] if choice != "none" else []
    options = list(calls)
    if calls and several:
        options.append({"type": "array", "items": _one_of(calls), "minItems": 1})
    if choice != "required":
        options.append(_object({_ANSWER: {"type": "string"}}))
    whole = _one_of(options)
    return {**whole, "$defs": defs} if defs else whole


def unwrapped(reply: Reply) -> Reply:
    """The reply to such a schema, once read, with the answer itself as its text."""
    try:
        found = json.loads(reply.text)
    except (ValueError, RecursionError):
        return reply
    if not isinstance(found, dict) or found.keys() != {_ANSWER} or not isinstance(found[_ANSWER], str):
        return reply
    return replace(reply, text=found[_ANSWER], repaired=True)


def _call(spec: ToolSpec, name: str, defs: dict[str, JSON]) -> dict[str, JSON]:
    """The schema of a call. Parameters with references go to `defs`, under `name`, and their references with them."""
    parameters = changed(moved(standard(spec.parameters), f"#/$defs/{name}"), _with_null)
    if not _CLOSING & parameters.keys():
        parameters = {"type": "object", **parameters, "additionalProperties": False}
    if '"$ref"' in json.dumps(spec.parameters):
        defs[name] = parameters
        parameters = {"$ref": f"#/$defs/{name}"}
    return _object({"name": {"const": spec.name}, "arguments": parameters})


def _object(properties: dict[str, JSON]) -> dict[str, JSON]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _one_of(options: list[dict[str, JSON]]) -> dict[str, JSON]:
    return options[0] if len(options) == 1 else {"anyOf": options}


def _with_null(schema: dict[str, JSON]) -> dict[str, JSON]:
    """A schema with `nullable` told as JSON Schema tells it."""
    found = {keyword: value for keyword, value in schema.items() if keyword != "nullable"}
    return {"anyOf": [found, {"type": "null"}]} if schema.get("nullable") is True else found
