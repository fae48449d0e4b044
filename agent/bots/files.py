"""What came with a message: pictures for models that see, texts for all. Nothing is written to disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from gemmagraph.bots.base import Adapter, File
from gemmagraph.bots.errors import BotError, TooFast, Unreachable
from gemmagraph.bots.inbox import Letter
from gemmagraph.bots.text import clean
from gemmagraph.errors import AgentError
from gemmagraph.pictures import image_of, with_images
from gemmagraph.prompts.messages import Image

LONGEST: Final = 20_000
"""Characters of a message that are read."""
_MOST_FILES: Final = 4
_PICTURE: Final = 8 * 2**20
_TEXT: Final = 64 * 2**10
_PATIENCE: Final = 60.0
"""Seconds for which a file is asked for."""
_PAUSE: Final = 0.1


class TooMuch(BotError):
    """What was said, or came with it, is more than is read, or something else."""


async def said_of(letter: Letter, adapter: Adapter, *, sees: bool) -> Sequence[Any]:
    """A letter as messages for an agent. Its id is that of the event: the same letter is answered once.

    Args:
        sees: whether the model looks at pictures.

    Raises:
        TooMuch: it is too long, or a file is nothing that can be read.
        BotError: a file could not be fetched.
    """
    message = letter.message
    text = message.text.replace("\x00", "")
    if len(text) > LONGEST:
        raise TooMuch(
            f"That is too long for me: {len(text):,} characters. I read at most {LONGEST:,}; please say it shorter."
        )
    if len(message.files) > _MOST_FILES:
        raise TooMuch(f"That is too much for me: {len(message.files)} files. I look at {_MOST_FILES} at most.")
    pictures: list[Image] = []
    for file in message.files:
        if file.mime.startswith("image/"):
            if not sees:
                raise TooMuch("I cannot look at pictures. Please say in words what they show.")
            try:
                pictures.append(image_of(await _fetched(file, adapter, _PICTURE)))
            except AgentError:
                raise TooMuch(f"{_name(file)} is no picture that I can read (PNG, JPEG, WebP, GIF).") from None
        else:
            text += f"\n\n{_name(file)}:\n{await _text(file, adapter)}"
    said: Any = with_images(text, pictures) if pictures else [{"role": "user", "content": text}]
    return [said[0] | {"id": f"{adapter.platform}-{letter.number}"}]


async def _text(file: File, adapter: Adapter) -> str:
    if file.size is not None and file.size > _TEXT:
        raise TooMuch(f"{_name(file)} is too large for me: I read text files of up to {_TEXT // 1024} KiB.")
    content = await _fetched(file, adapter, _TEXT)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\x00"
    if "\x00" in text:
        raise TooMuch(f"I cannot read {_name(file)}: I read pictures and texts (UTF-8).")
    return text


async def _fetched(file: File, adapter: Adapter, most: int) -> bytes:
    """What is in it; asked for again for as long as that may help."""
    until, pause = time.monotonic() + _PATIENCE, _PAUSE
    while True:
        try:
            return await adapter.fetch(file, most)
        except (TooFast, Unreachable) as exc:
            wait = max(exc.seconds if isinstance(exc, TooFast) else pause, _PAUSE)
            if time.monotonic() + wait > until:
                raise BotError(f"I could not get {_name(file)}: {exc.message} Please send it again later.") from exc
            await asyncio.sleep(wait)
            pause *= 2


def _name(file: File) -> str:
    return " ".join(clean(file.name).split())[:80] or "the file"
