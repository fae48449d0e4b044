"""How our own reasons for a failure find their way through the MCP library, which hands on numbers and texts."""

from __future__ import annotations

import secrets
from typing import Final

from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, ErrorData

from gemmagraph.tools.errors import BodyError

MOST_BYTES: Final = 10 * 1024 * 1024
"""Of one message."""
_MOST_KEPT: Final = 1_000


class SessionLost(BodyError):
    """The server has forgotten the session: the request was not looked at."""


class Failures:
    """What happened to requests, by a word that the server cannot know."""

    def __init__(self) -> None:
        self._kept: dict[str, BodyError] = {}

    def put(self, failure: BodyError) -> ErrorData:
        """An answer that stands for the failure."""
        if len(self._kept) >= _MOST_KEPT:  # answers to what nobody waits for
            self._kept.clear()
        word = secrets.token_hex(16)
        self._kept[word] = failure
        return ErrorData(code=INTERNAL_ERROR, message=failure.message, data=word)

    def take(self, error: MCPError) -> BodyError | None:
        """The failure that an answer stood for; None if the server itself gave that answer."""
        return self._kept.pop(error.data, None) if isinstance(error.data, str) else None
