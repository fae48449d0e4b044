"""For tests of the toolsets: a copy of them, loaded as somebody would who uses them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gemmagraph.assistant import Assistant, load_assistant
from gemmagraph.tools import Outcome, Tool, ToolContext, run_sync

EXAMPLES = Path(__file__).parents[2] / "examples"
SETTINGS = ("FILES_ROOT", "SQLITE_DSN", "POSTGRES_DSN", "NOTES_FILE", "API_TOKEN")


class Toolset(dict[str, Tool]):
    """The tools of one file, by name."""

    def run(self, name: str, context: ToolContext | None = None, /, **arguments: Any) -> Outcome:
        """A call as a model makes it, once it may run."""
        tool = self[name]
        return run_sync(tool.run(tool.check(arguments), context))

    def told(self, name: str, context: ToolContext | None = None, /, **arguments: Any) -> Any:
        """What a call that works gives the model."""
        outcome = self.run(name, context, **arguments)
        assert outcome.status == "ok", outcome
        return outcome.content

    def refused(self, name: str, context: ToolContext | None = None, /, **arguments: Any) -> str:
        """What the model is told of a call that does not work."""
        outcome = self.run(name, context, **arguments)
        assert outcome.status == "error", outcome
        return str(outcome.content)

    @property
    def asking(self) -> set[str]:
        """The tools that a person is asked about."""
        return {name for name, tool in self.items() if tool.own_ruling().verdict == "ask"}


Toolsets = Callable[..., Toolset]


@pytest.fixture
def loaded() -> Iterator[Callable[[Path], Toolset]]:
    """`loaded(file)`: the tools of a file."""
    opened: list[Assistant] = []

    def load(file: Path) -> Toolset:
        opened.append(load_assistant(file))
        return Toolset({tool.name: tool for tool in run_sync(opened[-1].open())})

    yield load
    for assistant in opened:
        run_sync(assistant.close())


@pytest.fixture
def toolsets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded: Callable[[Path], Toolset]) -> Toolsets:
    """`toolsets("files", FILES_ROOT="...")`: its tools, from a copy that no other test has."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    folder = copied(tmp_path / "examples")

    def load(name: str, **settings: object) -> Toolset:
        for variable, value in settings.items():
            monkeypatch.setenv(variable, str(value))
        return loaded(folder / f"{name}.yaml")

    return load


def copied(folder: Path) -> Path:
    """The toolsets and what they use, in a folder of their own."""
    for name in ("toolsets", "ops"):
        shutil.copytree(EXAMPLES / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "toolsets"
