"""Runs on threads that are kept in memory, and runs without one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gemmagraph.calls import close_open_calls
from gemmagraph.errors import AgentError, BadRequest, ContextOverflow
from gemmagraph.run import Run
from gemmagraph.state import merge
from gemmagraph.stepping import Graph, Running, steps
from gemmagraph.store.questions import CANCELLED
from gemmagraph.threads import Threads, end_of

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage


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
                run.end("cancelled", CANCELLED)
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
