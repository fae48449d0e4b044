"""A store that cannot be used, or that somebody has changed: a clear error or a clean recovery, and nothing lost."""

import asyncio
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import tempfile
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gemmagraph import Agent, Approve, Gemma, tool
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.errors import StoreError
from gemmagraph.store import sqlite, tables
from gemmagraph.store.rows import DamagedRow
from gemmagraph.store.store import Store

pytest_plugins = ("crashes", "postgres")

PATIENCE = 20
CALL = 'FUNCTION_CALL: act(n="a")'


class Agents:
    """Agents made anew, as in process after process, on one store."""

    def __init__(self, store: object, **options: object) -> None:
        self._store = store
        self._options = options
        self.done: list[str] = []

    @contextmanager
    def saying(self, *steps):
        @tool
        def act(n: str) -> str:
            """Acts."""
            self.done.append(n)
            return f"did {n}"

        @tool(destructive=True)
        def destroy(n: str) -> str:
            """Destroys."""
            self.done.append(n)
            return f"did {n}"

        store = Store(self._store, **self._options)
        agent = Agent(Gemma(ScriptedBackend(steps)), [act, destroy], store=store)
        try:
            yield agent
        finally:
            store.close()


@pytest.fixture
def agents(place):
    """On a store in which a thread `t` has had its first answer."""
    made = Agents(place.url)
    with made.saying(CALL, "Done.") as agent:
        agent.run("go", thread="t")
    return made


def failure(agents, what=lambda agent: agent.run("more", thread="t")) -> str:
    """How an agent fails on the store."""
    with agents.saying("Never asked.") as agent, pytest.raises(StoreError) as told:
        what(agent)
    assert "correct horse" not in str(told.value)
    assert agents.done in (["a"], [])
    return str(told.value)


def test_a_store_that_a_newer_version_wrote_is_left_alone(agents, place):
    place.rows("UPDATE gemmagraph_version SET version = 99 RETURNING version")
    assert "was written by a newer gemmagraph (shape 99;" in failure(agents)
    assert place.rows("SELECT state FROM inputs") == [("answered",)]


@pytest.mark.parametrize(("version", "more"), [(1, ", and bot_audit is there, which is newer"), (-1, "")])
def test_a_version_that_cannot_be_the_stores_is_named(agents, place, version, more):
    place.rows("UPDATE gemmagraph_version SET version = ? RETURNING version", version)
    assert f" cannot be read: its table gemmagraph_version says {version}{more}." in failure(agents)
    assert place.rows("SELECT version FROM gemmagraph_version") == [(version,)]


def test_a_turn_whose_time_cannot_be_read_is_over(agents, place):
    broken = "x" if place.url.startswith("sqlite") else "NaN"
    place.rows("INSERT INTO turns (thread, owner, until) VALUES ('t', 'x', ?) RETURNING 1", broken)
    with closing(Store(place.url)) as store:
        assert not asyncio.run(store.turns.cancel("t"))
        assert [thread.state for thread in asyncio.run(store.threads())] == ["idle"]
    with agents.saying("More.") as agent:
        assert agent.run("more", thread="t").text == "More."
    assert place.rows("SELECT 1 FROM turns") == []


def test_a_store_of_an_older_version_is_brought_up_to_date(agents, place, monkeypatch):
    newer = (*tables._MIGRATIONS, ("ALTER TABLE threads ADD COLUMN colour TEXT",))
    monkeypatch.setattr(tables, "_MIGRATIONS", newer)
    with agents.saying("More.") as agent:
        assert len(agent.run("more", thread="t").messages) == 6
    assert place.rows("SELECT version FROM gemmagraph_version") == [(len(newer),)]
    assert place.rows("SELECT colour FROM threads") == [(None,)]


def test_a_migration_that_fails_changes_nothing(agents, place, monkeypatch):
    before = place.rows("SELECT version FROM gemmagraph_version")
    broken = (*tables._MIGRATIONS, ("ALTER TABLE threads ADD COLUMN colour TEXT", "ALTER TABLE nowhere ADD COLUMN a"))
    monkeypatch.setattr(tables, "_MIGRATIONS", broken)
    failure(agents)
    monkeypatch.undo()
    assert place.rows("SELECT version FROM gemmagraph_version") == before
    with agents.saying("More.") as agent:
        assert agent.run("more", thread="t").text == "More."


def test_many_may_make_a_store_at_the_same_time(place):
    failed = []
    ready = threading.Barrier(8)

    def opens():
        with closing(Store(place.url)) as store:
            ready.wait(PATIENCE)
            try:
                asyncio.run(store.check())
            except StoreError as exc:
                failed.append(exc)

    threads = [threading.Thread(target=opens) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert failed == []


DAMAGES = {
    "state": (
        "UPDATE checkpoints SET checkpoint = x'c1c1' RETURNING 1",
        "UPDATE checkpoint_blobs SET blob = '\\xc1c1' RETURNING 1",
        "history",
    ),
    "what is said of the state": (
        "UPDATE checkpoints SET metadata = x'7b' RETURNING 1",
        "UPDATE checkpoints SET checkpoint = '5' RETURNING 1",
        "history",
    ),
    "writes": (
        "UPDATE writes SET value = x'c1c1' RETURNING 1",
        "UPDATE checkpoint_writes SET blob = '\\xc1c1' RETURNING 1",
        "history",
    ),
    "a type that is none": (
        "UPDATE writes SET type = 'yaml' RETURNING 1",
        "UPDATE checkpoint_writes SET type = 'yaml' RETURNING 1",
        "history",
    ),
    "the wrong shape": (
        "UPDATE writes SET value = x'05' RETURNING 1",
        "UPDATE checkpoint_writes SET blob = '\\x05' RETURNING 1",
        "history",
    ),
    "input": ("UPDATE inputs SET messages = '[{', state = 'accepted' RETURNING 1",) * 2 + ("resume",),
    "an input of the wrong shape": ("UPDATE inputs SET messages = '5', state = 'accepted' RETURNING 1",) * 2
    + ("resume",),
    "approval": ("UPDATE approvals SET asked = '{' RETURNING 1",) * 2 + ("resume",),
    "an approval with something else in it": ("UPDATE approvals SET asked = '{\"a\": 1}' RETURNING 1",) * 2
    + ("resume",),
    "a decision": ("UPDATE approvals SET decision = 'x' RETURNING 1",) * 2 + ("resume",),
    "a decision of no kind": ("UPDATE approvals SET decision = '{}' RETURNING 1",) * 2 + ("resume",),
}


@pytest.mark.parametrize(("sqlite", "postgresql", "way"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_row_is_a_clear_error(agents, place, sqlite, postgresql, way):
    with agents.saying('FUNCTION_CALL: destroy(n="b")') as agent:
        assert agent.run("destroy", thread="t").stop == "needs_approval"
    statement = sqlite if place.url.startswith("sqlite") else postgresql
    assert place.rows(statement)
    ways = {
        "history": lambda agent: agent.history("t"),
        "resume": lambda agent: agent.resume("t"),
    }
    assert "in the store cannot be read" in failure(agents, ways[way])


@pytest.mark.parametrize("asked", ["{", '{"tool": 5}'], ids=["no JSON", "of the wrong types"])
def test_a_damaged_approval_hides_no_other_and_cannot_be_approved(agents, place, asked):
    waiting = []
    for thread in ("t", "other"):
        with agents.saying('FUNCTION_CALL: destroy(n="b")') as agent:
            waiting += agent.run("destroy", thread=thread).pending
    place.rows("UPDATE approvals SET asked = ? WHERE thread = 't' RETURNING 1", asked)
    with agents.saying() as agent, pytest.warns(DamagedRow, match=f"{waiting[0].id} of the thread 't'"):
        assert agent.approvals() == waiting[1:]
    assert waiting[0].id in failure(agents, lambda agent: agent.resume("t", {waiting[0].id: Approve()}))


@pytest.mark.parametrize("key", ["user", "approvers", "deciders", "four_eyes"])
def test_an_approval_that_does_not_say_who_may_decide_cannot_be_approved(agents, place, key):
    with agents.saying('FUNCTION_CALL: destroy(n="b")') as agent:
        (waiting,) = agent.run("destroy", thread="t", user="ann").pending
    ((asked,),) = place.rows("SELECT asked FROM approvals")
    left = {name: value for name, value in json.loads(asked).items() if name != key}
    place.rows("UPDATE approvals SET asked = ? RETURNING 1", json.dumps(left))
    assert f"it does not say {key}" in failure(agents, lambda agent: agent.resume("t", {waiting.id: Approve()}))


def test_a_damaged_journal_makes_no_call_again(agents, place):
    place.rows("UPDATE calls SET outcome = '{' RETURNING 1")
    with (
        agents.saying() as agent,
        pytest.raises(StoreError, match=r"The call \S+ of the thread 't' \(table calls\) in the store cannot"),
    ):
        agent.resume("t")
    assert agents.done == ["a"]


def test_a_question_that_somebody_deleted_is_asked_again(agents, place):
    with agents.saying('FUNCTION_CALL: destroy(n="b")') as agent:
        agent.run("destroy", thread="t")
    place.rows("DELETE FROM approvals RETURNING 1")
    with agents.saying() as agent:
        (asked,) = agent.resume("t").pending
    assert agents.done == ["a"]
    with agents.saying("Gone.") as agent:
        assert agent.resume("t", {asked.id: Approve()}).text == "Gone."
    assert agents.done == ["a", "b"]


def test_what_is_said_twice_is_answered_once(place):
    agents = Agents(place.url)
    said = {"role": "user", "content": "go", "id": "i1"}
    for steps in ((CALL, "Done."), ()):  # as a chat service delivers a message again
        with agents.saying(*steps) as agent:
            result = agent.run([said], thread="t")
            assert (result.text, [call.status for call in result.calls]) == ("Done.", ["ok"])
    assert agents.done == ["a"]


ODD = {
    "half a pair of surrogates": "half \ud83d a pair",
    "a null character": "null \x00 character",
    "other letters": "ñandú 日本 🙂",
}


@pytest.mark.parametrize("said", ODD.values(), ids=ODD)
def test_what_is_said_may_hold_any_character(place, said):
    agents = Agents(place.url)
    with agents.saying(CALL, "Done.") as agent:
        assert agent.run(said, thread="t", context={"said": said}).text == "Done."
    with agents.saying() as agent:
        assert agent.resume("t").text == "Done."
        assert agent.history("t")[0].content == said.encode("utf-8", "replace").decode()


# A file.


@pytest.fixture
def file(tmp_path):
    return tmp_path / "agent.db"


def test_a_file_that_another_program_has_locked_is_waited_for_then_named(file):
    agents = Agents(file, patience=0.3)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        with agents.saying("Hello.") as agent:
            agent.run("hello", thread="t")
        other.execute("BEGIN EXCLUSIVE")
        assert f"The store {file} is locked by another program." in failure(agents)
        other.execute("ROLLBACK")
    with agents.saying("More.") as agent:
        assert agent.run("more", thread="t").text == "More."


def test_what_could_not_be_kept_is_told_so(file):
    agents = Agents(file, patience=0.3)
    with closing(sqlite3.connect(file, isolation_level=None)) as other, agents.saying("Hello.") as agent:
        agent.run("hello", thread="t")
        other.execute("BEGIN EXCLUSIVE")
        for what, says in ((lambda: agent.run("more", thread="t"), True), (lambda: agent.resume("t"), False)):
            with pytest.raises(StoreError, match="is locked by another program") as told:
                what()
            assert ("What was said just now was not kept. Close what holds it" in str(told.value)) is says
        other.execute("ROLLBACK")
        assert other.execute("SELECT COUNT(*) FROM inputs").fetchone() == (1,)


def test_a_file_that_is_unlocked_in_time_costs_nothing_but_time(file):
    agents = Agents(file)
    with agents.saying(CALL, "Done.") as agent, closing(sqlite3.connect(file, check_same_thread=False)) as other:
        asyncio.run(agent._store.check())
        other.isolation_level = None
        other.execute("BEGIN EXCLUSIVE")
        letting_go = threading.Timer(0.3, other.execute, ("ROLLBACK",))
        letting_go.start()
        assert agent.run("go", thread="t").text == "Done."
        letting_go.join(PATIENCE)


def test_the_file_and_those_beside_it_are_for_their_owner_only(file):
    before = os.umask(0)
    try:
        with Agents(file).saying("Hello.") as agent:
            agent.run("hello", thread="t")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"agent.db": 0o600, "agent.db-wal": 0o600, "agent.db-shm": 0o600}


@pytest.mark.parametrize("there", ["a store", "an empty file"])
def test_a_file_that_others_may_read_is_for_its_owner_only_from_now_on(file, there):
    file.touch()
    if there == "a store":
        with Agents(file).saying("Hello.") as agent:
            agent.run("hello", thread="t")
    file.chmod(0o640)
    with closing(sqlite3.connect(file)) as other:
        other.execute("SELECT * FROM sqlite_master")  # while it is open there are files beside it
        with Agents(file).saying("Hello.") as agent:
            agent.run("hello", thread="u")
            modes = {stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    assert modes == {0o600}


def test_the_database_of_another_program_is_left_as_it_is(file):
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE diary (said TEXT)")
    file.chmod(0o644)
    before = file.read_bytes()
    assert f"The file {file} is the database of another program." in failure(Agents(file))
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (before, 0o644)
    assert [*file.parent.iterdir()] == [file]


@pytest.mark.parametrize(
    "mark", ["CREATE VIEW diary AS SELECT 1", "PRAGMA user_version = 7", "PRAGMA application_id = 7"]
)
def test_a_database_without_tables_may_be_another_programs_too(file, mark):
    with closing(sqlite3.connect(file)) as other:
        other.execute(mark)
    before = file.read_bytes()
    assert f"The file {file} is the database of another program." in failure(Agents(file))
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("version", "says"), [("", "''."), ("x" * 100, f"'{'x' * 39}.")], ids=["nothing", "no number"]
)
def test_a_version_that_is_no_number_is_named(file, version, says):
    asyncio.run(Store(file).check())
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("UPDATE gemmagraph_version SET version = ?", (version,))
    told = failure(Agents(file))
    assert f"The version of the store {file} cannot be read: its table gemmagraph_version says {says}" in told


def test_a_file_that_a_newer_version_wrote_is_not_written(file):
    asyncio.run(Store(file).check())
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("UPDATE gemmagraph_version SET version = 99")
        other.execute("DROP TABLE writes")
        other.execute("PRAGMA journal_mode=DELETE")
    file.chmod(0o644)
    before = file.read_bytes()
    assert "was written by a newer gemmagraph" in failure(Agents(file))
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (before, 0o644)


@pytest.mark.parametrize("thread", [b"\xff", None], ids=["bytes", "none"])
def test_a_thread_that_no_command_can_name_is_told_with_what_can_be_done(file, thread):
    agents = Agents(file)
    with agents.saying("Hello.", "Hello.") as agent:
        for name in "tu":
            agent.run("hello", thread=name)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("UPDATE threads SET thread = ? WHERE thread = 'u'", (thread,))
    with closing(Store(file)) as store, pytest.warns(DamagedRow, match="no command can name it.* row by hand"):
        assert [found.id for found in asyncio.run(store.threads())] == ["t"]


def test_a_store_whose_maker_died_at_once_is_still_ours(file, monkeypatch):
    def dies(*_):
        raise RuntimeError("It died.")

    for step in ("claim", "prepare"):
        with monkeypatch.context() as patched:
            patched.setattr(sqlite, step, dies)
            with pytest.raises(RuntimeError):
                asyncio.run(Store(file).check())
        asyncio.run(Store(file).check())


def test_a_file_that_is_no_database_is_left_as_it_is(file):
    file.write_text("Dear diary, " * 1000)
    assert f"The store {file} is no SQLite file." in failure(Agents(file))
    assert file.read_text() == "Dear diary, " * 1000


def test_a_truncated_database_is_a_clear_error(file):
    agents = Agents(file)
    with agents.saying(*["Hello."] * 5) as agent:
        for _ in range(5):
            agent.run("hello", thread="t")
    os.truncate(file, file.stat().st_size // 2)
    assert f"The store {file} is damaged." in failure(agents)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    told = failure(Agents(tmp_path / "none" / "agent.db"))
    assert "cannot be opened: No such file or directory. Its folder must be there" in told


@pytest.fixture
def folder_of_others():
    """A folder that somebody without rights may look into."""
    name = tempfile.mkdtemp(prefix="gg-store-")
    Path(name).chmod(0o755)
    yield Path(name)
    shutil.rmtree(name)


@contextmanager
def without_rights():
    """Nobody may do everything: the superuser becomes somebody else meanwhile."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_file_or_folder_that_is_read_only_is_named(folder_of_others, what):
    file = folder_of_others / "agent.db"
    agents = Agents(file)
    with agents.saying("Hello.") as agent:
        agent.run("hello", thread="t")
    if what == "file":
        file.chmod(0o444)
    else:
        file.chmod(0o666)
        folder_of_others.chmod(0o555)
    try:
        with without_rights():
            told = failure(agents)
    finally:
        folder_of_others.chmod(0o755)
        file.chmod(0o600)
    assert f"The store {file} is read-only." in told or f"The store {file} cannot be opened." in told
    with agents.saying("More.") as agent:
        assert agent.run("more", thread="t").text == "More."


def test_a_file_that_was_read_only_for_a_while_can_be_written_again(folder_of_others):
    file = folder_of_others / "agent.db"
    agents = Agents(file)
    with agents.saying("Hello.") as agent:
        agent.run("hello", thread="t")
    if not os.geteuid():
        os.chown(folder_of_others, 65534, -1)
        os.chown(file, 65534, -1)
    with without_rights():
        file.chmod(0o400)
        with agents.saying() as agent:
            assert len(agent.history("t")) == 2
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder_of_others.iterdir()} == {0o400}
        file.chmod(0o600)
        with agents.saying("More.") as agent:
            assert agent.run("more", thread="t").text == "More."


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a disk can be mounted by the superuser only: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_without_room_for_a_new_store_is_full(small_disk):
    file = small_disk / "agent.db"
    for left in range(0, 200_000, 8192):
        disk = os.statvfs(small_disk)
        (small_disk / "ballast").write_bytes(b"\0" * (disk.f_bavail * disk.f_frsize - left))
        told = failure(Agents(file), lambda agent: asyncio.run(agent._store.check()))
        assert "cannot be written: the disk is full" in told
        assert "Make room" in told
        for path in small_disk.iterdir():
            path.unlink()


def by_what_is_there(request):
    """What the model says, wherever the conversation is."""
    last = request.messages[-1]["content"]
    return "Done." if "did a" in last or "is unknown" in last else CALL


def test_a_full_disk_loses_nothing_and_repeats_nothing(small_disk):
    ballast, file = small_disk / "ballast", small_disk / "agent.db"
    came = set()
    for left in range(0, 200_000, 12_288):  # it is full at one step, then at a later one
        agents = Agents(file, lease=0.5)  # the full disk keeps the turn, too
        with agents.saying() as agent:
            asyncio.run(agent._store.check())
        disk = os.statvfs(small_disk)
        ballast.write_bytes(b"\0" * (disk.f_bavail * disk.f_frsize - left))
        failed = ""
        with agents.saying(*[by_what_is_there] * 3) as agent:
            try:
                agent.run("go", thread="t")
            except StoreError as exc:
                failed = str(exc)
        ballast.unlink()
        assert not failed or "the disk is full" in failed or "the disk failed" in failed
        with closing(sqlite3.connect(file)) as other:
            accepted = other.execute("SELECT state FROM inputs").fetchall()
        with agents.saying(*[by_what_is_there] * 3) as agent:
            if accepted:
                assert agent.resume("t").text == "Done."
            tools = [message.content for message in agent.history("t")] if accepted else []
        unknown = any("is unknown" in content for content in tools)
        assert agents.done == (["a"] if accepted and not unknown else agents.done[:1] if accepted else [])
        came.add((bool(failed), bool(accepted), unknown, len(agents.done)))
        for path in small_disk.glob("agent.db*"):
            path.unlink()
    assert {(True, False, False, 0), (True, True, False, 1), (False, True, False, 1)} <= came
