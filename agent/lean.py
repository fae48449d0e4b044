"""Graph nodes without the callback machinery, while nobody listens to it.

LangGraph runs each node through callback managers and in a task of its own, which costs more than all our own work
in a step. The node of a compiled graph can be replaced: in LangGraph 1.2 it is a cached property, `PregelNode.node`.
Who traces (callbacks, LangSmith, `astream_events`) still gets the ordinary road.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel._read import PregelNode


def make_lean(graph: CompiledStateGraph[Any, Any, Any, Any], *names: str) -> None:
    """Takes the callback machinery out of these nodes of a graph. They must be async, and ask nobody."""
    for name in names:
        node = graph.nodes[name]
        # A cached property has no setter: what is in the instance's dict stands in for it.
        vars(node)["node"] = _Lean(node)


class _Lean(Runnable[Any, Any]):
    def __init__(self, node: PregelNode) -> None:
        ordinary = node.node
        assert ordinary is not None
        self._ordinary: Runnable[Any, Any] = ordinary
        self._bound = node.bound
        self._writers = node.flat_writers

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        if config is None or _listened_to(config.get("callbacks")):
            return await self._ordinary.ainvoke(input, config, **kwargs)
        token = var_child_runnable_config.set(config)
        try:
            output = await self._bound.ainvoke(input, config, **kwargs)
        finally:
            var_child_runnable_config.reset(token)
        for writer in self._writers:
            writer.invoke(output, config)
        return output

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return self._ordinary.invoke(input, config, **kwargs)

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        return self._ordinary.stream(input, config, **kwargs)

    def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        return self._ordinary.astream(input, config, **kwargs)


def _listened_to(callbacks: object) -> bool:
    if isinstance(callbacks, BaseCallbackManager):
        return bool(callbacks.handlers or callbacks.inheritable_handlers)
    return callbacks is not None
