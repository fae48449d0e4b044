"""A tool whose body is one SQL statement: the model's arguments and the application's values are its binds.

    sql:
      connection: orders_db
      statement: SELECT id, total FROM orders WHERE customer_id = :customer

A bind is a value, never a part of the statement. It has the type that `parameters` give it, since PostgreSQL takes
no parameter of unknown type:

    integer             integer if minimum and maximum fit, else bigint
    number              numeric
    string, boolean     text, boolean; with format date, date-time, uuid: date, timestamptz, uuid
    array               an array: = ANY(:ids); on SQLite a JSON text: IN (SELECT value FROM json_each(:ids))
    object              jsonb; on SQLite a JSON text
    anything else       what each value says itself; an optional argument that is absent is NULL

SQLite has no types for dates: it gets the text as it came. Compare by its functions: datetime(:since).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Final, Literal

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.bodies.base import Rendered
from gemmagraph.tools.bodies.sql_binds import bind_type
from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.errors import Fault, ToolError, refuse
from gemmagraph.tools.fields import Scope
from gemmagraph.tools.guards.databases import Answer, SqlConnection
from gemmagraph.tools.guards.databases_binds import Bind, bound
from gemmagraph.tools.guards.databases_statement import Statement, read_statement
from gemmagraph.tools.secrets import mask, mask_json

_KEY: Final = ("sql", "statement")


class SqlBody:
    """One statement on a connection.

    Args:
        connection: where it runs.
        statement: with binds, `:name`.
        parameters: the tool's JSON Schema.
        bind: the names of the values that the application gives.

    Raises:
        ToolDefinitionError: the statement cannot be used.
    """

    kind: Literal["sql"] = "sql"

    def __init__(
        self,
        connection: SqlConnection,
        statement: str,
        *,
        parameters: Mapping[str, JSON],
        bind: Collection[str] = (),
    ) -> None:
        self._connection = connection
        self._statement = read_statement(statement)
        self._bind = frozenset(bind)
        properties = parameters.get("properties")
        schemas = properties if isinstance(properties, Mapping) else {}
        self._types = {name: bind_type(schemas.get(name)) for name in self._statement.names}
        refuse("The tool's SQL body", list(self._faults(schemas)))
        self.unused = tuple(name for name in (*schemas, *bind) if name not in self._statement.names)
        """Parameters and bind values that the statement does not name: for a warning."""

    @property
    def reads(self) -> bool:
        return self._connection.read_only

    def unavailable(self) -> str | None:
        return self._connection.unavailable()

    def render(self, scope: Scope) -> Rendered:
        args, given = scope.get("args", {}), scope.get("bind", {})
        values: dict[str, JSON] = {}
        for name in self._statement.names:
            if name in self._bind and name not in given:
                # NULL would let `:tenant IS NULL OR tenant = :tenant` show everybody's rows.
                raise ToolError(f"This cannot be asked: the application gave no value for {name}.")
            values[name] = given[name] if name in self._bind else args.get(name)
        binds = {name: bound(name, value, self._types[name]) for name, value in values.items()}
        shown = {name: _shown(value) for name, value in values.items()}
        lines = [self._statement.source.strip(), *(f"  :{name} = {value}" for name, value in shown.items())]
        facts: dict[str, JSON] = {
            "connection": self._connection.shown,
            "read_only": self._connection.read_only,
            "statement": mask(self._statement.source),
            "binds": mask_json(values),
        }
        return Rendered(self.kind, mask("\n".join(lines)), facts, (self._statement, binds))

    async def perform(self, rendered: Rendered, context: ToolContext) -> Answer:
        live = rendered.live
        assert isinstance(live, tuple)
        statement: Statement = live[0]
        binds: Mapping[str, Bind] = live[1]
        return await self._connection.query(statement, binds)

    async def close(self) -> None:
        """The connection is shared: whoever made it closes it."""

    def _faults(self, schemas: Mapping[str, JSON]) -> list[Fault]:
        statement = self._statement
        faults = [Fault(_KEY, message, hint) for message, hint in statement.faults]
        if refusal := self._connection.refusal(statement):
            faults.append(Fault(_KEY, *refusal))
        known = (*schemas, *self._bind)
        for name in statement.names:
            if name not in known:
                there = ", ".join(sorted(known)) or "none"
                faults.append(Fault(_KEY, f":{name} is neither a parameter nor a bind value.", f"There is {there}."))
            elif self._types[name].array and re.search(rf"\bIN\s*\(?\s*:{name}\b", statement.source, re.IGNORECASE):
                hint = f"Write = ANY(:{name}), on SQLite IN (SELECT value FROM json_each(:{name}))."
                faults.append(Fault(_KEY, f":{name} is a list, which IN does not take as one value.", hint))
        return faults


def _shown(value: JSON) -> str:
    return "NULL" if value is None else json.dumps(value, ensure_ascii=False)
