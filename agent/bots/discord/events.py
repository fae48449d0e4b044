"""What discord.py tells, as the values of the core. Import this module only where Discord is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import discord

from gemmagraph.bots.base import Edited, File, Message, Place, Pressed, Verb
from gemmagraph.bots.discord.client import Client
from gemmagraph.bots.discord.text import spoken
from gemmagraph.bots.errors import NotThere, Unreachable

SLASH: Final = "slash-"
"""In front of the id of a slash command, which is no message that a thread could hang on."""
COMMANDS: Final[Mapping[str, str]] = {
    "help": "What the bot can do here",
    "status": "What the bot is doing",
    "stop": "Stop what the bot is doing for you here",
    "reset": "Begin a new conversation",
    "tools": "The tools that you may use here",
    "approvals": "What waits for a decision",
    "whoami": "Who you are for the bot",
}
_SAID: Final = frozenset(
    {
        discord.MessageType.default,
        discord.MessageType.reply,
        discord.MessageType.chat_input_command,
        discord.MessageType.context_menu_command,
    }
)
"""The others tell of something: a pin, a thread that began, somebody who came."""
_VERBS: Final[Mapping[str, Verb]] = {"approve": "approve", "reject": "reject"}


def is_said(message: discord.Message) -> bool:
    return message.type in _SAID


def guild_of(message: discord.Message) -> int | None:
    """The id of the server; None: it is a direct message."""
    return message.guild.id if message.guild else getattr(message.channel, "guild_id", None)


async def place_of(client: Client, guild: int | None, channel: int) -> Place:
    """Where that is.

    Raises:
        TooFast, Unreachable, Revoked: a thread that is not known cannot be asked for.
    """
    if guild is None:
        return Place("", str(channel), direct=True)
    known = client.get_channel(channel)
    if known is None:  # a thread that slept when the bot came
        try:
            asked = await client.ask("GET", "/channels/{channel_id}", channel_id=str(channel))
        except NotThere:
            return Place("", str(channel))
        in_thread = asked["type"] in (10, 11, 12)
        return Place("", asked["parent_id"], str(channel)) if in_thread else Place("", str(channel))
    if isinstance(known, discord.Thread):
        return Place("", str(known.parent_id), str(channel))
    return Place("", str(channel))


async def message_of(client: Client, message: discord.Message) -> Message:
    """
    Raises:
        TooFast, Unreachable, Revoked: Discord cannot be asked what must be known for it.
    """
    if client.user is None:
        raise Unreachable("There is no connection to Discord just now.", sent=False)
    me = client.user.id
    role = message.guild.self_role if message.guild else None
    people = {user.id: user.display_name for user in message.mentions}
    roles = {one.id: one.name for one in message.role_mentions}

    def called(mark: str, number: int) -> str | None:
        if (mark == "@" and number == me) or (mark == "@&" and role is not None and number == role.id):
            return None
        if mark == "#":
            channel = client.get_channel(number)
            return getattr(channel, "name", None) or str(number)
        return (roles if mark == "@&" else people).get(number) or str(number)

    content = message.content
    if not content and message.message_snapshots:  # forwarded
        content = message.message_snapshots[0].content
    return Message(
        event=str(message.id),
        place=await place_of(client, guild_of(message), message.channel.id),
        user=str(message.author.id),
        name=message.author.display_name,
        text=spoken(content, called),
        id=str(message.id),
        addressed=me in people or (role is not None and role.id in roles),
        machine=message.author.bot or message.author.system or message.webhook_id is not None,
        files=tuple(_file(message, one) for one in message.attachments),
    )


async def edited_of(client: Client, change: discord.RawMessageUpdateEvent) -> Edited | None:
    """None: nobody has edited anything; Discord has found a preview, say."""
    at = change.data.get("edited_timestamp")
    mine = client.user is not None and change.message.author.id == client.user.id
    if not at or mine or not is_said(change.message):
        return None
    return Edited(f"{change.message_id}/{at}", await message_of(client, change.message))


async def pressed_of(client: Client, interaction: discord.Interaction[Client]) -> Pressed | Message | None:
    """A button, or a slash command as the message that it stands for."""
    told: dict[str, Any] = {**(interaction.data or {})}
    if interaction.channel_id is None:
        return None
    place = await place_of(client, interaction.guild_id, interaction.channel_id)
    event, user, name = str(interaction.id), str(interaction.user.id), interaction.user.display_name
    if interaction.type is discord.InteractionType.component and interaction.message is not None:
        word, _, approval = str(told.get("custom_id", "")).partition(":")
        if (verb := _VERBS.get(word)) is None or not approval:
            return None
        return Pressed(event, place, user, name, str(interaction.message.id), verb, approval)
    if interaction.type is discord.InteractionType.application_command and told.get("name") in COMMANDS:
        return Message(event, place, user, name, f"/{told['name']}", f"{SLASH}{event}", addressed=True)
    return None


def _file(message: discord.Message, one: discord.Attachment) -> File:
    mime = (one.content_type or "application/octet-stream").partition(";")[0].strip()
    where = {"channel": str(message.channel.id), "message": str(message.id), "attachment": str(one.id)}
    return File(one.filename, mime, one.size, where)
