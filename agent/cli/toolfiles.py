"""The tools that `--tools` names, and those of them that a model is not shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

from gemmagraph.agent import offered
from gemmagraph.model import Gemma
from gemmagraph.tools import Tool, to_tools
from gemmagraph.tools.files import load_python_tools


def load_tools(sources: Sequence[str]) -> list[Tool]:
    """The tools of all files and modules. What a file prints while it loads is not our output.

    Raises:
        ToolDefinitionError: a file cannot be loaded or has no tools, or two tools have the same name.
    """
    once = {os.path.realpath(source): source for source in sources}
    with redirect_stdout(sys.stderr):
        return to_tools([load_python_tools(source) for source in once.values()])


def left_out(tools: Sequence[Tool], gemma: Gemma) -> str:
    """What to say of the tools that this model is not shown; empty if it is shown all of them."""
    shown = {tool.name for tool in offered(tools, gemma)}
    kept = [tool.name for tool in tools if tool.name not in shown]
    return f"Left out, as they are not marked read-only: {', '.join(kept)}." if kept else ""
