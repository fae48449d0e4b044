"""SQLite: a file, opened so that a statement can do no more than it should.

Read-only means: the file is opened so, `query_only` is on, and an authorizer lets nothing pass but reading. On
no connection can a statement reach another file, load code, or call a function that does.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

from gemmagraph.tools.guards.databases_running import Running
from gemmagraph.tools.guards.databases_statement import Statement

if TYPE_CHECKING:
    from sqlalchemy import Engine

T = TypeVar("T")

_READING: Final = frozenset(
    (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
)
_NEVER: Final = frozenset((sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH))
_FUNCTIONS: Final = frozenset(
    ("load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "regexp")
)  # the last is Python's: some patterns would take it hours, in which nothing can stop it
_ASKING: Final = frozenset(
    """table_info table_xinfo table_list index_list index_info index_xinfo foreign_key_list
    function_list collation_list compile_options""".split()  # noqa: SIM905
)
"""Pragmas whose argument is the name of what they tell about."""
_TELLING: Final = frozenset(
    ("data_version", "encoding", "page_count", "page_size", "read_uncommitted", "user_version")
)
"""Pragmas that tell something when they get no argument, and change it when they do."""

_LONGEST_VALUE: Final = 32 * 1024 * 1024
_LONGEST_PATTERN: Final = 1_000
_STEPS: Final = 5_000
"""Steps of SQLite's machine between two looks at the clock."""
_BUSY_WAIT: Final = 0.05


class Sqlite:
    """How connections to one file are opened, used and given back."""

    name: Final = "sqlite"

    def __init__(self, path: Path, *, read_only: bool, connections: int) -> None:
        self._path = path
        self._read_only = read_only
        self._connections = connections

    def engine(self) -> Engine:
        import sqlalchemy as sa

        return sa.create_engine(
            "sqlite+pysqlite://",
            creator=self._open,
            poolclass=sa.pool.QueuePool,
            pool_size=self._connections,
            max_overflow=0,
            hide_parameters=True,
        )

    def _open(self) -> sqlite3.Connection:
        mode = "ro" if self._read_only else "rwc"
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=0,  # SQLite's own waiting cannot be stopped
        )
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _LONGEST_PATTERN)
        if self._read_only:
            connection.execute("PRAGMA query_only = ON").close()
        else:
            connection.execute("PRAGMA foreign_keys = ON").close()
        connection.set_authorizer(_only_reading if self._read_only else _only_this_file)
        return connection

    def begin(self, raw: sqlite3.Connection, running: Running) -> None:
        raw.set_progress_handler(lambda: running.over, _STEPS)
        if not self._read_only:
            self.patiently(lambda: raw.execute("BEGIN IMMEDIATE").close(), running)

    def patiently(self, call: Callable[[], T], running: Running) -> T:
        """Waits while somebody else writes."""
        while True:
            try:
                return call()
            except Exception as problem:
                code = getattr(getattr(problem, "orig", problem), "sqlite_errorcode", 0)
                if code & 0xFF != sqlite3.SQLITE_BUSY or running.over:
                    raise
            time.sleep(_BUSY_WAIT)
            running.check()

    def streams(self, statement: Statement) -> bool:
        """Whether it has to be asked to hand out rows one by one."""
        return False

    def stop(self, raw: sqlite3.Connection) -> None:
        raw.interrupt()

    def break_off(self, raw: sqlite3.Connection) -> None:
        """Nothing is left to do: what SQLite cannot interrupt ends by itself."""

    def clean(self, raw: sqlite3.Connection) -> None:
        """Leaves nothing of this statement to the next one."""
        raw.set_progress_handler(None, 0)
        if raw.in_transaction:
            raw.rollback()


def _only_reading(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action == sqlite3.SQLITE_PRAGMA:
        name = (first or "").lower()
        allowed = name in _ASKING or (name in _TELLING and second is None)
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
    # Whatever opens a virtual table asks this, full-text search as well as json_each; the catalog stays read-only.
    opens = action == sqlite3.SQLITE_UPDATE and first == "sqlite_master"
    if action not in _READING and not opens:
        return sqlite3.SQLITE_DENY
    return _only_this_file(action, first, second)


def _only_this_file(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action in _NEVER or (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _FUNCTIONS):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK
