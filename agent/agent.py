"""Agent: a Gemma, tools and instructions; what most users meet."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from gemmagraph.approvals import Approver
from gemmagraph.errors import AgentError, GemmagraphError
from gemmagraph.events import Event, RunFinished
from gemmagraph.fallback import Model, Route
from gemmagraph.limits import Limits
from gemmagraph.model import Gemma
from gemmagraph.output import ANSWER, Output
from gemmagraph.pictures import Picture, with_images
from gemmagraph.policy import Policy, Rule
from gemmagraph.prompts.messages import JSON
from gemmagraph.run import Kit, Result
from gemmagraph.running import Runs
from gemmagraph.store.store import Store
from gemmagraph.subagents import agents_in, check_nesting
from gemmagraph.threaded import Threaded
from gemmagraph.threads import end_of
from gemmagraph.tools import Tool, ToolContext, run_sync, to_tools
from gemmagraph.tools.runtime import close_all
from gemmagraph.tools.shaping.spill import READER
from gemmagraph.tools.shaping.spill_reader import with_reader

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph


class Agent(Threaded):
    """An assistant that calls tools.

    Args:
        model: `ollama:gemma3:4b` and the like, a `Gemma`, a `Fallback` or an `Escalate`. By default: the environment
            variable GEMMAGRAPH_MODEL, else a Gemma on a reachable Ollama, else the built-in matcher.
        tools: plain functions, `Tool`s, LangChain tools, other agents, lists of them.
        instructions: what the assistant is and how it should behave.
        policy: which calls may run, for whom: rules, or a `Policy`. What no rule fits, the tool itself decides.
        groups: the user ids of each group that the policy names.
        limits: how much one run may do.
        output: what answers have to be: a pydantic class, a type that pydantic knows, or a JSON Schema. The answer is
            then `Result.output`, checked; tools may be called before it.
        approve: asked about each call that needs a person; without it such calls are refused.
        store: where threads are kept: `sqlite:///agent.db`, `postgresql://user@host/database`, a path, a `Store`. By
            default in memory, until the process ends.
        handover: other agents, each of which may be given the conversation to answer, by a tool `transfer_to_NAME`.
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
        store: str | os.PathLike[str] | Store | None = None,
        handover: Iterable[Agent] = (),
        name: str | None = None,
    ) -> None:
        self.name = name or "agent"
        gate = policy if isinstance(policy, Policy) else Policy(policy, groups)
        others = [_agent(other).as_tool(handover=True) for other in handover]
        self.tools = {tool.name: tool for tool in gate.guarded(with_reader(to_tools([_as_tools(tools), others])))}
        check_nesting(self)
        self.unavailable: dict[str, str] = {}
        """Tools of the file it was made from that cannot run here, and why."""
        self._ends: list[Callable[[], Awaitable[None]]] = []
        self.instructions = instructions.strip()
        self._limits = limits or Limits()
        self._output = Output(output) if output is not None else None
        if self._output and ANSWER in self.tools:
            raise AgentError(f"With output=, {ANSWER!r} is the tool that takes the answer.", hint="Rename yours.")
        self._approve = approve
        self._runs: Runs | None = None
        self._store = _kept_in(store)
        self._groups = gate.groups
        if self._limits.per_user and self._store is None:
            raise AgentError(
                "What one user may use over time (per_user) is counted in a store, and there is none.",
                hint='Make the agent with store="sqlite:///agent.db".',
            )
        if model is not None:
            self._make_runs(model, "")

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str] = "assistant.yaml",
        *,
        model: str | Model | None = None,
        toolset: str | None = None,
        output: Any = None,
        approve: Approver | None = None,
        store: str | os.PathLike[str] | Store | None = None,
    ) -> Self:
        """The agent that a file declares; its Python files are imported and its MCP servers started now.

        Args:
            path: the file.
            model: stands in for the one that the file names.
            toolset: one of the file's; else the agent has all of its tools.
            store: where threads are kept, in place of where the file says.

        Raises:
            FileErrors: something is wrong with the file or one it includes; it holds all that is.
            AgentError: there is no such toolset, or the model or the store cannot be used.
        """
        from gemmagraph.assistant import load_assistant

        assistant = load_assistant(path, toolset=toolset)
        agent = cls(
            assistant.model() if model is None else model,
            run_sync(assistant.open()),
            instructions=assistant.instructions,
            policy=assistant.policy,
            limits=assistant.limits,
            output=output,
            approve=approve,
            store=assistant.store() if store is None else store,
            name=assistant.name,
        )
        agent.unavailable = assistant.unavailable
        agent._ends.append(assistant.close)
        return agent

    @property
    def model(self) -> Model:
        """The model it asks; chosen now, if none was named."""
        return self._now.kit.gemma

    @property
    def graph(self) -> CompiledStateGraph[Any, Any, Any, Any]:
        """The compiled LangGraph graph, for use as a node or a graph of your own. Started without an agent, it
        keeps to LangGraph's recursion limit in place of `limits`."""
        return self._now.graph

    def as_tool(self, name: str | None = None, description: str | None = None, *, handover: bool = False) -> Tool:
        """This agent as a tool of another: that one's model asks it for something, and gets its answer. An agent
        among the `tools` of another is made one by this.

        Args:
            name: what the tool is called; unless said, as the agent is.
            description: what the other model is told of it; unless said, its instructions and tools in short.
            handover: whether it is given the whole conversation, and its answer is the answer.

        Raises:
            ToolDefinitionError: that is no name of a tool.
        """
        from gemmagraph.subagents import tool_of

        return tool_of(self, name, description, handover=handover)

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
            context: values that tools may see and the model may not, as JSON has them.
            images: pictures that the person shows: files, or the bytes of some. Only with a text.

        Raises:
            BackendError: the model could not be asked. The conversation is kept as it was before the last step.
            AgentError: what is said is no message, a picture is shown to a model that cannot see, a name or a value
                of `context` could not be kept, or a run on this thread is under way around this one.
        """
        return run_sync(self.arun(said, thread=thread, user=user, channel=channel, context=context, images=images))

    async def arun(
        self,
        said: str | Sequence[Any] | None,
        *,
        thread: str | None = None,
        user: str | None = None,
        channel: str | None = None,
        context: Mapping[str, JSON] | None = None,
        images: Sequence[Picture] = (),
    ) -> Result:
        """`run`, for async code. With None for what is said it goes on with the thread, as `resume` does."""
        said = None if said is None else with_images(said, images)
        runs = await self.runs()
        asker = ToolContext(user, thread, channel, None, {} if context is None else context)
        return await runs.go(runs.new(asker), said)

    async def stream(
        self,
        said: str | Sequence[Any] | None,
        *,
        thread: str | None = None,
        user: str | None = None,
        channel: str | None = None,
        context: Mapping[str, JSON] | None = None,
        images: Sequence[Picture] = (),
    ) -> AsyncGenerator[Event, None]:
        """`arun`, event by event; the last one is `RunFinished`. Leaving the loop early ends the run."""
        said = None if said is None else with_images(said, images)
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        runs = await self.runs()
        asker = ToolContext(user, thread, channel, None, {} if context is None else context)
        run = runs.new(asker, events.put_nowait)

        async def work() -> Result:
            try:
                return await runs.go(run, said)
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

    async def runs(self) -> Runs:
        """Its runs. The model is chosen now, if none was named."""
        if self._runs is None:
            from gemmagraph.choice import choose_model

            name, why = await choose_model()
            return self._runs or self._make_runs(name, why)
        return self._runs

    @property
    def _now(self) -> Runs:
        return self._runs or run_sync(self.runs())

    def _make_runs(self, model: str | Model, why: str) -> Runs:
        from gemmagraph.offering import Offer, offered

        gemma = model if isinstance(model, Gemma | Route) else Gemma(model)
        tools = self.tools if self._output is None else {**self.tools, ANSWER: self._output.tool}
        kit = Kit(
            gemma=gemma,
            tools=tools,
            offer=Offer(offered(tools.values(), gemma), self._limits.tools, pinned=(ANSWER, READER)),
            limits=self._limits,
            instructions=self.instructions,
            approve=self._approve,
            output=self._output,
            store=self._store,
            groups=self._groups,
        )
        self._runs = Runs(kit, self.name, why)
        return self._runs

    def close(self) -> None:
        """Ends connections."""
        run_sync(self.aclose())

    async def aclose(self) -> None:
        """`close`, for async code."""
        ends = [tool.close for tool in self.tools.values()] + self._ends
        ends += [agent.aclose for agent in agents_in(self.tools.values())]
        if self._runs is not None:
            ends.append(self._runs.kit.gemma.close)
        try:
            await close_all(ends)
        finally:
            if self._store is not None:
                await asyncio.to_thread(self._store.close)  # it waits for what is under way there

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


def _agent(other: object) -> Agent:
    if not isinstance(other, Agent):
        raise AgentError(f"handover= holds {other!r}, which is no Agent.", hint="Give it agents: handover=[billing].")
    return other


def _kept_in(store: object) -> Store | None:
    if store is None or isinstance(store, Store):
        return store
    if isinstance(store, str | os.PathLike):
        return Store(store)
    raise AgentError(
        f"store= is {store!r}, which names no store.",
        hint='Give an address, a path or a Store: "sqlite:///agent.db".',
    )


def _as_tools(things: Iterable[Any]) -> list[Any]:
    """What `tools` holds, each agent as a tool."""
    made = (thing.as_tool() if isinstance(thing, Agent) else thing for thing in things)
    return [_as_tools(thing) if isinstance(thing, list | tuple) else thing for thing in made]
