"""MCP servers as they are published in the package index, over stdio: what they do is looked for where they do it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from gemmagraph import Agent, Gemma
from gemmagraph.assistant import load_tools
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.tools.imports.mcp import McpServer, mcp_tools
from gemmagraph.tools.results import Outcome
from gemmagraph.tools.runtime import run_sync
from gemmagraph.tools.tool import Tool

needs_git = pytest.mark.skipif(
    shutil.which("git") is None or find_spec("mcp_server_git") is None,
    reason="needs git and the package mcp-server-git",
)
needs_time = pytest.mark.skipif(find_spec("mcp_server_time") is None, reason="needs the package mcp-server-time")

WAIT = 30.0


def call(tool: Tool, **arguments: Any) -> Outcome:
    async def bounded() -> Outcome:
        async with asyncio.timeout(WAIT):
            return await tool.run(tool.check(arguments))

    return asyncio.run(bounded())


def git(repository: Path, *arguments: str) -> str:
    said = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", *arguments]
    return subprocess.run(
        ["git", *said], cwd=repository, capture_output=True, text=True, check=True, timeout=WAIT
    ).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "Ann")
    git(folder, "config", "user.email", "ann@example.org")
    (folder / "a.txt").write_text("one\n")
    git(folder, "add", "a.txt")
    git(folder, "commit", "-q", "-m", "Begin")
    return folder


@pytest.fixture(scope="module")
def clock() -> Iterator[McpServer]:
    server = McpServer(command=sys.executable, args=["-m", "mcp_server_time", "--local-timezone", "UTC"])
    yield server
    run_sync(server.close())


@needs_git
def test_a_commit_by_a_tool_is_in_the_log_of_the_repository(repository: Path) -> None:
    arguments = ["-m", "mcp_server_git", "--repository", str(repository)]
    found = {tool.name: tool for tool in mcp_tools(command=sys.executable, args=arguments, include=["git_*"])}
    (repository / "a.txt").write_text("one\ntwo\n")
    path = str(repository)
    assert "two" in str(call(found["git_diff_unstaged"], repo_path=path).content)
    assert call(found["git_add"], repo_path=path, files=["a.txt"]).status == "ok"
    assert call(found["git_commit"], repo_path=path, message="Add a line").status == "ok"
    assert git(repository, "log", "--format=%s").split("\n")[:2] == ["Add a line", "Begin"]
    assert "Add a line" in str(call(found["git_log"], repo_path=path).content)
    outcome = call(found["git_log"], repo_path=str(repository.parent))
    assert outcome.status == "error"
    run_sync(found["git_log"].body.close())  # type: ignore[union-attr]  # it has one


@needs_git
def test_a_file_lets_a_model_read_the_log_and_asks_before_a_commit(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "assistant.yaml").write_text(f"""
imports:
  - mcp: {{command: {sys.executable}, args: [-m, mcp_server_git, --repository, {repository}], env: {{}}}}
    include: [git_log, git_commit, "git_diff*"]
    overrides: {{git_log: {{annotations: {{readOnlyHint: true}}}}}}
""")
    found = load_tools(tmp_path / "assistant.yaml")
    assert {"git_log", "git_commit", "git_diff", "git_diff_staged"} <= {tool.name for tool in found}
    (repository / "a.txt").write_text("two\n")
    git(repository, "add", "a.txt")
    steps = [
        f'FUNCTION_CALL: git_commit(repo_path="{repository}", message="Sneak in")',
        f'FUNCTION_CALL: git_log(repo_path="{repository}")',
        "The last commit is Begin.",
    ]
    with ScriptedBackend(steps) as backend, Agent(Gemma(backend), found) as agent:
        result = agent.run("what is new?")
    assert result.text == "The last commit is Begin."
    assert [(record.name, record.status == "ok") for record in result.calls] == [
        ("git_commit", False),
        ("git_log", True),
    ]
    assert git(repository, "log", "--format=%s").split() == ["Begin"]


@needs_time
def test_a_time_is_converted(clock: McpServer) -> None:
    found = {tool.name: tool for tool in run_sync(clock.tools())}
    outcome = call(
        found["convert_time"], source_timezone="Asia/Tokyo", time="12:30", target_timezone="Asia/Kathmandu"
    )
    assert "09:15" in str(outcome.content)


@needs_time
def test_what_it_refuses_is_told(clock: McpServer) -> None:
    found = {tool.name: tool for tool in run_sync(clock.tools())}
    outcome = call(found["get_current_time"], timezone="Moon/Tycho")
    assert outcome.status == "error"
    assert "Moon/Tycho" in str(outcome.content)
