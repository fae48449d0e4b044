"""The notation `function_call`, the default for Gemma 1 to 3n.

    FUNCTION_CALL: get_weather(city="Paris", days=3)
    FUNCTION_RESULT: get_weather
    {"sky": "sunny", "temp": 15}

Any number of calls, one on each line, text around them; values are Python or JSON literals. The form is the one
that Microsoft's edge-AI course teaches for Gemma. Expressions, variables and nested calls are refused: nothing is
ever evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from gemmagraph.prompts import schemas
from gemmagraph.prompts.messages import JSON, ToolCall, ToolResult, ToolSpec
from gemmagraph.prompts.prompted import PromptedReader
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.wording import instructions
from gemmagraph.prompts.writing import escape_marks, json_value, python_value

_NAME: Final = re.compile(r"[^\W\d]\w{0,63}")
"""A key that may stand bare. Python takes more (letters with combining marks), readers do not."""


def write_call(name: str, arguments: Mapping[str, JSON]) -> str:
    inside = ", ".join(_argument(key, value) for key, value in arguments.items())
    return f"FUNCTION_CALL: {name}({inside})"


class FunctionCall:
    name = "function_call"

    def declare(self, tools: Toolset) -> str:
        return instructions(self.name, "\n".join(map(_declaration, tools))) if len(tools) else ""

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        return "\n".join(escape_marks(write_call(call.name, call.arguments)) for call in calls)

    def write_results(self, results: Sequence[ToolResult]) -> str:
        return "\n".join(map(_result, results))

    def reader(self, tools: Toolset) -> PromptedReader:
        return PromptedReader(tools, write_call, bare="declared")


def _argument(key: str, value: JSON) -> str:
    if _NAME.fullmatch(key):
        return f"{key}={python_value(value)}"
    return f"**{{{python_value(key)}: {python_value(value)}}}"


def _declaration(spec: ToolSpec) -> str:
    parameters = schemas.flat(spec.parameters)
    lines = [f"- {schemas.signature(spec.name, parameters)}"]
    lines += [f"  {line.strip()}" for line in spec.description.splitlines() if line.strip()]
    lines += [f"  {name}: {note}" for name, note in schemas.notes(parameters)]
    return "\n".join(lines)


def _result(result: ToolResult) -> str:
    head = "FUNCTION_ERROR" if result.is_error else "FUNCTION_RESULT"
    content = result.content if isinstance(result.content, str) else json_value(result.content)
    return f"{head}: {result.name}\n{content if content.strip() else '(empty)'}"
