"""Each tool of both examples of the format runs: with real programs and databases, or stand-ins of this machine."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from declared_assistants import call, placed, programs, scripted, told
from recorded import Recorded, Seen, answered, recorded

from gemmagraph import Agent, Approval, Approve, Gemma, Reject, Respond
from gemmagraph.approvals import Decision
from gemmagraph.assistant import load_assistant
from gemmagraph.calls import _REPEATED
from gemmagraph.fallback import Fallback
from gemmagraph.tools.declared.units import Rate
from gemmagraph.tools.imports.mcp import McpServer, pin_of
from gemmagraph.tools.shaping.spill import READER

pytest_plugins = ("postgres",)

if TYPE_CHECKING:
    from postgres import Server

ANN = {"user": "local:ann", "channel": "terminal:here", "context": {"tenant_id": "acme"}}
ORDERS = """
    CREATE TABLE orders
        (tenant text, customer_id int, id int, status text, total numeric(10, 2), created_at timestamp);
    INSERT INTO orders VALUES ('acme', 42, 1, 'open', 12.50, '2026-01-02 03:04:05'),
        ('acme', 42, 2, 'shipped', 3, '2026-01-03 03:04:05'), ('other', 42, 3, 'open', 99, '2026-01-04 03:04:05');
"""
ISSUE = {"number": 7, "html_url": "https://github.example/7", "title": "The page is slow"}
INCIDENT = {"incident": {"name": "Login fails", "status": "resolved", "impact": "minor"}}
MISSING = "no-such-runner-of-servers"
SECRETS = {
    "LLM_KEY": "llm-key-of-this-test",
    "GITHUB_TOKEN": "github-token-of-this-test",
    "STATUSPAGE_KEY": "statuspage-key-of-this-test",
    "SLACK_BOT_TOKEN": "slack-token-of-this-test",
    "SLACK_APP_TOKEN": "slack-app-token-of-this-test",
}


# --- the short one


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", programs(tmp_path / "bin", "journalctl", "systemctl"))
    return placed("short", tmp_path, {})


def test_the_tools_of_the_short_example_run(short: Path) -> None:
    asked: list[Approval] = []

    def approve(approval: Approval) -> Decision:
        asked.append(approval)
        return Approve()

    calls = [
        call("disk_usage"),
        call("service_log", service="web"),
        call("service_log", service="worker", lines=5),
        call("restart_service", service="web"),
    ]
    with Agent.from_file(short, model=scripted("\n".join(calls), "Done."), approve=approve) as agent:
        assert agent.unavailable == {}
        disk, log, more, restarted = told(agent)
    assert disk.endswith("MB used")
    assert log.splitlines()[0] == "journalctl <--unit=web> <--lines=30>"
    assert more.splitlines()[0] == "journalctl <--unit=worker> <--lines=5>"
    assert restarted.splitlines()[0] == "systemctl <restart> <web>"
    assert [one.tool for one in asked] == ["restart_service"]
    assert asked[0].reason.startswith("restart_service is set to 'ask'")


def test_a_service_that_is_not_one_of_ours_is_refused_before_anything_runs(short: Path) -> None:
    model = scripted(call("restart_service", service="--no-block"), "I cannot.")
    with Agent.from_file(short, model=model, approve=lambda approval: Approve()) as agent:
        result = agent.run("Restart it.")
    assert result.calls == ()


# --- the complete one


def answers(seen: Seen) -> bytes:
    """GitHub, and the status page."""
    match seen.method, seen.target.partition("?")[0]:
        case "POST", "/repos/acme/web/issues" | "/repos/acme/infra/issues":
            title = json.loads(seen.body)["title"]
            if title == "Refused title":
                refused = {"message": "Validation Failed", "errors": [{"field": "title"}]}
                return answered(json.dumps(refused), "422 Unprocessable Entity", {"Content-Type": "application/json"})
            return answered(json.dumps(ISSUE), "201 Created", {"Content-Type": "application/json"})
        case "GET", "/v1/pages/p1/incidents/i1":
            return answered(json.dumps(INCIDENT), headers={"Content-Type": "application/json"})
        case "GET", "/v1/pages/p1/incidents":
            return answered(json.dumps([INCIDENT["incident"]]), headers={"Content-Type": "application/json"})
    return answered("{}", "404 Not Found", {"Content-Type": "application/json"})


@pytest.fixture
def service() -> Iterator[Recorded]:
    with recorded(answers) as server:
        yield server


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repo")
    (folder / "page.txt").write_text("slow\n")
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "Serve a slow page"]):
        subprocess.run(["git", *command], cwd=folder, check=True, timeout=20)
    (folder / "page.txt").write_text("fast\n")
    return folder


@pytest.fixture(scope="module")
def git(repository: Path) -> dict[str, Any]:
    """The MCP server of the repository, as a file declares it."""
    pytest.importorskip("mcp_server_git", reason="mcp-server-git is not installed")
    return {"command": sys.executable, "args": ["-m", "mcp_server_git", "--repository", str(repository)]}


@pytest.fixture(scope="module")
def pin(git: dict[str, Any]) -> str:
    async def of_its_tools() -> str:
        async with McpServer(**git, include=["git_log", "git_diff*"]) as server:
            return pin_of(await server.tools())

    return asyncio.run(asyncio.wait_for(of_its_tools(), 60))


@pytest.fixture
def complete(tmp_path: Path, service: Recorded, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The complete example; its orders are in SQLite, and the MCP server is not installed."""
    monkeypatch.setenv("PATH", programs(tmp_path / "bin", "kubectl", "uptime"))
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with closing(sqlite3.connect(tmp_path / "orders.db")) as connection:
        connection.executescript(ORDERS)
    monkeypatch.setenv("ORDERS_DSN", f"sqlite:///{tmp_path / 'orders.db'}")
    auth = 'auth: {header: {name: X-Api-Key, value: "{{ secrets.status_key }}"}}'
    yield placed(
        "complete",
        tmp_path,
        {
            "https://llm.example.org/v1": f"{service.url}/llm",
            "https://api.github.com": service.url,
            auth: f"base_url: {service.url}/v1\n    {auth}",
            "command: uvx": f"command: {MISSING}",
        },
    )
    for module in ("myapp.money", "myapp"):
        sys.modules.pop(module, None)


@pytest.fixture
def with_git(complete: Path, git: dict[str, Any], pin: str) -> Path:
    """The same with the server that reads a repository."""
    text = complete.read_text("utf-8")
    server = f"{{command: {MISSING}, args: [mcp-server-git, --repository, /srv/repo], env: {{}}}}"
    old = "sha256:9f2c41d0a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f7"
    assert server in text
    assert old in text
    complete.write_text(text.replace(server, json.dumps({**git, "env": {}})).replace(old, pin), "utf-8")
    return complete


def run_of(file: Path, *calls: str, **options: Any) -> list[str]:
    asking = options.pop("asking", ANN)
    with Agent.from_file(file, model=scripted("\n".join(calls), "Done."), **options) as agent:
        ((_, reason),) = agent.unavailable.items()
        assert MISSING in reason
        return list(told(agent, **asking))


def decided(file: Path, asked: str, decision: Decision) -> tuple[Approval, str]:
    """What a maintainer was asked on a thread of ann's, and what the model was told of it after the decision."""
    with Agent.from_file(file, model=scripted(asked, "Done.")) as agent:
        (approval,) = agent.run("go", thread="t", **ANN).pending
        result = agent.resume("t", {approval.id: decision}, by="slack:T1/U077")
    (answer,) = [str(message.content) for message in result.messages if message.type == "tool"]
    return approval, answer


def test_the_file_says_all_that_an_agent_is_made_of(complete: Path) -> None:
    assistant = load_assistant(complete)
    assert [entry.name for entry in assistant.entries] == [
        *("convert_currency", "create_issue", "pod_logs", "find_orders", "uptime")
    ]
    assert assistant.bots == ["slack", "terminal"]
    assert assistant.store() == complete.parent / "agent.db"
    assert assistant.limits.rates == {"runs": Rate(30, 60), "tokens": Rate(200_000, 86_400)}
    limits = assistant.limits
    assert (limits.steps, limits.calls, limits.wall_time, limits.tokens, limits.parallel) == (12, 40, 120, 20_000, 4)
    model = assistant.model()
    assert isinstance(model, Fallback)
    first = model.models[0]
    assert isinstance(first, Gemma)
    assert (first.model, first.context, first.max_tokens) == ("gemma-3-27b-it", 8192, 1024)
    assert (first.thinking, first.sampling, first.notation.name) == (False, {"temperature": 0.2}, "json")


def test_the_python_tool_of_the_complete_example_runs_once_for_the_same_question(complete: Path) -> None:
    asked = call("convert_currency", amount=20, base="EUR", quote="JPY")
    with Agent.from_file(complete, model=scripted(asked, asked, "Done.")) as agent:
        assert told(agent, **ANN) == ["3200.0", "3200.0\n" + _REPEATED]
    assert sys.modules["myapp.money"].asked == [(20, "EUR", "JPY")]


def test_the_http_tool_of_the_complete_example_opens_an_issue(complete: Path, service: Recorded) -> None:
    issue = call("create_issue", repo="web", title="The page is slow", labels=["bug"])
    approval, answer = decided(complete, issue, Approve())
    assert answer == "Created #7: https://github.example/7"
    (seen,) = service.requests
    assert (seen.method, seen.target) == ("POST", "/repos/acme/web/issues")
    assert seen.header("Authorization") == f"Bearer {SECRETS['GITHUB_TOKEN']}"
    assert seen.header("Accept") == "application/vnd.github+json"
    assert json.loads(seen.body) == {
        "title": "The page is slow",
        "body": "\n\n_Requested by local:ann_",
        "labels": ["bug"],
    }
    assert approval.reason.startswith("the rule for 'create_issue' says 'ask'")
    assert (approval.approvers, approval.four_eyes) == (("group:maintainers",), True)


def test_a_refusal_of_github_is_told_in_the_words_of_the_file(complete: Path) -> None:
    # For infra, ann needs nobody: she is of the group oncall.
    issue = call("create_issue", repo="infra", title="Refused title")
    assert run_of(complete, issue) == ["GitHub refused the fields: Validation Failed"]


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (Reject("not now"), "Not run: a person refused it: not now"),
        (Respond("It is known."), "It is known."),
    ],
    ids=["rejected", "answered"],
)
def test_an_issue_that_nobody_lets_pass_is_not_opened(
    complete: Path, service: Recorded, decision: Decision, said: str
) -> None:
    issue = call("create_issue", repo="web", title="The page is slow")
    assert decided(complete, issue, decision)[1].startswith(said)
    assert service.requests == []


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed: apt-get install bubblewrap")
def test_the_shell_tool_of_the_complete_example_runs_in_its_sandbox(complete: Path) -> None:
    plain = call("pod_logs", namespace="shop", pod="web-0")
    whole = call("pod_logs", namespace="shop", pod="web-1", container="app", lines=7)
    asks = call("pod_logs", namespace="prod-eu", pod="web-2")
    first, second, third = run_of(complete, plain, whole, asks)
    assert first.splitlines() == [
        "kubectl <logs> <--namespace=shop> <--tail=100> <--> <web-0>",
        "KUBECONFIG=/etc/bot/kubeconfig SECRET=",
    ]
    assert second.startswith("kubectl <logs> <--namespace=shop> <--tail=7> <--container=app> <--> <web-1>")
    assert third.startswith("Not run: the rule for 'pod_logs' says 'ask'")
    assert third.endswith("so a person must approve it, and nobody can be asked here.")


def test_the_sql_tool_of_the_complete_example_finds_the_orders_of_the_tenant(complete: Path) -> None:
    every, opened = run_of(
        complete, call("find_orders", customer=42), call("find_orders", customer=42, status="open")
    )
    assert every.splitlines()[0] == "id | status | total | created_at"
    assert [line.split(" | ")[:2] for line in every.splitlines()[1:]] == [["2", "shipped"], ["1", "open"]]
    assert [line.split(" | ")[0] for line in opened.splitlines()[1:]] == ["1"]


def test_without_a_tenant_nobodys_orders_are_shown(complete: Path) -> None:
    (answer,) = run_of(complete, call("find_orders", customer=42), asking={"user": "local:ann"})
    assert answer == "find_orders cannot be called here: the application gave no {{ context.tenant_id }}."


def test_the_orders_may_be_in_postgresql(complete: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres.rows("CREATE ROLE orders_of_the_shop LOGIN PASSWORD 'correct horse battery'")
    postgres.rows("CREATE DATABASE shop OWNER orders_of_the_shop")
    with postgres.connection("orders_of_the_shop", "shop") as connection:
        connection.execute(ORDERS)
    monkeypatch.setenv("ORDERS_DSN", postgres.dsn("orders_of_the_shop", "shop"))
    (found,) = run_of(complete, call("find_orders", customer=42))
    assert found == (
        "id | status | total | created_at\n2 | shipped | 3.00 | 2026-01-03T03:04:05\n"
        "1 | open | 12.50 | 2026-01-02T03:04:05"
    )
    postgres.rows("DROP DATABASE shop WITH (FORCE)")
    postgres.rows("DROP ROLE orders_of_the_shop")


def test_the_included_file_has_a_tool(complete: Path) -> None:
    (answer,) = run_of(complete, call("uptime"))
    assert answer.startswith("uptime <--pretty>")


def test_the_openapi_tools_of_the_complete_example_ask_the_status_page(complete: Path, service: Recorded) -> None:
    one = call("status_incident", page_id="p1", incident_id="i1")
    every = call("listIncidents", page_id="p1", limit=2)
    details, listed = run_of(complete, one, every)
    assert json.loads(details) == {"name": "Login fails", "state": "resolved"}
    assert json.loads(listed) == [INCIDENT["incident"]]
    assert sorted(service.targets) == ["/v1/pages/p1/incidents/i1", "/v1/pages/p1/incidents?limit=2"]
    assert {seen.header("X-Api-Key") for seen in service.requests} == {SECRETS["STATUSPAGE_KEY"]}


def test_the_mcp_tools_of_the_complete_example_read_a_repository(with_git: Path, repository: Path) -> None:
    logs = call("git_log", repo_path=str(repository))
    compares = call("git_diff_unstaged", repo_path=str(repository))
    asked: list[Approval] = []

    def approve(approval: Approval) -> Decision:
        asked.append(approval)
        return Approve()

    with Agent.from_file(with_git, model=scripted(f"{logs}\n{compares}", "Done."), approve=approve) as agent:
        assert agent.unavailable == {}
        offered = {name for name in agent.tools if name.startswith("git_")}
        log, difference = told(agent, **ANN)
    assert offered == {"git_log", "git_diff", "git_diff_unstaged", "git_diff_staged"}
    assert "Serve a slow page" in log
    assert "-slow" in difference
    assert "+fast" in difference
    # Only the log is marked read-only, and by this file.
    assert [(one.tool, one.reason) for one in asked] == [
        ("git_diff_unstaged", "git_diff_unstaged is somebody else's tool over MCP, not marked read-only")
    ]


def test_tools_that_are_not_those_that_were_pinned_are_left_out_with_the_reason(with_git: Path, pin: str) -> None:
    other = pin[:-1] + ("0" if pin[-1] != "0" else "1")
    with_git.write_text(with_git.read_text("utf-8").replace(pin, other), "utf-8")
    with Agent.from_file(with_git, model=scripted()) as agent:
        assert not any(name.startswith("git_") for name in agent.tools)
        (reason,) = (why for why in agent.unavailable.values() if pin in why)
        assert "gemmagraph tools pin" in reason


def test_a_toolset_has_the_tools_and_instructions_of_those_it_extends(complete: Path) -> None:
    with Agent.from_file(complete, model=scripted("Hello."), toolset="oncall") as agent:
        assert set(agent.tools) == {
            *("convert_currency", "pod_logs", "find_orders", "create_issue", "status_incident"),
            READER,
        }
        agent.run("Hello.")
        (request,) = agent.model.backend.requests  # type: ignore[union-attr]  # a scripted one
    told_first = "You help the on-call engineer of the shop. Be brief.\n\nLook things up; never change anything."
    assert load_assistant(complete, toolset="oncall").instructions == told_first
    assert told_first in (request.prompt or str(request.messages[0]["content"]))


def test_in_the_channel_that_is_barred_nothing_runs(complete: Path, service: Recorded) -> None:
    barred = {**ANN, "channel": "slack:T1/C0AA"}
    calls = [call("uptime"), call("find_orders", customer=42), call("create_issue", repo="infra", title="Slow page")]
    answers = run_of(complete, *calls, asking=barred)
    assert answers == ["Not run: the rule for '*' says 'deny'."] * 3
    assert service.requests == []
