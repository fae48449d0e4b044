"""A model on its way onto an Ollama: a bar on a terminal, a line for each tenth elsewhere."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import TYPE_CHECKING, Final, Protocol

from gemmagraph.backends.ollama.backend import OllamaBackend
from gemmagraph.backends.ollama.pull import Progress
from gemmagraph.cli.options import INTERRUPTED
from gemmagraph.cli.published import near
from gemmagraph.cli.seen import is_gemma
from gemmagraph.cli.terminal import Terminal, one_line, plain, shortened
from gemmagraph.errors import AgentError, ModelNotFound
from gemmagraph.prompts.catalog import family_of

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_WINDOW: Final = 10.0
"""Seconds over which the rate is taken."""
_LEAST: Final = 0.5
"""Seconds in which too little comes to tell a rate."""
_NAME_COLUMNS: Final = 24
"""Of the model's name in front of the bar."""
_ELSEWHERE: Final = ("builtin", "gemini", "gguf", "openai", "scripted", "transformers")
"""What names begin with that are none of Ollama's."""


def pull_model(model: str, base_url: str | None) -> int:
    """Gets the model, and shows how; the exit code.

    Raises:
        GemmagraphError: it did not come.
    """
    name, terminal = _named(model), Terminal()
    backend = OllamaBackend(base_url)
    if not is_gemma(name):
        terminal.note(f"{name} is no Gemma by its name; gemmagraph can use Gemma models only.", "yellow", 0)
    try:
        last = asyncio.run(_shown(backend, name, terminal))
    except KeyboardInterrupt:
        terminal.note(f"Stopped. What has come is kept: gemmagraph pull {name} goes on from there.", indent=0)
        return INTERRUPTED
    except ModelNotFound as exc:
        meant = " or ".join(one for one in near(name) if one != name)
        exc.hint = f"Did you mean {meant}?" if meant else "`gemmagraph models` lists the Gemmas that there are."
        raise
    size = f" ({gigabytes(last.total)})" if last.total else ""
    new = "is here" if last.fresh or not last.total else "was here already, and is up to date"
    terminal.note(f"{name} {new}{size}. {_next(name)}", indent=0)
    return 0


class Meter:
    """How fast bytes come, by those of the last seconds. What was there before does not count."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def rate(self, fresh: int, now: float) -> float:
        """Bytes a second; 0 until that can be said.

        Args:
            fresh: bytes that have come so far.
        """
        self._seen.append((now, fresh))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _WINDOW:
            self._seen.popleft()
        begun, had = self._seen[0]
        seconds = now - begun
        return (fresh - had) / seconds if seconds >= _LEAST else 0.0


def facts(progress: Progress, rate: float) -> list[str]:
    """How far it is, in a few words."""
    if not progress.total:
        return [progress.doing]
    share = f"{_percent(progress)} %"
    if not progress.doing.startswith("pulling"):
        return [share, progress.doing]
    whole, unit = gigabytes(progress.total).split()
    done = f"{progress.done / 1e9:.1f}" if unit == "GB" else f"{progress.done / 1e6:.0f}"
    told = [share, f"{done} of {whole} {unit}"]
    if rate > 0:
        told.append(f"{rate / 1e6:.1f} MB/s")
        if progress.done < progress.total:
            told.append(f"{duration((progress.total - progress.done) / rate)} left")
    return told


def gigabytes(size: float) -> str:
    """`3.3 GB`, `815 MB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def duration(seconds: float) -> str:
    """`0:35`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _View(Protocol):
    def show(self, progress: Progress, rate: float) -> None: ...


class _Lines:
    """For logs: a line for each tenth, and for each other thing that is done."""

    def __init__(self, terminal: Terminal, name: str) -> None:
        self._terminal, self._name = terminal, name
        self._tenth, self._doing = -1, ""

    def show(self, progress: Progress, rate: float) -> None:
        if progress.notice:  # which was told
            return
        pulls = progress.doing.startswith("pulling") and progress.total > 0
        tenth = _percent(progress) // 10 if progress.total else -1
        if tenth > self._tenth if pulls else progress.doing not in (self._doing, "success"):
            self._terminal.note(f"{self._name}: {', '.join(facts(progress, rate))}", indent=0)
        self._tenth, self._doing = max(tenth, self._tenth), progress.doing


class _Bars:
    """For people: one bar, in its place."""

    def __init__(self, name: str, bar: Bar) -> None:
        self._bar = bar
        self._task = bar.add_task(shortened(one_line(name), _NAME_COLUMNS), total=None, facts="")

    def show(self, progress: Progress, rate: float) -> None:
        self._bar.update(
            self._task,
            total=progress.total or None,
            completed=progress.done,
            facts=plain("  ".join(facts(progress, rate))),
        )


async def _shown(backend: OllamaBackend, name: str, terminal: Terminal) -> Progress:
    """The last that was told."""
    progress, meter = Progress(""), Meter()
    on_screen = terminal.err.isatty() and os.environ.get("TERM") != "dumb"
    drawing: AbstractContextManager[Bar | None] = _bar(terminal) if on_screen else nullcontext()
    try:
        with drawing as bar:
            view: _View = _Bars(name, bar) if bar is not None else _Lines(terminal, name)
            async with aclosing(backend.pull(name)) as told:
                async for progress in told:
                    if progress.notice and bar is not None:
                        bar.console.print(one_line(progress.notice), markup=False, highlight=False)
                    elif progress.notice:
                        terminal.note(progress.notice, indent=0)
                    view.show(progress, meter.rate(progress.fresh, time.monotonic()))
        return progress
    finally:
        await backend.close()


def _bar(terminal: Terminal) -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[facts]}", markup=False),
        console=Console(file=terminal.err),
        transient=True,
        expand=True,
    )


def _named(model: str) -> str:
    """The name as Ollama has it.

    Raises:
        AgentError: it is none.
    """
    kind, colon, rest = model.strip().partition(":")
    if kind in _ELSEWHERE:
        raise AgentError(f"{model!r} is nothing that Ollama could pull.", hint="Say for example gemma3:4b.")
    name = rest if kind == "ollama" and colon else model.strip()
    if not name:
        raise AgentError("No model is named.", hint="Say for example gemma3:4b.")
    return name


def _next(name: str) -> str:
    if not is_gemma(name):
        return ""
    if not family_of(name).tools:
        return "It holds no conversations, so it calls no tools."
    return f'Ask it: gemmagraph run -m ollama:{name} "…"'


def _percent(progress: Progress) -> int:
    return progress.done * 100 // progress.total
