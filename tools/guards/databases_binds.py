"""The values of a statement's binds, each with a type: PostgreSQL refuses a parameter whose type it cannot tell."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, TypeAlias
from uuid import UUID

from gemmagraph.tools.errors import ToolError
from gemmagraph.tools.guards.databases_statement import Statement

Kind: TypeAlias = Literal[
    "text", "integer", "biginteger", "number", "boolean", "date", "datetime", "uuid", "json", "unknown"
]

_SMALLEST: Final = -(2**63)
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class BindType:
    """The type of one bind."""

    kind: Kind
    """`unknown`: NULL, or what the value says."""
    array: bool = False
    """A list of such values: an array on PostgreSQL, a JSON text on SQLite."""


@dataclass(frozen=True, slots=True)
class Bind:
    """A value on its way to a database."""

    type: BindType
    value: object
    """As PostgreSQL's driver takes it."""
    given: object
    """As it came. SQLite gets dates and the like so: it has no types for them."""


def bound(name: str, value: object, wanted: BindType | None = None) -> Bind:
    """`value` as a bind of the type `wanted`, or of the one it shows itself.

    Raises:
        ToolError: it is no such value, or no database could take it.
    """
    type_ = wanted if wanted is not None and wanted.kind != "unknown" else _type_of(value)
    try:
        return Bind(type_, _read(value, type_), value)
    except (ValueError, TypeError, ArithmeticError) as problem:
        raise ToolError(f"{name} cannot be sent to the database: {problem}.") from problem


def _read(value: object, type_: BindType) -> object:
    if value is None:
        return None
    read = _READERS[type_.kind]
    if not type_.array:
        return read(value)
    if not isinstance(value, list | tuple):
        raise ValueError("it is no list")
    return [None if item is None else read(item) for item in value]


def written(statement: Statement, binds: Mapping[str, Bind], dialect: str) -> str:
    """The statement as the driver takes it: each bind with its type, where the database has types and it has one."""
    if dialect == "sqlite":
        return statement.source

    def typed(name: str) -> str:
        type_ = binds[name].type
        place = f"%({name})s"
        return place if type_.kind == "unknown" else f"CAST({place} AS {_NAMES[type_.kind]}{'[]' * type_.array})"

    return statement.written(typed, lambda text: text.replace("%", "%%"))


def sent(bind: Bind, dialect: str) -> object:
    """The value as the driver takes it."""
    if dialect == "sqlite":
        return _for_sqlite(bind.given)
    return _for_sqlite(bind.value) if bind.type.kind == "json" else bind.value


def _for_sqlite(value: object) -> object:
    """A value of one of the sorts that SQLite has: lists and objects are JSON texts."""
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=_for_sqlite)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) <= _LARGEST else float(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _type_of(value: object) -> BindType:
    if value is None:
        return BindType("unknown")
    if isinstance(value, list | tuple):
        types = {_type_of(item) for item in value if item is not None} or {BindType("text")}
        type_ = types.pop()
        # Items of several types, objects or lists: no array of a database holds these.
        return BindType("json") if types or type_.array or type_.kind == "json" else BindType(type_.kind, array=True)
    for python, kind in _KINDS.items():
        if isinstance(value, python):
            return BindType(kind)
    raise ToolError(f"A value of the type {type(value).__name__} cannot be sent to a database.")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("it is no text")
    if "\0" in value:
        raise ValueError("it holds a NUL character")
    value.encode()  # half a surrogate pair is a ValueError too
    return value


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError("it is no integer")
    if not _SMALLEST <= value <= _LARGEST:
        raise ValueError("it has more than 64 bits")
    return int(value)


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("it is no number")
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise ValueError("it is not finite")
    return number


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("it is neither true nor false")
    return value


def _date(value: object) -> datetime.date:
    return value if isinstance(value, datetime.date) else datetime.date.fromisoformat(_text(value))


def _datetime(value: object) -> datetime.datetime:
    return value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(_text(value))


def _uuid(value: object) -> UUID:
    return value if isinstance(value, UUID) else UUID(_text(value))


def _json(value: object) -> object:
    _text(json.dumps(value, ensure_ascii=False, allow_nan=False))
    if "\\u0000" in json.dumps(value):
        raise ValueError("it holds a NUL character")
    return value


_READERS: Final = {
    "text": _text,
    "integer": _integer,
    "biginteger": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "uuid": _uuid,
    "json": _json,
    "unknown": _json,
}
_NAMES: Final[Mapping[Kind, str]] = {
    "text": "text",
    "integer": "integer",
    "biginteger": "bigint",
    "number": "numeric",
    "boolean": "boolean",
    "date": "date",
    "datetime": "timestamptz",
    "uuid": "uuid",
    "json": "jsonb",
}
"""What PostgreSQL calls them."""
_KINDS: Final[Mapping[type, Kind]] = {
    bool: "boolean",
    int: "biginteger",
    float: "number",
    Decimal: "number",
    str: "text",
    datetime.datetime: "datetime",
    datetime.date: "date",
    UUID: "uuid",
    dict: "json",
}
"""Narrower ones first: True is an int, and a datetime is a date."""
