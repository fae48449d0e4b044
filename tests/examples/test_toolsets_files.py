"""files.yaml, by what is in a real folder afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Toolset, Toolsets

WRITING = {"write_file", "append_to_file", "delete_file"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    (folder / "reports").mkdir(parents=True)
    (folder / "todo.txt").write_text("buy milk\ncall Bob\n")
    (folder / "reports" / "may.txt").write_text("Budget: 100\nSpent: 80\n")
    (folder / ".env").write_text("TOKEN=canary")
    (tmp_path / "outside.txt").write_text("canary")
    (folder / "way-out").symlink_to(tmp_path)
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    return folder


@pytest.fixture
def files(toolsets: Toolsets, folder: Path) -> Toolset:
    return toolsets("files", FILES_ROOT=folder)


def seen(folder: Path) -> dict[str, str]:
    found = (file for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc")
    return {str(file.relative_to(folder)): file.read_text() for file in found}


def test_only_what_changes_files_asks(files: Toolset) -> None:
    assert files.asking == WRITING
    assert {name for name, tool in files.items() if tool.read_only} == files.keys() - WRITING


def test_a_folder_is_listed_without_what_is_hidden_or_leads_out(files: Toolset) -> None:
    assert files.told("list_files").splitlines() == ["reports/", "todo.txt  (18 bytes)"]
    assert files.told("list_files", folder="reports") == "may.txt  (22 bytes)"


def test_a_part_of_a_file_is_read_and_said_to_be_one(files: Toolset) -> None:
    assert files.told("read_file", path="reports/may.txt") == "Budget: 100\nSpent: 80"
    assert files.told("read_file", path="todo.txt", first_line=2) == "call Bob\n[Lines 2 to 2 of 2.]"
    assert "Did you mean 'todo.txt'?" in files.refused("read_file", path="todos.txt")


def test_a_search_names_file_and_line(files: Toolset, folder: Path) -> None:
    (folder / "picture.bin").write_bytes(b"\xff\xfebudget")
    (folder / "reports" / "plan.md").write_text("the budget\n" * 80)
    assert files.told("search_files", text="BUDGET", names="*.txt") == "reports/may.txt, line 1: Budget: 100"
    found = files.told("search_files", text="budget", folder="reports").splitlines()
    assert found[0] == "reports/may.txt, line 1: Budget: 100"
    assert (len(found), found[-1]) == (51, "[These are the first 50; there are more.]")
    assert files.told("search_files", text="canary") == "No file has 'canary'."


def test_written_appended_and_deleted_is_what_the_folder_shows(files: Toolset, folder: Path) -> None:
    files.told("write_file", path="new/deep/a.txt", text="one")
    files.told("append_to_file", path="new/deep/a.txt", text="two")
    files.told("append_to_file", path="b.txt", text="only")
    files.told("write_file", path="todo.txt", text="nothing")
    files.told("delete_file", path="reports/may.txt")
    assert seen(folder) == {
        "new/deep/a.txt": "one\ntwo\n",
        "b.txt": "only\n",
        "todo.txt": "nothing",
        ".env": "TOKEN=canary",
        "link.txt": "canary",
    }


@pytest.mark.parametrize("name", ["read_file", "list_files", "search_files", *sorted(WRITING)])
@pytest.mark.parametrize(
    "path",
    [
        "../outside.txt",
        "reports/../../outside.txt",
        "/etc/passwd",
        "link.txt",
        "way-out/outside.txt",
        "way-out",
        ".env",
        "reports/../.env",
        ".git/hooks/pre-commit",
        "\u200c.git/config",
        "..\\outside.txt",
        "~/x",
        "a\0b",
    ],
)
def test_nothing_outside_and_nothing_hidden_is_reached(files: Toolset, folder: Path, name: str, path: str) -> None:
    before = seen(folder.parent)
    where = "folder" if name in ("list_files", "search_files") else "path"
    more = {"text": "canary"} if "text" in files[name].spec.parameters["properties"] else {}
    outcome = files.run(name, **{where: path}, **more)
    changed = {file: text for file, text in seen(folder.parent).items() if before.get(file) != text}
    if outcome.status == "ok":  # a link is deleted, not what it leads to; `~` is a name like another
        assert (name, path) in {("delete_file", "link.txt"), ("delete_file", "way-out")} or path == "~/x"
        assert changed.keys() <= {"mine/~/x"}
    else:
        assert not changed
    assert (folder.parent / "outside.txt").read_text() == "canary"
    assert "canary" not in str(outcome.content).replace("No file has 'canary'", "")
