"""The notation `pythonic`: one list of Python calls.

    [get_weather(city="Paris", days=3), get_time(city="Rome")]
    {"name": "get_weather", "result": {"sky": "sunny", "temp": 15}}

Alone on its line or lines, text around it; a list in a fence, or a call without the list, is read too. Values are
literals, Python's or JSON's. The form is one of the two that Google's function-calling guide for Gemma 3 prompts for
(ai.google.dev/gemma/docs/capabilities/function-calling), and the one that vLLM's parser `pythonic` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gemmagraph.prompts.messages import JSON, ToolCall, ToolResult
from gemmagraph.prompts.notations.prompted import PromptedReader
from gemmagraph.prompts.notations.wording import declared, wording
from gemmagraph.prompts.notations.writing import escape_marks, json_declaration, json_results, python_call
from gemmagraph.prompts.toolset import Toolset


def write_call(name: str, arguments: Mapping[str, JSON]) -> str:
    return f"[{python_call(name, arguments)}]"


class Pythonic:
    name = "pythonic"
    turns: str | None = None

    def __init__(self) -> None:
        self.wording = wording("pythonic")

    def declare(self, tools: Toolset) -> str:
        return declared(self.wording, tools, json_declaration, self.write_calls)

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        written = ", ".join(escape_marks(python_call(call.name, call.arguments)) for call in calls)
        return f"[{written}]" if written else ""

    def write_results(self, results: Sequence[ToolResult]) -> str:
        return json_results(results)

    def reader(self, tools: Toolset) -> PromptedReader:
        return PromptedReader(tools, write_call, bare="lists")
