"""What a model keeps of the tokens it read last, so that a conversation that goes on is not read anew."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any


class Memory:
    """The keys and values of the tokens read last, for one model.

    Args:
        config: of the model.
    """

    def __init__(self, config: Any) -> None:
        self._config = config
        self._cache: Any = None
        self._read: list[int] = []
        """The tokens whose keys and values are kept."""

    def going_on_with(self, ids: Sequence[int]) -> Any:
        """The cache to read a prompt into; it holds as much of its beginning as can be used.

        Until `keep` is called, nothing is remembered: a reading that fails leaves no half of it.
        """
        cache, read = self._cache, self._read
        self.forget()
        # The last token of a prompt is always read: what follows comes of it.
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(read, ids[:-1], strict=False)))
        if not same or not _rewound(cache, len(read) - same):
            from transformers import DynamicCache  # type: ignore[import-not-found, unused-ignore] # an extra

            return DynamicCache(config=self._config)
        return cache

    def keep(self, cache: Any, ids: Sequence[int]) -> None:
        """Remembers a cache and the tokens that were read into it, the last of which it may not hold yet."""
        held = cache.get_seq_length()
        if held <= len(ids):
            self._cache, self._read = cache, list(ids[:held])

    def forget(self) -> None:
        self._cache, self._read = None, []


def _rewound(cache: Any, tokens: int) -> bool:
    """Takes the last tokens out of a cache. A layer with a sliding window has dropped what lay outside of it, but for
    the tokens since the end of the last prompt: then it may not be possible.
    """
    cache.activate_past_recording()
    for layer in cache.layers:
        if not getattr(layer, "is_sliding", False) or not layer.get_seq_length():
            continue
        needed = min(layer.sliding_window - 1, layer.get_seq_length() - tokens)
        if layer.keys.shape[-2] - tokens < needed:
            return False
    cache.crop(-tokens)
    return True
