"""The Bot API by way of python-telegram-bot: requests, and what may become of them.

The token is part of every address that is asked: no text of an error holds it, and no line that the libraries log.
Imported by `telegram.py` when an adapter is made: the library is not there without the extra.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import httpx
from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    MessageEntity,
    Update,
    User,
)
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, TelegramError
from telegram.request import HTTPXRequest

from gemmagraph.bots.bodies import at_most
from gemmagraph.bots.errors import BotError, NotThere, Revoked, TooFast, Unreachable
from gemmagraph.bots.telegram.text import Mark

Answer = TypeVar("Answer")

UPDATES: Final = ("message", "edited_message", "callback_query")
_TOKEN: Final = re.compile(r"\d{1,20}:[A-Za-z0-9_-]{20,100}")
_NONE: Final = "the answer is none of the Bot API"
_NO_PREVIEW: Final = LinkPreviewOptions(is_disabled=True)


class Api:
    """What the adapter asks of Telegram. Every method raises the errors of `Adapter.send`."""

    def __init__(self, token: str, server: str) -> None:
        """
        Args:
            server: as `https://api.telegram.org`.

        Raises:
            BotError: the token has another form than those of Telegram.
        """
        if not _TOKEN.fullmatch(token):
            raise BotError("The `token` of telegram is none: @BotFather gives one of the form 123456789:AAE…")
        _quiet.secrets.add(token.partition(":")[2])
        self._trusted = httpx.create_ssl_context()  # reading all certificates takes long: once
        self._requests = self._requester(1), self._requester(100)
        self._files = f"{server}/file/bot{token}/"
        self._bot = Bot(
            token,
            base_url=f"{server}/bot",
            base_file_url=self._files.removesuffix(f"{token}/"),
            get_updates_request=self._requests[0],
            request=self._requests[1],
        )
        self._downloads = self._downloader()

    def _requester(self, connections: int) -> _Requests:
        return _Requests(
            connections,
            read_timeout=20.0,
            write_timeout=20.0,
            connect_timeout=10.0,
            pool_timeout=20.0,
            httpx_kwargs={"verify": self._trusted},
        )

    def _downloader(self) -> httpx.AsyncClient:
        # Nothing is unpacked: a small answer would become a large one before it is counted.
        headers = {"Accept-Encoding": "identity"}
        return httpx.AsyncClient(verify=self._trusted, headers=headers, follow_redirects=False, timeout=20.0)

    async def open(self) -> None:
        """May be left out the first time."""
        for request in self._requests:
            await request.initialize()
        if self._downloads.is_closed:
            self._downloads = self._downloader()

    async def close(self) -> None:
        """Ends all connections."""
        for request in self._requests:
            await request.shutdown()
        await self._downloads.aclose()

    async def me(self) -> User:
        return await _asked(self._bot.get_me())

    async def updates(self, offset: int, seconds: int) -> Sequence[Update]:
        """What has happened, beginning with an update; those before it are forgotten by Telegram.

        Args:
            seconds: how long to wait for the first.
        """
        try:
            return await _asked(self._bot.get_updates(offset, timeout=seconds, allowed_updates=UPDATES))
        except Unreachable:
            self._requests[0].careful = True  # perhaps there is one that the library cannot read
            raise

    async def send(
        self, chat: int, topic: int | None, text: str, marks: Iterable[Mark], buttons: Sequence[tuple[str, str]]
    ) -> int:
        """
        Args:
            buttons: what stands on each, and what it carries.
        """
        sent = await _asked(
            self._bot.send_message(
                chat,
                text,
                message_thread_id=topic,
                entities=_entities(marks),
                link_preview_options=_NO_PREVIEW,
                reply_markup=_keyboard(buttons),
            )
        )
        return sent.message_id

    async def edit(
        self, chat: int, message: int, text: str, marks: Iterable[Mark], buttons: Sequence[tuple[str, str]]
    ) -> None:
        asked = self._bot.edit_message_text(
            text,
            chat,
            message,
            entities=_entities(marks),
            link_preview_options=_NO_PREVIEW,
            reply_markup=_keyboard(buttons),
        )
        try:
            await _asked(asked)
        except NotThere as exc:
            if "message is not modified" not in str(exc).lower():
                raise

    async def answer(self, query: str) -> None:
        """The button is shown as pressed. If that fails it spins for a while, and nothing else."""
        with suppress(BotError):
            await _asked(self._bot.answer_callback_query(query))

    async def file(self, id: str, most: int) -> bytes:
        path = (await _asked(self._bot.get_file(id))).file_path or ""
        if not path.startswith(self._files):  # a Bot API server with --local gives paths of its own disk
            raise NotThere("Telegram has given no address of its own for the file.")
        return await _asked(self._download(path, most))

    async def _download(self, url: str, most: int) -> bytes:
        async with self._downloads.stream("GET", url) as answer:
            if answer.status_code != httpx.codes.OK:
                raise _refused(answer)
            return await at_most(most, answer.aiter_raw())


def _entities(marks: Iterable[Mark]) -> list[MessageEntity]:
    return [
        MessageEntity(mark.type, mark.offset, mark.length, url=mark.url or None, language=mark.language or None)
        for mark in marks
    ]


def _keyboard(buttons: Sequence[tuple[str, str]]) -> InlineKeyboardMarkup | None:
    row = [InlineKeyboardButton(label, callback_data=carried) for label, carried in buttons]
    return InlineKeyboardMarkup([row]) if row else None


class _TooMany(TelegramError):
    """The library's own error for this warns of its next version as soon as it is made."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"a pause of {seconds:g} s is wanted")
        self.seconds = seconds


class _Requests(HTTPXRequest):
    """The library's requests, which take what the real server and others between may answer."""

    careful = False
    """Whether the next updates are tried one by one."""

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        code, payload = await super().do_request(*args, **kwargs)
        if code == httpx.codes.TOO_MANY_REQUESTS:
            raise _TooMany(_pause(payload))
        if code >= httpx.codes.BAD_REQUEST and not _of_api(payload):  # a proxy's 404 does not mean a wrong token
            raise TelegramError(f"HTTP {code} from something that is no Bot API")
        if code == httpx.codes.OK and self.careful:
            self.careful = False
            payload = _readable(payload)
        return code, payload

    @staticmethod
    def parse_json_payload(payload: bytes) -> Any:
        """The library's own logs what it cannot read."""
        try:
            parsed = json.loads(payload)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise TelegramError(_NONE)
        return parsed


def _of_api(payload: bytes) -> bool:
    with suppress(TelegramError):
        return "ok" in _Requests.parse_json_payload(payload)
    return False


def _pause(payload: bytes) -> float:
    with suppress(TelegramError, AttributeError, TypeError, ValueError):
        return max(0.0, float(_Requests.parse_json_payload(payload)["parameters"]["retry_after"]))
    return 1.0


def _readable(payload: bytes) -> bytes:
    """The updates; of those that the library cannot read only the number, so that they are passed over."""
    parsed = _Requests.parse_json_payload(payload)
    updates = parsed.get("result")
    if not isinstance(updates, list) or not all(isinstance(one, dict) and "update_id" in one for one in updates):
        raise TelegramError(_NONE)
    for place, update in enumerate(updates):
        try:
            Update.de_json(json.loads(json.dumps(update)), None)  # it changes what it reads
        except Exception as exc:  # noqa: BLE001 - else it would come again and again, and all that follows never
            _log.warning("Update %r cannot be read (%s); it is passed over.", update["update_id"], type(exc).__name__)
            updates[place] = {"update_id": update["update_id"]}
    return json.dumps(parsed).encode()


async def _asked(request: Awaitable[Answer]) -> Answer:
    """The answer. Errors are ours, and come without those of the library, whose texts hold addresses."""
    try:
        return await request
    except BotError:
        raise
    except TelegramError as exc:
        problem = _problem(exc)
    except httpx.HTTPError as exc:
        problem = Unreachable(f"Telegram cannot be reached ({type(exc).__name__}).")
    except (httpx.InvalidURL, KeyError, TypeError, ValueError, AttributeError) as exc:
        problem = Unreachable(
            f"Telegram has answered in another form than that of the Bot API ({type(exc).__name__})."
        )
    raise problem


def _problem(exc: TelegramError) -> BotError:
    said = _quiet.masked(str(exc))[:300].rstrip(".")
    match exc:
        case _TooMany():
            return TooFast(exc.seconds)
        case InvalidToken():
            return Revoked(
                f"Telegram does not accept the token ({said}). @BotFather gives a new one: /mybots, API Token."
            )
        case ChatMigrated():
            return NotThere(
                f"The group has become a supergroup and is now {exc.new_chat_id}: put this id in place of the old."
            )
        case Conflict():
            return Unreachable(
                f"Someone else reads what is said to this bot ({said}). End the other program with this token, or"
                " take its webhook away (deleteWebhook)."
            )
        case Forbidden() | BadRequest():  # before the others: BadRequest is one of the network errors there
            return NotThere(f"Telegram refuses this: {said}.")
    return Unreachable(f"Telegram cannot be reached, or fails: {said}.")


def _refused(answer: httpx.Response) -> BotError:
    code = answer.status_code
    if code == httpx.codes.TOO_MANY_REQUESTS:
        wanted = answer.headers.get("Retry-After", "")
        return TooFast(float(wanted) if wanted.isascii() and wanted.isdigit() else 1.0)
    if code == httpx.codes.UNAUTHORIZED:
        return Revoked("Telegram does not accept the token.")
    if code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Unreachable(f"Telegram does not give the file now (HTTP {code}).")
    return NotThere(f"Telegram does not give the file (HTTP {code}).")


class _Quiet(logging.Filter):
    """Keeps tokens and what people say out of the logs of the libraries."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: set[str] = set()

    def masked(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("telegram."):  # what is sent and received, and the address with the token
            return False
        record.msg, record.args = self.masked(record.getMessage()), ()
        return True


_log = logging.getLogger(__name__)
_quiet = _Quiet()
for _name in ("httpx", "telegram.Bot", "telegram.request.BaseRequest"):
    logging.getLogger(_name).addFilter(_quiet)
