"""Chat services: in which channels the assistant answers, whom, and with which tools."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from gemmagraph.tools.declared.bodies import PYTHON
from gemmagraph.tools.declared.forms import Anything, Boolean, Choice, Number, Text, whole
from gemmagraph.tools.declared.problems import nearest
from gemmagraph.tools.declared.structures import Either, Key, Keys, Listing, MapOf, Plain
from gemmagraph.tools.declared.vocabulary import NAME, PEOPLE, SECRET, SOME_TEXT, URL, WRITTEN

_ROOM: Final = Either(
    NAME,
    Plain("null", right="nothing"),
    Keys(
        "room",
        {
            "toolset": Key(NAME, "The toolset that it has there; unless said, all tools."),
            "users": Key(PEOPLE, "Whom it answers there."),
            "listen": Key(
                Choice("threads", "mentions"),
                "`threads`: mentions, and all that is said in threads that it answers in; `mentions`: these only.",
            ),
        },
        says="What holds in a channel.",
    ),
    right="the name of a toolset, or a mapping with toolset, users, listen",
)

HOST: Final = Text(pattern=r"^(\*\.)?[A-Za-z0-9.-]+$", right="a host: example.org, or *.example.org for all below it")
INVITER: Final = Text(
    pattern=r"^(@[^:\s]+|\*):\S+$", right="a Matrix user: @ann:example.org, or *:example.org for all of a server"
)

_CHANNELS: Final = (
    "The toolset of each channel, by its id; `direct`: of direct messages, `*`: of all that is not named. Elsewhere"
    " it is silent."
)
_QUOTED: Final = 'What stands behind a # is a comment; in quotes it is a channel: "#ops".'
_ANY_CHANNELS: Final = MapOf(_ROOM, nothing=_QUOTED)
_COMMON: Final = {
    "channels": Key(_ANY_CHANNELS, _CHANNELS, required=True),
    "users": Key(
        PEOPLE,
        "Whom it answers. Unless said: everybody in its channels, and in direct messages who is in any of `groups`.",
    ),
    "links": Key(
        Listing(HOST),
        "Hosts whose links may be live in what it says; others are shown as code, which no service opens.",
    ),
}
_IDS: Final = {
    "slack": ("[A-Z][A-Z0-9]+", "C0123"),
    "matrix": (r"!\S+", "!AbCdEf:example.org"),
    "discord": ("[0-9]+", "1029384756102938475"),
    "telegram": ("-?[0-9]+", "-1001234567890"),
    "irc": (r"[#&+!][^\s,]*", "#ops"),
    "mattermost": ("[a-z0-9]{26}", "9yk3ws1mqbnqx8fmk1cuxf5sdh"),
}
"""What channels are called by their services, and an example."""
_PLACES: Final = _IDS | {
    "slack": ("[A-Z][A-Z0-9]*/[A-Z][A-Z0-9]*", "T1/C0123"),
    "irc": (r"[#&+!][^\s,]*|[^\s,!]+![^\s,!]+", "#ops"),
}
"""What rules call them, behind the service; a direct message of IRC is NICK!ACCOUNT."""
_PEOPLE: Final = {
    "slack": ("[A-Z][A-Z0-9]*/[A-Z][A-Z0-9]*", "T1/U024"),
    "matrix": (r"@\S+:\S+", "@ann:example.org"),
    "discord": ("[0-9]+", "184405311681986560"),
    "telegram": ("[0-9]+", "5000000001"),
    "mattermost": ("[a-z0-9]{26}", "4xp9fdt77pncbef59f4k1qe83o"),
}
"""What rules and groups call people, behind the service; on IRC, by any name of an account."""
_LIKENESS: Final = 0.8
"""Others are names that a program has for its own channels."""
_HERE: Final = Key(URL, "Another address of the service: for tests, proxies and servers of one's own.")


def _service(name: str, says: str, keys: dict[str, Key], **relations: Any) -> Key:
    ids, example = _IDS[name]
    named = f"the id of a channel, such as {example}, or direct or *"
    nothing = _QUOTED if re.match(ids, "#") else ""
    form = MapOf(_ROOM, names=rf"^(direct|\*|{ids})$", named=named, nothing=nothing)
    channels = Key(form, _CHANNELS, required=True)
    return Key(Keys(f"bot_{name}", {**keys, **_COMMON, "channels": channels}, says=says, **relations), says)


def _token(says: str, *, required: bool = True) -> Key:
    return Key(SECRET, says, required=required)


_SERVICES: Final = {
    "slack": _service(
        "slack",
        "A Slack app, in Socket Mode.",
        {
            "token": _token("The bot's token: `xoxb-…`."),
            "app_token": _token("The app's token, for Socket Mode: `xapp-…`."),
            "base_url": _HERE,
        },
    ),
    "matrix": _service(
        "matrix",
        "A Matrix user.",
        {
            "homeserver": Key(URL, "The address of its homeserver.", required=True),
            "user": Key(SOME_TEXT, "Its whole id: `@bot:example.org`."),
            "token": _token("Its access token.", required=False),
            "password": _token("Its password, where there is no token.", required=False),
            "device": Key(SOME_TEXT, "The name of its device, which must stay the same."),
            "invites": Key(Listing(INVITER), "Who may invite it: users, or `*:example.org` for all of a server."),
            "keys_folder": Key(SOME_TEXT, "A folder for the keys of encrypted rooms; without it, it reads none."),
        },
        some_of=("token", "password"),
        needs={"password": ("user",)},
    ),
    "discord": _service(
        "discord",
        "A Discord application's bot.",
        {
            "token": _token("The bot's token."),
            "guild": Key(WRITTEN, "The id of the only server that it listens to."),
            "base_url": _HERE,
        },
    ),
    "telegram": _service(
        "telegram",
        "A Telegram bot.",
        {"token": _token("The bot's token, from @BotFather."), "base_url": _HERE},
    ),
    "irc": _service(
        "irc",
        "A nick on an IRC network.",
        {
            "server": Key(SOME_TEXT, "The host of the server.", required=True),
            "port": Key(whole(1, 65535), "Its port."),
            "tls": Key(Boolean(), "Whether the connection is encrypted."),
            "nick": Key(SOME_TEXT, "What it is called.", required=True),
            "account": Key(SOME_TEXT, "Its services account (SASL)."),
            "password": _token("The account's password; without an account, the server's.", required=False),
            "pace": Key(Number(0, 60), "Seconds for each line that it says, after the first four."),
        },
        needs={"account": ("password",)},
    ),
    "mattermost": _service(
        "mattermost",
        "A Mattermost bot account.",
        {
            "url": Key(URL, "The address of the server, as people open it.", required=True),
            "token": _token("The bot's access token."),
        },
    ),
    "terminal": Key(
        Keys(
            "bot_terminal",
            _COMMON | {"channels": Key(_ANY_CHANNELS, f"{_CHANNELS} Unless said, it has all tools everywhere.")},
            says="Your own terminal, to try it all.",
        ),
        "Your own terminal, to try it all.",
    ),
}

BOTS: Final = Keys(
    "bots",
    _SERVICES,
    says="Chat services in which it answers.",
    rest=Keys(
        "bot_other",
        {
            "adapter": Key(
                PYTHON,
                f"The class of your adapter. Those that need none: {', '.join(_SERVICES)}.",
                required=True,
            ),
            **_COMMON,
        },
        says="A chat service that you have written an adapter for; its other keys are its own.",
        rest=Anything(),
    ),
)


def impossible(channel: str, bots: Collection[str]) -> tuple[str, str] | None:
    """Why there can be no such channel, as rules call them, and a hint; None if there can.

    Args:
        bots: the names of those of the file.
    """
    service, _, inside = channel.partition(":")
    if service in _PLACES:
        ids, example = _PLACES[service]
        if re.fullmatch(ids, inside):
            return None
        return f"there can be no channel {channel!r}", f"Channels of {service} are such as {service}:{example}."
    meant = "local" if service == "terminal" else nearest(service, {*_PLACES, *bots, "local"}, _LIKENESS)
    if service == "local" or (service in bots and service != "terminal") or meant is None:
        return None
    return f"there is no service {service!r} for {channel!r}; did you mean {meant!r}?", ""


def nobody(user: str) -> str:
    """What users of a service are called, if there can be none who is called so; else nothing."""
    service, _, inside = user.partition(":")
    ids, example = _PEOPLE.get(service, ("", ""))
    return f"{service}:{example}" if ids and not re.fullmatch(ids, inside) else ""
