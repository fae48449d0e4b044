"""Sampling options as `transformers` takes them, each checked before a model is loaded for nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from gemmagraph.backends.words import no_option
from gemmagraph.errors import BadRequest
from gemmagraph.prompts.messages import JSON


class _Range(NamedTuple):
    least: float
    most: float = math.inf
    whole: bool = False


_RANGES: Final = {
    "temperature": _Range(0),
    "top_k": _Range(0, whole=True),
    "top_p": _Range(0, 1),
    "min_p": _Range(0, 1),
    "typical_p": _Range(0, 1),
    "epsilon_cutoff": _Range(0, 1),
    "eta_cutoff": _Range(0, 1),
    "repetition_penalty": _Range(0.01),
    "no_repeat_ngram_size": _Range(0, whole=True),
    "seed": _Range(-(2**63), 2**63 - 1, whole=True),
}
SAMPLING: Final = frozenset(_RANGES) - {"repetition_penalty", "no_repeat_ngram_size", "seed"}
"""Options that say how a token is drawn: without one, the model's own settings say whether any is."""
_ALIASES: Final = {"repeat_penalty": "repetition_penalty", "typical": "typical_p"}


def checked(options: Mapping[str, JSON], label: str) -> dict[str, int | float]:
    """The options by the names that `transformers` has for them.

    Args:
        label: how errors call the backend.

    Raises:
        BadRequest: it has no such option, or not with that value.
    """
    found = {}
    for given, value in options.items():
        if value is None:
            continue
        name = _ALIASES.get(given, given)
        if name not in _RANGES:
            raise no_option(given, _RANGES, label)
        allowed = _RANGES[name]
        kinds = (int,) if allowed.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not allowed.least <= value <= allowed.most:
            number = "a whole number" if allowed.whole else "a number"
            to = "up" if allowed.most == math.inf else f"to {allowed.most:g}"
            raise BadRequest(f"{given}={value!r} will not do.", hint=f"Give {number} from {allowed.least:g} {to}.")
        found[name] = value
    return found
