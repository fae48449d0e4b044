"""What stands in the rows of a store as JSON, written and read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gemmagraph.errors import StoreError


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
