"""A tool's SQL body on real databases: types, injections, what is shown, and what is wrong with a definition."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.bodies.sql import SqlBody
from gemmagraph.tools.bodies.sql_binds import bind_type
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.errors import BodyError, ToolDefinitionError, ToolError
from gemmagraph.tools.guards.databases import SqlConnection
from gemmagraph.tools.guards.databases_binds import BindType

sys.path.append(str(Path(__file__).parent.parent))
pytest_plugins = ("postgres",)

if TYPE_CHECKING:
    from postgres import Server

ORDERS = """
    CREATE TABLE orders (id int, tenant varchar(20), customer_id int, status text, total numeric(10, 2),
        created_at timestamp);
    INSERT INTO orders VALUES
        (1, 'acme', 42, 'open', 12.50, '2026-01-02 03:04:05'), (2, 'acme', 42, 'shipped', 3, '2026-01-03 03:04:05'),
        (3, 'acme', 7, 'open', 1, '2026-01-04 03:04:05'), (4, 'other', 42, 'open', 99, '2026-01-05 03:04:05');
"""
FIND_ORDERS = """
    SELECT id, status, total, created_at FROM orders
    WHERE tenant = :tenant AND customer_id = :customer
      AND (:status IS NULL OR status = :status)
    ORDER BY created_at DESC LIMIT :limit
"""
PARAMETERS: dict[str, JSON] = {
    "type": "object",
    "required": ["customer"],
    "properties": {
        "customer": {"type": "integer"},
        "status": {"type": ["string", "null"], "enum": ["open", "shipped", "cancelled", None], "default": None},
        "limit": {"type": "integer", "minimum": 1, "maximum": 20, "default": 5},
    },
}


@pytest.fixture(scope="module")
def server(postgres: Server) -> Iterator[Server]:
    postgres.rows("CREATE ROLE orders LOGIN PASSWORD 'correct horse battery'")
    postgres.rows("CREATE DATABASE orders OWNER orders")
    with postgres.connection("orders", "orders") as connection:
        connection.execute(ORDERS)
    yield postgres
    postgres.rows("DROP DATABASE orders WITH (FORCE)")
    postgres.rows("DROP ROLE orders")


@pytest.fixture(params=["sqlite", "postgresql"])
def dsn(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        address: str = request.getfixturevalue("server").dsn("orders", "orders")
        return address
    with closing(sqlite3.connect(tmp_path / "orders.db")) as connection:
        connection.executescript(ORDERS)
    return f"sqlite:///{tmp_path / 'orders.db'}"


def performed(
    dsn: str,
    statement: str,
    parameters: Mapping[str, JSON],
    args: Mapping[str, JSON],
    bind: Mapping[str, JSON] | None = None,
    **options: Any,
) -> Any:
    async def ask() -> object:
        connection = SqlConnection(dsn, **options)
        try:
            body = SqlBody(connection, statement, parameters=parameters, bind=tuple(bind or ()))
            return await body.perform(body.render({"args": args, "bind": bind or {}}), ToolContext())
        finally:
            await connection.close()

    return asyncio.run(asyncio.wait_for(ask(), 20))


def one(schema: JSON) -> dict[str, JSON]:
    return {"type": "object", "properties": {"x": schema}}


def test_the_tool_of_the_complete_example_finds_its_orders(dsn: str) -> None:
    rows = performed(dsn, FIND_ORDERS, PARAMETERS, {"customer": 42, "limit": 5}, {"tenant": "acme"})
    assert [row["id"] for row in rows] == [2, 1]
    assert rows.columns == ("id", "status", "total", "created_at")
    if dsn.startswith("postgresql"):
        first = {"id": 1, "status": "open", "total": "12.50", "created_at": "2026-01-02T03:04:05"}
        assert rows[1] == first
    found = performed(
        dsn, FIND_ORDERS, PARAMETERS, {"customer": 42, "status": "open", "limit": 1}, {"tenant": "acme"}
    )
    assert [row["id"] for row in found] == [1]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 42),
        ({"type": "integer"}, -(2**63)),
        ({"type": "integer", "minimum": 0, "maximum": 9}, 7),
        ({"type": "string"}, "Grüße, 世界 🎈"),
        ({"type": "string"}, ""),
        ({"type": ["string", "null"]}, None),
        ({"type": "integer"}, None),
        ({"type": "boolean"}, None),
        ({"type": "array", "items": {"type": "string"}}, None),
        ({"type": "object"}, None),
        ({"type": "string", "format": "date-time"}, None),
        ({"enum": ["a", "b"]}, "a"),
        ({"enum": [1, 2]}, 2),
        ({"const": "a"}, "a"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "x"),
        ({}, "by its value"),
        ({}, 12),
        ({"type": ["integer", "string"]}, 12),
        ({"type": ["integer", "string"]}, "12"),
        (True, "anything"),
    ],
)
def test_a_value_comes_back_as_it_went(schema: JSON, value: JSON, dsn: str) -> None:
    assert performed(dsn, "SELECT :x AS x", one(schema), {"x": value}) == [{"x": value}]


@pytest.mark.parametrize(
    ("schema", "value", "sqlite", "postgresql"),
    [
        ({"type": "number"}, 0.1, 0.1, "0.1"),
        ({"type": "number"}, 2, 2, 2),
        ({"type": "number"}, 1e300, 1e300, 10**300),
        ({"type": "boolean"}, True, 1, True),
        ({"type": "string", "format": "date"}, "2026-02-03", "2026-02-03", "2026-02-03"),
        (
            {"type": "string", "format": "date-time"},
            "2026-02-03T04:05:06Z",
            "2026-02-03T04:05:06Z",
            "2026-02-03T04:05:06+00:00",
        ),
        (
            {"type": "string", "format": "uuid"},
            "12345678-1234-5678-1234-567812345678",
            "12345678-1234-5678-1234-567812345678",
            "12345678-1234-5678-1234-567812345678",
        ),
        ({"type": "array", "items": {"type": "integer"}}, [1, 2], "[1, 2]", [1, 2]),
        ({"type": "array", "items": {"type": "string"}}, ["a'b", None], '["a\'b", null]', ["a'b", None]),
        ({"type": "array", "items": {"type": "boolean"}}, [True], "[true]", [True]),
        ({"type": "array", "items": {"type": "string"}}, [], "[]", []),
        ({"type": "array", "items": {"type": "object"}}, [{"a": 1}], '[{"a": 1}]', [{"a": 1}]),
        ({"type": "array"}, [1, "a"], '[1, "a"]', [1, "a"]),
        ({"type": "object"}, {"a": [1, None, "ü"]}, '{"a": [1, null, "ü"]}', {"a": [1, None, "ü"]}),
        ({}, ["a", "b"], '["a", "b"]', ["a", "b"]),
    ],
)
def test_a_type_is_what_the_database_has_for_it(
    schema: JSON, value: JSON, sqlite: JSON, postgresql: JSON, dsn: str
) -> None:
    expected = sqlite if dsn.startswith("sqlite") else postgresql
    assert performed(dsn, "SELECT :x AS x", one(schema), {"x": value}) == [{"x": expected}]


@pytest.mark.parametrize(
    ("schema", "type_"),
    [
        ({"type": "integer"}, "bigint"),
        ({"type": "integer", "minimum": 1, "maximum": 20}, "integer"),
        ({"type": "integer", "maximum": 20}, "bigint"),
        ({"type": "integer", "enum": [1, 2, 3]}, "integer"),
        ({"type": "number"}, "numeric"),
        ({"type": "string"}, "text"),
        ({"type": ["string", "null"]}, "text"),
        ({"type": "boolean"}, "boolean"),
        ({"type": "string", "format": "date"}, "date"),
        ({"type": "string", "format": "date-time"}, "timestamp with time zone"),
        ({"type": "string", "format": "uuid"}, "uuid"),
        ({"type": "array", "items": {"type": "string"}}, "text[]"),
        ({"type": "array", "items": {"type": "integer"}}, "bigint[]"),
        ({"type": "array", "items": {"type": "number"}}, "numeric[]"),
        ({"type": "object"}, "jsonb"),
    ],
)
def test_postgresql_knows_the_type_even_of_null(schema: JSON, type_: str, server: Server) -> None:
    dsn = server.dsn("orders", "orders")
    assert performed(dsn, "SELECT pg_typeof(:x)::text AS x", one(schema), {}) == [{"x": type_}]


def test_signs_that_drivers_read_are_text_in_a_literal(dsn: str) -> None:
    statement = "SELECT '%(x)s %s %% ? $1 :x' AS a, 10 % 4 AS b, :x AS x"
    told = performed(dsn, statement, one({"type": "string"}), {"x": "%(x)s"})
    assert told == [{"a": "%(x)s %s %% ? $1 :x", "b": 2, "x": "%(x)s"}]
    assert performed(dsn, "SELECT '%% %s' AS a, 10 % 4 AS b", one(True), {}) == [{"a": "%% %s", "b": 2}]


def test_lists_are_searched_in(server: Server, tmp_path: Path) -> None:
    ids = one({"type": "array", "items": {"type": "integer"}})
    found = performed(server.dsn("orders", "orders"), "SELECT id FROM orders WHERE id = ANY(:x)", ids, {"x": [1, 3]})
    assert sorted(row["id"] for row in found) == [1, 3]
    with closing(sqlite3.connect(tmp_path / "o.db")) as connection:
        connection.executescript(ORDERS)
    statement = "SELECT id FROM orders WHERE id IN (SELECT value FROM json_each(:x))"
    found = performed(f"sqlite:///{tmp_path / 'o.db'}", statement, ids, {"x": [1, 3]})
    assert sorted(row["id"] for row in found) == [1, 3]


INJECTIONS = [
    "' OR '1'='1",
    "'; DROP TABLE orders; --",
    "'); DELETE FROM orders; --",
    "x' UNION SELECT id, 'a', 1, 'b' FROM orders --",
    "' AND pg_sleep(10) --",
    "\\'; SELECT 1; --",
    "%' OR 1=1 --",
    "%(tenant)s",
    "%s %% %",
    ":tenant",
    "{{ args.x }}",
    "$1",
    "?",
    "$$; DELETE FROM orders; $$",
    "/* */ OR 1=1 --",
    '" OR ""="',
    "` OR `",
    "NULL",
    "1; ATTACH DATABASE '/tmp/x' AS x",
    "\u2019 OR \u20191\u2019=\u20191",
    "\uff07 OR 1=1 --",
    "\x1a\b\t\n\r'\x7f",
    "COPY orders TO PROGRAM 'id'",
    "'||(SELECT 'a')||'",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_hostile_value_is_data(text: str, dsn: str) -> None:
    statement = "SELECT :x AS x, (SELECT count(*) FROM orders WHERE status = :x) AS found, '%:x' AS literal"
    told = performed(dsn, statement, one({"type": "string"}), {"x": text})
    assert told == [{"x": text, "found": 0, "literal": "%:x"}]
    changed = "UPDATE orders SET status = :x WHERE id = 4"
    assert performed(dsn, changed, one({"type": "string"}), {"x": text}, read_only=False) == {"rows_affected": 1}
    read = performed(dsn, "SELECT status FROM orders ORDER BY id", one(True), {})
    assert read == [{"status": "open"}, {"status": "shipped"}, {"status": "open"}, {"status": text}]


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        ({"type": "integer"}, 2**63, "x cannot be sent to the database: it has more than 64 bits"),
        ({"type": "string"}, "a\0b", "NUL"),
        ({"type": "string"}, "\ud800", "surrogates"),
        ({"type": "string", "format": "date"}, "soon", "x cannot be sent"),
        ({"type": "object"}, {"a": "\0"}, "NUL"),
        ({"type": "array", "items": {"type": "integer"}}, [2**64], "64 bits"),
    ],
)
def test_a_value_that_no_database_takes_is_told_to_the_model(schema: JSON, value: JSON, told: str) -> None:
    body = SqlBody(SqlConnection("sqlite:///x.db"), "SELECT :x", parameters=one(schema))
    with pytest.raises(ToolError, match=told):
        body.render({"args": {"x": value}, "bind": {}})


def test_what_will_happen_is_shown_with_the_values_beside_the_statement() -> None:
    connection = SqlConnection("postgresql://bot:hidden@db/orders")
    body = SqlBody(connection, FIND_ORDERS, parameters=PARAMETERS, bind=["tenant"])
    rendered = body.render({"args": {"customer": 42}, "bind": {"tenant": "acme's"}})
    lines = rendered.shown.splitlines()
    assert lines[0] == "SELECT id, status, total, created_at FROM orders"
    assert lines[-4:] == ['  :tenant = "acme\'s"', "  :customer = 42", "  :status = NULL", "  :limit = NULL"]
    assert rendered.kind == "sql"
    assert rendered.facts == {
        "connection": "postgresql://bot:***@db/orders",
        "read_only": True,
        "statement": FIND_ORDERS,
        "binds": {"tenant": "acme's", "customer": 42, "status": None, "limit": None},
    }
    assert body.reads


def test_a_bind_value_that_the_application_did_not_give_is_no_null() -> None:
    body = SqlBody(SqlConnection("sqlite:///x.db"), FIND_ORDERS, parameters=PARAMETERS, bind=["tenant"])
    with pytest.raises(ToolError, match="the application gave no value for tenant"):
        body.render({"args": {"customer": 1, "tenant": "acme"}, "bind": {}})


def test_all_that_is_wrong_with_a_definition_is_said_at_once() -> None:
    connection = SqlConnection("sqlite:///x.db")
    statement = "DELETE FROM a WHERE b = :c AND d IN (:x) AND e = {{ args.x }}; SELECT 1"
    with pytest.raises(ToolDefinitionError) as refused:
        SqlBody(connection, statement, parameters=one({"type": "array", "items": {"type": "string"}}))
    told = [fault.message for fault in refused.value.faults]
    assert told == [
        "a statement takes no {{ }}.",
        "it holds more than one statement.",
        "it begins with DELETE, and the connection is read-only.",
        ":c is neither a parameter nor a bind value.",
        ":x is a list, which IN does not take as one value.",
    ]
    assert {fault.key for fault in refused.value.faults} == {("sql", "statement")}


def test_what_the_statement_does_not_name_is_known() -> None:
    body = SqlBody(SqlConnection("sqlite:///x.db"), "SELECT :limit", parameters=PARAMETERS, bind=["tenant"])
    assert body.unused == ("customer", "status", "tenant")


def test_a_refusal_names_what_the_database_said(dsn: str) -> None:
    with pytest.raises(BodyError, match="none_such") as refused:
        performed(dsn, "SELECT * FROM none_such", one(True), {})
    assert refused.value.kinds == ("database",)
    assert "none_such" in str(refused.value.scope["response"]["message"])


def test_a_schema_that_says_no_type_leaves_it_to_the_value() -> None:
    assert bind_type({"$ref": "#/$defs/x"}) == BindType("unknown")
    assert bind_type({"oneOf": [{"type": "integer"}, {"type": "string"}]}) == BindType("unknown")
