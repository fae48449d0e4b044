"""What an Ollama server says of a model: what it was made for (`show`), and how it runs (`ps`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from gemmagraph.backends.base import Constraint

if TYPE_CHECKING:
    import ollama


@dataclass(frozen=True, slots=True)
class Facts:
    """What a model was made for."""

    context: int | None = None
    """Tokens."""
    capabilities: tuple[str, ...] | None = None
    """`completion`, `vision`, `tools`, `thinking` …; None if the server does not say."""
    plain_parameters: bool = False
    """Whether the server tells the model only the first type and the description of a tool's parameter."""
    constraints: frozenset[Constraint] = frozenset()

    def lacks(self, capability: str) -> bool:
        """Whether it is certain that the model does not have it."""
        return self.capabilities is not None and capability not in self.capabilities


def facts_of(shown: ollama.ShowResponse) -> Facts:
    """What the server shows of a model."""
    known = shown.modelinfo or {}
    context = known.get(f"{known.get('general.architecture')}.context_length")
    capabilities = None if shown.capabilities is None else tuple(shown.capabilities)
    writes = capabilities is None or "completion" in capabilities
    # In MLX, which runs what is no GGUF, the server passes over `format` without a word.
    is_mlx = shown.details is not None and shown.details.format == "safetensors"
    return Facts(
        context=context if isinstance(context, int) else None,
        capabilities=capabilities,
        plain_parameters=bool(re.search(r"(?im)^RENDERER\s+functiongemma\b", shown.modelfile or "")),
        constraints=frozenset({"schema"}) if writes and not is_mlx else frozenset(),
    )


class Running(NamedTuple):
    """How a model runs."""

    window: int | None = None
    """Tokens of context that it was given; None if the server does not say."""
    size: int = 0
    """Bytes of memory that it takes, context and all."""
    on_gpu: int = 0
    """Bytes of them in the memory of the graphics card; all of them where there is no such card."""


def running(models: ollama.ProcessResponse, model: str) -> Running:
    """How `model` runs, as far as the server tells."""
    names = {model, f"{model}:latest"}
    for entry in models.models:
        if names & {entry.model, entry.name}:
            # Nothing at all on a graphics card: there is none, and so nothing to be done about it.
            return Running(entry.context_length, entry.size or 0, entry.size_vram or entry.size or 0)
    return Running()


def partly_on_gpu(model: str, runs: Running, weights: int | None) -> str:
    """What to tell of a model that does not fit the memory of the graphics card. How many tokens would fit it cannot
    be told: that hangs on how the server stores them, and for how many requests at a time, which it does not say.

    Args:
        weights: bytes of its file, if they are known. What else it takes is mostly for the context.
    """
    missing, beside = runs.size - runs.on_gpu, runs.size - (weights or 0)
    what_to_do = "ask for a smaller context (context=), or take a smaller model"
    if weights and missing > beside:
        what_to_do = "without any context it would not fit either, so take a smaller model"
    return (
        f"only {runs.on_gpu / runs.size:.0%} of {model} fits the memory of the graphics card, {missing / 1e9:.1f} GB "
        f"do not, which makes it slow: {what_to_do}"
    )
