"""What stands in the rows of a store as JSON, written and read back."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from gemmagraph.errors import StoreError

T = TypeVar("T")


class DamagedRow(UserWarning):
    """A row of a store was left out, for it cannot be read."""


def written(value: object) -> str:
    """As JSON. Half a pair of surrogates, which neither database takes, is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return text


def read(text: str) -> Any:
    """What `written` wrote."""
    return json.loads(text)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Around all that makes sense of what was read.

    Args:
        what: begins the message.

    Raises:
        StoreError: it makes none: it is damaged, or somebody else wrote it.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, NotImplementedError, RecursionError) as exc:
        raise StoreError(
            f"{what} in the store cannot be read: {type(exc).__name__}: {exc}.",
            hint="It is damaged, or another program wrote it: restore the database, or delete the thread.",
        ) from exc


def shaped(kind: type[T], **values: object) -> T:
    """A dataclass of what was read.

    Raises:
        TypeError: a field is not there, or is not of its type.
    """
    made = kind(**values)
    for name, hint in _hints(kind).items():  # type: ignore[arg-type]  # mypy takes a class for unhashable
        if not _fits(value := getattr(made, name), hint):
            raise TypeError(f"{name} is {value!r:.40}")
    return made


def readable(rows: Iterable[tuple[Any, ...]], make: Callable[[tuple[Any, ...]], T]) -> list[T]:
    """What `make` makes of each row. One that cannot be read hides no other: it is warned of."""
    found = []
    for row in rows:
        try:
            found.append(make(row))
        except StoreError as exc:
            warnings.warn(DamagedRow(str(exc)), stacklevel=2)
    return found


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _fits(value: object, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is UnionType:
        return any(_fits(value, each) for each in inner)
    if origin is Literal:
        return value in inner
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(each, inner[0]) for each in value)
    if origin is Mapping:
        return isinstance(value, Mapping)
    if hint is float:
        return isinstance(value, int | float) and not math.isnan(value)
    return isinstance(value, hint)
