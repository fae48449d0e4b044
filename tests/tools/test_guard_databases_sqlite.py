"""What a read-only connection to a SQLite file keeps a statement from, seen from outside."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from gemmagraph.tools.errors import BodyError, ToolDefinitionError, ToolError
from gemmagraph.tools.guards.databases import Answer, SqlConnection
from gemmagraph.tools.guards.databases_running import Running
from gemmagraph.tools.guards.databases_sqlite import Sqlite

SHOP = """
    CREATE TABLE accounts (id INTEGER PRIMARY KEY, owner TEXT, amount REAL);
    INSERT INTO accounts VALUES (1, 'ann', 1), (2, 'bob', 2), (3, 'cy', 3);
    CREATE VIEW rich AS SELECT * FROM accounts WHERE amount > 1;
    CREATE TRIGGER written AFTER UPDATE ON accounts BEGIN DELETE FROM accounts; END;
    CREATE VIRTUAL TABLE words USING fts5(text);
    INSERT INTO words VALUES ('the quick brown fox');
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.executescript(SHOP)
    return tmp_path / "shop.db"


def state(folder: Path) -> dict[str, str]:
    return {file.name: sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def asked(shop: Path, statement: str, *, read_only: bool = True, timeout: float = 1.0, **values: object) -> Answer:
    async def ask() -> Answer:
        connection = SqlConnection(f"sqlite:///{shop}", read_only=read_only, timeout=timeout)
        try:
            return await connection.query(statement, values)
        finally:
            await connection.close()

    return asyncio.run(asyncio.wait_for(ask(), 20))


HARM = {
    "insert": "INSERT INTO accounts VALUES (9, 'me', 9)",
    "replace": "REPLACE INTO accounts VALUES (1, 'me', 9)",
    "update": "UPDATE accounts SET amount = 0",
    "update through a view": "UPDATE rich SET amount = 0",
    "delete": "DELETE FROM accounts",
    "insert behind with": "WITH x AS (SELECT 9) INSERT INTO accounts (id) SELECT * FROM x",
    "delete behind with": "WITH x AS (SELECT 1 AS id) DELETE FROM accounts WHERE id IN (SELECT id FROM x)",
    "returning": "UPDATE accounts SET amount = 0 RETURNING id",
    "explain": "EXPLAIN DELETE FROM accounts",
    "create table": "CREATE TABLE mine (a)",
    "create temporary table": "CREATE TEMP TABLE mine AS SELECT * FROM accounts",
    "create index": "CREATE INDEX mine ON accounts (owner)",
    "create view": "CREATE VIEW mine AS SELECT 1",
    "create temporary trigger": "CREATE TEMP TRIGGER mine AFTER INSERT ON accounts BEGIN SELECT 1; END",
    "create virtual table": "CREATE VIRTUAL TABLE mine USING fts5(a)",
    "drop table": "DROP TABLE accounts",
    "drop view": "DROP VIEW rich",
    "drop trigger": "DROP TRIGGER written",
    "alter": "ALTER TABLE accounts RENAME TO mine",
    "add column": "ALTER TABLE accounts ADD COLUMN mine",
    "attach": "ATTACH DATABASE '{folder}/mine.db' AS mine",
    "attach an URI": "ATTACH 'file:{folder}/mine.db?mode=rwc' AS mine",
    "attach another": "ATTACH '{folder}/other.db' AS mine",
    "detach": "DETACH main",
    "vacuum": "VACUUM",
    "vacuum into": "VACUUM INTO '{folder}/mine.db'",
    "reindex": "REINDEX",
    "analyze": "ANALYZE",
    "begin": "BEGIN EXCLUSIVE",
    "commit": "COMMIT",
    "savepoint": "SAVEPOINT mine",
    "journal": "PRAGMA journal_mode = WAL",
    "query_only": "PRAGMA query_only = OFF",
    "schema": "PRAGMA writable_schema = ON",
    "version": "PRAGMA user_version = 7",
    "application": "PRAGMA application_id(7)",
    "checkpoint": "PRAGMA wal_checkpoint(TRUNCATE)",
    "optimize": "PRAGMA optimize",
    "encoding": "PRAGMA encoding = 'UTF-16'",
    "temporary folder": "PRAGMA temp_store_directory = '{folder}'",
    "vacuum step": "PRAGMA incremental_vacuum",
    "pragma in a query": "SELECT * FROM pragma_user_version, pragma_journal_mode('WAL')",
    "load": "SELECT load_extension('{folder}/mine.so')",
    "read a file": "SELECT readfile('/etc/hostname')",
    "write a file": "SELECT writefile('{folder}/mine', 'x')",
    "edit": "SELECT edit('x', 'touch {folder}/mine')",
    "tokenizer": "SELECT fts3_tokenizer('mine', x'0000000000000000')",
    "full text": "INSERT INTO words(words, rank) VALUES ('rank', 'bm25(10.0)')",
    "shadow table": "DELETE FROM words_data",
    "master": "DELETE FROM sqlite_master",
    "two statements": "SELECT 1; DELETE FROM accounts",
    "two statements, hidden": "SELECT 1 /* ; */; DELETE FROM accounts -- ",
    "endless": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
    "endless rows": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT 1 FROM c WHERE x < 0",
    "huge text": "SELECT length(group_concat(a.owner || zeroblob(30000000))) FROM accounts a, accounts b, accounts c",
    "huge blob": "SELECT randomblob(2000000000)",
    "slow pattern": "SELECT 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' REGEXP '(a+)+$'",
    "long pattern": "SELECT replace(hex(zeroblob(5000)), '0', 'a') LIKE replace(hex(zeroblob(5000)), '0', '%a')",
}


@pytest.mark.parametrize("name", HARM)
def test_a_statement_on_a_read_only_connection_has_no_effect(name: str, shop: Path) -> None:
    with closing(sqlite3.connect(shop.parent / "other.db")) as other:
        other.executescript("CREATE TABLE secrets (a); INSERT INTO secrets VALUES ('hidden')")
    before = state(shop.parent)
    begun = time.monotonic()
    with pytest.raises((ToolError, ToolDefinitionError)):
        asked(shop, HARM[name].replace("{folder}", str(shop.parent)))
    assert time.monotonic() - begun < 10
    assert state(shop.parent) == before


@pytest.mark.parametrize("name", [name for name in HARM if not name.startswith("two statements")])
def test_it_is_the_database_that_refuses_it(name: str, shop: Path) -> None:
    before = state(shop.parent)
    sqlite = Sqlite(shop, read_only=True, connections=1)
    engine = sqlite.engine()
    connection = engine.raw_connection()
    raw = connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    sqlite.begin(raw, Running(0.5))
    with pytest.raises(sqlite3.Error):
        raw.execute(HARM[name].replace("{folder}", str(shop.parent))).fetchall()
    sqlite.clean(raw)
    # Nothing is left behind for the next one either.
    assert not raw.in_transaction
    assert raw.execute("SELECT count(*) FROM accounts").fetchall() == [(3,)]
    connection.close()
    engine.dispose()
    assert state(shop.parent) == before


LASTING = """insert, replace, update, delete, insert behind with, delete behind with, returning, create table,
    create index, create view, create virtual table, drop table, drop view, drop trigger, alter, add column,
    attach, vacuum into, analyze, journal, version, application, full text, shadow table"""


@pytest.mark.parametrize("name", re.split(r",\s+", LASTING))
def test_its_effect_is_seen_on_an_unguarded_connection(name: str, shop: Path) -> None:
    before = state(shop.parent)
    with closing(sqlite3.connect(shop, isolation_level=None)) as connection:
        connection.execute(HARM[name].replace("{folder}", str(shop.parent))).fetchall()
    assert state(shop.parent) != before


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        ("SELECT owner FROM rich ORDER BY id", [{"owner": "bob"}, {"owner": "cy"}]),
        ("VALUES (1, 2)", [{"column1": 1, "column2": 2}]),
        ("SELECT text FROM words WHERE words MATCH 'quick'", [{"text": "the quick brown fox"}]),
        ("PRAGMA user_version", [{"user_version": 0}]),
        ("SELECT name FROM pragma_table_info('accounts') LIMIT 1", [{"name": "id"}]),
        ("SELECT value FROM json_each('[1, 2]')", [{"value": 1}, {"value": 2}]),
        (
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 2) SELECT x FROM c",
            [{"x": 1}, {"x": 2}],
        ),
        (
            "SELECT group_concat(owner ORDER BY id) AS a FROM accounts"
            if sqlite3.sqlite_version_info >= (3, 44)
            else "SELECT group_concat(owner) AS a FROM accounts",
            [{"a": "ann,bob,cy"}],
        ),
    ],
)
def test_what_reads_is_answered(statement: str, answer: object, shop: Path) -> None:
    assert asked(shop, statement) == answer


@pytest.mark.parametrize("statement", [HARM["attach"], HARM["attach another"], HARM["load"], HARM["slow pattern"]])
def test_a_writable_connection_reaches_no_other_file_either(statement: str, shop: Path) -> None:
    before = state(shop.parent)
    with pytest.raises(BodyError, match=r"authorized|too many attached"):
        asked(shop, statement.replace("{folder}", str(shop.parent)), read_only=False)
    assert state(shop.parent) == before


def test_a_file_in_wal_mode_is_read_while_another_connection_writes(shop: Path) -> None:
    with closing(sqlite3.connect(shop, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM accounts WHERE id = 1")
        assert asked(shop, "SELECT count(*) AS n FROM accounts") == [{"n": 3}]
        writer.execute("COMMIT")
        assert asked(shop, "SELECT count(*) AS n FROM accounts") == [{"n": 2}]


def test_a_writer_waits_for_another_and_gives_up_in_time(shop: Path) -> None:
    with closing(sqlite3.connect(shop, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BodyError) as late:
            asked(shop, "DELETE FROM accounts", read_only=False, timeout=0.2)
        assert late.value.kinds == ("timeout",)
        with pytest.raises(BodyError) as late:
            asked(shop, "SELECT * FROM accounts", timeout=0.2)
        assert late.value.kinds == ("timeout",)
        writer.execute("ROLLBACK")
    assert asked(shop, "DELETE FROM accounts WHERE id = 1", read_only=False) == {"rows_affected": 1}
