"""The assistant file that a command is about, and what is said of it."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from gemmagraph.assistant import DEFAULT_FILE, Assistant, load_assistant


def file_of(file: str | None) -> str | None:
    """The file that is meant: the one that is named, else that of the current folder if it has one."""
    if file is not None:
        return file
    return DEFAULT_FILE if Path(DEFAULT_FILE).is_file() else None


def needed_file(file: str | None) -> str:
    """`file_of`, for commands that are about nothing else.

    Raises:
        UsageError: there is none.
    """
    found = file_of(file)
    if found is None:
        raise click.UsageError(f"There is no {DEFAULT_FILE} here. Name a file with -f, or begin: gemmagraph init")
    return found


def assistant_of(file: str | None, toolset: str | None = None) -> Assistant | None:
    """The assistant that is meant; None if there is no file.

    Raises:
        FileErrors: something is wrong with the file.
        AgentError: it has no such toolset.
        UsageError: a toolset is named, and there is no file.
    """
    found = file_of(file) if toolset is None else needed_file(file)
    return None if found is None else load_assistant(found, toolset=toolset)


def model_name(assistant: Assistant) -> str:
    """The model that the file names; empty if it names none."""
    said: Mapping[str, str] = assistant.values.get("model") or {}
    return said.get("name", "")


def with_model_keys(assistant: Assistant, **keys: str | None) -> Assistant:
    """The assistant as if its file said these of its model too, where they are not None."""
    said = assistant.values.get("model")
    given = {key: value for key, value in keys.items() if value is not None}
    if said is None or not given:
        return assistant
    values = {**assistant.document.values, "model": {**said, **given}}
    return replace(assistant, document=replace(assistant.document, values=values))


def in_short(assistant: Assistant) -> str:
    """The file, and the toolset if one was chosen."""
    name = assistant.document.files[0].name
    return f"{name}, toolset {assistant.toolset}" if assistant.toolset else name


def local_user() -> str | None:
    """Who sits here, as policies know them: `local:NAME`."""
    with suppress(OSError, KeyError):  # a container may run us as nobody in particular
        try:
            from pwd import getpwuid
        except ImportError:  # Windows
            return f"local:{getpass.getuser()}"
        return f"local:{getpwuid(os.getuid()).pw_name}"  # not what the environment says: anybody can write that
    return None
