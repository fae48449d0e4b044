"""gemmagraph beside the bare LangGraph loop and other frameworks: `python benchmarks/run.py`.

Measures with the packages at hand and says which peers are missing; `--venv FOLDER` installs all of them there first.
Everything is measured in turns within one process, and ratios are of CPU time where nothing else is said. Models are
scripted and answer without delay, so what is seen is the framework alone. Where servers are asked, each is a process
of its own: the stand-ins of the tests, and a real llama.cpp with a tiny model.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import calling
import conversation
import durable
import first
import grammar
import imports
import loading
import making
import parallel
import ranking
import reading
import rendering
import sides
import steps
import streaming
from measure import FULL, QUICK, Effort, Row

GROUPS: dict[str, Callable[[Effort], list[Row]]] = {
    "steps": steps.rows,
    "durable": durable.rows,
    "making": making.rows,
    "parallel": parallel.rows,
    "ranking": ranking.rows,
    "calling": calling.rows,
    "loading": loading.rows,
    "reading": reading.rows,
    "rendering": rendering.rows,
    "grammar": grammar.rows,
    "streaming": streaming.rows,
    "first": first.rows,
    "conversation": conversation.rows,
    "imports": imports.rows,
}
_COLUMNS = ("what", "ours", "beside", "ratio: median (least-most)", "others", "to reach", "met")
_ROOT = Path(__file__).parent.parent


def main() -> int:
    options = _options()
    if options.venv:
        return _in_venv(options.venv)
    begun = time.monotonic()
    _show_versions()
    found: dict[str, list[Row]] = {}
    for group in options.only or GROUPS:
        found[group] = GROUPS[group](QUICK if options.quick else FULL)
    print(_table([row for rows in found.values() for row in rows]))
    print(f"\n{time.monotonic() - begun:.0f} s")
    if options.json:
        _write_json(options.json, found)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less than a minute; for a first look")
    parser.add_argument("--only", action="append", choices=GROUPS, help="one group of rows; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    parser.add_argument("--venv", type=Path, metavar="FOLDER", help="install everything there, and measure with it")
    return parser.parse_args()


def _in_venv(folder: Path) -> int:
    """Does the same in an environment of its own."""
    python = folder.absolute() / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, "-r", str(_ROOT / "benchmarks" / "requirements.txt")], check=True)
    subprocess.run([*install, "--no-deps", "-r", str(_ROOT / "benchmarks" / "readers.txt")], check=True)
    subprocess.run([*install, "-e", str(_ROOT), "--config-settings", "editable_mode=strict"], check=True)
    given = [word for word in sys.argv[1:] if not word.startswith("--venv") and word != str(folder)]
    return subprocess.run([str(python), __file__, *given], env={**os.environ, "PYTHONPATH": ""}).returncode


def _show_versions() -> None:
    installed = sides.versions()
    known = ", ".join(f"{name} {version}" for name, version in installed.items() if version)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores; {known}")
    missing = [name for name, version in installed.items() if not version]
    if missing:
        print(f"Not installed, so not compared: {', '.join(missing)} (pip install -r benchmarks/requirements.txt)")
    print()


def _table(rows: Sequence[Row]) -> str:
    lines = [_COLUMNS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
    )


def _cells(row: Row) -> tuple[str, ...]:
    others = ", ".join(f"{name} {figure}" for name, figure in row.peers.items())
    met = "" if row.met is None else "yes" if row.met else "NO"
    return (row.what, row.ours, row.floor, str(row.ratio or ""), others, row.reach, met)


def _write_json(file: Path, found: dict[str, list[Row]]) -> None:
    content = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "versions": sides.versions(),
        "rows": {group: [asdict(row) for row in rows] for group, rows in found.items()},
    }
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
