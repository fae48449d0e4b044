"""A policy where calls run: at the moment of the call, after a person's changes, and at LangChain's door."""

import asyncio
import json
from dataclasses import replace

import pytest

from gemmagraph import Agent, Approve, Edit, Gemma, Limits, Reject, Respond, tool
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.policy import Policy, Rule
from gemmagraph.tools.ruling import Ruling

PATIENCE = 20
GROUPS = {"ops": ["local:ann"]}


@pytest.fixture
def done():
    """What was really done."""
    return []


@pytest.fixture
def act(done):
    @tool
    def act(where: str, times: int = 1) -> str:
        """Does it."""
        done.append((where, times))
        return f"done in {where}"

    return act


def call(**arguments) -> str:
    return f"FUNCTION_CALL: act({', '.join(f'{name}={json.dumps(value)}' for name, value in arguments.items())})"


def scripted(*steps, tools=(), **options) -> Agent:
    return Agent(Gemma(ScriptedBackend(steps)), tools, limits=Limits(wall_time=PATIENCE), **options)


def told(result) -> list[str]:
    return [message.content for message in result.messages if message.type == "tool"]


class Turning(Policy):
    """Says one thing when it is asked first, and another from then on, as a policy that was edited."""

    def __init__(self, *verdicts):
        super().__init__([Rule("deny")])
        self.verdicts = list(verdicts)

    def __call__(self, tool, arguments, context):
        verdict = self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]
        return Ruling(verdict, f"it is {verdict} by now")


def test_who_asks_and_where_decides(act, done) -> None:
    rules = [
        {"tool": "act", "users": ["group:ops"], "channels": ["slack:T1/C1"], "then": "allow"},
        {"tool": "act", "then": "deny"},
    ]
    rules[1]["users"] = ["local:eve"]
    for user, channel in (("local:ann", "slack:T1/C1"), ("local:eve", "slack:T1/C1")):
        agent = scripted(call(where="x"), "ok", tools=[act], policy=rules, groups=GROUPS)
        agent.run("Do it.", user=user, channel=channel)
    assert done == [("x", 1)]


def test_rules_see_arguments_as_they_will_be_coerced_and_completed(act, done) -> None:
    rules = [
        {"tool": "act", "args": {"times": 3}, "then": "deny"},
        {"tool": "act", "args": {"times": 1}, "then": "deny"},
    ]
    for arguments in ({"where": "x", "times": "3"}, {"where": "x", "times": 3.0}, {"where": "x"}):
        result = scripted(call(**arguments), "ok", tools=[act], policy=rules).run("Do it.")
        assert told(result)[0].startswith("Not run: ")
    scripted(call(where="x", times="2"), "ok", tools=[act], policy=rules).run("Do it.")
    assert done == [("x", 2)]


def test_a_denied_call_goes_back_to_the_model_and_the_others_run(act, done) -> None:
    both = f"{call(where='here')}\n{call(where='there')}"
    rules = [{"tool": "act", "args": {"where": "here"}, "then": "deny"}]
    result = scripted(both, "ok", tools=[act], policy=rules).run("Do both.")
    assert told(result) == ["Not run: the rule for 'act' says 'deny'.", "done in there"]
    assert done == [("there", 1)]


@pytest.mark.parametrize("verdicts", [("ask", "deny"), ("ask", "ask", "deny")], ids=len)
def test_what_was_approved_does_not_run_if_it_is_denied_by_now(act, done, verdicts) -> None:
    agent = scripted(call(where="x"), "ok", tools=[act], policy=Turning(*verdicts), approve=lambda _: Approve())
    assert told(agent.run("Do it.")) == ["Not run: it is deny by now."]
    assert done == []


@pytest.mark.parametrize("decision", [Reject("no"), Respond("no")], ids=["reject", "respond"])
@pytest.mark.parametrize("verdicts", [("ask", "ask", "allow"), ("ask", "ask", "ask", "allow")], ids=len)
def test_what_a_person_refused_does_not_run_if_it_is_allowed_by_now(act, done, decision, verdicts) -> None:
    agent = scripted(call(where="x"), "ok", tools=[act], policy=Turning(*verdicts), approve=lambda _: decision)
    assert "no" in told(agent.run("Do it."))[0]
    assert done == []


@pytest.mark.parametrize("verdicts", [("allow", "ask"), ("allow", "allow", "ask")], ids=len)
def test_what_was_allowed_does_not_run_unasked_if_a_person_is_needed_by_now(act, done, verdicts) -> None:
    agent = scripted(call(where="x"), "ok", tools=[act], policy=Turning(*verdicts), approve=lambda _: Approve())
    assert "a person must approve it" in told(agent.run("Do it."))[0]
    assert done == []


def test_a_call_that_a_person_changed_is_held_against_the_policy_again(act, done) -> None:
    rules = [{"tool": "act", "args": {"where": "prod*"}, "then": "deny"}, {"tool": "act", "then": "ask"}]
    for changed in ({"where": "prod-1"}, {"where": "prod", "times": 2}, {"where": "prod\nx"}):
        agent = scripted(call(where="test"), "ok", tools=[act], policy=rules, approve=lambda _, to=changed: Edit(to))
        assert told(agent.run("Do it."))[0].startswith("Not run: the arguments were changed by a person, and ")
    agent = scripted(
        call(where="test"), "ok", tools=[act], policy=rules, approve=lambda _: Edit({"where": 5, "to": 1})
    )
    assert told(agent.run("Do it."))[0].startswith("Not run: the arguments were changed by a person. ")
    assert done == []
    agent = scripted(
        call(where="test"), "ok", tools=[act], policy=rules, approve=lambda _: Edit({"where": "a", "times": "2"})
    )
    agent.run("Do it.")
    assert done == [("a", 2)]


def test_without_anybody_to_ask_nothing_runs(act, done) -> None:
    result = scripted(call(where="x"), "ok", tools=[act], policy=[{"tool": "*", "then": "ask"}]).run("Do it.")
    assert "nobody can be asked here" in told(result)[0]
    assert done == []


def crash(tool, arguments, context):
    raise RuntimeError("the gate broke")


@pytest.mark.parametrize("policy", [(), [{"tool": "*", "then": "allow"}]], ids=["alone", "beside-rules"])
@pytest.mark.parametrize("approve", [None, lambda _: Approve()], ids=["nobody-to-ask", "asked"])
def test_a_gate_that_crashes_lets_nothing_pass(act, done, caplog, policy, approve) -> None:
    broken = replace(act, gate=crash)
    result = scripted(call(where="x"), "ok", tools=[broken], policy=policy, approve=approve).run("Do it.")
    assert told(result) == ["Not run: whether act may be called could not be found out."]
    assert done == []
    assert "the gate broke" in caplog.text


def test_a_gate_that_says_no_verdict_lets_nothing_pass(act, done) -> None:
    for ruling in (None, "allow", Ruling("sure", "it says so")):
        odd = replace(act, gate=lambda *_, said=ruling: said)
        scripted(call(where="x"), "ok", tools=[odd]).run("Do it.")
    assert done == []


def test_an_agent_adds_its_policy_to_that_of_a_tool(act, done) -> None:
    (guarded,) = Policy([Rule("deny", "act", {"where": "prod*"})]).guarded([act])
    rules = [{"tool": "act", "then": "allow"}]
    for where in ("prod-1", "test"):
        scripted(call(where=where), "ok", tools=[guarded], policy=rules).run("Do it.")
    assert done == [("test", 1)]


LANGCHAIN = {
    "denied": ("x", "local:eve", "slack:T1/C1", "act was not run: the rule for 'act' says 'deny'"),
    "asked": ("y", "local:ann", "slack:T1/C1", "nobody can be asked here"),
    "user unknown": ("z", None, "slack:T1/C1", "nobody can be asked here"),
    "channel unknown": ("z", "local:ann", None, "nobody can be asked here"),
}
RULES = [
    {"tool": "act", "args": {"where": "z"}, "users": ["group:ops"], "channels": ["slack:T1/C1"], "then": "allow"},
    {"tool": "act", "users": ["local:eve"], "then": "deny"},
    {"tool": "act", "then": "ask"},
]


@pytest.mark.parametrize(("where", "user", "channel", "why"), LANGCHAIN.values(), ids=LANGCHAIN)
def test_at_langchains_door_the_policy_is_in_force(act, done, where, user, channel, why) -> None:
    (guarded,) = Policy(RULES, GROUPS).guarded([act])
    config = {"configurable": {"user": user, "channel": channel}}
    asked = {"type": "tool_call", "name": "act", "args": {"where": where}, "id": "1"}
    door = guarded.as_langchain()
    for answer in (door.invoke(asked, config), asyncio.run(door.ainvoke(asked, config))):
        assert answer.status == "error"
        assert why in answer.content
    assert done == []
    door.invoke({**asked, "args": {"where": "z"}}, {"configurable": {"user": "local:ann", "channel": "slack:T1/C1"}})
    assert done == [("z", 1)]


def test_at_langchains_door_a_gate_that_crashes_lets_nothing_pass(act, done) -> None:
    door = replace(act, gate=crash).as_langchain()
    assert "could not be found out" in door.invoke({"where": "x"})
    assert done == []
