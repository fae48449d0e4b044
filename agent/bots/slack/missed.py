"""What was said in Slack while the bot was not there.

Slack delivers what nobody acknowledged again, at once, after a minute and after five, and then no more. The rest is
read from the history of the channels that the bot is in.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gemmagraph.bots.errors import NotThere, TooFast, Unreachable

Ask = Callable[..., Awaitable[Mapping[str, Any]]]
"""Calls a method of Slack's Web API: its name, then its arguments."""

OVERLAP: Final = 60.0
"""Seconds read once more: events do not come in the order of their times. What is known already changes nothing."""
THREADS_OF: Final = 24 * 3600.0
"""Seconds for which all threads begun in a channel are looked at; of older ones those the bot has heard from."""
PLACES: Final = 48
"""Channels and threads that are remembered: the cursor has room for no more."""
PAGES: Final = 10
A_PAGE: Final = 200
AGAIN_AFTER: Final = 2.0


@dataclass
class Seen:
    """How far the bot has heard: what its cursor holds."""

    since: str
    """The time of the newest message, as Slack writes it: `1700000000.000100`."""
    first: str
    """When the bot was here for the first time; nothing older is told."""
    places: dict[str, None] = field(default_factory=dict)
    """Channels, and threads as `CHANNEL/TS`; the last heard from at the end."""

    @classmethod
    def starting(cls, now: float) -> Seen:
        return cls(_ts(now), _ts(now))

    @classmethod
    def read(cls, cursor: str) -> Seen | None:
        """What `cursor` wrote; None if it is not ours."""
        try:
            kept = json.loads(cursor)
            since, first = _ts(float(kept["since"])), _ts(float(kept["first"]))
            return cls(since, first, dict.fromkeys(map(str, kept["places"])))
        except (ValueError, LookupError, TypeError):
            return None

    def cursor(self) -> str:
        return json.dumps({"since": self.since, "first": self.first, "places": list(self.places)})

    def heard(self, channel: str, thread: str, ts: str) -> None:
        self.since = max(self.since, ts)
        for place in (f"{channel}/{thread}", channel) if thread else (channel,):
            self.places.pop(place, None)
            self.places[place] = None
        while len(self.places) > PLACES:
            del self.places[next(iter(self.places))]

    def before(self, seconds: float) -> str:
        """A time so long before the newest message."""
        return _ts(float(self.since) - seconds)


def _ts(seconds: float) -> str:
    return f"{max(seconds, 0.0):017.6f}"


async def missed(ask: Ask, seen: Seen, everywhere: bool) -> AsyncIterator[list[dict[str, Any]]]:
    """The messages since then, the oldest first, channel after channel.

    Args:
        everywhere: in all channels of the bot, however many; else in those it has heard from last, and some more.
    """
    begin, long_ago = max(seen.before(OVERLAP), seen.first), seen.before(THREADS_OF)
    places = list(seen.places)
    kinds = "public_channel,private_channel,mpim,im"
    listed = await _pages(ask, "users_conversations", "channels", types=kinds, exclude_archived=True)
    remembered = (place.partition("/")[0] for place in reversed(places))
    channels = list(dict.fromkeys([*remembered, *(str(one["id"]) for one in listed)]))
    for channel in channels if everywhere else channels[:PLACES]:
        roots = await _pages(ask, "conversations_history", "messages", channel=channel, oldest=long_ago)
        threads = {str(one["ts"]) for one in roots if str(one.get("latest_reply") or "") > begin}
        threads |= {place.partition("/")[2] for place in places if place.startswith(f"{channel}/")}
        found = {str(one["ts"]): one for one in roots}
        for thread in threads:
            replies = await _pages(ask, "conversations_replies", "messages", channel=channel, ts=thread, oldest=begin)
            found |= {str(one["ts"]): one for one in replies if one["ts"] != thread}
        if new := [{**found[ts], "channel": channel} for ts in sorted(found) if ts > begin]:
            yield new


async def _pages(ask: Ask, method: str, key: str, **arguments: Any) -> Sequence[dict[str, Any]]:
    """All that a method of Slack lists, as long as it takes; nothing where the bot may not look."""
    found: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(PAGES):
        more = {"cursor": cursor} if cursor else {}
        while True:
            try:
                answer = await ask(method, limit=A_PAGE, **arguments, **more)
                break
            except TooFast as exc:
                await asyncio.sleep(exc.seconds)
            except Unreachable:
                await asyncio.sleep(AGAIN_AFTER)
            except NotThere:
                return found
        found += answer.get(key) or ()
        cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
        if not cursor:
            break
    return found
