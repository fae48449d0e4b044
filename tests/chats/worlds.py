"""The chat services that all tests of bots know."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from chats import irc, synapse  # noqa: F401 - they read the environment, which tests do not see

WORLDS: Final = {
    "memory": "chats.memory:MemoryWorld",
    "slack": "chats.slack:World",
    "matrix": "chats.matrix:World",
    "discord": "chats.discord:World",
    "telegram": "chats.telegram:World",
    "irc": "chats.irc:AccountsWorld",
    "mattermost": "chats.mattermost:World",
    "terminal": "chats.terminal:World",
}


def world_of(name: str) -> Any:
    """A new one; what it needs is loaded only then."""
    module, _, attribute = WORLDS[name].partition(":")
    made: Callable[[], Any] = getattr(import_module(module), attribute)
    return made()
