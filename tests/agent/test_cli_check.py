"""`gemmagraph check`: which rule decides, and why the others do not."""

import json
import os
from pathlib import Path
from pwd import getpwuid

import pytest
from click.testing import CliRunner, Result

from gemmagraph.cli import main

FILE = """\
tools:
  - name: deploy
    description: Deploys.
    parameters:
      required: [place]
      properties:
        place: {type: string}
        times: {type: integer, default: 1}
        tags: {type: array, items: {type: string}}
    shell: ["true", "{{ args.place }}"]
    approval: {mode: ask, approvers: ["local:boss"], expires: 5m}
  - name: look
    python: ./kit.py:look
  - name: lost
    python: ./nowhere.py:lost
groups:
  ops: [local:ann, "slack:T1/U1"]
policy:
  - {tool: deploy, args: {place: "prod*"}, users: ["group:ops"], then: allow}
  - {tool: deploy, args: {times: 3}, then: ask, four_eyes: true}
  - {tool: "*", channels: ["slack:T1/C1"], then: deny}
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "assistant.yaml").write_text(FILE)
    (tmp_path / "kit.py").write_text('def look() -> str:\n    """Looks."""\n    return "seen"\nprint("loading")\n')
    monkeypatch.chdir(tmp_path)


def check(*args: str) -> Result:
    return CliRunner().invoke(main, ["check", *args])


def test_the_deciding_rule_and_those_passed_over_are_named_by_line() -> None:
    done = check("deploy", "place=prod-1", "--as", "local:ann")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        'deploy(place="prod-1", times=1)',
        "  by local:ann (in ops), in no channel",
        "allow: the rule for 'deploy' says 'allow' (assistant.yaml:19)",
        "  the rule fits: it is for 'deploy', local:ann is among group:ops, place is 'prod-1', as 'prod*' says",
        "passed over:",
        "  assistant.yaml:21: no channel is known; the rule is for slack:T1/C1",
    ]


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["place=prod", "--as", "local:bob"], 3, "ask: deploy is set to 'ask' (assistant.yaml:2)"),
        (["place=prod", "--as", "local:bob"], 3, "  decided by local:boss, within 5 min"),
        (["place=prod", "--as", "local:bob"], 3, "  assistant.yaml:19: local:bob is not among group:ops"),
        (["place=prod", "--as", ""], 3, "  by nobody known, in no channel"),
        (["place=x", "times=3"], 3, "ask: the rule for 'deploy' says 'ask' (assistant.yaml:20)"),
        (["place=x", "times=3"], 3, "  decided by local:boss, somebody else than who asked, within 5 min"),
        (["place=x", "times=2"], 3, "  assistant.yaml:20: times is 2, not 3"),
        (["place=x", 'tags:=["a"]'], 3, 'deploy(place="x", tags=["a"], times=1)'),
        (
            ["place=prod", "--as", "slack:T1/U1", "--in", "slack:T1/C1"],
            4,
            "deny: the rule for '*' says 'deny' (assistant.yaml:21)",
        ),
    ],
)
def test_verdicts_have_their_codes_and_reasons(args: list[str], code: int, says: str) -> None:
    done = check("deploy", *args)
    assert done.exit_code == code, done.output
    assert says in done.stdout.splitlines()


def test_without_as_it_is_whoever_sits_here() -> None:
    done = check("look", "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)  # what kit.py prints is not in it
    assert told["user"] == f"local:{getpwuid(os.getuid()).pw_name}"
    assert (told["verdict"], told["groups"], told["channel"], told["place"]) == ("allow", [], None, None)
    assert [rule["place"] for rule in told["passed"]] == [f"assistant.yaml:{line}" for line in (21, 19, 20)]


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["deploi"], 1, "Error: There is no tool 'deploi'. Did you mean 'deploy'?"),
        (["lost"], 1, "Error: lost is unavailable: There is no file './nowhere.py'."),
        (["deploy"], 1, 'Error: deploy: "place" is missing'),
        (["deploy", "place=x", "times=often"], 1, 'Error: deploy: "times" was "often"'),
        (["deploy", "place"], 2, "'place' is not key=value."),
        (["deploy", "place:={"], 2, "What stands behind place:= is no JSON"),
        (["deploy", "place=x", "--as", "ann"], 2, "'ann' names no service."),
        (["deploy", "-f", "other.yaml"], 1, "other.yaml:1:1: cannot read 'other.yaml': No such file or directory"),
    ],
)
def test_what_cannot_be_checked_is_said(args: list[str], code: int, says: str) -> None:
    done = check(*args)
    assert done.exit_code == code
    assert says in done.stderr


def test_it_needs_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    done = check("deploy")
    assert done.exit_code == 2
    assert "There is no assistant.yaml here. Name a file with -f, or begin: gemmagraph init" in done.stderr
