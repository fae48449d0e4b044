"""What a run knows of itself after its process is gone: how often it made the same call, its answer, and calls that
it made although they may not be made any more."""

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from gemmagraph import Agent, Approve, Edit, Gemma, Limits, Reject, Rule, tool
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.run import Result
from gemmagraph.store.store import Store

pytest_plugins = ("crashes", "postgres")

DISK = 'FUNCTION_CALL: disk(path="/")'
WIPE = 'FUNCTION_CALL: wipe(disk="sdb")'
LIMITS = Limits(same_call_warn=2, same_call_stop=3)
REPEATED = "You made this very call before"
SAME = "the model made the same call 3 times: "


@tool(read_only=True)
def disk(path: str) -> Any:
    """How full a disk is."""
    return f"{path} is 40% full"


@tool(name="disk", read_only=True)
def disk_as_json(path: str) -> Any:
    """How full a disk is."""
    return {"path": path, "full": [0.4]}


@tool(name="disk")
def disk_that_writes(path: str) -> Any:
    """How full a disk is."""
    return f"{path} is 40% full"


@pytest.fixture
def wiped() -> list[str]:
    return []


@pytest.fixture
def wipe(wiped: list[str]) -> Any:
    @tool(destructive=True)
    def wipe(disk: str) -> str:
        """Wipes a disk."""
        wiped.append(disk)
        return f"{disk} is empty"

    return wipe


Ask = Callable[..., Result]


@pytest.fixture
def ask(place: Any) -> Ask:
    """Says something, or goes on, in a process that knows nothing but the store."""

    def asked(said: str | None, *steps: Any, tools: Any = (), decisions: Any = (), **options: Any) -> Result:
        with closing(Store(place.url)) as store:
            agent = Agent(Gemma(ScriptedBackend(steps)), tools, store=store, **options)
            return agent.run(said, thread="t") if said is not None else agent.resume("t", decisions)

    return asked


@pytest.mark.parametrize("look", [disk, disk_as_json, disk_that_writes], ids=["text", "json", "in the journal"])
def test_calls_that_are_the_same_are_counted_over_all_processes(ask: Ask, wipe: Any, look: Any) -> None:
    tools = [look, wipe]
    waiting = ask("go", DISK, DISK, WIPE, tools=tools, limits=LIMITS)
    assert REPEATED in str(waiting.messages[4].content)
    decisions = {waiting.pending[0].id: Approve()}
    result = ask(None, DISK, "It is 40 % full.", tools=tools, limits=LIMITS, decisions=decisions)
    assert (result.stop, result.text) == ("limit", "It is 40 % full.")
    assert result.reason == f'{SAME}disk(path="/")'


def test_so_is_a_call_that_a_person_changed(ask: Ask, wipe: Any, wiped: list[str]) -> None:
    last: Any = None
    for step in (WIPE.replace("sdb", "x"), WIPE.replace("sdb", "y"), WIPE.replace("sdb", "z")):
        if last is None:
            last = ask("go", step, tools=[wipe], limits=LIMITS)
        else:
            decisions = {last.pending[0].id: Edit({"disk": "sdb"})}
            last = ask(None, step, tools=[wipe], limits=LIMITS, decisions=decisions)
    decisions = {last.pending[0].id: Edit({"disk": "sdb"})}
    result = ask(None, "Done.", tools=[wipe], limits=LIMITS, decisions=decisions)
    assert (wiped, result.stop, result.reason) == (["sdb"] * 3, "limit", f'{SAME}wipe(disk="sdb")')
    told = [message.content for message in result.messages if message.type == "tool"]
    assert [REPEATED in content for content in told] == [False, True, True]


def test_whoever_goes_on_with_what_ended_at_a_limit_is_told(ask: Ask) -> None:
    first = ask("go", DISK, DISK, DISK, "40 %.", tools=[disk], limits=LIMITS)
    again = ask(None, tools=[disk], limits=LIMITS)
    assert (again.stop, again.reason, again.text) == (first.stop, first.reason, "40 %.")
    assert again.reason.startswith(SAME)


def test_an_answer_of_a_form_is_there_again(ask: Ask) -> None:
    first = ask("go", "FUNCTION_CALL: final_answer(answer=42)", output=int)
    again = ask(None, output=int)
    assert (first.output, again.output) == (42, 42)
    assert again.text == first.text == '{"answer": 42}'


def test_an_answer_of_another_form_than_is_asked_for_by_now_is_none(ask: Ask) -> None:
    ask("go", "FUNCTION_CALL: final_answer(answer=42)", output=int)
    again = ask(None, output={"type": "object", "properties": {"n": {"type": "string"}}, "required": ["n"]})
    assert (again.stop, again.output, again.text) == ("answered", None, '{"answer": 42}')


def test_a_result_that_was_the_answer_is_it_again(ask: Ask) -> None:
    @tool(return_direct=True)
    def prices() -> str:
        """Prices."""
        return "Lamps are 30 €."

    ask("go", "Let me see.\nFUNCTION_CALL: prices()", tools=[prices])
    assert ask(None, tools=[prices]).text == "Lamps are 30 €."


DONE = {"content": "sdb is empty", "status": "ok", "seconds": 0.5}
DENY = {"policy": [Rule("deny", tool="wipe")]}
NOW: dict[str, Any] = {
    "denied": (DENY, Approve(), "says 'deny'"),
    "not to be approved by this person": (
        {"policy": [Rule("ask", tool="wipe", approvers=("bob",))]},
        Approve(),
        "by now only bob may decide",
    ),
    "changed": ({}, Approve(), "has changed since a person approved it"),
    "gone": ({}, Reject("no"), "There is no tool 'wipe' here"),
}


def tools_now(now: str, wipe: Any) -> list[Any]:
    @tool(name="wipe", destructive=True)
    def other(disk: str) -> str:
        """Wipes a disk, and the one beside it."""
        raise AssertionError("it is not what was approved")

    return {"gone": [disk], "changed": [other]}.get(now, [wipe])


@pytest.fixture
def began(place: Any, ask: Ask, wipe: Any) -> Callable[[str, Any], None]:
    """A call that was approved, and began in a process that died."""

    def begin(state: str, decision: Any, outcome: Any = None) -> None:
        waiting = ask("go", WIPE, tools=[wipe])
        asked = waiting.pending[0]
        kept = {"type": "approve", "digest": asked.digest, "by": None}
        if isinstance(decision, Reject):
            kept = {"type": "reject", "reason": "no", "by": None}
        place.rows("UPDATE approvals SET decision = ?, decided = 1 RETURNING 1", json.dumps(kept))
        if state:
            place.rows(
                "INSERT INTO calls (thread, call, tool, arguments, state, owner, ticket, outcome, started)"
                " VALUES ('t', ?, 'wipe', ?, ?, 'gone', 0, ?, 1) RETURNING 1",
                *(asked.call, '{"disk": "sdb"}', state, outcome and json.dumps(outcome)),
            )

    return begin


@pytest.mark.parametrize("now", NOW)
def test_a_call_that_was_made_counts_though_it_may_not_be_made_by_now(
    began: Any, ask: Ask, wipe: Any, wiped: list[str], now: str
) -> None:
    options, decision, _ = NOW[now]
    began("done", decision, DONE)
    result = ask(None, Step("It is empty.", expect="sdb is empty"), tools=tools_now(now, wipe), **options)
    (call,) = result.calls
    assert (call.name, call.status, call.result, call.seconds) == ("wipe", "ok", "sdb is empty", 0.5)
    assert (result.text, wiped) == ("It is empty.", [])


@pytest.mark.parametrize("now", NOW)
def test_of_a_call_that_had_begun_the_model_is_told_that_nobody_knows(
    began: Any, ask: Ask, place: Any, wipe: Any, wiped: list[str], now: str
) -> None:
    options, decision, _ = NOW[now]
    began("started", decision)
    result = ask(None, Step("Who knows.", expect="is unknown"), tools=tools_now(now, wipe), **options)
    assert (result.calls[0].status, result.text, wiped) == ("unknown", "Who knows.", [])
    assert place.rows("SELECT state FROM calls") == [("unknown",)]


@pytest.mark.parametrize("now", NOW)
def test_a_call_that_was_approved_and_not_made_stays_refused(
    began: Any, ask: Ask, place: Any, wipe: Any, wiped: list[str], now: str
) -> None:
    options, decision, words = NOW[now]
    began("", decision)
    result = ask(None, Step("It is not done.", expect=words), tools=tools_now(now, wipe), **options)
    assert (result.calls[0].status, result.text, wiped) == ("refused", "It is not done.", [])
    assert place.rows("SELECT state FROM calls") == []
