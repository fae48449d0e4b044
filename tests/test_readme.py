"""The README as a stranger meets it: its Python answers, its first command answers, its links lead somewhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gemmagraph.assistant import load_assistant

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_ten_lines_of_python_answer_without_a_model() -> None:
    found = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert found
    done = ran("-c", found.group(1))
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr


def test_the_file_loads_and_its_tools_are_there(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert found
    (tmp_path / "assistant.yaml").write_text(found.group(1))
    assistant = load_assistant(tmp_path / "assistant.yaml")
    assert [entry.name for entry in assistant.entries] == ["disk_usage", "service_log"]


def test_first_command_answers_from_this_machine() -> None:
    done = ran("-m", "gemmagraph", "run", "--tools", "examples/ops/tools.py", "how full is the disk?")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"/: .* used \(\d+ %\), .* free\n", done.stdout)
    shown = re.search(r"how full is the disk\?\"\n(.*?)```", TEXT, re.DOTALL)
    assert shown
    assert done.stderr.splitlines()[0] == shown.group(1).splitlines()[0]


FILE = """
tools:
  - {name: look, python: "./services.py:look", annotations: {readOnlyHint: true}}
  - {name: restart, python: "./services.py:restart", annotations: {readOnlyHint: false}}
groups: {oncall: ["local:ann", "local:bob"], leads: ["local:bob"]}
policy: [{tool: restart, then: ask, approvers: ["group:oncall", "group:leads"], four_eyes: true}]
"""
SERVICES = """
def look(service: str) -> str:
    'Looks.'
    return "502"


def restart(service: str) -> str:
    'Restarts.'
    return "ok"
"""
SCRIPT = [
    'FUNCTION_CALL: look(service="web")',
    "web has answered 502 for 41 seconds. The last deploy was 12 minutes ago, so it may be the cause.",
    'FUNCTION_CALL: restart(service="web")',
    "web is up again and answers 200 in 34 ms.",
]
TYPED = """\
.as ann
@bot what is wrong with web?
.thread 1
then restart it
.press 4 approve
.as bob
.press 4 approve
"""


@pytest.mark.parametrize("page", ["README.md", "docs/bots/terminal.md"])
def test_the_recording_of_the_bot_at_the_terminal_is_what_stands_there(page: str, tmp_path: Path) -> None:
    shown = re.search(r"```text\n\$ (gemmagraph bot terminal .*)\n((?:.*\n)*?)```", (ROOT / page).read_text("utf-8"))
    assert shown
    (tmp_path / "assistant.yaml").write_text(FILE)
    (tmp_path / "services.py").write_text(SERVICES)
    (tmp_path / "script.jsonl").write_text("".join(f"{json.dumps(reply)}\n" for reply in SCRIPT))
    options = ["--store", "sqlite:///said.db", "-m", "scripted:script.jsonl"]
    done = subprocess.run(
        [sys.executable, "-m", *shown[1].split(), *options],
        cwd=tmp_path,
        input=TYPED,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    varies = r"(?<=You are )\S+|(?<=until )[\d :-]+|(?<=/approve )\w+|(?<=/reject )\w+"
    assert re.sub(varies, "…", done.stdout) == re.sub(varies, "…", shown[2])


def test_links_within_the_repository_lead_somewhere() -> None:
    places = [place for place in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in place]
    assert places
    assert [place for place in places if not (ROOT / place).exists()] == []
