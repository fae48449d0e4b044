"""What ps tells: the function behind busiest_processes in system.yaml."""

import subprocess
from heapq import nlargest
from typing import Literal


def busiest_processes(by: Literal["memory", "cpu"] = "memory", count: int = 10) -> str:
    """List the running processes that use the most memory or processor (CPU).

    Args:
        by: What to compare.
        count: How many processes to list.
    """
    # Only the program's name: a command line may hold a password.
    lines = subprocess.run(
        ["ps", "-A", "-o", "pid=,pcpu=,rss=,comm="], capture_output=True, text=True, check=True, timeout=10
    ).stdout.splitlines()
    rows = [(int(pid), float(cpu), int(memory), name) for pid, cpu, memory, name in (_split(line) for line in lines)]
    column = 2 if by == "memory" else 1
    return "\n".join(
        f"pid {pid}  {memory / 1024:,.0f} MiB  {cpu:g} % CPU  {name}"
        for pid, cpu, memory, name in nlargest(max(1, min(count, 50)), rows, key=lambda row: row[column])
    )


def _split(line: str) -> tuple[str, str, str, str]:
    pid, cpu, memory, name = line.split(maxsplit=3)
    return pid, cpu, memory, name.rpartition("/")[2] or name
