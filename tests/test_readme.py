"""The README as a stranger meets it: its Python answers, its first command answers, its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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


def test_links_within_the_repository_lead_somewhere() -> None:
    places = [place for place in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in place]
    assert places
    assert [place for place in places if not (ROOT / place).exists()] == []
