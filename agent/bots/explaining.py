"""What the bots of a file do in a channel, told without starting one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from gemmagraph.assistant import Assistant
from gemmagraph.bots.base import Message, Place
from gemmagraph.bots.declared import (
    ADAPTERS,
    PLATFORMS,
    TERMINAL,
    adapter_of,
    completed,
    keys_of,
    made,
    own_keys,
    platform_of,
    rooms_of,
)
from gemmagraph.bots.errors import NotInstalled
from gemmagraph.bots.rooms import DIRECT, OTHERS, Room, folded
from gemmagraph.errors import AgentError, GemmagraphError
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.declared.bots import impossible, nobody
from gemmagraph.tools.secrets import mask

Doing: TypeAlias = Literal["answers", "silent", "refuses", "no tool"]


@dataclass(frozen=True, slots=True)
class There:
    """What a bot does in one place."""

    bot: str
    doing: Doing
    why: str
    """For people: what it answers with, or why nothing comes of it."""
    toolset: str | None = None

    def as_json(self) -> dict[str, JSON]:
        return {"name": self.bot, "does": self.doing, "why": self.why, "toolset": self.toolset}


@dataclass(frozen=True, slots=True)
class Row:
    """What holds in one channel, in words."""

    channel: str
    toolset: str | None
    """None: all tools."""
    answers: str
    hears: str


@dataclass(frozen=True, slots=True)
class Told:
    """One bot of a file."""

    name: str
    rows: tuple[Row, ...]
    lacks: str
    """Why it cannot be started here, or empty."""
    wrong: str = ""
    """Why it can be started nowhere, or empty."""

    def lines(self) -> Iterator[str]:
        """For people: a table."""
        told = f"{self.name}: cannot be started here: {self.lacks}" if self.lacks else self.name
        yield f"{self.name}: cannot be started: {self.wrong}" if self.wrong else told
        if not self.rows:
            yield "  It is silent everywhere."
            return
        table = [_HEADINGS, *((row.channel, row.toolset or "all", row.answers, row.hears) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for line in table:
            yield f"  {'  '.join(map(str.ljust, line, widths))}".rstrip()
        if not any(row.channel == OTHERS for row in self.rows):
            yield "  In all other channels it is silent."

    def as_json(self) -> dict[str, JSON]:
        rows: list[JSON] = [{key: getattr(row, key) for key in Row.__slots__} for row in self.rows]
        return {"name": self.name, "lacks": self.lacks, "wrong": self.wrong, "channels": rows}


_HEADINGS: Final = ("CHANNEL", "TOOLS", "ANSWERS", "HEARS")


def bots_of(assistant: Assistant) -> list[Told]:
    """Each bot of the file, channel by channel."""
    told = []
    for name in assistant.bots:
        rooms = rooms_of(assistant, name)
        channels = dict.fromkeys([*keys_of(assistant, name)["channels"], DIRECT])
        found = ((channel, rooms.of(_place(channel, channels))) for channel in channels)
        rows = tuple(_row(assistant, channel, room) for channel, room in found if room is not None)
        told.append(Told(name, rows, *_fault(assistant, name)))
    return told


def doubts(assistant: Assistant) -> Iterator[str]:
    """Channels and users of rules that no bot of the file can ever come to. They are no errors: a program may call
    with names of its own."""
    if not assistant.bots:
        return
    for rule in assistant.policy.rules:
        for channel in rule.channels or ():
            if why := _never(assistant, channel):
                yield f"{rule.place}: no bot comes to {channel}: {why}."
    rules = assistant.policy.rules
    said: list[tuple[str, Sequence[str]]] = [(rule.place, rule.users or ()) for rule in rules]
    said += [(rule.place, rule.approvers or ()) for rule in rules]
    for name, users in assistant.policy.groups.items():
        said.append((str(assistant.document.place(("groups", name))), sorted(users)))
    for place, people in said:
        for user in people:
            if example := nobody(user):
                yield f"{place}: {user} is nobody: people there are such as {example}."


def _never(assistant: Assistant, channel: str) -> str:
    """Why no bot can come to a channel, or empty."""
    platform, _, inside = channel.partition(":")
    if platform in PLATFORMS.values():
        return ""  # whoever sits at the terminal may call a channel anything
    name = next((bot for bot in assistant.bots if platform_of(bot) == platform), None)
    if name is None:
        return f"the file has no bot for {platform}" + ("" if platform in ADAPTERS else ", and that is none of ours")
    channels = keys_of(assistant, name)["channels"]
    inside = folded(name, inside)
    if rooms_of(assistant, name).of(_place(inside, channels)) is not None:
        return ""
    kinds = _NOT_DIRECT.get(name, ())
    if DIRECT in channels and not inside.rpartition("/")[2].startswith(kinds):
        return ""
    return f"it is not among the channels of {name}"


_NOT_DIRECT: Final[Mapping[str, tuple[str, ...]]] = {"slack": ("C", "G"), "telegram": ("-",), "irc": tuple("#&+!")}
"""What channels begin with that are no direct messages; others tell nothing of it."""


def there(assistant: Assistant, person: str | None, channel: str, tool: str | None = None) -> There | None:
    """What the bot of a channel does with what somebody says there; None if the file has no bot for that service.

    Args:
        person: as policies know people: `slack:T1/U024`; None: somebody who is not known for certain.
        channel: as policies know channels: `slack:T1/C0123`, or `slack:direct` for direct messages.
        tool: the one that the answer needs.

    Raises:
        AgentError: that bot can be started nowhere, or there can be no such channel.
    """
    platform, _, inside = channel.partition(":")
    if assistant.bots and inside != DIRECT and (why := impossible(channel, assistant.bots)):
        raise AgentError(f"{why[0][0].upper()}{why[0][1:]}.", hint=why[1])
    for name in assistant.bots:
        if platform_of(name) == platform:
            if wrong := _fault(assistant, name)[1]:
                raise AgentError(wrong)
            inside = folded(name, inside)
            place = _place(inside, keys_of(assistant, name)["channels"])
            return _there(assistant, name, place, person, tool)
    return None


def _there(assistant: Assistant, name: str, place: Place, person: str | None, tool: str | None) -> There:
    rooms = rooms_of(assistant, name)
    room = rooms.of(place)
    if room is None:
        return There(name, "silent", "the channel is not among its channels, so it is silent there")
    user = (person or "").removeprefix(f"{platform_of(name)}:")
    if person is not None and rooms.person(user) != person:
        return There(name, "refuses", f"{person} is nobody there: people there are {rooms.person('…')}", room.toolset)
    if why := rooms.refuses(Message("", place, user, "", "", ""), room):
        return There(name, "refuses", f"it does not answer {person or 'them'}: “{why}”", room.toolset)
    if tool is not None and not replace(assistant, toolset=room.toolset).includes(tool):
        return There(name, "no tool", f"it has {_tools(room)} there, and {tool} is not among them", room.toolset)
    return There(
        name, "answers", f"it answers with {_tools(room)}, and hears {_hears(place.direct, room)}", room.toolset
    )


def _fault(assistant: Assistant, name: str) -> tuple[str, str]:
    """Why a bot cannot be started here, and why it can be started nowhere; empty if it can."""
    try:
        adapter_of(assistant, name)
        try:
            keys = completed(name, assistant.bot(name))
        except GemmagraphError as exc:
            return exc.message, ""
        if name != TERMINAL:
            made(assistant, name, own_keys(assistant, name, keys))
    except NotInstalled as exc:
        return str(exc), ""
    except AgentError as exc:
        return "", mask(str(exc))
    return "", ""


def _row(assistant: Assistant, channel: str, room: Room) -> Row:
    direct = channel == DIRECT
    groups = [f"group:{name}" for name in assistant.policy.groups]
    users = groups if room.users is None and direct else room.users
    answers = "everybody" if users is None else ", ".join(users) or "nobody: the file has no groups"
    return Row(channel, room.toolset, answers, _hears(direct, room))


def _tools(room: Room) -> str:
    return "all tools" if room.toolset is None else f"the toolset {room.toolset}"


def _hears(direct: bool, room: Room) -> str:
    if direct:
        return "everything"
    return "mentions" if room.listen == "mentions" else "mentions, and its threads"


def _place(inside: str, channels: Mapping[str, Any]) -> Place:
    """A channel as it stands in the file or, with its workspace, in policies."""
    workspace, slash, channel = inside.partition("/")
    if not slash or inside in channels:
        workspace, channel = "", inside
    return Place(workspace, channel, direct=channel == DIRECT)
