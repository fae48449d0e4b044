"""Where a bot answers, whom, and with which tools. What is not named is silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from gemmagraph.bots.base import Message, Place
from gemmagraph.policy import Policy

DIRECT: Final = "direct"
"""Stands for direct messages among the channels."""
OTHERS: Final = "*"
"""Stands for all channels that are not named."""

Listen: TypeAlias = Literal["threads", "mentions"]


@dataclass(frozen=True, slots=True)
class Room:
    """What holds in one channel."""

    toolset: str | None = None
    """None: all tools of the file."""
    users: tuple[str, ...] | None = None
    """Who is answered: ids and `group:NAME`. None: everybody in a channel; alone with the bot, members of any
    group."""
    listen: Listen = "threads"
    """`threads`: mentions, and all that is said in threads that the bot answers in. `mentions`: only these."""


class Rooms:
    """Of one bot.

    Args:
        platform: the first part of user ids.
        keys: what stands below the bot's name in the file.
        policy: knows the groups.
    """

    def __init__(self, platform: str, keys: Mapping[str, Any], policy: Policy) -> None:
        self._platform = platform
        self._policy = policy
        users = keys.get("users")
        self._rooms = {channel: _room(said, users) for channel, said in (keys.get("channels") or {}).items()}

    @property
    def toolsets(self) -> set[str | None]:
        """Those that some channel has."""
        return {room.toolset for room in self._rooms.values()}

    @property
    def named(self) -> list[str]:
        """The channels that are named."""
        return [channel for channel in self._rooms if channel not in (DIRECT, OTHERS)]

    def of(self, place: Place) -> Room | None:
        """What holds in a place; None: the bot is silent there."""
        if place.direct:
            return self._rooms.get(place.channel) or self._rooms.get(DIRECT) or self._rooms.get(OTHERS)
        return self._rooms.get(place.channel) or self._rooms.get(OTHERS)

    def person(self, user: str) -> str | None:
        """A user as the policy knows people; None if it is not certain who it is."""
        return f"{self._platform}:{user}" if user else None

    def channel(self, place: Place) -> str:
        """A channel as the policy knows channels."""
        return f"{self._platform}:{f'{place.workspace}/' if place.workspace else ''}{place.channel}"

    def refuses(self, message: Message, room: Room) -> str:
        """Why this person is not answered here, or empty."""
        person = self.person(message.user)
        users = room.users
        if users is None:
            if not message.place.direct:
                return ""
            users = tuple(f"group:{name}" for name in self._policy.groups)
        if self._policy.includes(users, person):
            return ""
        return "I do not know for certain who you are" if person is None else "you are not among those I answer here"

    def groups_of(self, person: str | None) -> list[str]:
        """The groups that somebody is in."""
        return [name for name in self._policy.groups if self._policy.includes([f"group:{name}"], person)]


class PretendedRooms(Rooms):
    """Of the terminal, where whoever sits there is anybody of the file: `slack:T1/U077` is that user of Slack, and
    `slack:T1/C0AA` that channel, with what the file says of it. No service on a network is given these.

    Args:
        others: of the other services of the file, by platform.
    """

    def __init__(
        self, platform: str, keys: Mapping[str, Any], policy: Policy, others: Mapping[str, Rooms] | None = None
    ) -> None:
        super().__init__(platform, keys, policy)
        self.others = others or {}

    @property
    def toolsets(self) -> set[str | None]:
        return super().toolsets.union(*(other.toolsets for other in self.others.values()))

    def of(self, place: Place) -> Room | None:
        platform, _, channel = place.channel.removeprefix("@").partition(":")
        other = self.others.get(platform) if channel else None
        if other is None:
            return super().of(place)
        channel = folded(platform, channel)
        if not place.direct and channel not in other.named and "/" in channel:
            channel = channel.partition("/")[2]  # behind the workspace
        return other.of(replace(place, channel=channel))

    def person(self, user: str) -> str | None:
        return user if ":" in user else super().person(user)

    def channel(self, place: Place) -> str:
        return place.channel if ":" in place.channel and not place.direct else super().channel(place)


def folded(platform: str, channel: str) -> str:
    """A channel as bots name it: those of IRC have no case."""
    return channel.lower() if platform == "irc" else channel


def _room(said: Any, users: Sequence[str] | None) -> Room:
    keys: dict[str, Any] = {"toolset": said} if isinstance(said, str) or said is None else dict(said)
    chosen = keys.get("users", users)
    return Room(keys.get("toolset"), None if chosen is None else tuple(chosen), keys.get("listen", "threads"))
