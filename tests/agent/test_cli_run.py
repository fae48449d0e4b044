"""`gemmagraph run` where nobody watches: standard output is the answer, everything else goes to standard error."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gemmagraph.cli import main

OPS = str(Path(__file__).parents[2] / "examples" / "ops" / "tools.py")
NOWHERE = "127.0.0.1:1"
"""Nothing listens there."""

TOOLS = '''
from gemmagraph import ToolContext, ToolError, tool

@tool(read_only=True)
def look(at: str, context: ToolContext) -> str:
    """Look at something."""
    print("a tool prints")
    return f"{at} is fine"

@tool(destructive=True)
def delete(path: str) -> str:
    """Delete a file."""
    raise SystemError("it ran")

def lines(count: int) -> str:
    """Many lines."""
    return "\\n".join("x" * 200 for _ in range(count))

def fail() -> str:
    """Tells the model why."""
    raise ToolError("The door is shut.")

def crash() -> str:
    """Has a bug."""
    return {}["no such key"]

def steer() -> str:
    """Says what a terminal would act on."""
    return "\\x1b]0;title\\x07\\u202egnp.exe"

@tool(return_direct=True)
def direct() -> str:
    """Is the answer."""
    return "as it is"
'''


@pytest.fixture
def tools(tmp_path: Path) -> str:
    path = tmp_path / "tools.py"
    path.write_text(TOOLS)
    return str(path)


@pytest.fixture
def play(tmp_path: Path, tools: str) -> Callable[..., Result]:
    """`play(*steps, args=())`: a run with these tools, in which the model says these steps."""

    def played(*steps: object, args: tuple[str, ...] = (), prompt: str = "go", stdin: str = "") -> Result:
        script = tmp_path / "script.jsonl"
        script.write_text("".join(json.dumps(step) + "\n" for step in steps))
        return cli("run", prompt, "--tools", tools, "-m", f"scripted:{script}", *args, stdin=stdin)

    return played


def cli(*args: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, args, input=stdin)


def test_the_command_answers_from_the_machine_without_any_server() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gemmagraph", "run", "--tools", OPS, "how full is the disk?"],
        env=os.environ | {"OLLAMA_HOST": NOWHERE},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    disk = shutil.disk_usage("/")
    percent = int(re.fullmatch(r"/: .* used \((\d+) %\), .* free\n", done.stdout)[1])
    assert percent == pytest.approx(100 * disk.used / (disk.used + disk.free), abs=2)
    first, second, call = done.stderr.splitlines()
    assert first == "built-in matcher (no language model)"
    assert second.startswith("  No model was named and no Ollama answers, so the built-in matcher stands in")
    assert re.fullmatch(r"  disk_usage\(\) +\d\.\d s   /: .*", call)


def test_a_gemma_on_ollama_is_found_and_puts_its_call_right(ollama, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", ollama.url)
    ollama.plays('FUNCTION_CALL: disk_usag(path="/")', 'FUNCTION_CALL: disk_usage(path="/")', "There is room.")
    done = cli("run", "--tools", OPS, "how full is the disk?")
    assert (done.exit_code, done.stdout) == (0, "There is room.\n")
    first, second, asked, call = done.stderr.splitlines()
    assert first == f"gemma3:4b on Ollama at {ollama.url} · function_call · 8,192 tokens of context"
    assert "gemma3:4b on Ollama (the first Gemma there; -m or GEMMAGRAPH_MODEL names another)" in second
    assert asked.startswith('  ↺ asked again: "disk_usag" is not a tool')
    assert call.startswith('  disk_usage(path="/")  ')
    said = ollama.seen()["requests"]
    assert len(said) == 3


def test_a_named_server_chooses_the_model_and_nothing_stands_in_for_it(ollama) -> None:
    ollama.plays("Hello.")
    done = cli("run", "--base-url", ollama.url, "hi")
    assert (done.exit_code, done.stdout) == (0, "Hello.\n")
    down = cli("run", "--base-url", f"http://{NOWHERE}", "hi")
    assert (down.exit_code, down.stdout) == (1, "")
    assert f"Ollama at http://{NOWHERE} cannot be reached" in down.stderr


def test_the_environment_names_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMMAGRAPH_MODEL", "builtin")
    assert "  Model: builtin (from GEMMAGRAPH_MODEL).\n" in cli("run", "hi").stderr


def test_a_picture_is_shown_to_a_model_that_sees(ollama, tmp_path: Path) -> None:
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    ollama.plays("A cat.")
    ask = ("run", "-m", "ollama:gemma3:4b", "--base-url", ollama.url, "--image", str(picture), "what is it?")
    assert cli(*ask).stdout == "A cat.\n"
    (message,) = ollama.seen()["requests"][-1]["body"]["messages"]
    assert message["images"] == ["iVBORw0KGgo="]
    blind = cli(*ask[:2], "ollama:gemma3:1b", *ask[3:])
    assert (blind.exit_code, blind.stdout) == (1, "")
    assert "gemma3:1b on Ollama" in blind.stderr
    assert "cannot look at pictures" in blind.stderr
    lost = cli(*ask[:5], "--image", "nowhere.png", "?")
    assert "nowhere.png: No such file" in lost.stderr


def test_the_prompt_may_come_from_standard_input(play: Callable[..., Result]) -> None:
    done = play({"text": "Read.", "expect": "first line\nsecond line"}, prompt="-", stdin="first line\nsecond line\n")
    assert (done.exit_code, done.stdout) == (0, "Read.\n")


def test_the_system_text_is_the_models(play: Callable[..., Result]) -> None:
    assert play({"text": "Yes.", "expect": "Be brief."}, args=("--system", "Be brief.")).exit_code == 0


def test_only_the_answer_goes_to_standard_output(play: Callable[..., Result]) -> None:
    done = play(
        'I look.\nFUNCTION_CALL: look(at="it")', "It is broken.\nFUNCTION_CALL: lok()", {"text": "Fine.", "chunk": 2}
    )
    assert (done.exit_code, done.stdout) == (0, "Fine.\n")
    assert "a tool prints\n" in done.stderr
    assert re.search(r'^  look\(at="it"\) +0\.0 s   it is fine$', done.stderr, re.MULTILINE)


def test_a_tool_that_answers_directly_is_printed(play: Callable[..., Result]) -> None:
    assert play("FUNCTION_CALL: direct()").stdout == "as it is\n"


def test_json_is_one_object_with_everything(play: Callable[..., Result]) -> None:
    done = play(
        {"text": 'FUNCTION_CALL: look(at="it")', "usage": {"input_tokens": 40, "output_tokens": 5}},
        {"text": "Größe \ud800", "usage": {"input_tokens": 50, "output_tokens": 2}},
        args=("--json",),
    )
    assert done.exit_code == 0
    assert done.stdout.isascii()
    result = json.loads(done.stdout)
    seconds = result["calls"][0].pop("seconds")
    assert 0 <= seconds < 5
    assert result.pop("model").startswith("scripted:")
    assert result == {
        "text": "Größe \ud800",
        "calls": [{"name": "look", "arguments": {"at": "it"}, "result": "it is fine", "status": "ok"}],
        "stop": "answered",
        "reason": "",
        "pending": [],
        "thread": None,
        "usage": {"input_tokens": 90, "output_tokens": 7},
    }


def test_verbose_shows_prompt_reply_tokens_and_time(play: Callable[..., Result]) -> None:
    usage = {"usage": {"input_tokens": 1234, "output_tokens": 5}}
    done = play(
        {"text": 'FUNCTION_CALL: look(at="it")', "thought": "I must look."} | usage,
        "Done.\nFUNCTION_CALL: lok()",
        "Done.",
        args=("-v",),
    )
    assert done.stdout == "Done.\n"
    shown = done.stderr
    assert shown.count("You can use tools.") == 1
    for part in (
        "── step 1: prompt ──\nuser:\n  You can use tools.",
        'tokens read, 5 written ──\nthoughts:\n  I must look.\n  FUNCTION_CALL: look(at="it")\n',
        "── step 2: prompt ──\n(the first message stays)\nassistant:\n  FUNCTION_CALL: look",
        "  FUNCTION_RESULT: look\n  it is fine\n",
        "  not usable (unknown_tool): ",
        "── 2 steps, 1 call, 1,234 tokens read, 5 written ──",
    ):
        assert part in shown
    assert re.search(r"── step 1: reply in \d+\.\d s, 1,234 tokens read, 5 written ──", shown)


def test_what_needs_a_person_is_refused_where_nobody_can_be_asked(play: Callable[..., Result]) -> None:
    done = play(
        'FUNCTION_CALL: delete(path="/x")',
        {"text": "I may not.", "expect": "nobody can be asked here"},
        stdin="y\ny\n",
    )
    assert (done.exit_code, done.stdout) == (0, "I may not.\n")
    assert "Not run: delete is marked destructive, so a person must approve it" in done.stderr
    assert "it ran" not in done.stderr


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        ("lines(count=30)", "30 lines"),
        ("fail()", "The door is shut."),
        ("crash()", "failed: KeyError: 'no such key' (tools.py, line "),
        ("steer()", r"\u001b]0;title\u0007\u202egnp.exe"),
    ],
)
def test_the_result_of_a_call_is_shown_in_short(play: Callable[..., Result], call: str, shown: str) -> None:
    done = play(f"FUNCTION_CALL: {call}", "Done.")
    assert done.exit_code == 0
    assert shown in done.stderr
    assert "Traceback" not in done.stderr
    assert max(map(len, done.stderr.splitlines()[1:])) <= 120


def test_debug_shows_where_a_tool_failed(play: Callable[..., Result]) -> None:
    done = play("FUNCTION_CALL: crash()", "Done.", args=("--debug",))
    assert 'return {}["no such key"]' in done.stderr


def test_a_model_cannot_control_the_terminal(play: Callable[..., Result]) -> None:
    done = play("\x1b[2Jclear \x9b1m \u202e \rover \x07 tab\tstays", args=("-v",))
    assert done.stdout == "\\u001b[2Jclear \\u009b1m \\u202e over \\u0007 tab\tstays\n"
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", done.stderr)


def test_a_limit_ends_the_run_with_code_1(play: Callable[..., Result]) -> None:
    done = play(*(f'FUNCTION_CALL: look(at="{number}")' for number in range(12)))
    assert done.exit_code == 1
    assert "Stopped before the end: the limit of 12 steps is reached.\n" in done.stderr


def test_a_run_that_failed_prints_nothing_and_says_why(play: Callable[..., Result]) -> None:
    done = play(*["It is so.\nFUNCTION_CALL: lok()"] * 3)
    assert (done.exit_code, done.stdout) == (1, "")
    assert 'No answer: the model\'s call could not be used: "lok" is not a tool' in done.stderr


def test_a_failure_of_the_server_is_one_sentence(play: Callable[..., Result]) -> None:
    broken = {"text": "Well,", "error": {"kind": "ServerError", "message": "The server\n\x1b[31mfell over."}}
    done = play(broken, args=("--json",))
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines()[1:] == ["Error: The server \\u001b[31mfell over."]


def test_debug_shows_the_traceback(play: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"error": {"kind": "ServerError", "message": "The server fell over."}}
    assert "Traceback" not in play(broken).stderr
    assert "Traceback" in play(broken, args=("--debug",)).stderr
    monkeypatch.setenv("GEMMAGRAPH_DEBUG", "1")
    assert "Traceback" in play(broken).stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["  ", "-m", "builtin"], "There is nothing to answer."),
        (
            ["hi", "-m", "gemma3:4b"],
            "'gemma3:4b' does not say where the model runs.",
        ),
        (["hi", "-m", "ollama:llama3"], "'llama3' is not the name of a Gemma model."),
        (["hi", "-m", "builtin", "--notation", "morse"], "There is no notation 'morse'."),
        (["hi", "-m", "builtin", "--tools", "nowhere.py"], "There is no file 'nowhere.py'."),
        (["hi", "-m", "scripted:nowhere.jsonl"], "The script 'nowhere.jsonl' cannot be read"),
        (["hi", "-m", "builtin", "--base-url", "http://x"], "'builtin' asks no server."),
    ],
)
def test_what_cannot_be_done_is_one_sentence(args: list[str], message: str) -> None:
    done = cli("run", *args)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(f"Error: {message}")


def test_no_prompt_is_wrong_use() -> None:
    assert cli("run").exit_code == 2


def test_the_matcher_says_which_tools_it_does_not_get(tools: str) -> None:
    done = cli("run", "hi", "-m", "builtin", "--tools", tools)
    assert "  Left out, as they are not marked read-only: delete, lines, fail, crash, steer, direct.\n" in done.stderr


def test_a_file_named_twice_is_loaded_once(tools: str) -> None:
    there = os.path.join(os.path.dirname(tools), ".", "tools.py")
    assert cli("run", "hi", "-m", "builtin", "--tools", tools, "--tools", there).exit_code == 0


def test_whoever_stops_reading_is_no_error(tools: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "gemmagraph", "run", "hi", "-m", "builtin"]
    with os.fdopen(writer, "w") as gone:
        done = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert "Error" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "closed", ["<&- >&- 2>&-", *(pytest.param(one, marks=pytest.mark.long) for one in ("<&-", ">&-", "2>&-"))]
)
def test_closed_streams_are_no_crash(closed: str) -> None:
    command = f"exec {sys.executable} -m gemmagraph run hi -m builtin {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert bool(done.stdout) == (">&-" not in closed.replace("2>&-", ""))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a full disk is had only where there is /dev/full")
def test_a_full_disk_is_one_sentence() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "gemmagraph", "run", "hi", "-m", "builtin"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "Error: No space left on device. --debug shows where."


def test_an_ascii_terminal_gets_escapes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gemmagraph", "run", "größe", "-m", "builtin", "-v"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert rb"gr\xf6\xdfe" in done.stderr
