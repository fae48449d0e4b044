"""The terminal: where answers and everything else are written to, and questions are read from.

What models, tools and servers say is shown without the characters that move the cursor, change colours or
turn the direction of text.
"""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import textwrap
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from functools import partial
from typing import Final, Literal, NoReturn, TextIO, TypeAlias, cast

import click

from gemmagraph.prompts.errors import GemmagraphError

Style: TypeAlias = Literal["", "dim", "bold", "red", "yellow"]

_ACTIVE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and line end, bidirectional overrides, and surrogates, which have no encoding."""
_ERASE: Final = "\r\x1b[2K"
_NOT_A_TERMINAL: Final = 100
"""Columns, where nobody says."""
_WAKE: Final = 0.1
"""Seconds after which a wait for a key looks for a Ctrl-C."""


def plain(text: str) -> str:
    """`text` without a character that acts on a terminal: each stands there as its JSON escape, so that JSON
    stays the same JSON."""
    return _ACTIVE.sub(lambda found: f"\\u{ord(found[0]):04x}", text.replace("\r", ""))


def one_line(text: str) -> str:
    return " ".join(plain(text).split())


def sentence(error: Exception) -> str:
    """An error for a person, without the value of any secret."""
    from gemmagraph.tools.secrets import mask

    if isinstance(error, GemmagraphError):
        return one_line(mask(str(error)))
    if isinstance(error, OSError) and error.strerror:
        said = f"{error.strerror}{f': {error.filename}' if error.filename else ''}"
    else:
        said = f"This should not happen: {type(error).__name__}: {error}"
    return one_line(f"{mask(said)}. --debug shows where.")


def width_of(text: str) -> int:
    """Columns that `text` takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def shortened(text: str, columns: int) -> str:
    """`text`, cut with `…` if it takes more than `columns`."""
    if width_of(text) <= columns:
        return text
    kept = text[: max(columns - 1, 0)]
    while kept and width_of(kept) > columns - 1:
        kept = kept[:-1]
    return f"{kept}…"


class Closed(Exception):
    """What was asked needs no answer any more."""


class Terminal:
    """Standard output is for answers, standard error for everything else. Often both are the same screen."""

    def __init__(self) -> None:
        self.out = sys.stdout
        self.err = sys.stderr
        self.streams = self.out.isatty()
        """Whether somebody sees the answer come. What went into a file or a pipe could not be taken back."""
        self.asks = sys.stdin.isatty() and self.err.isatty()
        """Whether there is somebody to ask, who sees the question."""
        self.edits = self.asks and self.streams
        """Whether lines are read with an editor."""
        self.interrupts = Interrupts()
        self._rewrites = self.err.isatty() and os.environ.get("TERM") != "dumb"
        self._coloured = self._rewrites and not os.environ.get("NO_COLOR")
        self._open = False
        """Whether the cursor stands behind a piece of the answer."""
        self._status = False

    @property
    def columns(self) -> int:
        try:
            return max(os.get_terminal_size(self.err.fileno()).columns, 20)
        except (OSError, ValueError):
            return _NOT_A_TERMINAL

    def line(self, text: str = "", style: Style = "") -> None:
        """A line, or several, on standard error."""
        self.settle()
        self.err.write(f"{self._styled(plain(text), style)}\n")
        self.err.flush()

    def note(self, text: str, style: Style = "", indent: int = 2) -> None:
        """A sentence on standard error, indented, and broken between words where the terminal ends."""
        space = " " * indent
        width = self.columns if self._rewrites else sys.maxsize
        self.line(textwrap.fill(one_line(text), width, initial_indent=space, subsequent_indent=space), style)

    def printed(self) -> TextIO:
        """Standard output for what runs beside us: tools may print, but not into the answer."""
        return cast(TextIO, _Printed(self))

    def answer(self, text: str) -> None:
        """A piece of the answer."""
        self._clear_status()
        self.out.write(plain(text))
        self.out.flush()
        self._open = not text.endswith("\n") if text else self._open

    def status(self, text: str) -> None:
        """What is going on, until something else is written; only where it can be taken away again."""
        if self._rewrites and not self._open:
            shown = shortened(one_line(text), self.columns - 1)
            self.err.write(f"{_ERASE}{self._styled(shown, 'dim')}")
            self.err.flush()
            self._status = True

    def settle(self) -> None:
        """Puts the cursor at the start of an empty line."""
        self._clear_status()
        if self._open:
            self.out.write("\n")
            self.out.flush()
            self._open = False

    def read(self, prompt: str, prefill: str = "", closed: Sequence[object] = ()) -> str | None:
        """A line that the person enters, None at the end of the input. Ctrl-C drops what was typed and raises
        KeyboardInterrupt, also inside an event loop.

        Args:
            prompt: What is asked.
            prefill: What stands there already to be edited, where lines can be edited.
            closed: An answer is of no use any more once something is in it.

        Raises:
            Closed: it is of no use any more; what was typed is dropped.
        """
        self.settle()
        with (
            self.interrupts.held(),
            _waking(restart=self.edits),
            _closing(closed),
            self.interrupts.doing(self.interrupts.strike),
        ):
            if not self.edits:
                self.err.write(plain(prompt) if self.asks else "")
                self.err.flush()
                line = sys.stdin.readline()
                return line.removesuffix("\n") if line else None
            try:
                with redirect_stdout(self.out), _prefilled(plain(prefill)):
                    return input(plain(prompt))
            except (EOFError, KeyboardInterrupt, Closed) as exc:
                self.line()
                if isinstance(exc, EOFError):
                    return None
                raise

    def forget_typed(self) -> None:
        """What was typed before a question was seen is no answer to it."""
        if self.asks:
            with suppress(ImportError, OSError):
                import termios

                termios.tcflush(sys.stdin, termios.TCIFLUSH)

    def _clear_status(self) -> None:
        if self._status:
            self.err.write(_ERASE)
            self.err.flush()
            self._status = False

    def _styled(self, text: str, style: Style) -> str:
        if not (self._coloured and style and text):
            return text
        if style in ("dim", "bold"):
            return click.style(text, dim=style == "dim" or None, bold=style == "bold" or None)
        return click.style(text, fg=style)


class _Printed(io.TextIOBase):
    """Whole lines on standard error."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._kept = ""

    def write(self, text: str) -> int:
        self._kept += text
        if "\n" in text:
            self.flush()
        return len(text)

    def flush(self) -> None:
        text, self._kept = self._kept, ""
        if text:
            self._terminal.settle()
            self._terminal.err.write(text)
        self._terminal.err.flush()

    def writable(self) -> bool:
        return True


class Interrupts:
    """What Ctrl-C does. By itself Python raises KeyboardInterrupt wherever the program stands, in the middle of
    cleaning up too. Here it does what is said with `doing`, and is kept for that where nothing is."""

    def __init__(self) -> None:
        self._kept = False
        self._do: Callable[[], None] | None = None

    def __call__(self, signum: int, frame: object) -> None:
        self._kept = True
        if self._do is not None:
            self._do()

    def strike(self) -> NoReturn:
        """Raises KeyboardInterrupt: once, so that a second one does not break into what the first has begun."""
        self._kept, self._do = False, None
        raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """For as long as this lasts, Ctrl-C does what is said here."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextmanager
    def doing(self, what: Callable[[], None]) -> Iterator[None]:
        """For as long as this lasts, Ctrl-C does this; at once, if it has been pressed since the last time."""
        before, self._do = self._do, what
        try:
            if self._kept:
                what()
            yield
        finally:
            self._do, self._kept = before, False


@contextmanager
def _waking(*, restart: bool) -> Iterator[None]:
    """Interrupts a wait for a key now and then: a signal that comes just before a thread goes to sleep in the
    system does not wake it, and then Ctrl-C would be seen only behind the next key.

    Args:
        restart: whether what it interrupts goes on by itself. The select() that readline waits with never does,
            and its writing, which a terminal may hold up, must.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    if signal.getsignal(signal.SIGALRM) not in (signal.SIG_DFL, _wake):  # somebody else's
        yield
        return
    # It stays: one that comes late would end the program.
    signal.signal(signal.SIGALRM, _wake)
    signal.siginterrupt(signal.SIGALRM, not restart)
    signal.setitimer(signal.ITIMER_REAL, _WAKE, _WAKE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class _Waked:
    """What a wait is looked at for when it is interrupted."""

    closed: Sequence[object] = ()
    error: Closed | None = None


_waked: Final = _Waked()


def _wake(signum: int, frame: object) -> None:
    """That it comes is enough; it also ends a wait that is of no use any more. It may run while another exception is
    on its way, where whatever is called fails: so it calls nothing."""
    if _waked.closed and _waked.error is not None:
        error, _waked.error = _waked.error, None  # once: a second one would break into what the first has begun
        raise error


@contextmanager
def _closing(closed: Sequence[object]) -> Iterator[None]:
    """For as long as this lasts, a wait for a key ends with `Closed` when something is in `closed`."""
    _waked.closed, _waked.error = closed, Closed()
    try:
        yield
    finally:
        _waked.closed, _waked.error = (), None


@contextmanager
def _prefilled(text: str) -> Iterator[None]:
    try:
        import readline
    except ImportError:  # Windows has none
        yield
        return
    readline.set_auto_history(False)  # an answer to a question is no line to come back to
    # No function of Python's own: a KeyboardInterrupt that struck in one would be lost.
    readline.set_startup_hook(partial(readline.insert_text, text))
    try:
        yield
    finally:
        readline.set_startup_hook(None)
