"""A graph at work for a run, step by step."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from gemmagraph.lean import lean_config
from gemmagraph.run import Run

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.graph.state import CompiledStateGraph

Graph: TypeAlias = "CompiledStateGraph[Any, Any, Any, Any]"
Running: TypeAlias = dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Task[None], Run]]
"""The run at work on each thread."""

_NO_RECURSION_LIMIT: Final = 1_000_000
"""LangGraph's own bound ends a run with an exception; ours end it in order."""


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
