"""`gemmagraph tools test`: examples are tests."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gemmagraph.cli import main
from gemmagraph.prompts.notation import notation_names

FILE = """\
connections:
  shop: {sql: {dsn: "sqlite:///shop.db", read_only: true}}
tools:
  - name: mark
    description: Leaves a mark.
    parameters: {required: [name], properties: {name: {type: string}}}
    shell: [touch, "{{ args.name }}"]
    examples: [{user: "leave one", args: {name: marked}}]
  - name: say
    description: Says something.
    parameters: {required: [text], properties: {text: {type: string}}}
    shell: [echo, "said:", "{{ args.text }}"]
    annotations: {readOnlyHint: true}
    examples: [{args: {text: hello}}]
  - name: told
    description: Says it to the tenant.
    bind: {tenant: "{{ context.tenant }}"}
    shell: [echo, "{{ bind.tenant }}"]
    annotations: {readOnlyHint: true}
  - name: elsewhere
    description: Is not here.
    shell: [no-such-program-anywhere]
    annotations: {readOnlyHint: true}
  - name: secret
    description: Is not for everybody.
    shell: [echo, secret]
    annotations: {readOnlyHint: true}
policy: [{tool: secret, then: deny}]
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "assistant.yaml").write_text(FILE)
    monkeypatch.chdir(tmp_path)


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["tools", "test", *args])


def test_each_example_is_shown_as_what_it_would_do_and_nothing_happens() -> None:
    done = run()
    assert done.exit_code == 0, done.output
    *parts, costs, last = done.stdout.split("\n\n")
    assert [part.splitlines() for part in parts] == [
        ["mark", '  ok     example 1 "leave one"', "         touch marked"],
        ["say", "  ok     example 1", "         echo said: hello"],
        ["told", "  ok     made-up arguments", "         echo '{{ context.tenant }}'"],
        [
            "elsewhere",
            "  ok     made-up arguments",
            "         no-such-program-anywhere",
            "  note   unavailable here: the program no-such-program-anywhere is not on the PATH",
        ],
        ["secret", "  ok     made-up arguments", "         echo secret"],
    ]
    assert costs.splitlines()[0].split() == ["characters", *notation_names()]
    assert last == "5 tools, ok\n"
    assert not Path("marked").exists()


def test_live_calls_what_only_reads_and_the_policy_lets_pass() -> None:
    done = run("--live", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    last = {tool["name"]: tool["findings"][-1] for tool in told["tools"]}
    assert last["mark"] == {"mark": "note", "says": "not called: nothing says that it only reads"}
    assert (last["say"]["mark"], last["say"]["says"].partition(": ")[2]) == ("ok", "said: hello")
    assert last["told"] == {"mark": "note", "says": "not called: give it --context tenant=…"}
    assert last["elsewhere"]["mark"] == "note"
    assert last["secret"] == {
        "mark": "note",
        "says": "secret() not called: the rule for 'secret' says 'deny' (assistant.yaml:28)",
    }
    assert not Path("marked").exists()
    given = run("told", "--live", "--context", "tenant=acme")
    assert "called, " in given.stdout
    assert given.stdout.split("\n\n")[0].endswith(": acme")


def test_an_example_that_is_not_for_live_runs_is_left_out_and_said() -> None:
    kept = "examples: [{args: {text: hello}}, {args: {text: never}, live: false}]"
    Path("assistant.yaml").write_text(FILE.replace("examples: [{args: {text: hello}}]", kept))
    assert "live: false" not in run("say").stdout
    done = run("say", "--live")
    assert done.exit_code == 0, done.output
    *_, noted, called = done.stdout.split("\n\n")[0].splitlines()
    assert noted == "  note   example 2 not called: it says live: false"
    assert called.startswith("  ok     called, ")
    assert called.endswith(": said: hello")
    Path("assistant.yaml").write_text(FILE.replace("{args: {text: hello}}", "{args: {text: never}, live: false}"))
    assert run("say", "--live").stdout.split("\n\n")[0].splitlines()[-1].startswith("  note   example 1 not called")


def test_what_the_file_says_that_it_needs_is_only_noted() -> None:
    Path("assistant.yaml").write_text(
        """\
settings: {region: {env: REGION_THAT_IS_NOT_SET}}
tools:
  - {name: it, python: './nowhere.py:it', needs: [package:no_such_package_anywhere]}
  - {name: there, description: There., shell: [ls, '{{ settings.region }}']}
"""
    )
    done = run()
    assert done.exit_code == 0, done.output
    assert done.stdout.split("\n\n")[:2] == [
        "it\n  note   left out: the package no_such_package_anywhere is not installed",
        "there\n  note   left out: the variable REGION_THAT_IS_NOT_SET is not set",
    ]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("args: {text: hello}", 'args: {text: "-n"}', "example 1: "),
        ("args: {text: hello}", "args: {}", "text"),
    ],
    ids=["cannot be placed", "do not fit"],
)
def test_a_wrong_example_fails(before: str, after: str, says: str) -> None:
    Path("assistant.yaml").write_text(FILE.replace(before, after))
    done = run()
    assert done.exit_code == 1
    assert says in done.output
    assert "FAILED" in done.stdout or done.stderr.startswith("assistant.yaml:")


def test_a_call_that_fails_fails_the_test() -> None:
    Path("assistant.yaml").write_text(
        FILE.replace("[echo, secret]", "[ls, /no/such/folder]").replace("deny", "allow")
    )
    assert run().exit_code == 0
    done = run("secret", "--live")
    assert done.exit_code == 1
    assert "  FAILED called: " in done.stdout
    assert done.stdout.endswith("1 tool, FAILED: secret\n")


def test_what_cannot_be_opened_fails_the_test() -> None:
    Path("assistant.yaml").write_text("tools:\n  - name: it\n    python: ./nowhere.py:it\n")
    done = run()
    assert done.exit_code == 1
    assert done.stdout == "it\n  FAILED There is no file './nowhere.py'.\n\n1 tool, FAILED: it\n"


def test_statements_are_shown_with_their_values() -> None:
    Path("assistant.yaml").write_text(
        FILE.replace(
            "policy:",
            """\
  - name: orders
    description: Orders.
    parameters: {required: [customer], properties: {customer: {type: integer}}}
    sql: {connection: shop, statement: "SELECT 1 WHERE :customer = 1"}
    examples: [{args: {customer: 42}}]
policy:""",
        )
    )
    done = run("orders")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[2].strip() == "SELECT 1 WHERE :customer = 1"
    assert lines[3].strip() == ":customer = 42"


def test_python_files_are_tested_too() -> None:
    Path("kit.py").write_text(
        "from gemmagraph import tool\n\n"
        "@tool(read_only=True, examples=[{'user': 'sum', 'args': {'numbers': [1, 2]}}])\n"
        'def total(numbers: list[int]) -> int:\n    """Adds up."""\n    return sum(numbers)\n'
    )
    done = run("--tools", "kit.py", "--live")
    assert done.exit_code == 0, done.output
    said = re.sub(r"called, \d+\.\d s", "called", done.stdout)
    assert said.split("\n\n")[0].splitlines() == [
        "total",
        '  ok     example 1 "sum"',
        "         total(numbers=[1, 2])",
        "  ok     called: 3",
    ]
