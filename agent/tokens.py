"""Tokens of texts, for one model: counted by a backend that can, else estimated and corrected by servers' counts."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from gemmagraph.errors import BackendError, BadRequest

if TYPE_CHECKING:
    from gemmagraph.backends.base import Backend

_MOST_KNOWN: Final = 4_096
"""Texts whose count is kept."""
_LIKELY: Final = (0.6, 8.0)
"""What a server may count for each token that was estimated. With fewer it counts something else: what its cache did
not hold, say, or a prompt that it has cut."""
_RATIOS: Final = 8
"""Replies that the estimate learns from: of them, the highest count."""


class Counter:
    """Counts tokens for one model: asks a backend that can, estimates else, and learns from what the server counts.

    Args:
        backend: may have a method `count`.
        model: as the backend calls it.
    """

    def __init__(self, backend: Backend, model: str) -> None:
        self._count: Callable[[str, str], Awaitable[int]] | None = getattr(backend, "count", None)
        self._model = model
        self._known: OrderedDict[bytes, int] = OrderedDict()
        self._ratios: deque[float] = deque(maxlen=_RATIOS)
        self.factor = 1.0
        """What a server counts for each token that was estimated."""
        self.surplus = 0
        """What a server counts more than the texts that it counted one by one."""

    async def exact(self, text: str) -> int | None:
        """The tokens of a text as the backend counts them, asked once; None if it does not."""
        if self._count is None:
            return None
        key = blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
        if key in self._known:
            return self._known[key]
        try:
            tokens = await self._count(self._model, text)
        except BadRequest:
            self._count = None
            return None
        except BackendError:  # what is wrong shows when it is asked for a reply
            return None
        while len(self._known) >= _MOST_KNOWN:
            self._known.popitem(last=False)
        self._known[key] = tokens
        return tokens

    @property
    def asks(self) -> bool:
        """Whether the backend counts, as far as is known."""
        return self._count is not None

    def total(self, counted: int, estimated: int) -> int:
        """The tokens of a prompt, of which some were counted and some estimated."""
        return counted + self.surplus + round(self.factor * estimated)

    def learn(self, counted: int, estimated: int, true: int) -> None:
        """Takes note of the tokens that the server counted in a whole prompt."""
        if estimated <= counted:
            if self.total(counted, estimated) < true < _LIKELY[1] * (counted + estimated):
                self.surplus += true - self.total(counted, estimated)
            return
        ratio = (true - counted - self.surplus) / estimated
        if _LIKELY[0] <= ratio <= _LIKELY[1]:
            self._ratios.append(ratio)
            self.factor = max(self._ratios)
