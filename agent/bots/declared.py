"""What stands below `bots:` in a file, as the bots take it. Nothing is started or connected."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from gemmagraph.bots.base import Adapter
from gemmagraph.bots.rooms import OTHERS, PretendedRooms, Rooms
from gemmagraph.errors import AgentError

if TYPE_CHECKING:
    from gemmagraph.assistant import Assistant

TERMINAL: Final = "terminal"
ADAPTERS: Final = {
    "slack": "gemmagraph.bots.slack.adapter:SlackAdapter",
    "matrix": "gemmagraph.bots.matrix.adapter:MatrixAdapter",
    "discord": "gemmagraph.bots.discord.adapter:DiscordAdapter",
    "telegram": "gemmagraph.bots.telegram.adapter:TelegramAdapter",
    "irc": "gemmagraph.bots.irc.adapter:IrcAdapter",
    "mattermost": "gemmagraph.bots.mattermost.adapter:MattermostAdapter",
    TERMINAL: "gemmagraph.bots.terminal.adapter:TerminalAdapter",
}
PLATFORMS: Final = {TERMINAL: "local"}
"""Of services that are called otherwise in the file."""


def keys_of(assistant: Assistant, name: str) -> dict[str, Any]:
    """What stands below a bot; no secrets are filled in, and they need not be here. The terminal need not stand in
    the file."""
    said = (assistant.values.get("bots") or {}).get(name) or {}
    return completed(name, said)


def completed(name: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a bot, with what holds unless said. Channels of IRC have no case."""
    channels = keys.get("channels", {OTHERS: None})  # only the terminal may leave them out
    if name == "irc":
        channels = {channel.lower(): room for channel, room in channels.items()}
    return {**keys, "channels": channels}


def adapter_of(assistant: Assistant, name: str) -> type[Adapter]:
    """The class that speaks with a service. One of the user's own may lie in a module beside the file.

    Raises:
        AgentError: it cannot be loaded.
    """
    where = keys_of(assistant, name).get("adapter") or ADAPTERS[name]
    module, _, attribute = where.partition(":")
    folder = str(assistant.document.path.resolve().parent)
    beside = [] if name in ADAPTERS or folder in sys.path else [folder]
    sys.path[:0] = beside
    try:
        found: type[Adapter] = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as exc:
        place = assistant.document.place(("bots", name))
        raise AgentError(f"{place}: the adapter {where} cannot be loaded: {exc}.") from exc
    finally:
        for path in beside:
            sys.path.remove(path)
    return found


def platform_of(assistant: Assistant, name: str) -> str:
    """The first part of ids of a service's people and channels.

    Raises:
        AgentError: it is a service of the user's own, whose adapter cannot be loaded.
    """
    if name in ADAPTERS:
        return PLATFORMS.get(name, name)
    return adapter_of(assistant, name).platform


def rooms_of(assistant: Assistant, name: str) -> Rooms:
    """Where a bot answers, and whom."""
    platform, keys = platform_of(assistant, name), keys_of(assistant, name)
    if name != TERMINAL:
        return Rooms(platform, keys, assistant.policy)
    others: dict[str, Rooms] = {}
    for other in assistant.bots:
        if other != TERMINAL:
            platform_there = other  # unless it is known better
            with suppress(AgentError):
                platform_there = platform_of(assistant, other)
            others[platform_there] = Rooms(platform_there, keys_of(assistant, other), assistant.policy)
    return PretendedRooms(platform, keys, assistant.policy, others)
