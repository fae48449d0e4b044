"""What stands below `bots:` in a file, as the bots take it. Nothing is started or connected."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Final

from gemmagraph.bots.base import Adapter, Traits
from gemmagraph.bots.errors import NotInstalled
from gemmagraph.bots.rooms import DIRECT, OTHERS, PretendedRooms, Rooms, folded
from gemmagraph.errors import AgentError, GemmagraphError
from gemmagraph.tools.errors import ToolDefinitionError
from gemmagraph.tools.files import load_object

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
_COMMON: Final = frozenset({"channels", "users", "links", "adapter"})
"""Keys that are not the adapter's."""
_METHODS: Final = ("listen", "send", "edit", "find", "fetch", "length")
"""What every adapter has."""


def keys_of(assistant: Assistant, name: str) -> dict[str, Any]:
    """What stands below a bot; no secrets are filled in, and they need not be here. The terminal need not stand in
    the file."""
    said = (assistant.values.get("bots") or {}).get(name) or {}
    return completed(name, said)


def completed(name: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a bot, with what holds unless said."""
    channels = keys.get("channels", {OTHERS: None})  # only the terminal may leave them out
    return {**keys, "channels": {folded(name, channel): room for channel, room in channels.items()}}


def own_keys(assistant: Assistant, name: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """What the adapter of a bot is made with."""
    own = {key: value for key, value in keys.items() if key not in _COMMON}
    if name == "irc":
        own["join"] = [channel for channel in keys["channels"] if channel not in (DIRECT, OTHERS)]
    if name == "matrix" and "keys_folder" in own:
        folder = assistant.document.folder(("bots", name))
        own["keys_folder"] = str(folder / Path(own["keys_folder"]).expanduser())
    return own


def made(assistant: Assistant, name: str, own: Mapping[str, Any]) -> Adapter:
    """What speaks with a service. It connects to nothing yet.

    Raises:
        NotInstalled: a library that it needs is not here.
        AgentError: its class cannot be used, or does not take the keys.
    """
    adapter: Any = adapter_of(assistant, name)
    place = assistant.document.place(("bots", name))
    try:
        found: Adapter = adapter(own)
    except NotInstalled:
        raise
    except GemmagraphError as exc:
        raise AgentError(f"{place}: {exc.message}", hint=exc.hint) from exc
    except Exception as exc:
        if name in ADAPTERS:
            raise
        raise AgentError(f"{place}: the adapter cannot be made: {type(exc).__name__}: {exc}.") from exc
    if not isinstance(getattr(found, "traits", None), Traits):
        raise AgentError(f"{place}: the adapter has no `traits`.", hint="See Traits in gemmagraph.bots.base.")
    return found


def adapter_of(assistant: Assistant, name: str) -> type[Adapter]:
    """The class that speaks with a service. One of the user's own may lie beside the file.

    Raises:
        AgentError: it cannot be loaded, lacks a method, or has another name for the service than the file.
    """
    if name in ADAPTERS:
        ours: type[Adapter] = resolve_name(ADAPTERS[name])
        return ours
    where, place = keys_of(assistant, name)["adapter"], assistant.document.place(("bots", name))
    try:
        found: type[Adapter] = load_object(where, assistant.document.folder(("bots", name)))
    except ToolDefinitionError as exc:
        raise AgentError(f"{place}: the adapter {where} cannot be loaded: {exc.message}", hint=exc.hint) from exc
    platform = getattr(found, "platform", None)
    if platform != name:
        raise AgentError(
            f"{place}: the bot is called {name!r}, and the `platform` of its adapter {where} is {platform!r}.",
            hint="Give both one name: ids of people and channels begin with it.",
        )
    if missing := [method for method in _METHODS if not callable(getattr(found, method, None))]:
        raise AgentError(
            f"{place}: the adapter {where} has no {', '.join(missing)}.", hint="See Adapter in gemmagraph.bots.base."
        )
    return found


def platform_of(name: str) -> str:
    """The first part of ids of a service's people and channels."""
    return PLATFORMS.get(name, name)


def rooms_of(assistant: Assistant, name: str) -> Rooms:
    """Where a bot answers, and whom."""
    platform, keys = platform_of(name), keys_of(assistant, name)
    if name != TERMINAL:
        return Rooms(platform, keys, assistant.policy)
    others = {other: rooms_of(assistant, other) for other in assistant.bots if other != TERMINAL}
    return PretendedRooms(platform, keys, assistant.policy, others)
