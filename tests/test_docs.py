"""What the pages in `docs/` show is true: their Python runs, their commands print what stands there."""

from __future__ import annotations

import doctest
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
each_page = pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])

KINDS = {"python", "console", "text"}
"""What a fenced block may be: Python with prompts, commands with their output, or nothing that could be run."""


@dataclass(frozen=True)
class Block:
    kind: str
    body: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(each[1], each[2], text.count("\n", 0, each.start()) + 1) for each in found]


def test_there_are_pages_with_something_to_run() -> None:
    assert {"python", "console"} <= {block.kind for page in PAGES for block in blocks(page)}


@each_page
def test_every_block_says_what_it_is(page: Path) -> None:
    assert page.read_text(encoding="utf-8").count("\n```") == 2 * len(blocks(page))
    assert {block.kind for block in blocks(page)} <= KINDS


@each_page
def test_python_shows_what_it_prints(page: Path) -> None:
    """Each block goes on where the one before it ended."""
    names: dict[str, object] = {}
    told: list[str] = []
    for block in blocks(page):
        if block.kind == "python":
            test = doctest.DocTestParser().get_doctest(block.body, names, page.name, str(page), block.line)
            assert test.examples, f"line {block.line}: nothing behind >>>"
            doctest.DocTestRunner(verbose=False).run(test, out=told.append, clear_globs=False)
            names = test.globs
    assert not told, "".join(told)


@each_page
def test_commands_print_what_stands_there(page: Path, tmp_path: Path) -> None:
    """`$ cat FILE` shows a file that the commands after it find; `$ gemmagraph …` is run."""
    command = tmp_path / "bin" / "gemmagraph"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gemmagraph "$@"\n')
    command.chmod(0o755)
    for block in blocks(page):
        if block.kind == "console":
            for asked, shown in commands(block):
                if asked.startswith("cat "):
                    (tmp_path / asked.removeprefix("cat ")).write_text(shown, encoding="utf-8")
                else:
                    assert asked.startswith("gemmagraph "), f"line {block.line}: {asked}"
                    assert printed(asked, tmp_path) == shown, f"line {block.line}: {asked}"


def commands(block: Block) -> list[tuple[str, str]]:
    """The commands of a block, each with what is shown below it."""
    pieces = re.split(r"^\$ (.*)\n", block.body, flags=re.MULTILINE)
    assert pieces[0] == "", f"line {block.line}: a command begins with $"
    return list(zip(pieces[1::2], pieces[2::2], strict=True))


def printed(command: str, place: Path) -> str:
    path = os.pathsep.join([str(place / "bin"), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=place,
        env={**os.environ, "PATH": path},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def numbered(heading: str) -> set[str]:
    text = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^(\d+)\. ", section, re.MULTILINE))


def test_every_point_that_a_case_refers_to_is_explained() -> None:
    explained = {
        *(f"13.{number}" for number in numbered("The contract")),
        *(f"9.{number}" for number in numbered("What goes wrong in the wild")),
        "8",
        "10",
    }
    tables = (ROOT / "tests" / "data").glob("*/cases.jsonl")
    points = {json.loads(line)["point"] for table in tables for line in table.read_text("utf-8").splitlines()}
    assert points - explained == set()
    assert len(numbered("The contract")) == 18
