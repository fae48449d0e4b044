"""The address of a database, which may name secrets and is shown without them."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from gemmagraph.tools.errors import Fault, ToolDefinitionError
from gemmagraph.tools.fields import field_or_fault
from gemmagraph.tools.secrets import Secrets, Shown

if TYPE_CHECKING:
    from sqlalchemy import URL

_KEY: Final = ("sql", "dsn")
_SCHEME: Final = re.compile(r"(sqlite|postgres(?:ql)?(?:\+psycopg)?)://")
_FORMS: Final = "Write sqlite:///file.db or postgresql://role:password@host/name."
_PASSWORD: Final = re.compile(r"(://[^:@/]*):[^@/]*@|(?<=[?&]password=)[^&]*")


class Address:
    """`sqlite:///file.db`, `postgresql://role:password@host/name`, or secrets that hold one or a part of one."""

    def __init__(self, dsn: str, secrets: Secrets, faults: list[Fault], folder: Path) -> None:
        self._folder = folder
        self._dsn = field_or_fault(dsn, ("secrets",), _KEY, faults)
        self._secrets = secrets
        unknown = (path for path in self._dsn.paths if len(path.steps) != 1 or path.steps[0] not in secrets.declared)
        faults.extend(Fault(_KEY, f"there is no {path}.") for path in unknown)
        scheme = _SCHEME.match(self._dsn.prefix)
        self._sort = scheme[1] if scheme else ""
        if scheme is None and not self._dsn.lone:
            faults.append(Fault(_KEY, "it is no address of a database that is known here.", _FORMS))
        elif self._sort == "sqlite" and self._dsn.literal is not None and not _file(self._dsn.literal):
            faults.append(Fault(_KEY, "it names no file.", _FORMS))

    @property
    def shown(self) -> str:
        """As people may read it: without password, secrets by their names."""
        names = dict.fromkeys(self._secrets.declared, "")
        text = self._dsn.text({"secrets": Shown(names)}) or self._dsn.source
        return _PASSWORD.sub(lambda found: f"{found[1]}:***@" if found[1] else "***", text)

    def unavailable(self, read_only: bool) -> str | None:
        """Why there can be no connection, as far as that can be known without one."""
        needed = ["sqlalchemy"] + (["psycopg"] if self._sort.startswith("postgres") else [])
        if missing := [package for package in needed if find_spec(package) is None]:
            return f"the package {missing[0]} is missing: pip install 'gemmagraph[sql]'"
        for path in self._dsn.paths:
            if why := self._secrets.declared[str(path.steps[0])].missing:
                return why
        if self._sort == "sqlite" and read_only and self._dsn.literal is not None:
            file = self._path(self._dsn.literal)
            return None if file.is_file() else f"there is no database {file}"
        return None

    def place(self) -> Path | URL:
        """Where it really is: a file, or a server.

        Raises:
            SecretMissing: a secret has no value.
            ToolDefinitionError: what the secrets hold is no address.
        """
        as_it_is = self._dsn.lone or self._dsn.prefix.startswith("sqlite:")  # a file's path is not quoted
        dsn = self._dsn.text({"secrets": self._secrets}, str if as_it_is else _quoted) or ""
        scheme = _SCHEME.match(dsn)
        if scheme is None or (scheme[1] == "sqlite" and not _file(dsn)):
            raise ToolDefinitionError(f"{self.shown} is no address of a database that is known here.", hint=_FORMS)
        if scheme[1] == "sqlite":
            return self._path(dsn)
        from sqlalchemy import exc, make_url

        try:
            return make_url(f"postgresql+psycopg://{dsn[scheme.end() :]}")
        except (exc.ArgumentError, ValueError):
            # Not from the error: its message may hold the password.
            raise ToolDefinitionError(f"{self.shown} cannot be read as an address.", hint=_FORMS) from None

    def _path(self, dsn: str) -> Path:
        return (self._folder / Path(_file(dsn)).expanduser()).absolute()


def _file(dsn: str) -> str:
    """The name of the file; empty if there is none: a database in memory would be empty each time."""
    name = dsn.removeprefix("sqlite:///")
    return "" if name in (dsn, ":memory:") or "?" in name else name


def _quoted(value: str) -> str:
    return quote(value, safe="")
