"""A real PostgreSQL for the tests: one server per test process, in a folder of its own, on a free loopback port.

Needs the server's programs (`apt-get install postgresql` puts them under /usr/lib/postgresql). Where they are
missing the tests are skipped and say so, or fail if GEMMAGRAPH_NEEDS_POSTGRES=1.

The server refuses to run as root: it then runs as `postgres`, or as `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

NEEDED = os.environ.get("GEMMAGRAPH_NEEDS_POSTGRES") == "1"  # at import: tests/conftest.py hides it from the tests
ADMIN = "postgres"
PASSWORD = "correct horse battery"
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_prepared_transactions": "5",
    "wal_level": "logical",
    "shared_buffers": "16MB",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}
_START = 60.0


@dataclass
class Server:
    """A server. Roles log in with `PASSWORD`."""

    port: int
    folder: Path
    program: list[str | Path]
    how: dict[str, Any]
    """As whom, and where, it is started."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Returns when it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.program, stdout=log, stderr=log, **self.how)
        _wait_for(self, self.process)

    def stop(self, number: int = signal.SIGINT) -> None:
        """Ends its connections and it; with SIGQUIT it takes no leave of them."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None

    def dsn(self, role: str = ADMIN, database: str = "postgres") -> str:
        return f"postgresql://{role}:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def connection(self, role: str = ADMIN, database: str = "postgres") -> Iterator[Any]:
        """psycopg's own, each statement for itself."""
        import psycopg

        with psycopg.connect(self.dsn(role, database), autocommit=True) as connection:
            yield connection

    def rows(self, statement: str, *values: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """What the administrator sees."""
        with self.connection(database=database) as connection:
            cursor = connection.execute(statement, values or None)
            return list(cursor.fetchall()) if cursor.description else []


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server with nothing in it."""
    with running(_needed()) as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[Server]:
    """A server that a test may stop and start."""
    with running(_needed()) as server:
        yield server


def _needed() -> Path:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'gemmagraph[sql]'")
    programs = found()
    if programs is None:
        missing = "PostgreSQL's server is not installed: apt-get install postgresql"
        if not NEEDED:
            pytest.skip(missing)
        pytest.fail(missing)
    return programs


def found() -> Path | None:
    """The folder with `initdb` and `postgres`, of the newest version."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    on_path = shutil.which("initdb")
    folders = [*folders, *([Path(on_path).resolve().parent] if on_path else [])]
    return next((folder for folder in reversed(folders) if (folder / "postgres").exists()), None)


@contextmanager
def running(programs: Path) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="gg-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        user = _unprivileged()
        as_user: dict[str, Any] = {}
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
            as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        data = folder / "data"
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
        quiet: dict[str, Any] = {"cwd": folder, "env": environment, "stdin": subprocess.DEVNULL} | as_user
        options = ["-U", ADMIN, f"--pwfile={password}", "-A", "scram-sha-256", "-E", "UTF8", "--no-sync"]
        subprocess.run(
            [programs / "initdb", "-D", data, *options], check=True, capture_output=True, timeout=120, **quiet
        )
        port = _free_port()
        settings = [f"-c{key}={value}" for key, value in SETTINGS.items()]
        listens = ["-h", "127.0.0.1", "-p", str(port), "-k", ""]
        program: list[str | Path] = [programs / "postgres", "-D", data, *listens, *settings]
        server = Server(port, folder, program, quiet)
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGQUIT)  # at once, nothing is worth saving


def _wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    import psycopg

    until = time.monotonic() + _START
    while True:
        try:
            with server.connection():
                return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > until:
                log = (server.folder / "log").read_text(errors="replace")
                pytest.fail(f"PostgreSQL did not start:\n{log}")
            time.sleep(0.05)


def _unprivileged() -> pwd.struct_passwd | None:
    """Whom the server runs as; None for whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("PostgreSQL does not run as root, and there is neither a user 'postgres' nor 'nobody'")


def _free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])
