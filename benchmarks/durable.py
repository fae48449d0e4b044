"""What it costs to keep every step: beside the bare loop with LangGraph's SQLite saver, early and late in a long
conversation; how fast a long thread goes on; and many runs at once."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from measure import Effort, Row, in_turns_async, microseconds, ratio, settle
from script import ANSWER, QUESTION, Script, adder
from sides import _BareState, _keywords

_EARLY, _LATE = 10, 300
"""Turns of a thread; each has one call and its answer, which are two steps."""
_STEPS_OF_A_TURN = 2
_RESUMED = "resumed.db"
"""A thread of so many turns, no longer."""
_AT_ONCE = (10, 500)

Turn = Callable[[], Awaitable[Any]]


def rows(effort: Effort) -> list[Row]:
    """The rows of this file."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_kept(effort, Path(folder))) + asyncio.run(_at_once(effort))


async def _kept(effort: Effort, folder: Path) -> list[Row]:
    makers = {"ours": _ours, "no journal": _no_journal, "bare": _bare}
    found, bytes_per_step = [], {}
    for turns, most in ((_EARLY, 1.3), (_LATE, 0.7)):
        figures, growths, closing = {}, {}, []
        for name, maker in makers.items():
            script = Script.one_call_each(_STEPS_OF_A_TURN)
            path = folder / f"{name}-{turns}.db"
            turn, close = await maker(script, path)
            closing.append(close)
            for _ in range(turns):
                await _checked(script, turn)
            if (name, turns) == ("ours", _LATE):
                _copy(path, folder / _RESUMED)  # before it grows
            # Early in a thread each turn makes it longer by much: as few as can be.
            times = 1 if turns == _EARLY else max(1, round(effort.seconds / 0.02))
            figures[name] = _figure(script, turn, times)
            if name != "no journal":
                growths[name] = partial(_growth, script, turn, path)
        settle()
        rounds = await in_turns_async(figures, effort.rounds)
        for name, growth in growths.items():
            bytes_per_step[name, turns] = await growth()
        for close in closing:
            await close()
        ours = ratio(rounds, "ours", "bare")
        found.append(
            Row(
                f"a step that is kept, after {turns} turns",
                microseconds(rounds["ours"]),
                f"bare loop, plain list, SQLite saver {microseconds(rounds['bare'])}",
                ours,
                {"without the journal": f"{ratio(rounds, 'no journal', 'bare').median:.2f} x"},
                f"≤ {most} x",
                ours.median <= most,
            )
        )
    for turns in (_EARLY, _LATE):
        ours_bytes, bare_bytes = bytes_per_step["ours", turns], bytes_per_step["bare", turns]
        found.append(
            Row(
                f"database bytes of a step, after {turns} turns",
                f"{ours_bytes / 1e3:.1f} kB",
                f"bare loop {bare_bytes / 1e3:.1f} kB",
                reach="≤ 8 kB",
                met=ours_bytes <= 8_000,
            )
        )
    return [*found, await _resumed(effort, folder)]


async def _resumed(effort: Effort, folder: Path) -> Row:
    """What somebody waits for who resumes a long thread on which something was said and not answered, until the model
    is asked: the turn is taken, the thread read, the prompt written. The agent has opened its store, for another
    thread, and knows nothing of this one."""
    from langchain_core.messages import HumanMessage

    from gemmagraph.store.inputs import Input
    from gemmagraph.store.store import Store
    from gemmagraph.tools import ToolContext

    times = []
    for number in range(max(9, effort.rounds)):
        store = Store(folder / _RESUMED)
        said = HumanMessage(QUESTION, id=f"unanswered-{number}")
        await store.do(store.inputs.accepting("t", "agent", Input(said.id or "", [said], ToolContext())))
        store.close()
        script = Script.one_call_each(_STEPS_OF_A_TURN)
        agent = _agent(script, [adder(script)], folder / _RESUMED)
        await _checked(script, partial(agent.arun, QUESTION, thread=f"another-{number}"))
        script.begin()
        asked = _asked(agent.model.backend)
        settle()
        begun = time.perf_counter()
        result = await agent.aresume("t")
        times.append(asked[0] - begun)
        assert len(result.messages) >= _LATE * 4
        await agent.aclose()
    middle = statistics.median(times)
    what = f"resuming a thread of {_LATE} turns, until the model is asked"
    return Row(what, f"{middle * 1e3:.1f} ms", reach="≤ 30 ms", met=middle <= 0.03)


def _asked(backend: Any) -> list[float]:
    """When it is asked, each time."""
    asked: list[float] = []
    stream = backend.stream

    def noted(request: Any) -> Any:
        asked.append(time.perf_counter())
        return stream(request)

    backend.stream = noted
    return asked


async def _at_once(effort: Effort) -> list[Row]:
    """CPU of a step when so many runs are under way in one process, their tools waiting."""
    steps = 6

    async def wait(a: int, b: int) -> int:
        """Adds, slowly."""
        await asyncio.sleep(0.02)
        return a + b

    def figure(count: int) -> Callable[[], Awaitable[float]]:
        async def measured() -> float:
            scripts = [Script.one_call_each(steps) for _ in range(count)]
            agents = [_agent(script, [wait], None) for script in scripts[:1]]
            for script in scripts:
                script.begin()
            runs = [_agent(script, [wait], None) if index else agents[0] for index, script in enumerate(scripts)]
            for agent in runs:
                agent.graph  # noqa: B018 - made once, and not what is measured
            begun = time.process_time()
            await asyncio.gather(*(agent.arun(QUESTION) for agent in runs))
            return (time.process_time() - begun) / (count * steps)

        return measured

    figures = {str(count): figure(count) for count in _AT_ONCE}
    rounds = await in_turns_async(figures, max(3, effort.rounds // 5))
    few, many = (str(count) for count in _AT_ONCE)
    grown = ratio(rounds, many, few)
    return [
        Row(
            f"a step, {many} runs at once",
            microseconds(rounds[many]),
            f"{few} at once {microseconds(rounds[few])}",
            grown,
            reach="≤ 1.3 x",
            met=grown.median <= 1.3,
        )
    ]


def _agent(script: Script, tools: Sequence[Any], store: Any) -> Any:
    from gemmagraph import Agent, Gemma
    from gemmagraph.backends.base import Chunk
    from gemmagraph.tools import to_tools

    called = to_tools(tools)[0].name if tools else ""

    class Scripted:
        name = label = "scripted"
        transports = frozenset({"chat"})
        read_only_tools = False

        async def stream(self, request: Any) -> Any:
            calls = [f"FUNCTION_CALL: {called}({_keywords(call)})" for call in script.next()]
            yield Chunk("\n".join(calls) or ANSWER)
            yield Chunk(stop="stop")

        async def close(self) -> None:
            return None

    return Agent(Gemma(Scripted()), tools, store=store)  # type: ignore[arg-type]  # it lacks what `doctor` asks for


async def _ours(script: Script, path: Path) -> tuple[Turn, Turn]:
    agent = _agent(script, [adder(script)], path)

    async def turn() -> Any:
        return await agent.arun(QUESTION, thread="t")

    return turn, agent.aclose


async def _no_journal(script: Script, path: Path) -> tuple[Turn, Turn]:
    from gemmagraph import tool

    # A tool that only reads is not written down.
    agent = _agent(script, [tool(adder(script), read_only=True)], path)

    async def turn() -> Any:
        return await agent.arun(QUESTION, thread="t")

    return turn, agent.aclose


async def _bare(script: Script, path: Path) -> tuple[Turn, Turn]:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
    from langgraph.graph import END, START, StateGraph

    add = adder(script)

    async def model(state: _BareState) -> dict[str, Any]:
        calls = [{"name": add.__name__, "args": call, "id": uuid4().hex} for call in script.next()]
        return {"messages": [{"role": "assistant", "content": "" if calls else ANSWER, "tool_calls": calls}]}

    async def act(state: _BareState) -> dict[str, Any]:
        results = [
            {"role": "tool", "content": str(await add(**call["args"])), "tool_call_id": call["id"]}
            for call in state["messages"][-1]["tool_calls"]
        ]
        return {"messages": results}

    async def router(state: _BareState) -> str:
        return "tools" if state["messages"][-1]["tool_calls"] else END

    graph = StateGraph(_BareState)
    graph.add_node("model", model)
    graph.add_node("tools", act)
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", router, ["tools", END])
    graph.add_edge("tools", "model")
    held = AsyncSqliteSaver.from_conn_string(str(path))
    compiled = graph.compile(await held.__aenter__())

    async def turn() -> Any:
        config: Any = {"recursion_limit": 1000, "configurable": {"thread_id": "t"}}
        message = {"role": "user", "content": QUESTION}
        return await compiled.ainvoke({"messages": [message]}, config, durability="sync")

    async def close() -> None:
        await held.__aexit__(None, None, None)

    return turn, close


async def _checked(script: Script, turn: Turn) -> None:
    script.begin()
    await turn()
    script.check()


def _figure(script: Script, turn: Turn, times: int) -> Callable[[], Awaitable[float]]:
    async def figure() -> float:
        begun = time.process_time()
        for _ in range(times):
            await _checked(script, turn)
        return (time.process_time() - begun) / (times * _STEPS_OF_A_TURN)

    return figure


async def _growth(script: Script, turn: Turn, path: Path, turns: int = 10) -> float:
    """Bytes of the database that a step adds, after all of it has left the write-ahead log."""
    before = _size(path)
    for _ in range(turns):
        await _checked(script, turn)
    return (_size(path) - before) / (turns * _STEPS_OF_A_TURN)


def _copy(path: Path, to: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as one, contextlib.closing(sqlite3.connect(to)) as other:
        one.backup(other)


def _size(path: Path) -> int:
    import sqlite3

    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return int(pages * size)
    finally:
        connection.close()
