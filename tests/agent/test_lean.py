"""A lean node cannot be told from an ordinary one, but for what it costs."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_config, get_stream_writer
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command, RetryPolicy, interrupt
from typing_extensions import TypedDict

from gemmagraph.lean import lean_config, make_lean

Graph = CompiledStateGraph[Any, Any, Any, Any]


class State(TypedDict):
    messages: Annotated[list[AnyMessage], operator.add]


class Flaky(Exception):
    pass


def build(lean: bool, trouble: str = "") -> tuple[Graph, list[Any]]:
    """A model that calls once and then answers, and the tasks that its nodes ran in."""
    tasks: list[Any] = []
    failures = iter([Flaky("not yet")] if trouble == "flaky" else [])

    async def model(state: State) -> Command[Any]:
        tasks.append(asyncio.current_task())
        get_stream_writer()(f"asked after {len(state['messages'])}")
        for failure in failures:
            raise failure
        last = len(state["messages"]) > 2
        message = AIMessage("done" if last else "calling", id=f"m{len(state['messages'])}")
        return Command(update={"messages": [message]}, goto="__end__" if last else "tools")

    async def tools(state: State) -> Command[Any]:
        tasks.append(asyncio.current_task())
        if trouble == "broken":
            raise ValueError("the tool is broken")
        answer = interrupt("may I?") if trouble == "asking" else get_config()["metadata"]["langgraph_node"]
        return Command(update={"messages": [AIMessage(str(answer), id="t")]}, goto="model")

    graph = StateGraph(State)
    retry = RetryPolicy(initial_interval=0.001, retry_on=Flaky)
    graph.add_node("model", model, destinations=("tools", "__end__"), retry_policy=retry)
    graph.add_node("tools", tools, destinations=("model",))
    graph.add_edge(START, "model")
    compiled = graph.compile(checkpointer=InMemorySaver(), name="agent")
    if lean:
        make_lean(compiled, "model", "tools")
    return compiled, tasks


INPUT: Any = {"messages": [HumanMessage("go", id="h")]}
CONFIG: Any = {"configurable": {"thread_id": "1"}}


def streamed(mode: str) -> Callable[[Graph], Coroutine[Any, Any, Any]]:
    async def observe(graph: Graph) -> Any:
        return [part async for part in graph.astream(INPUT, CONFIG, stream_mode=mode)]  # type: ignore[call-overload]

    return observe


async def message_stream(graph: Graph) -> Any:
    parts = graph.astream(INPUT, CONFIG, stream_mode="messages")
    return [(message, told["langgraph_node"], told["langgraph_triggers"]) async for message, told in parts]


async def events(graph: Graph) -> Any:
    found = graph.astream_events(INPUT, CONFIG, version="v2")
    return [(event["event"], event["name"], event["tags"]) async for event in found]


async def callbacks(graph: Graph) -> Any:
    heard: list[Any] = []

    class Listener(BaseCallbackHandler):
        def on_chain_start(self, serialized: Any, inputs: Any, **known: Any) -> None:
            heard.append(("start", known["name"], known["tags"]))

        def on_chain_end(self, outputs: Any, **known: Any) -> None:
            heard.append(("end", type(outputs).__name__))

    await graph.ainvoke(INPUT, {**CONFIG, "callbacks": [Listener()]})
    assert heard
    return heard


async def history(graph: Graph) -> Any:
    await graph.ainvoke(INPUT, CONFIG)
    past = [state async for state in graph.aget_state_history(CONFIG)]
    return [(state.values, state.next, state.metadata, [task.name for task in state.tasks]) for state in past]


async def written_in_the_name_of_a_node(graph: Graph) -> Any:
    await graph.ainvoke(INPUT, CONFIG)
    await graph.aupdate_state(CONFIG, Command(update={"messages": [AIMessage("x", id="x")]}, goto="tools"), "model")
    state = await graph.aget_state(CONFIG)
    return state.values, state.next, await graph.ainvoke(None, CONFIG)


async def asked_and_answered(graph: Graph) -> Any:
    asked = await graph.ainvoke(INPUT, CONFIG)
    state = await graph.aget_state(CONFIG)
    questions = [question.value for task in state.tasks for question in task.interrupts]
    return asked["messages"], questions, state.next, await graph.ainvoke(Command(resume="yes"), CONFIG)


async def failed(graph: Graph) -> Any:
    with pytest.raises(ValueError, match="the tool is broken") as error:
        await graph.ainvoke(INPUT, CONFIG)
    state = await graph.aget_state(CONFIG)
    return [note[:30] for note in getattr(error.value, "__notes__", [])], state.values, state.next


async def inside_another(graph: Graph) -> Any:
    outer = StateGraph(State)
    outer.add_node("inner", graph)
    outer.add_edge(START, "inner")
    parts = outer.compile().astream(INPUT, CONFIG, stream_mode="updates", subgraphs=True)
    return [(len(place), part) async for place, part in parts]


async def invoked(graph: Graph) -> Any:
    return await graph.ainvoke(INPUT, CONFIG)


OBSERVED: dict[str, tuple[str, Callable[[Graph], Coroutine[Any, Any, Any]]]] = {
    **{mode: ("", streamed(mode)) for mode in ("values", "updates", "custom")},
    "messages": ("", message_stream),
    "events": ("", events),
    "callbacks": ("", callbacks),
    "history": ("", history),
    "update_state": ("", written_in_the_name_of_a_node),
    "interrupt": ("asking", asked_and_answered),
    "error": ("broken", failed),
    "retry": ("flaky", invoked),
    "subgraph": ("", inside_another),
}


@pytest.mark.parametrize(("trouble", "observe"), OBSERVED.values(), ids=OBSERVED)
def test_a_lean_node_shows_what_an_ordinary_one_shows(
    trouble: str, observe: Callable[[Graph], Coroutine[Any, Any, Any]]
) -> None:
    shown = [repr(asyncio.run(observe(build(lean, trouble)[0]))) for lean in (False, True)]
    assert shown[1] == shown[0]


def test_the_lean_road_is_taken() -> None:
    async def run(lean: bool) -> bool:
        graph, tasks = build(lean)
        await graph.ainvoke(INPUT, CONFIG)
        return all(task is asyncio.current_task() for task in tasks)

    assert [asyncio.run(run(lean)) for lean in (False, True)] == [False, True]


def test_a_lean_runtime_tells_what_an_ordinary_one_does() -> None:
    seen: list[Runtime[Any]] = []

    async def look(state: State, runtime: Runtime[Any]) -> Command[Any]:
        seen.append(runtime)
        if len(seen) % 2:
            raise Flaky("not yet")
        return Command(goto="__end__")

    graph = StateGraph(State)
    retry = RetryPolicy(initial_interval=0.001, retry_on=Flaky)
    graph.add_node("look", look, retry_policy=retry)
    graph.add_edge(START, "look")
    inner: Graph = graph.compile()

    def around(config: Any) -> Graph:
        async def run_inner(state: State) -> None:
            await inner.ainvoke(state, config() if config else None, context="ours")

        outer = StateGraph(State)
        outer.add_node("outer", run_inner)
        outer.add_edge(START, "outer")
        return outer.compile(store=InMemoryStore())

    def told(runtime: Runtime[Any]) -> list[Any]:
        info = runtime.execution_info
        assert info is not None
        assert all((info.node_first_attempt_time, info.task_id, info.checkpoint_ns))
        store = type(runtime.store)
        return [runtime.context, store, runtime.previous, info.node_attempt, info.thread_id, runtime.drain_requested]

    asyncio.run(around(None).ainvoke(INPUT))
    asyncio.run(around(lean_config).ainvoke(INPUT))
    assert [type(runtime).__name__ for runtime in seen] == ["Runtime"] * 2 + ["_LeanRuntime"] * 2
    assert [told(runtime) for runtime in seen[2:]] == [told(runtime) for runtime in seen[:2]]
    assert told(seen[3])[:4] == ["ours", InMemoryStore, None, 2]
