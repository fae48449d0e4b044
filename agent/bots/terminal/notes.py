"""What the log and tools write, on the screen above the line that is being typed, and not into it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TextIO, cast


@contextmanager
def gathered(note: Callable[[str], None]) -> Iterator[None]:
    """Inside, what the log would write to a terminal, and what is printed, goes to `note`."""
    notes = cast(TextIO, _Notes(note))
    handlers = [
        handler
        for handler in logging.getLogger("gemmagraph.bots").handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream.isatty()
    ]
    before = [handler.stream for handler in handlers]
    for handler in handlers:
        handler.setStream(notes)
    try:
        with redirect_stdout(notes):
            yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            handler.setStream(stream)


class _Notes:
    """A stream. Any thread may write to it."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._loop = asyncio.get_running_loop()

    def write(self, text: str) -> int:
        if said := text.rstrip():
            self._loop.call_soon_threadsafe(self._note, said)
        return len(text)

    def flush(self) -> None: ...
