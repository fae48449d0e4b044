"""The benchmarks run. What they measure is no test's business: it depends on the machine and its other work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parent.parent / "benchmarks" / "run.py"


def test_a_group_of_benchmarks_runs_and_shows_its_rows(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARKS), "--quick", "--only", "reading", "--json", str(file)]
    shown = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=120).stdout
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]["reading"]
    assert len(rows) == 6 * 5
    assert all(row["what"] in shown for row in rows)
    assert all(row["met"] in (True, False) for row in rows)
