"""A store in a SQLite file."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from gemmagraph.errors import StoreError
from gemmagraph.store.serialising import strict
from gemmagraph.store.tables import prepare

_SAID: Final = {
    "database is locked": ("is locked by another program", "Close what holds it, then try again; nothing was lost."),
    "readonly database": ("is read-only", "Give this user the right to write it and its folder."),
    "disk is full": ("cannot be written: the disk is full", "Make room, then resume the thread; nothing was lost."),
    "disk I/O error": ("cannot be read or written: the disk failed", "Look into the system's log."),
    "unable to open": ("cannot be opened", "Its folder must be there, and this user must be allowed to write it."),
    "file is not a database": ("is no SQLite file", "Name another file."),
    "malformed": ("is damaged", "Restore it, or save what can be read with sqlite3's .recover."),
}


class SqliteSession:
    """A connection. The file is made if it is not there, readable by its owner only.

    Args:
        patience: seconds that one statement waits for another process to finish its own.

    Raises:
        StoreError: it cannot be opened, or was written by a newer version.
    """

    lock = ""
    failures = (sqlite3.Error,)

    def __init__(self, path: str, patience: float) -> None:
        from langgraph.checkpoint.sqlite import SqliteSaver

        self._path = path
        try:
            _make_file(path)
            self._connection = sqlite3.connect(
                path, timeout=patience, isolation_level=None, check_same_thread=False, factory=_Connection
            )
        except (sqlite3.Error, OSError) as exc:
            raise self.explain(exc) from exc
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA trusted_schema=OFF")
            self.saver = SqliteSaver(self._connection, serde=strict())
            self.saver.setup()
            prepare(self, path, "INTEGER PRIMARY KEY AUTOINCREMENT")
        except sqlite3.Error as exc:
            self.close()
            raise self.explain(exc) from exc
        except BaseException:
            self.close()
            raise

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, values).fetchall()

    def change(self, statement: str, *values: object) -> int:
        return self._connection.execute(statement, values).rowcount

    @contextmanager
    def writing(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.whole = True
        try:
            yield
            self._connection.whole = False
            self._connection.commit()
        except BaseException:
            self._connection.whole = False
            with suppress(sqlite3.Error):  # what went wrong is what matters
                self._connection.rollback()
            raise

    def alone(self, name: str) -> None:
        """SQLite lets one writer in anyway."""

    def now(self) -> float:
        return time.time()

    def lost(self, failure: Exception) -> bool:
        return False

    def explain(self, failure: Exception) -> StoreError:
        if isinstance(failure, OSError):
            what, hint = _SAID["unable to open"]
            return StoreError(f"The store {self._path} {what}: {failure.strerror}.", hint=hint)
        said = str(failure)
        for words, (what, hint) in _SAID.items():
            if words in said:
                return StoreError(f"The store {self._path} {what}.", hint=hint)
        return StoreError(f"The store {self._path} failed: {said}.")

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.close()


class _Connection(sqlite3.Connection):
    whole = False
    """Whether what is written now belongs together. LangGraph's saver would end each of its own writes."""

    def commit(self) -> None:
        if not self.whole:
            super().commit()


def _make_file(path: str) -> None:
    """SQLite gives what it puts beside the file the file's own rights."""
    folder = Path(path).parent
    if not folder.exists() and folder.name == "gemmagraph":  # our own, in the user's data folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
