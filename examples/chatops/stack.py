"""A small stack to try the assistant on: two services, each in staging and production, and what deploys them.

    python stack.py up          # starts all of it, and ends it at Ctrl-C or after eight hours
    python stack.py status      # what runs, asked over HTTP as the assistant asks

Every service is a process of its own with a port, a version, a health and a log. What deploys them listens on
127.0.0.1:8790; STACK_URL says another port. Logs and the database (on-call schedule, incidents, deployments) are in
`var` beside this file.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import parse_qsl, urlsplit

VAR = Path(__file__).resolve().parent / "var"
HOST = "127.0.0.1"
PORT = urlsplit(os.environ.get("STACK_URL") or f"http://{HOST}:8790").port or 0
"""Where what deploys listens; 0 is any that is free."""
STARTING = 10.0
"""Seconds that a release has to say that it is there."""

RELEASES = {
    "web": {
        "1.4.1": "New checkout. Known fault: asks for prices without a currency.",
        "1.4.2": "Prices have a currency again.",
        "1.5.0-rc1": "Prices come from the new price service.",
    },
    "worker": {"2.0.0": "Sends invoices.", "2.0.1": "Sends invoices twice as fast."},
}
FAULTS = {
    ("web", "1.4.1"): "ERROR no prices: the currency is missing",
    ("web", "1.5.0-rc1"): "FATAL the setting PRICE_URL is missing",
}
FIRST = {
    ("staging", "web"): "1.4.2",
    ("staging", "worker"): "2.0.1",
    ("production", "web"): "1.4.1",
    ("production", "worker"): "2.0.0",
}
SCHEMA = """
CREATE TABLE IF NOT EXISTS deployments (
    number INTEGER PRIMARY KEY, at TEXT DEFAULT CURRENT_TIMESTAMP, environment TEXT NOT NULL, service TEXT NOT NULL,
    version TEXT NOT NULL, person TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS oncall (starts TEXT PRIMARY KEY, person TEXT NOT NULL, pager TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS incidents (
    number INTEGER PRIMARY KEY, opened TEXT DEFAULT CURRENT_TIMESTAMP, environment TEXT NOT NULL,
    service TEXT NOT NULL, title TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'open');
CREATE TABLE IF NOT EXISTS notes (
    number INTEGER PRIMARY KEY, incident INTEGER NOT NULL REFERENCES incidents, at TEXT DEFAULT CURRENT_TIMESTAMP,
    author TEXT NOT NULL, text TEXT NOT NULL, UNIQUE (incident, author, text));
INSERT OR IGNORE INTO incidents (number, environment, service, title)
    VALUES (1, 'production', 'web', 'Customers see no prices at the checkout');
"""


class Refused(Exception):
    """What the stack does not do, with the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


# One service, in a process of its own.


def serve(environment: str, service: str, version: str) -> None:
    """Answers `/health` on a free port, which is the first line that it prints, until its input ends."""
    began, fault = time.monotonic(), FAULTS.get((service, version))
    with (VAR / "log" / f"{environment}-{service}.log").open("a", encoding="utf-8") as file:
        _log(file, f"INFO {service} {version} starts")
        if fault is not None and fault.startswith("FATAL"):
            _log(file, fault)
            sys.exit(1)

        def health(path: str, query: dict[str, str], body: dict[str, Any]) -> Any:
            if path != "/health":
                raise Refused(404, "there is nothing")
            state = "degraded" if fault else "ok"
            return {"version": version, "health": state, "seconds_up": round(time.monotonic() - began)}

        server = _server(0, health)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_port, flush=True)
        while not select.select([sys.stdin], [], [], 5.0)[0]:  # nothing is ever written: readable means ended
            _log(file, fault or "INFO all orders are served")
        _log(file, f"INFO {service} {version} ends")


def _log(file: TextIO, line: str) -> None:
    file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {line}\n")
    file.flush()


# What starts and replaces them.


class Running:
    """A service that runs: its process, and where it answers. It ends with its input, so also when this process is
    killed."""

    def __init__(self, environment: str, service: str, version: str) -> None:
        self.version = version
        command = [sys.executable, __file__, "serve", environment, service, version]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        there = select.select([self._process.stdout], [], [], STARTING)[0]
        said = self._process.stdout.readline() if there else ""
        if not said:
            self.end()
            raise Refused(409, f"{service} {version} does not start; the one that ran goes on, see the log")
        self._port = int(said)

    def health(self) -> dict[str, Any]:
        try:
            return dict(_ask(self._port, "GET", "/health"), pid=self._process.pid)
        except (OSError, http.client.HTTPException):
            return {"version": self.version, "health": "down", "seconds_up": 0, "pid": self._process.pid}

    def end(self) -> None:
        with self._process as process:  # closes its pipes
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


class Stack:
    """All services, and who changed what. What was deployed stays so until another `up`."""

    def __init__(self) -> None:
        (VAR / "log").mkdir(parents=True, exist_ok=True)
        self._changing = threading.Lock()
        self.running: dict[tuple[str, str], Running] = {}
        monday = date.today() - timedelta(days=date.today().weekday())
        weeks = [monday + timedelta(weeks=count) for count in range(-1, 9)]
        people = [("ann", "pager 100"), ("bob", "pager 200")]
        with closing(self._database()) as database, database:
            database.executescript(SCHEMA)
            rows = [(week.isoformat(), *people[week.toordinal() // 7 % 2]) for week in weeks]
            database.executemany("INSERT OR IGNORE INTO oncall VALUES (?, ?, ?)", rows)

    def __enter__(self) -> Stack:
        try:
            for (environment, service), version in FIRST.items():
                versions = self._versions(environment, service)
                if not versions:
                    self._note(environment, service, version, "the stack")
                latest = versions[0] if versions else version
                self.running[environment, service] = Running(environment, service, latest)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        for running in self.running.values():
            running.end()

    def answer(self, path: str, query: dict[str, str], body: dict[str, Any]) -> Any:
        """What an HTTP request asks for."""
        if path == "/services":
            return [
                {"environment": environment, "service": service, **running.health()}
                for (environment, service), running in sorted(self.running.items())
                if query.get("environment", environment) == environment and query.get("service", service) == service
            ]
        if path.startswith("/releases/"):
            releases = self._releases(path.removeprefix("/releases/"))
            return [{"version": version, "changes": changes} for version, changes in releases.items()]
        change = {"/deploy": self._deploy, "/restart": self._restart, "/rollback": self._rollback}.get(path)
        if change is None:
            raise Refused(404, f"there is no {path}")
        words = [str(body.get(name, "")) for name in ("environment", "service", "version", "person")]
        with self._changing:
            return change(*words)

    def _deploy(self, environment: str, service: str, version: str, person: str) -> Any:
        if version not in self._releases(service):
            raise Refused(422, f"{service} has no release {version}, only {', '.join(self._releases(service))}")
        if self._of(environment, service).version == version:
            return {"done": f"{service} in {environment} runs {version} already"}
        return self._replace(environment, service, version, person)

    def _restart(self, environment: str, service: str, version: str, person: str) -> Any:
        return self._replace(environment, service, self._of(environment, service).version, person)

    def _rollback(self, environment: str, service: str, version: str, person: str) -> Any:
        now = self._of(environment, service).version
        before = next((one for one in self._versions(environment, service) if one != now), None)
        if before is None:
            raise Refused(409, f"{service} in {environment} has had no other version than {now}")
        return self._replace(environment, service, before, person)

    def _replace(self, environment: str, service: str, version: str, person: str) -> Any:
        """The new one is there before the old one ends: a release that does not start changes nothing."""
        old = self._of(environment, service)
        new = Running(environment, service, version)
        self.running[environment, service] = new
        old.end()
        if version != old.version:
            self._note(environment, service, version, person)
        done = f"{service} in {environment}: {old.version} replaced by {version}, for {person}"
        print(done, flush=True)
        return {"done": done, **new.health()}

    def _of(self, environment: str, service: str) -> Running:
        if (environment, service) not in self.running:
            raise Refused(404, f"there is no service {service!r} in {environment!r}")
        return self.running[environment, service]

    def _releases(self, service: str) -> dict[str, str]:
        if service not in RELEASES:
            raise Refused(404, f"there is no service {service!r}")
        return RELEASES[service]

    def _versions(self, environment: str, service: str) -> list[str]:
        """Those that were deployed, the last first."""
        statement = "SELECT version FROM deployments WHERE environment = ? AND service = ? ORDER BY number DESC"
        with closing(self._database()) as database:
            return [version for (version,) in database.execute(statement, (environment, service))]

    def _note(self, environment: str, service: str, version: str, person: str) -> None:
        statement = "INSERT INTO deployments (environment, service, version, person) VALUES (?, ?, ?, ?)"
        with closing(self._database()) as database, database:
            database.execute(statement, (environment, service, version, person))

    def _database(self) -> sqlite3.Connection:
        return sqlite3.connect(VAR / "ops.db", timeout=5)


# HTTP, on this machine only.

Answering = Callable[[str, dict[str, str], dict[str, Any]], Any]


def _server(port: int, answering: Answering) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if self.headers.get_content_type() != "application/json" or length > 10_000:
                self._send(415, {"message": "a short JSON object is wanted"})  # no web page can send JSON here
                return
            try:
                body = json.loads(self.rfile.read(length))
            except ValueError:
                body = None
            if isinstance(body, dict):
                self._answer(body)
            else:
                self._send(400, {"message": "a JSON object is wanted"})

        def _answer(self, body: dict[str, Any]) -> None:
            split = urlsplit(self.path)
            try:
                changes = split.path in ("/deploy", "/restart", "/rollback")
                if changes != (self.command == "POST"):
                    raise Refused(405, "not with this method")
                self._send(200, answering(split.path, dict(parse_qsl(split.query)), body))
            except Refused as exc:
                self._send(exc.status, {"message": str(exc)})

        def _send(self, status: int, value: Any) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer((HOST, port), Handler)
    server.daemon_threads = True
    return server


def _ask(port: int, method: str, path: str) -> Any:
    with closing(http.client.HTTPConnection(HOST, port, timeout=2)) as connection:
        connection.request(method, path)
        return json.loads(connection.getresponse().read())


# The command line.


def up(hours: float) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    stack = Stack()
    try:
        server = _server(PORT, stack.answer)
    except OSError as exc:
        sys.exit(f"{HOST}:{PORT} cannot be used ({exc.strerror}). Say another: export STACK_URL=http://{HOST}:8791")
    with server, stack:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"The stack is up: http://{HOST}:{server.server_port} (Ctrl-C ends it)", flush=True)
        time.sleep(hours * 3600)


def status() -> None:
    try:
        services = _ask(PORT, "GET", "/services")
    except OSError:
        sys.exit(f"Nothing answers on {HOST}:{PORT}. Start it: python stack.py up")
    for one in services:
        print("{environment:<11} {service:<7} {version:<10} {health}".format(**one))


def main() -> None:
    parser = argparse.ArgumentParser(description="A small stack to try the assistant on.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("status", help="what runs")
    starting = commands.add_parser("up", help="start it all")
    starting.add_argument("--hours", type=float, default=8.0, help="after which it ends by itself (8)")
    serving = commands.add_parser("serve", help="one service; `up` starts them")
    for argument in ("environment", "service", "version"):
        serving.add_argument(argument)
    asked = parser.parse_args()
    if asked.command == "serve":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        serve(asked.environment, asked.service, asked.version)
    elif asked.command == "up":
        up(asked.hours)
    else:
        status()


if __name__ == "__main__":
    os.umask(0o077)
    main()
