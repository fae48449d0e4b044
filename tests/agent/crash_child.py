"""Run by the tests that kill processes: forks a process for each run of an agent on a stored thread.

    python crash_child.py

Reads a command a line on standard input, as JSON, and says what came of it in a line on standard output:

    {"do": "start", "job": {...}}                  the pid of a process that does the job
    {"do": "wait", "pid": 1, "seconds": 10, "kill_after": 0.02}
                                                   how it ended; it was killed if `killed`
    {"do": "signal", "pid": 1, "signal": 19}

A job is done by an agent made anew, with a model that follows the plan it is told: `PLAN act:a act:b | destroy:c`
makes two calls at once, then one, then an answer. Each call that takes effect leaves a line in the file `effects`.
What the process comes by is written in the file `trace`, in front of each statement that writes to the database and
behind it; a job may name one such point, where the process kills itself, or stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from importlib import import_module

from langchain_core.messages import HumanMessage

from gemmagraph import Agent, Approve, Gemma, Limits, Reject, Result, tool
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.errors import AgentError
from gemmagraph.store.store import Store
from gemmagraph.tools import ToolContext


class Planned(ScriptedBackend):
    """Does what the last plan in the conversation says, wherever the conversation is: it may go on in any process."""

    def __init__(self, pause: float) -> None:
        super().__init__([])
        self._pause = pause

    def _next(self, request):
        said = 0
        groups = []
        for message in request.messages:
            if message["role"] == "user" and message["content"].rpartition("PLAN ")[1]:
                groups, said = message["content"].rpartition("PLAN ")[2].split("\n")[0].split("|"), 0
            elif message["role"] == "assistant":
                said += 1
        if said >= len(groups):
            return Step("Done.", delay=self._pause)
        calls = [written.split(":") for written in groups[said].split()]
        return Step("\n".join(f'FUNCTION_CALL: {name}(n="{n}")' for name, n in calls), delay=self._pause)

    def check(self):
        """A plan has no end that could be missed."""


class Watch:
    """What a process comes by; the point at which it dies."""

    def __init__(self, trace: str, kill: dict | None) -> None:
        self._trace = os.open(trace, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        self._kill = (kill["at"], kill.get("n", 1), getattr(signal, kill.get("by", "SIGKILL"))) if kill else None
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()

    def at(self, point: str) -> None:
        with self._lock:
            self._seen[point] += 1
            os.write(self._trace, f"{point}\n".encode())
            if self._kill is not None and self._kill[:2] == (point, self._seen[point]):
                os.kill(os.getpid(), self._kill[2])
                time.sleep(0.05)  # a stop reaches all threads a moment later

    def over(self, store: Store) -> None:
        """Watches what reaches the database: each statement that writes, and each commit."""
        open_session = store._workers._open_session

        def opened():
            session = open_session()
            change, writing, saver = session.change, session.writing, session.saver
            put, put_writes = saver.put, saver.put_writes

            def changed(statement, *values):
                words = statement.replace("INTO ", "").replace("FROM ", "").split()
                if words[1] == "approvals" and words[0] == "UPDATE" and "decider" not in statement:
                    return change(statement, *values)  # each reader looks what has expired
                with self._around(" ".join(words[:2])):
                    return change(statement, *values)

            @contextmanager
            def together():
                self.at("before transaction")
                with writing():
                    yield
                    self.at("before commit")
                self.at("after commit")

            def saved(*values):
                with self._around("checkpoint"):
                    return put(*values)

            def noted(config, writes, *rest):
                asks = any(channel == "__interrupt__" for channel, _ in writes)
                with self._around("question" if asks else "writes"):
                    return put_writes(config, writes, *rest)

            session.change, session.writing, saver.put, saver.put_writes = changed, together, saved, noted
            return session

        store._workers._open_session = opened

    @contextmanager
    def _around(self, what: str):
        self.at(f"before {what}")
        yield
        self.at(f"after {what}")


class Forgetful:
    """No journal: each call is new."""

    async def start(self, turn, call, *, repeatable):
        return None

    async def finish(self, turn, call, outcome, *, known=True):
        return None

    async def entries(self, thread):
        return []


def tools_of(job: dict, watch: Watch) -> list:
    effects = os.open(job["effects"], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    pause = job.get("pause", 0.0)

    def take_effect(name: str, n: str, context: ToolContext) -> str:
        watch.at("before effect")
        os.write(effects, f"{name}:{n} {context.idempotency_key}\n".encode())
        os.fsync(effects)
        watch.at("after effect")
        return f"did {n}"

    @tool
    def act(n: str, context: ToolContext) -> str:
        """Acts."""
        time.sleep(pause)
        said = take_effect("act", n, context)
        time.sleep(pause)
        return said

    @tool(destructive=True)
    async def destroy(n: str, context: ToolContext) -> str:
        """Destroys."""
        await asyncio.sleep(pause)
        said = take_effect("destroy", n, context)
        await asyncio.sleep(pause)
        return said

    @tool(idempotent=True)
    async def keep(n: str, context: ToolContext) -> str:
        """Keeps."""
        return take_effect("keep", n, context)

    @tool(read_only=True)
    async def look(n: str, context: ToolContext) -> str:
        """Looks."""
        return take_effect("look", n, context)

    return [act, destroy, keep, look]


async def work(job: dict) -> dict:
    watch = Watch(job["trace"], job.get("kill"))
    store = Store(job["store"], **({"lease": job["lease"]} if "lease" in job else {}))
    watch.over(store)
    if job.get("forget"):
        store.journal = Forgetful()
    gemma = Gemma(Planned(job.get("pause", 0.0)))
    async with Agent(gemma, tools_of(job, watch), store=store, limits=Limits(steps=50)) as agent:
        begun = time.monotonic()
        if "ready" in job:
            os.write(job["ready"], b".")
        try:
            result = await _run(agent, job)
        finally:
            seconds = time.monotonic() - begun
        messages = []
        with contextlib.suppress(AgentError):  # nothing was accepted
            messages = await agent.ahistory(job["thread"])
    return {
        "text": result.text,
        "stop": result.stop,
        "seconds": seconds,
        "pending": [approval.id for approval in result.pending],
        "calls": [[record.name, record.arguments.get("n"), record.status] for record in result.calls],
        "messages": [
            {
                "type": message.type,
                "id": message.id,
                "content": message.content,
                "calls": [call["id"] for call in getattr(message, "tool_calls", [])],
                "answers": getattr(message, "tool_call_id", None),
            }
            for message in messages
        ],
    }


async def _run(agent: Agent, job: dict):
    said = job.get("said")
    if said is not None:
        return await agent.arun([HumanMessage(said, id=job["id"])], thread=job["thread"])
    what = {"approve": Approve(), "reject": Reject("no")}
    decisions = {identity: what[word] for identity, word in job.get("decisions", {}).items()}
    try:
        return await agent.aresume(job["thread"], decisions)
    except AgentError as exc:
        if "There is no thread" not in str(exc):
            raise
        return Result("", [])  # nothing was accepted


def child(job: dict) -> None:
    code = 1
    try:
        found = asyncio.run(work(job))
        code = 0
    except BaseException as exc:  # noqa: BLE001 - told to the test
        found = {"error": type(exc).__name__, "said": str(exc), "trace": traceback.format_exc()}
    with contextlib.suppress(OSError):
        written = f"{job['result']}.new"
        with open(written, "w") as file:
            json.dump(found, file)
        os.replace(written, job["result"])
    os._exit(code)


_ready: dict[int, int] = {}
"""By pid: where the process says that it begins."""


def start(job: dict) -> int:
    ready, says = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready)
        for line in _ready.values():
            os.close(line)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        child(job | {"ready": says})
    os.close(says)
    _ready[pid] = ready
    return pid


def wait(pid: int, seconds: float, kill_after: float | None = None) -> dict:
    """The end of a process; it is killed so long after it began to work, or when it takes too long."""
    killed = late = False
    if kill_after is not None:
        select.select([_ready[pid]], [], [], seconds)
    until = time.monotonic() + (seconds if kill_after is None else kill_after)
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            os.close(_ready.pop(pid))
            return {"code": os.waitstatus_to_exitcode(status), "killed": killed, "late": late}
        if time.monotonic() >= until and not killed:
            os.kill(pid, signal.SIGKILL)
            killed, late = True, kill_after is None
        time.sleep(0.0003)


def serve() -> None:
    for line in sys.stdin:
        command = json.loads(line)
        what = command.pop("do")
        if what == "start":
            answer = {"pid": start(command["job"])}
        elif what == "wait":
            answer = wait(**command)
        else:
            os.kill(command["pid"], command["signal"])
            answer = {}
        print(json.dumps(answer), flush=True)
    for pid in _ready:
        os.kill(pid, signal.SIGKILL)


async def warm_up(folder: str) -> None:
    """What a process loads at its first run is loaded before the first fork."""
    store = Store(f"sqlite:///{folder}/warm.db")
    files = {name: os.path.join(folder, name) for name in ("effects", "trace")}
    with contextlib.suppress(ImportError):
        import_module("langgraph.checkpoint.postgres")
    async with Agent(Gemma(Planned(0.0)), tools_of(files, Watch(files["trace"], None)), store=store) as agent:
        await agent.arun("PLAN keep:a keep:b", thread="warm")


if __name__ == "__main__":
    asyncio.run(warm_up(sys.argv[1]))
    assert threading.active_count() == 1, "only a process with one thread can be forked safely"
    print("{}", flush=True)
    serve()
