"""What stands below `bots:` in a file, as bots take it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gemmagraph.assistant import load_assistant
from gemmagraph.bots.declared import adapter_of, platform_of, rooms_of
from gemmagraph.bots.serving import Serving
from gemmagraph.errors import AgentError

OWN = """
class Pigeons:
    platform = "post"

    def __init__(self, keys):
        self.keys = dict(keys)
"""
FILE = """
model: ollama:gemma3:1b
bots:
  pigeons: {adapter: "ADAPTER", channels: {loft: }, wings: 2}
"""


def written(folder: Path, adapter: str) -> Path:
    (folder / "own_pigeons.py").write_text(OWN, "utf-8")
    (folder / "assistant.yaml").write_text(FILE.replace("ADAPTER", adapter), "utf-8")
    return folder / "assistant.yaml"


def test_an_adapter_of_ones_own_may_lie_beside_the_file(tmp_path: Path) -> None:
    before = [*sys.path]
    serving = Serving(written(tmp_path, "own_pigeons:Pigeons"), store=tmp_path / "bots.db")
    assert serving.services[0].adapter.keys == {"wings": 2}  # type: ignore[attr-defined]
    assert sys.path == before
    assistant = load_assistant(tmp_path / "assistant.yaml")
    assert platform_of(assistant, "pigeons") == "post"
    assert rooms_of(assistant, "pigeons").person("7") == "post:7"
    del sys.modules["own_pigeons"]


@pytest.mark.parametrize("adapter", ["no_such_module_anywhere:Pigeons", "own_pigeons:Doves"])
def test_one_that_is_not_there_is_named_with_its_line(tmp_path: Path, adapter: str) -> None:
    with pytest.raises(AgentError, match=rf"assistant\.yaml:4:.*{adapter}"):
        adapter_of(load_assistant(written(tmp_path, adapter)), "pigeons")
    sys.modules.pop("own_pigeons", None)
