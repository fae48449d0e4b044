"""A thread whose process was killed: who wants it to end is heard at once, on the same machine."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gemmagraph import Agent, Approve, Gemma, tool
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.errors import AgentError

CHILD = """
import sys, time
from gemmagraph import Agent, Gemma, tool
from gemmagraph.backends.scripted import ScriptedBackend

@tool(destructive=True, approval="allow")
def bump() -> str:
    '''Bumps.'''
    print("bumping", flush=True)
    time.sleep(60)
    return "bumped"

Agent(Gemma(ScriptedBackend(["FUNCTION_CALL: bump()"])), [bump], store=sys.argv[1]).run("go", thread="t")
"""


def killed(store: Path) -> None:
    """Leaves a run that a killed process was at work on."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, f"sqlite:///{store}"], stdout=subprocess.PIPE, text=True)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "bumping\n"
        child.send_signal(signal.SIGKILL)


@tool(destructive=True, approval="allow")
def bump() -> str:
    """Bumps."""
    raise AssertionError("it is not made again")


def test_a_cancel_ends_what_a_killed_process_has_left(tmp_path: Path) -> None:
    store = tmp_path / "agent.db"
    killed(store)
    begun = time.monotonic()
    with Agent(Gemma(ScriptedBackend([])), [bump], store=store) as agent:
        assert agent.cancel("t")
        assert not agent.cancel("t")
        assert [message.type for message in agent.history("t")] == ["human", "ai", "tool"]
    assert time.monotonic() - begun < 10, "it waited until the dead process was silent for long enough"


@pytest.mark.parametrize("decisions", [True, Approve(), "approve", 3])
def test_a_decision_about_no_call_is_refused(tmp_path: Path, decisions: object) -> None:
    with Agent(Gemma(ScriptedBackend(["hi"])), store=tmp_path / "agent.db") as agent:
        agent.run("hello", thread="t")
        with pytest.raises(AgentError, match="which call"):
            agent.resume("t", decisions)  # type: ignore[arg-type]
