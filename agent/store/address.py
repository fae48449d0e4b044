"""Where a store is: `sqlite:///agent.db` or `postgresql://user@host/database`."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from gemmagraph.errors import AgentError

_HINT = "Write sqlite:///agent.db, sqlite:////var/lib/agent.db or postgresql://user@host/database."


@dataclass(frozen=True, slots=True)
class Address:
    """A store, as it was named."""

    kind: Literal["sqlite", "postgresql"]
    target: str
    """A path, or the whole URL."""

    def __str__(self) -> str:
        """How a person names it; without the password."""
        if self.kind == "sqlite":
            return self.target
        parts = urlsplit(self.target)
        who = f"{parts.username}@" if parts.username else ""
        port = f":{parts.port}" if parts.port else ""
        return f"postgresql://{who}{parts.hostname or ''}{port}{parts.path}"


def address_of(store: str | os.PathLike[str]) -> Address:
    """The address in a text; a `Path` is a SQLite file.

    Raises:
        AgentError: it is none.
    """
    if isinstance(store, os.PathLike):
        return Address("sqlite", os.fspath(store))
    if store.startswith(("postgresql://", "postgres://")):
        try:
            parts = urlsplit(store)
            parts.port  # noqa: B018 - raises where it is no number
        except ValueError as exc:
            raise AgentError(f"The store's address cannot be read: {exc}.", hint=_HINT) from None
        if not parts.path.strip("/"):
            raise AgentError("The store's address names no database.", hint=_HINT)
        return Address("postgresql", store)
    if store.startswith("sqlite:///"):
        path = unquote(store.removeprefix("sqlite:///"))
        if path and path != ":memory:":
            return Address("sqlite", path)
        raise AgentError("A store in memory keeps nothing: leave store= out instead.", hint=_HINT)
    shown = f"{store.partition('://')[0]}://…" if "://" in store else repr(store)  # there may be a password in it
    raise AgentError(f"{shown} is no address of a store.", hint=_HINT)


def default_store() -> Path:
    """The user's own: a file in the folder where programs of this user keep their data."""
    return _data_folder() / "gemmagraph" / "agent.db"


def _data_folder() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    # The specification of XDG: a path that is not absolute counts as none.
    named = Path(os.environ.get("XDG_DATA_HOME") or "")
    return named if named.is_absolute() else Path.home() / ".local" / "share"
