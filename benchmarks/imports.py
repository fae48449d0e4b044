"""What it costs to be there: importing, and showing help."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable

from measure import Effort, Row, in_turns, milliseconds, ratio
from sides import peers

_THIRD_PARTY = """
import importlib.metadata, json, sys
before = set(sys.modules)
import gemmagraph
new = {name.partition(".")[0] for name in set(sys.modules) - before} - {"gemmagraph"}
print(json.dumps(sorted(new & set(importlib.metadata.packages_distributions()))))
"""
_HELP = "import sys; sys.argv = ['gemmagraph', '--help']; from gemmagraph.cli import main; main()"


def rows(effort: Effort) -> list[Row]:
    found = json.loads(_python(_THIRD_PARTY))
    sides = {
        "nothing": "pass",
        "gemmagraph": "import gemmagraph",
        "help": _HELP,
        "langgraph": "import langgraph.graph",
    }
    if peers("create_agent"):
        sides["create_agent"] = "from langchain.agents import create_agent"
    if peers("pydantic-ai"):
        sides["pydantic-ai"] = "from pydantic_ai import Agent"
    if peers("agno"):
        sides["agno"] = "from agno.agent import Agent"
    figures = {name: _cpu(code) for name, code in sides.items()}
    for figure in figures.values():
        figure()  # writes the byte code, and fetches the files from the disk
    rounds = in_turns(figures, max(2, effort.rounds // 5))
    help_to_graph = ratio(rounds, "help", "langgraph")
    others = [name for name in ("create_agent", "pydantic-ai", "agno") if name in rounds]
    return [
        Row(
            "third-party packages loaded by `import gemmagraph`",
            ", ".join(found) or "none",
            reach="none",
            met=not found,
        ),
        Row(
            "`import gemmagraph`",
            milliseconds(rounds["gemmagraph"]),
            f"python alone {milliseconds(rounds['nothing'])}",
            ratio(rounds, "gemmagraph", "nothing"),
        ),
        Row(
            "`gemmagraph --help`",
            milliseconds(rounds["help"]),
            f"`import langgraph.graph` {milliseconds(rounds['langgraph'])}",
            help_to_graph,
            {f"import of {name}": f"{ratio(rounds, name, 'langgraph').median:.2f} x" for name in others},
            "≤ 0.25 x",
            help_to_graph.median <= 0.25,
        ),
    ]


def _python(code: str) -> str:
    # Elsewhere than in the repository, whose folders would be taken for packages.
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            [sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True, env=os.environ
        ).stdout


def _cpu(code: str) -> Callable[[], float]:
    """The figure: CPU seconds of a process of its own that runs `code`."""

    def figure() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _python(code)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)

    return figure
