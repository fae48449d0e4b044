"""Runs as a program of its own beside the application: starts commands, and ends them with all that they started.

An application has threads, and between fork and exec of a process with threads almost nothing is safe; here there
are none. Each command gets a supervisor, forked from this program, that on Linux is given every process whose parent
died before it ("subreaper"): what double-forks or leaves the session stays within reach. Elsewhere only the command's
process group is. When the application ends, however it ends, so do its commands.

`processes` speaks to it. Imports nothing of ours, and runs with `-I -S`: it is there to start quickly.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

LENGTH = 4
"""Bytes of the number that goes before an order and says how long it is."""
TAKEN = b"+"
"""What a supervisor says when it is there. Before that, nothing can have happened."""
GLANCE = 0.05
"""Seconds between two counts of a command's processes."""
PATIENCE = 5.0
"""Seconds spent on ending processes that do not end, such as those of another user."""

_SET_CHILD_SUBREAPER = 36
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"


def main() -> None:
    door = socket.socket(fileno=int(sys.argv[1]))
    if os.fork():
        os._exit(0)  # whoever started it need not wait for its end, nor clear it away
    serve(door)


def serve(door: socket.socket) -> None:
    """Forks a supervisor for each channel that comes through the door, until the application is gone."""
    adopt_orphans()
    wake = wake_on_child()
    supervisors: set[int] = set()
    while True:
        ready = select.select([door.fileno(), wake], [], [])[0]
        if wake in ready:
            os.read(wake, 4096)
            supervisors.difference_update(pid for pid, _ in reaped())
            # A command that kills its supervisor is handed to this process.
            for stray in set(children(os.getpid())) - supervisors:
                kill(os.kill, stray)
        if door.fileno() in ready:
            came, fds, *_ = socket.recv_fds(door, 1, 1)
            if not came:
                return
            os.set_inheritable(fds[0], False)
            with suppress(OSError):  # no further process: the channel closes unanswered
                pid = os.fork()
                if pid == 0:
                    door.close()
                    os.close(wake)
                    supervise(socket.socket(fileno=fds[0]))
                supervisors.add(pid)
            os.close(fds[0])


def supervise(channel: socket.socket) -> NoReturn:
    """Carries out the order that comes through `channel`: a command's end, or its channel's, is the end of it all."""
    try:
        channel.sendall(TAKEN)
        adopt_orphans()
        wake = wake_on_child()
        order, fds = received(channel)
        command = os.fork()
        if command == 0:
            become(order, fds, channel)
        for fd in fds:
            os.close(fd)
        stopped = watch(command, channel, wake, order["processes"])
        code, left = end_all(command)
        tell(channel, {"code": code, "stopped": stopped, "left": left})
    except OSError as exc:
        tell(channel, {"failed": str(exc)})
    finally:
        os._exit(0)


def received(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    head, fds, *_ = socket.recv_fds(channel, LENGTH, 3)
    for fd in fds:
        os.set_inheritable(fd, False)
    while len(head) < LENGTH:
        head += _more(channel, LENGTH - len(head))
    rest, body = int.from_bytes(head, "big"), bytearray()
    while len(body) < rest:
        body += _more(channel, rest - len(body))
    order: dict[str, Any] = json.loads(body)
    return order, fds


def tell(channel: socket.socket, said: dict[str, Any]) -> None:
    with suppress(OSError):  # nobody listens any more
        channel.sendall(json.dumps(said).encode() + b"\n")


def _more(channel: socket.socket, size: int) -> bytes:
    piece = channel.recv(size)
    if not piece:
        os._exit(0)  # taken back before it was complete
    return piece


def become(order: dict[str, Any], fds: Sequence[int], channel: socket.socket) -> NoReturn:
    """Turns this process into the command, or says through `channel` why not."""
    try:
        os.setsid()
        for place, fd in enumerate(fds):
            os.dup2(fd, place)
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            with suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for name, value in order["limits"].items():
            limit(getattr(resource, name), value)
        threads = threads_of_user()
        if threads is not None:
            limit(resource.RLIMIT_NPROC, threads + order["processes"])
        os.chdir(order["cwd"])
        os.execve(order["argv"][0], order["argv"], order["env"])
    except Exception as exc:  # noqa: BLE001 - whatever it is, the application has to hear of it
        why = f"{exc.strerror}: {exc.filename}" if isinstance(exc, OSError) and exc.filename else str(exc)
        tell(channel, {"failed": why})
    finally:
        os._exit(127)


def limit(what: int, value: int) -> None:
    # At its soft limit of CPU time a program is told, at its hard one killed.
    soft, hard = value, value + 1 if what == resource.RLIMIT_CPU else value
    most = resource.getrlimit(what)[1]
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(what, (soft, hard))


def threads_of_user() -> int | None:
    """How many the user of this process has: the system's limit counts them all. None if that cannot be told.

    It counts those in other containers too, which cannot be seen from inside one; and it does not bind root.
    """
    with suppress(OSError):
        if os.getuid() and os.readlink("/proc/self/ns/pid") == _INITIAL_PID_NAMESPACE:
            return sum(int(stat(pid)[17]) for pid in processes() if owner(pid) == os.getuid())
    return None


def watch(command: int, channel: socket.socket, wake: int, most: int) -> str:
    """Waits until the command has ended or is to end; returns why it is to, if that is seen here."""
    while True:
        ready = select.select([channel.fileno(), wake], [], [], GLANCE)[0]
        if channel.fileno() in ready:
            return "nobody waits for it any more"
        if wake in ready:
            os.read(wake, 4096)
            if has_ended(command):
                return ""
        if len(descendants()) > most:
            return f"it had more than {most} processes"


def has_ended(command: int) -> bool:
    """Left for `end_all` to clear away: until then no other process group can have its number."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13, where the command is the only child there can be
        return True
    return os.waitid(os.P_PID, command, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def end_all(command: int) -> tuple[int | None, int]:
    """Ends the command and all that it started: its exit code, and how many could not be ended."""
    code: int | None = None
    end = time.monotonic() + PATIENCE
    kill(os.killpg, command)
    kill(os.kill, command)  # it may not have its group yet
    while True:
        for pid, status in reaped():
            if pid == command:
                code = os.waitstatus_to_exitcode(status)
        left = descendants()
        if (code is not None and not left) or time.monotonic() > end:
            return code, len(left)
        for pid in left:
            kill(os.kill, pid)
        time.sleep(0.001)


def kill(how: Callable[[int, int], None], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        how(number, signal.SIGKILL)


def reaped() -> list[tuple[int, int]]:
    """The children that ended, with their statuses."""
    ended = []
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended.append(found)
    return ended


def descendants() -> list[int]:
    """The living processes below this one. A parent stands before its children."""
    found = children(os.getpid())
    for pid in found:
        found += children(pid)
    return found


def children(parent: int) -> list[int]:
    """Empty where there is no `/proc`."""
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{parent}/task"):
            with open(f"/proc/{parent}/task/{task}/children") as file:
                found += map(int, file.read().split())
        return found
    with suppress(OSError):  # the kernel may have been built without those files
        found = [pid for pid in processes() if int(stat(pid)[1]) == parent]
    return found


def processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def stat(pid: int) -> list[str]:
    """The fields after the name, which may hold anything: state, parent, ..."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:  # ended meanwhile
        return ["0"] * 50


def owner(pid: int) -> int | None:
    with suppress(OSError):
        return os.stat(f"/proc/{pid}").st_uid
    return None


def adopt_orphans() -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wake_on_child() -> int:
    """A descriptor that can be read once a child has ended."""
    ear, mouth = os.pipe()
    os.set_blocking(mouth, False)
    signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return ear


if __name__ == "__main__":
    main()
