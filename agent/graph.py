"""The graph: model, then tools, then model again, with approval in between where a person is asked."""

from __future__ import annotations

from functools import partial
from typing import Any

from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from gemmagraph.lean import make_lean
from gemmagraph.nodes import ask_approval, call_model, run_tools
from gemmagraph.run import Kit, Run
from gemmagraph.state import State


def build_graph(kit: Kit, name: str) -> CompiledStateGraph[State, Run, State, State]:
    """The compiled graph of an agent. Each step says itself where to go on."""
    # No context schema: inside another graph the context is of that graph's kind.
    graph: StateGraph[State, Run, State, State] = StateGraph(State)
    steps: dict[str, tuple[Any, tuple[str, ...]]] = {
        "model": (call_model, ("approval", "tools", "__end__")),
        "approval": (ask_approval, ("tools",)),
        "tools": (run_tools, ("model", "__end__")),
    }
    for step, (function, destinations) in steps.items():
        graph.add_node(step, partial(function, kit), destinations=destinations)
    graph.add_edge(START, "model")
    compiled = graph.compile(name=name)
    make_lean(compiled, "model", "tools")
    return compiled
