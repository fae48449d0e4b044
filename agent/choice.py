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


async def choose_model(base_url: str | None = None) -> tuple[str, str]:
    """The model to use, and a sentence that says why: the environment's, else a Gemma on a reachable Ollama, else
    the built-in matcher.

    Args:
        base_url: the Ollama server to look at. It was named, so nothing stands in for it.

    Raises:
        BackendError: the named server cannot be asked.
        AgentError: the named server has no Gemma.
    """
    named = os.environ.get(VARIABLE, "").strip()
    if named:
        return named, f"Model: {named} (from {VARIABLE})."
    try:
        found = await _on_ollama(base_url)
        problem = "the Ollama that answers has no Gemma"
    except (BackendError, TimeoutError):
        if base_url is not None:
            raise
        found, problem = "", "no Ollama answers"
    if found:
        return f"ollama:{found}", f"Model: {found} on Ollama (the first Gemma there; -m or {VARIABLE} names another)."
    if base_url is not None:
        raise AgentError(f"The Ollama at {base_url} has no Gemma.", hint="Pull one there: ollama pull gemma3:4b")
    return "builtin", (
        f"No model was named and {problem}, so the built-in matcher stands in: no language model, read-only "
        "tools only. For a real one: ollama pull gemma3:4b"
    )


async def _on_ollama(base_url: str | None) -> str:
    """The first Gemma that an Ollama has, or empty: of Gemma itself rather than one made for a special purpose."""
    from gemmagraph.backends import backend_for

    backend, _ = backend_for("ollama:gemma3", base_url=base_url)
    try:
        async with asyncio.timeout(_PATIENCE):
            models = [model.name for model in await backend.models() if _can_call_tools(model.name)]
    finally:
        await backend.close()
    return next((name for name in models if family_of(name).name.startswith("gemma")), next(iter(models), ""))


def _can_call_tools(name: str) -> bool:
    try:
        return family_of(name).tools
    except (AgentError, NotationError):
        return False
