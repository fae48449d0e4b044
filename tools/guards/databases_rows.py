"""Rows as they are fetched: converted to JSON, and no more of them than allowed."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gemmagraph.prompts.messages import JSON

if TYPE_CHECKING:
    from sqlalchemy import CursorResult

_ROW = 16
"""Bytes that a row counts for, and each value in it, whatever they hold."""


class Rows(list[dict[str, JSON]]):
    """The rows of an answer, each by the names of its columns."""

    def __init__(self, rows: Iterable[dict[str, JSON]] = (), columns: Sequence[str] = (), cut: str = "") -> None:
        super().__init__(rows)
        self.columns = tuple(columns)
        """Their names, also where there is no row."""
        self.cut = cut
        """What is missing and why, as a sentence; empty if these are all rows."""


def collect(result: CursorResult[Any], max_rows: int, max_bytes: int, *, all_run: bool) -> Rows:
    """The first rows of `result`.

    Args:
        all_run: fetch the others too, and drop them: what a statement changes, it may change row by row.
    """
    rows = Rows(columns=_columns(result.keys()))
    size = count = 0
    for row in result:
        count += 1
        if rows.cut:
            continue
        values = [as_json(value) for value in row]
        size += _ROW + sum(map(_size, values))
        if len(rows) >= max_rows or size > max_bytes:
            rows.cut = f"Cut at {max_rows:,} rows" if len(rows) >= max_rows else f"Cut at {max_bytes:,} bytes"
            if not all_run:
                break
            continue
        rows.append(dict(zip(rows.columns, values, strict=True)))
    if rows.cut:
        there = f"the answer has {count:,}" if all_run else "the answer has more"
        rows.cut = f"{rows.cut}: these are the first {len(rows):,}, {there}."
    return rows


def as_json(value: object) -> JSON:
    """A value from a database as a JSON value, nothing lost: what JSON has no number for becomes text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        # The scale belongs to the value: 12.50 stays 12.50. Without one it is an integer, such as a sum.
        return int(value) if value.is_finite() and value.as_tuple().exponent == 0 else str(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return _bytes(bytes(value))
    if isinstance(value, Mapping):
        return {str(key): as_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return str(value)  # an interval, an UUID, an address, a range


def _bytes(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    return text if "\0" not in text else r"\x" + value.hex()


def _columns(names: Iterable[str]) -> list[str]:
    """The names of the columns; one that comes again gets a number."""
    columns: dict[str, None] = {}
    for name in names:
        unique, number = name, 1
        while unique in columns:
            number += 1
            unique = f"{name}_{number}"
        columns[unique] = None
    return list(columns)


def _size(value: JSON) -> int:
    if isinstance(value, str):
        return _ROW + len(value)
    if isinstance(value, dict):
        return _ROW + sum(len(key) + _size(entry) for key, entry in value.items())
    if isinstance(value, list):
        return _ROW + sum(map(_size, value))
    return _ROW
