"""Run by test_interrupts.py in a process of its own: an agent whose turns are interrupted by Ctrl-C.

    python interrupted.py KIND...
    python interrupted.py anywhere TIMES

A KIND is model, blocking_tool, async_tool, approver, async_approver or asyncio, and they come one after the other.
Says `ready` on standard output when it can be interrupted, and at the end what came of it.
"""

import asyncio
import sys
import threading

from gemmagraph import Agent, Approve, Gemma, tool
from gemmagraph.backends.base import Chunk
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.tools.runtime import abandoned, run_sync

let_go = threading.Event()


def ready() -> None:
    print("ready", flush=True)


class Slow(ScriptedBackend):
    """Begins the first reply, and does not go on."""

    async def stream(self, request):
        self.requests.append(request)
        if len(self.requests) == 1:
            yield Chunk(text="It is")
            ready()
            await asyncio.Event().wait()
        self.requests.pop()
        async for chunk in super().stream(request):
            yield chunk


class Endless(ScriptedBackend):
    """Calls two tools, answers, and so on, with small pauses."""

    async def stream(self, request):
        calls = "FUNCTION_CALL: nap(n=1)\nFUNCTION_CALL: nap_async(n=2)\nFUNCTION_CALL: wipe()"
        text = "Fine." if request.messages[-1]["content"].startswith("FUNCTION") else calls
        for start in range(0, len(text), 20):
            await asyncio.sleep(0.0005)
            yield Chunk(text=text[start : start + 20])
        yield Chunk(stop="stop")


@tool
def wait() -> str:
    """Waits."""
    ready()
    let_go.wait(20)
    return "late"


@tool
async def wait_async() -> str:
    """Waits."""
    ready()
    await asyncio.Event().wait()
    return "late"


@tool(destructive=True)
def wipe() -> str:
    """Wipes."""
    return "wiped"


@tool
def nap(n: int) -> str:
    """Naps."""
    threading.Event().wait(0.002)
    return "rested"


@tool
async def nap_async(n: int) -> str:
    """Naps."""
    await asyncio.sleep(0.002)
    return "rested"


def wait_for_a_person(approval):
    ready()
    let_go.wait(20)
    return Approve()


async def wait_for_a_person_async(approval):
    ready()
    await asyncio.Event().wait()


def scripted(call: str, approve=None) -> Agent:
    steps = [f"FUNCTION_CALL: {call}()", "Fine."]
    return Agent(Gemma(ScriptedBackend(steps)), [wait, wait_async, wipe], approve=approve)


AGENTS = {
    "model": lambda: Agent(Gemma(Slow(["never", "Fine."]))),
    "blocking_tool": lambda: scripted("wait"),
    "async_tool": lambda: scripted("wait_async"),
    "approver": lambda: scripted("wipe", wait_for_a_person),
    "async_approver": lambda: scripted("wipe", wait_for_a_person_async),
    "asyncio": lambda: scripted("wait_async"),
}


def open_calls(agent: Agent) -> int:
    called = [call["id"] for message in agent.history("t") if message.type == "ai" for call in message.tool_calls]
    answered = [message.tool_call_id for message in agent.history("t") if message.type == "tool"]
    assert len(set(answered)) == len(answered)
    return len(set(called) ^ set(answered))


async def others() -> int:
    """Tasks on the background loop beside this one."""
    return len(asyncio.all_tasks()) - 1


def once(kind: str) -> None:
    agent = AGENTS[kind]()
    let_go.clear()

    def ask(text):
        return asyncio.run(agent.arun(text, thread="t")) if kind == "asyncio" else agent.run(text, thread="t")

    try:
        ask("go")
    except KeyboardInterrupt:
        left = run_sync(others())
        let_go.set()
        print(f"{kind}:", ask("and now?").text, open_calls(agent), left, flush=True)


def anywhere(times: int) -> None:
    """Interrupted so many times, wherever it is at that moment."""
    agent = Agent(Gemma(Endless([])), [nap, nap_async, wipe], approve=lambda approval: Approve())
    interrupts = 0
    ready()
    while True:
        try:
            while interrupts < times:
                agent.run("go", thread="t")
            break
        except KeyboardInterrupt:
            interrupts += 1
            ready()
    text = agent.run("and now?", thread="t").text
    for _ in range(500):  # a nap that was interrupted goes on to its end
        if not abandoned():
            break
        threading.Event().wait(0.01)
    print(text, open_calls(agent), run_sync(others()) + abandoned(), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "anywhere":
        anywhere(int(sys.argv[2]))
    else:
        for kind in sys.argv[1:]:
            once(kind)
