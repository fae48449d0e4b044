"""Which model is used when none was named."""

from __future__ import annotations

import asyncio
import os

from gemmagraph.errors import AgentError, BackendError
from gemmagraph.prompts.catalog import family_of
from gemmagraph.prompts.errors import NotationError

VARIABLE = "GEMMAGRAPH_MODEL"
_PATIENCE = 3.0
"""Seconds that a server on this machine may take to list its models."""


def choose_model() -> tuple[str, str]:
    """The model to use, and a sentence that says why: the environment's, else a Gemma on a reachable Ollama, else
    the built-in matcher."""
    from gemmagraph.tools import run_sync

    named = os.environ.get(VARIABLE, "").strip()
    if named:
        return named, f"Model: {named} (from {VARIABLE})."
    found = run_sync(_on_ollama())
    if found:
        return f"ollama:{found}", f"Model: {found} on Ollama (the first Gemma there; -m or {VARIABLE} names another)."
    return "builtin", (
        "Model: none. No Ollama with a Gemma answers, so the built-in matcher stands in: no language model, "
        "read-only tools only. For a real one: ollama pull gemma3:4b"
    )


async def _on_ollama() -> str:
    """The best Gemma that a reachable Ollama has, or empty."""
    from gemmagraph.backends import backend_for

    backend, _ = backend_for("ollama:gemma3")
    try:
        async with asyncio.timeout(_PATIENCE):
            models = await backend.models()
    except (BackendError, TimeoutError):
        return ""
    finally:
        await backend.close()
    return next((model.name for model in models if _can_call_tools(model.name)), "")


def _can_call_tools(name: str) -> bool:
    try:
        return family_of(name).tools
    except (AgentError, NotationError):
        return False
