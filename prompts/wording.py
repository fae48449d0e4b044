"""The wording of the prompted notations, kept as text files in `templates/`."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def wording(name: str) -> str:
    """The template called `name`; `{tools}` in it stands for the declarations."""
    return (Path(__file__).parent / "templates" / f"{name}.txt").read_text(encoding="utf-8").strip()


def instructions(name: str, tools: str) -> str:
    """The template called `name` with the declarations filled in."""
    return wording(name).replace("{tools}", tools)
