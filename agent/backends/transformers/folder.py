"""What a folder of a model, as `save_pretrained` or the hub writes it, says of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gemmagraph.errors import AgentError
from gemmagraph.prompts.catalog import family_of
from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.messages import JSON

CONFIG: Final = "config.json"
_NAME_ON_THE_HUB: Final = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


@dataclass(frozen=True, slots=True)
class Folder:
    """A model in a folder."""

    path: Path
    facts: Mapping[str, JSON]
    """Its `config.json`."""

    @property
    def trained(self) -> int | None:
        """Tokens of context that the model was trained for."""
        return trained(self.facts)

    @property
    def size(self) -> int:
        """Bytes of its weights."""
        return sum(file.stat().st_size for file in self.path.glob("*.safetensors"))

    @property
    def shown_size(self) -> str:
        """`8.6 GB`."""
        return f"{self.size / 1e9:.1f} GB" if self.size >= 1e9 else f"{self.size / 1e6:.1f} MB"

    @property
    def model(self) -> str:
        """A name of the model that tells its family: the folder's own if it fits the architecture."""
        kind = str(self.facts.get("model_type", "")).removesuffix("_text").removesuffix("_unified")
        names = (self.path.name, str(self.facts.get("_name_or_path") or ""))
        return next((name for name in names if _fits(name, kind)), kind)


def trained(facts: Mapping[str, JSON]) -> int | None:
    """Tokens of context that the model with this `config.json` was trained for. The language part of a model with
    eyes has its facts beneath a key of its own."""
    inner = facts.get("text_config")
    found = (inner if isinstance(inner, dict) else facts).get("max_position_embeddings")
    return found if isinstance(found, int) and found > 0 else None


def read_folder(path: Path) -> Folder:
    """The model in a folder.

    Raises:
        AgentError: there is no such folder, or no model of Gemma's in it.
    """
    shown = str(path)
    if not path.exists():
        raise AgentError(f"There is no folder {shown!r}.", hint=_near(path))
    if not path.is_dir():
        meant = f" Did you mean 'gguf:{shown}'?" if path.suffix == ".gguf" else ""
        raise AgentError(f"{shown!r} is no folder.", hint=f"Name the folder that holds {CONFIG}.{meant}")
    try:
        facts = json.loads((path / CONFIG).read_bytes())
    except FileNotFoundError as exc:
        only = "only an adapter" if (path / "adapter_config.json").exists() else "no model"
        hint = "Merge it into its base model first, and name that folder." if "adapter" in only else _inside(path)
        raise AgentError(f"{shown!r} holds {only}: {CONFIG} is missing.", hint=hint) from exc
    except (OSError, ValueError) as exc:
        raise AgentError(f"{str(path / CONFIG)!r} cannot be read: {exc}.") from exc
    kind = facts.get("model_type") if isinstance(facts, dict) else None
    if not isinstance(kind, str) or "gemma" not in kind:
        raise AgentError(
            f"{shown!r} holds a model of the type {kind!r}, which is no Gemma.", hint="Take the folder of a Gemma."
        )
    return Folder(path, facts)


def is_name_on_the_hub(name: str) -> bool:
    """Whether a model is named as on the hub, and no such folder is there."""
    return bool(_NAME_ON_THE_HUB.fullmatch(name)) and not Path(name).exists()


def _fits(name: str, kind: str) -> bool:
    """Whether `name` is of a model of that type. A derivative (FunctionGemma, MedGemma) has that of its base, and
    only its name tells it from that."""
    try:
        family = family_of(name)
    except NotationError:
        return False
    return not family.guessed and (family.name == kind or not family.name.startswith("gemma"))


def _near(path: Path) -> str:
    there = sorted(each.parent.name for each in path.parent.glob(f"*/{CONFIG}"))[:5]
    return f"There: {', '.join(there)}." if there else "There is no folder of a model beside it."


def _inside(path: Path) -> str:
    """What the folder holds instead: a copy of the hub's cache has the model two folders down."""
    there = sorted(path.glob(f"snapshots/*/{CONFIG}")) or sorted(path.glob(f"*/{CONFIG}"))
    return f"Did you mean {str(there[-1].parent)!r}?" if there else "Name the folder that save_pretrained wrote."
