"""What is typed, or comes through a pipe, as lines."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from gemmagraph.bots.terminal.keys import Keys, ended, goes_on

_PIECE: Final = 65_536


class Input:
    """Args:
    source: a file descriptor.
    live: whether it is a keyboard, whose keys are shown as they are typed.
    """

    def __init__(self, source: int, *, live: bool) -> None:
        self._source = source
        self._live = live
        self._keys = Keys()
        self._bytes = b""
        self._begun: list[str] = []
        """Lines that go on."""
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._stopped = asyncio.Event()

    @property
    def text(self) -> str:
        return self._keys.text

    @property
    def at(self) -> int:
        return self._keys.at

    async def line(self) -> str | None:
        """The next line; None at the end of the input."""
        return await self._lines.get()

    def stop(self) -> None:
        self._stopped.set()

    async def stopped(self) -> None:
        """Returns when somebody wants to leave at once."""
        await self._stopped.wait()

    @contextmanager
    def open(self, changed: Callable[[], None]) -> Iterator[None]:
        """Reads inside.

        Args:
            changed: called when something was typed.
        """
        loop = asyncio.get_running_loop()

        def read() -> None:
            try:
                data = os.read(self._source, _PIECE)
            except OSError:  # the terminal is gone
                data = b""
            if not data:
                loop.remove_reader(self._source)
            if self._live and data:
                self._typed(data)
                changed()
            else:
                self._came(data)

        with _keys_as_they_come(self._source) if self._live else _as_it_is():
            try:
                loop.add_reader(self._source, read)
            except PermissionError:  # a file on a disk: nothing has to be waited for
                while data := os.read(self._source, _PIECE):
                    self._came(data)
                self._came(b"")
                yield
                return
            try:
                yield
            finally:
                loop.remove_reader(self._source)

    def _typed(self, data: bytes) -> None:
        for event in self._keys.typed(data):
            if event == b"stop":
                self.stop()
            else:
                self._lines.put_nowait(None if isinstance(event, bytes) else event)

    def _came(self, data: bytes) -> None:
        """Takes what came through a pipe; nothing stands for its end."""
        *lines, self._bytes = (self._bytes + data).split(b"\n")
        if not data and self._bytes:
            lines, self._bytes = [self._bytes], b""
        for line in lines:
            text = line.decode("utf-8", "replace").removesuffix("\r")
            begun = goes_on(text)
            self._begun.append(ended(text) if begun is None else begun)
            if begun is None or not data:
                self._lines.put_nowait("\n".join(self._begun))
                self._begun.clear()
        if not data:
            self._lines.put_nowait(None)


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


@contextmanager
def _keys_as_they_come(source: int) -> Iterator[None]:
    """Inside, each key comes at once and is not shown by the system, Ctrl-C included. What was typed before is
    forgotten: nobody was there."""
    import termios

    before = termios.tcgetattr(source)
    now = termios.tcgetattr(source)
    now[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN)
    now[6][termios.VMIN], now[6][termios.VTIME] = 1, 0
    termios.tcsetattr(source, termios.TCSAFLUSH, now)
    try:
        yield
    finally:
        with suppress(termios.error):
            termios.tcsetattr(source, termios.TCSADRAIN, before)
