"""A run can be ended at any moment, by Ctrl-C or by cancelling its task, and the conversation goes on."""

import asyncio
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gemmagraph import Agent, Approve, Gemma, tool
from gemmagraph.backends.base import Chunk
from gemmagraph.backends.scripted import ScriptedBackend

PATIENCE = 20
CHILD = str(Path(__file__).with_name("interrupted.py"))
KINDS = ("model", "blocking_tool", "async_tool", "approver", "async_approver", "asyncio")
INTERRUPTS = 25


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, CHILD, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def interrupt_when_ready(child: subprocess.Popen[str], pause: float = 0.0) -> None:
    assert child.stdout is not None
    line = child.stdout.readline()
    assert line == "ready\n", (line, child.stderr and child.stderr.read())
    threading.Event().wait(pause)
    child.send_signal(signal.SIGINT)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_ends_the_turn_and_the_next_one_works():
    with started(*KINDS) as child:
        watchdog = threading.Timer(2 * PATIENCE, child.kill)
        watchdog.start()
        for kind in KINDS:
            interrupt_when_ready(child)
            assert child.stdout.readline() == f"{kind}: Fine. 0 0\n"
        out, err = child.communicate(timeout=PATIENCE)
        watchdog.cancel()
    assert (out, err, child.returncode) == ("", "", 0)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_at_any_moment_leaves_no_open_call_and_no_task():
    rng = random.Random(5)
    with started("anywhere", str(INTERRUPTS)) as child:
        watchdog = threading.Timer(3 * PATIENCE, child.kill)
        watchdog.start()
        for _ in range(INTERRUPTS):
            interrupt_when_ready(child, rng.random() * 0.03)
        out, err = child.communicate(timeout=PATIENCE)
        watchdog.cancel()
    assert (out, err, child.returncode) == ("ready\nFine. 0 0\n", "", 0)


class Lively(ScriptedBackend):
    """Calls three tools, then answers; gives way to others between the pieces."""

    def __init__(self) -> None:
        super().__init__([])
        self.open = 0

    async def stream(self, request):
        calls = "Now.\nFUNCTION_CALL: nap(n=1)\nFUNCTION_CALL: work(n=2)\nFUNCTION_CALL: wipe()"
        text = "Fine." if request.messages[-1]["content"].startswith("FUNCTION") else calls
        self.open += 1
        try:
            for start in range(0, len(text), 9):
                await asyncio.sleep(0)
                yield Chunk(text=text[start : start + 9])
            yield Chunk(stop="stop")
        finally:
            try:
                await asyncio.sleep(0)
            finally:
                self.open -= 1


@tool
async def nap(n: int) -> str:
    """Naps."""
    for _ in range(5):
        await asyncio.sleep(0)
    return "rested"


@tool(sequential=True)
async def work(n: int) -> str:
    """Works."""
    try:
        await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0)
    return "done"


@tool(destructive=True)
def wipe() -> str:
    """Wipes."""
    return "wiped"


async def approve(approval):
    await asyncio.sleep(0)
    return Approve()


def assert_whole(agent: Agent) -> None:
    """Every call has one result, behind it."""
    waiting: set[str] = set()
    for message in agent.history("t"):
        if message.type == "tool":
            waiting.remove(message.tool_call_id)
        else:
            assert not waiting
            waiting = {call["id"] for call in message.tool_calls} if message.type == "ai" else waiting
    assert not waiting


async def cancel_somewhere(rng: random.Random, agent: Agent, backend: Lively) -> bool:
    """Cancels a run after some rounds of the event loop, once or oftener; returns whether it had not ended."""
    before = asyncio.all_tasks()
    run = asyncio.create_task(agent.arun("go", thread="t"))
    for _ in range(rng.randrange(45)):  # a run takes about as many
        await asyncio.sleep(0)
    for _ in range(rng.choice([1, 1, 2, 5])):
        run.cancel()
        for _ in range(rng.randrange(2)):
            await asyncio.sleep(0)
    ended = await asyncio.gather(run, return_exceptions=True)
    assert asyncio.all_tasks() == before
    assert backend.open == 0
    if "t" in agent._runs.threads.messages:
        assert_whole(agent)
    return isinstance(ended[0], asyncio.CancelledError)


def cancel_often(seed: int, times: int) -> int:
    rng = random.Random(seed)

    async def go():
        cancelled = 0
        for _ in range(times):
            backend = Lively()
            agent = Agent(Gemma(backend), [nap, work, wipe], approve=approve)
            cancelled += await cancel_somewhere(rng, agent, backend)
            assert (await agent.arun("and now?", thread="t")).text == "Fine."
            assert_whole(agent)
        return cancelled

    return asyncio.run(asyncio.wait_for(go(), 10 * PATIENCE))


def test_cancelling_at_any_moment_leaves_no_task_no_open_call_and_a_usable_thread():
    assert cancel_often(seed=1, times=200) > 150


@pytest.mark.long
def test_cancelling_at_any_moment_many_more_times():
    assert cancel_often(seed=2, times=3_000) > 2_000


def test_a_run_that_waits_for_its_clean_up_is_not_hurried_by_a_second_cancellation():
    begun = asyncio.Event()
    cleaned = []

    @tool
    async def slow() -> str:
        """Slow."""
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(20):
                await asyncio.sleep(0)
            cleaned.append(True)
        return ""

    agent = Agent(Gemma(ScriptedBackend(["FUNCTION_CALL: slow()", "Fine."])), [slow])

    async def go():
        run = asyncio.create_task(agent.arun("go", thread="t"))
        await begun.wait()
        for _ in range(10):
            run.cancel()
            await asyncio.sleep(0)
        await asyncio.wait((run,))
        assert (run.cancelled(), cleaned) == (True, [True])
        return await agent.arun("and now?", thread="t")

    assert asyncio.run(asyncio.wait_for(go(), PATIENCE)).text == "Fine."
