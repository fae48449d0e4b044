"""A command on a pseudo-terminal: keys go in, Ctrl-C included, and what a person would see comes out."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

LONGEST = 30.0
"""Seconds that anything here may take."""
CTRL_C, CTRL_D = "\x03", "\x04"
QUESTION = "Run it? [y]es [n]o [e]dit [r]espond [w]hy"

ON_THE_TERMINAL = """
import os, runpy, sys
os.login_tty(0)
sys.argv[0] = "gemmagraph"
runpy.run_module("gemmagraph", run_name="__main__")
"""


class Screen:
    """A command on a pseudo-terminal."""

    def __init__(self, args: tuple[str, ...], home: Path, columns: int, folder: Path | None = None) -> None:
        self._keys, theirs = os.openpty()
        termios.tcsetwinsize(self._keys, (40, columns))
        self._process = subprocess.Popen(
            [sys.executable, "-c", ON_THE_TERMINAL, *args],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder or home,
            env=os.environ | {"TERM": "xterm", "NO_COLOR": "1", "HOME": str(home), "XDG_DATA_HOME": str(home)},
        )
        os.close(theirs)
        self._latest = time.monotonic() + LONGEST
        self.raw = ""
        self._seen = 0

    @property
    def text(self) -> str:
        """All that came, without escape sequences and the lines that were taken back."""
        lines = self.raw.replace("\r\n", "\n").split("\n")
        kept = (re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", line.rpartition("\x1b[2K")[2]) for line in lines)
        return "\n".join(kept).replace("\r", "")

    def until(self, *words: str) -> None:
        """Waits until these words have come, one after the other, behind those that were waited for before."""
        for word in words:
            while (at := self.text.find(word, self._seen)) < 0:
                if not self._more():
                    raise AssertionError(f"{word!r} did not come; there is:\n{self.text}")
            self._seen = at + len(word)

    def glimpse(self, words: str) -> None:
        """Waits until these words have been there, be it for a moment."""
        while words not in self.raw:
            if not self._more():
                raise AssertionError(f"{words!r} did not come; there is:\n{self.text}")

    def keys(self, keys: str) -> None:
        os.write(self._keys, keys.encode())

    def insist(self, keys: str, words: str) -> None:
        """Types these keys until these words come: a Ctrl-C that is still on its way drops what was typed."""
        while self.text.find(words, self._seen) < 0:
            self.keys(keys)
            while select.select([self._keys], [], [], 1)[0] and self.text.find(words, self._seen) < 0:
                self._more()
            assert time.monotonic() < self._latest, self.text
        self.until(words)

    def end(self) -> int:
        """Waits for the end; returns the exit code."""
        while self._more():
            pass
        return self._process.wait(max(self._latest - time.monotonic(), 1))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._keys)

    def _more(self) -> bool:
        """Takes in what comes next; False at the end."""
        ready, _, _ = select.select([self._keys], [], [], max(self._latest - time.monotonic(), 0))
        if not ready:
            raise AssertionError(f"Nothing more came in {LONGEST:g} s; there is:\n{self.text}")
        try:
            came = os.read(self._keys, 65536)
        except OSError:  # Linux says so when the other side is closed
            came = b""
        self.raw += came.decode(errors="replace")
        return bool(came)
