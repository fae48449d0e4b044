"""Which store a command is about, and how one gets back to a thread of it."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gemmagraph.assistant import Assistant, load_assistant
from gemmagraph.cli.assistants import file_of
from gemmagraph.errors import AgentError
from gemmagraph.store.address import address_of, default_store
from gemmagraph.store.questions import Question
from gemmagraph.store.store import Store, Thread
from gemmagraph.tools import run_sync
from gemmagraph.tools.declared.problems import did_you_mean

_LETTERS: Final = "bcdfghjkmnpqrstvwxz23456789"
"""None that is taken for another, and no words by chance."""


def new_thread() -> str:
    """A name that no thread has, and that can be typed."""
    return f"chat-{''.join(secrets.choice(_LETTERS) for _ in range(6))}"


def store_of(url: str | None, assistant: Assistant | None) -> Store:
    """The store that is named, else the one of the file, else the user's own.

    Raises:
        GemmagraphError: that is no store.
    """
    declared = assistant.store() if url is None and assistant is not None else url
    return Store(default_store() if declared is None else declared)


def is_there(store: Store) -> bool:
    """Whether it was ever written. To look at one that is not there would make it."""
    return store.address.kind != "sqlite" or Path(store.address.target).exists()


@contextmanager
def kept(url: str | None, file: str | None) -> Iterator[Store]:
    """The store that a command is about which needs no agent; connections end with this.

    Raises:
        GemmagraphError: the file is wrong, or there is no such store.
    """
    found = file_of(file) if url is None else None
    store = store_of(url, load_assistant(found) if found is not None else None)
    if url is not None and not is_there(store):
        raise AgentError(f"There is no store {store.address}.", hint="It is made when something is kept in it.")
    try:
        yield store
    finally:
        store.close()


def thread_of(store: Store, name: str) -> Thread:
    """The thread of this name.

    Raises:
        AgentError: there is none; near names are told.
        StoreError: what is kept of it cannot be read.
    """
    if is_there(store):
        with suppress(AgentError):
            return run_sync(store.thread(name))
    found = run_sync(store.threads()) if is_there(store) else []
    near = did_you_mean(name, [thread.id for thread in found]).replace("did", "Did", 1)
    raise AgentError(
        f"There is no thread {name!r} in {store.address}.",
        hint=near or "`gemmagraph threads list` shows those that are.",
    )


def ended(store: Store, thread: Thread) -> bool:
    """Ends what waits on a thread; returns whether there was anything. No model is asked."""
    from gemmagraph.agent import Agent
    from gemmagraph.model import Gemma

    return Agent(Gemma("builtin"), store=store, name=thread.agent).cancel(thread.id)


def question_of(store: Store, identity: str) -> Question:
    """The approval with this id, or with one that begins so.

    Raises:
        AgentError: there is none, or several begin so.
    """
    if not is_there(store):
        raise AgentError(f"There is no approval {identity!r}.", hint=f"Nothing is kept in {store.address}.")
    return run_sync(store.questions.get(identity))


def options(url: str | None, file: str | None) -> str:
    """The options with which another command finds the same store; no password is told."""
    if url is not None:
        return f" --store {shlex.quote(url) if address_of(url).kind == 'sqlite' else 'URL'}"
    return f" -f {shlex.quote(file)}" if file is not None else ""
