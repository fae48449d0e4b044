"""A connection to a database that lets pass what it should: SQLite files and PostgreSQL servers, by SQLAlchemy.

What read-only means is enforced by the databases (`databases_sqlite`, `databases_postgres`). Statements run in
threads: both drivers can be stopped there from outside, and one pool serves every event loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

from gemmagraph.prompts.errors import GemmagraphError
from gemmagraph.tools.declared.units import seconds, size
from gemmagraph.tools.errors import Fault, ToolError, refuse
from gemmagraph.tools.guards.databases_address import Address
from gemmagraph.tools.guards.databases_binds import Bind, bound, sent, written
from gemmagraph.tools.guards.databases_failures import failure, too_late
from gemmagraph.tools.guards.databases_postgres import Postgres
from gemmagraph.tools.guards.databases_rows import Rows, collect
from gemmagraph.tools.guards.databases_running import Running, Stopped
from gemmagraph.tools.guards.databases_sqlite import Sqlite
from gemmagraph.tools.guards.databases_statement import READS, Statement, read_statement
from gemmagraph.tools.runtime import Job, in_thread, submit
from gemmagraph.tools.secrets import Secrets, mask_logs

if TYPE_CHECKING:
    from sqlalchemy import Connection, CursorResult, Engine

T = TypeVar("T")
N = TypeVar("N", int, float)

Answer: TypeAlias = "Rows | dict[str, int]"
"""Rows, or `{"rows_affected": n}` of a statement that has none."""

_BATCH: Final = 100
"""Rows that are fetched at once, at most."""
_GRACE: Final = 1.0
"""Seconds that a database gets to notice by itself that the time is up."""
_STOPPING: Final = 2.0
"""Seconds that a statement gets to stop before its thread is left behind."""


class _Kind(Protocol):
    """One sort of database."""

    @property
    def name(self) -> str: ...
    def engine(self) -> Engine: ...
    def begin(self, raw: Any, running: Running) -> None: ...
    def patiently(self, call: Callable[[], T], running: Running) -> T: ...
    def streams(self, statement: Statement) -> bool: ...
    def stop(self, raw: Any) -> None: ...
    def break_off(self, raw: Any) -> None: ...
    def clean(self, raw: Any) -> None: ...


class SqlConnection:
    """A database, by its address; connected at first use, usable from any event loop.

    Args:
        dsn: `sqlite:///orders.db` (four slashes for an absolute path) or `postgresql://role:password@host/name`.
            May name secrets: `{{ secrets.orders_dsn }}`.
        read_only: nothing that a statement does takes effect.
        max_rows: rows of an answer; what is beyond them is dropped, and said.
        max_bytes: the same for their size.
        timeout: seconds that a statement may take.
        connections: statements that run at once; others wait.
        secrets: those that `dsn` may name.
        folder: where the path of a file begins, instead of the current one.

    Raises:
        ToolDefinitionError: these cannot be used.
    """

    def __init__(
        self,
        dsn: str,
        *,
        read_only: bool = True,
        max_rows: int = 100,
        max_bytes: int | str = "1MiB",
        timeout: float | str = 30.0,
        connections: int = 4,
        secrets: Secrets | None = None,
        folder: str | os.PathLike[str] = "",
    ) -> None:
        faults: list[Fault] = []
        self._address = Address(dsn, secrets if secrets is not None else Secrets(), faults, Path(folder))
        self.read_only = read_only
        self.max_rows = _positive("max_rows", max_rows, faults)
        self.max_bytes = _read("max_bytes", max_bytes, size, faults)
        self.timeout = _read("timeout", timeout, seconds, faults)
        self._connections = _positive("connections", connections, faults)
        refuse("The connection cannot be made", faults)
        self._lock = threading.Lock()
        self._opened: tuple[_Kind, Engine] | None = None
        self._collected: weakref.finalize[..., SqlConnection] | None = None

    @property
    def shown(self) -> str:
        """The address as people may read it: without password, secrets by their names."""
        return self._address.shown

    def __repr__(self) -> str:
        return f"<SqlConnection {self.shown}{' read-only' if self.read_only else ''}>"

    def unavailable(self) -> str | None:
        """Why it cannot be used here, or None. Connects to nothing."""
        return self._address.unavailable(self.read_only)

    def refusal(self, statement: Statement) -> tuple[str, str] | None:
        """Why this connection would not even send `statement`, and what to do; None if it would."""
        if not self.read_only or not statement.words or statement.begins in READS:
            return None
        return (
            f"it begins with {statement.begins.upper()}, and the connection is read-only.",
            f"There a statement begins with {', '.join(sorted(READS)).upper()}.",
        )

    async def query(
        self,
        statement: str | Statement,
        values: Mapping[str, object] | None = None,
    ) -> Answer:
        """Runs one statement in a transaction of its own, committed at the end unless the connection is read-only.

        When it is cancelled, the statement is stopped at the server and rolled back.

        Args:
            statement: with binds, `:name`.
            values: a value for each bind, as Python or JSON has it, or a `Bind` where that does not say its type.

        Raises:
            ToolError: the statement cannot be sent.
            BodyError: the database refused it, cannot be reached, or took too long.
        """
        read = statement if isinstance(statement, Statement) else read_statement(statement)
        problems = [*read.faults, *filter(None, (self.refusal(read),))]
        if problems:
            raise ToolError(f"The statement cannot be sent: {problems[0][0]}", hint=problems[0][1])
        given = values or {}
        if missing := [name for name in read.names if name not in given]:
            raise ToolError(f"The statement cannot be sent: there is no value for :{missing[0]}.")
        binds = {name: _bind(name, given[name]) for name in read.names}
        running = Running(self.timeout)
        job = submit(self._run, running, read, binds)
        try:
            in_time = await job.wait(self.timeout + _GRACE)
        except asyncio.CancelledError:
            await _give_up(job, running)
            raise
        if not in_time:
            await _give_up(job, running)
            if not job.future.done() or job.future.cancelled():
                raise too_late(self.timeout, unknown=not self.read_only and not job.future.done())
        answer: Answer = job.future.result()
        return answer

    async def close(self) -> None:
        """Closes what is open. A later statement opens it again."""
        with self._lock:
            opened, self._opened = self._opened, None
            if self._collected is not None:
                self._collected.detach()
        if opened is not None:
            await in_thread(opened[1].dispose)

    def _run(self, running: Running, statement: Statement, binds: Mapping[str, Bind]) -> Answer:
        """One statement, from the pool and back, in a thread."""
        try:
            kind, engine = self._open()
            running.check()
            with engine.connect() as connection:
                return self._on(connection, kind, running, statement, binds)
        except GemmagraphError:
            raise
        except Stopped:
            raise too_late(self.timeout) from None
        except Exception as problem:
            raise failure(problem, running, self.timeout) from problem

    def _on(
        self,
        connection: Connection,
        kind: _Kind,
        running: Running,
        statement: Statement,
        binds: Mapping[str, Bind],
    ) -> Answer:
        raw = connection.connection.driver_connection
        try:
            running.hold(lambda: kind.stop(raw), lambda: kind.break_off(raw))
            kind.begin(raw, running)
            text = written(statement, binds, kind.name)
            values = {name: sent(bind, kind.name) for name, bind in binds.items()}
            options: dict[str, Any] = {"stream_results": kind.streams(statement), "max_row_buffer": _BATCH}
            running.check()
            answer = self._answer(kind.patiently(lambda: connection.exec_driver_sql(text, values, options), running))
            running.check()
            if not self.read_only:
                try:
                    kind.patiently(connection.commit, running)
                except Exception as problem:
                    raise failure(problem, running, self.timeout, committing=True) from problem
            return answer
        finally:
            running.release()
            if running.stopped or not _cleaned(kind, raw):
                connection.invalidate()

    def _answer(self, result: CursorResult[Any]) -> Answer:
        if not result.returns_rows:
            return {"rows_affected": max(0, result.rowcount)}
        with closing(result):
            return collect(result, self.max_rows, self.max_bytes, all_run=not self.read_only)

    def _open(self) -> tuple[_Kind, Engine]:
        with self._lock:
            if self._opened is None:
                kind = self._kind()
                engine = kind.engine()
                self._opened = kind, engine
                # Of its connections none is in use then: a statement that runs holds this.
                self._collected = weakref.finalize(self, _dispose, engine, os.getpid())
                mask_logs("sqlalchemy", "psycopg")  # they write rows
            return self._opened

    def _kind(self) -> _Kind:
        place = self._address.place()
        if isinstance(place, Path):
            return Sqlite(place, read_only=self.read_only, connections=self._connections)
        return Postgres(place, read_only=self.read_only, connections=self._connections)


def _positive(name: str, value: int, faults: list[Fault]) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        faults.append(Fault(("sql", name), f"{value!r} is not an integer above 0."))
    return value


def _read(name: str, value: Any, reader: Callable[[Any], N], faults: list[Fault]) -> N:
    try:
        return reader(value)
    except ValueError as problem:
        faults.append(Fault(("sql", name), f"{problem}."))
        return reader(1)


def _bind(name: str, value: object) -> Bind:
    return value if isinstance(value, Bind) else bound(name, value)


def _dispose(engine: Engine, opener: int) -> None:
    """Closes its connections, unless they are those of the process of which this is a fork."""
    if os.getpid() == opener:
        engine.dispose()


def _cleaned(kind: _Kind, raw: Any) -> bool:
    try:
        kind.clean(raw)
    except Exception:  # noqa: BLE001 - whatever it is, this connection serves nobody any more
        return False
    return True


async def _give_up(job: Job, running: Running) -> None:
    """Stops a statement; its thread is left behind if that takes too long."""
    if job.drop():
        return
    threading.Thread(target=running.stop, name="gemmagraph-sql-stop", daemon=True).start()
    try:
        await job.wait(_STOPPING)
    finally:
        if not job.future.done():
            await job.abandon()
