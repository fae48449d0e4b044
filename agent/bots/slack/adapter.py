"""Slack, over Socket Mode: the bot connects to Slack, and needs no address that Slack could reach.

The vendor's client speaks to Slack; this says what to do with what it hears. A connection is used until it ends, and
then another client is made: the one of the SDK tries a spent address again and again, and never learns that its token
was revoked.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from gemmagraph.bots.base import Choice, File, Inbound, Message, Place, Receiver, Traits
from gemmagraph.bots.errors import Revoked, TooFast, Unreachable
from gemmagraph.bots.slack.api import SlackApi, settings
from gemmagraph.bots.slack.events import ACTIONS, Us, for_us, people, told
from gemmagraph.bots.slack.missed import Seen, missed
from gemmagraph.bots.slack.socket import Socket
from gemmagraph.bots.slack.text import length, notice, rich
from gemmagraph.errors import StoreError

if TYPE_CHECKING:
    from gemmagraph.bots.text import Block
    from gemmagraph.prompts.messages import JSON

_T = TypeVar("_T")
_log: Final = logging.getLogger(__name__)

CONNECTING: Final = 5.0
"""Seconds for a connection, to its `hello`; more after each that failed."""
FILLING: Final = 1.5
"""Seconds for which what was missed is told before what is new; Slack waits three for an acknowledgement."""
SHORT: Final = 60.0
"""Seconds: after longer absences the bot looks into all its channels, however many."""
BRIEF: Final = 1.0
BREATH: Final = 0.1
"""Seconds before the next connection, after one that did not last."""
KEY: Final = "gemmagraph"
"""The type of the metadata that hold the key of a message."""
PAGES: Final = 10


class SlackAdapter:
    """One bot in one Slack workspace.

    Keys: `token` (xoxb-…), `app_token` (xapp-…), and `base_url` for tests and proxies.
    """

    platform: ClassVar[str] = "slack"

    def __init__(self, keys: Mapping[str, Any]) -> None:
        # edits: Slack lets about fifty a minute through; `/` is kept by Slack's clients for commands of their own
        self.traits = Traits(most=3900, edit_every=1.2, choices="buttons", findable=True, command="!")
        self._api = SlackApi(**settings(keys))
        self._us = Us("", "", "")

    async def listen(self, receiver: Receiver) -> None:
        failed, left, began, seen, told = 0, 0.0, 0.0, None, ""
        async with self._api.session():
            while True:
                seen = (Seen.read(receiver.cursor) if receiver.cursor else None) or seen
                away = time.monotonic() - left if left else None if seen is None else inf
                why, pause, up = "Slack has ended the connection.", 0.0, False
                try:
                    seen = await self._arrive(seen)
                    socket = await self._api.socket()
                    try:
                        await socket.connect(CONNECTING * (1 + min(failed, 5)))
                        up, failed, began, told = True, 0, time.monotonic(), ""
                        receiver.connected()
                        await self._work(receiver, socket, seen, away)
                    finally:
                        if up:
                            left = time.monotonic()
                            pause = BREATH if left - began < BRIEF else 0.0
                        await socket.close()
                except TooFast as exc:
                    why, pause = str(exc), exc.seconds
                except (Unreachable, StoreError) as exc:  # what could not be kept is not acknowledged: it comes again
                    failed += 1
                    why, pause = str(exc), 0.25 * 2 ** min(failed, 7)
                if why != told:
                    receiver.lost(why)
                    told = why
                await asyncio.sleep(pause)

    async def _arrive(self, seen: Seen | None) -> Seen:
        """Learns who the bot is, and whether it is still let in; the first time, when that was."""
        found = await self._api.ask("auth_test")
        self._us = Us(str(found["team_id"]), str(found["user_id"]), str(found.get("bot_id") or ""))
        return seen or Seen.starting(self._api.now())

    async def _work(self, receiver: Receiver, socket: Socket, seen: Seen, away: float | None) -> None:
        """Tells what comes over a connection, and what was missed before it, until the connection ends.

        Args:
            away: seconds without a connection; None: the bot is here for the first time.
        """
        filling = asyncio.create_task(self._fill(receiver, seen, away))
        taking = asyncio.create_task(self._take(receiver, socket, seen, filling))
        ending = asyncio.create_task(socket.end())
        tasks = running = {filling, taking, ending}
        try:
            while not (taking.done() or ending.done()):
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _fill(self, receiver: Receiver, seen: Seen, away: float | None) -> None:
        """Tells what was missed. The cursor moves after that, else the rest would be lost with this process."""
        if away is not None:
            async for messages in missed(self._api.ask, seen, everywhere=away > SHORT):
                events = [{"event": {"type": "message", **message}} for message in messages]
                await receiver.accept(await self._told(events, seen))
        await receiver.accept([], seen.cursor())

    async def _take(self, receiver: Receiver, socket: Socket, seen: Seen, filling: asyncio.Task[None]) -> None:
        """Tells what comes, all that is there at a time, and acknowledges it once it is kept."""
        await asyncio.wait({filling}, timeout=FILLING)
        while True:
            requests = await socket.received()
            events = await self._told([request.payload for request in requests], seen)
            await receiver.accept(events, seen.cursor() if filling.done() else None)
            for request in requests:
                await socket.acknowledge(request)

    async def _told(self, payloads: Sequence[Mapping[str, Any]], seen: Seen) -> list[Inbound]:
        payloads = [payload for payload in payloads if _read(lambda payload: for_us(payload, self._us), payload)]
        for payload in payloads:
            _read(self._notice, payload)
        await self._api.learn(user for payload in payloads for user in _read(people, payload) or ())
        names = self._api.names
        events: dict[str, Inbound] = {}  # a mention comes twice, most often at once
        for payload in payloads:
            for event in _read(lambda payload: told(payload, self._us, names), payload) or ():
                if isinstance(event, Message):
                    if event.id < seen.first:
                        continue
                    seen.heard(event.place.channel, event.place.thread, event.id)
                events[event.event] = event
        return list(events.values())

    def _notice(self, payload: Mapping[str, Any]) -> None:
        """What concerns the bot itself."""
        event = payload.get("event") or {}
        if event.get("type") == "user_change":
            self._api.call(event["user"])
        elif event.get("type") == "app_uninstalled" or (
            event.get("type") == "tokens_revoked" and self._us.user in (event["tokens"].get("bot") or ())
        ):
            raise Revoked("The app was taken out of the Slack workspace.")

    async def send(self, place: Place, blocks: Sequence[Block], key: str, choices: Sequence[Choice] = ()) -> str:
        sent = await self._api.ask(
            "chat_postMessage",
            channel=place.channel,
            **({"thread_ts": place.thread} if place.thread else {}),
            **_content(blocks, choices),
            unfurl_links=False,
            unfurl_media=False,
            metadata={"event_type": KEY, "event_payload": {"key": key}},
        )
        return str(sent["ts"])

    async def edit(self, place: Place, message: str, blocks: Sequence[Block], choices: Sequence[Choice] = ()) -> None:
        await self._api.ask("chat_update", channel=place.channel, ts=message, **_content(blocks, choices))

    async def find(self, place: Place, key: str) -> str | None:
        where: dict[str, Any] = {"channel": place.channel, "limit": 200, "include_all_metadata": True}
        if place.thread:
            where["ts"] = place.thread
        for _ in range(PAGES):
            found = await self._api.ask("conversations_replies" if place.thread else "conversations_history", **where)
            for message in found.get("messages") or ():
                kept = message.get("metadata") or {}
                if kept.get("event_type") == KEY and (kept.get("event_payload") or {}).get("key") == key:
                    return str(message["ts"])
            where["cursor"] = (found.get("response_metadata") or {}).get("next_cursor")
            if not where["cursor"]:
                break
        return None

    async def fetch(self, file: File, most: int) -> bytes:
        return await self._api.fetch(file, most)

    def length(self, blocks: Sequence[Block]) -> int:
        return length(blocks)


def _content(blocks: Sequence[Block], choices: Sequence[Choice]) -> dict[str, Any]:
    shown: list[JSON] = [rich(blocks)]
    if choices:
        shown.append({"type": "actions", "elements": [_button(choice) for choice in choices]})
    return {"text": notice(blocks), "blocks": shown, "parse": "none", "link_names": False}


def _button(choice: Choice) -> dict[str, JSON]:
    action = next(action for action, verb in ACTIONS.items() if verb == choice.verb)
    return {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": choice.label[:75], "emoji": False},
        "value": choice.approval,
        "style": "primary" if choice.verb == "approve" else "danger",
    }


def _read(read: Callable[[Mapping[str, Any]], _T], payload: Mapping[str, Any]) -> _T | None:
    """What a payload says; None if it is not as Slack documents it."""
    try:
        return read(payload)
    except (LookupError, TypeError, ValueError, AttributeError) as exc:
        _log.warning("Slack has sent something that cannot be read (%s).", type(exc).__name__)
        return None
