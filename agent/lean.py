"""Graph nodes without the callback machinery, while nobody listens to it, and a runtime that is quicker to copy.

LangGraph runs each node through callback managers and in a task of its own, which costs more than all our own work
in a step. The node of a compiled graph can be replaced: in LangGraph 1.2 it is a cached property, `PregelNode.node`.
Who traces (callbacks, LangSmith, `astream_events`) still gets the ordinary road. The runtime of a graph is merged
into what the config holds from the graph around it; where that is ours, so is all that is copied from it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final, TypeAlias, TypeVar

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph._internal._constants import CONF, CONFIG_KEY_DURABILITY, CONFIG_KEY_RUNTIME
from langgraph._internal._runnable import RunnableCallable
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel._read import PregelNode
from langgraph.runtime import ExecutionInfo, Runtime, get_runtime

T = TypeVar("T")
_Slots: TypeAlias = tuple[list[tuple[str, Callable[[Any, Any], None]]], Callable[[Any], tuple[Any, ...]]]


def make_lean(graph: CompiledStateGraph[Any, Any, Any, Any], *names: str) -> None:
    """Takes the callback machinery out of these nodes of a graph. They must be async, return no
    runnable, and ask nobody."""
    for name in names:
        node = graph.nodes[name]
        # A cached property has no setter: what is in the instance's dict stands in for it.
        vars(node)["node"] = _Lean(node)


class _Lean(Runnable[Any, Any]):
    def __init__(self, node: PregelNode) -> None:
        ordinary = node.node
        assert ordinary is not None
        self._ordinary: Runnable[Any, Any] = ordinary
        self._step = _step(node.bound)
        self._writers = [_write(writer) for writer in node.flat_writers]

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        if config is None or listened_to(config.get("callbacks")):
            return await self._ordinary.ainvoke(input, config, **kwargs)
        token = var_child_runnable_config.set(config)
        try:
            output = await self._step(input, config)
        finally:
            var_child_runnable_config.reset(token)
        for write in self._writers:
            write(output, config)
        return output

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        return self._ordinary.invoke(input, config, **kwargs)

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        return self._ordinary.stream(input, config, **kwargs)

    def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        return self._ordinary.astream(input, config, **kwargs)


def _step(bound: Runnable[Any, Any]) -> Callable[[Any, RunnableConfig], Awaitable[Any]]:
    """A node's function without the wrapper that finds out at each call what to pass to it."""
    if isinstance(bound, RunnableCallable) and bound.afunc and not (bound.trace or bound.kwargs):
        function = bound.afunc
        if not bound.func_accepts:
            return lambda input, config: function(input)
        if bound.func_accepts.keys() == {"runtime"}:
            return lambda input, config: function(input, runtime=get_runtime())
    return bound.ainvoke


def _write(writer: Runnable[Any, Any]) -> Callable[[Any, RunnableConfig], Any]:
    """What a writer does, without its wrapper."""
    if isinstance(writer, RunnableCallable) and writer.func and writer.func_accepts.keys() == {"config"}:
        return writer.func
    return writer.invoke


class _LeanRuntime(Runtime[Any]):
    """LangGraph's runtime, which is copied five times for each node that runs; this one is quicker to copy."""

    __slots__ = ()

    def merge(self, other: Runtime[Any]) -> _LeanRuntime:
        return _copy(_LeanRuntime, Runtime.merge(self, other), {})

    def override(self, **changes: Any) -> _LeanRuntime:
        return _copy(_LeanRuntime, self, changes)

    def patch_execution_info(self, **changes: Any) -> Runtime[Any]:
        if self.execution_info is None:
            return super().patch_execution_info(**changes)
        return _copy(_LeanRuntime, self, {"execution_info": _copy(ExecutionInfo, self.execution_info, changes)})


def _slots(kind: type) -> _Slots:
    """What sets each field of a class with slots, frozen or not, and what reads them all."""
    names = [field.name for field in fields(kind)]
    return [(name, getattr(kind, name).__set__) for name in names], attrgetter(*names)


_SLOTS: Final[Mapping[type, _Slots]] = {kind: _slots(kind) for kind in (_LeanRuntime, ExecutionInfo)}


def _copy(kind: type[T], original: Any, changes: dict[str, Any]) -> T:
    """`dataclasses.replace` for frozen classes that do nothing when made."""
    made = object.__new__(kind)
    setters, values = _SLOTS[kind]
    for (name, put), value in zip(setters, values(original), strict=True):
        put(made, changes.get(name, value))
    return made


def lean_config() -> RunnableConfig:
    """What makes a graph that is run with it use a runtime that costs less. All that is in the runtime of the graph
    around it, if there is one, is kept."""
    around = (var_child_runnable_config.get() or {}).get(CONF, {}).get(CONFIG_KEY_RUNTIME)
    runtime = around if isinstance(around, Runtime) else Runtime()
    # Where the graph around it waits for its checkpoints, one that saves nothing would wait for what it never writes.
    return {"configurable": {CONFIG_KEY_RUNTIME: _copy(_LeanRuntime, runtime, {}), CONFIG_KEY_DURABILITY: "async"}}


def listened_to(callbacks: object) -> bool:
    """Whether any of a config's callbacks are there to hear of it."""
    if isinstance(callbacks, BaseCallbackManager):
        return bool(callbacks.handlers or callbacks.inheritable_handlers)
    return callbacks is not None
