"""Where results too long for the model are kept, page by page, for the user and thread they were made for.

In memory: a handle does not outlive the process. The oldest texts make room for new ones.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.results import MOST_CHARS, Keep, beside, line_end
from gemmagraph.tools.secrets import beginning, mask

READER: Final = "read_more"
"""The tool that reads on, named in every note."""

_PER_THREAD = 4 * MOST_CHARS
_TOTAL = 32 * MOST_CHARS
_KEY: Final = secrets.token_bytes(16)
"""So that nobody can work out a handle."""
_NOTE: Final = 160
"""Characters left free on a page for what is said of it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who may read on."""

    user: str | None = None
    thread: str | None = None

    @classmethod
    def of(cls, context: ToolContext) -> Owner:
        return cls(context.user, context.thread)


@dataclass(frozen=True, slots=True)
class _Kept:
    owner: Owner
    text: str
    starts: tuple[int, ...]
    """Where each page begins."""

    def page(self, number: int) -> str:
        ends = (*self.starts[1:], len(self.text))
        return self.text[self.starts[number - 1] : ends[number - 1]]


class Spill:
    """Texts by handle: at most `total` characters, and `per_thread` of one user's thread; the oldest go first."""

    def __init__(self, *, total: int = _TOTAL, per_thread: int = _PER_THREAD) -> None:
        self._total = total
        self._per_thread = min(per_thread, total)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._sizes: dict[Owner, int] = {}
        self._used = 0
        self._lock = threading.Lock()

    def put(
        self, text: str, owner: Owner, max_chars: int, keep: Keep = "head", *, size: str = "", whole: bool = True
    ) -> str:
        """Keeps `text`; returns as much of it as `max_chars` allow, with a note that says how to read on.

        Of a text larger than a thread may have, only the beginning is kept. `size` says how large the result is of
        which `text` is not the whole.
        """
        size = size or f"{len(text):,} characters"
        whole = whole and len(text) <= self._per_thread
        text = mask(text) if whole else beginning(text, self._per_thread)
        kept = _Kept(owner, text, _starts(text, max(1, max_chars - _NOTE)))
        # The same result has the same handle: a call that is made again and again must be seen to be the same.
        handle = blake2b(f"{owner}\0{text}".encode(errors="surrogatepass"), digest_size=8, key=_KEY).hexdigest()
        with self._lock:
            if handle not in self._kept:
                self._make_room(owner, len(text))
                self._kept[handle] = kept
                self._sizes[owner] = self._sizes.get(owner, 0) + len(text)
                self._used += len(text)
            self._kept.move_to_end(handle)
        pages = len(kept.starts)
        said = (
            f"[Cut. The whole has {size}; {f'{pages:,} pages' if whole else f'the first {pages:,} pages are kept'}."
        )
        if keep == "tail" and whole:
            return beside(
                text, max_chars, f"{said} This is the end. Before it: {_call(handle, max(1, pages - 1))}.]", keep
            )
        further = f" Go on with {_call(handle, 2)}." if pages > 1 else ""
        return f"{kept.page(1).rstrip()}\n{said}{further}]"

    def page(self, handle: str, number: int, owner: Owner) -> str:
        """One page, with a note that says how to read on.

        Raises:
            ToolError: there is no such page, or nothing under this handle for this owner.
        """
        with self._lock:
            kept = self._kept.get(handle)
        if kept is None or kept.owner != owner:
            raise ToolError(
                f"Nothing is kept under the handle {handle[:40]!r} (any more).",
                hint="Call the tool that gave the long result again.",
            )
        pages = len(kept.starts)
        if not 1 <= number <= pages:
            raise ToolError(f"There is no page {number}.", hint=f"The pages are 1 to {pages}.")
        further = "the end" if number == pages else f"go on with {_call(handle, number + 1)}"
        return f"{kept.page(number).rstrip()}\n[Page {number:,} of {pages:,}; {further}.]"

    def _make_room(self, owner: Owner, size: int) -> None:
        """Drops the oldest texts: of this owner, then of all."""
        if self._sizes.get(owner, 0) + size > self._per_thread:
            for handle in [handle for handle, kept in self._kept.items() if kept.owner == owner]:
                if self._sizes.get(owner, 0) + size > self._per_thread:
                    self._drop(handle)
        while self._used + size > self._total:
            self._drop(next(iter(self._kept)))

    def _drop(self, handle: str) -> None:
        kept = self._kept.pop(handle)
        self._used -= len(kept.text)
        self._sizes[kept.owner] -= len(kept.text)
        if not self._sizes[kept.owner]:
            del self._sizes[kept.owner]


SPILL: Final = Spill()
"""That of the process, for tools that run without another."""


def _call(handle: str, page: int) -> str:
    return f'{READER}(handle="{handle}", page={page})'


def _starts(text: str, size: int) -> tuple[int, ...]:
    """Where pages of at most `size` characters begin: behind line breaks, where one is near."""
    starts = [0]
    while len(text) - starts[-1] > size:
        begin = starts[-1]
        end = begin + line_end(text[begin : begin + size], size)
        starts.append(end + 1 if text[end] == "\n" and end < begin + size else end)
    return tuple(starts)
