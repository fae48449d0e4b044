"""The tools that `--tools` names."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

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
