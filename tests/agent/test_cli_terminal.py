"""`gemmagraph run` and `gemmagraph chat` on a terminal, and `chat` with piped input."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from screens import CTRL_C, CTRL_D, LONGEST, QUESTION, Screen

from gemmagraph.cli import main
from gemmagraph.cli.terminal import Interrupts

long = pytest.mark.long
TOOLS = '''
import time
from gemmagraph import tool

done = []

@tool(destructive=True)
def delete(path: str) -> str:
    """Delete a file."""
    done.append(path)
    return f"deleted so far: {done}"

@tool(read_only=True)
def look(at: str) -> str:
    """Look at something."""
    return f"{at} is fine"

@tool
def wait() -> str:
    """Take long."""
    time.sleep(60)
    return "waited"

@tool
async def block() -> str:
    """Let nobody else run."""
    print("blocking")
    time.sleep(60)
    return "blocked"
'''

PRESSED_AT_THE_PROMPT = """
import ctypes, functools, os, readline, signal

# No code of Python's own, which would let Python see the signal before readline waits for a key.
readline.set_pre_input_hook(functools.partial(ctypes.CDLL(None).kill, os.getpid(), signal.SIGINT))
"""


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., list[str]]:
    """`files(*steps)`: the options for these tools and a model that says these steps."""

    def written(*steps: object) -> list[str]:
        (tmp_path / "tools.py").write_text(TOOLS)
        script = tmp_path / "script.jsonl"
        script.write_text("".join(json.dumps(step) + "\n" for step in steps))
        return ["--tools", "tools.py", "-m", "scripted:script.jsonl"]

    return written


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Callable[..., Screen]]:
    opened: list[Screen] = []

    def opening(*args: str, columns: int = 100) -> Screen:
        opened.append(Screen(args, tmp_path, columns))
        return opened[-1]

    yield opening
    for each in opened:
        each.close()


def test_text_is_shown_as_it_comes_and_ctrl_c_frees_the_server(ollama, screen) -> None:
    ollama.plays({"text": "It will never end.", "hang_after": 3})
    seen = screen("run", "hi", "-m", "ollama:gemma3:4b", "--base-url", ollama.url)
    seen.until("tokens of context", "It will nev")
    seen.keys(CTRL_C)
    seen.until("Stopped.")
    assert seen.end() == 130
    assert len(ollama.seen(begun=1, ended=1)["requests"]) == 1


def test_a_wait_is_shown_and_taken_back(files, screen) -> None:
    seen = screen("run", "hi", *files({"text": "Here I am.", "delay": 1.5}))
    seen.until("Here I am.")
    assert seen.end() == 0
    assert re.search(r"script\.jsonl … [12] s", seen.raw)
    assert "…" not in seen.text


def test_ctrl_c_while_a_tool_runs_says_so(files, screen) -> None:
    seen = screen("run", "hi", *files("FUNCTION_CALL: wait()", "Never."))
    seen.glimpse("wait() … ")
    seen.keys(CTRL_C)
    seen.until("Stopped while wait() ran: what came of it is unknown.")
    assert seen.end() == 130
    assert "Traceback" not in seen.text


def test_text_that_was_withdrawn_is_marked(files, screen) -> None:
    seen = screen("run", "hi", *files("It is so.\nFUNCTION_CALL: lok()", "It is not so."))
    assert seen.end() == 0
    seen.until("It is so.\n  ↺ the text above is withdrawn, asked again: ", "\nIt is not so.\n")


def test_yes_runs_the_call(files, screen) -> None:
    seen = screen("run", "hi", *files('I will.\nFUNCTION_CALL: delete(path="/a")', "Done."))
    seen.until('I will.\n  delete(path="/a")\n', QUESTION)
    seen.keys("y\n")
    seen.until("0.0 s   deleted so far: ['/a']\n", "Done.")
    assert seen.end() == 0
    assert seen.text.count("delete(path=") == 1


def test_no_tells_the_model_why(files, screen) -> None:
    seen = screen(
        "run", "hi", *files('FUNCTION_CALL: delete(path="/a")', {"text": "I see.", "expect": "it is in use"})
    )
    seen.until(QUESTION)
    seen.keys("n it is in use\n")
    seen.until("Not run: a person refused it: it is in use", "I see.")
    assert seen.end() == 0


def test_why_tells_the_reason_and_asks_again(files, screen) -> None:
    seen = screen("run", "hi", *files('FUNCTION_CALL: delete(path="/a")', "Done."))
    seen.until(QUESTION)
    seen.keys("w\n")
    seen.until(
        "You are asked because delete is marked destructive.", "delete says of itself: Delete a file.", QUESTION
    )
    seen.keys("what?\n")
    seen.until("y runs it as it stands.", QUESTION)
    seen.keys("y\n")
    assert seen.end() == 0


def test_edit_changes_the_call_and_is_checked(files, screen) -> None:
    seen = screen("run", "hi", *files('FUNCTION_CALL: delete(path="/a")', "Done."))
    clear = "\x15"  # Ctrl-U
    for typed, answer in (
        ("", "Not changed: they are the same."),
        (f"{clear}no json", "Not changed: this is no JSON"),
        (f"{clear}[1]", "Not changed: write them as a JSON object."),
        (clear + '{"pth": "/b"}', 'Not changed: delete: there is no argument "pth"'),
    ):
        seen.until(QUESTION)
        seen.keys("e\n")
        seen.until('Arguments: {"path": "/a"}')
        seen.keys(f"{typed}\n")
        seen.until(answer)
    seen.until(QUESTION)
    seen.keys("e\n")
    seen.until("Arguments: ")
    seen.keys(f'{clear}{{"path": "/b"}}\n')
    seen.until('delete(path="/b")', QUESTION)
    assert "deleted so far" not in seen.text
    seen.keys("y\n")
    seen.until("deleted so far: ['/b']", "Done.")
    assert seen.end() == 0


def test_a_changed_call_can_be_changed_again_or_refused(files, screen) -> None:
    seen = screen("run", "hi", *files('FUNCTION_CALL: delete(path="/a")', "Done."))
    seen.until(QUESTION)
    for path in ("/b", "/c"):
        seen.keys("e\n")
        seen.until("Arguments: ")
        seen.keys(f'\x15{{"path": "{path}"}}\n')
        seen.until(f'delete(path="{path}")', QUESTION)
    seen.keys("n not today\n")
    seen.until("not today", "Done.")
    assert "deleted so far" not in seen.text
    assert seen.end() == 0


def test_a_result_can_be_given_in_place_of_the_call(files, screen) -> None:
    seen = screen("run", "hi", *files('FUNCTION_CALL: delete(path="/a")', "Done."))
    seen.until(QUESTION)
    seen.keys("r\n")
    seen.until("r TEXT", QUESTION)
    seen.keys("r It is gone already.\n")
    seen.until("It is gone already.", "Done.")
    assert "deleted so far" not in seen.text
    assert seen.end() == 0


@long
def test_each_call_of_a_turn_is_asked_for(files, screen) -> None:
    calls = 'FUNCTION_CALL: delete(path="/a")\nFUNCTION_CALL: look(at="b")\nFUNCTION_CALL: delete(path="/c")'
    seen = screen("run", "hi", *files(calls, "Done."))
    seen.until('delete(path="/a")', QUESTION)
    seen.keys("n\n")
    seen.until('delete(path="/c")', QUESTION)
    seen.keys("y\n")
    assert seen.end() == 0
    assert "deleted so far: ['/c']" in seen.text
    assert "Not run: a person refused it." in seen.text


@long
def test_what_was_typed_before_the_question_is_no_answer(files, screen) -> None:
    ahead = {"text": 'FUNCTION_CALL: delete(path="/a")', "delay": 1.5}
    seen = screen("run", "hi", *files(ahead, {"text": "I see.", "expect": "refused"}))
    seen.until("tokens of context")
    seen.keys("y\n")
    seen.until(QUESTION)
    seen.keys("n\n")
    seen.until("I see.")
    assert seen.end() == 0


def test_ctrl_c_at_a_question_stops_it_all(files, screen) -> None:
    seen = screen("run", "hi", *files('FUNCTION_CALL: delete(path="/a")', "Never."))
    seen.until(QUESTION)
    seen.keys(CTRL_C)
    seen.until("Stopped.")
    assert seen.end() == 130
    assert "Traceback" not in seen.text
    assert "deleted" not in seen.text


@long
def test_ctrl_d_at_a_question_refuses_the_call(files, screen) -> None:
    seen = screen("run", "hi", *files('FUNCTION_CALL: delete(path="/a")', {"text": "I see.", "expect": "nobody"}))
    seen.until(QUESTION)
    seen.keys(CTRL_D)
    seen.until("Not run: a person refused it: nobody answered", "I see.")
    assert seen.end() == 0


@long
def test_a_narrow_terminal_is_not_overrun(files, screen) -> None:
    call = f'FUNCTION_CALL: look(at="{"far away " * 20}")'
    seen = screen("run", "hi", *files(call, 'FUNCTION_CALL: look(at="b")', "Done."), columns=40)
    assert seen.end() == 0
    assert max(map(len, seen.text.split("\n"))) <= 40
    seen.until("  look(at=", "…\n    0.0 s", '\n  look(at="b") ')


def test_ctrl_c_stops_the_answer_and_not_the_chat(files, screen) -> None:
    seen = screen("chat", *files("FUNCTION_CALL: wait()", {"text": "Here again.", "expect": "second"}))
    seen.until("/help shows the commands", "> ")
    seen.keys("first\n")
    seen.glimpse("wait() … ")
    seen.keys(CTRL_C)
    seen.until("Stopped while wait() ran", "> ")
    seen.keys("second\n")
    seen.until("Here again.", "> ")
    seen.keys(CTRL_D)
    assert seen.end() == 0


@long
def test_ctrl_c_at_the_prompt_drops_what_was_typed_and_never_leaves(files, screen) -> None:
    seen = screen("chat", *files("Here."))
    seen.until("> ")
    for _ in range(3):
        seen.keys("/qu")
        seen.until("/qu")
        seen.keys(CTRL_C)
        seen.until("Ctrl-D leaves.", "> ")
    seen.keys("it\n")
    seen.until("Here.")


@long
def test_ctrl_c_in_the_instant_in_which_the_prompt_appears_is_seen(files, screen, tmp_path: Path) -> None:
    options = files()
    with (tmp_path / "tools.py").open("a") as tools:
        tools.write(PRESSED_AT_THE_PROMPT)
    seen = screen("chat", *options)
    seen.until("> ", "Ctrl-D leaves.", "> ", "Ctrl-D leaves.")


def test_ctrl_c_is_kept_where_nothing_is_going_on_and_strikes_once() -> None:
    interrupts = Interrupts()

    def pressed_twice() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)  # breaks into no clean-up

    with interrupts.held():
        signal.raise_signal(signal.SIGINT)  # such as between a line and its answer
        with pytest.raises(KeyboardInterrupt), interrupts.doing(interrupts.strike):
            pytest.fail("it was lost")
        with pytest.raises(KeyboardInterrupt), interrupts.doing(interrupts.strike):
            pressed_twice()
        with interrupts.doing(interrupts.strike):
            pass


@long
@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "in a store"])
def test_ctrl_c_twice_ends_a_tool_that_blocks_and_its_turn(files, screen, kept: bool) -> None:
    late = [] if kept else [{"text": "Never.", "delay": LONGEST}]
    again = {"text": "Here again.", "expect": ["second", "is unknown"] if kept else "second"}
    steps = files("FUNCTION_CALL: block()", *late, again)
    seen = screen("chat", *steps, *(() if kept else ("--no-store",)))
    seen.until("> ")
    seen.keys("/verbose\n")
    seen.until("> ")
    seen.keys("first\n")
    seen.until("reply in", "FUNCTION_CALL: block()\n", "blocking")
    seen.insist(CTRL_C, "Stopped while block() ran")
    seen.until("> ")
    seen.keys("second\n")
    seen.until("Here again.", "> ")
    assert "Traceback" not in seen.text


@long
def test_a_chat_outlives_any_number_of_ctrl_c(files, screen) -> None:
    seen = screen("chat", *files("FUNCTION_CALL: wait()", "Here again."))
    seen.until("> ")
    seen.keys("first\n")
    seen.glimpse("wait() … ")
    for _ in range(50):
        seen.keys(CTRL_C)  # which also drops what is on its way to the screen
    seen.insist("/reset\n", "A new conversation.")
    for _ in range(50):
        seen.until("> ")
        seen.keys(CTRL_C)
        seen.until("Ctrl-D leaves.")
    seen.until("> ")
    seen.keys("second\n")
    seen.until("Here again.", "> ")
    seen.keys(CTRL_D)
    assert seen.end() == 0
    assert "Traceback" not in seen.text


def test_a_chat_has_commands_and_ends_with_ctrl_d(files, screen) -> None:
    seen = screen("chat", *files("Hello.", {"text": "Fresh.", "expect": "news"}))
    seen.until("> ")
    for typed, answer in (
        ("/help", "/verbose  shows prompts and raw replies"),
        ("/tools", "delete(path: string)   [asks first]\n    Delete a file.\n"),
        ("hi", "Hello."),
        ("/reset", "A new conversation."),
        ("/verbos", "There is no command /verbos. Did you mean /verbose?"),
        ("/verbose", "Prompts and raw replies are shown."),
        ("news?", "── step 1: prompt ──\nuser:\n"),
    ):
        seen.keys(f"{typed}\n")
        seen.until(typed, answer, "\n> ")
    assert "  hi\n" not in seen.text.partition("step 1: prompt")[2]
    seen.keys(CTRL_D)
    assert seen.end() == 0


def test_a_chat_remembers_lines_in_a_file_of_the_persons_own(files, screen, tmp_path: Path) -> None:
    seen = screen("chat", *files('FUNCTION_CALL: delete(path="/a")', "Hello."))
    seen.until("> ")
    seen.keys("a line to keep\n")
    seen.until(QUESTION)
    seen.keys("n\n")
    seen.until("Hello.", "> ")
    seen.keys("/quit\n")
    assert seen.end() == 0
    name = "Library/Application Support/gemmagraph" if sys.platform == "darwin" else "gemmagraph"
    history = tmp_path / name / "chat_history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert [line for line in history.read_text().splitlines() if not line.startswith("_H")] == [
        "a line to keep",
        "/quit",
    ]
    again = screen("chat", *files("Not asked."))
    again.until("> ")
    again.keys("\x1b[A\x1b[A")
    again.until("a line to keep")


@pytest.fixture
def piped(files, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)

    def talked(lines: str, *steps: object) -> Result:
        return CliRunner().invoke(main, ["chat", *files(*steps)], input=lines)

    return talked


def test_a_piped_chat_answers_line_by_line_and_remembers(piped) -> None:
    done = piped("My name is Ann.\n\n/reset\nhi", "Hello, Ann.", {"text": "Fresh.", "expect": "hi"})
    assert (done.exit_code, done.stdout) == (0, "Hello, Ann.\nFresh.\n")


def test_a_piped_chat_goes_on_after_an_error_and_ends_with_code_1(piped) -> None:
    broken = {"error": {"kind": "ServerError", "message": "The server fell over."}}
    done = piped("one\ntwo\n", broken, {"text": "Here.", "expect": "one"})
    assert (done.exit_code, done.stdout) == (1, "Here.\n")
    assert "Error: The server fell over.\n" in done.stderr


@long
def test_a_piped_chat_ends_when_nobody_reads_it(files, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "gemmagraph", "chat", *files("One.", "Two.")]
    with os.fdopen(writer, "w") as gone:
        done = subprocess.run(
            command, cwd=tmp_path, input="one\ntwo\n", stdout=gone, stderr=subprocess.PIPE, text=True, timeout=LONGEST
        )
    assert done.returncode == 1
    assert "Error" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_piped_chat_ends_at_quit_and_a_path_is_no_command(piped) -> None:
    done = piped("/etc/hosts: what is it?\n/quit\ntwo\n", {"text": "Once.", "expect": "/etc/hosts"})
    assert (done.exit_code, done.stdout) == (0, "Once.\n")
