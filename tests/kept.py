"""A folder with tools, scripts and stores, and commands in it: for tests of threads that are kept."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gemmagraph.cli import main

TOOLS = '''
from pathlib import Path

from gemmagraph import tool

@tool(destructive=True)
def delete(path: str, times: int = 1) -> str:
    """Delete a file."""
    with Path("deleted.txt").open("a") as done:
        done.write(f"{path} {times}\\n")
    return f"{path} is gone"

@tool(read_only=True)
def look(at: str) -> str:
    """Look at something."""
    return f"{at} is fine"

@tool
def count(to: int) -> str:
    """Count."""
    return "\\n".join(str(number) for number in range(to))
'''
ASSISTANT = """\
model: scripted:script.jsonl
store: sqlite:///shop.db
groups:
  maintainers: [local:bob, local:eve]
tools:
  - name: delete
    python: ./tools.py:delete
    approval: {mode: ask, approvers: ["group:maintainers"], four_eyes: true, expires: 1h}
"""


class Place:
    """The folder. Its user's own store is in it too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tools.py").write_text(TOOLS)

    def declare(self) -> None:
        """From now on there is an assistant.yaml, in which only a maintainer lets a call pass."""
        (self.folder / "assistant.yaml").write_text(ASSISTANT)

    def script(self, *steps: object) -> None:
        (self.folder / "script.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))

    def cli(self, *args: str, stdin: str = "") -> Result:
        return CliRunner().invoke(main, args, input=stdin)

    def plays(self, *args: str, steps: tuple[object, ...], stdin: str = "") -> Result:
        """A command with the tools, and a model that says these steps."""
        self.script(*steps)
        declared = (self.folder / "assistant.yaml").exists()
        return self.cli(*args, *(() if declared else self.options), stdin=stdin)

    options = ("--tools", "tools.py", "-m", "scripted:script.jsonl")

    def json(self, *args: str) -> Any:
        done = self.cli(*args, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def waiting(self) -> list[str]:
        """The ids of what waits."""
        return [approval["id"] for approval in self.json("approvals", "list")["approvals"]]

    @property
    def deleted(self) -> list[str]:
        there = self.folder / "deleted.txt"
        return there.read_text().splitlines() if there.exists() else []

    @property
    def database(self) -> Path:
        """The store that commands find without being told."""
        (found,) = [*self.folder.rglob("agent.db"), *self.folder.rglob("shop.db")]
        return found

    def change(self, statement: str, *values: object) -> None:
        """What another process, or time, would have done to it."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            assert connection.execute(statement, values).rowcount > 0


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return Place(tmp_path)
