"""The benchmarks run. What they measure is no test's business: it depends on the machine and its other work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks" / "run.py"


def shown_rows(folder: Path, *groups: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of these groups, each of which is shown."""
    file = folder / "figures.json"
    only = [word for group in groups for word in ("--only", group)]
    command = [sys.executable, str(BENCHMARKS), "--quick", *only, "--json", str(file)]
    shown = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=120).stdout
    found: dict[str, list[dict[str, Any]]] = json.loads(file.read_text(encoding="utf-8"))["rows"]
    assert all(row["what"] in shown for rows in found.values() for row in rows)
    assert all((row["met"] in (True, False)) == bool(row["reach"]) for rows in found.values() for row in rows)
    return found


def test_a_group_of_benchmarks_runs_and_shows_its_rows(tmp_path: Path) -> None:
    rows = shown_rows(tmp_path, "reading")["reading"]
    assert len(rows) == 6 * 5
    assert all(row["reach"] for row in rows)


@pytest.mark.long
def test_the_stand_ins_for_servers_are_asked_by_us_and_by_their_own_clients(tmp_path: Path) -> None:
    found = shown_rows(tmp_path, "streaming", "first")
    assert len(found["streaming"]) == 2 * 2 * 4
    assert [row["floor"].split()[0] for row in found["streaming"] if row["reach"]] == ["ollama"] * 2 + ["openai"] * 2
    assert len(found["first"]) == 2 * 2
    assert all({"ollama", "openai"} & row["peers"].keys() for row in found["first"])


@pytest.mark.long
def test_a_real_server_tells_how_much_of_a_prompt_it_read_again(tmp_path: Path) -> None:
    for package in ("gguf", "numpy", "xllamacpp"):
        pytest.importorskip(package, reason=f"{package} is not installed, or has no wheel here")
    rows = shown_rows(tmp_path, "conversation")["conversation"]
    assert len(rows) == 5
    assert all(row["met"] for row in rows)  # tokens, which no machine counts differently
