"""Tools from files and modules: what is taken, and what is said when there is nothing to take."""

import sys
from pathlib import Path

import pytest

from gemmagraph.tools.errors import ToolDefinitionError
from gemmagraph.tools.files import load_python_tools

GOOD = '''
from dataclasses import dataclass
from math import sqrt
from gemmagraph import tool
from neighbour import borrowed, helper

@dataclass
class Place:
    name: str

@tool(read_only=True, name="marked")
def _hidden(x: int) -> int:
    """Marked as a tool."""
    return x

def plain(place: Place) -> str:
    """A function."""
    return helper(place.name)

async def later() -> str:
    """An async function."""
    return "now"

def _private() -> None:
    """No tool."""

nameless = lambda: 1
marked = _hidden
'''
NEIGHBOUR = '''
from gemmagraph import tool

def helper(text: str) -> str:
    return text.upper()

@tool
def borrowed() -> str:
    """A tool from elsewhere."""
    return "borrowed"
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    (tmp_path / "neighbour.py").write_text(NEIGHBOUR)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def test_tools_and_public_functions_of_the_file_are_taken(folder: Path) -> None:
    (folder / "good.py").write_text(GOOD)
    path = list(sys.path)
    tools = {tool.name: tool for tool in load_python_tools(folder / "good.py")}
    assert set(tools) == {"borrowed", "marked", "plain", "later"}
    assert tools["marked"].read_only
    assert tools["plain"](type("Place", (), {"name": "here"})) == "HERE"
    assert sys.path == path


def test_all_decides_if_there_is_one(folder: Path) -> None:
    (folder / "good.py").write_text(GOOD + '__all__ = ["plain", "_private"]\n')
    assert [tool.name for tool in load_python_tools("good.py")] == ["plain", "_private"]


def test_a_module_is_loaded_by_its_name(folder: Path) -> None:
    (folder / "shelf").mkdir()
    (folder / "shelf" / "good.py").write_text(GOOD)
    assert {tool.name for tool in load_python_tools("shelf.good")} == {"borrowed", "marked", "plain", "later"}


def test_langchain_tools_are_taken(folder: Path) -> None:
    (folder / "lc.py").write_text('from langchain_core.tools import tool\n@tool\ndef count() -> int:\n    "Count."\n')
    assert [tool.name for tool in load_python_tools("lc.py")] == ["count"]


def test_a_file_that_was_changed_is_run_anew(folder: Path) -> None:
    (folder / "mine.py").write_text('def first():\n    "One."\n')
    assert [tool.name for tool in load_python_tools("mine.py")] == ["first"]
    (folder / "mine.py").write_text('def second():\n    "Two."\n')
    assert [tool.name for tool in load_python_tools("mine.py")] == ["second"]


def test_a_file_hides_no_module_of_the_same_name(folder: Path) -> None:
    (folder / "json.py").write_text('import json\ndef dump() -> str:\n    "Dump."\n    return json.__name__\n')
    load_python_tools("json.py")
    assert sys.modules["json"].__file__ != str(folder / "json.py")


@pytest.mark.parametrize(
    ("source", "written", "message"),
    [
        ("bad.py", "def f(\n", "bad.py, line 1: '(' was never closed."),
        (
            "bad.py",
            "import os\nimport no_such_thing\n",
            "bad.py, line 2: needs the package 'no_such_thing'. Install it where gemmagraph is installed.",
        ),
        ("bad.py", "from os import no_such\n", "bad.py, line 1: cannot import name 'no_such' from 'os'"),
        ("bad.py", "x = 1\n\n1 / 0\n", "bad.py, line 3: ZeroDivisionError: division by zero."),
        ("bad.py", "import sys\nsys.exit(3)\n", "bad.py, line 2: SystemExit: 3."),
        ("bad.py", "import worse\n", "worse.py, line 2: KeyError: 'x'."),
        (
            "bad.py",
            'from gemmagraph import tool\n@tool(read_only=True, destructive=True)\ndef f():\n    "F."\n',
            "bad.py, line 2: The tool f is marked both read-only and destructive.",
        ),
        ("bad", "1 / 0\n", "bad.py, line 1: ZeroDivisionError: division by zero."),
        ("bad.py", "x = 1\n", "bad.py has no tools. Write a function with a docstring"),
        ("bad.py", "__all__ = []\ndef f():\n    'F.'\n", "bad.py has no tools."),
        ("bad.py", "__all__ = ['y']\n", "bad.py has no 'y', which its __all__ lists."),
        ("bad.py", "__all__ = ['x']\nx = 5\n", "bad.py: 5 is no tool."),
        ("bda.py", "", "There is no file 'bda.py'. Did you mean 'bad.py'?"),
        ("nothing/bad.py", "", "There is no file 'nothing/bad.py'."),
        ("no.such.module", "", "There is no module 'no.such.module'. A file ends in .py."),
        ("no-such-module", "", "There is no file 'no-such-module'."),
        (".", "", ". is a folder. Name a Python file in it."),
        ("notes.txt", "", "notes.txt is no Python file. Its name must end in .py."),
    ],
)
def test_what_cannot_be_loaded_is_named_by_file_and_line(
    folder: Path, source: str, written: str, message: str
) -> None:
    (folder / "bad.py").write_text(written)
    (folder / "worse.py").write_text("here = {}\nhere['x']\n")
    (folder / "notes.txt").write_text("no code")
    path = list(sys.path)
    with pytest.raises(ToolDefinitionError) as caught:
        load_python_tools(source)
    assert str(caught.value).startswith(message)
    assert sys.path == path
