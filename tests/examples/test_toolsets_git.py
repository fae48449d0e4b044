"""git.yaml, by what git itself says of a real repository afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gemmagraph import Agent, Approve, Gemma, Reject
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.prompts.errors import InvalidArguments

if TYPE_CHECKING:
    from conftest import Toolset, Toolsets

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")

WRITING = {"git_new_branch", "git_add", "git_commit"}


class Repository:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Ann")
        self.git("config", "user.email", "ann@example.org")
        self.write("README", "hello\n")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message=Say hello")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, check=True, capture_output=True, text=True, timeout=30
        )
        return done.stdout.strip()

    def write(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(text)
        return self.folder / name

    @property
    def state(self) -> str:
        """All that git knows, but for what stands in files that were not added."""
        return (
            self.git("for-each-ref") + self.git("ls-files", "--stage") + self.git("rev-parse", "--abbrev-ref", "HEAD")
        )


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setenv("HOME", str(tmp_path))  # nobody's own settings
    made = Repository(tmp_path / "work")
    monkeypatch.chdir(made.folder)
    return made


@pytest.fixture
def git(toolsets: Toolsets, repository: Repository) -> Toolset:
    return toolsets("git")


def test_only_what_changes_the_repository_asks(git: Toolset) -> None:
    assert git.asking == WRITING
    assert {name for name, tool in git.items() if tool.read_only} == git.keys() - WRITING


def test_a_change_is_seen_added_and_committed(git: Toolset, repository: Repository) -> None:
    repository.write("README", "hello\nworld\n")
    repository.write("-n", "an awkward name")
    assert git.told("git_status").splitlines() == ["## main", " M README", "?? -n"]
    assert "+world" in git.told("git_diff", path="README")
    git.told("git_new_branch", name="fix/awkward")
    git.told("git_add", paths=["README", "-n"])
    git.told("git_commit", message="Greet the world\n\n--amend, he said")
    assert repository.git("log", "--format=%an %s|%b", "-1") == "Ann Greet the world|--amend, he said"
    assert repository.git("rev-parse", "--abbrev-ref", "HEAD", "HEAD~1").splitlines()[0] == "fix/awkward"
    assert repository.git("ls-files").splitlines() == ["-n", "README"]
    assert repository.git("rev-list", "--count", "HEAD") == "2"
    assert "+world" in git.told("git_show", commit="HEAD")
    assert "+world" in git.told("git_diff", since="main")
    branches = [line.rpartition("  ")[0].strip() for line in git.told("git_branches").splitlines()]
    assert sorted(branches) == ["* fix/awkward", "main"]


def test_the_log_is_searched_by_text_and_by_file(git: Toolset, repository: Repository) -> None:
    for number in (1, 2):
        repository.write(f"{number}.txt", "x")
        repository.git("add", ".")
        repository.git("commit", "--quiet", f"--message=Add [file] {number}")

    def log(**arguments: object) -> list[str]:
        return [line.partition(": ")[2] for line in git.told("git_log", **arguments).splitlines()]

    assert log() == ["Add [file] 2", "Add [file] 1", "Say hello"]
    assert log(count=1) == ["Add [file] 2"]
    assert log(text="ADD [F") == ["Add [file] 2", "Add [file] 1"]
    assert log(path="1.txt") == ["Add [file] 1"]


def test_nothing_to_commit_is_said_in_words(git: Toolset, repository: Repository) -> None:
    before = repository.state
    assert git.refused("git_commit", message="Nothing").startswith("There is nothing to commit, or a hook refused.")
    assert repository.state == before


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("git_show", {"commit": "--output=stolen"}),
        ("git_show", {"commit": "HEAD --output=stolen"}),
        ("git_show", {"commit": "-O/etc/passwd"}),
        ("git_show", {"commit": "HEAD\n--output=stolen"}),
        ("git_diff", {"since": "--output=stolen"}),
        ("git_diff", {"since": "--no-index"}),
        ("git_diff", {"since": "--ext-diff"}),
        ("git_new_branch", {"name": "--orphan"}),
        ("git_new_branch", {"name": "-fmain"}),
        ("git_new_branch", {"name": "x main"}),
    ],
)
def test_a_value_that_is_no_revision_is_refused(
    git: Toolset, repository: Repository, name: str, arguments: dict[str, str]
) -> None:
    before = repository.state
    with pytest.raises(InvalidArguments):
        git.run(name, **arguments)
    assert repository.state == before
    assert not (repository.folder / "stolen").exists()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("git_diff", {"path": "--output=stolen"}),
        ("git_diff", {"path": "/etc/passwd"}),
        ("git_diff", {"path": "../secret"}),
        ("git_log", {"path": "--output=stolen"}),
        ("git_log", {"text": "--output=stolen"}),
        ("git_add", {"paths": ["--all"]}),
        ("git_add", {"paths": ["../secret"]}),
        ("git_add", {"paths": [":/"]}),
        ("git_add", {"paths": ["*"]}),
        ("git_add", {"paths": [".git/config"]}),
        ("git_add", {"paths": ["--pathspec-from-file=/etc/passwd"]}),
        ("git_commit", {"message": "--author=Eve <eve@example.org>"}),
    ],
)
def test_no_value_is_an_option_or_leaves_the_repository(
    git: Toolset, repository: Repository, name: str, arguments: dict[str, str]
) -> None:
    (repository.folder.parent / "secret").write_text("canary")
    repository.write("new", "new")
    before = repository.state
    outcome = git.run(name, **arguments)
    if name == "git_commit":
        assert outcome.status == "error"  # nothing was added
    assert "canary" not in str(outcome.content)
    assert "root:" not in str(outcome.content)
    assert repository.state == before
    assert not (repository.folder / "stolen").exists()


def test_reading_runs_no_program_of_the_repository(git: Toolset, repository: Repository, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    for key in ("core.fsmonitor", "diff.external", "diff.own.command", "diff.own.textconv", "gpg.program"):
        repository.git("config", key, str(program))
    repository.git("config", "log.showSignature", "true")
    repository.git("config", "core.pager", str(program))
    repository.write(".gitattributes", "README diff=own\n")
    repository.write("README", "changed\n")
    git.told("git_status")
    git.told("git_log", count=3)
    assert "+changed" in git.told("git_diff")
    git.told("git_show", commit="HEAD")
    git.told("git_branches")
    assert not ran.exists()
    repository.git("diff")
    assert ran.exists(), "the repository was not as hostile as it should be"


def test_the_status_is_read_without_a_lock(git: Toolset, repository: Repository) -> None:
    readme = repository.write("README", "hello\n")
    index = (repository.folder / ".git" / "index").read_bytes()
    os.utime(readme, (1, 1))  # git would write into its index that it looked
    git.told("git_status")
    assert (repository.folder / ".git" / "index").read_bytes() == index


@pytest.mark.parametrize("decision", [Approve(), Reject("Not today.")], ids=["approved", "rejected"])
def test_a_commit_of_an_agent_is_in_the_log_only_if_approved(
    git: Toolset, repository: Repository, decision: Approve | Reject
) -> None:
    asked = []

    def approve(approval):
        asked.append(approval.tool)
        return decision

    repository.write("note", "x")
    model = ScriptedBackend(
        ['FUNCTION_CALL: git_add(paths=["note"])', 'FUNCTION_CALL: git_commit(message="Add a note")', "Done."]
    )
    with Agent(Gemma(model), list(git.values()), approve=approve) as agent:
        agent.run("Commit the note.")
    committed = isinstance(decision, Approve)
    assert repository.git("log", "-1", "--format=%s") == ("Add a note" if committed else "Say hello")
    assert asked == ["git_add", "git_commit"]


def test_outside_of_a_repository_the_model_is_told_so(
    toolsets: Toolsets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "not a git repository" in toolsets("git").refused("git_status")
