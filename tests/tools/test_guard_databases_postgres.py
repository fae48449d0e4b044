"""What a read-only connection to PostgreSQL keeps a statement from, seen from outside by another connection.

Needs PostgreSQL's programs: see tests/postgres.py.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gemmagraph.tools.errors import BodyError, ToolDefinitionError, ToolError
from gemmagraph.tools.guards.databases import SqlConnection
from gemmagraph.tools.guards.databases_postgres import UnsafeRole

sys.path.append(str(Path(__file__).parent.parent))
pytest_plugins = ("postgres",)

if TYPE_CHECKING:
    from postgres import Server

SHOP = """
    CREATE EXTENSION dblink;
    CREATE TABLE accounts (id int PRIMARY KEY, owner text, amount numeric);
    INSERT INTO accounts SELECT i, 'owner ' || i, i FROM generate_series(1, 5) i;
    CREATE TABLE "odd ""name" (a int);
    CREATE SEQUENCE numbers;
    CREATE VIEW rich AS SELECT * FROM accounts WHERE amount > 3;
    CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM accounts;
    CREATE FUNCTION attempt(statement text) RETURNS text LANGUAGE plpgsql AS
        $$ BEGIN EXECUTE statement; RETURN 'done'; END $$;
    CREATE FUNCTION raised() RETURNS int LANGUAGE sql AS
        $$ UPDATE accounts SET amount = amount + 1; SELECT 1 $$;
    CREATE PROCEDURE raises() LANGUAGE plpgsql AS $$ BEGIN UPDATE accounts SET amount = 0; COMMIT; END $$;
    SELECT lo_from_bytea(4242, 'large');
    GRANT ALL ON LARGE OBJECT 4242 TO reader;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO reader;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO reader;
    GRANT CREATE ON SCHEMA public TO reader;
    ALTER TABLE accounts OWNER TO reader;
"""
"""`reader` may change everything: nothing but the connection's being read-only stands between."""
LOCKDOWN = """
    DO $$ DECLARE f regprocedure; BEGIN
        FOR f IN SELECT objid::regprocedure FROM pg_depend WHERE classid = 'pg_proc'::regclass AND deptype = 'e'
            AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'dblink')
        LOOP EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f); END LOOP; END $$
"""
STATE = {
    "accounts": "SELECT id, owner, amount FROM accounts ORDER BY id",
    "catalog": "SELECT relname, relkind, relnatts, relowner, reltuples FROM pg_class ORDER BY 1, 2, oid",
    "functions": "SELECT proname, proowner FROM pg_proc ORDER BY 1, 2, oid",
    "sequence": "SELECT last_value, is_called FROM numbers",
    "roles": "SELECT rolname, rolsuper, rolcanlogin, rolconfig FROM pg_roles ORDER BY 1",
    "databases": "SELECT datname, datconnlimit FROM pg_database ORDER BY 1",
    "settings": "SELECT setdatabase, setrole, setconfig FROM pg_db_role_setting ORDER BY 1, 2",
    "server": "SELECT name, setting FROM pg_file_settings ORDER BY 1, 2",
    "objects": "SELECT count(*) FROM pg_largeobject_metadata",
    "comments": "SELECT count(*) FROM pg_description",
    "privileges": "SELECT relname, relacl::text FROM pg_class WHERE relacl IS NOT NULL ORDER BY 1",
    "servers": "SELECT srvname FROM pg_foreign_server",
    "extensions": "SELECT extname FROM pg_extension ORDER BY 1",
    "prepared": "SELECT gid FROM pg_prepared_xacts ORDER BY 1",
    "slots": "SELECT slot_name FROM pg_replication_slots ORDER BY 1",
    "advisory": "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
    "victim": "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'victim'",
    "active": "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND state <> 'idle'",
    "planner": "SELECT count(*) FROM pg_statistic",
}


@dataclass
class Shop:
    """A database, and all that a statement could change about it or around it."""

    server: Server
    folder: Path
    port: int
    """Somebody listens there."""
    watch: Any
    """The administrator's connection, which hears notifications."""
    visits: list[Any] = field(default_factory=list)

    def state(self, connection: Any = None) -> dict[str, Any]:
        """As the administrator sees it, once no session of the reader's is ending any more."""
        self.until_gone("usename = 'reader'")
        seen: dict[str, Any] = {name: _seen(connection or self.watch, text) for name, text in STATE.items()}
        seen["files"] = sorted(path.name for path in self.folder.iterdir())
        seen["visits"] = len(self.visits)
        return seen

    def until_gone(self, sessions: str) -> None:
        """Waits for the end of sessions: the server takes its time for it."""
        for _ in range(500):
            if not self.watch.execute(f"SELECT 1 FROM pg_stat_activity WHERE {sessions}").fetchall():
                break
            self.watch.execute("SELECT pg_sleep(0.01)")

    def restore(self) -> None:
        """Takes back what the administrator did."""
        self.server.rows("DROP DATABASE control WITH (FORCE)")
        self.server.rows("DROP ROLE IF EXISTS mine")
        self.server.rows("ALTER ROLE reader RESET ALL")
        self.server.rows("ALTER SYSTEM RESET ALL")
        self.server.rows("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        for file in self.folder.iterdir():
            file.unlink()


def _seen(connection: Any, text: str) -> Any:
    import psycopg

    try:
        return connection.execute(text).fetchall()
    except psycopg.Error as gone:
        return str(gone)


@pytest.fixture(scope="module")
def shop(postgres: Server) -> Iterator[Shop]:
    folder = postgres.folder / "data" / "outside"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        visits: list[Any] = []

        def count() -> None:
            with suppress(OSError):
                while True:
                    visitor, place = listener.accept()
                    visits.append(place)
                    visitor.close()

        threading.Thread(target=count, daemon=True).start()
        postgres.rows("CREATE ROLE reader LOGIN PASSWORD 'correct horse battery'")
        postgres.rows("CREATE DATABASE original OWNER reader")
        with postgres.connection(database="original") as connection:
            connection.execute(SHOP)
            connection.execute(LOCKDOWN)
        postgres.rows("CREATE DATABASE shop TEMPLATE original OWNER reader")
        with postgres.connection(database="shop") as watch:
            watch.execute("LISTEN news")
            yield Shop(postgres, folder, listener.getsockname()[1], watch, visits)
        listener.shutdown(socket.SHUT_RDWR)
        postgres.rows("DROP DATABASE shop WITH (FORCE)")
        postgres.rows("DROP DATABASE original")
        postgres.rows("DROP ROLE reader")


@pytest.fixture
def victim(shop: Shop) -> Iterator[int]:
    """The process of somebody else's session."""
    import psycopg

    with psycopg.connect(shop.server.dsn(database="shop"), application_name="victim", autocommit=True) as connection:
        yield connection.info.backend_pid
        with suppress(psycopg.Error):
            connection.close()
    shop.until_gone("application_name = 'victim'")


HARM = {
    "insert": "INSERT INTO accounts VALUES (99, 'me', 1)",
    "update": "UPDATE accounts SET amount = 0",
    "delete": "DELETE FROM accounts",
    "merge": "MERGE INTO accounts a USING (SELECT 1 AS id) s ON a.id = s.id WHEN MATCHED THEN DELETE",
    "truncate": "TRUNCATE accounts",
    "insert in with": "WITH x AS (INSERT INTO accounts VALUES (99, 'me', 1) RETURNING id) SELECT * FROM x",
    "update by a function": "SELECT raised()",
    "call that commits": "CALL raises()",
    "block": "DO $$ BEGIN UPDATE accounts SET amount = 0; END $$",
    "block made to write": "DO $$ BEGIN SET TRANSACTION READ WRITE; UPDATE accounts SET amount = 0; END $$",
    "setting, then function": "SELECT set_config('transaction_read_only', 'off', false), raised()",
    "two statements": "SELECT 1; COMMIT; UPDATE accounts SET amount = 0",
    "two statements, hidden": "SELECT 1 /* ' */; COMMIT; UPDATE accounts SET amount = 0 --'",
    "commit and go on": "COMMIT; BEGIN READ WRITE; DELETE FROM accounts; COMMIT",
    "explain analyze": "EXPLAIN ANALYZE DELETE FROM accounts",
    "create table": "CREATE TABLE mine (a int)",
    "select into": "SELECT 1 AS a INTO mine",
    "create table as": "CREATE TABLE mine AS SELECT * FROM accounts",
    "create function": "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "drop": "DROP TABLE accounts CASCADE",
    "alter": "ALTER TABLE accounts ADD COLUMN mine int",
    "index": "CREATE INDEX mine ON accounts (owner)",
    "comment": "COMMENT ON TABLE accounts IS 'mine'",
    "grant": "GRANT ALL ON accounts TO PUBLIC",
    "refresh": "ALTER MATERIALIZED VIEW seen RENAME TO mine",
    "nextval": "SELECT nextval('numbers')",
    "setval": "SELECT setval('numbers', 1000)",
    "role": "CREATE ROLE mine SUPERUSER LOGIN",
    "setting of the role": "ALTER ROLE reader SET search_path = 'mine'",
    "setting of the server": "ALTER SYSTEM SET work_mem = '64MB'",
    "large object": "SELECT lo_from_bytea(0, 'mine')",
    "large object from a file": "SELECT lo_import('/etc/hostname')",
    "large object to a file": "SELECT lo_export(4242, '{folder}/mine')",
    "copy to a file": "COPY accounts TO '{folder}/mine'",
    "copy to a program": "COPY accounts TO PROGRAM 'cat > {folder}/mine'",
    "copy from a program": "COPY accounts FROM PROGRAM 'touch {folder}/mine; echo 7,me,1' (FORMAT csv)",
    "extension": "CREATE EXTENSION pg_trgm",
    "untrusted language": "CREATE FUNCTION mine(text) RETURNS int LANGUAGE c AS 'libc.so.6', 'system'",
    "another server": "SELECT dblink_connect('host=127.0.0.1 port={port} user=a password=b connect_timeout=2')",
    "this server again": "SELECT dblink_exec('host=127.0.0.1 port={own} dbname={database} user=reader "
    "password=''correct horse battery''', 'DELETE FROM accounts')",
    "foreign server": "CREATE SERVER mine FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host '127.0.0.1')",
    "end a session": "SELECT pg_terminate_backend({victim})",
    "advisory lock": "SELECT pg_advisory_lock(7)",
    "two-phase": "PREPARE TRANSACTION 'mine'",
    "replication slot": "SELECT pg_create_physical_replication_slot('mine')",
    "reload": "SELECT pg_reload_conf(), pg_rotate_logfile(), pg_switch_wal()",
    "notify": "SELECT pg_notify('news', 'mine')",
    "sleep": "SELECT pg_sleep(60)",
    "sleep without limit": "SELECT set_config('statement_timeout', '0', true) UNION ALL SELECT pg_sleep(60)::text",
    "busy": "SELECT count(*) FROM generate_series(1, 100000000000) a",
    "session's limit": "SET SESSION statement_timeout = 0",
    "xml": "SELECT query_to_xml('DELETE FROM accounts RETURNING 1', true, true, '')",
    "read a file": "SELECT pg_read_file('/etc/hostname')",
}


def filled(statement: str, shop: Shop, victim: int, database: str = "shop") -> str:
    own = shop.server.port
    values = {"folder": shop.folder, "port": shop.port, "own": own, "victim": victim, "database": database}
    for name, value in values.items():
        statement = statement.replace(f"{{{name}}}", str(value))
    return statement


def tried(shop: Shop, statement: str, **values: object) -> object:
    """What the model would be told."""

    async def ask() -> object:
        connection = SqlConnection(shop.server.dsn("reader", "shop"), timeout=0.5)
        try:
            return await connection.query(statement, values)
        except (ToolError, ToolDefinitionError) as refusal:
            return refusal
        finally:
            await connection.close()

    return asyncio.run(asyncio.wait_for(ask(), 20))


@pytest.mark.parametrize("how", ["as it is", "inside a function"])
@pytest.mark.parametrize("name", HARM)
def test_a_statement_on_a_read_only_connection_has_no_effect(name: str, how: str, shop: Shop, victim: int) -> None:
    statement = filled(HARM[name], shop, victim)
    before = shop.state()
    # Inside a function nothing of ours reads it: what holds it back is the database.
    told = tried(shop, statement) if how == "as it is" else tried(shop, "SELECT attempt(:s)", s=statement)
    assert shop.state() == before, told
    assert list(shop.watch.notifies(timeout=0)) == []


OF_NO_LASTING_EFFECT = {
    "setting, then function",  # a transaction that has begun to read cannot be made to write
    "two-phase",  # only within a transaction
    "block made to write",
    "two statements",
    "two statements, hidden",
    "commit and go on",
    "call that commits",
    "untrusted language",
    "notify",
    "reload",
    "sleep",
    "sleep without limit",
    "busy",
    "session's limit",
    "read a file",
    "xml",  # reads only, by itself
}


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in HARM if name not in OF_NO_LASTING_EFFECT])
def test_its_effect_is_seen_when_the_administrator_runs_it(name: str, shop: Shop, victim: int) -> None:
    shop.server.rows("CREATE DATABASE control TEMPLATE original")
    try:
        with shop.server.connection(database="control") as watch:
            before = shop.state(watch)
            with shop.server.connection(database="control") as connection:
                with suppress(Exception):
                    connection.execute(filled(HARM[name], shop, victim, "control"))
                assert shop.state(watch) != before
    finally:
        shop.restore()


def test_an_owner_can_refresh_what_the_planner_knows_but_only_in_a_function_that_runs_any_text(shop: Shop) -> None:
    assert isinstance(tried(shop, "ANALYZE accounts"), ToolError)
    before = shop.state()
    tried(shop, "SELECT attempt('ANALYZE accounts')")
    after = shop.state()
    assert before.pop("catalog") != after.pop("catalog")
    assert after == before


def test_a_role_can_end_its_own_sessions_and_the_next_statement_gets_a_new_one(shop: Shop) -> None:
    async def ask() -> object:
        connection = SqlConnection(shop.server.dsn("reader", "shop"))
        try:
            with pytest.raises(BodyError) as ended:
                await connection.query("SELECT pg_terminate_backend(pg_backend_pid())")
            assert ended.value.kinds == ("unreachable",)
            assert ended.value.transient
            return await connection.query("SELECT 1 AS one")
        finally:
            await connection.close()

    assert asyncio.run(ask()) == [{"one": 1}]


@pytest.mark.parametrize(
    ("role", "named"),
    [
        ("postgres", "a superuser role"),
        ("heir", "a member of postgres"),
        ("copier", "a role with REPLICATION"),
        ("runs", "a member of pg_execute_server_program"),
        ("reads", "a member of pg_read_server_files"),
        ("writes", "a member of pg_write_server_files"),
        ("signals", "a member of pg_signal_backend"),
        ("indirectly", "a member of pg_execute_server_program"),
    ],
)
def test_a_role_that_a_read_only_transaction_does_not_hold_is_refused(role: str, named: str, shop: Shop) -> None:
    if role != "postgres":
        shop.server.rows(f"CREATE ROLE {role} LOGIN NOINHERIT PASSWORD 'correct horse battery'")
        grants = {
            "heir": "GRANT postgres TO heir",
            "copier": "ALTER ROLE copier REPLICATION",
            "runs": "GRANT pg_execute_server_program TO runs",
            "reads": "GRANT pg_read_server_files TO reads",
            "writes": "GRANT pg_write_server_files TO writes",
            "signals": "GRANT pg_signal_backend TO signals",
            "indirectly": "CREATE ROLE between; GRANT pg_execute_server_program TO between; "
            "GRANT between TO indirectly",
        }
        shop.server.rows(grants[role])
    connection = SqlConnection(shop.server.dsn(role, "shop"))
    with pytest.raises(UnsafeRole, match=named) as refused:
        asyncio.run(connection.query("SELECT 1"))
    assert "CREATE ROLE" in refused.value.hint
    assert "correct" not in str(refused.value)


def test_a_superuser_may_write_where_the_connection_says_so(shop: Shop) -> None:
    connection = SqlConnection(shop.server.dsn("postgres", "shop"), read_only=False)
    answer = asyncio.run(connection.query('INSERT INTO "odd ""name" VALUES (:a)', {"a": 1}))
    assert answer == {"rows_affected": 1}
    assert shop.watch.execute('DELETE FROM "odd ""name" RETURNING a').fetchall() == [(1,)]
    asyncio.run(connection.close())


def test_functions_that_reach_other_servers_are_refused_until_they_are_revoked(shop: Shop) -> None:
    server = shop.server
    server.rows("CREATE DATABASE linked")
    server.rows("CREATE EXTENSION dblink", database="linked")

    async def ask() -> object:
        connection = SqlConnection(server.dsn("reader", "linked"))
        try:
            return await connection.query("SELECT 1 AS one")
        finally:
            await connection.close()

    with pytest.raises(UnsafeRole, match="'dblink'") as refused:
        asyncio.run(ask())
    assert "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC" in refused.value.hint
    server.rows("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC", database="linked")
    assert asyncio.run(ask()) == [{"one": 1}]
