"""Agent: a Gemma, tools and instructions; what most users meet."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, nullcontext, suppress
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from gemmagraph.approvals import Approver
from gemmagraph.errors import AgentError, BadRequest, ContextOverflow, GemmagraphError
from gemmagraph.events import Event, Notice, RunFinished
from gemmagraph.fallback import Model, Route
from gemmagraph.limits import Limits
from gemmagraph.model import LOOKS, Gemma
from gemmagraph.output import ANSWER, Output
from gemmagraph.pictures import Picture, with_images
from gemmagraph.policy import Policy, Rule
from gemmagraph.prompts.messages import JSON
from gemmagraph.run import Kit, Result, Run
from gemmagraph.threads import Threads, end_of
from gemmagraph.tools import Tool, ToolContext, run_sync, to_tools
from gemmagraph.tools.shaping.spill import READER
from gemmagraph.tools.shaping.spill_reader import with_reader

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage
    from langchain_core.runnables import RunnableConfig
    from langgraph.graph.state import CompiledStateGraph


_NO_RECURSION_LIMIT = 1_000_000
"""LangGraph's own bound ends a run with an exception; ours end it in order."""


class Agent:
    """An assistant that calls tools.

    Args:
        model: `ollama:gemma3:4b` and the like, a `Gemma`, a `Fallback` or an `Escalate`. By default: the environment
            variable GEMMAGRAPH_MODEL, else a Gemma on a reachable Ollama, else the built-in matcher.
        tools: plain functions, `Tool`s, LangChain tools, lists of them.
        instructions: what the assistant is and how it should behave.
        policy: which calls may run, for whom: rules, or a `Policy`. What no rule fits, the tool itself decides.
        groups: the user ids of each group that the policy names.
        limits: how much one run may do.
        output: what answers have to be: a pydantic class, a type that pydantic knows, or a JSON Schema. The answer is
            then `Result.output`, checked; tools may be called before it.
        approve: asked about each call that needs a person; without it such calls are refused.
        name: how the assistant is called.

    Raises:
        ToolDefinitionError: something in `tools` is no tool, or two have the same name.
        AgentError, NotationError: the model cannot be used.
    """

    def __init__(
        self,
        model: str | Model | None = None,
        tools: Iterable[Any] = (),
        *,
        instructions: str = "",
        policy: Policy | Iterable[Rule | Mapping[str, Any]] = (),
        groups: Mapping[str, Iterable[str]] | None = None,
        limits: Limits | None = None,
        output: Any = None,
        approve: Approver | None = None,
        name: str | None = None,
    ) -> None:
        self.name = name or "agent"
        gate = policy if isinstance(policy, Policy) else Policy(policy, groups)
        self.tools = {tool.name: tool for tool in gate.guarded(with_reader(to_tools(tools)))}
        self.unavailable: dict[str, str] = {}
        """Tools of the file it was made from that cannot run here, and why."""
        self._ends: list[Callable[[], Awaitable[None]]] = []
        self._instructions = instructions.strip()
        self._limits = limits or Limits()
        self._output = Output(output) if output is not None else None
        if self._output and ANSWER in self.tools:
            raise AgentError(f"With output=, {ANSWER!r} is the tool that takes the answer.", hint="Rename yours.")
        self._approve = approve
        self._kit: Kit | None = None
        self._choice = ""
        """Why the model is the one it is, if it was chosen and nobody was told yet."""
        self._threads = Threads()
        self._running: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Task[None], Run]] = {}
        if model is not None:
            self._make_kit(model, "")

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str] = "assistant.yaml",
        *,
        model: str | Model | None = None,
        toolset: str | None = None,
        output: Any = None,
        approve: Approver | None = None,
    ) -> Self:
        """The agent that a file declares; its Python files are imported and its MCP servers started now.

        Args:
            path: the file.
            model: stands in for the one that the file names.
            toolset: one of the file's; else the agent has all of its tools.

        Raises:
            FileErrors: something is wrong with the file or one it includes; it holds all that is.
            AgentError: there is no such toolset, or the model cannot be used.
        """
        from gemmagraph.assistant import load_assistant

        assistant = load_assistant(path, toolset=toolset)
        agent = cls(
            assistant.model() if model is None else model,
            run_sync(assistant.open()),
            instructions=assistant.instructions,
            limits=assistant.limits,
            output=output,
            approve=approve,
            name=assistant.name,
        )
        agent.unavailable = assistant.unavailable
        agent._ends.append(assistant.close)
        return agent

    @property
    def model(self) -> Model:
        """The model it asks; chosen now, if none was named."""
        return (self._kit or run_sync(self._ready())).gemma

    @cached_property
    def graph(self) -> CompiledStateGraph[Any, Any, Any, Any]:
        """The compiled LangGraph graph, for use as a node or a graph of your own. Started without an agent, it
        keeps to LangGraph's recursion limit in place of `limits`."""
        from gemmagraph.graph import build_graph

        return build_graph(self._kit or run_sync(self._ready()), self.name)

    @cached_property
    def _runner(self) -> CompiledStateGraph[Any, Any, Any, Any]:
        """The graph as runs use it: one inside somebody's graph leaves nothing with the checkpointer of that."""
        return self.graph.copy({"checkpointer": False})

    def run(
        self,
        said: str | Sequence[Any],
        *,
        thread: str | None = None,
        user: str | None = None,
        channel: str | None = None,
        context: Mapping[str, JSON] | None = None,
        images: Sequence[Picture] = (),
    ) -> Result:
        """Answers a text or messages, calling tools as needed. Works inside a running event loop too.

        Args:
            said: what the person says.
            thread: the conversation this belongs to; without one, nothing is remembered.
            user: who says it, as the policy and the tools know them.
            channel: where it is said, as the policy and the tools know it.
            context: values that tools may see and the model may not.
            images: pictures that the person shows: files, or the bytes of some. Only with a text.

        Raises:
            BackendError: the model could not be asked. The conversation is kept as it was before the last step.
            AgentError: what is said is no message, or a picture is shown to a model that cannot see.
        """
        return run_sync(self.arun(said, thread=thread, user=user, channel=channel, context=context, images=images))

    async def arun(
        self,
        said: str | Sequence[Any],
        *,
        thread: str | None = None,
        user: str | None = None,
        channel: str | None = None,
        context: Mapping[str, JSON] | None = None,
        images: Sequence[Picture] = (),
    ) -> Result:
        """`run`, for async code."""
        said = with_images(said, images)
        run = self._new_run(await self._ready(), ToolContext(user, thread, channel, None, dict(context or {})), None)
        async with self._threads.turn(thread):
            return await self._go(run, said)

    async def stream(
        self,
        said: str | Sequence[Any],
        *,
        thread: str | None = None,
        user: str | None = None,
        channel: str | None = None,
        context: Mapping[str, JSON] | None = None,
        images: Sequence[Picture] = (),
    ) -> AsyncGenerator[Event, None]:
        """`arun`, event by event; the last one is `RunFinished`. Leaving the loop early ends the run."""
        said = with_images(said, images)
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        run = self._new_run(
            await self._ready(), ToolContext(user, thread, channel, None, dict(context or {})), events.put_nowait
        )

        async def work() -> Result:
            try:
                async with self._threads.turn(thread):
                    return await self._go(run, said)
            finally:
                events.put_nowait(None)

        task = asyncio.create_task(work())
        try:
            while (event := await events.get()) is not None:
                yield event
            yield RunFinished(await task)
        finally:
            task.cancel()
            await end_of(task)

    def cancel(self, thread: str) -> bool:
        """Ends the run on `thread` cleanly: what was done is kept, and its result says `cancelled`. Returns
        whether one was running."""
        running = self._running.get(thread)
        if running is None:
            return False
        loop, task, run = running
        if not run.cancelled:
            run.cancelled = True
            loop.call_soon_threadsafe(task.cancel)
        return True

    async def _go(self, run: Run, said: str | Sequence[Any]) -> Result:
        """One run, from what was said to the result."""
        from gemmagraph.convert import holds_images, messages_of
        from gemmagraph.state import merge

        thread, gemma = run.thread or "", run.kit.gemma
        new = messages_of(said)
        if not gemma.sees and holds_images(new):  # once in the conversation, it would be there for good
            raise AgentError(f"{gemma.name} cannot look at pictures.", hint=LOOKS)
        before = self._threads.messages.get(thread, [])
        try:
            messages = merge(before, new)
        except ValueError as exc:
            raise AgentError(str(exc)) from exc
        run.begin(messages)
        state: dict[str, Any] = {"messages": messages}
        run.begun = time.monotonic()
        task = asyncio.create_task(self._steps(run, state))
        if thread:
            self._running[thread] = (asyncio.get_running_loop(), task, run)
        try:
            await end_of(task)
            if task.cancelled() and run.cancelled:
                run.stop = "cancelled"
            else:
                task.result()
        except (ContextOverflow, BadRequest):
            if run.steps == 1:  # in the conversation, it would be refused with each question to come
                state["messages"] = before
            raise
        finally:
            self._running.pop(thread, None)
            messages = self._keep(run, state["messages"])
        return self._result(run, messages)

    async def _steps(self, run: Run, state: dict[str, Any]) -> None:
        """Lets the graph run; `state` holds what it has come to, also when it is interrupted."""
        from gemmagraph.lean import lean_config

        config: RunnableConfig = {"recursion_limit": _NO_RECURSION_LIMIT, **lean_config()}
        run.messages = state["messages"]
        # The steps write down themselves what they add: to stream the state costs more.
        stream: Any = self._runner.astream(dict(state), config, context=run, stream_mode=[])
        try:
            async with aclosing(stream) as nothing:
                async for _ in nothing:
                    pass
        finally:
            state["messages"] = run.messages

    def _keep(self, run: Run, messages: list[AnyMessage]) -> list[AnyMessage]:
        """The conversation so far, with no call left without a result."""
        from gemmagraph.calls import close_open_calls

        messages = [*messages, *close_open_calls(run, messages)]
        if run.thread:
            self._threads.messages[run.thread] = messages
        return messages

    def _result(self, run: Run, messages: list[AnyMessage]) -> Result:
        return Result(
            text=run.said if run.stop != "failed" else "",
            messages=list(messages),
            calls=tuple(record for record in run.records.values() if record is not None),
            stop=run.stop,
            reason=run.reason,
            usage=run.usage,
            thread=run.thread,
            output=run.output,
        )

    def _new_run(self, kit: Kit, asker: ToolContext, watch: Callable[[Event], None] | None) -> Run:
        run = Run(kit, asker, watch)
        if self._choice and watch is not None:
            run.emit(Notice(self._choice))
            self._choice = ""
        return run

    async def _ready(self) -> Kit:
        if self._kit is None:
            from gemmagraph.choice import choose_model

            name, why = await choose_model()
            return self._kit or self._make_kit(name, why)
        return self._kit

    def _make_kit(self, model: str | Model, why: str) -> Kit:
        from gemmagraph.offering import Offer

        gemma = model if isinstance(model, Gemma | Route) else Gemma(model)
        self._choice = why
        tools = self.tools if self._output is None else {**self.tools, ANSWER: self._output.tool}
        self._kit = Kit(
            gemma=gemma,
            tools=tools,
            offer=Offer(offered(tools.values(), gemma), self._limits.tools, pinned=(ANSWER, READER)),
            limits=self._limits,
            instructions=self._instructions,
            approve=self._approve,
            output=self._output,
        )
        return self._kit

    def history(self, thread: str) -> list[AnyMessage]:
        """The messages of a thread so far.

        Raises:
            AgentError: there is no such thread.
        """
        if thread not in self._threads.messages:
            raise AgentError(f"There is no thread {thread!r}.", hint="Threads begin with run(…, thread=…).")
        return list(self._threads.messages[thread])

    def close(self) -> None:
        """Ends connections."""
        run_sync(self.aclose())

    async def aclose(self) -> None:
        """`close`, for async code."""
        for tool in self.tools.values():
            await tool.close()
        for end in self._ends:
            await end()
        if self._kit is not None:
            await self._kit.gemma.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(GemmagraphError) if error is not None else nullcontext():  # the first failure is the one to see
            self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(GemmagraphError) if error is not None else nullcontext():
            await self.aclose()


def offered(tools: Iterable[Tool], gemma: Model) -> list[Tool]:
    """The tools that a model is shown: what is no language model gets only those that change nothing."""
    return [tool for tool in tools if tool.reads or isinstance(gemma, Route) or not gemma.backend.read_only_tools]
