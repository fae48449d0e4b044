"""Telegram, by long polling of the Bot API: nothing of ours has to be reachable from outside.

    update                    event `update:ID`; the offset moves on after `accept`, and Telegram forgets only then
    forum topic               a thread; other groups have none, so an answer stands in the group itself
    approvals                 buttons

Messages that were taken away are not told to bots. Groups that became supergroups have another id from then on.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlsplit

from gemmagraph.bots.base import Choice, Edited, File, Inbound, Message, Place, Pressed, Receiver, Traits, Verb
from gemmagraph.bots.errors import BotError, NotInstalled, NotThere, Revoked, TooFast
from gemmagraph.bots.telegram.text import marked, plain_text, sound, units
from gemmagraph.bots.text import Block, as_text
from gemmagraph.prompts.errors import GemmagraphError

if TYPE_CHECKING:
    import telegram

KEYS: Final = ("token", "base_url")
SERVER: Final = "https://api.telegram.org"
POLL: Final = 20
"""Seconds that a request for updates waits for one; a connection that died without a word is noticed after these."""
LONGEST_PAUSE: Final = 5.0
_VERBS: Final[Mapping[str, Verb]] = {"a": "approve", "r": "reject"}
_FILES: Final = {
    "document": "application/octet-stream",
    "audio": "audio/mpeg",
    "video": "video/mp4",
    "voice": "audio/ogg",
    "video_note": "video/mp4",
}
"""Where a message has a file, and its type if the sender did not say."""
_log = logging.getLogger(__name__)


class TelegramAdapter:
    platform: ClassVar[str] = "telegram"

    def __init__(self, keys: Mapping[str, Any]) -> None:
        """
        Args:
            keys: `token`, and `base_url` if the Bot API server is not Telegram's own.

        Raises:
            BotError: a key is missing or wrong, or the extra is not installed.
        """
        token, server = _settings(keys)
        try:
            from gemmagraph.bots.telegram.api import Api
        except ModuleNotFoundError as exc:
            if exc.name not in ("telegram", "httpx"):
                raise
            raise NotInstalled.of("Telegram", "gemmagraph[telegram]") from None
        # Messages and edits together, Telegram takes 20 a minute in a group, and then none for long.
        self.traits = Traits(most=4096, edit_every=3.0, threads=False, choices="buttons")
        self._api = Api(token, server)
        self._me: telegram.User | None = None
        self._answers: set[asyncio.Task[None]] = set()

    async def listen(self, receiver: Receiver) -> None:
        await self._api.open()
        try:
            await self._listen(receiver)
        finally:
            for answer in self._answers:
                answer.cancel()
            await asyncio.gather(*self._answers, return_exceptions=True)
            await self._api.close()

    async def _listen(self, receiver: Receiver) -> None:
        pause, told = 0.0, False
        while True:
            try:
                offset = await self._first(receiver)
                offset = await self._take(receiver, offset, 0)  # does not wait, so it shows that all is well
                receiver.connected()
                pause, told = 0.0, False
                while True:
                    offset = await self._take(receiver, offset, POLL)
            except Revoked:
                raise
            except GemmagraphError as exc:  # also: the store does not take the events
                if not told:
                    receiver.lost(str(exc))
                told = True
                pause = exc.seconds if isinstance(exc, TooFast) else min(LONGEST_PAUSE, max(0.1, 2 * pause))
            await asyncio.sleep(pause)

    async def _first(self, receiver: Receiver) -> int:
        """The number of the update to go on with."""
        me = self._me = self._me or await self._api.me()
        if (known := _offset(receiver.cursor, me.id)) is not None:
            return known
        last = await self._api.updates(-1, 0)
        offset = last[-1].update_id + 1 if last else 0
        await receiver.accept([], _cursor(me.id, offset))
        return offset

    async def _take(self, receiver: Receiver, offset: int, seconds: int) -> int:
        """Tells what has happened; the number of the update to go on with, which is also the acknowledgement."""
        assert self._me is not None
        updates = await self._api.updates(offset, seconds)
        if not updates:
            return offset
        # Maybe lower than it was: numbers begin anew after a silent week, and at another server.
        offset = max(update.update_id for update in updates) + 1
        events = [event for update in updates for event in self._events(update)]
        await receiver.accept(events, _cursor(self._me.id, offset))
        for update in updates:
            if update.callback_query:
                answer = asyncio.create_task(self._api.answer(update.callback_query.id))
                self._answers.add(answer)
                answer.add_done_callback(self._answers.discard)
        return offset

    def _events(self, update: telegram.Update) -> list[Inbound]:
        try:
            return list(self._told(update))
        except Exception as exc:  # noqa: BLE001 - else it would come again and again, and all that follows never
            _log.warning("Update %s cannot be read (%s); it is passed over.", update.update_id, type(exc).__name__)
            return []

    def _told(self, update: telegram.Update) -> Iterator[Inbound]:
        event = f"update:{update.update_id}"
        if update.message:
            if message := self._message(event, update.message):
                yield message
        elif update.edited_message:
            if message := self._message(event, update.edited_message):
                yield Edited(event, message)
        elif query := update.callback_query:
            verb, _, approval = (query.data or "").partition(":")
            if query.message and verb in _VERBS and approval:
                yield Pressed(
                    event,
                    _place(query.message),
                    str(query.from_user.id),
                    sound(query.from_user.full_name),
                    str(query.message.message_id),
                    _VERBS[verb],
                    approval,
                )

    def _message(self, event: str, said: telegram.Message) -> Message | None:
        """None: it is only about the group (someone came, a title), or of a kind without text and file."""
        me = self._me
        assert me is not None
        written = said.text or said.caption or (said.sticker.emoji if said.sticker else None) or ""
        text, addressed = plain_text(written, said.entities or said.caption_entities, me.id, me.username or "")
        files = tuple(_files(said))
        if not written and not files:
            return None
        if said.forward_origin:
            text = f"[forwarded]\n{text}"  # nothing of it is a command of who forwards it
        who, chat = said.from_user, said.sender_chat
        answered = said.reply_to_message
        return Message(
            event=event,
            place=_place(said),
            # Who writes in the name of the group or of a channel is nobody in particular.
            user=str(who.id) if who and not chat else "",
            name=sound(chat.effective_name or "" if chat else who.full_name if who else ""),
            text=text,
            id=str(said.message_id),
            addressed=addressed or bool(answered and self._is_ours(answered, said)),
            machine=bool(said.is_automatic_forward or (who and who.is_bot and not chat)),
            files=files,
        )

    def _is_ours(self, answered: telegram.Message, said: telegram.Message) -> bool:
        """Whether it answers the bot; what is in a topic answers the topic's first message if nothing else."""
        of_topic = said.is_topic_message and answered.message_id == said.message_thread_id
        return bool(self._me and answered.from_user and answered.from_user.id == self._me.id and not of_topic)

    async def send(self, place: Place, blocks: Sequence[Block], key: str, choices: Sequence[Choice] = ()) -> str:
        topic = _number(place.thread) if place.thread else None
        return str(await self._api.send(_number(place.channel), topic, *marked(blocks), _buttons(choices)))

    async def edit(self, place: Place, message: str, blocks: Sequence[Block], choices: Sequence[Choice] = ()) -> None:
        await self._api.edit(_number(place.channel), _number(message), *marked(blocks), _buttons(choices))

    async def find(self, place: Place, key: str) -> str | None:
        """Bots cannot look for messages."""
        return None

    async def fetch(self, file: File, most: int) -> bytes:
        if file.size is not None and file.size > most:
            raise NotThere(f"The file is larger than {most} bytes.")
        return await self._api.file(str(file.reference.get("file_id", "")), most)

    def length(self, blocks: Sequence[Block]) -> int:
        return units(as_text(blocks))


def _settings(keys: Mapping[str, Any]) -> tuple[str, str]:
    """Token and server."""
    for key in keys:
        if key not in KEYS:
            near = get_close_matches(key, KEYS, 1)
            raise BotError(f"Telegram has no key {key!r}; {f'did you mean {near[0]!r}' if near else 'it has token'}?")
    token, server = keys.get("token"), keys.get("base_url", SERVER)
    if not token or not isinstance(token, str):
        raise BotError("Telegram needs the key `token`: @BotFather gives one for each bot.")
    try:
        parts = urlsplit(server if isinstance(server, str) else "")
        right = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
    except ValueError:
        right = False
    if not right:
        raise BotError(f"The `base_url` of telegram is no address such as {SERVER}.")
    return token, str(server).rstrip("/")


def _offset(cursor: str | None, bot: int) -> int | None:
    """Where an earlier process left off; None if it was never there, or with another bot, with numbers of its own."""
    kept = json.loads(cursor) if cursor else {}
    return int(kept["offset"]) if kept.get("bot") == bot else None


def _cursor(bot: int, offset: int) -> str:
    return json.dumps({"bot": bot, "offset": offset})


def _place(said: telegram.MaybeInaccessibleMessage) -> Place:
    topic = getattr(said, "message_thread_id", None) if getattr(said, "is_topic_message", None) else None
    return Place("", str(said.chat.id), str(topic) if topic else "", direct=said.chat.type == "private")


def _files(said: telegram.Message) -> Iterator[File]:
    for kind, mime in _FILES.items():
        if found := getattr(said, kind):
            name = getattr(found, "file_name", None) or kind
            yield File(
                sound(name), getattr(found, "mime_type", None) or mime, found.file_size, {"file_id": found.file_id}
            )
    if said.photo:
        largest = max(said.photo, key=lambda size: size.width * size.height)
        yield File("photo.jpg", "image/jpeg", largest.file_size, {"file_id": largest.file_id})


def _buttons(choices: Sequence[Choice]) -> list[tuple[str, str]]:
    return [(choice.label, f"{choice.verb[0]}:{choice.approval}") for choice in choices]


def _number(id: str) -> int:
    try:
        return int(id)
    except ValueError:
        raise NotThere(f"{id!r} is no id of a chat or message of Telegram.") from None
