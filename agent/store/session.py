"""One connection to a store's database, as its worker thread uses it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from gemmagraph.errors import StoreError


class Session(Protocol):
    """Statements are written with `?` for values, and are SQL that SQLite and PostgreSQL both know."""

    lock: str
    """Goes behind a SELECT whose rows nobody else may change until this transaction ends."""

    @property
    def saver(self) -> BaseCheckpointSaver[str]:
        """LangGraph's own, on this connection."""

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What the database raises."""

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What it finds."""

    def change(self, statement: str, *values: object) -> int:
        """How many rows it wrote."""

    def writing(self) -> AbstractContextManager[None]:
        """All that is written inside is written together, or none of it."""

    def names(self) -> set[str]:
        """The tables, views and indexes that are there, where this one would make its own."""

    def alone(self, name: str) -> None:
        """Inside `writing`: waits until no other connection is inside with this name."""

    def now(self) -> float:
        """Seconds since 1970, by the clock that all processes on this store share."""

    def lost(self, failure: Exception) -> bool:
        """Whether the connection is gone, and another try on a new one is worth making."""

    def explain(self, failure: Exception) -> StoreError:
        """The failure as the person who runs the store should read it."""

    def close(self) -> None: ...
