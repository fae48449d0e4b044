"""The notation `json`: a call is a JSON object that names its tool.

    {"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}
    {"name": "get_weather", "result": {"sky": "sunny", "temp": 15}}

One object or a list of them, bare or fenced; read with every key that prompts for Gemma use (`function_name`,
`parameters`, `args` …), with single quotes, comments and trailing commas. The form is one of the two that Google's
function-calling guide for Gemma 3 prompts for (ai.google.dev/gemma/docs/capabilities/function-calling).
"""

from __future__ import annotations

from collections.abc import Sequence

from gemmagraph.prompts.messages import ToolCall, ToolResult
from gemmagraph.prompts.notations.prompted import PromptedReader
from gemmagraph.prompts.notations.wording import declared, wording
from gemmagraph.prompts.notations.writing import escape_marks, json_call, json_declaration, json_results
from gemmagraph.prompts.toolset import Toolset


class JsonCall:
    name = "json"
    turns: str | None = None

    def __init__(self) -> None:
        self.wording = wording("json")

    def declare(self, tools: Toolset) -> str:
        return declared(self.wording, tools, json_declaration, self.write_calls)

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        return "\n".join(escape_marks(json_call(call.name, call.arguments)) for call in calls)

    def write_results(self, results: Sequence[ToolResult]) -> str:
        return json_results(results)

    def reader(self, tools: Toolset) -> PromptedReader:
        return PromptedReader(tools, json_call, bare="whole")
