"""A connection to a database: its address, its limits, its pool, and how a statement is stopped."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gemmagraph.tools.errors import BodyError, ToolDefinitionError, ToolError
from gemmagraph.tools.guards.databases import SqlConnection
from gemmagraph.tools.guards.databases_rows import Rows, as_json
from gemmagraph.tools.runtime import run_sync
from gemmagraph.tools.secrets import Secret, SecretMissing, Secrets, remember

sys.path.append(str(Path(__file__).parent.parent))
pytest_plugins = ("postgres",)

if TYPE_CHECKING:
    from postgres import Server

LONG = 20.0


@pytest.fixture(scope="module")
def server(postgres: Server) -> Iterator[Server]:
    postgres.rows("CREATE ROLE clerk LOGIN PASSWORD 'correct horse battery'")
    postgres.rows("CREATE DATABASE office OWNER clerk")
    with postgres.connection("clerk", "office") as connection:
        connection.execute("CREATE TABLE notes (id int PRIMARY KEY, text text)")
        connection.execute("INSERT INTO notes SELECT i, 'note ' || i FROM generate_series(1, 500) i")
    yield postgres
    postgres.rows("DROP DATABASE office WITH (FORCE)")
    postgres.rows("DROP ROLE clerk")


@pytest.fixture(params=["sqlite", "postgresql"])
def dsn(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where 500 notes are."""
    if request.param == "postgresql":
        address: str = request.getfixturevalue("server").dsn("clerk", "office")
        return address
    with closing(sqlite3.connect(tmp_path / "office.db")) as connection:
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany("INSERT INTO notes VALUES (?, ?)", [(i, f"note {i}") for i in range(1, 501)])
        connection.commit()
    return f"sqlite:///{tmp_path / 'office.db'}"


def asked(connection: SqlConnection, *statements: str, **values: object) -> list[Any]:
    """The answers, one after another on one loop."""

    async def ask() -> list[Any]:
        try:
            return [await connection.query(statement, values) for statement in statements]
        finally:
            await connection.close()

    return asyncio.run(asyncio.wait_for(ask(), LONG))


def test_rows_beyond_the_limit_are_dropped_and_it_is_said(dsn: str) -> None:
    (rows,) = asked(SqlConnection(dsn, max_rows=3), "SELECT id FROM notes ORDER BY id")
    assert rows == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert rows.cut == "Cut at 3 rows: these are the first 3, the answer has more."
    (rows,) = asked(SqlConnection(dsn, max_rows=3), "SELECT id FROM notes WHERE id <= 3")
    assert (len(rows), rows.cut) == (3, "")


def test_bytes_beyond_the_limit_are_dropped_and_it_is_said(dsn: str) -> None:
    connection = SqlConnection(dsn, max_rows=500, max_bytes="1KiB")
    (rows,) = asked(connection, "SELECT text || 'x' AS text FROM notes ORDER BY id")
    assert 0 < len(rows) < 40
    assert rows.cut == f"Cut at 1,024 bytes: these are the first {len(rows)}, the answer has more."


def test_no_rows_still_name_their_columns(dsn: str) -> None:
    (rows,) = asked(SqlConnection(dsn), "SELECT id, text FROM notes WHERE id < 0")
    assert rows == []
    assert rows.columns == ("id", "text")


def test_columns_of_the_same_name_are_all_there(dsn: str) -> None:
    (rows,) = asked(SqlConnection(dsn), "SELECT 1 AS a, 2 AS a, 3 AS b, 4 AS a")
    assert rows == [{"a": 1, "a_2": 2, "b": 3, "a_3": 4}]


def test_a_writing_statement_is_committed_and_says_how_many_rows(dsn: str) -> None:
    writing = SqlConnection(dsn, read_only=False, max_rows=2)
    answers = asked(
        writing,
        "UPDATE notes SET text = 'changed' WHERE id > 490",
        "DELETE FROM notes WHERE id > 495 RETURNING id",
        "SELECT count(*) AS n FROM notes WHERE text = 'changed'",
        "CREATE TABLE more (a int)",
        "DROP TABLE more",
        "INSERT INTO notes SELECT id + 5, text FROM notes WHERE id > 490",
        "SELECT count(*) AS n FROM notes",
    )
    assert answers[0] == {"rows_affected": 10}
    assert len(answers[1]) == 2
    assert answers[1].cut == "Cut at 2 rows: these are the first 2, the answer has 5."
    assert answers[2] == [{"n": 5}]
    assert answers[3] == answers[4] == {"rows_affected": 0}
    assert answers[6] == [{"n": 500}]


def test_a_failing_statement_is_rolled_back_and_named(dsn: str) -> None:
    writing = SqlConnection(dsn, read_only=False)
    with pytest.raises(BodyError, match="refused the statement") as refused:
        asked(writing, "INSERT INTO notes SELECT CASE WHEN id = 500 THEN 1 ELSE id + 1000 END, text FROM notes")
    assert refused.value.kinds == ("database",)
    assert not refused.value.unknown
    response = refused.value.scope["response"]
    assert response["code"] in ("23505", "SQLITE_CONSTRAINT_PRIMARYKEY")
    assert asked(writing, "SELECT count(*) AS n FROM notes") == [[{"n": 500}]]


def test_statements_run_at_once_and_from_several_loops(dsn: str) -> None:
    connection = SqlConnection(dsn, connections=2)
    seen: list[Any] = []

    async def ask() -> None:
        seen.extend(await asyncio.gather(*(connection.query("SELECT count(*) AS n FROM notes") for _ in range(6))))

    threads = [threading.Thread(target=lambda: asyncio.run(ask())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert seen == [[{"n": 500}]] * 18
    asyncio.run(connection.close())


def test_a_closed_connection_opens_again(dsn: str) -> None:
    connection = SqlConnection(dsn)
    assert asked(connection, "SELECT 1 AS a") == asked(connection, "SELECT 1 AS a") == [[{"a": 1}]]


def test_a_connection_that_nobody_holds_is_closed(dsn: str) -> None:
    from sqlalchemy import event

    connection = SqlConnection(dsn)
    assert run_sync(connection.query("SELECT 1 AS a")) == [{"a": 1}]
    assert connection._opened is not None
    closed: list[object] = []
    event.listen(connection._opened[1], "close", lambda raw, _: closed.append(raw))
    del connection
    gc.collect()
    assert len(closed) == 1


ENDLESS = {
    "sqlite": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) AS n FROM c",
    "postgresql": "SELECT pg_sleep(60)",
}


def test_a_statement_ends_when_its_time_is_up(dsn: str, all_ended: Callable[[], None]) -> None:
    connection = SqlConnection(dsn, timeout="300ms")
    begun = time.monotonic()
    with pytest.raises(BodyError, match=r"within 0\.3 s; nothing was changed") as late:
        asked(connection, ENDLESS[dsn.split(":")[0]])
    assert time.monotonic() - begun < 5
    assert late.value.kinds == ("timeout",)
    assert late.value.transient
    all_ended()


def test_a_cancelled_statement_is_stopped_and_rolled_back(dsn: str, all_ended: Callable[[], None]) -> None:
    connection = SqlConnection(dsn, read_only=False)
    writing = (
        "INSERT INTO notes WITH RECURSIVE c(x) AS (SELECT 501 UNION ALL SELECT x + 1 FROM c) SELECT x, 'n' FROM c"
        if dsn.startswith("sqlite")
        else "INSERT INTO notes SELECT 1000 + i, pg_sleep(0.01)::text FROM generate_series(1, 100000) i"
    )

    async def ask() -> Any:
        task = asyncio.create_task(connection.query(writing))
        await asyncio.sleep(0.3)  # time to begin: it would go on for a long while
        assert not task.done()
        begun = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - begun < 3
        return await connection.query("SELECT count(*) AS n FROM notes")

    assert asyncio.run(asyncio.wait_for(ask(), LONG)) == [{"n": 500}]
    asyncio.run(connection.close())
    all_ended()


def test_cancelling_ends_the_query_at_the_server(server: Server, all_ended: Callable[[], None]) -> None:
    busy = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'clerk' AND state = 'active'"
    connection = SqlConnection(server.dsn("clerk", "office"))

    async def until(count: int) -> None:
        for _ in range(500):
            if (await asyncio.to_thread(server.rows, busy)) == [(count,)]:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"not {count} active")

    async def ask() -> None:
        tasks = [asyncio.create_task(connection.query("SELECT pg_sleep(60)")) for _ in range(3)]
        await until(3)
        for task in tasks:
            task.cancel()
        await until(0)
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True)
        )

    asyncio.run(asyncio.wait_for(ask(), LONG))
    asyncio.run(connection.close())
    all_ended()


def test_a_server_that_does_not_even_stop_is_left(server: Server, all_ended: Callable[[], None]) -> None:
    connection = SqlConnection(server.dsn("clerk", "office"))
    busy = "SELECT pid FROM pg_stat_activity WHERE usename = 'clerk' AND state = 'active'"

    async def ask() -> float:
        task = asyncio.create_task(connection.query("SELECT pg_sleep(60)"))
        for _ in range(500):
            if found := await asyncio.to_thread(server.rows, busy):
                break
            await asyncio.sleep(0.01)
        os.kill(found[0][0], signal.SIGSTOP)
        try:
            begun = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return time.monotonic() - begun
        finally:
            os.kill(found[0][0], signal.SIGCONT)

    assert asyncio.run(asyncio.wait_for(ask(), LONG)) < 4
    asyncio.run(connection.close())
    all_ended()


def test_a_connection_that_is_lost_while_committing_leaves_the_outcome_unknown(server: Server) -> None:
    server.rows(
        """CREATE FUNCTION ends() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
           $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$""",
        database="office",
    )
    server.rows(
        """CREATE CONSTRAINT TRIGGER ends AFTER UPDATE ON notes DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION ends()""",
        database="office",
    )
    try:
        with pytest.raises(BodyError) as lost:
            asked(
                SqlConnection(server.dsn("clerk", "office"), read_only=False), "UPDATE notes SET id = 1 WHERE id = 1"
            )
    finally:
        server.rows("DROP FUNCTION ends CASCADE", database="office")
    assert lost.value.kinds == ("unreachable",)
    assert lost.value.unknown


def test_the_next_statement_finds_nothing_of_the_one_before(server: Server) -> None:
    reading = SqlConnection(server.dsn("clerk", "office"), connections=1)
    pid, *_, after = asked(
        reading,
        "SELECT pg_backend_pid() AS pid",
        "SELECT pg_advisory_lock(1), set_config('work_mem', '1MB', false), set_config('search_path', 'x', false)",
        "SELECT set_config('default_transaction_read_only', 'off', false), set_config('role', 'clerk', false)",
        """SELECT pg_backend_pid() AS pid,
           current_setting('work_mem') AS memory, current_setting('search_path') AS path,
           current_setting('transaction_read_only') AS read_only, txid_current_if_assigned() AS changed,
           (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') AS locks,
           (SELECT count(*) FROM pg_cursors) AS cursors, (SELECT count(*) FROM pg_prepared_statements) AS prepared""",
    )
    assert after == [
        {
            "pid": pid[0]["pid"],
            "memory": "4MB",
            "path": '"$user", public',
            "read_only": "on",
            "changed": None,
            "locks": 0,
            "cursors": 1,
            "prepared": 0,
        }
    ]


def test_settings_and_temporary_tables_of_a_writing_statement_are_gone_too(server: Server) -> None:
    writing = SqlConnection(server.dsn("clerk", "office"), read_only=False, connections=1)
    *_, after = asked(
        writing,
        "CREATE TEMPORARY TABLE mine (a int)",
        "SET work_mem = '1MB'",
        "PREPARE mine AS SELECT 1",
        "LISTEN mine",
        """SELECT current_setting('work_mem') AS memory, to_regclass('mine') AS mine,
           (SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine') AS prepared,
           (SELECT count(*) FROM pg_listening_channels()) AS listening""",
    )
    assert after == [{"memory": "4MB", "mine": None, "prepared": 0, "listening": 0}]


def test_what_runs_row_by_row_runs_for_all_rows_on_a_writable_connection(server: Server) -> None:
    server.rows(
        """CREATE FUNCTION touch(int) RETURNS int LANGUAGE sql AS
           $$ UPDATE notes SET text = text WHERE id = $1 RETURNING id $$""",
        database="office",
    )
    writing = SqlConnection(server.dsn("clerk", "office"), read_only=False, max_rows=2)
    newest = "SELECT count(*) AS n FROM notes WHERE xmin::text = (SELECT max(xmin::text::bigint) FROM notes)::text"
    before, rows, after = asked(
        writing,
        "UPDATE notes SET text = text WHERE id = 1",
        "SELECT touch(id) FROM notes ORDER BY id",
        newest,
    )
    assert before == {"rows_affected": 1}
    assert len(rows) == 2
    assert rows.cut.endswith("the answer has 500.")
    assert after == [{"n": 500}]


def test_a_server_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    for address in ("postgresql://a:b@127.0.0.1:9/x", f"sqlite:///{tmp_path}/none.db"):
        with pytest.raises(BodyError) as gone:
            asked(SqlConnection(address), "SELECT 1")
        assert gone.value.kinds == ("unreachable",)
        assert gone.value.transient


def test_a_full_pool_lets_the_others_wait_their_time(server: Server) -> None:
    connection = SqlConnection(server.dsn("clerk", "office"), connections=1, timeout=0.5)

    async def ask() -> list[Any]:
        statements = (connection.query("SELECT pg_sleep(60)") for _ in range(2))
        return await asyncio.gather(*statements, return_exceptions=True)

    ends = asyncio.run(asyncio.wait_for(ask(), LONG))
    assert [end.kinds for end in ends] == [("timeout",), ("timeout",)]
    asyncio.run(connection.close())


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("INSERT INTO notes VALUES (1, 'a')", "begins with INSERT, and the connection is read-only"),
        ("/* SELECT */ (( DELETE FROM notes", "begins with DELETE"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("SELECT 1 /* /* */ SELECT 2 */", "a comment begins inside of a comment"),
        ("SELECT 'a", "is opened and never closed"),
        ("SELECT $1", "stands for no value"),
        ("SELECT :a", "no value for :a"),
        ("", "is empty"),
        ("-- nothing", "is empty"),
        ("SELECT '\0'", "NUL"),
    ],
)
def test_a_statement_that_cannot_be_sent_is_told_to_who_wrote_it(statement: str, told: str, tmp_path: Path) -> None:
    connection = SqlConnection(f"sqlite:///{tmp_path}/none.db")  # it is not even opened
    with pytest.raises(ToolError, match=told):
        asyncio.run(connection.query(statement))


@pytest.mark.parametrize(
    ("dsn", "told"),
    [
        ("mysql://a:secret-word@b/c", "no address of a database"),
        ("orders.db", "no address of a database"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///a.db?mode=rwc", "names no file"),
        ("{{ secrets.other }}", "there is no secrets.other"),
        ("{{ args.dsn }}", "names 'args'"),
    ],
)
def test_an_address_that_cannot_be_used_is_a_fault_of_its_key(dsn: str, told: str) -> None:
    with pytest.raises(ToolDefinitionError, match=told) as refused:
        SqlConnection(dsn, secrets=Secrets({"dsn": Secret("dsn", env="DSN")}))
    assert refused.value.faults[0].key == ("sql", "dsn")
    assert "secret-word" not in str(refused.value)


def test_all_that_is_wrong_with_a_connection_is_said_at_once() -> None:
    with pytest.raises(ToolDefinitionError) as refused:
        SqlConnection("mysql://", max_rows=0, max_bytes="much", timeout="-1s", connections=-1)
    keys = [fault.key[-1] for fault in refused.value.faults]
    assert keys == ["dsn", "max_rows", "max_bytes", "timeout", "connections"]


def test_an_address_comes_from_a_secret_and_is_shown_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = Secrets({"dsn": Secret("dsn", env="ORDERS_DSN"), "word": Secret("word", env="ORDERS_WORD")})
    connection = SqlConnection("{{ secrets.dsn }}", secrets=secrets, read_only=False)
    assert connection.unavailable() == "the variable ORDERS_DSN is not set"
    with pytest.raises(SecretMissing):
        asked(connection, "SELECT 1")
    monkeypatch.setenv("ORDERS_DSN", f"sqlite:///{tmp_path}/orders.db")
    assert connection.unavailable() is None
    assert asked(connection, "SELECT 1 AS a") == [[{"a": 1}]]
    assert repr(connection) == "<SqlConnection [secret dsn]>"
    monkeypatch.setenv("ORDERS_DSN", "mysql://root:secret-word@host/x")
    with pytest.raises(ToolDefinitionError, match=r"\[secret dsn\] is no address") as refused:
        asked(connection, "SELECT 1 AS a")
    assert "secret-word" not in str(refused.value)
    half = SqlConnection("postgresql://bot:{{ secrets.word }}@db/orders", secrets=secrets)
    assert half.shown == "postgresql://bot:***@db/orders"


def test_the_file_of_an_address_may_come_from_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a b%20c.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE t AS SELECT 7 AS n")
    monkeypatch.setenv("THE_FILE", str(file))
    connection = SqlConnection(
        "sqlite:///{{ secrets.file }}", secrets=Secrets({"file": Secret("file", env="THE_FILE")})
    )
    assert connection.unavailable() is None
    assert asked(connection, "SELECT n FROM t") == [[{"n": 7}]]


def test_the_logs_of_the_libraries_hold_no_secret(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    for library in ("sqlalchemy", "psycopg"):
        caplog.set_level(1, library)
    remember("token", "a-t0ken-that-is-a-value")
    connection = SqlConnection(dsn, read_only=False)
    (rows,) = asked(connection, "SELECT :token AS said", token="a-t0ken-that-is-a-value")
    assert rows == [{"said": "a-t0ken-that-is-a-value"}]
    assert "sqlalchemy.engine.Engine" in {record.name for record in caplog.records}
    assert "[secret token]" in caplog.text
    assert "a-t0ken" not in caplog.text


def test_a_password_in_a_secret_may_hold_any_character(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    password = "a@b:c/d e%20?#[x]"
    server.rows(f"CREATE ROLE odd LOGIN PASSWORD '{password}'")
    monkeypatch.setenv("ODD", password)
    address = f"postgres://odd:{{{{ secrets.word }}}}@127.0.0.1:{server.port}/postgres"
    connection = SqlConnection(address, secrets=Secrets({"word": Secret("word", env="ODD")}))
    assert asked(connection, "SELECT current_user AS me") == [[{"me": "odd"}]]
    server.rows("DROP ROLE odd")


def test_a_missing_file_makes_a_read_only_connection_unavailable(tmp_path: Path) -> None:
    assert SqlConnection(f"sqlite:///{tmp_path}/a.db").unavailable() == f"there is no database {tmp_path}/a.db"
    assert SqlConnection(f"sqlite:///{tmp_path}/a.db", read_only=False).unavailable() is None
    assert not (tmp_path / "a.db").exists()


def test_bytes_are_text_where_they_are_text() -> None:
    assert as_json(b"caf\xc3\xa9") == "café"
    assert as_json(b"\xff\x00") == r"\xff00"
    assert as_json(float("nan")) == "nan"


def test_rows_are_a_list() -> None:
    assert Rows([{"a": 1}]) == [{"a": 1}]
