"""How LangGraph's savers write and read the state: strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer


def strict() -> JsonPlusSerializer:
    """LangChain's messages and JSON, and nothing that a blob names: a blob that somebody forged imports nothing,
    calls nothing and is read as plain data."""
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    return JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=None)
