"""What Slack tells, as the values of the core.

Payloads are those of the Events API and of interactive messages: https://docs.slack.dev/reference/events/message
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gemmagraph.bots.base import Deleted, Edited, File, Inbound, Message, Place, Pressed, Verb
from gemmagraph.bots.slack.text import named, said

SAID: Final = frozenset({None, "file_share", "thread_broadcast", "bot_message", "me_message"})
"""Subtypes of what somebody says; others tell that the topic was changed, that somebody has joined …"""
ACTIONS: Final[Mapping[str, Verb]] = {"gemmagraph:approve": "approve", "gemmagraph:reject": "reject"}
"""The ids of our buttons."""


@dataclass(frozen=True, slots=True)
class Us:
    """Who the bot is in Slack."""

    team: str
    user: str
    bot: str


def for_us(payload: Mapping[str, Any], us: Us) -> bool:
    """Whether the bot is told as a member of its workspace: an app has one socket for all that have installed it."""
    teams = {one.get("team_id") for one in payload.get("authorizations") or ()}
    return not teams or us.team in teams


def people(payload: Mapping[str, Any]) -> set[str]:
    """The ids of those whose names are needed to tell what has happened."""
    event = payload.get("event") or {}
    message = event.get("message") or event
    users = {message.get("user"), (payload.get("user") or {}).get("id")}
    return {str(user) for user in users if user} | named(message)


def told(payload: Mapping[str, Any], us: Us, names: Mapping[str, str]) -> list[Inbound]:
    """What has happened; nothing if it is nothing for the core.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: the payload is not as Slack documents it.
    """
    if payload.get("type") == "block_actions":
        return list(_pressed(payload, us, names))
    event = payload.get("event") or {}
    if event.get("type") not in ("message", "app_mention"):
        return []
    if event.get("subtype") == "message_changed":
        return list(_changed(event, us, names))
    if event.get("subtype") == "message_deleted":
        return [_deleted(event, str(event["deleted_ts"]), event.get("previous_message") or {}, us)]
    return [message_of(event, us, names)] if event.get("subtype") in SAID else []


def message_of(event: Mapping[str, Any], us: Us, names: Mapping[str, str]) -> Message:
    """A message, as an event brings it or as the history of a channel has it (`channel` put in).

    A mention arrives twice, as `message` and as `app_mention`, with an event id each, and what the history has comes
    with none: its channel and time are what is the same each time.
    """
    channel, ts, user = str(event["channel"]), str(event["ts"]), str(event.get("user") or "")
    text, addressed = said(event, us.user, names)
    bot = event.get("bot_profile") or {}
    return Message(
        event=f"ts:{channel}:{ts}",
        place=_place(event, channel, us),
        user=_user(event, user or str(event.get("bot_id") or ""), us),
        name=names.get(user) or str(event.get("username") or bot.get("name") or user or event.get("bot_id") or ""),
        text=text,
        id=ts,
        addressed=addressed,
        machine=bool(event.get("bot_id")) or user in ("", "USLACKBOT", us.user),
        files=tuple(_files(event)),
    )


def _place(message: Mapping[str, Any], channel: str, us: Us, kind: object = None) -> Place:
    thread = str(message.get("thread_ts") or "")
    direct = (kind or message.get("channel_type")) == "im" or channel.startswith("D")
    return Place(us.team, channel, "" if thread == message.get("ts") else thread, direct)


def _user(message: Mapping[str, Any], user: str, us: Us) -> str:
    """The user's own team is told for those who come from elsewhere."""
    team = message.get("user_team") or message.get("source_team") or message.get("team") or us.team
    return f"{team}/{user}" if user else ""


def _files(message: Mapping[str, Any]) -> Iterator[File]:
    for file in message.get("files") or ():
        if file.get("mode") in ("tombstone", "hidden_by_limit"):
            continue
        size = file.get("size")
        yield File(
            name=str(file.get("name") or file.get("title") or "file"),
            mime=str(file.get("mimetype") or "application/octet-stream"),
            size=size if isinstance(size, int) else None,
            reference={
                "id": str(file.get("id") or ""),
                "url": str(file.get("url_private_download") or file.get("url_private") or ""),
            },
        )


def _changed(event: Mapping[str, Any], us: Us, names: Mapping[str, str]) -> Iterator[Inbound]:
    """Slack says `changed` also of previews, of counts of replies, and of what the bot itself edits."""
    new, old, channel = event["message"], event.get("previous_message") or {}, str(event["channel"])
    if new.get("subtype") == "tombstone":  # it was taken away, but its thread is still there
        yield _deleted(event, str(new["ts"]), old, us)
    elif new.get("subtype") in SAID and not (new.get("bot_id") == us.bot or new.get("user") == us.user):
        edited = (new.get("edited") or {}).get("ts")
        if edited and edited != (old.get("edited") or {}).get("ts"):
            whole = {**new, "channel": channel, "channel_type": event.get("channel_type")}
            yield Edited(f"edit:{channel}:{new['ts']}:{edited}", message_of(whole, us, names))


def _deleted(event: Mapping[str, Any], ts: str, old: Mapping[str, Any], us: Us) -> Deleted:
    channel = str(event["channel"])
    return Deleted(f"gone:{channel}:{ts}", _place({**old, "ts": ts}, channel, us, event.get("channel_type")), ts)


def _pressed(payload: Mapping[str, Any], us: Us, names: Mapping[str, str]) -> Iterator[Pressed]:
    container, message, user = payload.get("container") or {}, payload.get("message") or {}, payload["user"]
    ts = str(container.get("message_ts") or message.get("ts") or "")
    channel = str(container.get("channel_id") or (payload.get("channel") or {}).get("id") or "")
    thread = {"ts": ts, "thread_ts": message.get("thread_ts") or container.get("thread_ts")}
    for action in payload.get("actions") or ():
        if (verb := ACTIONS.get(action.get("action_id"))) and ts and channel:
            yield Pressed(
                event=f"press:{channel}:{ts}:{user['id']}:{action['action_ts']}",
                place=_place(thread, channel, us),
                user=f"{user.get('team_id') or us.team}/{user['id']}",
                name=names.get(user["id"]) or str(user.get("name") or user.get("username") or user["id"]),
                message=ts,
                verb=verb,
                approval=str(action.get("value") or ""),
            )
