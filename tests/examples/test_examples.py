"""Every numbered example, run as a reader would run it, but one after the other in one process; what it prints is
what it says."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("[0-9]*.py"))


IN_TURN = """
import runpy, sys
for path in sys.argv[1:]:
    print(f"\\f{path}")
    runpy.run_path(path, run_name="__main__")
"""


@pytest.fixture(scope="module")
def printed() -> Callable[[str], list[str]]:
    """`printed(name)`: the lines an example prints, with the built-in matcher where it names no model."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", IN_TURN, *SCRIPTS],
        cwd=EXAMPLES,
        env=os.environ | {"GEMMAGRAPH_MODEL": "builtin", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    pages = [page.splitlines() for page in run.stdout.split("\f")[1:]]
    return {name: lines for name, *lines in pages}.__getitem__


def test_every_example_is_one_that_is_tested_here() -> None:
    tested = Path(__file__).read_text(encoding="utf-8")
    assert SCRIPTS
    assert [name for name in SCRIPTS if f'printed("{name}")' not in tested] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_fits_on_a_screen(name: str) -> None:
    assert 20 <= len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 40


def test_ten_lines_count_the_days(printed: Callable[[str], list[str]]) -> None:
    before = date.today()
    lines = printed("01_ten_lines.py")
    day = date(2030, 12, 31)
    assert lines in [
        [f"{(day - today).days} days from today until 31 December 2030"] for today in (before, date.today())
    ]


def test_events_tell_of_the_call_and_its_result(printed: Callable[[str], list[str]]) -> None:
    *lines, answer, end = printed("02_events.py")
    assert lines[:2] == ["note: Model: builtin (from GEMMAGRAPH_MODEL).", "call: free_space {'folder': '/tmp'}"]
    assert lines[2] == f"ok: {answer}"
    free = float(re.fullmatch(r"([\d.]+) GiB free", answer)[1])
    assert free == pytest.approx(shutil.disk_usage("/tmp").free / 2**30, rel=0.05, abs=0.2)
    assert end == "answered, 1 call"


def test_only_what_was_approved_is_deleted(printed: Callable[[str], list[str]]) -> None:
    *asked, answer, deleted = printed("03_approvals.py")
    assert [line.partition(", because")[0] for line in asked] == [
        f'Asked about delete_file(path="{path}")' for path in ("/tmp/a", "/tmp/*", "/etc/hosts")
    ]
    assert answer == "I deleted two files; /etc/hosts is still there."
    assert deleted == "Really deleted: ['/tmp/a', '/tmp/old.log']"


def test_a_thread_remembers_and_another_does_not(printed: Callable[[str], list[str]]) -> None:
    assert printed("04_conversation.py") == [
        "Nice to meet you, Ann.",
        "Your name is Ann.",
        "I do not know.",
        "human: My name is Ann.",
        "ai: Nice to meet you, Ann.",
        "human: What is my name?",
        "ai: Your name is Ann.",
    ]


def test_tools_of_every_kind_are_called(printed: Callable[[str], list[str]]) -> None:
    assert printed("05_tools_from_anything.py") == ["13.5 square meters", "5", "number: A-17", "total: 99.5"]


def test_the_context_decides_whose_orders_are_shown(printed: Callable[[str], list[str]]) -> None:
    told, ann, bob, nobody = printed("06_context.py")
    assert "newest" in told
    assert "context" not in told
    assert ann == "ann may see: printer, paper"
    assert bob == "bob may see: stapler"
    assert "Nobody is logged in." in nobody


def test_the_reader_alone_finds_calls_and_says_what_is_wrong_with_one(printed: Callable[[str], list[str]]) -> None:
    lines = printed("07_reader.py")
    call = "ToolCall(id='call_0', name='get_weather', arguments={'city': 'Oslo'"
    assert any(line.startswith("- get_weather(city: string") for line in lines)
    assert f"Let me look. ({call}, 'days': 3}}),)" in lines
    assert any(line.startswith('invalid_arguments - get_weather: "city" is missing') for line in lines)
    assert lines[-5:] == ["['One mom']", "['ent.']", "[]", "[]", f"({call}}}),)"]


def test_a_call_waits_until_another_process_has_decided(printed: Callable[[str], list[str]]) -> None:
    waits, decided, answer = printed("09_another_process.py")
    assert waits == 'needs_approval: restart(service="web")'
    assert (decided, answer) == ("Approved by local:bob.", "I restarted web.")


def test_the_agent_is_a_node_of_another_graph(printed: Callable[[str], list[str]]) -> None:
    assert printed("08_langgraph.py") == ["messages: human ai tool ai", "X-12: 7 in stock"]
