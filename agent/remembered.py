"""Runs on threads that are kept in memory, and runs without one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from gemmagraph.calls import close_open_calls
from gemmagraph.errors import AgentError, BadRequest, ContextOverflow
from gemmagraph.lean import lean_config
from gemmagraph.run import Run
from gemmagraph.state import merge
from gemmagraph.threads import Threads, end_of

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage
    from langchain_core.runnables import RunnableConfig
    from langgraph.graph.state import CompiledStateGraph

Graph: TypeAlias = "CompiledStateGraph[Any, Any, Any, Any]"
Running: TypeAlias = dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Task[None], Run]]
"""The run at work on each thread."""

_NO_RECURSION_LIMIT: Final = 1_000_000
"""LangGraph's own bound ends a run with an exception; ours end it in order."""


class Remembered:
    """The threads of one agent.

    Args:
        graph: gives the graph, which saves nothing.
    """

    def __init__(self, graph: Callable[[], Graph], threads: Threads, running: Running) -> None:
        self._graph = graph
        self._threads = threads
        self._running = running

    async def say(self, run: Run, new: Sequence[AnyMessage]) -> list[AnyMessage]:
        """Answers what was said; gives the whole conversation.

        Raises:
            BackendError: the model could not be asked. The conversation is kept as it was before the last step.
        """
        async with self._threads.turn(run.thread):
            return await self._say(run, new)

    async def _say(self, run: Run, new: Sequence[AnyMessage]) -> list[AnyMessage]:
        thread = run.thread or ""
        before = self._threads.messages.get(thread, [])
        try:
            run.messages = messages = merge(before, new)
        except ValueError as exc:
            raise AgentError(str(exc)) from exc
        run.begun = time.monotonic()
        run.begin(messages)
        task = asyncio.create_task(steps(self._graph(), run, {"messages": messages}))
        if thread:
            self._running[thread] = (asyncio.get_running_loop(), task, run)
        try:
            await end_of(task)
            if task.cancelled() and run.cancelled:
                run.stop = "cancelled"
            else:
                task.result()
                run.keep()
        except (ContextOverflow, BadRequest):
            if run.steps == 1:  # in the conversation, it would be refused with each question to come
                run.messages = before
            raise
        finally:
            self._running.pop(thread, None)
            run.messages = [*run.messages, *close_open_calls(run, run.messages)]  # no call without a result
            if thread:
                self._threads.messages[thread] = run.messages
        return run.messages


async def steps(graph: Graph, run: Run, command: Any, config: RunnableConfig | None = None) -> None:
    """Lets a graph run, from an input or on from where it is; the run holds what it has come to, also when it is
    interrupted."""
    lean = lean_config()
    configurable = {**lean.get("configurable", {}), **(config or {}).get("configurable", {})}
    own: RunnableConfig = {"recursion_limit": _NO_RECURSION_LIMIT, "configurable": configurable}
    saves: Any = {"durability": "sync"} if config else {}
    # The steps write down themselves what they add: to stream the state costs more.
    stream: Any = graph.astream(command, own, context=run, stream_mode=[], **saves)
    async with aclosing(stream) as nothing:
        async for _ in nothing:
            pass
