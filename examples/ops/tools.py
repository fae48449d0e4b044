"""Tools that look at the machine they run on: Linux or macOS, nothing to install.

    gemmagraph run --tools examples/ops/tools.py "how full is the disk?"

A tool is a function. The model reads its docstring and its type hints, so they are written for a small model;
what it should know of a failure is raised as `ToolError`. `read_only=True` says that a tool changes nothing:
it may run without asking anybody.
"""

import heapq
import os
import shutil
import stat
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.tool import tool

__all__ = [
    "biggest_files",
    "disk_usage",
    "find_process",
    "load_average",
    "memory_usage",
    "search_log",
]

MAX_ENTRIES = 200_000
"""Files and folders that `biggest_files` looks at before it stops."""
MAX_LOG_BYTES = 64 * 2**20
"""How much of a log's end `search_log` reads."""


@tool(read_only=True)
def disk_usage(path: str = "/") -> str:
    """Show how full a disk is: total, used and free space.

    Args:
        path: A folder on the disk in question.
    """
    try:
        disk = shutil.disk_usage(path)
    except OSError as error:
        raise ToolError(f"Cannot look at {path!r}: {error.strerror}.") from error
    # As df counts: blocks kept for root are neither used nor free.
    percent = 100 * disk.used / max(disk.used + disk.free, 1)
    used, total, free = _size(disk.used), _size(disk.total), _size(disk.free)
    return f"{path}: {used} of {total} used ({percent:.0f} %), {free} free"


@tool(read_only=True)
def memory_usage() -> str:
    """Show how much memory (RAM) of this machine is used and how much is available."""
    total, available = _memory()
    used = total - available
    return f"{_size(used)} of {_size(total)} used ({100 * used / total:.0f} %), {_size(available)} available"


@tool(read_only=True)
def load_average() -> str:
    """Show how busy the processor (CPU) is: the load of the last 1, 5 and 15 minutes."""
    one, five, fifteen = os.getloadavg()
    cores = os.cpu_count() or 1
    return f"load {one:.2f} (1 min), {five:.2f} (5 min), {fifteen:.2f} (15 min) on {cores} processor cores"


@tool(read_only=True)
def biggest_files(folder: str, count: int = 10) -> str:
    """List the biggest files in a folder and all folders below it.

    Args:
        folder: Where to look, for example "/var/log".
        count: How many files to list.
    """
    top = Path(folder).expanduser()
    if not top.is_dir():
        raise ToolError(f"{folder!r} is not a folder.")
    notes: list[str] = []
    found = heapq.nlargest(max(1, min(count, 100)), _files(top, notes))
    lines = [f"{_size(size)}  {path}" for size, path in found] or [f"There are no files in {folder}."]
    return "\n".join(lines + notes)


@tool(read_only=True)
def search_log(file: str, text: str, lines: int = 20) -> str:
    """Find the newest lines in a log file that contain a text. Upper and lower case are the same.

    Args:
        file: The log file, for example "/var/log/syslog".
        text: The text to look for, for example "error".
        lines: How many lines to show at most.
    """
    path, wanted = Path(file).expanduser(), text.casefold()
    newest: deque[str] = deque(maxlen=max(1, min(lines, 200)))
    count = 0
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device might never end
            raise ToolError(f"{file!r} is not a file.")
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - MAX_LOG_BYTES))
            while line := log.readline(65536):
                if wanted in (shown := line.decode(errors="replace").rstrip()).casefold():
                    newest.append(shown[:300])
                    count += 1
    except OSError as error:
        raise ToolError(f"Cannot read {file!r}: {error.strerror}.") from error
    if not count:
        return f"No line of {file} has {text!r}."
    return "\n".join([f"{count} lines of {file} have {text!r}, the newest {len(newest)}:", *newest])


@tool(read_only=True)
def find_process(name: str) -> str:
    """Find running processes by name, with their process id (pid) and memory.

    Args:
        name: A part of the program's name or command line, for example "nginx".
    """
    # This very program may have the name on its command line, and so may what started it.
    ours = {os.getpid(), os.getppid()}
    wanted, found = name.casefold(), []
    for pid, memory, command in _processes():
        if wanted in command.casefold() and pid not in ours:
            program, *arguments = command.split()
            # Not the whole line: it may hold a password.
            shown = [program, *(argument for argument in arguments if wanted in argument.casefold())]
            found.append(f"pid {pid}  {_size(memory)}  {' '.join(shown)[:120]}")
    more = [f"and {len(found) - 30} more"] if len(found) > 30 else []
    return "\n".join([*found[:30], *more]) or f"No running process has {name!r} in its command line."


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} TiB"


def _memory() -> tuple[int, int]:
    """Bytes in all, and those that a new program could have."""
    if sys.platform == "darwin":
        pages = dict(line.split(":") for line in _output("vm_stat").splitlines()[1:] if ":" in line)
        names = ("Pages free", "Pages inactive", "Pages speculative", "Pages purgeable")
        available = sum(int(pages.get(name, "0").strip(" .")) for name in names)
        return int(_output("sysctl", "-n", "hw.memsize")), available * os.sysconf("SC_PAGE_SIZE")
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(fields["MemTotal"].split()[0]) * 1024, int(fields["MemAvailable"].split()[0]) * 1024


def _processes() -> Iterator[tuple[int, int, str]]:
    """Process id, bytes of memory, command line (never empty) of each process."""
    if sys.platform == "darwin":
        for line in _output("ps", "-axo", "pid=,rss=,command=").splitlines():
            pid, kilobytes, command = line.split(maxsplit=2)
            yield int(pid), int(kilobytes) * 1024, command
        return
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            pages = int((entry / "statm").read_text().split()[1])
            command = command or f"[{(entry / 'comm').read_text().strip()}]"  # a thread of the kernel
            yield int(entry.name), pages * os.sysconf("SC_PAGE_SIZE"), command
        except OSError:  # it ended meanwhile, or is not ours to look at
            continue


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout


def _files(top: Path, notes: list[str]) -> Iterator[tuple[int, str]]:
    """Bytes on disk and path of each file; `notes` says what was left out. Follows no links."""
    folders, seen, unreadable = [str(top)], 0, 0
    while folders and seen < MAX_ENTRIES:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in islice(entries, MAX_ENTRIES - seen):
                    seen += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        # Not st_size: a sparse file, or one in /proc, may claim terabytes.
                        with suppress(FileNotFoundError):
                            yield entry.stat(follow_symlinks=False).st_blocks * 512, entry.path
        except OSError:
            unreadable += 1
    if unreadable:
        notes.append(f"{unreadable} folders could not be read.")
    if seen == MAX_ENTRIES:
        notes.append(f"Stopped after {seen} files and folders: there may be bigger ones.")
