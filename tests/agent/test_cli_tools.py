"""`gemmagraph tools show`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gemmagraph.cli import main
from gemmagraph.prompts.notation import notation_named, notation_names
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.tools import to_tools
from gemmagraph.tools.files import load_python_tools

TOOLS = '''
from gemmagraph import tool

@tool(read_only=True)
def look(at: str, times: int = 1) -> str:
    """Look at something."""
    return at

@tool(destructive=True, idempotent=True)
def delete(path: str) -> str:
    """Delete a file.\\x1b[31m"""
    return path
'''


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "kit.py"
    path.write_text(TOOLS)
    return str(path)


def ran(*args: str) -> str:
    result = CliRunner().invoke(main, ["tools", "show", *args])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_each_tool_is_shown_with_what_it_may_do(file: str) -> None:
    assert ran("--tools", file).splitlines() == [
        "look(at: string, times: integer = 1)",
        "  Look at something.",
        "  read only",
        "",
        "delete(path: string)",
        "  Delete a file.\\u001b[31m",
        "  idempotent · destructive · asks a person (delete is marked destructive)",
    ]


def test_costs_add_up_to_what_the_model_is_shown(file: str) -> None:
    costs = json.loads(ran("--tools", file, "--cost", "--json"))
    declared = Toolset(tool.spec for tool in to_tools([load_python_tools(file)]))
    assert set(costs["characters"]) == set(notation_names())
    for name, cost in costs["characters"].items():
        each = [tool["characters"][name] for tool in costs["tools"]]
        assert min(each) > 20
        assert cost["once"] + sum(each) == cost["total"] == len(notation_named(name).declare(declared))


def test_costs_are_a_table_with_a_column_for_each_notation(file: str) -> None:
    table = ran("--tools", file, "--cost").split("\n\n")[-1].splitlines()
    assert table[0].split()[-len(notation_names()) :] == notation_names()
    assert [line.split("  ")[0].strip() for line in table[1:]] == [
        "look",
        "delete",
        "once",
        "together",
    ]
    assert len({len(line) for line in table}) == 1


def test_tools_must_be_named() -> None:
    result = CliRunner().invoke(main, ["tools", "show"])
    assert result.exit_code == 2
    assert "--tools FILE.py" in result.output
