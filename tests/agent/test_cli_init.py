"""`gemmagraph init`: what it writes works on this machine."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gemmagraph.assistant import load_assistant
from gemmagraph.cli import main

NOWHERE = "127.0.0.1:1"
"""Nothing listens there."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OLLAMA_HOST", NOWHERE)


def cli(*args: str) -> Result:
    return CliRunner().invoke(main, args)


def test_what_it_writes_loads_passes_its_tests_and_answers(tmp_path: Path) -> None:
    done = cli("init")
    assert done.exit_code == 0, done.output
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["assistant.yaml", "ops.py"]
    *_, matcher, next_command = done.stdout.splitlines()
    assert matcher == "No Ollama answers, so ollama:gemma3:4b cannot be asked yet. Without a model:"
    command = re.fullmatch(r'Next: gemmagraph (run -m builtin) "(.*)"', next_command)
    names = {entry.name for entry in load_assistant().entries}
    assert {"disk_usage", "memory_usage", "uptime"} <= names
    assert f"assistant.yaml: {', '.join(entry.name for entry in load_assistant().entries)}" in done.stdout

    tested = cli("tools", "test", "--live")
    assert tested.exit_code == 0, tested.output
    assert tested.stdout.count("called, ") == len(names)

    answered = cli(*command[1].split(), command[2])
    assert answered.exit_code == 0, answered.output
    assert re.fullmatch(r"/: .* of .* used \(\d+ %\), .* free\n", answered.stdout)


def test_the_next_command_runs_from_where_one_is(tmp_path: Path) -> None:
    told = cli("init", "my first").stdout
    command = told.splitlines()[-1].removeprefix("Next: ")
    ours = command.replace("gemmagraph", f"{sys.executable} -m gemmagraph", 1)
    ran = subprocess.run(ours, shell=True, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (ran.returncode, ran.stdout.startswith("/: ")) == (0, True), ran.stderr


@pytest.mark.parametrize("there", ["assistant.yaml", "ops.py"])
def test_nothing_is_overwritten_and_nothing_else_written(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine\n")
    done = cli("init")
    assert done.exit_code == 1
    assert done.stderr == (
        f"Error: {there} is there already. Nothing was written. Name another folder: gemmagraph init FOLDER\n"
    )
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(there, "mine\n")]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = cli("init", "file/folder")
    assert (done.exit_code, done.stderr) == (1, "Error: file/folder cannot be written: Not a directory.\n")


def test_a_gemma_that_is_there_is_the_model(ollama, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", ollama.url)
    done = cli("init")
    assert done.stdout.endswith('\nNext: gemmagraph run "how full is the disk?"\n')
    assert load_assistant().values["model"] == {"name": "ollama:gemma3:4b"}
    ollama.plays("FUNCTION_CALL: uptime()", "Long enough.")
    ran = cli("run", "--json", "how long has it been up?")
    assert json.loads(ran.stdout)["text"] == "Long enough."
    assert [call["name"] for call in json.loads(ran.stdout)["calls"]] == ["uptime"]
