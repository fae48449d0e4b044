"""Bytes as they arrive become lines."""

from __future__ import annotations

from typing import Protocol

from gemmagraph.errors import ServerError


class Cutter(Protocol):
    """Makes something of the bytes of a reply."""

    received: int
    """Bytes so far."""
    strange: bytes
    """How it began, if it is of another kind and nothing could be made of it."""

    def feed(self, piece: bytes) -> list[bytes]:
        """What is complete with this piece."""
        ...

    def end(self) -> bytes:
        """What was begun and not completed."""
        ...


class Lines:
    """Cuts bytes at line feeds only: `str.splitlines`, which httpx uses, also cuts at U+0085 and U+2028, and
    both may stand unescaped inside a JSON string."""

    def __init__(self, ceiling: int, label: str) -> None:
        self.received = 0
        self.strange = b""
        self._rest = bytearray()
        self._ceiling = ceiling
        self._label = label

    def feed(self, piece: bytes) -> list[bytes]:
        self.received += len(piece)
        self._rest += piece
        lines: list[bytes] = []
        if b"\n" in piece:
            *whole, self._rest = self._rest.split(b"\n")
            lines = [bytes(line) + b"\n" for line in whole]
        if len(self._rest) > self._ceiling or any(len(line) - 1 > self._ceiling for line in lines):
            raise ServerError(
                f"{self._label} sent a line of more than {self._ceiling:,} bytes.", hint="Check the address."
            )
        return lines

    def end(self) -> bytes:
        return bytes(self._rest)
