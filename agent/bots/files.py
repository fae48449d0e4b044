"""What came with a message: pictures for models that see, texts for all. Nothing is written to disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gemmagraph.bots.base import Adapter, File
from gemmagraph.bots.errors import BotError
from gemmagraph.bots.inbox import Letter
from gemmagraph.bots.text import clean
from gemmagraph.errors import AgentError
from gemmagraph.pictures import block_of, image_of

LONGEST: Final = 20_000
"""Characters of a message that are read."""
_MOST_FILES: Final = 4
_PICTURE: Final = 8 * 2**20
_TEXT: Final = 64 * 2**10


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
    pictures: list[Any] = []
    for file in message.files:
        if file.mime.startswith("image/"):
            if not sees:
                raise TooMuch("I cannot look at pictures. Please say in words what they show.")
            try:
                pictures.append(block_of(image_of(await adapter.fetch(file, _PICTURE))))
            except AgentError:
                raise TooMuch(f"{_name(file)} is no picture that I can read (PNG, JPEG, WebP, GIF).") from None
        else:
            text += f"\n\n{_name(file)}:\n{await _text(file, adapter)}"
    identity = f"{adapter.platform}-{letter.number}"
    content = [{"type": "text", "text": text}, *pictures] if pictures else text
    return [{"role": "user", "content": content, "id": identity}]


async def _text(file: File, adapter: Adapter) -> str:
    if file.size is not None and file.size > _TEXT:
        raise TooMuch(f"{_name(file)} is too large for me: I read text files of up to {_TEXT // 1024} KiB.")
    content = await adapter.fetch(file, _TEXT)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\x00"
    if "\x00" in text:
        raise TooMuch(f"I cannot read {_name(file)}: I read pictures and texts (UTF-8).")
    return text


def _name(file: File) -> str:
    return " ".join(clean(file.name).split())[:80] or "the file"
