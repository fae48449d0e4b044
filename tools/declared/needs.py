"""`needs:` of a tool: what must be there, or it cannot run here."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from importlib.util import find_spec


def unmet(needs: Iterable[str]) -> str | None:
    """Why they are not all met here: the first that is not; None if they are. Nothing is imported or started."""
    return next(filter(None, map(_lack, needs)), None)


def _lack(need: str) -> str | None:
    kind, _, name = need.partition(":")
    if kind == "program":
        return None if shutil.which(name) else f"the program {name} is not on the PATH"
    if kind == "env":
        return None if os.environ.get(name) else f"the variable {name} is not set"
    return None if name in sys.modules or find_spec(name) else f"the package {name} is not installed"
