"""For tests that kill processes: their fork server, a store seen from outside, and a conversation that goes on in one
process after another."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

_SECONDS = 60
"""No process that goes on by itself takes as long."""


class Forks:
    """Processes that run agents; `crash_child.py` says what they do."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, **job: Any) -> int:
        return int(self._ask(do="start", job=job)["pid"])

    def wait(self, pid: int, kill_after: float | None = None) -> dict[str, Any]:
        ended = self._ask(do="wait", pid=pid, seconds=_SECONDS, kill_after=kill_after)
        assert not ended["late"], "a process hangs"
        return ended

    def signal(self, pid: int, number: int) -> None:
        self._ask(do="signal", pid=pid, signal=number)

    def _ask(self, **command: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    script = Path(__file__).parent / "agent" / "crash_child.py"
    folder = tmp_path_factory.mktemp("forks")
    command = [sys.executable, str(script), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        served = Forks(process)
        served.answer()
        yield served
        process.communicate(timeout=20)


@dataclass
class SqlitePlace:
    """A store in a file, as another program sees it."""

    path: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path, timeout=20, isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()


@dataclass
class PostgresPlace:
    """A store in a database of a server, as another program sees it."""

    server: Any
    database: str
    options: str = ""
    """At the end of the address."""

    @property
    def url(self) -> str:
        return f"{self.server.dsn(database=self.database)}{self.options}"

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self.server.rows(statement.replace("?", "%s"), *values, database=self.database)
        return found


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> SqlitePlace | PostgresPlace:
    """A store of its own, of each kind."""
    return new_place(request, request.param, tmp_path)


def new_place(request: pytest.FixtureRequest, kind: str, folder: Path) -> SqlitePlace | PostgresPlace:
    if kind == "sqlite":
        return SqlitePlace(folder / "agent.db")
    server = request.getfixturevalue("postgres")
    (last,) = server.rows("SELECT COUNT(*) FROM pg_database")[0]
    database = f"store_{last}"
    server.rows(f"CREATE DATABASE {database}")
    return PostgresPlace(server, database)


@pytest.fixture
def converse(forks: Forks, place: SqlitePlace | PostgresPlace, tmp_path: Path) -> Callable[..., Conversation]:
    """`converse(thread, plan, **more)`: a conversation on the place."""
    return partial(Conversation, forks, place, tmp_path)


@pytest.fixture
def impatient(forks: Forks, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Conversation]:
    """The same on a server that waits half a second only for whoever pauses inside a transaction."""
    place = new_place(request, "postgresql", tmp_path)
    place.options = "?options=-c%20idle_in_transaction_session_timeout%3D500"  # type: ignore[union-attr]
    return partial(Conversation, forks, place, tmp_path)


@dataclass
class Conversation:
    """One input on a thread, said in one process and, when that is dead, brought to its end by others."""

    forks: Forks
    place: SqlitePlace | PostgresPlace
    folder: Path
    thread: str
    plan: str
    more: dict[str, Any] = field(default_factory=dict)
    """Goes with each job."""
    results: list[dict[str, Any]] = field(default_factory=list)
    """What the processes that were not killed came to, after the last one that was."""
    doubtful: set[str] = field(default_factory=set)
    """Names of the calls that had begun and not ended when a process was killed."""
    _jobs: int = 0

    @property
    def input(self) -> str:
        return f"{self.thread}-input"

    @property
    def expected(self) -> list[tuple[str, str]]:
        """Tool and name of each call of the plan."""
        return [tuple(word.split(":")) for word in self.plan.replace("|", " ").split()]  # type: ignore[misc]

    def say(self, **job: Any) -> dict[str, Any]:
        return self.runs(said=f"PLAN {self.plan}", id=self.input, **job)

    def decides(self, **job: Any) -> dict[str, Any]:
        """Another process approves what waits."""
        return self.runs(decisions=dict.fromkeys(self.results[-1]["pending"], "approve"), **job)

    def runs(self, *, kill_after: float | None = None, **job: Any) -> dict[str, Any]:
        """One process, from its start to its end."""
        return self.ended(self.starts(**job), kill_after)

    def starts(self, **job: Any) -> int:
        self._jobs += 1
        files = {name: str(self.file(name)) for name in ("effects", "trace", "result")}
        return self.forks.start(store=self.place.url, thread=self.thread, **files, **self.more, **job)

    def ended(self, pid: int, kill_after: float | None = None) -> dict[str, Any]:
        ended = self.forks.wait(pid, kill_after)
        if ended["code"] == -9:
            self.time_passes()
            self.results.clear()
        else:
            found = self.told()
            assert "error" not in found, found["trace"]
            self.results.append(found)
        return ended

    def told(self) -> dict[str, Any]:
        """What the process that ended last came to."""
        found: dict[str, Any] = json.loads(self.file("result").read_text())
        return found

    def comes_to(self, point: str, times: int = 1) -> None:
        """Waits until a process has come by a point so often."""
        until = time.monotonic() + _SECONDS
        while not self.file("trace").exists() or self.trace().count(point) < times:
            assert time.monotonic() < until, f"no process comes to {point}"
            time.sleep(0.005)

    def file(self, name: str) -> Path:
        return self.folder / f"{self.thread.replace(' ', '-')}.{name}"

    def trace(self) -> list[str]:
        return self.file("trace").read_text().split("\n")[:-1]

    def time_passes(self) -> None:
        """What is heard of a process for so long after it is dead that its turn is over."""
        begun = self._rows("SELECT arguments FROM calls WHERE thread = ? AND state = ? AND tool <> 'keep'", "started")
        self.doubtful |= {json.loads(arguments)["n"] for (arguments,) in begun}
        self.place.rows("UPDATE turns SET until = 0 WHERE thread = ?", self.thread)

    @property
    def accepted(self) -> bool:
        return bool(self._rows("SELECT 1 FROM inputs WHERE thread = ?"))

    def goes_on(self) -> None:
        """What a person does who finds it: resumes it, decides where asked, says again what was not accepted."""
        for _ in range(10):
            if self.accepted:
                self.runs()
            else:
                self.say()
            if self.results[-1]["stop"] == "needs_approval":
                self.decides()
            assert any(message["id"] == self.input for message in self.results[-1]["messages"])
            if self.results[-1]["stop"] == "answered":
                return
        pytest.fail(f"it does not come to its end: {self.results[-1]}")

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self.place.rows(statement, self.thread, *values)
        except Exception as exc:
            if "no such table" in str(exc) or "does not exist" in str(exc):  # killed before it made them
                return []
            raise

    def effects(self) -> Counter[str]:
        lines = self.file("effects").read_text().splitlines()
        return Counter(line.split()[0].partition(":")[2] for line in lines)

    def check(self) -> None:
        """That nothing was lost, nothing was done twice, and what is not known was said."""
        effects = self.effects()
        unknown = self.doubtful
        for tool, name in self.expected:
            if tool in ("act", "destroy"):
                assert effects[name] <= 1, f"{name} was done {effects[name]} times"
                assert effects[name] == 1 or name in unknown, f"{name} was not done"
            else:
                assert effects[name] >= 1
        self._check_messages(unknown)
        records = [(tool, name, "unknown" if name in unknown else "ok") for tool, name in self.expected]
        assert [tuple(call) for call in self.results[-1]["calls"]] == records
        assert self._rows("SELECT state FROM inputs WHERE thread = ?") == [("answered",)]
        states = Counter(state for (state,) in self._rows("SELECT state FROM calls WHERE thread = ?"))
        writing = [name for tool, name in self.expected if tool != "look"]
        assert states == Counter("unknown" if name in unknown else "done" for name in writing)
        assert self._rows("SELECT 1 FROM turns WHERE thread = ?") == []

    def _check_messages(self, unknown: set[str]) -> None:
        messages = self.results[-1]["messages"]
        ids = [message["id"] for message in messages]
        assert len(ids) == len(set(ids))
        assert messages[0] == {
            "type": "human",
            "id": self.input,
            "content": f"PLAN {self.plan}",
            "calls": [],
            "answers": None,
        }
        open_calls: list[str] = []
        for message in messages[1:]:
            if message["type"] == "tool":
                assert message["answers"] == open_calls.pop(0)
            else:
                assert message["type"] == "ai"
                assert open_calls == []
                open_calls = message["calls"][:]
        assert open_calls == []
        assert messages[-1]["content"] == self.results[-1]["text"] == "Done."
        told = [message["content"] for message in messages if message["type"] == "tool"]
        assert len(told) == len(self.expected)
        for content, (_, name) in zip(told, self.expected, strict=True):
            assert ("Whether it took effect is unknown" in content) if name in unknown else content == f"did {name}"
