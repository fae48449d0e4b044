"""Agents as tools of another: asked, given the conversation, stopped, asked about; and what the one around sees."""

import asyncio
import json
import threading
from contextlib import aclosing, closing

import pytest
from screens import QUESTION, Screen

from gemmagraph import Agent, Approve, Gemma, Limits, Reject, Rule, ToolContext, ToolError, tool
from gemmagraph.backends.base import Chunk
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.errors import AgentError, StoreError, ToolDefinitionError
from gemmagraph.events import (
    ApprovalAsked,
    LimitReached,
    StepStarted,
    SubagentEvent,
    TextDelta,
    ToolFinished,
    ToolProgress,
    ToolStarted,
)
from gemmagraph.journal import Journal
from gemmagraph.prompts.messages import Usage
from gemmagraph.store.store import Store

PATIENCE = 20


def scripted(*steps, tools=(), **options) -> Agent:
    options.setdefault("limits", Limits(wall_time=PATIENCE))
    return Agent(Gemma(ScriptedBackend(steps)), tools, **options)


def collected(stream) -> list:
    async def collect():
        async with aclosing(stream) as events:
            return [event async for event in events]

    return asyncio.run(asyncio.wait_for(collect(), PATIENCE))


def requests(agent):
    return agent.model.backend.requests


def told(result) -> list[str]:
    return [message.content for message in result.messages if message.type == "tool"]


@tool(read_only=True)
def disk(path: str = "/") -> str:
    """How full a disk is."""
    return f"{path} is 40% full"


ASK = 'FUNCTION_CALL: ops(request="How full is /home?")'
DISK = 'FUNCTION_CALL: disk(path="/home")'


def test_an_agent_among_the_tools_of_another_is_asked_and_answers() -> None:
    inner = scripted(DISK, Step("/home is 40% full.", expect="/home is 40% full"), tools=[disk], name="ops")
    outer = scripted(ASK, Step("It is fine.", expect="/home is 40% full."), tools=[inner])
    result = outer.run("Is /home all right?", thread="t")
    assert (result.text, told(result)) == ("It is fine.", ["/home is 40% full."])
    assert [call.name for call in result.calls] == ["ops"]
    assert requests(inner)[0].messages[-1]["content"].endswith("How full is /home?")
    assert [message.type for message in outer.history("t")] == ["human", "ai", "tool", "ai"]
    with pytest.raises(AgentError, match="no thread 't'"):
        inner.history("t")


def test_a_model_is_told_what_an_agent_is_for() -> None:
    inner = scripted(tools=[disk], name="ops team", instructions="You look after the servers.\nBe brief.")
    made = inner.as_tool()
    assert (made.name, list(made.spec.parameters["properties"])) == ("ops_team", ["request"])
    assert made.description == (
        'Has ops team, another assistant, do something. It was told: "You look after the servers." Its tools: disk.'
    )
    assert inner.as_tool("look", "Looks.").spec.description == "Looks."
    with pytest.raises(ToolDefinitionError, match="'ask me' is not a tool's name"):
        inner.as_tool("ask me")


def test_two_agents_of_one_name_cannot_be_told_apart() -> None:
    with pytest.raises(ToolDefinitionError, match="Two tools are named 'agent'"):
        scripted(tools=[scripted(), [scripted()]])


def test_an_agent_that_only_reads_is_a_tool_that_only_reads() -> None:
    @tool
    def restart() -> str:
        """Restarts."""
        return ""

    assert scripted(tools=[disk]).as_tool().reads
    assert not scripted(tools=[disk, restart]).as_tool().reads
    assert scripted(tools=[scripted(tools=[disk], name="a")]).as_tool(handover=True).reads
    assert not scripted(tools=[scripted(tools=[restart], name="a")]).as_tool().reads


def test_who_asks_and_where_reaches_the_tools_of_the_agent_inside() -> None:
    seen = []

    @tool(read_only=True)
    def look(context: ToolContext) -> str:
        """Looks."""
        seen.append((context.user, context.thread, context.channel, dict(context.values)))
        return "seen"

    inner = scripted("FUNCTION_CALL: look()", "Seen.", tools=[look], name="ops")
    scripted(ASK, "Fine.", tools=[inner]).run("go", thread="t", user="ann", channel="c", context={"tenant": 7})
    assert seen == [("ann", "t", "c", {"tenant": 7})]


def test_the_policy_of_each_agent_is_about_its_own_tools() -> None:
    inner = scripted("FUNCTION_CALL: disk()", "No.", tools=[disk], name="ops", policy=[Rule("deny", tool="disk")])
    outer = scripted(ASK, "Fine.", tools=[inner])
    assert told(outer.run("go")) == ["No."]
    refusing = scripted(ASK, "Then not.", tools=[scripted(name="ops")], policy=[Rule("deny", users=("bob",))])
    assert told(refusing.run("go", user="bob")) == ["Not run: the rule for '*' says 'deny'."]


def test_its_events_reach_those_who_watch_the_run_around_it() -> None:
    @tool(read_only=True)
    def count(context: ToolContext) -> str:
        """Counts."""
        context.progress("1 of 2", 0.5)
        return "2"

    inmost = scripted("FUNCTION_CALL: count()", "Two.", tools=[count], name="counter")
    inner = scripted('FUNCTION_CALL: counter(request="count")', Step("2.", chunk=1), tools=[inmost], name="ops")
    events = collected(scripted(ASK, "Two.", tools=[inner]).stream("go"))
    nested = [event for event in events if isinstance(event, SubagentEvent)]
    (call,) = [event.call.id for event in events if isinstance(event, ToolStarted)]
    assert {(event.call_id, event.agent) for event in nested} == {(call, "ops")}
    assert "".join(event.event.text for event in nested if isinstance(event.event, TextDelta)) == "2."
    deep = [event.event.event for event in nested if isinstance(event.event, SubagentEvent)]
    assert [type(event) for event in deep if isinstance(event, ToolStarted | ToolProgress | ToolFinished)] == [
        ToolStarted,
        ToolProgress,
        ToolFinished,
    ]
    assert len([event for event in events if isinstance(event, StepStarted)]) == 2
    kinds = [type(event) for event in events]
    assert kinds.index(ToolStarted) < kinds.index(SubagentEvent) < kinds.index(ToolFinished)


class Counted(ScriptedBackend):
    """Each reply costs ten tokens."""

    async def stream(self, request):
        async for chunk in super().stream(request):
            yield Chunk(text=chunk.text, stop=chunk.stop, usage=Usage(7, 3) if chunk.stop else None)


def counted(*steps, tools=(), **options) -> Agent:
    options.setdefault("limits", Limits(wall_time=PATIENCE))
    return Agent(Gemma(Counted(steps)), tools, **options)


def test_its_tokens_are_tokens_of_the_run_around_it() -> None:
    inner = counted(DISK, "40 %.", tools=[disk], name="ops")
    assert counted(ASK, "Fine.", tools=[inner]).run("go").usage == Usage(28, 12)
    inner = counted(DISK, "40 %.", tools=[disk], name="ops")
    stopped = counted(ASK, "Fine.", tools=[inner], limits=Limits(tokens=30)).run("go")
    assert (stopped.stop, stopped.reason) == ("limit", "the limit of 30 tokens is reached")


def test_its_tokens_are_counted_after_a_restart_too(tmp_path) -> None:
    @tool(destructive=True)
    def wipe() -> str:
        """Wipes."""
        return "wiped"

    inner = counted(DISK, "40 %.", tools=[disk], name="ops")
    with counted(ASK, "FUNCTION_CALL: wipe()", tools=[inner, wipe], store=tmp_path / "a.db") as outer:
        waiting = outer.run("go", thread="t")
    assert (waiting.stop, waiting.usage) == ("needs_approval", Usage(28, 12))
    with counted("Done.", tools=[scripted(name="ops"), wipe], store=tmp_path / "a.db") as again:
        result = again.resume("t", {waiting.pending[0].id: Approve()})
    assert (result.text, result.usage) == ("Done.", Usage(35, 15))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (f"Let me see.\n{DISK}", "Let me see.\n(ops ended before it was done: the limit of 1 steps is reached.)"),
        (DISK, "disk: /home is 40% full\n(ops ended before it was done: the limit of 1 steps is reached.)"),
    ],
    ids=["what it said", "what its tools said"],
)
def test_its_limits_end_it_and_what_it_knows_is_its_answer(said, expected) -> None:
    inner = scripted(said, tools=[disk], name="ops", limits=Limits(steps=1))
    outer = scripted(ASK, "Fine.", tools=[inner])
    events = collected(outer.stream("go"))
    result = events[-1].result
    assert (result.stop, told(result)) == ("answered", [expected])
    assert [type(event.event) for event in events if isinstance(event, SubagentEvent)][-1] is LimitReached


def test_one_that_has_no_answer_is_a_tool_that_has_none() -> None:
    inner = scripted(*['FUNCTION_CALL: disk(path="/home", depth=9)'] * 3, tools=[disk], name="ops")
    result = scripted(ASK, "Then not.", tools=[inner]).run("go")
    assert (result.text, result.calls[0].status) == ("Then not.", "error")
    assert told(result)[0].startswith("ops has no answer: the model's call could not be used: ")


class Hanging(ScriptedBackend):
    def __init__(self) -> None:
        super().__init__(["never used"])
        self.begun = threading.Event()
        self.freed = threading.Event()

    async def stream(self, request):
        self.begun.set()
        try:
            await asyncio.Event().wait()
            yield Chunk(text="never")
        finally:
            self.freed.set()


def test_whoever_cancels_the_run_around_it_cancels_it() -> None:
    backend = Hanging()
    inner = Agent(Gemma(backend), name="ops")
    outer = scripted(ASK, tools=[inner])

    async def both():
        run = asyncio.create_task(outer.arun("go", thread="t"))
        assert await asyncio.to_thread(backend.begun.wait, PATIENCE)
        outer.cancel("t")
        return await run

    result = asyncio.run(asyncio.wait_for(both(), PATIENCE))
    assert (result.stop, backend.freed.is_set()) == ("cancelled", True)
    assert told(result) == ["Stopped before it finished; whether it took effect is unknown."]


def test_the_time_of_the_run_around_it_is_its_time_too() -> None:
    backend = Hanging()
    inner = Agent(Gemma(backend), name="ops")
    result = scripted(ASK, tools=[inner], limits=Limits(wall_time=0.2)).run("go")
    assert (result.stop, backend.freed.is_set()) == ("limit", True)


def test_several_are_at_work_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=PATIENCE)

    @tool(read_only=True)
    def meet() -> str:
        """Waits for the other."""
        both.wait()
        return "met"

    others = [scripted("FUNCTION_CALL: meet()", f"{name} met.", tools=[meet], name=name) for name in "ab"]
    calls = 'FUNCTION_CALL: a(request="meet")\nFUNCTION_CALL: b(request="meet")'
    assert told(scripted(calls, "Done.", tools=others).run("go")) == ["a met.", "b met."]


# --- people -----------------------------------------------------------------------------------------------


@pytest.fixture
def wiped():
    return []


@pytest.fixture
def wipe(wiped):
    @tool(destructive=True)
    def wipe(disk: str) -> str:
        """Wipes."""
        wiped.append(disk)
        return f"wiped {disk}"

    return wipe


WIPE = 'FUNCTION_CALL: wipe(disk="a")'


def test_a_call_inside_that_needs_a_person_is_asked_of_whoever_is_there(wipe, wiped) -> None:
    asked = []

    def approve(approval):
        asked.append(approval)
        return Approve()

    inner = scripted(WIPE, "Wiped.", tools=[wipe], name="ops")
    outer = scripted(ASK, "Fine.", tools=[inner], approve=approve)
    events = collected(outer.stream("go", thread="t", user="ann"))
    assert (wiped, events[-1].result.text) == (["a"], "Fine.")
    (approval,) = asked
    assert (approval.tool, approval.user, approval.thread) == ("wipe", "ann", "t")
    assert approval.reason == "wipe is marked destructive (asked for by ops)"
    assert any(isinstance(event, SubagentEvent) and event.event == ApprovalAsked(approval) for event in events)


def test_a_person_is_asked_one_question_at_a_time(wipe, wiped) -> None:
    asking = []

    async def approve(approval):
        asking.append(approval.arguments["disk"])
        assert len(asking) == 1
        await asyncio.sleep(0)
        return Reject("no") if asking.pop() == "a" else Approve()

    others = [
        scripted(f'FUNCTION_CALL: wipe(disk="{name}")', "Done.", tools=[wipe], name=name) for name in ("a", "b")
    ]
    calls = 'FUNCTION_CALL: a(request="go")\nFUNCTION_CALL: b(request="go")'
    scripted(calls, "Done.", tools=others, approve=approve).run("go")
    assert wiped == ["b"]


def test_its_own_people_are_asked_where_nobody_else_is(wipe, wiped) -> None:
    inner = scripted(WIPE, "Wiped.", tools=[wipe], name="ops", approve=lambda approval: Approve())
    scripted(ASK, "Fine.", tools=[inner]).run("go")
    assert wiped == ["a"]


@pytest.mark.parametrize("stored", [False, True], ids=["in memory", "stored"])
def test_a_call_inside_is_refused_where_nobody_is_at_hand(wipe, wiped, tmp_path, stored) -> None:
    inner = scripted(
        WIPE, Step("I may not.", expect="by an assistant that works for another"), tools=[wipe], name="ops"
    )
    with scripted(ASK, "Then not.", tools=[inner], store=tmp_path / "a.db" if stored else None) as outer:
        result = outer.run("go", thread="t")
    assert (result.stop, told(result), wiped) == ("answered", ["I may not."], [])


FILE = """
from gemmagraph import Agent, Gemma, tool
from gemmagraph.backends.scripted import ScriptedBackend

@tool(destructive=True)
def wipe(disk: str) -> str:
    \"""Wipes.\"""
    return f"wiped {disk}"

steps = ['FUNCTION_CALL: wipe(disk="a")', "It is wiped."]
ops = Agent(Gemma(ScriptedBackend(steps)), [wipe], name="ops").as_tool()
"""


def test_a_person_at_the_terminal_is_asked_about_a_call_inside(tmp_path) -> None:
    (tmp_path / "tools.py").write_text(FILE)
    (tmp_path / "script.jsonl").write_text("\n".join(map(json.dumps, [ASK, "Done."])))
    options = ("--tools", "tools.py", "-m", "scripted:script.jsonl")
    with closing(Screen(("run", "go", *options), tmp_path, 100)) as seen:
        seen.until('wipe(disk="a")', QUESTION)
        seen.keys("w\n")
        seen.until("You are asked because wipe is marked destructive (asked for by ops).", QUESTION)
        seen.keys("y\n")
        seen.until("It is wiped.", "Done.")
        assert seen.end() == 0


# --- what a crash leaves ----------------------------------------------------------------------------------


def test_what_became_of_one_that_a_crash_ended_is_not_known(tmp_path) -> None:
    ran = []

    @tool
    def restart() -> str:
        """Restarts."""
        ran.append(1)
        return "restarted"

    class Dying(Journal):
        """Its process is gone before it can write down what a call came to."""

        async def finish(self, *args, **kwargs):
            raise StoreError("gone")

    ops = scripted("FUNCTION_CALL: restart()", "Restarted.", tools=[restart], name="ops")
    store = Store(tmp_path / "a.db")
    store.journal = Dying(store._workers)
    with scripted(ASK, tools=[ops], store=store) as outer, pytest.raises(StoreError, match="gone"):
        outer.run("go", thread="t")
    answer = Step("I do not know.", expect="Whether it took effect is unknown")
    ops = scripted(tools=[restart], name="ops")
    with scripted(answer, tools=[ops], store=tmp_path / "a.db") as again:
        result = again.resume("t")
    assert (result.text, result.calls[0].status, len(ran)) == ("I do not know.", "unknown", 1)


# --- nesting ----------------------------------------------------------------------------------------------


def test_agents_are_not_nested_too_deep() -> None:
    agent = scripted(name="a0")
    for depth in range(1, 5):
        agent = scripted(tools=[agent], name=f"a{depth}")
    with pytest.raises(AgentError, match="More than 5 agents"):
        scripted(tools=[agent])


def test_an_agent_is_not_its_own_tool() -> None:
    agent = scripted(name="ops")
    with pytest.raises(AgentError, match="'ops' is among its own tools: ops → helper → ops"):
        agent.__init__(agent.model, [scripted(tools=[agent], name="helper")], name="ops")


def test_an_agent_that_is_at_work_is_not_set_to_work_by_its_own_tools() -> None:
    @tool(read_only=True)
    async def delegate(context: ToolContext) -> str:
        """Lets somebody else do it."""
        return await agent.as_tool()("do it", context)

    agent = scripted("FUNCTION_CALL: delegate()", "Then not.", tools=[delegate], name="ops")
    assert told(agent.run("go")) == ["ops is at work on this already."]


def test_closing_an_agent_closes_those_that_work_for_it() -> None:
    class Closing(ScriptedBackend):
        closed = 0

        async def close(self):
            self.closed += 1

    backend = Closing(["never used"])
    with scripted(tools=[Agent(Gemma(backend), name="ops")]):
        pass
    assert backend.closed == 1


# --- outside of a run -------------------------------------------------------------------------------------


def test_langchain_may_call_one_and_nothing_of_it_is_remembered() -> None:
    inner = scripted("Two.", "Three.", name="ops")
    called = inner.as_tool().as_langchain()
    config = {"configurable": {"thread_id": "t", "user": "ann"}}
    assert [called.invoke({"request": "count"}, config) for _ in range(2)] == ["Two.", "Three."]
    assert [len(request.messages) for request in requests(inner)] == [1, 1]


# --- handover ---------------------------------------------------------------------------------------------


def test_another_agent_goes_on_with_the_conversation_and_its_answer_is_the_answer() -> None:
    billing = scripted(DISK, "It costs 3 €.", tools=[disk], name="billing", instructions="You know prices.")
    desk = scripted("Hello.", "One moment.\nFUNCTION_CALL: transfer_to_billing()", "Bye.", handover=[billing])
    desk.run("Hi", thread="t")
    result = desk.run("What does /home cost?", thread="t")
    assert (result.text, result.stop) == ("It costs 3 €.", "answered")
    seen = [message["content"] for message in requests(billing)[0].messages]
    assert seen[1:] == ["Hello.", "What does /home cost?"]
    assert (seen[0].startswith("You know prices."), seen[0].endswith("Hi")) == (True, True)
    assert len(requests(desk)) == 2
    assert desk.run("Thanks", thread="t").text == "Bye."
    assert "It costs 3 €." in str(requests(desk)[-1].messages)


def test_a_conversation_is_handed_over_after_a_person_has_allowed_it(tmp_path) -> None:
    billing = scripted(Step("3 €.", expect="What does it cost?"), name="billing")
    policy = [Rule("ask", tool="transfer_*")]
    call = "FUNCTION_CALL: transfer_to_billing()"
    with scripted(call, handover=[billing], policy=policy, store=tmp_path / "a.db") as desk:
        (approval,) = desk.run("What does it cost?", thread="t").pending
        assert desk.resume("t", {approval.id: Approve()}).text == "3 €."


def test_a_conversation_is_handed_over_in_a_graph_of_ones_own_too() -> None:
    billing = scripted(Step("3 €.", expect="What does it cost?"), name="billing")
    desk = scripted("FUNCTION_CALL: transfer_to_billing()", handover=[billing])
    state = asyncio.run(desk.graph.ainvoke({"messages": [("user", "What does it cost?")]}))
    assert [message.content for message in state["messages"]] == ["What does it cost?", "", "3 €."]


def test_what_another_cannot_answer_comes_back() -> None:
    billing = scripted(*['FUNCTION_CALL: disk(path="/home", depth=9)'] * 3, tools=[disk], name="billing")
    desk = scripted("FUNCTION_CALL: transfer_to_billing()", "I do not know.", handover=[billing])
    assert desk.run("What does it cost?").text == "I do not know."


def test_a_conversation_is_handed_over_only_where_there_is_one() -> None:
    called = scripted(name="billing").as_tool(handover=True)
    with pytest.raises(ToolError, match="no conversation here"):
        asyncio.run(called(ToolContext()))
