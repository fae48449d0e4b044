"""Tools that look at this machine. `gemmagraph init` wrote this file: change it, and add your own.

A tool is a function. The model reads its docstring and its type hints; assistant.yaml names it, and may say more.
A failure that the model should hear of is raised as `gemmagraph.ToolError`.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path


def disk_usage(path: str = "/") -> str:
    """Show how full a disk is: used, total and free space.

    Args:
        path: A folder on the disk in question.
    """
    disk = shutil.disk_usage(path)
    # As df counts: blocks kept for root are neither used nor free.
    percent = 100 * disk.used / max(disk.used + disk.free, 1)
    return f"{path}: {size(disk.used)} of {size(disk.total)} used ({percent:.0f} %), {size(disk.free)} free"


def memory_usage() -> str:
    """Show how much memory (RAM) of this machine is used and how much is available."""
    if sys.platform == "darwin":
        total = int(output("sysctl", "-n", "hw.memsize"))
        pages = dict(line.rstrip(".").split(":") for line in output("vm_stat").splitlines()[1:] if ":" in line)
        reusable = ("Pages free", "Pages inactive", "Pages speculative", "Pages purgeable")
        available = sum(int(pages.get(name, 0)) for name in reusable) * os.sysconf("SC_PAGE_SIZE")
    else:
        lines = Path("/proc/meminfo").read_text().splitlines()
        kilobytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        total, available = kilobytes["MemTotal"] * 1024, kilobytes["MemAvailable"] * 1024
    used = total - available
    return f"{size(used)} of {size(total)} used ({100 * used / total:.0f} %), {size(available)} available"


def uptime() -> str:
    """Show how long this machine has been running, and how busy its processor (CPU) is: the load."""
    if sys.platform == "darwin":
        begun = int(output("sysctl", "-n", "kern.boottime").split("sec = ")[1].split(",")[0])
        seconds = int(time.time()) - begun
    else:
        seconds = int(float(Path("/proc/uptime").read_text().split()[0]))
    hours, minutes = seconds // 3600, seconds // 60 % 60
    one, five, fifteen = os.getloadavg()
    load = f"load {one:.2f} (1 min), {five:.2f} (5 min), {fifteen:.2f} (15 min) on {os.cpu_count()} cores"
    return f"up {hours // 24} days, {hours % 24} h {minutes} min; {load}"


def size(count: float) -> str:
    """Bytes, for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def output(*command: str) -> str:
    """What a program writes."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout
