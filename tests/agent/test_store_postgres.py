"""A store in a PostgreSQL server that goes away, comes back, or lets nobody in."""

import asyncio
import signal
from contextlib import closing

import pytest

from gemmagraph import Agent, Gemma, tool
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.errors import StoreError
from gemmagraph.store import postgres as module
from gemmagraph.store.rows import DamagedRow
from gemmagraph.store.store import Store

pytest_plugins = ("crashes", "postgres")

CALL = 'FUNCTION_CALL: act(n="a")'


class Server:
    """What a test does to the server in the middle of a run."""

    def __init__(self, server):
        self.server = server

    def restarts(self):
        self.server.stop()
        self.server.start()

    def loses_its_connections(self):
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gemmagraph'"
        assert self.server.rows(ended)

    def stops(self):
        self.server.stop(signal.SIGINT)


def runs(store, done, *, between=None, in_tool=None, said="go", resume=False):
    """A run with one call; something happens between two steps, or while the tool is at work."""

    @tool
    def act(n: str) -> str:
        """Acts."""
        done.append(n)
        if in_tool:
            in_tool()
        return f"did {n}"

    def answer(request):
        last = request.messages[-1]["content"]
        if not ("did a" in last or "is unknown" in last):
            return CALL
        if between:
            between()
        return "Done."

    agent = Agent(Gemma(ScriptedBackend([answer] * 4)), [act], store=store)
    try:
        return agent.resume("t") if resume else agent.run(said, thread="t")
    finally:
        store.close()


HAPPENS = ["restarts", "loses_its_connections"]


@pytest.mark.parametrize("happens", HAPPENS)
@pytest.mark.parametrize("when", ["between", "in_tool"])
def test_a_run_goes_on_when_its_server_was_gone_for_a_moment(own_postgres, happens, when):
    done = []
    what = getattr(Server(own_postgres), happens)
    result = runs(Store(own_postgres.dsn()), done, **{when: what})
    assert result.text == "Done."
    assert done == ["a"]
    assert [call.status for call in result.calls] == ["ok"]
    assert own_postgres.rows("SELECT state FROM inputs") == [("answered",)]
    assert own_postgres.rows("SELECT state FROM calls") == [("done",)]
    assert own_postgres.rows("SELECT 1 FROM turns") == []


def test_a_server_that_is_gone_for_good_is_named_and_what_was_begun_is_finished_later(own_postgres):
    done = []
    place = own_postgres.dsn()
    with pytest.raises(StoreError) as told:
        runs(Store(place, patience=0.5, lease=0.5), done, in_tool=own_postgres.stop)
    assert f"The store postgresql://postgres@127.0.0.1:{own_postgres.port}/postgres failed:" in str(told.value)
    assert "correct" not in f"{told.value!r} {told.value} {told.value.__cause__!r}"
    own_postgres.start()
    result = runs(Store(place), done, resume=True)
    assert result.text == "Done."
    assert done == ["a"]
    assert [call.status for call in result.calls] == ["unknown"]
    assert "is unknown" in result.messages[2].content


WRONG = {
    "password": ("postgresql://postgres:horse%20staple@127.0.0.1:{port}/postgres", "password"),
    "database": ("postgresql://postgres:correct%20horse%20battery@127.0.0.1:{port}/nowhere", "Make the database"),
    "user": ("postgresql://nobody:horse%20staple@127.0.0.1:{port}/postgres", "Check the user and the password"),
    "port": ("postgresql://postgres:horse%20staple@127.0.0.1:1/postgres", "Check that it runs and its address"),
}


@pytest.mark.parametrize(("place", "hint"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_the_address_is_said_without_the_password(postgres, place, hint):
    with pytest.raises(StoreError) as told:
        runs(Store(place.format(port=postgres.port)), [])
    assert hint in str(told.value)
    assert "horse" not in str(told.value)


def test_a_user_who_may_not_make_tables_is_told_so(postgres):
    postgres.rows("CREATE DATABASE others")
    postgres.rows("CREATE ROLE reader LOGIN PASSWORD 'correct horse battery'")
    with pytest.raises(StoreError, match="Give its user the right to make and write tables"):
        runs(Store(postgres.dsn("reader", "others")), [])


@pytest.fixture
def database(request, tmp_path):
    """One with nothing in it."""
    from crashes import new_place

    return new_place(request, "postgresql", tmp_path)


@pytest.fixture
def others(database):
    """A database in which an application of LangGraph's keeps its threads."""
    from langgraph.checkpoint.postgres import PostgresSaver

    with PostgresSaver.from_conn_string(database.url) as saver:
        saver.setup()
    return database


def tables(place):
    return set(place.rows("SELECT schemaname, tablename FROM pg_tables WHERE schemaname <> 'pg_catalog'"))


def test_the_database_of_another_program_is_left_as_it_is(others):
    before = tables(others)
    for _ in range(2):
        with pytest.raises(StoreError, match="another program keeps its own: checkpoint_blobs") as told:
            runs(Store(others.url), [])
        assert "horse" not in str(told.value)
    assert tables(others) == before


def test_a_schema_of_its_own_in_the_database_of_another_program_is_a_store(others):
    before = tables(others)
    place = f"{others.url}?options=-csearch_path%3Dours"
    with pytest.raises(StoreError, match="Make the schema"):
        runs(Store(place), [])
    others.server.rows("CREATE SCHEMA ours", database=others.database)
    for resume in (False, True):
        assert runs(Store(place), [], resume=resume).text == "Done."
    assert {schema for schema, _ in tables(others) - before} == {"ours"}
    assert others.rows("SELECT * FROM checkpoints") == []


@pytest.mark.parametrize("step", ["claim", "prepare"])
def test_a_database_whose_maker_died_at_once_is_still_ours(database, monkeypatch, step):

    def dies(*_):
        raise RuntimeError("It died.")

    with monkeypatch.context() as patched:
        patched.setattr(module, step, dies)
        with pytest.raises(RuntimeError):
            runs(Store(database.url), [])
    assert runs(Store(database.url), []).text == "Done."


def test_a_thread_whose_time_is_no_number_hides_no_other(database):
    store = Store(database.url)
    runs(store, [])
    assert database.rows("INSERT INTO threads SELECT 'u', agent, title, 'NaN', updated FROM threads RETURNING 1")
    with closing(store), pytest.warns(DamagedRow, match="thread 'u' .table threads.*created is nan"):
        assert [thread.id for thread in asyncio.run(store.threads())] == ["t"]


def test_a_process_that_stopped_inside_a_transaction_keeps_nobody_waiting_for_long(forks, impatient):
    conversation = impatient("t", "act:a", {"lease": 0.4})
    stopped = conversation.starts(
        said="PLAN act:a", id=conversation.input, kill={"at": "before commit", "n": 3, "by": "SIGSTOP"}
    )
    try:
        conversation.comes_to("before commit", 3)
        conversation.runs()
        assert conversation.results[-1]["text"] == "Done."
    finally:
        forks.signal(stopped, signal.SIGCONT)
        ended = forks.wait(stopped)
    assert ended["code"] == 1
    assert conversation.told()["error"] == "TurnLost"
    assert conversation.effects() == {"a": 1}
