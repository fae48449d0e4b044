"""The notation `tool_code`: tools are told as Python functions, calls stand in a fence, one on a line.

    ```tool_code
    get_weather(city="Paris", days=3)
    get_time(city="Rome")
    ```

    ```tool_output
    get_weather returned:
    {"sky": "sunny", "temp": 15}
    ```

Only calls with literals: nothing is run, so there is no other code in it, and `x = get_weather(…)`, whose value
nobody keeps, is refused as well. The words on the fences are those of Google's notebooks for Gemma 3 and of its
runtime for Gemma 3n (github.com/google-gemma/cookbook, github.com/google-ai-edge/LiteRT-LM).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gemmagraph.prompts.messages import ToolCall, ToolResult
from gemmagraph.prompts.notations.prompted import PromptedReader
from gemmagraph.prompts.notations.stubs import stub
from gemmagraph.prompts.notations.wording import declared, wording
from gemmagraph.prompts.notations.writing import escape_marks, python_call, shown_json
from gemmagraph.prompts.toolset import Toolset

_BACKTICKS = re.compile("`{3,}")


class ToolCode:
    name = "tool_code"
    turns: str | None = None

    def __init__(self) -> None:
        self.wording = wording("tool_code")

    def declare(self, tools: Toolset) -> str:
        return declared(self.wording, tools, stub, self.write_calls)

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        lines = [escape_marks(python_call(call.name, call.arguments)) for call in calls]
        return "\n".join(["```tool_code", *lines, "```"]) if lines else ""

    def write_results(self, results: Sequence[ToolResult]) -> str:
        return "\n".join(map(_result, results))

    def reader(self, tools: Toolset) -> PromptedReader:
        return PromptedReader(tools, python_call, bare="declared")


def _result(result: ToolResult) -> str:
    content = result.content if isinstance(result.content, str) else shown_json(result.content)
    outcome = "failed" if result.is_error else "returned"
    said = f"{result.name} {outcome}:\n{content if content.strip() else '(empty)'}"
    # A longer fence than any in the result: nothing in it can close the block.
    fence = "`" * max([2, *map(len, _BACKTICKS.findall(said))])
    return f"{fence}`tool_output\n{said}\n{fence}`"
