"""The native notations, `gemma4` and `functiongemma`: one grammar, two spellings of its marks.

    <|tool_call>call:get_weather{city:<|"|>Paris<|"|>,days:3}<tool_call|>
    <|tool_response>response:get_weather{sky:<|"|>sunny<|"|>,temp:15}<tool_response|>

    <start_function_call>call:get_weather{city:<escape>Paris<escape>,days:3}<end_function_call>
    <start_function_response>response:get_weather{sky:<escape>sunny<escape>,temp:15}<end_function_response>

Nothing stands between two calls, or between calls and their results. Texts have no escapes: one that holds a mark is
written as JSON text. What a text without its delimiters can mean in two ways is refused, and nothing is evaluated.
Sources: ai.google.dev/gemma/docs/core/prompt-formatting-gemma4,
ai.google.dev/gemma/docs/functiongemma/formatting-and-best-practices.
"""

from __future__ import annotations

from collections.abc import Sequence

from gemmagraph.prompts.messages import ToolCall, ToolResult
from gemmagraph.prompts.native import declaration as native_declaration
from gemmagraph.prompts.native import writing as native_writing
from gemmagraph.prompts.native.marks import FUNCTIONGEMMA, GEMMA4, Marks
from gemmagraph.prompts.native.reader import NativeReader
from gemmagraph.prompts.toolset import Toolset


class _Native:
    """What both notations do alike."""

    def __init__(self, marks: Marks) -> None:
        self.name = marks.name
        self.turns: str | None = marks.name
        self._marks = marks

    def declare(self, tools: Toolset) -> str:
        return native_declaration.declare(self._marks, tools)

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        return native_writing.write_calls(self._marks, calls)

    def write_results(self, results: Sequence[ToolResult]) -> str:
        return native_writing.write_results(self._marks, results)

    def reader(self, tools: Toolset) -> NativeReader:
        return NativeReader(self._marks, tools, native_writing.show_call)


class Gemma4(_Native):
    def __init__(self) -> None:
        super().__init__(GEMMA4)


class FunctionGemma(_Native):
    def __init__(self) -> None:
        super().__init__(FUNCTIONGEMMA)
