"""A conversation: turn after turn on one thread, and the commands in between."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gemmagraph.asked import ago
from gemmagraph.cli.keeping import new_thread
from gemmagraph.cli.session import Session
from gemmagraph.cli.terminal import one_line, sentence, shortened
from gemmagraph.errors import GemmagraphError, NeedsDecision
from gemmagraph.prompts.checking import schemas
from gemmagraph.run import Result
from gemmagraph.tools import run_sync
from gemmagraph.tools.secrets import masked_trace

_HISTORY: Final = 1_000
"""Lines that are kept."""


def converse(session: Session, thread: str | None = None) -> int:
    """Takes turns until the person leaves or the input ends; returns the exit code: 1 if piped input had a turn
    that went wrong.

    Args:
        session: who answers.
        thread: the thread to go on with, if it is there.
    """
    chat = _Chat(session, thread)
    if not session.terminal.asks:
        chat.begin()
        while not chat.over and (line := session.terminal.read("")) is not None:
            chat.take(line)
            if chat.kept:
                session.terminal.note(f"Not taken: {chat.kept}", "yellow", 0)
                chat.kept = ""
        return 1 if chat.failed else 0
    session.terminal.line("  /help shows the commands, Ctrl-D leaves.", "dim")
    with session.terminal.interrupts.held(), _history() as remember:
        chat.begin()
        while not chat.over:
            prefill, chat.kept = chat.kept, ""
            try:
                line = session.terminal.read("> ", prefill)
            except KeyboardInterrupt:
                session.terminal.line("  Ctrl-D leaves.", "dim")
                continue
            if line is None:
                break
            remember(line)
            chat.take(line)
    return 0


class _Chat:
    def __init__(self, session: Session, thread: str | None) -> None:
        self.over = False
        self.failed = False
        self.kept = ""
        """What was typed and could not be taken."""
        self._session = session
        self._thread = thread or new_thread()
        self._waits = False
        """Whether the thread waits for a person, as far as is known."""

    def begin(self) -> None:
        """Says which thread it is, and goes on with what was begun on it."""
        store = self._session.store
        if store is None or self._session.waiting is None:
            return
        there = next((one for one in run_sync(store.threads()) if one.id == self._thread), None)
        if there is None:
            self._named()
            return
        self._session.terminal.note(f"Thread {there.id}, last used {ago(there.updated)}: {there.title}", "dim")
        if there.state == "running":
            self._session.terminal.note(
                "Another process is at work on it; what you say is answered after that.", "dim"
            )
        elif there.state == "failed":
            self._session.terminal.note(f"The last turn failed: {there.failure} /continue tries it again.", "yellow")
        elif there.state != "idle":
            self._go_on()

    def take(self, line: str) -> None:
        """One line of the person: a command, or something to be answered."""
        line = line.strip()
        if re.match(r"/[a-z]*(\s|$)", line, re.IGNORECASE):  # not the path of a file
            self._command(line)
        elif line:
            self._say(line)

    def _say(self, said: str) -> None:
        ready = not self._waits or self._go_on()
        if not (ready and self._turn(lambda: self._session.take(said, thread=self._thread))):
            self.kept = said

    def _go_on(self) -> bool:
        """Goes on with what was begun; returns whether the thread may take something new."""
        return self._turn(lambda: self._session.resume(self._thread)) and not self._waits

    def _turn(self, ask: Callable[[], Result]) -> bool:
        """Returns whether it was taken up, however it ended."""
        terminal, waiting = self._session.terminal, self._session.waiting
        try:
            result = ask()
            self._waits = result.stop == "needs_approval"
            self.failed |= result.stop != "answered"
            if self._waits:
                terminal.note("Then: /continue, or whatever you say next.", "dim", 4)
        except KeyboardInterrupt:
            self._waits = waiting is not None and bool(waiting.of(self._thread))
            still = " What waited still waits." if self._waits else ""
            terminal.note(f"{self._session.display.stopped()}{still}", "yellow", 0)
            self.failed = True
        except NeedsDecision as exc:
            self._waits = self.failed = True
            if waiting is not None:
                waiting.tell(exc.pending)
            return False
        except BrokenPipeError:
            raise  # whoever read our output has left: nobody is there to go on with
        except Exception as exc:  # noqa: BLE001 - whatever it is, the conversation goes on
            if self._session.debug:
                terminal.line(masked_trace(exc).rstrip(), "dim")
            terminal.note(f"Error: {sentence(exc)}", "red", 0)
            self.failed = True
            if self._left():
                terminal.note("What you said is kept. /continue tries it again.", "yellow", 0)
        return True

    def _left(self) -> bool:
        """Whether something has no answer yet that could be tried again."""
        store = self._session.store
        if store is None or self._session.waiting is None:
            return False
        with suppress(GemmagraphError):
            return bool(run_sync(store.inputs.open(self._thread, failed=True)))
        return False

    def _command(self, line: str) -> None:
        word = line.split()[0].lower()
        command = _COMMANDS.get(word)
        if command is not None:
            command[0](self)
            return
        near = difflib.get_close_matches(word, _COMMANDS, n=1)
        hint = f"Did you mean {near[0]}?" if near else "/help lists the commands."
        self._session.terminal.line(f"There is no command {word}. {hint}", "yellow")

    def help(self) -> None:
        for word, (_, what) in _COMMANDS.items():
            self._session.terminal.line(f"  {word:<10}{what}")
        self._session.terminal.line("  Ctrl-C    stops an answer; at the prompt, drops what was typed")

    def tools(self) -> None:
        terminal = self._session.terminal
        tools = self._session.agent.tools.values()
        for tool in tools:
            asks = tool.own_ruling().verdict == "ask"
            mark = "read-only" if tool.read_only else "asks first" if asks else ""
            about = tool.description.strip().partition("\n")[0]
            terminal.line(
                f"  {one_line(schemas.signature(tool.name, schemas.flat(tool.spec.parameters)))}"
                + (f"   [{mark}]" if mark else "")
            )
            if about:
                terminal.line(f"    {shortened(one_line(about), terminal.columns - 5)}", "dim")
        if not tools:
            terminal.line("  There are none. Start with --tools FILE.py to give it some.")

    def reset(self) -> None:
        self._thread = new_thread()
        self._waits = False
        self._session.terminal.line("  A new conversation.", "dim")
        if self._session.waiting is not None:
            self._named()

    def go_on(self) -> None:
        if self._waits or self._left():
            self._go_on()
        else:
            self._session.terminal.line("  There is nothing to go on with.", "dim")

    def _named(self) -> None:
        """Says how a new thread is come back to."""
        again = f"gemmagraph chat --thread {self._thread}{self._session.options}"
        self._session.terminal.line(f"  Go on with it later: {again}", "dim")

    def verbose(self) -> None:
        display = self._session.display
        display.verbose = not display.verbose
        self._session.terminal.line(
            f"  Prompts and raw replies are {'shown' if display.verbose else 'hidden'}.", "dim"
        )

    def quit(self) -> None:
        self.over = True


_COMMANDS: Final[Mapping[str, tuple[Callable[[_Chat], None], str]]] = {
    "/help": (_Chat.help, "shows this"),
    "/tools": (_Chat.tools, "lists the tools"),
    "/verbose": (_Chat.verbose, "shows prompts and raw replies, or hides them again"),
    "/continue": (_Chat.go_on, "goes on with what waits or went wrong"),
    "/reset": (_Chat.reset, "begins a new conversation"),
    "/quit": (_Chat.quit, "leaves, as Ctrl-D does"),
}


@contextmanager
def _history() -> Iterator[Callable[[str], None]]:
    """Lines of earlier conversations can be come back to; only their writer may read the file they are in."""
    try:
        import readline
    except ImportError:  # Windows has none
        yield lambda line: None
        return
    file = _data_folder() / "chat_history"
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(file, os.O_CREAT | os.O_RDONLY, 0o600))
        file.chmod(0o600)
        readline.read_history_file(file)
    readline.set_history_length(_HISTORY)

    def remember(line: str) -> None:
        if line.strip():
            readline.add_history(line)

    try:
        yield remember
    finally:
        mask = os.umask(0o077)  # it may be written anew
        with suppress(OSError):
            readline.write_history_file(file)
        os.umask(mask)


def _data_folder() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "gemmagraph"
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".local" / "share") / "gemmagraph"
