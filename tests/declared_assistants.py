"""The two assistants of the format's documentation, put where their services are stand-ins on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gemmagraph import Agent, Gemma
from gemmagraph.backends.scripted import ScriptedBackend, Written
from gemmagraph.prompts.checking.arguments import write_plainly

DATA = Path(__file__).parent / "data"
sys.path.append(str(DATA.with_name("tools")))  # `recorded` is for tests here too

TOLD = """#!/bin/sh
printf '%s' "${0##*/}"
for argument in "$@"; do printf ' <%s>' "$argument"; done
printf '\\nKUBECONFIG=%s SECRET=%s\\n' "$KUBECONFIG" "$GITHUB_TOKEN"
"""
"""A program that tells how it was called."""


def placed(example: str, folder: Path, changes: Mapping[str, str]) -> Path:
    """An example of the format in `folder`, beside what it refers to; each of `changes` is made once."""
    shutil.copytree(DATA / "assistants" / example, folder, dirs_exist_ok=True)
    for include in DATA.glob("declared/more-*.yaml"):
        shutil.copy(include, folder)
    text = (DATA / "declared" / f"{example}.yaml").read_text("utf-8")
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {example}.yaml"
        text = text.replace(old, new)
    file = folder / "assistant.yaml"
    file.write_text(text, "utf-8")
    return file


def programs(folder: Path, *names: str) -> str:
    """A PATH on which these programs tell how they were called."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text(TOLD)
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def call(tool: str, **arguments: Any) -> str:
    return f"FUNCTION_CALL: {write_plainly(tool, arguments)}"


def scripted(*replies: Written) -> Gemma:
    return Gemma(ScriptedBackend(replies))


def told(agent: Agent, **asking: Any) -> Sequence[str]:
    """What the results of the run are, as the model gets them."""
    return [message.text for message in agent.run("Go on.", **asking).messages if message.type == "tool"]


def module_of(file: Path) -> Any:
    """A Python file beside an assistant, once it was loaded."""
    return sys.modules[f"{file.stem} ({file})"]
