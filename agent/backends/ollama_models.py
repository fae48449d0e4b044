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
    on_gpu: float = 1.0
    """The share of it that lies in the memory of the graphics card, where there is one."""


def running(models: ollama.ProcessResponse, model: str) -> Running:
    """How `model` runs, as far as the server tells."""
    names = {model, f"{model}:latest"}
    for entry in models.models:
        if names & {entry.model, entry.name}:
            # Nothing at all on a graphics card: there is none, and so nothing to be done about it.
            share = entry.size_vram / entry.size if entry.size and entry.size_vram else 1.0
            return Running(entry.context_length, share)
    return Running()


def partly_on_gpu(model: str, share: float) -> str:
    """What to tell of a model that does not fit the memory of the graphics card; "" if it does."""
    if share >= 1.0:
        return ""
    return (
        f"only {share:.0%} of {model} fits the memory of the graphics card, which makes it slow: ask for a smaller "
        "context (context=), or take a smaller model"
    )
