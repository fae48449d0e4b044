"""A store in a SQLite file."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from gemmagraph.errors import StoreError
from gemmagraph.store.serialising import strict
from gemmagraph.store.tables import VERSION, claim, prepare, version_of

_NO_ROOM: Final = "cannot be written: the disk is full, the file may not grow, or the disk failed"
_ROOM: Final = "Make room, then try again; what was begun can be resumed, and nothing that was kept is lost."
_SAID: Final = {
    "database is locked": (
        "is locked by another program",
        "Close what holds it, then try again; nothing that was kept is lost.",
    ),
    "readonly database": ("is read-only", "Give this user the right to write it and its folder."),
    "disk is full": ("cannot be written: the disk is full", _ROOM),
    "IOERR_SHMSIZE": (_NO_ROOM, _ROOM),
    "IOERR_WRITE": (_NO_ROOM, _ROOM),
    "disk I/O error": ("cannot be read or written: the disk failed", "Look into the system's log."),
    "unable to open": ("cannot be opened", "Its folder must be there, and this user must be allowed to write it."),
    "file is not a database": ("is no SQLite file", "Name another file."),
    "malformed": ("is damaged", "Restore it, or save what can be read with sqlite3's .recover."),
}
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class SqliteSession:
    """A connection. The file is made if it is not there, and readable by its owner only from now on.

    Args:
        patience: seconds that one statement waits for another process to finish its own.

    Raises:
        StoreError: it cannot be opened, is another program's, or was written by a newer version.
    """

    lock = ""
    failures = (sqlite3.Error,)

    def __init__(self, path: str, patience: float) -> None:
        from langgraph.checkpoint.sqlite import SqliteSaver

        self._path = path
        try:
            _make_file(path)
            self._connection = self._connect(patience)
        except (sqlite3.Error, OSError) as exc:
            raise self.explain(exc) from exc
        try:
            self._own()
            if self._beside():
                self._connection.close()
                self._connection = self._connect(patience)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self.saver = SqliteSaver(self._connection, serde=strict())
            claim(self, path)
            self.saver.setup()
            prepare(self, path, "INTEGER PRIMARY KEY AUTOINCREMENT")
        except sqlite3.Error as exc:
            self.close()
            raise self.explain(exc) from exc
        except BaseException:
            self.close()
            raise

    def _connect(self, patience: float) -> _Connection:
        made = sqlite3.connect(
            self._path, timeout=patience, isolation_level=None, check_same_thread=False, factory=_Connection
        )
        made.execute("PRAGMA trusted_schema=OFF")
        return made

    def _own(self) -> None:
        """Makes sure that the file is ours, before anything is written."""
        there = self.names()
        if VERSION in there:
            version_of(self, self._path)
            return
        marks = [self.rows(f"PRAGMA {mark}")[0][0] for mark in ("user_version", "application_id")]
        if there or any(marks):
            raise StoreError(
                f"The file {self._path} is the database of another program.",
                hint="Name another file: a store has one of its own.",
            )

    def _beside(self) -> bool:
        """Makes the file and those beside it only its owner's. Returns whether one was read-only and the file is not:
        SQLite made it while the file was, and whoever has opened it cannot write."""
        right, writable = 0, False
        for name in (self._path, f"{self._path}-wal", f"{self._path}-shm"):
            with suppress(OSError):  # it is not there, or its owner decides
                found = stat.S_IMODE(os.stat(name).st_mode)
                if name == self._path:
                    right = found & stat.S_IWUSR
                if (mode := (found | right) & ~_OTHERS) != found:
                    os.chmod(name, mode)
                    writable |= bool(mode & ~found)
        return writable

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

    def names(self) -> set[str]:
        return {name for (name,) in self.rows("SELECT name FROM sqlite_master")}

    def alone(self, name: str) -> None:
        """SQLite lets one writer in anyway."""

    def now(self) -> float:
        return time.time()

    def lost(self, failure: Exception) -> bool:
        return False

    def explain(self, failure: Exception) -> StoreError:
        if isinstance(failure, OSError):
            what, hint = _SAID["disk is full" if failure.errno in _FULL else "unable to open"]
            return StoreError(f"The store {self._path} {what}: {failure.strerror}.", hint=hint)
        said = f"{failure} {getattr(failure, 'sqlite_errorname', '')}"
        for words, (what, hint) in _SAID.items():
            if words in said:
                return StoreError(f"The store {self._path} {what}.", hint=hint)
        return StoreError(f"The store {self._path} failed: {failure}.")

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
