"""One command of this machine, run within limits: given nothing but what is said, ended with all that it started.

On Linux no process that a command starts outlives it or its application. Elsewhere only those of its own process
group are ended with it, and neither their number nor their memory is bounded. Without a sandbox a command may do what
the user may: read the environment of the user's other processes, end them, ask a service to start something for it.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.guards.sandbox import Sandbox
from gemmagraph.tools.runtime import in_thread
from gemmagraph.tools.secrets import beginning, ending, longest

_INHERITED: Final = ("PATH", "LANG", "HOME")
_READ: Final = 1 << 16
_LAST_READS: Final = 32
"""Reads from a pipe whose command has ended: more than a pipe can hold."""
_KILL_SECONDS: Final = 0.8
"""How long a cancelled call waits for its processes' end."""
_START_SECONDS: Final = 10.0
_LAUNCHER: Final = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """How much one command may use."""

    cpu: int = 60
    """Seconds of computing, of each of its processes."""
    memory: int = 4 << 30
    """Bytes that each of its processes may fill, on Linux. It may reserve eight times as many, as programs do."""
    processes: int = 256
    """Processes at a time."""
    file_size: int = 1 << 30
    """Bytes of each file that it writes."""
    files: int = 1024
    """Files that each of its processes may have open."""
    output: int = 1 << 20
    """Bytes that are kept of each of its two outputs."""
    keep: Literal["head", "tail", "ends"] = "ends"
    """Which they are, of a longer one: the first, the last, or half of both."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended."""

    code: int
    """Its exit code; -N if the signal N ended it."""
    stdout: str
    stderr: str
    cut: int = 0
    """Bytes of its outputs that were not kept."""
    stopped: str = ""
    """Why it was ended before it ended by itself, such as for having too many processes."""
    left: int = 0
    """Its processes that could not be ended, since they belong to another user (`sudo`)."""


_USUAL: Final = ProcessLimits()


async def run_process(
    argv: Sequence[str],
    *,
    stdin: str | bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    limits: ProcessLimits = _USUAL,
    sandbox: Sandbox | None = None,
) -> Finished:
    """Runs a command to its end, whatever that is. Without a shell: each text is one argument.

    It has a session of its own, and no terminal. When the caller is cancelled, as `asyncio.timeout` does, it is
    killed, with all its processes.

    Args:
        argv: The program by its whole path (see `find_program`), and its arguments.
        env: What its environment holds beside PATH, LANG and HOME.
        cwd: The folder where it starts, instead of the current one.

    Raises:
        ToolError: it could not be started.
    """
    order = order_for(argv, env or {}, cwd, limits)
    if sandbox is not None:
        if refusal := await in_thread(sandbox.refusal):
            raise ToolError(f"{_name(argv)} was not started: {refusal}.")
        order["argv"] = sandbox.around(order["argv"], order["cwd"])
    with ExitStack() as stack:
        outputs = tuple(_Output(limits, stack) for _ in range(2))
        source = _Input(stdin.encode() if isinstance(stdin, str) else stdin, stack)
        channel = stack.enter_context(await connected())
        await send(channel, order, [source.theirs, *(output.theirs for output in outputs)])
        said = await last_words(channel)
        for output in outputs:
            output.take_rest()
    if said is None:
        raise ToolError(f"{_name(argv)} got lost: its supervisor was ended. Whether it did its work is unknown.")
    if "failed" in said:
        raise ToolError(f"{_name(argv)} could not be started: {said['failed']}.")
    code = said["code"] if said["code"] is not None else -signal.SIGKILL
    stdout, stderr = outputs
    return Finished(code, stdout.text(), stderr.text(), stdout.cut + stderr.cut, said["stopped"], said["left"])


def find_program(name: str) -> str | None:
    """The whole path of a program: looked for on the PATH, unless `name` is a whole path already."""
    if os.path.dirname(name) and not os.path.isabs(name):
        return None
    found = shutil.which(name)
    return os.path.abspath(found) if found else None


def unsupported() -> str | None:
    """Why no command can be run here, or None."""
    return None if os.name == "posix" else "commands cannot be run within limits on Windows"


def order_for(
    argv: Sequence[str], env: Mapping[str, str], cwd: str | os.PathLike[str] | None, limits: ProcessLimits
) -> dict[str, Any]:
    """What the launcher is told."""
    if problem := unsupported():
        raise ToolError(f"{_name(argv)} was not started: {problem}.")
    if not argv or not os.path.isabs(argv[0]):
        raise ValueError(f"A command begins with the whole path of a program, not with {list(argv[:1])!r}.")
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment = {**inherited, **env}
    folder = os.path.abspath(cwd or os.curdir)
    if any("\0" in text for text in (*argv, *environment, *environment.values(), folder)):
        raise ToolError(f"{_name(argv)} was not started: it is given a text with a NUL character in it.")
    return {
        "argv": list(argv),
        "env": environment,
        "cwd": folder,
        "processes": limits.processes,
        "limits": {
            "RLIMIT_CPU": limits.cpu,
            "RLIMIT_FSIZE": limits.file_size,
            "RLIMIT_NOFILE": limits.files,
            "RLIMIT_CORE": 0,
            # macOS does not hold a process to these, and refuses to set some.
            **({"RLIMIT_DATA": limits.memory, "RLIMIT_AS": limits.memory * 8} if sys.platform == "linux" else {}),
        },
    }


def _name(argv: Sequence[str]) -> str:
    return os.path.basename(argv[0]) if argv else "The command"


async def send(channel: socket.socket, order: Mapping[str, Any], fds: Sequence[int]) -> None:
    body = json.dumps(order).encode()
    with suppress(BrokenPipeError, ConnectionResetError):  # then there are no last words either
        socket.send_fds(channel, [len(body).to_bytes(4, "big")], fds)
        await asyncio.get_running_loop().sock_sendall(channel, body)


async def last_words(channel: socket.socket) -> dict[str, Any] | None:
    """What the supervisor says at the end; None if it ended without a word."""
    try:
        return await _first_line(channel)
    except asyncio.CancelledError:
        with suppress(OSError):  # TimeoutError is one
            channel.shutdown(socket.SHUT_WR)  # the supervisor sees it, and kills
            async with asyncio.timeout(_KILL_SECONDS):
                await _first_line(channel)
        raise


async def _first_line(channel: socket.socket) -> dict[str, Any] | None:
    loop = asyncio.get_running_loop()
    said = b""
    while not said.endswith(b"\n"):
        try:
            piece = await loop.sock_recv(channel, 4096)
        except ConnectionResetError:
            return None
        if not piece:
            return None
        said += piece
    first: dict[str, Any] = json.loads(said.splitlines()[0])
    return first


class _Output:
    """The ends of what a command writes, taken while it is written."""

    def __init__(self, limits: ProcessLimits, stack: ExitStack) -> None:
        self._mine, self.theirs = _pipe(stack)
        self._stop = _watch(self._mine, self._take, stack, writes=False)
        self._head, self._tail, self._seen = bytearray(), bytearray(), 0
        self._head_room = {"head": limits.output, "tail": 0, "ends": limits.output // 2}[limits.keep]
        self._tail_room = limits.output - self._head_room
        self._margin = 4 * longest()
        """Bytes in front of the tail, so that a secret is seen whole of which only the end would be kept."""

    @property
    def cut(self) -> int:
        return max(0, self._seen - self._head_room - self._tail_room)

    def text(self) -> str:
        """Masked where it is cut, so that no half of a secret stays there."""
        if not self.cut:
            return (self._head + self._tail).decode(errors="replace")
        kept = self._tail[len(self._tail) - self._tail_room :].decode(errors="replace")
        before = self._head if self._seen == len(self._head) + len(self._tail) else b""
        head = self._head.decode(errors="replace")
        tail = ending((before + self._tail).decode(errors="replace"), len(kept))
        gap = f"\n[... {self.cut} bytes left out ...]\n" if head and tail else ""
        return beginning(head, len(head)) + gap + tail

    def take_rest(self) -> None:
        """Takes what is still in the pipe. Its writers are gone, unless they belong to another user."""
        self._stop()
        for _ in range(_LAST_READS):
            if not self._take():
                return

    def _take(self) -> bool:
        try:
            piece = os.read(self._mine, _READ)
        except BlockingIOError:
            return False
        self._seen += len(piece)
        room = self._head_room - len(self._head)
        if room > 0:
            self._head += piece[:room]
            piece = piece[room:]
        self._tail += piece
        room = self._tail_room + self._margin if self._tail_room else 0
        if len(self._tail) > 2 * room:
            del self._tail[: len(self._tail) - room]
        return True


class _Input:
    """What a command reads, written while it reads."""

    def __init__(self, text: bytes, stack: ExitStack) -> None:
        self._rest = memoryview(text)
        if not text:
            self.theirs = os.open(os.devnull, os.O_RDONLY)
            stack.callback(os.close, self.theirs)
            return
        self.theirs, self._mine = os.pipe()
        stack.callback(os.close, self.theirs)
        os.set_blocking(self._mine, False)
        self._open = True
        stack.callback(self._close)
        self._stop = _watch(self._mine, self._give, stack, writes=True)

    def _give(self) -> None:
        try:
            self._rest = self._rest[os.write(self._mine, self._rest[:_READ]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # not everybody wants to hear it all
            self._rest = self._rest[:0]
        if not self._rest:
            self._stop()
            self._close()

    def _close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._mine)


def _pipe(stack: ExitStack) -> tuple[int, int]:
    """Its end for reading, which does not wait, and the one for writing."""
    out, into = os.pipe()
    stack.callback(os.close, out)
    stack.callback(os.close, into)
    os.set_blocking(out, False)
    return out, into


def _watch(fd: int, ready: Callable[[], object], stack: ExitStack, *, writes: bool) -> Callable[[], None]:
    """Calls `ready` each time that `fd` is, until what it returns is called, or the stack ends."""
    loop = asyncio.get_running_loop()
    (loop.add_writer if writes else loop.add_reader)(fd, ready)
    watched = [fd]

    def stop() -> None:
        while watched:  # once: later the number may be another file's
            (loop.remove_writer if writes else loop.remove_reader)(watched.pop())

    stack.callback(stop)
    return stop


class _Door:
    """The way to the launcher, which is started when the first command is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.open: socket.socket | None = None

    def renew(self, old: socket.socket | None) -> None:
        """Opens a new one in the place of `old`, if nobody did meanwhile."""
        with self._lock:
            if self.open is not old:
                return
            self._close()
            mine, theirs = socket.socketpair()
            program = [sys.executable, "-I", "-S", "-X", "utf8", str(_LAUNCHER), str(theirs.fileno())]
            # Python itself may need to be told where its libraries are; nothing else of ours is in there.
            kept = {name: value for name, value in os.environ.items() if name.endswith("_LIBRARY_PATH")}
            with theirs:
                subprocess.run(
                    program,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=kept,
                    cwd="/",
                    start_new_session=True,
                    timeout=_START_SECONDS,
                    check=True,
                )
            mine.settimeout(1.0)
            self.open = mine

    def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self.open is not None:
            self.open.close()
            self.open = None


async def connected() -> socket.socket:
    """A channel to a supervisor of its own, which is there."""
    for _ in range(3):
        door = _door.open
        if door is not None and (channel := await _through(door)) is not None:
            return channel
        try:
            await in_thread(_door.renew, door)
        except (OSError, subprocess.SubprocessError) as exc:
            raise ToolError(f"No command can be started: its launcher does not run ({exc}).") from exc
    raise ToolError("No command can be started: its launcher is ended again and again.")


async def _through(door: socket.socket) -> socket.socket | None:
    """None if the launcher is gone."""
    mine, theirs = socket.socketpair()
    with ExitStack() as unless_taken:
        unless_taken.callback(mine.close)
        mine.setblocking(False)
        with theirs, suppress(OSError):
            socket.send_fds(door, [b"+"], [theirs.fileno()])
        with suppress(ConnectionResetError):
            if await asyncio.get_running_loop().sock_recv(mine, 1):
                unless_taken.pop_all()
                return mine
    return None


def _forget() -> None:
    """A forked child starts a launcher of its own: that of its parent must not depend on it."""
    global _door
    if _door.open is not None:
        _door.open.close()
    _door = _Door()


_door = _Door()
atexit.register(lambda: _door.close())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
