"""Who holds something in a store: a process of some machine. Of this machine's it is known when they are no more, and
nobody need wait until they were silent for long enough."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path
from uuid import getnode, uuid4


def new_owner() -> str:
    """A name that says whose it is, and that nobody else has."""
    return f"{_here()}/{os.getpid()}/{uuid4().hex}"


def gone(owner: str) -> bool:
    """Whether it is a process of this machine that is no more."""
    here, _, rest = owner.rpartition("/")[0].rpartition("/")
    if here != _here() or not (rest.isdecimal() and rest.isascii()):
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # somebody else's, so it is there
        return False
    return False


@cache
def _here() -> str:
    """Stands for all processes among which a number means the same one: containers may share a host's name, and have
    numbers of their own."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return f"{platform.node()}/{getnode():x}"
