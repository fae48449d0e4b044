"""sqlite.yaml, postgres.yaml and notes.yaml, by the rows that are there afterwards.

PostgreSQL's programs are needed for some: see tests/postgres.py.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gemmagraph import Agent, Approve, Gemma, Reject
from gemmagraph.assistant import load_assistant
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.tools import ToolContext, run_sync

sys.path.append(str(Path(__file__).parent.parent))
pytest_plugins = ("postgres",)

if TYPE_CHECKING:
    from conftest import Toolset, Toolsets
    from postgres import Server

MADE = "CREATE TABLE customers (name text NOT NULL, city text, orders integer DEFAULT 0)"
ANN = "INSERT INTO customers VALUES ('Ann', 'Oslo', 3)"

Rows = Callable[[str], list[tuple[Any, ...]]]
Database = tuple["Toolset", Rows]


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, toolsets: Toolsets, tmp_path: Path) -> Iterator[Database]:
    """A toolset with a database, and what is in it as its administrator sees it."""
    if request.param == "sqlite":
        file = tmp_path / "shop.db"

        def rows(statement: str) -> list[tuple[Any, ...]]:
            with closing(sqlite3.connect(file)) as opened, opened:
                return opened.execute(statement).fetchall()

        for statement in (MADE, ANN):
            rows(statement)
        yield named(toolsets("sqlite", SQLITE_DSN=f"sqlite:///{file}"), "sqlite_"), rows
        return
    server: Server = request.getfixturevalue("postgres")
    server.rows("CREATE ROLE clerk LOGIN PASSWORD 'correct horse battery'")
    server.rows("CREATE DATABASE toolset OWNER clerk")
    try:
        for statement in (MADE, ANN, "ALTER TABLE customers OWNER TO clerk"):
            server.rows(statement, database="toolset")
        tools = toolsets("postgres", POSTGRES_DSN=server.dsn("clerk", "toolset"))
        yield named(tools, "postgres_"), lambda statement: server.rows(statement, database="toolset")
    finally:
        server.rows("DROP DATABASE toolset WITH (FORCE)")
        server.rows("DROP ROLE clerk")


def named(tools: Toolset, prefix: str) -> Toolset:
    """The tools by their names without what is the same of all."""
    return type(tools)({name.removeprefix(prefix): tool for name, tool in tools.items()})


def test_only_an_insert_asks(database: Database) -> None:
    assert database[0].asking == {"insert"}
    assert database[0].keys() == {"schema", "query", "insert"}


def test_the_schema_names_tables_and_columns(database: Database) -> None:
    told = str(database[0].told("schema"))
    assert all(word in told for word in ("customers", "name text", "city text", "orders integer"))


def test_a_query_gives_rows(database: Database) -> None:
    tools, _ = database
    told = tools.told("query", sql="SELECT name, orders + 1 AS next FROM customers WHERE city = 'Oslo'")
    assert [line.split() for line in told.replace("|", " ").splitlines() if "Ann" in line] == [["Ann", "4"]]


def test_an_inserted_row_is_in_the_table(database: Database) -> None:
    tools, rows = database
    tools.told("insert", table="customers", row={"name": "Bob'); DROP TABLE customers; --", "city": None})
    assert rows("SELECT name, city, orders FROM customers WHERE name <> 'Ann'") == [
        ("Bob'); DROP TABLE customers; --", None, 0)
    ]
    assert "Bob" in tools.told("query", sql="SELECT name FROM customers")


@pytest.mark.parametrize(
    "arguments",
    [
        {"table": "customers (name) VALUES ('Eve'); --", "row": {"name": "x"}},
        {"table": 'customers" (name) VALUES (1); --', "row": {"name": "x"}},
        {"table": "customers", "row": {"name) SELECT 'Eve'; --": "x"}},
        {"table": "customers", "row": {"name\") SELECT 'Eve'; --": "x"}},
        {"table": "customers", "row": {"name": None}},
        {"table": "customers", "row": {"nam": "x"}},
        {"table": "nowhere", "row": {"name": "x"}},
        {"table": "", "row": {"name": "x"}},
        {"table": "customers", "row": {}},
    ],
)
def test_an_insert_is_one_row_or_an_error(database: Database, arguments: dict[str, Any]) -> None:
    tools, rows = database
    tools.refused("insert", **arguments)
    assert rows("SELECT name FROM customers") == [("Ann",)]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO customers VALUES ('Eve', '', 0)",
        "UPDATE customers SET city = 'Rome'",
        "DELETE FROM customers",
        "DROP TABLE customers",
        "CREATE TABLE other (x text)",
        "SELECT 1; DELETE FROM customers",
        "WITH gone AS (DELETE FROM customers RETURNING *) SELECT * FROM gone",
        "COMMIT",
        "",
    ],
)
def test_a_query_changes_nothing(database: Database, sql: str) -> None:
    tools, rows = database
    tools.refused("query", sql=sql)
    assert rows("SELECT * FROM customers") == [("Ann", "Oslo", 3)]


def test_sqlite_stays_in_its_file(toolsets: Toolsets, tmp_path: Path) -> None:
    for name in ("shop", "other"):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as made, made:
            made.execute("CREATE TABLE secret AS SELECT 'canary' AS word")
    tools = toolsets("sqlite", SQLITE_DSN=f"sqlite:///{tmp_path}/shop.db")
    assert "canary" in tools.told("sqlite_query", sql="SELECT word FROM secret")
    for sql in (
        f"ATTACH '{tmp_path}/other.db' AS other",
        f"SELECT readfile('{tmp_path}/other.db')",
        "PRAGMA query_only=0",
    ):
        assert "canary" not in tools.refused("sqlite_query", sql=sql)


def test_a_superuser_of_postgres_is_refused(toolsets: Toolsets, postgres: Server) -> None:
    tools = toolsets("postgres", POSTGRES_DSN=postgres.dsn())
    told = tools.run("postgres_query", sql="SELECT 1")
    assert told.status != "ok"
    assert "correct horse" not in str(told)


@pytest.mark.parametrize("name", ["sqlite", "postgres"])
def test_without_an_address_all_tools_are_left_out(toolsets: Toolsets, tmp_path: Path, name: str) -> None:
    assert toolsets(name) == {}
    assistant = load_assistant(tmp_path / "examples" / "toolsets" / f"{name}.yaml")
    run_sync(assistant.open())
    variable = f"{name.upper()}_DSN"
    assert len(assistant.unavailable) == 3
    assert [variable in why for why in assistant.unavailable.values()] == [True] * 3


@pytest.fixture
def notes(toolsets: Toolsets, tmp_path: Path) -> Toolset:
    return toolsets("notes", NOTES_FILE=tmp_path / "notes.db")


def kept(tmp_path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(tmp_path / "notes.db")) as opened:
        return opened.execute("SELECT owner, kind, text, due, done FROM notes ORDER BY number").fetchall()


def test_notes_are_kept_listed_finished_and_deleted(notes: Toolset, tmp_path: Path) -> None:
    assert notes.asking == {"delete_note"}
    assert notes.told("list_notes") == "There is nothing."
    notes.told("add_note", text="The wifi key is in the kitchen.")
    notes.told("add_note", text="Call Bob", kind="todo", due="2027-05-03")
    notes.told("add_note", text="Buy 'milk'; --", kind="todo")
    assert notes.told("list_notes", kind="todo").splitlines() == [
        "2. [todo] Call Bob (due 2027-05-03)",
        "3. [todo] Buy 'milk'; --",
    ]
    assert notes.told("list_notes", text="WIFI") == "1. [note] The wifi key is in the kitchen."
    notes.told("finish_todo", number=2)
    notes.told("delete_note", number=1)
    assert notes.told("list_notes") == "3. [todo] Buy 'milk'; --"
    assert notes.told("list_notes", done=True).splitlines()[0] == "2. [done] Call Bob (due 2027-05-03)"
    assert kept(tmp_path) == [("", "todo", "Call Bob", "2027-05-03", 1), ("", "todo", "Buy 'milk'; --", None, 0)]


def test_notes_of_another_user_are_neither_seen_nor_touched(notes: Toolset, tmp_path: Path) -> None:
    ann, bob = ToolContext(user="local:ann"), ToolContext(user="local:bob")
    notes.told("add_note", ann, text="mine", kind="todo")
    assert notes.told("list_notes", bob) == "There is nothing."
    assert "no note number 1" in notes.refused("delete_note", bob, number=1)
    assert "no to-do number 1" in notes.refused("finish_todo", bob, number=1)
    assert kept(tmp_path) == [("local:ann", "todo", "mine", None, 0)]
    assert "owner" not in str(notes["add_note"].spec.parameters)


def test_a_date_that_is_none_is_refused(notes: Toolset) -> None:
    with pytest.raises(InvalidArguments):
        notes.run("add_note", text="x", due="soon")


@pytest.mark.parametrize("decision", [Approve(), Reject("Keep it.")], ids=["approved", "rejected"])
def test_an_agent_keeps_a_note_at_once_and_deletes_only_when_approved(
    notes: Toolset, tmp_path: Path, decision: Approve | Reject
) -> None:
    model = ScriptedBackend(
        ['FUNCTION_CALL: add_note(text="for a while")', "FUNCTION_CALL: delete_note(number=1)", "Done."]
    )
    with Agent(Gemma(model), list(notes.values()), approve=lambda approval: decision) as agent:
        agent.run("Keep it for a while.", user="local:ann")
    left = [] if isinstance(decision, Approve) else [("local:ann", "note", "for a while", None, 0)]
    assert kept(tmp_path) == left
