"""Rows that somebody forged so that reading them runs something: nothing runs."""

import json
import pickle
import sqlite3
from contextlib import closing, suppress

import ormsgpack
import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from gemmagraph import Agent, Gemma
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.errors import GemmagraphError
from gemmagraph.store.store import Store

pytest_plugins = ("crashes", "postgres")


def packed(value: object) -> bytes:
    return ormsgpack.packb(value)


def ext(code: int, *fields: object) -> ormsgpack.Ext:
    return ormsgpack.Ext(code, packed(fields))


class Pickled:
    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self):
        import os

        return os.mkdir, (self.mark,)


FORGED = {
    "0: one argument": lambda mark: ("msgpack", packed(ext(0, "os", "mkdir", mark))),
    "1: arguments": lambda mark: ("msgpack", packed(ext(1, "os", "mkdir", [mark]))),
    "2: named arguments": lambda mark: ("msgpack", packed(ext(2, "os", "mkdir", {"path": mark}))),
    "3: a method": lambda mark: ("msgpack", packed(ext(3, "os", "path", mark, "os.mkdir"))),
    "3: a method of a class": lambda mark: ("msgpack", packed(ext(3, "pathlib", "Path", mark, "mkdir"))),
    "4: pydantic 1": lambda mark: ("msgpack", packed(ext(4, "os", "mkdir", {"path": mark}))),
    "5: pydantic 2": lambda mark: ("msgpack", packed(ext(5, "os", "mkdir", {"path": mark}))),
    "6: an array": lambda mark: ("msgpack", packed(ext(6, "O", [1], "C", mark.encode()))),
    "7: a snapshot": lambda mark: (
        "msgpack",
        packed(ormsgpack.Ext(7, packed([ext(0, "os", "mkdir", mark)]))),
    ),
    "nested": lambda mark: ("msgpack", packed({"a": [ext(0, "builtins", "list", ext(0, "os", "mkdir", mark))]})),
    "pickle": lambda mark: ("pickle", pickle.dumps(Pickled(mark))),
    "json": lambda mark: (
        "json",
        json.dumps({"lc": 2, "type": "constructor", "id": ["os", "mkdir"], "args": [mark]}).encode(),
    ),
}
"""The kinds of msgpack's extensions that LangGraph knows, and the other ways in which it writes."""

TABLES = {
    "sqlite": [("checkpoints", "checkpoint"), ("writes", "value")],
    "postgresql": [("checkpoint_blobs", "blob"), ("checkpoint_writes", "blob")],
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_row_runs_nothing(place, tmp_path, forge):
    mark = tmp_path / "mark"
    kind, blob = forge(str(mark))
    for table, column in TABLES[place.url.partition(":")[0]]:
        thread = f"t {table}"
        with closing(Store(place.url)) as store:
            Agent(Gemma(ScriptedBackend(["Hello."])), store=store).run("hello", thread=thread)
        statement = f"UPDATE {table} SET type = ?, {column} = ? WHERE thread_id = ? RETURNING 1"
        assert place.rows(statement, kind, blob, thread)
        for reads in ("history", "resume", "run"):
            with closing(Store(place.url)) as store:
                agent = Agent(Gemma(ScriptedBackend(["Hello again."])), store=store)
                with suppress(GemmagraphError):  # any other error fails the test
                    agent.run("hello", thread=thread) if reads == "run" else getattr(agent, reads)(thread)
        assert not mark.exists()


RUNS = ["0: one argument", "1: arguments", "2: named arguments", "4: pydantic 1", "5: pydantic 2", "7: a snapshot"]


@pytest.mark.parametrize("name", [*RUNS, "nested", "pickle"])
@pytest.mark.filterwarnings("ignore")
def test_the_same_rows_run_what_they_name_where_reading_is_not_strict(tmp_path, name):
    """The control: they are forged well."""
    mark = tmp_path / "mark"
    JsonPlusSerializer(pickle_fallback=True, allowed_msgpack_modules=True).loads_typed(FORGED[name](str(mark)))
    assert mark.exists()


def test_a_trigger_in_the_file_runs_no_function_of_the_program(tmp_path):
    file = tmp_path / "agent.db"
    with closing(Store(file)) as store:
        Agent(Gemma(ScriptedBackend(["Hello."])), store=store).run("hello", thread="t")
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TRIGGER t AFTER INSERT ON inputs BEGIN SELECT load_extension('/tmp/nothing.so'); END")
    with closing(Store(file)) as store, pytest.raises(GemmagraphError, match="unsafe use of load_extension"):
        Agent(Gemma(ScriptedBackend(["Hello."])), store=store).run("hello", thread="t")
