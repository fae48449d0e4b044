"""`gemmagraph init`: a first assistant, with tools that work on this machine."""

from __future__ import annotations

import asyncio
import inspect
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gemmagraph.assistant import DEFAULT_FILE, load_assistant
from gemmagraph.choice import choose_model
from gemmagraph.cli import starter_ops
from gemmagraph.errors import AgentError

_PYTHON: Final = "ops.py"
_MODEL: Final = "ollama:gemma3:4b"
_QUESTION: Final = "how full is the disk?"
_PATIENCE: Final = 5.0
"""Seconds that a program may take to show that it works."""


@dataclass(frozen=True)
class _Program:
    """A tool that is a program of this machine."""

    name: str
    argv: tuple[str, ...]
    """With `{{ args.lines }}` where the number of lines stands, if the model may choose it."""
    description: str
    asked: str
    keep: str = "head"


_FUNCTIONS: Final[dict[str, tuple[Callable[[], str], str]]] = {
    "disk_usage": (starter_ops.disk_usage, _QUESTION),
    "memory_usage": (starter_ops.memory_usage, "how much memory is free?"),
    "uptime": (starter_ops.uptime, "how long has it been running?"),
}
_LINES: Final = "{{ args.lines }}"
_PROCESSES: Final = (
    ("ps", "-eo", "pid,user,pcpu,pmem,etime,comm", "--sort=-pcpu"),  # Linux
    ("ps", "-Ao", "pid,user,pcpu,pmem,etime,comm", "-r"),  # macOS
    ("ps", "-eo", "pid,user,etime,comm"),
)
_LOGS: Final = (
    ("journalctl", "--no-pager", f"--lines={_LINES}"),
    ("tail", "-n", _LINES, "/var/log/syslog"),
    ("tail", "-n", _LINES, "/var/log/messages"),
    ("tail", "-n", _LINES, "/var/log/system.log"),
)


def started(folder: str) -> str:
    """Writes the files; returns what to tell, the next command last.

    Raises:
        AgentError: there is such a file already, or the folder cannot be written to.
    """
    there = Path(folder).expanduser()
    if taken := [name for name in (DEFAULT_FILE, _PYTHON) if os.path.lexists(there / name)]:
        are = "is" if len(taken) == 1 else "are"
        raise AgentError(
            f"{' and '.join(str(there / name) for name in taken)} {are} there already.",
            hint="Nothing was written. Name another folder: gemmagraph init FOLDER",
        )
    functions = [name for name, (call, _) in _FUNCTIONS.items() if _works(call)]
    programs = [*_programs()]
    model, why = asyncio.run(choose_model())
    answers = model != "builtin"
    text = "\n".join(_lines(model if answers else _MODEL, functions, programs))
    try:
        there.mkdir(parents=True, exist_ok=True)
        for name, content in ((_PYTHON, inspect.getsource(starter_ops)), (DEFAULT_FILE, text)):
            with (there / name).open("x", encoding="utf-8") as file:
                file.write(content)
    except OSError as exc:
        raise AgentError(f"{exc.filename or folder} cannot be written: {exc.strerror}.") from exc
    tools = load_assistant(there / DEFAULT_FILE).entries
    change = "" if there.resolve() == Path.cwd() else f"cd {shlex.quote(folder)} && "
    command = f'{change}gemmagraph run {"" if answers else "-m builtin "}"{_QUESTION}"'
    told = [
        f"Wrote {there / DEFAULT_FILE}: {', '.join(tool.name for tool in tools)}",
        f"Wrote {there / _PYTHON}: the Python of its tools",
        "",
    ]
    if not answers:
        told.append(f"{_because(why)}, so {_MODEL} cannot be asked yet. Without a model:")
    return "\n".join([*told, f"Next: {command}"])


def _because(why: str) -> str:
    return "No Ollama answers" if "no Ollama answers" in why else "Ollama has no Gemma"


def _works(call: Callable[[], object]) -> bool:
    with suppress(Exception):  # whatever it is: then this machine is another kind
        call()
        return True
    return False


def _programs() -> Iterator[_Program]:
    """Those of which a call works."""
    for argv in _PROCESSES:
        if _runs(argv):
            yield _Program(
                "processes", argv, "List the running processes, the busiest first.", "which process is the busiest?"
            )
            break
    for argv in _LOGS:
        if _runs(argv):
            yield _Program(
                "system_log", argv, "Show the last lines of the system log.", "anything odd in the log?", keep="tail"
            )
            break


def _runs(argv: tuple[str, ...]) -> bool:
    """Whether a program ends well and says something."""
    command = [argument.replace(_LINES, "5") for argument in argv]
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    try:
        ran = subprocess.run(
            command, capture_output=True, timeout=_PATIENCE, env=environment, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ran.returncode == 0 and bool(ran.stdout.strip()) and b"-- No entries --" not in ran.stdout


def _lines(model: str, functions: list[str], programs: list[_Program]) -> Iterator[str]:
    """The assistant file."""
    yield "# What this assistant is: its model, its tools, its limits."
    yield "# `gemmagraph tools test` tries the tools; `gemmagraph check TOOL` says whether a call may run."
    yield "# What is marked readOnlyHint runs without asking you."
    yield "# Editors complete this file by the schema that `gemmagraph schema -o assistant.schema.json` writes."
    yield ""
    yield f"model: {model}"
    yield "instructions: You help with this machine. Look before you answer, and be brief."
    yield ""
    yield "tools:"
    for name in functions:
        yield f"  - name: {name}"
        yield f"    python: ./{_PYTHON}:{name}"
        yield "    annotations: {readOnlyHint: true}"
        yield "    examples:"
        yield f'      - {{user: "{_FUNCTIONS[name][1]}", args: {{}}}}'
        yield ""
    for program in programs:
        yield from _entry(program)
    yield "# policy: # who may do what: the first rule that fits decides, and deny comes first"
    yield f"#   - {{tool: {[*functions, *(program.name for program in programs)][-1]}, then: ask}}"
    yield ""
    yield "limits: {steps: 8, wall_time: 2m}"
    yield ""


def _entry(program: _Program) -> Iterator[str]:
    yield f"  - name: {program.name}"
    yield f"    description: {program.description}"
    chooses = any(_LINES in argument for argument in program.argv)
    if chooses:
        yield "    parameters:"
        yield "      properties:"
        yield "        lines: {type: integer, minimum: 1, maximum: 200, default: 30}"
    argv = ", ".join(f'"{argument}"' if set(argument) & set("{},=") else argument for argument in program.argv)
    yield f"    shell: [{argv}]"
    yield "    annotations: {readOnlyHint: true}"
    yield f"    result: {{keep: {program.keep}, max_chars: 2000}}"
    yield "    examples:"
    yield f'      - {{user: "{program.asked}", args: {"{lines: 10}" if chooses else "{}"}}}'
    yield ""
