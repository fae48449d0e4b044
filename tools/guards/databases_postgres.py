"""PostgreSQL: a server, and a role that can do no more than it should.

Read-only means: each statement runs in a READ ONLY transaction that is rolled back. That does not hold back a role
that may run programs or reach files and other servers (`COPY ... TO PROGRAM` is no write), so such a role is
refused before its first statement. What a READ ONLY transaction lets pass and where it ends: locks and settings
of the session are discarded, notifications and large objects are rolled back, sleeping meets the time limit.

What is left: a role may end other sessions of its own, so give it to nobody else; `pg_logical_emit_message` tells
readers of the write-ahead log something without a transaction; a function that is SECURITY DEFINER does what its
owner may. Revoke the last two from the role where that matters.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, LiteralString, TypeVar

from gemmagraph.tools.errors import ToolDefinitionError
from gemmagraph.tools.guards.databases_running import Running
from gemmagraph.tools.guards.databases_statement import Statement

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import URL, Engine

T = TypeVar("T")

_STREAMED: Final = frozenset(("select", "with", "values", "table"))
_CHANGES: Final = frozenset(("insert", "update", "delete", "merge", "into"))
_CONNECT: Final[dict[str, Any]] = {
    "application_name": "gemmagraph",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_RECYCLE: Final = 1800
_CANCEL: Final = 1.0
_IDLE: Final = 10_000
"""Milliseconds after which the server ends a transaction whose client is gone."""

_POWERS: Final[LiteralString] = """
    SELECT CASE WHEN r.rolsuper THEN 'superuser' WHEN r.rolreplication THEN 'replication' ELSE '' END, r.rolname
    FROM pg_catalog.pg_roles r
    WHERE (r.rolsuper OR r.rolreplication OR r.rolname IN ('pg_execute_server_program', 'pg_read_server_files',
        'pg_write_server_files', 'pg_signal_backend', 'pg_create_subscription'))
      AND (pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER')
        OR pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER'))
    ORDER BY r.rolname NOT IN (session_user, current_user), r.rolname LIMIT 1
"""
_WAYS_OUT: Final[LiteralString] = """
    SELECT e.extname, n.nspname
    FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
     AND d.classid = 'pg_catalog.pg_proc'::regclass
    JOIN pg_catalog.pg_proc p ON p.oid = d.objid
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE e.extname IN ('dblink', 'http', 'pg_net', 'pg_background', 'pg_cron', 'adminpack', 'aws_s3', 'aws_lambda',
        'pg_file_settings', 'plsh')
      AND p.prorettype NOT IN ('pg_catalog.trigger'::regtype, 'pg_catalog.fdw_handler'::regtype)
      AND p.proname NOT LIKE '%validator' AND p.proname NOT LIKE '%handler'
      AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE')
      AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
    ORDER BY e.extname LIMIT 1
"""
_BEGIN: Final[LiteralString] = """
    SELECT pg_catalog.set_config('statement_timeout', %s, true),
           pg_catalog.set_config('idle_in_transaction_session_timeout', %s, true)
"""


class UnsafeRole(ToolDefinitionError):
    """A role that a READ ONLY transaction does not hold back. Read by the developer."""


class Postgres:
    """How connections to one database are opened, used and given back."""

    name: Final = "postgresql"

    def __init__(self, url: URL, *, read_only: bool, connections: int) -> None:
        self._url = url
        self._read_only = read_only
        self._connections = connections

    def engine(self) -> Engine:
        import sqlalchemy as sa

        engine = sa.create_engine(
            self._url,
            pool_size=self._connections,
            max_overflow=0,
            pool_pre_ping=True,
            pool_recycle=_RECYCLE,
            hide_parameters=True,
            use_native_hstore=False,
        )
        sa.event.listen(engine, "do_connect", self._connect)
        return engine

    def _connect(self, _dialect: object, _record: object, arguments: Any, options: dict[str, Any]) -> Any:
        import psycopg

        connection = psycopg.connect(*arguments, **(_CONNECT | options), prepare_threshold=None)
        try:
            connection.server_cursor_factory = _cursor()
            _as_text_beyond_python(connection)
            connection.read_only = self._read_only
            if self._read_only:
                _refuse_powers(connection)
            connection.rollback()
        except BaseException:
            connection.close()
            raise
        return connection

    def begin(self, raw: psycopg.Connection[Any], running: Running) -> None:
        left = max(1, int(running.left * 1000))
        # A query first: from then on the transaction cannot be made to write.
        raw.execute(_BEGIN, (str(left), str(left + _IDLE))).close()
        raw.prepare_threshold = 0  # the statement is prepared, which the protocol allows for a single one only

    def patiently(self, call: Callable[[], T], _: Running) -> T:
        """The server waits by itself."""
        return call()

    def streams(self, statement: Statement) -> bool:
        """Whether it has to be asked to hand out rows one by one. It refuses that for what changes something."""
        if statement.begins not in _STREAMED:
            return False
        return self._read_only or _CHANGES.isdisjoint(statement.words)

    def stop(self, raw: psycopg.Connection[Any]) -> None:
        raw.cancel_safe(timeout=_CANCEL)

    def break_off(self, raw: psycopg.Connection[Any]) -> None:
        """Wakes a thread that waits for a server which does not answer any more."""
        with suppress(OSError), socket.socket(fileno=os.dup(raw.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    def clean(self, raw: psycopg.Connection[Any]) -> None:
        """Leaves nothing of this statement to the next one: no transaction, lock, setting or temporary table."""
        raw.rollback()
        raw.autocommit = True
        raw.execute("DISCARD ALL", prepare=False).close()
        raw.prepare_threshold = None
        raw.autocommit = False
        raw.read_only = self._read_only


def _cursor() -> type[psycopg.ServerCursor[Any]]:
    """A cursor that complains of not being closed only if it could have been: SQLAlchemy leaves that of a lost
    connection to the garbage collector."""
    import psycopg

    class Cursor(psycopg.ServerCursor[Any]):
        def __del__(self, *_: Any) -> None:
            if not self._conn.closed:
                super().__del__()

    return Cursor


def _as_text_beyond_python(connection: psycopg.Connection[Any]) -> None:
    """Dates that Python has not, such as infinity, come as text."""
    from psycopg import DataError
    from psycopg.types import datetime as known

    for kind, loader in (
        ("date", known.DateLoader),
        ("timestamp", known.TimestampLoader),
        ("timestamptz", known.TimestamptzLoader),
    ):

        class Lenient(loader):  # type: ignore[valid-type,misc]  # a class for each of three
            def load(self, data: Any) -> Any:
                try:
                    return super().load(data)
                except DataError:
                    return bytes(data).decode()

        connection.adapters.register_loader(kind, Lenient)


def _refuse_powers(connection: psycopg.Connection[Any]) -> None:
    """
    Raises:
        UnsafeRole: the role may do what a READ ONLY transaction does not prevent.
    """
    role = connection.info.user
    if row := connection.execute(_POWERS).fetchone():
        power, name = row
        what = f"a {power} role" if power and name == role else f"a member of {name}"
        what = what.replace("a replication role", "a role with REPLICATION")
        raise UnsafeRole(
            f"The connection is read-only, but {role!r} is {what}: no transaction keeps it from running programs, "
            f"reading files or ending other people's work.",
            hint="Make a role of its own: CREATE ROLE gemma_reader LOGIN PASSWORD '...'; "
            "GRANT SELECT ON the_table TO gemma_reader; and name it in the dsn.",
        )
    if row := connection.execute(_WAYS_OUT).fetchone():
        extension, schema = row
        raise UnsafeRole(
            f"The connection is read-only, but {role!r} may call the functions of the extension {extension!r}, "
            f"which reach other servers or files.",
            hint=f"REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC, grant what others need, "
            f"or DROP EXTENSION {extension}.",
        )
