"""Queries that the model writes: the functions behind sqlite.yaml and postgres.yaml.

The `sql` of a tools file has one statement that its author wrote. Where the model writes it, all depends on a
connection on which nothing else than reading takes effect. For inserts the statement is written here, and names of
tables and columns are quoted; the values are binds.
"""

from collections.abc import Mapping

from gemmagraph.tools import ToolDefinitionError, ToolError
from gemmagraph.tools.guards.databases import Answer, SqlConnection
from gemmagraph.tools.secrets import Secret, Secrets

VARIABLES = {"sqlite": "SQLITE_DSN", "postgres": "POSTGRES_DSN"}


class Database:
    """One database, by the variable that holds its address.

    Raises:
        ToolDefinitionError: it cannot be used here.
    """

    def __init__(self, variable: str) -> None:
        self._secrets = Secrets({"dsn": Secret("dsn", env=variable)})
        if why := self._connection(read_only=True).unavailable():
            raise ToolDefinitionError(why)

    async def query(self, sql: str) -> Answer:
        """Read rows with one SELECT statement.

        Args:
            sql: The statement.
        """
        return await self._run(sql, {}, read_only=True)

    async def insert(self, table: str, row: dict[str, str | int | float | bool | None]) -> str:
        """Add one row to a table.

        Args:
            table: The table.
            row: A value for each column.
        """
        if not row:
            raise ToolError("The row is empty.", hint="Give a value for each column.")
        place = ".".join(map(_quoted, table.split(".")))  # "shop.orders" is a table in a schema
        values = {f"value_{index}": value for index, value in enumerate(row.values())}
        columns, binds = ", ".join(map(_quoted, row)), ", ".join(f":{name}" for name in values)
        await self._run(f"INSERT INTO {place} ({columns}) VALUES ({binds})", values, read_only=False)
        return f"Added one row to {table}."

    def _connection(self, *, read_only: bool) -> SqlConnection:
        return SqlConnection("{{ secrets.dsn }}", read_only=read_only, secrets=self._secrets)

    async def _run(self, statement: str, values: Mapping[str, object], *, read_only: bool) -> Answer:
        connection = self._connection(read_only=read_only)
        try:
            return await connection.query(statement, values)
        finally:
            await connection.close()  # one for each call: nobody would close one that is kept


def _quoted(name: str) -> str:
    if not name or "\0" in name:
        raise ToolError(f"{name!r} is no name of a table or a column.")
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def __getattr__(name: str) -> Database:
    """`sqlite` and `postgres`, made when a tools file names them: who has one need not have the other."""
    if name not in VARIABLES:
        raise AttributeError(name)
    return Database(VARIABLES[name])
