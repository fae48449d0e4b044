"""What goes wrong at a database, in words for the model."""

from __future__ import annotations

import re
from typing import Any, Final

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.errors import BodyError
from gemmagraph.tools.guards.databases_running import Running

_LATE: Final = ("57014", "25P03")
_UNREACHABLE: Final = ("08", "57P", "53300")
_PASSING: Final = ("40001", "40P01", "55P03")
_NOT_OPENED: Final = 14
_BUSY: Final = (5, 6)
_INTERRUPTED: Final = 9
_ABSENT: Final = re.compile(r'FATAL: +(role|database) ".*" does not exist')
"""What PostgreSQL says to who wants to connect. The name is part of the DSN, and not for the model."""


def too_late(seconds: float, *, unknown: bool = False) -> BodyError:
    """A statement whose time was up.

    Args:
        unknown: it could not be stopped. Else it was rolled back.
    """
    told = f"The database did not answer within {seconds:g} s{'' if unknown else '; nothing was changed'}."
    return BodyError(told, kinds=("timeout",), transient=True, unknown=unknown)


def failure(error: Exception, running: Running, seconds: float, *, committing: bool = False) -> BodyError:
    """What an error of SQLAlchemy or a driver means.

    Args:
        committing: it came when the effects were being made to last.
    """
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None) or ""
    number = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if state in _LATE or number == _INTERRUPTED or (number in _BUSY and running.over) or _waited(error):
        return too_late(seconds)
    if found := _ABSENT.search(str(cause)) if _lost(cause, state) else None:
        return BodyError(
            f"The database cannot be reached: its server has no such {found[1]}.",
            kinds=("unreachable",),
            unknown=committing,
        )
    if number == _NOT_OPENED or state.startswith(_UNREACHABLE) or _lost(cause, state):
        return BodyError(
            "The database cannot be reached.", kinds=("unreachable",), transient=True, unknown=committing
        )
    message = _message(cause)
    response: dict[str, JSON] = {"message": message, "code": state or getattr(cause, "sqlite_errorname", "")}
    return BodyError(
        f"The database refused the statement: {message}",
        kinds=("database",),
        scope={"response": response},
        transient=state in _PASSING or number in _BUSY,
    )


def _waited(error: Exception) -> bool:
    """Whether all connections were in use."""
    from sqlalchemy import exc

    return isinstance(error, exc.TimeoutError)


def _lost(cause: Exception, state: str) -> bool:
    """Whether PostgreSQL's driver found nobody at the other end: then there is no code of the server's."""
    kind = type(cause)
    return not state and kind.__name__ == "OperationalError" and kind.__module__.startswith("psycopg")


def _message(cause: Exception) -> str:
    told: Any = getattr(cause, "diag", None)
    if told is None or not told.message_primary:
        return str(cause).strip() or type(cause).__name__
    parts = (told.message_primary, told.message_detail, told.message_hint)
    return " ".join(part if part.endswith((".", "?", "!")) else f"{part}." for part in parts if part)
