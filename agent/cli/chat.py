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

from gemmagraph.cli.session import Session
from gemmagraph.cli.terminal import one_line, sentence, shortened
from gemmagraph.prompts.checking import schemas
from gemmagraph.tools.secrets import masked_trace

_HISTORY: Final = 1_000
"""Lines that are kept."""


def converse(session: Session) -> int:
    """Takes turns until the person leaves or the input ends; returns the exit code: 1 if piped input had a turn
    that went wrong."""
    chat = _Chat(session)
    if not session.terminal.asks:
        while not chat.over and (line := session.terminal.read("")) is not None:
            chat.take(line)
        return 1 if chat.failed else 0
    session.terminal.line("  /help shows the commands, Ctrl-D leaves.", "dim")
    with session.terminal.interrupts.held(), _history() as remember:
        while not chat.over:
            try:
                line = session.terminal.read("> ")
            except KeyboardInterrupt:
                session.terminal.line("  Ctrl-D leaves.", "dim")
                continue
            if line is None:
                break
            remember(line)
            chat.take(line)
    return 0


class _Chat:
    def __init__(self, session: Session) -> None:
        self.over = False
        self.failed = False
        self._session = session
        self._talks = 1

    def take(self, line: str) -> None:
        """One line of the person: a command, or something to be answered."""
        line = line.strip()
        if re.match(r"/[a-z]*(\s|$)", line, re.IGNORECASE):  # not the path of a file
            self._command(line)
        elif line:
            self._turn(line)

    def _turn(self, said: str) -> None:
        terminal = self._session.terminal
        try:
            result = self._session.take(said, thread=f"chat {self._talks}")
            self.failed |= result.stop != "answered"
        except KeyboardInterrupt:
            terminal.note(self._session.display.stopped(), "yellow", 0)
            self.failed = True
        except BrokenPipeError:
            raise  # whoever read our output has left: nobody is there to go on with
        except Exception as exc:  # noqa: BLE001 - whatever it is, the conversation goes on
            if self._session.debug:
                terminal.line(masked_trace(exc).rstrip(), "dim")
            terminal.note(f"Error: {sentence(exc)}", "red", 0)
            self.failed = True

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
        self._talks += 1
        self._session.terminal.line("  A new conversation.", "dim")

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
    "/reset": (_Chat.reset, "forgets what was said"),
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
