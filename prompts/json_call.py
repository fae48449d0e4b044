"""The notation `json`: a call is a JSON object that names its tool.

    {"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}
    {"name": "get_weather", "result": {"sky": "sunny", "temp": 15}}

One object or a list of them, bare or fenced; read with every key that prompts for Gemma use (`function_name`,
`parameters`, `args` …), with single quotes, comments and trailing commas. The form is one of the two that Google's
function-calling guide for Gemma 3 prompts for (ai.google.dev/gemma/docs/capabilities/function-calling).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gemmagraph.prompts import schemas
from gemmagraph.prompts.messages import JSON, ToolCall, ToolResult, ToolSpec
from gemmagraph.prompts.prompted import PromptedReader
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.wording import instructions
from gemmagraph.prompts.writing import escape_marks, json_value


def write_call(name: str, arguments: Mapping[str, JSON]) -> str:
    return json_value({"name": name, "arguments": arguments})


class JsonCall:
    name = "json"

    def declare(self, tools: Toolset) -> str:
        return instructions(self.name, "\n".join(map(_declaration, tools))) if len(tools) else ""

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        return "\n".join(escape_marks(write_call(call.name, call.arguments)) for call in calls)

    def write_results(self, results: Sequence[ToolResult]) -> str:
        return "\n".join(
            json_value({"name": result.name, "error" if result.is_error else "result": result.content})
            for result in results
        )

    def reader(self, tools: Toolset) -> PromptedReader:
        return PromptedReader(tools, write_call, bare="whole")


def _declaration(spec: ToolSpec) -> str:
    return json_value(
        {"name": spec.name, "description": spec.description, "parameters": schemas.flat(spec.parameters)}
    )
