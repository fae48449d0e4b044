"""`gemmagraph run` and `gemmagraph chat` with an assistant file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gemmagraph.cli import main
from gemmagraph.store.store import Store
from gemmagraph.tools import run_sync

FILE = """\
model: scripted:script.jsonl
instructions: You look after the shop.
store: sqlite:///agent.db
tools:
  - name: look
    python: ./kit.py:look
    annotations: {readOnlyHint: true}
  - name: who
    python: ./kit.py:who
    bind: {tenant: "{{ context.tenant }}", user: "{{ context.user }}"}
    annotations: {readOnlyHint: true}
  - name: delete
    python: ./kit.py:delete
    approval: {mode: ask, four_eyes: true}
  - name: gone
    python: ./nowhere.py:gone
  - name: missing
    description: Has no program.
    shell: [no-such-program-anywhere]
toolsets:
  looking: {tools: [look], instructions: Only look.}
policy:
  - {tool: "look*", args: {at: "vault*"}, then: deny}
limits: {steps: 3}
bots: {terminal: {}}
"""
KIT = '''
print("loading")

def look(at: str) -> str:
    """Looks at something."""
    print("looking")
    return f"{at} is fine"

def who(tenant: str, user: str) -> str:
    """Says for whom it works."""
    return f"{user} of {tenant}"

def delete(path: str) -> str:
    """Deletes a file."""
    raise SystemError("it ran")
'''
EXTRA = '''
def look_closer() -> str:
    """Comes from the command line."""
    raise SystemError("it ran")
'''


def cli(*args: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, args, input=stdin)


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`play(*steps, args=())`: a run with ./assistant.yaml, in which the model says these steps."""
    (tmp_path / "assistant.yaml").write_text(FILE)
    (tmp_path / "kit.py").write_text(KIT)
    monkeypatch.chdir(tmp_path)

    def played(*steps: object, command: tuple[str, ...] = ("run", "go"), args: tuple[str, ...] = ()) -> Result:
        (tmp_path / "script.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
        return cli(*command, *args, stdin="go\n")

    return played


def calling(name: str, **arguments: str) -> str:
    given = ", ".join(f"{key}={json.dumps(value)}" for key, value in arguments.items())
    return f"FUNCTION_CALL: {name}({given})"


LOOKS = (calling("look", at="home"), "All is well.")


def test_the_file_in_the_folder_is_used_and_what_is_missing_is_a_line_each(play: Callable[..., Result]) -> None:
    done = play(*LOOKS)
    assert (done.exit_code, done.stdout) == (0, "All is well.\n")
    lines = done.stderr.splitlines()
    assert lines[0] == "loading"
    assert lines[1].endswith(" · assistant.yaml")
    assert lines[2:4] == [
        "  Left out: gone: There is no file './nowhere.py'.",
        "  Left out: missing: the program no-such-program-anywhere is not on the PATH",
    ]
    assert lines[4] == "looking"
    assert lines[5].startswith('  look(at="home")  ')


def test_a_conversation_uses_it_too(play: Callable[..., Result]) -> None:
    done = play(*LOOKS, command=("chat",))
    assert (done.exit_code, done.stdout) == (0, "All is well.\n")
    assert [thread.title for thread in run_sync(Store("sqlite:///agent.db").threads())] == ["go"]


def test_the_policy_is_in_force_for_tools_of_the_command_line_too(play: Callable[..., Result]) -> None:
    Path("extra.py").write_text(EXTRA)
    steps = [calling("look", at="vault 3"), calling("look_closer"), "No."]
    done = play(*steps, args=("--tools", "extra.py", "--json"))
    calls = json.loads(done.stdout)["calls"]
    assert [(call["name"], call["status"]) for call in calls] == [("look", "refused"), ("look_closer", "refused")]


def test_what_needs_a_person_is_refused_where_nobody_can_be_asked(play: Callable[..., Result]) -> None:
    done = play(calling("delete", path="/"), "I may not.", args=("--json",))
    assert [call["status"] for call in json.loads(done.stdout)["calls"]] == ["refused"]


def test_limits_of_the_file_hold(play: Callable[..., Result]) -> None:
    done = play(*(calling("look", at=str(number)) for number in range(4)))
    assert done.exit_code == 1
    assert "Stopped before the end: " in done.stderr


def test_a_toolset_narrows_the_tools_and_adds_its_instructions(play: Callable[..., Result]) -> None:
    done = play(*LOOKS, args=("--toolset", "looking", "--system", "Be brief.", "-v"))
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines()[1].endswith(" · assistant.yaml, toolset looking")
    assert "You look after the shop.\n\n  Only look.\n\n  Be brief." in done.stderr
    assert "look(" in done.stderr
    assert "who(" not in done.stderr
    assert "Left out" not in done.stderr


def test_context_reaches_the_tools_and_not_the_model(play: Callable[..., Result]) -> None:
    done = play(calling("who"), "Done.", args=("--context", "tenant=acme", "--json"))
    assert json.loads(done.stdout)["calls"][0]["result"].endswith(" of acme")
    none = play(calling("who"), "Done.", args=("--json",))
    assert "the application gave no {{ context.tenant }}" in json.loads(none.stdout)["calls"][0]["result"]


def test_a_named_model_stands_in_for_the_files(play: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_text(json.dumps("From elsewhere.") + "\n")
    done = play("From the file.", args=("-m", "scripted:other.jsonl", "--json"))
    assert json.loads(done.stdout)["text"] == "From elsewhere."
    assert json.loads(done.stdout)["model"] == "scripted:other.jsonl"
    assert json.loads(play("From the file.", args=("--json",)).stdout)["model"] == "scripted:script.jsonl"


def test_an_address_and_a_notation_go_to_the_model_of_the_file(ollama, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("model: ollama:gemma3:4b\n")
    ollama.plays("Hello.")
    done = cli("run", "hi", "-f", str(file), "--base-url", ollama.url, "--notation", "json")
    assert (done.exit_code, done.stdout) == (0, "Hello.\n"), done.stderr
    assert done.stderr == f"gemma3:4b on Ollama at {ollama.url} · json · 8,192 tokens of context · {file}\n"


def test_models_to_fall_back_on_are_told(play: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "assistant.yaml").write_text(
        "model: {name: 'ollama:gemma3:4b', base_url: 'http://127.0.0.1:1', fallback: ['scripted:script.jsonl']}\n"
    )
    done = play("From the second.")
    assert (done.exit_code, done.stdout) == (0, "From the second.\n")
    assert "↪ " in done.stderr


def test_all_that_is_wrong_with_a_file_is_a_line_each(play: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "assistant.yaml").write_text("modle: x\ntools:\n  - name: Big\n    shell: ls\n")
    done = play("Nothing.")
    assert (done.exit_code, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[0] == "assistant.yaml:1:1: modle: unknown key; did you mean 'model'?"
    assert all(line.startswith("assistant.yaml:") for line in lines)
    assert len(lines) >= 3


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("--toolset", "lokking"), 1, "assistant.yaml has no toolset 'lokking'."),
        (("-f", "other.yaml"), 1, "other.yaml:1:1: cannot read 'other.yaml': No such file or directory"),
        (("--context", "tenant"), 2, "'tenant' is not NAME=VALUE."),
    ],
)
def test_wrong_options_are_said(play: Callable[..., Result], args: tuple[str, ...], code: int, says: str) -> None:
    done = play("Nothing.", args=args)
    assert done.exit_code == code
    assert says in done.stderr


def test_a_toolset_needs_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli("run", "hi", "--toolset", "looking")
    assert done.exit_code == 2
    assert "There is no assistant.yaml here." in done.stderr
