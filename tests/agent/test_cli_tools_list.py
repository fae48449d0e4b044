"""`gemmagraph tools list` and `gemmagraph tools show` on an assistant file."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gemmagraph.cli import main

FILE = """\
bots: {terminal: {}}
secrets:
  token: {env: SHOP_TOKEN_THAT_IS_NOT_SET}
tools:
  - name: marked
    python: ./kit.py:marked
    annotations: {readOnlyHint: true}
  - name: unmarked
    python: ./kit.py:unmarked
  - name: no_file
    python: ./nowhere.py:it
  - name: no_module
    python: no_such_package_anywhere.inner:it
  - name: listing
    description: Lists.
    parameters: {properties: {lines: {type: integer, description: How many.}}}
    shell: [ls]
    cache: 1m
    annotations: {readOnlyHint: true}
  - name: boxed
    description: Runs in a box.
    shell: {argv: [ls], sandbox: {}}
    timeout: 5s
  - name: fetch
    description: Fetches.
    http:
      url: https://shop.example/x
      auth: {bearer: "{{ secrets.token }}"}
  - name: order
    description: Orders.
    bind: {who: "{{ context.user }}"}
    http: {url: "https://shop.example/x", method: POST, json: {by: "{{ bind.who }}"}}
    approval: {mode: ask, approvers: ["group:staff"], four_eyes: true}
imports:
  - openapi: ./shop.json
    include: [{operationId: getPet}]
groups: {staff: ["local:ann"]}
toolsets:
  few: {tools: [listing]}
policy:
  - {tool: order, then: deny, users: ["local:bob"]}
"""
KIT = '''
import pathlib
pathlib.Path("imported").touch()

def marked() -> str:
    """Looks."""
    return "seen"

unmarked = marked
'''


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "assistant.yaml").write_text(FILE)
    (tmp_path / "kit.py").write_text(KIT)
    operation = {"operationId": "getPet", "summary": "Look at a pet.", "responses": {"200": {"description": "It."}}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "servers": [{"url": "https://shop.example"}],
        "paths": {"/pet": {"get": operation}},
    }
    (tmp_path / "shop.json").write_text(json.dumps(document))
    monkeypatch.chdir(tmp_path)


def tools(*args: str) -> Result:
    done = CliRunner().invoke(main, ["tools", *args])
    assert done.exit_code == 0, done.output
    return done


def test_the_list_tells_what_can_run_here_and_opens_nothing() -> None:
    assert tools("list").stdout.splitlines() == [
        "name         kind     a call            declared at",
        "marked       python   allow             assistant.yaml:5",
        "unmarked     python   ?                 assistant.yaml:8",
        "no_file      python   ?                 assistant.yaml:10",
        "  unavailable: There is no file './nowhere.py'.",
        "no_module    python   ?                 assistant.yaml:12",
        "  unavailable: There is no module 'no_such_package_anywhere.inner'. A file ends in .py.",
        "listing      shell    allow             assistant.yaml:14",
        "boxed        shell    ask               assistant.yaml:20",
        "fetch        http     allow             assistant.yaml:24",
        "  unavailable: the variable SHOP_TOKEN_THAT_IS_NOT_SET is not set",
        "order        http     policy, else ask  assistant.yaml:29",
        "./shop.json  openapi  not opened        assistant.yaml:35",
        "",
        "What is not opened yet shows its tools in: gemmagraph tools show",
        "",
        "? is for its Python to say, which is not imported here.",
    ]
    assert not Path("imported").exists()


def test_the_list_is_there_for_programs_too() -> None:
    rows = {row["name"]: row for row in json.loads(tools("list", "--json").stdout)["tools"]}
    assert rows["fetch"]["unavailable"] == "the variable SHOP_TOKEN_THAT_IS_NOT_SET is not set"
    assert rows["order"] == {
        "name": "order",
        "kind": "http",
        "place": "assistant.yaml:29",
        "verdict": "ask",
        "policy": True,
        "unavailable": None,
        "opened": True,
    }


def test_a_toolset_is_listed_alone() -> None:
    assert [row["name"] for row in json.loads(tools("list", "--toolset", "few", "--json").stdout)["tools"]] == [
        "listing",
        "./shop.json",
    ]


def test_python_files_are_listed_unopened() -> None:
    listed = tools("list", "--tools", "kit.py", "--tools", "no.py").stdout.splitlines()
    assert listed[1:4] == [
        "kit.py  python  not opened  --tools",
        "no.py   python  not opened  --tools",
        "  unavailable: there is no file no.py",
    ]
    assert not Path("imported").exists()


def test_everything_about_a_tool_is_shown() -> None:
    assert tools("show", "listing", "boxed", "order", "getPet").stdout.splitlines() == [
        "listing(lines: integer (optional))",
        "  Lists.",
        "    lines: How many.",
        "  read only",
        "  shell · assistant.yaml:14 · runs without a sandbox",
        "  kept for 1 min",
        "",
        "boxed()",
        "  Runs in a box.",
        "  asks a person (boxed is a program, not marked read-only)",
        "  shell · assistant.yaml:20 · in a sandbox",
        "  5 s at most",
        "",
        "order()",
        "  Orders.",
        "  asks a person (order is set to 'ask')",
        "  decided by group:staff · by somebody else than who asked",
        "  policy, before that: deny at assistant.yaml:41",
        "  http · assistant.yaml:29",
        "  filled in: who = {{ context.user }}",
        "",
        "getPet()",
        "  Look at a pet.",
        "  only reads",
        "  http · assistant.yaml:35",
    ]


def test_what_is_missing_is_told_at_the_end() -> None:
    shown = tools("show").stdout
    assert "  unavailable: the variable SHOP_TOKEN_THAT_IS_NOT_SET is not set\n" in shown
    assert shown.split("\n\n")[-1].splitlines() == [
        "unavailable: no_file: There is no file './nowhere.py'.",
        "unavailable: no_module: There is no module 'no_such_package_anywhere.inner'. A file ends in .py.",
    ]
    told = json.loads(tools("show", "--json").stdout)
    assert [*told["unavailable"]] == ["no_file", "no_module"]
    assert [tool["name"] for tool in told["tools"] if tool["unavailable"]] == ["fetch"]


def test_settings_are_shown_with_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN_THAT_IS_NOT_SET", "a-token-of-this-test")
    monkeypatch.setenv("ALSO_THE_TOKEN", "a-token-of-this-test")
    settings = "settings: {region: {env: NOT_SET, default: eu}, url: {env: NOT_SET}, leak: {env: ALSO_THE_TOKEN}}\n"
    region = FILE.replace(
        "shell: [ls]\n    cache", "shell: [ls, '{{ settings.region }}', '{{ settings.url }}']\n    cache"
    )
    Path("assistant.yaml").write_text(settings + region)
    assert "setting region: eu\nsetting url: the variable NOT_SET is not set\nsetting leak: [secret token]" in (
        tools("show").stdout
    )
    told = json.loads(tools("show", "--json").stdout)
    assert told["settings"]["region"] == "eu"
    assert told["unavailable"]["listing"] == "the variable NOT_SET is not set"
    rows = {row["name"]: row for row in json.loads(tools("list", "--json").stdout)["tools"]}
    assert rows["listing"]["unavailable"] == "the variable NOT_SET is not set"


def test_a_name_that_no_tool_has_is_said() -> None:
    for name, says in (
        ("lsting", "There is no tool 'lsting'. Did you mean 'listing'?"),
        ("no_file", "no_file is unavailable: There is no file './nowhere.py'."),
    ):
        done = CliRunner().invoke(main, ["tools", "show", name])
        assert (done.exit_code, done.stderr) == (1, f"Error: {says}\n")
