"""Who asks, where, and what the application gave along, checked once: all of it must fit into any store."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from gemmagraph.errors import AgentError
from gemmagraph.tools import ToolContext

_LONGEST: Final = 1_000
"""Bytes of a name. An index of PostgreSQL takes 2,700, and some hold two names."""


def checked(asker: ToolContext) -> ToolContext:
    """The same, with values of its own.

    Raises:
        AgentError: a name is none, or a value is no JSON.
    """
    for what in ("user", "thread", "channel"):
        name = getattr(asker, what)
        if name is not None:
            named(what, name)
    values: object = asker.values
    if not isinstance(values, Mapping):
        raise AgentError(f"context={values!r} is no mapping.", hint='Write context={"tenant": "acme"}.')
    try:
        wrong = next(filter(None, (_wrong(value, f"[{key!r}]", key) for key, value in values.items())), "")
    except RecursionError:
        wrong = "= is nested too deeply, or holds itself"
    if wrong:
        raise AgentError(
            f"context{wrong}.",
            hint="Its values are kept as JSON: texts, finite numbers, true, false, None, lists, dicts of texts.",
        )
    return ToolContext(asker.user, asker.thread, asker.channel, asker.idempotency_key, dict(values))


def named(what: str, name: object) -> str:
    """The name of something.

    Args:
        what: `user`, `thread`, `channel`; for the message.

    Raises:
        AgentError: no database can keep it.
    """
    if not isinstance(name, str) or not name:
        raise AgentError(f"{what}={name!r} is no name.", hint=f"Give a text that is not empty, or leave {what}= out.")
    if not keepable(name):
        raise AgentError(
            f"{what}={name[:100]!r} holds half a character or a NUL, which no database keeps.",
            hint="Take it out, or escape it.",
        )
    if (size := len(name.encode())) > _LONGEST:
        raise AgentError(
            f"{what}={name[:40]!r}… has {size:,} bytes.", hint=f"At most {_LONGEST:,}: give a digest of it."
        )
    return name


def keepable(text: str) -> bool:
    """Whether a database can keep it."""
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character
        return False
    return "\0" not in text


def _wrong(value: object, place: str, key: object = "") -> str:
    """Where a value is no JSON and why, or empty."""
    if not isinstance(key, str):
        return f"{place}: {key!r} is no text"
    if isinstance(value, str | int | None):
        return ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{place} is {value}"
    if isinstance(value, dict):
        found = (_wrong(entry, f"{place}[{name!r}]", name) for name, entry in value.items())
    elif isinstance(value, list | tuple):
        found = (_wrong(entry, f"{place}[{index}]") for index, entry in enumerate(value))
    else:
        return f"{place} is {type(value).__name__}"
    return next(filter(None, found), "")
