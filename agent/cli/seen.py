"""A model server, looked at: whether it answers, what it is, and which models it has. A dead one costs 3 seconds."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from gemmagraph.backends.base import ModelInfo
from gemmagraph.backends.gemini.backend import GeminiBackend
from gemmagraph.backends.gemini.words import KEYS
from gemmagraph.backends.gemini.words import address as gemini_address
from gemmagraph.backends.network.http import Bounds
from gemmagraph.backends.ollama.backend import OllamaBackend
from gemmagraph.backends.ollama.words import address as ollama_address
from gemmagraph.backends.openai.backend import OpenAIBackend
from gemmagraph.backends.openai.words import address as openai_address
from gemmagraph.errors import GemmagraphError
from gemmagraph.prompts.catalog import family_of
from gemmagraph.prompts.errors import NotationError

Kind: TypeAlias = Literal["ollama", "openai", "gemini"]
Looked: TypeAlias = OllamaBackend | OpenAIBackend | GeminiBackend

PATIENCE: Final = 3.0
"""Seconds that looking at a server may take."""
_BOUNDS: Final = Bounds(connect=PATIENCE, question=PATIENCE, total=PATIENCE, tries=1)
_COUNTING: Final = 1.0
"""Seconds that it may take to see whether a server that answers counts tokens."""
_DEAD: Final = "Check the address, and whether that machine can be reached."
_SECRETS: Final = ("OLLAMA_API_KEY", "OPENAI_API_KEY", *KEYS)
_ADDRESSES: Final = ("OLLAMA_HOST", "OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL")
_LABELS: Final[Mapping[Kind, str]] = {"ollama": "Ollama", "openai": "Server", "gemini": "Gemini API"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a server."""

    kind: Kind
    label: str
    version: str = ""
    models: tuple[ModelInfo, ...] = ()
    loaded: Mapping[str, int | None] = field(default_factory=dict)
    """Models in memory, with their tokens of context."""
    counts: bool = False
    """Whether it counts the tokens of a text when it is asked."""
    problem: str = ""
    """Why nothing else is known; then `hint` says what to do."""
    hint: str = ""


def configured() -> list[Kind]:
    """The kinds of servers to look at if none is named: Ollama, and those that the environment speaks of."""
    found: list[Kind] = ["ollama"]
    if os.environ.get("OPENAI_BASE_URL", "").strip():
        found.append("openai")
    if any(os.environ.get(name, "").strip() for name in KEYS):
        found.append("gemini")
    return found


def load(kinds: Iterable[Kind]) -> None:
    """Imports what asks these servers. That takes a while, on a busy machine seconds, which no server is to blame
    for."""
    for kind in kinds:
        with suppress(ImportError):  # that is said of the server
            importlib.import_module("gemmagraph.backends.gemini.client" if kind == "gemini" else "httpx")


async def look(kind: Kind, base_url: str | None = None, *, counting: bool = False) -> Seen:
    """The server of this kind at `base_url`, or where the environment says.

    Args:
        counting: whether to see, too, if it counts tokens.
    """
    backend: Looked | None = None
    label = _LABELS[kind]
    problem, hint = "", ""
    try:
        backend = _made(kind, base_url)
        label = backend.label
        async with asyncio.timeout(PATIENCE):
            await resolved(kind, base_url)
            seen = await _asked(backend)
        return replace(seen, counts=counting and await _counts(backend, seen.models))
    except GemmagraphError as exc:
        problem, hint = exc.message, exc.hint or ""
    except TimeoutError:
        problem, hint = f"{label} did not answer within {PATIENCE:g} s.", _DEAD
    finally:
        if backend is not None:
            await backend.close()
    return Seen(kind, masked(label), problem=problem, hint=hint)


async def resolved(kind: Kind, base_url: str | None = None) -> None:
    """Returns when the name of the host has been looked up, whatever came of it. The event loop would look it up in
    a thread for which the end of the program waits, much longer than we."""
    address = {"ollama": ollama_address, "openai": openai_address, "gemini": gemini_address}[kind]
    place = urlsplit(address(base_url)).hostname
    if any(name.lower().endswith("_proxy") for name in os.environ):  # then a proxy may look it up
        return
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def look_up() -> None:
        with suppress(OSError, UnicodeError):  # whoever asks the server says so better
            socket.getaddrinfo(place, None)
        with suppress(RuntimeError):  # nobody waited for it
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=look_up, daemon=True).start()
    await done.wait()


def is_gemma(name: str) -> bool:
    try:
        family_of(name)
    except NotationError:
        return False
    return True


def masked(text: str, *addresses: str | None) -> str:
    """`text` without the keys and passwords that the environment or an address holds."""
    for address in (*(os.environ.get(name) for name in _ADDRESSES), *addresses):
        login, at, _ = (address or "").rpartition("://")[2].partition("/")[0].rpartition("@")
        text = text.replace(login + at, "") if login else text
    for secret in (os.environ.get(name, "").strip() for name in _SECRETS):
        text = text.replace(secret, "***") if len(secret) >= 8 else text
    return re.sub(r"//[^/\s@]*@", "//", text)


def _made(kind: Kind, base_url: str | None) -> Looked:
    if kind == "gemini":
        return GeminiBackend("", base_url, bounds=_BOUNDS)
    return (OllamaBackend if kind == "ollama" else OpenAIBackend)(base_url, bounds=_BOUNDS)


async def _asked(backend: Looked) -> Seen:
    if not isinstance(backend, OllamaBackend):
        models = await backend.models()
        kind: Kind = "openai" if isinstance(backend, OpenAIBackend) else "gemini"
        return Seen(kind, backend.label, models=tuple(models))
    begun = asyncio.get_running_loop().time()
    version, models, loaded = await asyncio.gather(backend.version(), backend.models(), _loaded(backend))
    asking = [asyncio.ensure_future(_detailed(backend, model)) for model in models]
    if asking:
        left = begun + PATIENCE - 0.5 - asyncio.get_running_loop().time()
        _, late = await asyncio.wait(asking, timeout=max(left, 0.1))
        for task in late:  # what the list says has to do
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    known = (model if task.cancelled() else task.result() for task, model in zip(asking, models, strict=True))
    return Seen("ollama", backend.label, version, tuple(known), loaded)


async def _counts(backend: Looked, models: Sequence[ModelInfo]) -> bool:
    """Whether it counts the tokens of a text for its first Gemma."""
    model = next((model.name for model in models if is_gemma(model.name)), None)
    if model is None or isinstance(backend, OllamaBackend):
        return False
    try:
        async with asyncio.timeout(_COUNTING):
            return await backend.count(model, "Hi") > 0
    except (GemmagraphError, TimeoutError):
        return False


async def _loaded(backend: OllamaBackend) -> Mapping[str, int | None]:
    try:
        return await backend.loaded()
    except GemmagraphError:  # an old server
        return {}


async def _detailed(backend: OllamaBackend, model: ModelInfo) -> ModelInfo:
    """The model with its context; the list does not tell it."""
    if not is_gemma(model.name):
        return model
    try:
        found = await backend.info(model.name)
    except GemmagraphError:
        return model
    return replace(found, name=model.name, size=model.size)
