"""Threads that `run` and `chat` keep, and `gemmagraph threads`."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from gemmagraph.cli import threadshow
from gemmagraph.store.owners import new_owner
from gemmagraph.store.store import Thread

pytest_plugins = ("kept", "postgres")

if TYPE_CHECKING:
    from kept import Place
    from postgres import Server

DELETE = 'FUNCTION_CALL: delete(path="/a")'
BROKEN = {"error": {"kind": "ServerError", "message": "It fell over."}}


def ids(desk: Place, *args: str) -> list[str]:
    return [thread["id"] for thread in desk.json("threads", "list", *args)["threads"]]


def states(desk: Place) -> dict[str, str]:
    return {thread["id"]: thread["state"] for thread in desk.json("threads", "list")["threads"]}


def test_a_run_keeps_nothing_unless_asked(desk: Place) -> None:
    assert desk.plays("run", "hi", steps=("Hello.",)).exit_code == 0
    assert ids(desk) == []
    assert desk.cli("threads", "list").stdout.startswith("No threads are kept in ")
    assert [*desk.folder.rglob("agent.db")] == []


def test_a_run_goes_on_with_the_thread_that_is_named(desk: Place) -> None:
    desk.plays("run", "My name is Ann.", "--thread", "ann", steps=("Hello.",))
    done = desk.plays("run", "Who am I?", "--thread", "ann", steps=({"text": "Ann.", "expect": "My name is"},))
    assert (done.exit_code, done.stdout) == (0, "Ann.\n")
    assert ids(desk) == ["ann"]


def test_a_run_on_a_thread_that_waits_for_a_decision_is_not_taken(desk: Place) -> None:
    desk.plays("run", "delete it", "--thread", "t", steps=(DELETE,))
    (waiting,) = desk.waiting()
    done = desk.plays("run", "and now?", "--thread", "t", steps=())
    assert (done.exit_code, done.stdout) == (3, "")
    assert "Not taken: the thread waits for a decision first." in done.stderr
    assert f"gemmagraph approvals approve {waiting}" in done.stderr
    assert "gemmagraph threads resume t" in done.stderr
    assert "and now?" not in desk.cli("threads", "export", "t").stdout


def test_a_run_with_a_store_begins_a_thread_and_says_its_name(desk: Place) -> None:
    done = desk.plays("run", "hi", "--store", "sqlite:///own.db", steps=("Hello.",))
    (name,) = ids(desk, "--store", "sqlite:///own.db")
    assert f"Thread {name}" in done.stderr
    assert ids(desk) == []


@pytest.mark.parametrize(
    ("args", "kept"),
    [((), 0), (("--thread", "t"), 1), (("--store", "sqlite:///own.db"), 1), (("--no-store",), 0)],
    ids=["piped", "thread", "store", "no store"],
)
def test_a_piped_chat_keeps_what_it_is_told_to(desk: Place, args: tuple[str, ...], kept: int) -> None:
    assert desk.plays("chat", *args, steps=("Hello.",), stdin="hi\n").stdout == "Hello.\n"
    store = ("--store", "sqlite:///own.db") if "--store" in args else ()
    assert len(ids(desk, *store)) == kept


def test_nothing_can_be_both_kept_and_not(desk: Place) -> None:
    done = desk.plays("chat", "--no-store", "--thread", "t", steps=())
    assert (done.exit_code, "--no-store keeps nothing" in done.stderr) == (2, True)


def test_commands_find_the_store_of_the_file(desk: Place) -> None:
    desk.declare()
    assert desk.plays("run", "hi", "--thread", "t", steps=("Hello.",)).exit_code == 0
    assert desk.database == desk.folder / "shop.db"
    assert ids(desk) == ["t"]


def test_limits_of_one_user_hold_without_a_thread(desk: Place) -> None:
    desk.declare()
    with (desk.folder / "assistant.yaml").open("a") as file:
        file.write("limits: {per_user: {runs: 1/day}}\n")
    assert desk.plays("run", "hi", steps=("Hello.",)).exit_code == 0
    done = desk.plays("run", "hi", steps=())
    assert (done.exit_code, "has used up 1 runs per day" in done.stderr) == (1, True)
    assert ids(desk) == []
    assert "leave out --no-store" in desk.plays("chat", "--no-store", steps=()).stderr


def test_the_list_tells_states_and_fits_the_terminal(desk: Place) -> None:
    desk.plays("run", "hi there", "--thread", "idle", steps=("Hello.",))
    desk.plays("run", "go", "--thread", "waits", steps=(DELETE,))
    desk.plays("run", "go", "--thread", "broke", steps=(BROKEN,))
    desk.change("UPDATE inputs SET state = 'accepted' WHERE thread = 'broke'")  # its process died
    desk.plays("run", "go", "--thread", "runs", steps=("Hello.",))
    desk.change("INSERT INTO turns (thread, owner, until) VALUES ('runs', 'x', ?)", time.time() + 10)
    assert states(desk) == {"runs": "running", "broke": "unfinished", "waits": "waiting", "idle": "idle"}
    assert desk.cli("threads", "list").stdout.splitlines()[-1] == "idle    idle        just now  hi there"
    now = time.time()
    wide = [Thread("x" * 40, "agent", "a long title " * 20, now - 7200, now - 7200, "idle")]
    assert max(map(len, threadshow.listed(wide, 60).splitlines())) == 60


def test_a_thread_whose_last_turn_failed_says_so_and_why(desk: Place) -> None:
    desk.plays("run", "hi", "--thread", "t", steps=(BROKEN,))
    (thread,) = desk.json("threads", "list")["threads"]
    assert (thread["state"], thread["failure"]) == ("failed", "It fell over.")
    assert desk.cli("threads", "list").stdout.splitlines()[1] == "t       failed  just now  hi (It fell over.)"
    assert "> hi\n\n  This failed: It fell over.\n  Try it again: threads resume t\n" in (
        desk.cli("threads", "show", "t").stdout
    )
    assert "`gemmagraph threads resume t` tries it again." in desk.cli("threads", "cancel", "t").stderr
    desk.change("UPDATE inputs SET failure = NULL")  # as an older version left it
    assert "\n\n  This failed.\n  Try it again: threads resume t\n" in desk.cli("threads", "show", "t").stdout
    desk.change("UPDATE inputs SET failure = 'It fell over.'")
    done = desk.plays("chat", "--thread", "t", steps=("Hello.",), stdin="/continue\n")
    assert (done.stdout, "The last turn failed: It fell over. /continue" in done.stderr) == ("Hello.\n", True)
    (thread,) = desk.json("threads", "list")["threads"]
    assert (thread["state"], thread["failure"]) == ("idle", None)


def test_a_turn_of_the_dead_is_not_running(desk: Place) -> None:
    for name in ("killed", "rebooted"):
        desk.plays("run", "hi", "--thread", name, steps=("Hello.",))
    with subprocess.Popen(["true"]) as over:
        pass
    dead = f"{new_owner().rsplit('/', 2)[0]}/{over.pid}/x"
    for row in (("killed", dead, time.time() + 10), ("rebooted", "x", time.time() + 3600)):  # the clock was set back
        desk.change("INSERT INTO turns (thread, owner, until) VALUES (?, ?, ?)", *row)
    assert states(desk) == {"killed": "idle", "rebooted": "idle"}
    for name in ("killed", "rebooted"):
        assert desk.cli("threads", "delete", name, "--yes").exit_code == 0


def test_a_thread_is_shown_as_it_was_held(desk: Place) -> None:
    steps = (f"I will.\n{DELETE}\nFUNCTION_CALL: count(to=30)",)
    desk.plays("run", "delete it", "--thread", "t", steps=steps)
    (identity,) = desk.waiting()
    shown = desk.cli("threads", "show", "t").stdout
    assert shown.startswith("t · waiting · begun ")
    assert '> delete it\nI will.\n  delete(path="/a")\n    waits for local:' in shown
    assert f"15 min left: approvals show {identity}\n" in shown
    desk.cli("approvals", "approve", identity)
    desk.plays("threads", "resume", "t", steps=("It is gone.",))
    desk.change("UPDATE calls SET state = 'unknown'")
    shown = desk.cli("threads", "show", "t").stdout
    assert "    OUTCOME UNKNOWN: it began, and nobody knows whether it took effect.\n    /a is gone\n" in shown
    assert "    Approved by local:" in shown
    assert "    11\n    … 18 more lines\nIt is gone.\n" in shown


def test_what_has_no_answer_yet_is_shown_too(desk: Place) -> None:
    desk.plays("run", "hi", "--thread", "t", steps=("Hello.",))
    desk.change(
        "INSERT INTO inputs SELECT thread, 'later', 9, replace(replace(messages, 'hi', 'and now?'),"
        " (SELECT id FROM inputs), 'later'), asker, 'accepted', at, failure FROM inputs"
    )
    shown = desk.cli("threads", "show", "t").stdout
    assert shown.endswith("> and now?\n  (not answered yet)\n")
    exported = json.loads(desk.cli("threads", "export", "t").stdout)
    assert [message["text"] for message in exported["unanswered"]] == ["and now?"]


def test_what_was_cancelled_before_it_began_is_shown_too(desk: Place) -> None:
    desk.plays("run", "hi", "--thread", "t", steps=("Hello.",))
    desk.change(
        "INSERT INTO inputs SELECT thread, 'later', 9, replace(replace(messages, 'hi', 'and now?'),"
        " (SELECT id FROM inputs), 'later'), '', 'cancelled', at, failure FROM inputs"
    )
    shown = desk.cli("threads", "show", "t").stdout
    assert shown.endswith("Hello.\n\n> and now?\n  (cancelled)\n")
    exported = json.loads(desk.cli("threads", "export", "t").stdout)
    assert [message["text"] for message in exported["cancelled"]] == ["and now?"]
    page = desk.cli("threads", "export", "t", "--format", "markdown").stdout
    assert page.endswith("Hello.\n\n## User\n\nand now?\n\n*(cancelled)*\n")
    desk.change("UPDATE inputs SET state = 'accepted', asker = (SELECT asker FROM inputs WHERE place = 1)")
    page = desk.cli("threads", "export", "t", "--format", "markdown").stdout
    assert page.endswith("## User\n\nand now?\n\n*(not answered yet)*\n")


def test_a_call_whose_process_died_in_the_middle_is_marked(desk: Place) -> None:
    desk.plays("run", "delete it", "--thread", "t", steps=(DELETE,))
    (asked,) = desk.waiting()
    desk.cli("approvals", "approve", asked)
    desk.change(
        "INSERT INTO calls (thread, call, tool, arguments, state, owner, ticket, started)"
        " SELECT thread, call, 'delete', '{}', 'started', 'x', 1, 1 FROM approvals"
    )
    assert states(desk) == {"t": "unfinished"}
    shown = desk.cli("threads", "show", "t").stdout
    assert shown.endswith("    OUTCOME UNKNOWN: it began, and nobody knows whether it took effect.\n")
    assert "**Outcome unknown:**" in desk.cli("threads", "export", "t", "--format", "markdown").stdout
    desk.change("INSERT INTO turns (thread, owner, until) VALUES ('t', 'x', ?)", time.time() + 10)
    assert desk.cli("threads", "show", "t").stdout.endswith("    (no result yet)\n")


def test_an_export_has_it_all(desk: Place) -> None:
    desk.plays("run", "delete it", "--thread", "t", steps=(f"I will.\n{DELETE}",))
    desk.cli("approvals", "approve", *desk.waiting())
    desk.plays("threads", "resume", "t", steps=("It is gone.",))
    exported = json.loads(desk.cli("threads", "export", "t").stdout)
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


def test_an_exported_page_is_not_ended_by_what_is_in_it(desk: Place) -> None:
    steps = ('FUNCTION_CALL: look(at="```")', "Fine.")
    desk.plays("run", "look", "--thread", "t", steps=steps)
    assert desk.cli("threads", "export", "t", "--format", "markdown", "-o", "t.md").stdout == ""
    page = (desk.folder / "t.md").read_text()
    assert page.startswith("# look\n\nThread `t`, idle, ")
    assert "````\n``` is fine\n````\n\n## Assistant\n\nFine.\n" in page


def test_a_thread_is_deleted_once_that_is_sure(desk: Place) -> None:
    desk.plays("run", "hi", "--thread", "t", steps=("Hello.",))
    assert desk.cli("threads", "delete", "t", stdin="n\n").exit_code == 1
    assert ids(desk) == ["t"]
    desk.change("INSERT INTO turns (thread, owner, until) VALUES ('t', 'x', ?)", time.time() + 10)
    assert "A run is at work on the thread 't'." in desk.cli("threads", "delete", "t", "--yes").stderr
    desk.change("DELETE FROM turns")
    assert desk.cli("threads", "delete", "t", "--yes").stdout == "Deleted t.\n"
    assert ids(desk) == []


def test_what_failed_is_tried_again(desk: Place) -> None:
    assert desk.plays("run", "hi", "--thread", "t", steps=(BROKEN,)).exit_code == 1
    done = desk.plays("threads", "resume", "t", "--json", steps=({"text": "Hello.", "expect": "hi"},))
    result = json.loads(done.stdout)
    assert (done.exit_code, result["text"], result["thread"], result["pending"]) == (0, "Hello.", "t", [])
    done = desk.plays("threads", "resume", "t", steps=())
    assert (done.exit_code, "Nothing is left to do on the thread 't'." in done.stderr) == (1, True)


def test_a_chat_first_finishes_what_was_broken_off(desk: Place) -> None:
    desk.plays("run", "one", "--thread", "t", steps=(BROKEN,))
    desk.change("UPDATE inputs SET state = 'accepted'")  # its process died
    steps = ({"text": "First.", "expect": "one"}, {"text": "Second.", "expect": "two"})
    done = desk.plays("chat", "--thread", "t", steps=steps, stdin="two\n")
    assert (done.exit_code, done.stdout) == (0, "First.\nSecond.\n")
    assert "Thread t, last used just now: one" in done.stderr


def test_continue_tries_again_what_went_wrong(desk: Place) -> None:
    steps = (BROKEN, {"text": "Here.", "expect": "one"})
    done = desk.plays("chat", "--thread", "t", steps=steps, stdin="one\n/continue\n/continue\n")
    assert done.stdout == "Here.\n"
    assert "What you said is kept. /continue tries it again." in done.stderr
    assert "There is nothing to go on with." in done.stderr


def test_a_run_elsewhere_is_asked_to_stop(desk: Place) -> None:
    desk.plays("run", "hi", "--thread", "t", steps=("Hello.",))
    done = desk.cli("threads", "cancel", "t")
    assert (done.exit_code, "Nothing runs on the thread 't'." in done.stderr) == (1, True)
    desk.change("INSERT INTO turns (thread, owner, until) VALUES ('t', 'x', ?)", time.time() + 10)
    assert desk.cli("threads", "cancel", "t").stdout == "t is asked to stop.\n"
    desk.change("DELETE FROM turns WHERE cancelled = 1")


@pytest.mark.parametrize("state", ["waiting", "unfinished"])
def test_what_waits_is_cancelled_for_good(desk: Place, state: str) -> None:
    desk.plays("run", "delete it", "--thread", "t", steps=(DELETE,))
    (asked,) = desk.waiting()
    if state == "unfinished":
        desk.change("UPDATE approvals SET expires = 1")
    assert states(desk) == {"t": state}
    assert desk.cli("threads", "cancel", "t").stdout == "t is cancelled. What was done is kept.\n"
    assert states(desk) == {"t": "idle"}
    assert desk.waiting() == []
    shown = desk.cli("threads", "show", "t").stdout
    assert '  delete(path="/a")\n    The run was cancelled.\n    Stopped before it ran.\n' in shown
    assert desk.cli("threads", "cancel", "t").exit_code == 1
    assert f"The approval {asked} is closed: the run was cancelled." in desk.cli("approvals", "approve", asked).stderr
    done = desk.plays("run", "and now?", "--thread", "t", steps=({"text": "Hello.", "expect": "Stopped before"},))
    assert (done.stdout, desk.deleted) == ("Hello.\n", [])


DAMAGES = {
    "checkpoint": ("UPDATE checkpoints SET checkpoint = x'c1c1'", "tables of checkpoints"),
    "writes": ("UPDATE writes SET value = x'05'", "tables of checkpoints"),
    "journal": ("UPDATE calls SET arguments = '5'", "table calls"),
    "outcome": ("UPDATE calls SET outcome = '{\"status\": 1}'", "table calls"),
    "question": ("UPDATE approvals SET asked = '{\"tool\": 1}'", "table approvals"),
    "decision": ("UPDATE approvals SET decision = '{}'", "table approvals"),
    "input": ("UPDATE inputs SET asker = '{}', state = 'accepted'", "table inputs"),
    "thread": ("UPDATE threads SET updated = 'x'", "table threads"),
}


@pytest.mark.filterwarnings("default::gemmagraph.store.rows.DamagedRow")
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_named_with_what_to_do(desk: Place, damage: str) -> None:
    steps = (DELETE, "It is gone.")
    desk.plays("run", "delete it", "--thread", "t", steps=steps)
    desk.cli("approvals", "approve", *desk.waiting())
    desk.plays("threads", "resume", "t", steps=("It is gone.",))
    statement, where = DAMAGES[damage]
    desk.change(statement)
    for command in (("show", "t"), ("export", "t"), ("export", "t", "--format", "markdown")):
        done = desk.cli("threads", *command)
        assert (done.exit_code, done.stdout) == (1, "")
        for part in ("Error: ", "thread 't'", f"({where}", "restore the database, or delete the thread"):
            assert part in done.stderr
    assert desk.cli("threads", "list").exit_code == 0
    assert desk.cli("threads", "delete", "t", stdin="y\n").exit_code == 0
    assert desk.cli("threads", "list").stdout.startswith("No threads")


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
def test_what_is_not_there_is_said(desk: Place, args: tuple[str, ...], says: str) -> None:
    desk.plays("run", "hi", "--thread", "Morning", steps=("Hello.",))
    done = desk.cli("threads", *args)
    assert done.exit_code == 1
    assert says in done.stderr
    assert not (desk.folder / "gone.db").exists()


def test_a_broken_file_does_not_keep_one_from_a_store_that_is_named(desk: Place) -> None:
    desk.plays("run", "hi", "--store", "sqlite:///own.db", "--thread", "t", steps=("Hello.",))
    (desk.folder / "assistant.yaml").write_text("modle: x\n")
    assert desk.cli("threads", "list").exit_code == 1
    assert ids(desk, "--store", "sqlite:///own.db") == ["t"]


def test_a_store_may_be_a_secret_and_in_postgresql(
    desk: Place, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.rows("CREATE DATABASE of_the_command_line")
    monkeypatch.setenv("THREADS", postgres.dsn(database="of_the_command_line"))
    desk.declare()
    file = desk.folder / "assistant.yaml"
    named = file.read_text().replace("sqlite:///shop.db", '"{{ secrets.store }}"')
    file.write_text(f"{named}secrets: {{store: {{env: THREADS}}}}\n")
    done = desk.plays("run", "delete it", "--thread", "t", steps=(DELETE,))
    assert (done.exit_code, ids(desk)) == (3, ["t"])
    assert "horse" not in done.stderr
    done = desk.cli("approvals", "approve", *desk.waiting(), "--as", "local:bob")
    assert done.exit_code == 0, done.stderr
    assert desk.plays("threads", "resume", "t", steps=("Done.",)).stdout == "Done.\n"
    assert desk.deleted == ["/a 1"]
    named = desk.cli("threads", "show", "x", "--store", postgres.dsn(database="of_the_command_line"))
    assert "horse" not in named.stderr
