"""Decisions that come late, twice, for something else, or for a call that has changed since."""

import asyncio
from contextlib import closing

import pytest

from gemmagraph import Agent, Approve, Edit, Gemma, Reject, Respond, tool
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.errors import AgentError
from gemmagraph.store.store import Store

pytest_plugins = ("crashes", "postgres")

CALL = 'FUNCTION_CALL: destroy(n="a")'


class Desk:
    """An agent in process after process on one store; what its tool did."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.done: list[str] = []

    def run(self, what, *steps, description="Destroys.", kind=str, **options):
        """What `what` makes of an agent whose model says `steps`."""

        def destroy(n):
            self.done.append(n)
            return f"did {n}"

        destroy.__doc__ = description
        destroy.__annotations__["n"] = kind
        with closing(Store(self._url)) as store:
            agent = Agent(Gemma(ScriptedBackend(steps)), [tool(destructive=True, **options)(destroy)], store=store)
            return what(agent)

    def asks(self, thread="t"):
        (asked,) = self.run(lambda agent: agent.run("go", thread=thread), CALL).pending
        return asked


@pytest.fixture
def desk(place):
    return Desk(place.url)


def test_a_decision_that_was_made_before_is_refused(desk):
    asked = desk.asks()
    desk.run(lambda agent: agent.resume("t", {asked.id: Reject("no")}), "Well.")
    with pytest.raises(AgentError, match=f"The approval {asked.id} was decided before: reject, by nobody"):
        desk.run(lambda agent: agent.resume("t", {asked.id: Approve()}))
    assert desk.done == []


def test_a_decision_about_another_thread_is_refused(desk):
    asked, other = desk.asks(), desk.asks("other")
    with pytest.raises(AgentError, match=f"{other.id!r} is no approval of the thread 't'"):
        desk.run(lambda agent: agent.resume("t", {other.id: Approve()}))
    assert desk.done == []
    assert desk.run(lambda agent: agent.approvals()) == [asked, other]


def test_one_wrong_decision_among_several_writes_none_down(desk):
    asked = desk.asks()
    with pytest.raises(AgentError, match="'nothing' is no approval"):
        desk.run(lambda agent: agent.resume("t", {asked.id: Approve(), "nothing": Approve()}))
    assert desk.run(lambda agent: agent.approvals()) == [asked]
    assert desk.done == []


def test_of_several_decisions_all_are_written_or_none(desk, place):
    def act(agent):
        first, second = agent.run("go", thread="t").pending
        store = agent._store
        asyncio.run(store.questions.decide(second.id, {"type": "reject", "reason": "", "by": None}, None))
        kept = {asked.id: {"type": "approve", "digest": asked.digest, "by": None} for asked in (first, second)}
        late = asyncio.run(store.questions.decide_all(kept, None))
        return first, second, late, agent.approvals()

    first, second, late, waiting = desk.run(act, f'{CALL}\nFUNCTION_CALL: destroy(n="b")')
    assert late.approval.id == second.id
    assert waiting == [first]


def test_two_decisions_about_one_call_are_refused(desk):
    asked = desk.asks()
    with pytest.raises(AgentError, match="Two decisions"):
        desk.run(lambda agent: agent.resume("t", {asked.id: Approve(), asked.call: Reject("no")}))
    assert desk.run(lambda agent: agent.approvals()) == [asked]


def test_an_integer_that_cannot_be_kept_is_refused_to_who_decides(desk):
    asked = desk.asks()
    with pytest.raises(AgentError, match="beyond 64 bits"):
        desk.run(lambda agent: agent.resume("t", {asked.id: Edit({"n": 2**70})}), kind=int)
    assert desk.run(lambda agent: agent.approvals()) == [asked]


def test_a_list_of_what_waits_writes_nothing(desk, place):
    asked = desk.asks()
    place.rows("UPDATE approvals SET expires = 1 RETURNING 1")
    assert desk.run(lambda agent: agent.approvals()) == []
    assert place.rows("SELECT decision FROM approvals") == [(None,)]
    with pytest.raises(AgentError, match="has expired"):
        desk.run(lambda agent: agent.resume("t", {asked.id: Approve()}))
    desk.run(lambda agent: agent.resume("t"), "Well.")
    assert "nobody decided in time" in place.rows("SELECT decision FROM approvals")[0][0]


def test_a_thread_that_is_gone_on_with_was_used(desk, place):
    asked = desk.asks()
    place.rows("UPDATE threads SET updated = 1 RETURNING 1")
    desk.run(lambda agent: agent.resume("t", {asked.id: Reject("no")}), "Well.")
    assert place.rows("SELECT updated FROM threads")[0][0] > 1


def test_a_late_decision_is_refused_and_the_call_was_not_made(desk, place):
    asked = desk.asks()
    place.rows("UPDATE approvals SET expires = 1 RETURNING 1")
    with pytest.raises(AgentError, match=f"The approval {asked.id} has expired: nobody decided in time"):
        desk.run(lambda agent: agent.resume("t", {asked.id: Approve()}))
    result = desk.run(lambda agent: agent.resume("t"), "Well.")
    assert desk.done == []
    assert [call.status for call in result.calls] == ["refused"]
    assert "nobody decided in time" in result.messages[2].content


def test_an_agent_that_named_no_model_cancels_what_waits(desk, place, monkeypatch):
    monkeypatch.setenv("GEMMAGRAPH_MODEL", "builtin")
    desk.asks()
    with closing(Store(place.url)) as store:
        agent = Agent(store=store)
        assert [agent.cancel("t"), agent.cancel("t"), agent.approvals()] == [True, False, []]


def test_arguments_that_were_edited_in_the_row_are_not_what_runs(desk, place):
    asked = desk.asks()
    (said,) = place.rows("SELECT asked FROM approvals")[0]
    place.rows("UPDATE approvals SET asked = ? RETURNING 1", said.replace('"n": "a"', '"n": "everything"'))
    desk.run(lambda agent: agent.resume("t", {asked.id: Approve()}), "Gone.")
    assert desk.done in ([], ["a"])


@pytest.mark.parametrize("decision", [Approve(), Edit({"n": "b"})], ids=["approve", "edit"])
def test_a_tool_that_changed_after_a_person_was_asked_does_not_run(desk, decision):
    asked = desk.asks()

    changed = desk.run(
        lambda agent: agent.resume("t", {asked.id: decision}), "Well.", description="Destroys, and more."
    )
    assert desk.done == []
    assert "changed since" in changed.messages[2].content


def test_what_a_person_answers_in_place_of_the_tool_survives_the_process(desk):
    asked = desk.asks()
    result = desk.run(lambda agent: agent.resume("t", {asked.id: Respond("It is gone already.")}), "Fine.")
    assert desk.done == []
    assert result.messages[2].content == "It is gone already."
