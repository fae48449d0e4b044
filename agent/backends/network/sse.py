"""Server-sent events: bytes as they arrive become what each event says.

    : a comment, which keeps the connection awake
    data: {"choices": [...]}

    data: [DONE]

Bytes are cut at \\n, \\r\\n and \\r only, as the standard says (html.spec.whatwg.org, "Server-sent events"): U+0085
and U+2028 may stand unescaped inside JSON, and a character may arrive in two pieces. Names and ids of events mean
nothing to those who ask models.
"""

from __future__ import annotations

from typing import Final

from gemmagraph.errors import ServerError

_FIELDS: Final = frozenset({b"data", b"error"})
"""Whose value is said. Older llama.cpp servers write `error: {...}`, which is no field of the standard."""
_OTHERS: Final = frozenset({b"", b"event", b"id", b"retry"})
"""The other fields; comments have none."""
_BOM: Final = b"\xef\xbb\xbf"


class Events:
    """One stream of events.

    Args:
        ceiling: the most bytes of one event.
        label: how errors call the server.
    """

    def __init__(self, ceiling: int, label: str) -> None:
        self.received = 0
        """Bytes so far."""
        self.strange = b""
        """The first line that is none of events, as long as nothing was said."""
        self._ceiling = ceiling
        self._label = label
        self._line = bytearray()
        self._said: list[bytes] = []
        self._size = 0
        """Bytes in `_said`."""
        self._is_first = True
        self._has_said = False
        self._carriage_returned = False

    def feed(self, piece: bytes) -> list[bytes]:
        """What the events say that end in this piece, each with a line feed behind it.

        Raises:
            ServerError: an event is too long.
        """
        self.received += len(piece)
        if b"\r" in piece or self._carriage_returned:
            piece = self._with_line_feeds(piece)
        self._line += piece
        whole: list[bytes] = []
        if b"\n" in piece:
            *lines, self._line = self._line.split(b"\n")
            for line in lines:
                if line:
                    self._take(bytes(line))
                elif self._said:
                    whole.append(self._event() + b"\n")
        if self._size + len(self._line) > self._ceiling:
            raise self._too_long()
        return whole

    def end(self) -> bytes:
        """What an event says that was begun and not ended; empty if there is none."""
        if self._line:
            self._take(bytes(self._line))
        return self._event()

    def _with_line_feeds(self, piece: bytes) -> bytes:
        """The piece with one ending for all lines; \\r\\n may have been cut in two."""
        if self._carriage_returned:
            piece = piece.removeprefix(b"\n")
        self._carriage_returned = piece.endswith(b"\r")
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _take(self, line: bytes) -> None:
        if self._is_first:
            self._is_first = False
            line = line.removeprefix(_BOM)
        name, _, value = line.partition(b":")
        if name not in _FIELDS:
            if name not in _OTHERS and not self._has_said and not self.strange:
                self.strange = line
            return
        self._has_said, self.strange = True, b""
        self._said.append(value.removeprefix(b" "))
        self._size += len(value)
        if self._size > self._ceiling:
            raise self._too_long()

    def _event(self) -> bytes:
        said = b"\n".join(self._said)
        self._said.clear()
        self._size = 0
        return said

    def _too_long(self) -> ServerError:
        return ServerError(
            f"{self._label} sent an event of more than {self._ceiling:,} bytes.", hint="Check the address."
        )
