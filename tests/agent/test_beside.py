"""Paths that stand in a file begin at that file, wherever the program was started."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gemmagraph import Agent
from gemmagraph.assistant import load_tools
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools import ToolDefinitionError
from gemmagraph.tools.declaring import shell_tool

FILE = """
include: [kit/tools.yaml]
secrets: {shop: {env: SHOP_OF_THIS_TEST}}
connections:
  shop: {sql: {dsn: "sqlite:///shop.db"}}
  secret: {sql: {dsn: "{{ secrets.shop }}"}}
tools:
  - {name: named, description: Reads., sql: {connection: shop, statement: SELECT n FROM t}}
  - {name: hidden, description: Reads., sql: {connection: secret, statement: SELECT n FROM t}}
"""
INCLUDED = """
connections: {stock: {sql: {dsn: "sqlite:///shop.db"}}}
tools:
  - {name: included, description: Reads., sql: {connection: stock, statement: SELECT n FROM t}}
  - {name: program, description: Runs., shell: [./say.sh, a], annotations: {readOnlyHint: true}}
  - {name: folder, description: Runs., shell: {argv: [cat, here.txt], cwd: texts}, annotations: {readOnlyHint: true}}
  - {name: current, description: Runs., shell: [pwd], annotations: {readOnlyHint: true}}
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    (home / "kit" / "texts").mkdir(parents=True)
    for number, folder in enumerate((home, home / "kit")):
        with closing(sqlite3.connect(folder / "shop.db")) as shop:
            shop.executescript(f"CREATE TABLE t (n int); INSERT INTO t VALUES ({number});")
    (home / "kit" / "say.sh").write_text('#!/bin/sh\necho "said $1"\n')
    (home / "kit" / "say.sh").chmod(0o755)
    (home / "kit" / "texts" / "here.txt").write_text("here\n")
    (home / "kit" / "tools.yaml").write_text(INCLUDED)
    (home / "assistant.yaml").write_text(FILE)
    monkeypatch.setenv("SHOP_OF_THIS_TEST", "sqlite:///shop.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return home


def told(file: Path, name: str) -> JSON:
    (tool,) = (found.original for found in load_tools(file) if found.name == name)
    return asyncio.run(tool.run({})).content


@pytest.mark.parametrize(
    ("tool", "says"),
    [
        ("named", [{"n": 0}]),
        ("hidden", [{"n": 0}]),
        ("included", [{"n": 1}]),
        ("program", "said a\n"),
        ("folder", "here\n"),
    ],
)
def test_databases_programs_and_folders_are_found_beside_the_file_that_names_them(
    files: Path, tool: str, says: JSON
) -> None:
    assert told(files / "assistant.yaml", tool) == says
    assert told(Path("../home/assistant.yaml"), tool) == says


def test_a_program_runs_in_the_current_folder_unless_another_is_named(files: Path) -> None:
    assert told(files / "assistant.yaml", "current") == f"{Path.cwd()}\n"


def test_a_program_that_is_not_beside_the_file_is_said_as_it_was_written(files: Path) -> None:
    (files / "kit" / "say.sh").unlink()
    with Agent.from_file(files / "assistant.yaml", model="builtin") as agent:
        assert agent.unavailable["program"] == "there is no program ./say.sh"


def test_in_python_a_relative_program_stays_refused() -> None:
    with pytest.raises(ToolDefinitionError, match=r"'./say.sh' is a relative path"):
        shell_tool("say", "Says.", {}, argv=["./say.sh"])


@pytest.mark.parametrize(
    "model",
    [
        "scripted:said.jsonl",
        "{name: 'openai:gemma3:4b', base_url: 'http://127.0.0.1:1/v1', fallback: ['scripted:said.jsonl']}",
    ],
)
def test_a_model_that_is_a_file_is_found_beside_the_file_that_names_it(files: Path, model: str) -> None:
    (files / "said.jsonl").write_text(json.dumps("Hello."))
    (files / "assistant.yaml").write_text(f"model: {model}\n")
    with Agent.from_file(files / "assistant.yaml") as agent:
        assert agent.run("Hi.").text == "Hello."
