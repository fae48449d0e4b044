"""Model servers and engines by name: `ollama:gemma3:4b` is the model `gemma3:4b` of the backend `ollama`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import TypeAlias

from gemmagraph.backends.base import (
    Backend,
    Chunk,
    Constraint,
    CountsTokens,
    ModelInfo,
    Request,
    ServerCall,
    Transport,
)
from gemmagraph.errors import AgentError

__all__ = [
    "Backend",
    "Chunk",
    "Constraint",
    "CountsTokens",
    "Factory",
    "ModelInfo",
    "Request",
    "ServerCall",
    "Transport",
    "backend_for",
    "register_backend",
]

Factory: TypeAlias = Callable[[str, str | None, str | None], Backend]
"""Makes a backend from the name of the model, the base URL and the API key."""


def backend_for(name: str, *, base_url: str | None = None, api_key: str | None = None) -> tuple[Backend, str]:
    """The backend that `name` begins with, and the name of its model.

    Raises:
        AgentError: `name` begins with no backend, or the backend cannot be made from this.
    """
    kind, colon, model = name.partition(":")
    factory = _FACTORIES.get(kind)
    if factory is None:
        raise _unknown(name, kind, model)
    if kind in _NAMELESS:
        if colon:
            raise AgentError(f"{kind!r} has no models, so {name!r} names none.", hint=f"Say just {kind!r}.")
        model = kind
    elif not model:
        raise AgentError(f"{name!r} names no model.", hint=f"Say which: {_EXAMPLES.get(kind, kind + ':MODEL')}.")
    return factory(model, base_url, api_key), model


def register_backend(name: str, factory: Factory) -> None:
    """Makes `name:MODEL` mean the backend that `factory` makes.

    Raises:
        AgentError: the name is taken, or is no word.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise AgentError(f"{name!r} cannot name a backend.", hint="Use lower-case letters, digits, - and _.")
    if name in _FACTORIES:
        raise AgentError(f"There is a backend {name!r} already.", hint="Use another name.")
    _FACTORIES[name] = factory


def _unknown(name: str, kind: str, model: str) -> AgentError:
    there = ", ".join(sorted(_FACTORIES))
    near = difflib.get_close_matches(kind, _FACTORIES, n=1, cutoff=0.7)
    if near and (model or near[0] in _NAMELESS):
        meant = f"{near[0]}:{model}" if model else near[0]
        return AgentError(f"There is no backend {kind!r}.", hint=f"Did you mean {meant!r}?")
    if not model or "gemma" in kind.lower() or not kind.isidentifier():  # a model and its tag, or a file of one
        meant = "gguf" if name.lower().endswith(".gguf") else "ollama"
        return AgentError(
            f"{name!r} does not say where the model runs.",
            hint=f"Did you mean '{meant}:{name}'? The places are: {there}.",
        )
    return AgentError(f"There is no backend {kind!r}.", hint=f"There are: {there}.")


def _ollama(model: str, base_url: str | None, api_key: str | None) -> Backend:
    from gemmagraph.backends.ollama.backend import OllamaBackend

    return OllamaBackend(base_url, api_key)


def _openai(model: str, base_url: str | None, api_key: str | None) -> Backend:
    from gemmagraph.backends.openai.backend import OpenAIBackend

    return OpenAIBackend(base_url, api_key)


def _gemini(model: str, base_url: str | None, api_key: str | None) -> Backend:
    from gemmagraph.backends.gemini.backend import GeminiBackend

    return GeminiBackend(model, base_url, api_key)


def _builtin(model: str, base_url: str | None, api_key: str | None) -> Backend:
    from gemmagraph.backends.builtin import BuiltinBackend

    _no_server("builtin", base_url, api_key)
    return BuiltinBackend()


def _gguf(path: str, base_url: str | None, api_key: str | None) -> Backend:
    from gemmagraph.backends.gguf.backend import GgufBackend

    _no_server("gguf", base_url, api_key)
    return GgufBackend(path)


def _scripted(path: str, base_url: str | None, api_key: str | None) -> Backend:
    from gemmagraph.backends.scripted import ScriptedBackend

    _no_server("scripted", base_url, api_key)
    return ScriptedBackend.from_file(path)


def _transformers(model: str, base_url: str | None, api_key: str | None) -> Backend:
    from gemmagraph.backends.transformers.backend import TransformersBackend

    if base_url is not None:
        raise AgentError("'transformers' asks no server.", hint="Leave base_url out; HF_ENDPOINT names another hub.")
    return TransformersBackend(model, token=api_key or "")


def _no_server(kind: str, base_url: str | None, api_key: str | None) -> None:
    if base_url is not None or api_key is not None:
        raise AgentError(f"{kind!r} asks no server.", hint="Leave base_url and api_key out.")


_FACTORIES: dict[str, Factory] = {
    "builtin": _builtin,
    "gemini": _gemini,
    "gguf": _gguf,
    "ollama": _ollama,
    "openai": _openai,
    "scripted": _scripted,
    "transformers": _transformers,
}
_NAMELESS = frozenset({"builtin"})
"""Backends that are their own model."""
_EXAMPLES = {
    "gemini": "gemini:gemma-4-31b-it",
    "gguf": "gguf:FILE.gguf",
    "ollama": "ollama:gemma3:4b",
    "openai": "openai:google/gemma-3-4b-it",
    "scripted": "scripted:FILE.jsonl",
    "transformers": "transformers:google/gemma-3-4b-it",
}
