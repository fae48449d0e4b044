"""`gemmagraph approvals`, and `run` and `chat` with calls that somebody elsewhere may decide about."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest
from screens import CTRL_C, CTRL_D, QUESTION, Screen

from gemmagraph import Agent, Gemma, tool
from gemmagraph.approvals import Approval, Approve, Decision
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.cli.approving import Person
from gemmagraph.cli.assistants import local_user
from gemmagraph.cli.terminal import Terminal
from gemmagraph.cli.waiting import Waiting
from gemmagraph.store.store import Store

pytest_plugins = ("kept",)

if TYPE_CHECKING:
    from kept import Place

DELETE = 'FUNCTION_CALL: delete(path="/a")'
TWO = f'{DELETE}\nFUNCTION_CALL: delete(path="/b")'
THREAD = ("--thread", "t")


@pytest.fixture
def asked(desk: Place) -> str:
    """The id of a call that waits: whoever is here asked for it, and may decide."""
    desk.plays("run", "delete it", *THREAD, steps=(DELETE,))
    (identity,) = desk.waiting()
    return identity


@pytest.fixture
def of_maintainers(desk: Place) -> str:
    """The same, of a file that wants a maintainer, and another than who asked."""
    desk.declare()
    desk.plays("run", "delete it", *THREAD, steps=(DELETE,))
    (identity,) = desk.waiting()
    return identity


def resumed(desk: Place, *steps: object) -> str:
    done = desk.plays("threads", "resume", "t", steps=steps)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_a_call_that_nobody_here_decides_about_waits(desk: Place) -> None:
    desk.declare()
    done = desk.plays("run", "delete it", *THREAD, steps=(DELETE,))
    (identity,) = desk.waiting()
    assert (done.exit_code, done.stdout, desk.deleted) == (3, "", [])
    assert (
        '  Waits for a decision (60 min left):\n    delete(path="/a", times=1)\n'
        f"    group:maintainers decides, but not {local_user()}:\n      gemmagraph approvals approve {identity}\n"
        "    Then: gemmagraph threads resume t\n"
    ) in done.stderr


def test_without_a_store_it_is_refused(desk: Place) -> None:
    desk.declare()
    done = desk.plays("run", "delete it", steps=(DELETE, {"text": "I see.", "expect": "nobody can be asked here"}))
    assert (done.exit_code, done.stdout) == (0, "I see.\n")


def test_json_tells_what_waits(desk: Place) -> None:
    desk.declare()
    done = desk.plays("run", "delete it", *THREAD, "--json", steps=(DELETE,))
    result = json.loads(done.stdout)
    assert (result["stop"], result["thread"]) == ("needs_approval", "t")
    (pending,) = result["pending"]
    assert (pending["request"], pending["arguments"]) == ('delete(path="/a", times=1)', {"path": "/a"})
    assert (pending["approvers"], pending["four_eyes"]) == (["group:maintainers"], True)


def test_the_list_says_who_decides_about_what(desk: Place, of_maintainers: str) -> None:
    assert desk.cli("approvals", "list").stdout == (
        f'{of_maintainers}  delete(path="/a", times=1)\n'
        f"  60 min left · asked by {local_user()} · decided by group:maintainers, not {local_user()}\n"
    )


def test_the_tool_itself_says_who_decides(desk: Place) -> None:
    desk.declare()
    shown = desk.cli("tools", "show").stdout
    assert "  decided by group:maintainers · by somebody else than who asked · within 60 min\n" in shown
    assert "not in force" not in shown
    checked = desk.cli("check", "delete", "path=/a", "--as", "local:ann").stdout
    assert "  decided by group:maintainers, somebody else than who asked, within 60 min\n" in checked


def test_all_of_a_request_is_shown(desk: Place, of_maintainers: str) -> None:
    shown = desk.cli("approvals", "show", of_maintainers[:5]).stdout
    for part in (
        f"{of_maintainers} · delete\n  asked by {local_user()}, ",
        "  because delete is set to 'ask'",
        "  who that is: local:bob, local:eve\n",
        '\n  delete(path="/a", times=1)\n',
        '  arguments: {"path": "/a"}\n  digest: ',
        "  It waits, 60 min left.\n",
    ):
        assert part in shown
    found = desk.json("approvals", "show", of_maintainers)
    assert (found["id"], found["decision"], found["by"]) == (of_maintainers, None, None)


@pytest.mark.parametrize(
    ("by", "says"),
    [
        ((), "(four eyes)"),
        (("--as", "local:mallory"), "only group:maintainers may decide"),
        (("--as", ""), "Nobody in particular cannot decide about delete"),
        (("--as", "bob"), "bob cannot decide about delete: only group:maintainers may decide"),
    ],
    ids=["who asked", "somebody else", "nobody", "not in full"],
)
def test_who_may_not_decide_does_not(desk: Place, of_maintainers: str, by: tuple[str, ...], says: str) -> None:
    done = desk.cli("approvals", "approve", of_maintainers, *by)
    assert done.exit_code != 0
    assert says in done.stderr
    assert desk.waiting() == [of_maintainers]


def test_an_approved_call_runs_when_the_thread_goes_on(desk: Place, of_maintainers: str) -> None:
    done = desk.cli("approvals", "approve", of_maintainers, "--as", "local:bob")
    assert done.stdout.startswith("Approved by local:bob.\n")
    assert "gemmagraph threads resume t\n" in done.stdout
    assert desk.deleted == []
    assert resumed(desk, "It is gone.") == "It is gone.\n"
    assert desk.deleted == ["/a 1"]


def test_resume_goes_on_right_away(desk: Place, of_maintainers: str) -> None:
    args = ("approvals", "approve", of_maintainers, "--as", "local:bob", "--resume")
    done = desk.plays(*args, steps=("It is gone.",))
    assert (done.exit_code, done.stdout, desk.deleted) == (0, "It is gone.\n", ["/a 1"])
    assert 'Approved by local:bob. delete(path="/a", times=1)' in done.stderr


def test_the_reason_of_a_refusal_goes_to_the_model(desk: Place, asked: str) -> None:
    done = desk.cli("approvals", "reject", asked, "it", "is", "in", "use")
    assert done.stdout.startswith(f"Rejected by {local_user()}: it is in use.\n")
    assert resumed(desk, {"text": "I see.", "expect": "refused it: it is in use"}) == "I see.\n"
    assert desk.deleted == []


def test_an_answer_takes_the_place_of_the_call(desk: Place, asked: str) -> None:
    desk.cli("approvals", "respond", asked, "It was gone before.")
    assert resumed(desk, {"text": "I see.", "expect": "It was gone before."}) == "I see.\n"
    assert desk.deleted == []


def test_changed_arguments_are_checked_where_the_tool_is_known(desk: Place, asked: str) -> None:
    wrong = desk.cli("approvals", "approve", asked, "--edit", '{"pth": "/b"}', "--tools", "tools.py")
    assert (wrong.exit_code, 'there is no argument "pth"' in wrong.stderr) == (1, True)
    assert desk.waiting() == [asked]
    right = desk.cli("approvals", "approve", asked, "--edit", '{"path": "/b"}', "--tools", "tools.py")
    assert right.stdout.startswith("Changed and approved by ")
    resumed(desk, {"text": "Done.", "expect": 'A person changed the call to delete(path="/b"'})
    assert desk.deleted == ["/b 1"]


def test_changed_arguments_are_checked_at_the_latest_when_the_call_is_made(desk: Place, asked: str) -> None:
    assert desk.cli("approvals", "approve", asked, "--edit", '{"pth": "/b"}').exit_code == 0
    resumed(desk, {"text": "I see.", "expect": 'there is no argument "pth"'})
    assert desk.deleted == []


@pytest.mark.parametrize("edited", ["{", "[1]"], ids=["no JSON", "no object"])
def test_what_is_no_change_is_said(desk: Place, asked: str, edited: str) -> None:
    assert desk.cli("approvals", "approve", asked, "--edit", edited).exit_code == 2
    assert desk.waiting() == [asked]


def test_the_first_decision_wins_and_the_second_is_told_whose_it_was(desk: Place, asked: str) -> None:
    desk.cli("approvals", "reject", asked)
    late = desk.cli("approvals", "approve", asked)
    assert (late.exit_code, f"was decided before: reject, by {local_user()}" in late.stderr) == (1, True)
    assert f"Rejected by {local_user()}." in desk.cli("approvals", "show", asked).stdout


def test_what_nobody_decided_in_time_is_refused(desk: Place, asked: str) -> None:
    desk.change("UPDATE approvals SET expires = 1")
    assert desk.waiting() == []
    assert "Nobody decided in time." in desk.cli("approvals", "show", asked).stdout
    assert "has expired" in desk.cli("approvals", "approve", asked).stderr
    assert resumed(desk, {"text": "I see.", "expect": "Not run: nobody decided in time."}) == "I see.\n"


def test_a_thread_goes_on_when_all_of_a_turn_is_decided(desk: Place) -> None:
    desk.plays("run", "delete them", *THREAD, steps=(TWO,))
    first, second = desk.waiting()
    assert desk.cli("approvals", "approve", first).stdout.endswith(f"The thread waits for more: {second}\n")
    early = desk.plays("threads", "resume", "t", steps=())
    assert (early.exit_code, desk.deleted) == (3, [])
    desk.cli("approvals", "reject", second)
    resumed(desk, "Done.")
    assert desk.deleted == ["/a 1"]


def test_whoever_a_program_named_can_decide(desk: Place) -> None:
    @tool(destructive=True)
    def delete(path: str) -> None:
        """Delete."""

    with Agent(Gemma(ScriptedBackend([DELETE])), [delete], store=desk.folder / "agent.db") as agent:
        (asked,) = agent.run("delete it", thread="t", user="ann").pending
    store = ("--store", "sqlite:///agent.db")
    done = desk.cli("approvals", "approve", asked.id[:4], "--as", "ann", *store)
    assert done.stdout.startswith("Approved by ann.\n"), done.stderr


def test_the_beginning_of_an_id_has_four_characters(desk: Place, asked: str) -> None:
    done = desk.cli("approvals", "show", asked[:3])
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"There is no approval '{asked[:3]}'. Write at least 4 characters of its id: " in done.stderr


@pytest.mark.parametrize("args", [("list",), ("list", "--json")], ids=["table", "json"])
def test_where_nothing_waits_the_list_says_so(desk: Place, args: tuple[str, ...]) -> None:
    done = desk.cli("approvals", *args)
    assert done.exit_code == 0
    assert done.stdout in ("Nothing waits for a decision.\n", '{\n  "approvals": []\n}\n')
    assert "There is no approval 'x'." in desk.cli("approvals", "show", "x").stderr


@pytest.mark.filterwarnings("default::gemmagraph.store.rows.DamagedRow")
def test_a_damaged_row_hides_no_other(desk: Place) -> None:
    for thread in ("t", "u"):
        desk.plays("run", "delete it", "--thread", thread, steps=(DELETE,))
    damaged, other = desk.waiting()
    desk.change("UPDATE approvals SET asked = '{' WHERE thread = 't'")
    listed = desk.cli("approvals", "list")
    assert (listed.exit_code, listed.stdout[:12]) == (0, other)
    assert f"Warning: The approval {damaged} of the thread 't' (table approvals)" in listed.stderr
    for command in ("show", "approve", "reject"):
        done = desk.cli("approvals", command, damaged)
        assert (done.exit_code, f"Error: The approval {damaged} of the thread 't'" in done.stderr) == (1, True)


def test_a_thread_that_waits_takes_nothing_new(desk: Place, of_maintainers: str) -> None:
    done = desk.plays("run", "and now?", *THREAD, "--json", steps=())
    result = json.loads(done.stdout)
    assert (done.exit_code, result["stop"], result["pending"][0]["id"]) == (3, "needs_approval", of_maintainers)
    done = desk.plays("chat", *THREAD, steps=(), stdin="and now?\n")
    assert (done.exit_code, "Not taken: and now?" in done.stderr) == (1, True)
    assert "and now?" not in desk.cli("threads", "show", "t").stdout


@pytest.fixture
def screen(desk: Place) -> Iterator[Callable[..., Screen]]:
    """`screen(command, *args, steps=…)` on a terminal, at which whoever asks may decide."""
    opened: list[Screen] = []

    def opening(*args: str, steps: tuple[object, ...]) -> Screen:
        desk.script(*steps)
        declared = (desk.folder / "assistant.yaml").exists()
        opened.append(Screen((*args, *(() if declared else desk.options)), desk.folder / "home", 100, desk.folder))
        return opened[-1]

    yield opening
    for each in opened:
        each.close()


def test_a_question_is_closed_when_somebody_decides_elsewhere(desk: Place, screen: Callable[..., Screen]) -> None:
    seen = screen("chat", steps=(TWO, {"text": "Half of it.", "expect": "not that"}))
    seen.until("Go on with it later: gemmagraph chat --thread chat-", "> ")
    seen.keys("delete them\n")
    seen.until('delete(path="/a"', QUESTION)
    first, second = desk.waiting()
    seen.keys("ye")
    desk.cli("approvals", "approve", first)
    seen.until(f"Approved by {local_user()} elsewhere.", 'delete(path="/b"', QUESTION)
    desk.cli("approvals", "reject", second, "not", "that")
    seen.until(f"Rejected by {local_user()} elsewhere: not that.", "/a is gone", "Half of it.", "> ")
    seen.keys(CTRL_D)
    assert (seen.end(), desk.deleted) == (0, ["/a 1"])
    assert "Traceback" not in seen.text


def test_what_is_left_open_is_asked_again_and_nothing_typed_is_lost(
    desk: Place, screen: Callable[..., Screen]
) -> None:
    seen = screen("chat", *THREAD, steps=(DELETE, "It is gone.", {"text": "Yes.", "expect": "really?"}))
    seen.until("> ")
    seen.keys("delete it\n")
    seen.until(QUESTION)
    seen.keys(CTRL_D)
    seen.until("Waits for a decision", "Then: /continue, or whatever you say next.", "> ")
    seen.keys("really?\n")
    seen.until(QUESTION)
    seen.keys(CTRL_C)
    seen.until("Stopped. What waited still waits.", "> really?")
    seen.keys("\n")
    seen.until(QUESTION)
    seen.keys("y\n")
    seen.until("It is gone.", "Yes.", "> ")
    seen.keys(CTRL_D)
    assert (seen.end(), desk.deleted) == (0, ["/a 1"])


def test_ctrl_c_at_a_question_ends_the_turn_for_good(desk: Place, screen: Callable[..., Screen]) -> None:
    seen = screen("chat", *THREAD, steps=(DELETE, {"text": "Still here.", "expect": "Stopped before it ran."}))
    seen.until("> ")
    seen.keys("delete it\n")
    seen.until(QUESTION)
    seen.keys(CTRL_C)
    seen.until("Stopped.", "> ")
    assert desk.waiting() == []
    seen.keys("are you there?\n")
    seen.until("Still here.", "> ")
    seen.keys(CTRL_D)
    assert (seen.end(), desk.deleted) == (0, [])


def test_a_chat_asks_about_what_waits_on_its_thread(desk: Place, asked: str, screen: Callable[..., Screen]) -> None:
    seen = screen("chat", *THREAD, steps=({"text": "It is gone.", "expect": "/a is gone"},))
    seen.until("Thread t, last used", 'delete(path="/a"', QUESTION)
    seen.keys("y\n")
    seen.until("It is gone.", "> ")
    seen.keys(CTRL_D)
    assert (seen.end(), desk.deleted) == (0, ["/a 1"])


def test_a_chat_says_who_decides_where_its_person_may_not(desk: Place, screen: Callable[..., Screen]) -> None:
    desk.declare()
    seen = screen("chat", *THREAD, steps=(DELETE, "It is gone."))
    seen.until("> ")
    seen.keys("delete it\n")
    seen.until("Waits for a decision (60 min left):", "but not ", "> ")
    assert QUESTION not in seen.text
    desk.cli("approvals", "approve", *desk.waiting(), "--as", "local:eve")
    seen.keys("/continue\n")
    seen.until("/a is gone", "It is gone.", "> ")
    seen.keys(CTRL_D)
    assert seen.end() == 0


class Late(Person):
    """Somebody who says yes when it was decided elsewhere."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = meanwhile

    def decide(self, approval: Approval, closed: Sequence[object] = ()) -> Decision:
        self._meanwhile()
        return Approve()


def test_an_answer_that_comes_too_late_is_told_who_was_first(
    desk: Place, asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    late = Late(lambda: desk.cli("approvals", "reject", asked))
    store = Store(desk.database)
    waiting = Waiting(Terminal(), store, late, {}, local_user(), "")
    assert waiting.ask(waiting.of("t"))
    store.close()
    told = f"The approval {asked} was decided before: reject, by {local_user()}."
    assert " ".join(capsys.readouterr().err.split()) == told
