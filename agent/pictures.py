"""Pictures on their way from a caller to a model: files and bytes, and the forms that LangChain's messages have."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from gemmagraph.errors import AgentError
from gemmagraph.prompts.messages import JSON, Image

Picture: TypeAlias = "str | os.PathLike[str] | bytes | Image"
"""A file, the bytes of one, or an `Image`."""

_BEGINNINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)
_BLOCKS: Final = frozenset({"image", "image_url"})


def image_of(picture: Picture) -> Image:
    """The picture as a value.

    Raises:
        AgentError: there is no such file, or it holds no picture of a kind that models take.
    """
    if isinstance(picture, Image):
        return picture
    if isinstance(picture, bytes):
        return Image(picture, _kind_of(picture, "These bytes are"))
    try:
        data = Path(picture).read_bytes()
    except OSError as exc:
        raise AgentError(
            f"{os.fspath(picture)}: {exc.strerror or exc}.", hint="Name a picture that is there."
        ) from exc
    return Image(data, _kind_of(data, f"{os.fspath(picture)} is"))


def block_of(image: Image) -> dict[str, JSON]:
    """The picture as a part of a LangChain message."""
    return {"type": "image", "base64": base64.b64encode(image.data).decode(), "mime_type": image.mime_type}


def image_in(block: Mapping[str, JSON]) -> Image | None:
    """The picture in a part of a message, in any form that LangChain, OpenAI and Anthropic write; None if it is
    none.

    Raises:
        AgentError: it is an address, or what it holds is no picture.
    """
    if block.get("type") not in _BLOCKS:
        return None
    source = block.get("source")
    inner: Mapping[str, JSON] = source if isinstance(source, Mapping) else block
    coded = inner.get("base64") or inner.get("data")
    if not coded:
        address = block.get("image_url", inner.get("url"))
        address = address.get("url") if isinstance(address, Mapping) else address
        if not isinstance(address, str) or not address.startswith("data:"):
            raise AgentError(
                "A message holds the address of a picture, and none is opened.",
                hint="Fetch it, and pass its bytes (images=[…]) or a data: address.",
            )
        coded = address.partition(",")[2]
    try:
        data = base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError, TypeError) as exc:
        raise AgentError("A picture in a message is no base64.", hint="Encode its bytes so.") from exc
    return Image(data, _kind_of(data, "A picture in a message is"))


def _kind_of(data: bytes, what: str) -> str:
    """The type of the picture by how its bytes begin: what a name or a caller says is often wrong."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    for beginning, kind in _BEGINNINGS:
        if data.startswith(beginning):
            return kind
    raise AgentError(f"{what} no PNG, JPEG, WebP, GIF or BMP picture.", hint="Convert it to PNG.")


def with_images(said: str | Sequence[Any], images: Sequence[Picture]) -> str | Sequence[Any]:
    """What was said, with the pictures that belong to it.

    Raises:
        AgentError: there is no text that they could belong to, or one of them is no picture.
    """
    if not images:
        return said
    if isinstance(images, str | bytes):
        images = [images]
    if not isinstance(said, str):
        raise AgentError("images= goes with a text.", hint="Put pictures into the messages, or pass a text.")
    blocks = [{"type": "text", "text": said}, *(block_of(image_of(image)) for image in images)]
    return [{"role": "user", "content": blocks}]
