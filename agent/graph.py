"""The graph: model, then tools, then model again, with approval in between where a person is asked."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from langgraph._internal._runnable import RunnableCallable
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from gemmagraph.lean import make_lean
from gemmagraph.nodes import ask_approval, call_model, run_tools
from gemmagraph.run import Kit, Run
from gemmagraph.state import State, StepName, StoredState
from gemmagraph.tools import run_sync


def build_graph(
    kit: Kit, name: str, saver: BaseCheckpointSaver[str] | None = None
) -> CompiledStateGraph[State, Run, State, State]:
    """The compiled graph of an agent. Each step says itself where to go on.

    Args:
        saver: keeps its state, step by step.
    """
    # No context schema: inside another graph the context is of that graph's kind.
    graph: StateGraph[State, Run, State, State] = StateGraph(State if saver is None else StoredState)
    steps: dict[StepName, tuple[Any, tuple[str, ...]]] = {
        "model": (call_model, ("approval", "tools", "__end__")),
        "approval": (ask_approval, ("tools",)),
        "tools": (run_tools, ("model", "__end__")),
    }
    for step, (function, destinations) in steps.items():
        graph.add_node(step, _with_both_doors(partial(function, kit), step), destinations=destinations)
    graph.add_edge(START, "model")
    compiled = graph.compile(saver, name=name)
    make_lean(compiled, "model", "tools")
    return compiled


def _with_both_doors(step: Callable[[State, Any], Coroutine[Any, Any, Any]], name: str) -> RunnableCallable:
    """An async step that `invoke` and `stream` of the graph can run too."""

    # LangGraph passes what the parameters' names ask for, here as in the async step.
    def waited_for(state: State, runtime: Any) -> Any:
        return run_sync(step(state, runtime))

    # What LangGraph makes of a function itself, and of one only; its own packages import it from there too.
    return RunnableCallable(waited_for, step, name=name, trace=False)
