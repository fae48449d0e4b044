"""What the tests of grammars share: the notations, two tools, and the short ways to a matcher and a written call."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import pytest
from gbnf_matcher import Matcher

from gemmagraph.prompts.grammar.calls import Choice, grammar
from gemmagraph.prompts.messages import ToolCall, ToolSpec
from gemmagraph.prompts.notation import notation_named

NOTATIONS = ("function_call", "json", "tool_code", "pythonic", "gemma4", "functiongemma")
PROMPTED = NOTATIONS[:4]
NATIVE = NOTATIONS[4:]
each_notation = pytest.mark.parametrize("notation", NOTATIONS)
in_bulk = pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, 10))])
"""Ten parts of 20 tool sets, one of them every day."""
CITY = {"type": "object", "properties": {"city": {"type": "string"}, "code": {"type": "string", "maxLength": 40}}}
TOOLS = [ToolSpec("get_weather", "", CITY), ToolSpec("get_time", "", CITY)]


@functools.cache
def answers(notation: str, choice: Choice) -> Matcher:
    return matcher(notation, TOOLS, choice)


def matcher(notation: str, tools: Sequence[ToolSpec], choice: Choice, **options: Any) -> Matcher:
    return Matcher(grammar(notation, tools, choice, **options).gbnf)


def written(notation: str, *calls: tuple[str, dict[str, Any]]) -> str:
    return notation_named(notation).write_calls([ToolCall("", name, arguments) for name, arguments in calls])
