"""A store in a PostgreSQL database. Needs the extra `postgres`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from gemmagraph.errors import AgentError, StoreError
from gemmagraph.store.address import Address
from gemmagraph.store.serialising import strict
from gemmagraph.store.tables import claim, prepare

_PAUSE: Final = "15s"
"""Longest pause inside a transaction: a process that was stopped there must not keep the others waiting."""
_SETUP: Final = 7_366_309
"""The advisory lock of whoever makes the tables."""
_LOOK: Final = 0.05
_GONE: Final = ("08", "57P", "25P03")
"""Beginnings of SQLSTATE: the connection failed, the server was shut down, it paused for too long."""
_SAID: Final = {"authentication failed": "28", "no password supplied": "28", "role ": "28", "database ": "3D"}
"""How it refuses a connection, for which psycopg has no SQLSTATE."""


class PostgresSession:
    """A connection.

    Args:
        patience: seconds to wait for it.

    Raises:
        AgentError: the extra is not installed.
        StoreError: the database cannot be reached or used, is another program's, or was written by a newer version.
    """

    lock = " FOR UPDATE"

    def __init__(self, address: Address, patience: float) -> None:
        try:
            import psycopg
            from langgraph.checkpoint.postgres import PostgresSaver
            from psycopg.rows import dict_row
        except ImportError as exc:
            raise AgentError(
                "A store in PostgreSQL needs more packages.", hint='pip install "gemmagraph[postgres]"'
            ) from exc
        self._name = str(address)
        self.failures = (psycopg.Error,)
        try:
            # As LangGraph's saver wants it.
            self._connection = psycopg.connect(
                address.target,
                autocommit=True,
                prepare_threshold=0,
                row_factory=dict_row,
                connect_timeout=max(2, round(patience)),
                application_name="gemmagraph",
            )
        except psycopg.Error as exc:
            raise self.explain(exc) from exc
        try:
            self.saver = PostgresSaver(self._connection, serde=strict())
            self.rows(
                "SELECT set_config(name, ?, false) FROM pg_settings"
                " WHERE name = 'idle_in_transaction_session_timeout' AND setting = '0'",
                _PAUSE,
            )
            # Not waited for in the database: LangGraph makes indexes CONCURRENTLY, which waits for those who wait.
            while not self.rows("SELECT pg_try_advisory_lock(?)", _SETUP)[0][0]:
                time.sleep(_LOOK)
            try:
                claim(self, self._name)
                self.saver.setup()
                prepare(self, self._name, "BIGSERIAL PRIMARY KEY")
            finally:
                self.rows("SELECT pg_advisory_unlock(?)", _SETUP)
        except psycopg.Error as exc:
            self.close()
            raise self.explain(exc) from exc
        except BaseException:
            self.close()
            raise

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        from psycopg.rows import tuple_row

        with self._connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(_theirs(statement), values)
            return cursor.fetchall()

    def change(self, statement: str, *values: object) -> int:
        with self._connection.cursor() as cursor:
            return cursor.execute(_theirs(statement), values).rowcount

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._connection.transaction():
            yield

    def names(self) -> set[str]:
        found = self.rows(
            "SELECT relname::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
            " WHERE nspname = current_schema()"
        )
        return {name for (name,) in found}

    def alone(self, name: str) -> None:
        self.rows("SELECT pg_advisory_xact_lock(hashtext(?))", f"gemmagraph {name}")

    def now(self) -> float:
        return float(self.rows("SELECT extract(epoch FROM clock_timestamp())")[0][0])

    def lost(self, failure: Exception) -> bool:
        state = getattr(failure, "sqlstate", None) or ""
        return self._connection.closed or state.startswith(_GONE)

    def explain(self, failure: Exception) -> StoreError:
        said = str(failure).strip().splitlines() or [type(failure).__name__]
        refused = next((state for words, state in _SAID.items() if words in said[-1]), "")
        state = getattr(failure, "sqlstate", None) or refused
        hint = {
            "28": "Check the user and the password in its address.",
            "3D": "Make the database, or name another one.",
            "3F": "Make the schema, or name another one.",
            "42": "Give its user the right to make and write tables.",
            "25": "Give its user the right to write.",
            "53": "Make room there, then resume the thread; nothing that was kept is lost.",
        }.get(state[:2], "" if state else "Check that it runs and its address; what was going on can be resumed.")
        return StoreError(f"The store {self._name} failed: {said[0]}.", hint=hint)

    def close(self) -> None:
        with suppress(*self.failures):
            self._connection.close()


def _theirs(statement: str) -> Any:
    """With PostgreSQL's sign for a value; no statement of ours has a question mark otherwise."""
    return statement.replace("%", "%%").replace("?", "%s")
