"""The notation `function_call`, the default for Gemma 1 to 3n.

    FUNCTION_CALL: get_weather(city="Paris", days=3)
    FUNCTION_RESULT: get_weather
    {"sky": "sunny", "temp": 15}

Any number of calls, one on each line, text around them; values are Python or JSON literals. The form is the one
that Microsoft's edge-AI course teaches for Gemma. Expressions, variables and nested calls are refused: nothing is
ever evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gemmagraph.prompts.checking import schemas
from gemmagraph.prompts.messages import JSON, ToolCall, ToolResult, ToolSpec
from gemmagraph.prompts.notations.prompted import PromptedReader
from gemmagraph.prompts.notations.wording import declared, wording
from gemmagraph.prompts.notations.writing import escape_marks, python_call, shown_json
from gemmagraph.prompts.toolset import Toolset


def write_call(name: str, arguments: Mapping[str, JSON]) -> str:
    return f"FUNCTION_CALL: {python_call(name, arguments)}"


class FunctionCall:
    name = "function_call"
    turns: str | None = None

    def __init__(self) -> None:
        self.wording = wording("function_call")

    def declare(self, tools: Toolset) -> str:
        return declared(self.wording, tools, _declaration, self.write_calls)

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        return "\n".join(escape_marks(write_call(call.name, call.arguments)) for call in calls)

    def write_results(self, results: Sequence[ToolResult]) -> str:
        return "\n".join(map(_result, results))

    def reader(self, tools: Toolset) -> PromptedReader:
        return PromptedReader(tools, write_call, bare="declared")


def _declaration(spec: ToolSpec) -> str:
    parameters = schemas.flat(spec.parameters)
    lines = [f"- {schemas.signature(spec.name, parameters)}"]
    lines += [f"  {line.strip()}" for line in spec.description.splitlines() if line.strip()]
    lines += [f"  {name}: {note}" for name, note in schemas.notes(parameters)]
    return "\n".join(lines)


def _result(result: ToolResult) -> str:
    head = "FUNCTION_ERROR" if result.is_error else "FUNCTION_RESULT"
    content = result.content if isinstance(result.content, str) else shown_json(result.content)
    return f"{head}: {result.name}\n{content if content.strip() else '(empty)'}"
