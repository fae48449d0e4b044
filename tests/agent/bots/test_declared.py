"""What stands below `bots:` in a file, as bots take it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from gemmagraph.assistant import load_assistant
from gemmagraph.bots.declared import adapter_of, keys_of, own_keys, rooms_of
from gemmagraph.bots.serving import Serving
from gemmagraph.errors import AgentError

OWN = """
from gemmagraph.bots.base import Traits


class Pigeons:
    platform = "pigeons"

    def __init__(self, keys):
        self.keys = dict(keys)
        self.traits = Traits(most=100)

    async def listen(self, receiver): ...
    async def send(self, place, blocks, key, choices=()): ...
    async def edit(self, place, message, blocks, choices=()): ...
    async def find(self, place, key): ...
    async def fetch(self, file, most): ...
    def length(self, blocks): ...

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


@pytest.mark.parametrize("adapter", ["own_pigeons:Pigeons", "./own_pigeons.py:Pigeons"])
def test_an_adapter_of_ones_own_may_lie_beside_the_file(tmp_path: Path, adapter: str) -> None:
    before = [*sys.path]
    serving = Serving(written(tmp_path, adapter), store=tmp_path / "bots.db")
    assert serving.services[0].adapter.keys == {"wings": 2}  # type: ignore[attr-defined]
    assert sys.path == before
    assistant = load_assistant(tmp_path / "assistant.yaml")
    assert rooms_of(assistant, "pigeons").person("7") == "pigeons:7"
    sys.modules.pop("own_pigeons", None)


@pytest.mark.parametrize("adapter", ["no_such_module_anywhere:Pigeons", "own_pigeons:Doves", "./pigeons.py:Pigeons"])
def test_one_that_is_not_there_is_named_with_its_line(tmp_path: Path, adapter: str) -> None:
    with pytest.raises(AgentError, match=rf"assistant\.yaml:4:.*{adapter}"):
        adapter_of(load_assistant(written(tmp_path, adapter)), "pigeons")
    sys.modules.pop("own_pigeons", None)


def test_the_name_in_the_file_is_the_one_that_ids_begin_with(tmp_path: Path) -> None:
    path = written(tmp_path, "./own_pigeons.py:Pigeons")
    path.write_text(path.read_text("utf-8").replace("pigeons: {", "birds: {"), "utf-8")
    with pytest.raises(AgentError, match=r"yaml:4:.* 'birds', and the `platform` of its adapter .* is 'pigeons'"):
        Serving(path, store=tmp_path / "bots.db")


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("async def send(", "the adapter ./own_pigeons.py:Pigeons has no send."),
        ("self.traits =", "the adapter has no `traits`."),
    ],
)
def test_what_an_adapter_lacks_is_named_before_it_is_started(tmp_path: Path, lost: str, said: str) -> None:
    path = written(tmp_path, "./own_pigeons.py:Pigeons")
    own = OWN.replace(lost, lost.replace("send", "say").replace("traits", "most"))
    (tmp_path / "own_pigeons.py").write_text(own, "utf-8")
    with pytest.raises(AgentError, match=re.escape(said)):
        Serving(path, store=tmp_path / "bots.db")


def test_secrets_are_filled_in_wherever_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_THIS_TEST", "key-of-this-test")
    path = written(tmp_path, "./own_pigeons.py:Pigeons")
    own = 'wings: {left: "{{ secrets.key }}", right: [1, "{{ secrets.key }}"]}'
    text = path.read_text("utf-8").replace("wings: 2", own)
    path.write_text(f"secrets: {{key: {{env: KEY_OF_THIS_TEST}}}}\n{text}", "utf-8")
    adapter: Any = Serving(path, store=tmp_path / "bots.db").services[0].adapter
    assert adapter.keys == {"wings": {"left": "key-of-this-test", "right": [1, "key-of-this-test"]}}


def test_a_folder_for_keys_is_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    said = "{homeserver: 'https://m.example', token: t, keys_folder: keys, channels: {}}"
    (tmp_path / "assistant.yaml").write_text(f"bots: {{matrix: {said}}}\n")
    assistant = load_assistant(tmp_path / "assistant.yaml")
    assert own_keys(assistant, "matrix", keys_of(assistant, "matrix"))["keys_folder"] == str(tmp_path / "keys")
