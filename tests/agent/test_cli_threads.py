"""Threads that `run` and `chat` keep, and `gemmagraph threads`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from gemmagraph.cli import threadshow
from gemmagraph.store.store import Thread

pytest_plugins = ("kept", "postgres")

if TYPE_CHECKING:
    from kept import Place
    from postgres import Server

DELETE = 'FUNCTION_CALL: delete(path="/a")'
BROKEN = {"error": {"kind": "ServerError", "message": "It fell over."}}


def ids(place: Place, *args: str) -> list[str]:
    return [thread["id"] for thread in place.json("threads", "list", *args)["threads"]]


def test_a_run_keeps_nothing_unless_asked(place: Place) -> None:
    assert place.plays("run", "hi", steps=("Hello.",)).exit_code == 0
    assert ids(place) == []
    assert place.cli("threads", "list").stdout.startswith("No threads are kept in ")
    assert [*place.folder.rglob("agent.db")] == []


def test_a_run_goes_on_with_the_thread_that_is_named(place: Place) -> None:
    place.plays("run", "My name is Ann.", "--thread", "ann", steps=("Hello.",))
    done = place.plays("run", "Who am I?", "--thread", "ann", steps=({"text": "Ann.", "expect": "My name is"},))
    assert (done.exit_code, done.stdout) == (0, "Ann.\n")
    assert ids(place) == ["ann"]


def test_a_run_with_a_store_begins_a_thread_and_says_its_name(place: Place) -> None:
    done = place.plays("run", "hi", "--store", "sqlite:///own.db", steps=("Hello.",))
    (name,) = ids(place, "--store", "sqlite:///own.db")
    assert f"Thread {name}" in done.stderr
    assert ids(place) == []


@pytest.mark.parametrize(
    ("args", "kept"),
    [((), 0), (("--thread", "t"), 1), (("--store", "sqlite:///own.db"), 1), (("--no-store",), 0)],
    ids=["piped", "thread", "store", "no store"],
)
def test_a_piped_chat_keeps_what_it_is_told_to(place: Place, args: tuple[str, ...], kept: int) -> None:
    assert place.plays("chat", *args, steps=("Hello.",), stdin="hi\n").stdout == "Hello.\n"
    store = ("--store", "sqlite:///own.db") if "--store" in args else ()
    assert len(ids(place, *store)) == kept


def test_nothing_can_be_both_kept_and_not(place: Place) -> None:
    done = place.plays("chat", "--no-store", "--thread", "t", steps=())
    assert (done.exit_code, "--no-store keeps nothing" in done.stderr) == (2, True)


def test_commands_find_the_store_of_the_file(place: Place) -> None:
    place.declare()
    assert place.plays("run", "hi", "--thread", "t", steps=("Hello.",)).exit_code == 0
    assert place.database == place.folder / "shop.db"
    assert ids(place) == ["t"]


def test_limits_of_one_user_hold_without_a_thread(place: Place) -> None:
    place.declare()
    with (place.folder / "assistant.yaml").open("a") as file:
        file.write("limits: {per_user: {runs: 1/day}}\n")
    assert place.plays("run", "hi", steps=("Hello.",)).exit_code == 0
    done = place.plays("run", "hi", steps=())
    assert (done.exit_code, "has used up 1 runs per day" in done.stderr) == (1, True)
    assert ids(place) == []
    assert "leave out --no-store" in place.plays("chat", "--no-store", steps=()).stderr


def test_the_list_tells_states_and_fits_the_terminal(place: Place) -> None:
    place.plays("run", "hi there", "--thread", "idle", steps=("Hello.",))
    place.plays("run", "go", "--thread", "waits", steps=(DELETE,))
    place.plays("run", "go", "--thread", "broke", steps=(BROKEN,))
    place.change("UPDATE inputs SET state = 'accepted' WHERE thread = 'broke'")  # its process died
    place.plays("run", "go", "--thread", "runs", steps=("Hello.",))
    place.change("INSERT INTO turns (thread, owner, until) VALUES ('runs', 'x', ?)", time.time() + 100)
    listed = {thread["id"]: thread["state"] for thread in place.json("threads", "list")["threads"]}
    assert listed == {"runs": "running", "broke": "unfinished", "waits": "waiting", "idle": "idle"}
    assert place.cli("threads", "list").stdout.splitlines()[-1] == "idle    idle        just now  hi there"
    now = time.time()
    wide = [Thread("x" * 40, "agent", "a long title " * 20, now - 7200, now - 7200, "idle")]
    assert max(map(len, threadshow.listed(wide, 60).splitlines())) == 60


def test_a_thread_is_shown_as_it_was_held(place: Place) -> None:
    steps = (f"I will.\n{DELETE}\nFUNCTION_CALL: count(to=30)",)
    place.plays("run", "delete it", "--thread", "t", steps=steps)
    (identity,) = place.waiting()
    shown = place.cli("threads", "show", "t").stdout
    assert shown.startswith("t · waiting · begun ")
    assert '> delete it\nI will.\n  delete(path="/a")\n    waits for local:' in shown
    assert f"15 min left: approvals show {identity}\n" in shown
    place.cli("approvals", "approve", identity)
    place.plays("threads", "resume", "t", steps=("It is gone.",))
    place.change("UPDATE calls SET state = 'unknown'")
    shown = place.cli("threads", "show", "t").stdout
    assert "    OUTCOME UNKNOWN: it began, and nobody knows whether it took effect.\n    /a is gone\n" in shown
    assert "    Approved by local:" in shown
    assert "    11\n    … 18 more lines\nIt is gone.\n" in shown


def test_what_has_no_answer_yet_is_shown_too(place: Place) -> None:
    place.plays("run", "hi", "--thread", "t", steps=("Hello.",))
    place.change(
        "INSERT INTO inputs SELECT thread, 'later', 9, replace(replace(messages, 'hi', 'and now?'),"
        " (SELECT id FROM inputs), 'later'), asker, 'accepted', at FROM inputs"
    )
    shown = place.cli("threads", "show", "t").stdout
    assert shown.endswith("> and now?\n  (not answered yet)\n")
    exported = json.loads(place.cli("threads", "export", "t").stdout)
    assert [message["text"] for message in exported["unanswered"]] == ["and now?"]


def test_an_export_has_it_all(place: Place) -> None:
    place.plays("run", "delete it", "--thread", "t", steps=(f"I will.\n{DELETE}",))
    place.cli("approvals", "approve", *place.waiting())
    place.plays("threads", "resume", "t", steps=("It is gone.",))
    exported = json.loads(place.cli("threads", "export", "t").stdout)
    assert exported["gemmagraph_thread"] == 1
    assert (exported["thread"]["id"], exported["thread"]["title"]) == ("t", "delete it")
    assert [(message["role"], message["text"]) for message in exported["messages"]] == [
        ("user", "delete it"),
        ("assistant", "I will."),
        ("tool", "/a is gone"),
        ("assistant", "It is gone."),
    ]
    (call,), (approval,) = exported["calls"], exported["approvals"]
    assert exported["messages"][1]["calls"] == [call["id"]] == [exported["messages"][2]["call"]]
    assert (call["name"], call["arguments"], call["result"]) == ("delete", {"path": "/a"}, "/a is gone")
    assert (call["journal"]["state"], call["journal"]["status"]) == ("done", "ok")
    assert call["approval"] == approval["id"]
    assert (approval["decision"], approval["by"]) == ({"type": "approve"}, approval["user"])


def test_an_exported_page_is_not_ended_by_what_is_in_it(place: Place) -> None:
    steps = ('FUNCTION_CALL: look(at="```")', "Fine.")
    place.plays("run", "look", "--thread", "t", steps=steps)
    assert place.cli("threads", "export", "t", "--format", "markdown", "-o", "t.md").stdout == ""
    page = (place.folder / "t.md").read_text()
    assert page.startswith("# look\n\nThread `t`, idle, ")
    assert "````\n``` is fine\n````\n\n## Assistant\n\nFine.\n" in page


def test_a_thread_is_deleted_once_that_is_sure(place: Place) -> None:
    place.plays("run", "hi", "--thread", "t", steps=("Hello.",))
    assert place.cli("threads", "delete", "t", stdin="n\n").exit_code == 1
    assert ids(place) == ["t"]
    place.change("INSERT INTO turns (thread, owner, until) VALUES ('t', 'x', ?)", time.time() + 100)
    assert "A run is at work on the thread 't'." in place.cli("threads", "delete", "t", "--yes").stderr
    place.change("DELETE FROM turns")
    assert place.cli("threads", "delete", "t", "--yes").stdout == "Deleted t.\n"
    assert ids(place) == []


def test_what_failed_is_tried_again(place: Place) -> None:
    assert place.plays("run", "hi", "--thread", "t", steps=(BROKEN,)).exit_code == 1
    done = place.plays("threads", "resume", "t", "--json", steps=({"text": "Hello.", "expect": "hi"},))
    result = json.loads(done.stdout)
    assert (done.exit_code, result["text"], result["thread"], result["pending"]) == (0, "Hello.", "t", [])
    done = place.plays("threads", "resume", "t", steps=())
    assert (done.exit_code, "Nothing is left to do on the thread 't'." in done.stderr) == (1, True)


def test_a_chat_first_finishes_what_was_broken_off(place: Place) -> None:
    place.plays("run", "one", "--thread", "t", steps=(BROKEN,))
    place.change("UPDATE inputs SET state = 'accepted'")  # its process died
    steps = ({"text": "First.", "expect": "one"}, {"text": "Second.", "expect": "two"})
    done = place.plays("chat", "--thread", "t", steps=steps, stdin="two\n")
    assert (done.exit_code, done.stdout) == (0, "First.\nSecond.\n")
    assert "Thread t, last used just now: one" in done.stderr


def test_continue_tries_again_what_went_wrong(place: Place) -> None:
    steps = (BROKEN, {"text": "Here.", "expect": "one"})
    done = place.plays("chat", "--thread", "t", steps=steps, stdin="one\n/continue\n/continue\n")
    assert done.stdout == "Here.\n"
    assert "There is nothing to go on with." in done.stderr


def test_a_run_elsewhere_is_asked_to_stop(place: Place) -> None:
    place.plays("run", "hi", "--thread", "t", steps=("Hello.",))
    done = place.cli("threads", "cancel", "t")
    assert (done.exit_code, "Nothing runs on the thread 't'." in done.stderr) == (1, True)
    place.change("INSERT INTO turns (thread, owner, until) VALUES ('t', 'x', ?)", time.time() + 100)
    assert place.cli("threads", "cancel", "t").stdout == "t is asked to stop.\n"
    place.change("DELETE FROM turns WHERE cancelled = 1")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("show", "Moning"), "There is no thread 'Moning' in "),
        (("show", "Moning"), "Did you mean 'Morning'?"),
        (("resume", "x", "-m", "builtin"), "There is no thread 'x' in "),
        (("list", "--store", "sqlite:///gone.db"), "There is no store gone.db."),
        (("show", "x", "--store", "shop.db"), "'shop.db' is no address of a store."),
    ],
    ids=["unknown", "near", "nothing to resume", "no store", "no address"],
)
def test_what_is_not_there_is_said(place: Place, args: tuple[str, ...], says: str) -> None:
    place.plays("run", "hi", "--thread", "Morning", steps=("Hello.",))
    done = place.cli("threads", *args)
    assert done.exit_code == 1
    assert says in done.stderr
    assert not (place.folder / "gone.db").exists()


def test_a_broken_file_does_not_keep_one_from_a_store_that_is_named(place: Place) -> None:
    place.plays("run", "hi", "--store", "sqlite:///own.db", "--thread", "t", steps=("Hello.",))
    (place.folder / "assistant.yaml").write_text("modle: x\n")
    assert place.cli("threads", "list").exit_code == 1
    assert ids(place, "--store", "sqlite:///own.db") == ["t"]


def test_a_store_may_be_a_secret_and_in_postgresql(
    place: Place, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.rows("CREATE DATABASE of_the_command_line")
    monkeypatch.setenv("THREADS", postgres.dsn(database="of_the_command_line"))
    place.declare()
    file = place.folder / "assistant.yaml"
    named = file.read_text().replace("sqlite:///shop.db", '"{{ secrets.store }}"')
    file.write_text(f"{named}secrets: {{store: {{env: THREADS}}}}\n")
    done = place.plays("run", "delete it", "--thread", "t", steps=(DELETE,))
    assert (done.exit_code, ids(place)) == (3, ["t"])
    assert "horse" not in done.stderr
    done = place.cli("approvals", "approve", *place.waiting(), "--as", "local:bob")
    assert done.exit_code == 0, done.stderr
    assert place.plays("threads", "resume", "t", steps=("Done.",)).stdout == "Done.\n"
    assert place.deleted == ["/a 1"]
    named = place.cli("threads", "show", "x", "--store", postgres.dsn(database="of_the_command_line"))
    assert "horse" not in named.stderr
