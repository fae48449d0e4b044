"""Calls that a server read out of the model's output itself: checked as ours are before any of them may run."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gemmagraph.backends.base import ServerCall
from gemmagraph.prompts.messages import BadCall, ToolCall
from gemmagraph.prompts.notation import notation_named, read
from gemmagraph.prompts.notations.writing import json_call
from gemmagraph.prompts.reading.literals import WrittenCall
from gemmagraph.prompts.reading.outcomes import Outcomes
from gemmagraph.prompts.toolset import Toolset


def as_text(call: ServerCall) -> str:
    """The call as the notation `json` writes it, with what the server gave."""
    given = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments, ensure_ascii=False)
    return f'{{"name": {json.dumps(call.name, ensure_ascii=False)}, "arguments": {given or "{}"}}}'


def checked(call: ServerCall, tools: Toolset) -> list[ToolCall | BadCall]:
    """What a call comes to: one that may run, one that must not, or nothing where it says that nothing is called."""
    text = as_text(call)
    outcomes = Outcomes(tools, json_call)
    given = call.arguments or {}
    if isinstance(given, Mapping):
        outcome = outcomes.outcome(WrittenCall(call.name, named=dict(given)), text)
        return [outcome] if isinstance(outcome, ToolCall | BadCall) else []
    if isinstance(given, str) and given.lstrip().startswith("{"):
        reply = read(notation_named("json"), text, tools)
        found: list[ToolCall | BadCall] = [*reply.calls, *reply.bad_calls]
        if len(found) == 1:
            return found
    return [outcomes.malformed(text, call.name, "its arguments are no JSON object")]
