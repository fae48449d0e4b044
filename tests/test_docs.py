"""What the pages in `docs/` show is true: Python runs, commands print what stands there, YAML loads."""

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

from gemmagraph.assistant import DEFAULT_FILE, load_assistant

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("**/*.md"))
each_page = pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])

KINDS = {"python", "console", "yaml", "text"}
"""What a fenced block may be: Python with prompts, commands with their output, a whole file of an assistant, or
nothing that could be run."""


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
    assert {"python", "console", "yaml"} <= {block.kind for page in PAGES for block in blocks(page)}


@each_page
def test_every_block_says_what_it_is(page: Path) -> None:
    assert page.read_text(encoding="utf-8").count("\n```") == 2 * len(blocks(page))
    assert {block.kind for block in blocks(page)} <= KINDS


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for place, heading in re.findall(r"\]\((?![a-z]+://)([^)#]*)#?([^)]*)\)", text):
        target = page.parent / place if place else page
        assert target.exists(), place
        assert not heading or heading in headings(target), f"{place}#{heading}"


def headings(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@each_page
def test_python_shows_what_it_prints(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block goes on where the one before it ended. All files that the page shows are there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for block in blocks(page):
        for name, text in files(block):
            (tmp_path / name).write_text(text, encoding="utf-8")
    names: dict[str, object] = {}
    told: list[str] = []
    for block in blocks(page):
        if block.kind == "python":
            test = doctest.DocTestParser().get_doctest(block.body, names, page.name, str(page), block.line)
            assert test.examples, f"line {block.line}: nothing behind >>>"
            doctest.DocTestRunner(verbose=False).run(test, out=told.append, clear_globs=False)
            names = test.globs
    for file in tmp_path.glob("*.py"):
        sys.modules.pop(file.stem, None)
    assert not told, "".join(told)


@each_page
def test_commands_print_what_stands_there_and_files_load(page: Path, tmp_path: Path) -> None:
    """`$ gemmagraph …` is run where the files lie that the page has shown so far: those below a `$ cat FILE`, and the
    blocks of YAML, named in their first line or `assistant.yaml`. `…` stands for what differs between machines."""
    command = tmp_path / "bin" / "gemmagraph"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gemmagraph "$@"\n')
    command.chmod(0o755)
    for block in blocks(page):
        for name, text in files(block):
            (tmp_path / name).write_text(text, encoding="utf-8")
            if block.kind == "yaml":
                load_assistant(tmp_path / name)
        for asked, shown in commands(block) if block.kind == "console" else ():
            if not asked.startswith("cat "):
                assert asked.startswith("gemmagraph "), f"line {block.line}: {asked}"
                found = printed(asked, tmp_path)
                assert fits(found, shown), f"line {block.line}: {asked}\n{found}"


def files(block: Block) -> list[tuple[str, str]]:
    """What a block shows of files: their names and texts."""
    if block.kind == "yaml":
        named = re.match(r"# (\S+\.yaml)\n", block.body)
        return [(named[1] if named else DEFAULT_FILE, block.body)]
    shown = commands(block) if block.kind == "console" else []
    return [(asked.removeprefix("cat "), text) for asked, text in shown if asked.startswith("cat ")]


def fits(found: str, shown: str) -> bool:
    """Whether it is what is shown: `…` alone in a line stands for lines, elsewhere for a part of one."""
    lines = shown.splitlines(keepends=True)
    patterns = ("(?:.*\n)*" if line == "…\n" else re.escape(line).replace("…", ".*") for line in lines)
    return re.fullmatch("".join(patterns), found) is not None


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
    cases = [json.loads(line) for table in tables for line in table.read_text("utf-8").splitlines()]
    points = {case["point"] for case in cases if "point" in case}  # there are other tables than those of outputs
    assert points
    assert points - explained == set()
    assert len(numbered("The contract")) == 18
