"""An agent answers: at once, as events, on threads, in whatever the caller's code runs in."""

import asyncio
import threading

import pytest
from langchain_core.messages import HumanMessage

from gemmagraph import Agent, Gemma, Limits, ToolContext, tool
from gemmagraph.backends.base import Chunk
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.errors import AgentError, BackendTimeout, BackendUnavailable, ToolDefinitionError, TruncatedReply
from gemmagraph.prompts.messages import Usage

PATIENCE = 20
"""Seconds after which a test that waits has failed."""


def scripted(*steps, tools=(), **options) -> Agent:
    return Agent(Gemma(ScriptedBackend(steps)), tools, **options)


def prompts(agent: Agent) -> list[list[str]]:
    """What was asked at each request: the contents of the messages."""
    return [[message["content"] for message in request.messages] for request in agent.model.backend.requests]


@tool(read_only=True)
def disk(path: str = "/") -> str:
    """How full a disk is."""
    return f"{path} is 40% full"


# --- a run ----------------------------------------------------------------------------------------------


def test_a_call_is_run_and_its_result_is_fed_back():
    agent = scripted(
        'FUNCTION_CALL: disk(path="/home")', Step("It is 40% full.", expect="/home is 40% full"), tools=[disk]
    )
    result = agent.run("how full is /home?")
    assert (str(result), result.stop, result.reason) == ("It is 40% full.", "answered", "")
    assert [message.type for message in result.messages] == ["human", "ai", "tool", "ai"]
    call = result.calls[0]
    assert (call.name, call.arguments, call.result, call.status) == (
        "disk",
        {"path": "/home"},
        "/home is 40% full",
        "ok",
    )
    agent.close()


def test_usage_is_that_of_all_steps():
    agent = scripted(
        Step("FUNCTION_CALL: disk()", usage=Usage(10, 3)), Step("Full.", usage=Usage(20, 4)), tools=[disk]
    )
    assert agent.run("full?").usage == Usage(30, 7)


def test_instructions_stand_in_front_and_are_no_message():
    agent = scripted("Hi.", instructions="Be brief.")
    result = agent.run("hello")
    assert prompts(agent) == [["Be brief.\n\nhello"]]
    assert [message.type for message in result.messages] == ["human", "ai"]


def test_an_answer_with_a_call_before_it_is_the_last_text():
    agent = scripted("I will look.\nFUNCTION_CALL: disk()", "Full.", tools=[disk])
    assert agent.run("full?").text == "Full."


def test_earlier_answers_of_others_are_not_the_answer_of_a_run_that_says_nothing():
    agent = scripted("FUNCTION_CALL: disk()", tools=[disk], limits=Limits(steps=1))
    result = agent.run([("user", "a"), ("assistant", "old"), ("user", "b")])
    assert (result.text, result.stop) == ("", "limit")


def test_a_cut_answer_says_so():
    result = scripted(Step("It is", stop="length")).run("full?")
    assert (result.text, result.stop, result.reason) == ("It is", "answered", "the answer was cut at max_tokens")


def test_tools_see_who_asks_where_and_what_the_application_gave():
    seen = []

    @tool(read_only=True)
    def who(context: ToolContext) -> str:
        """Who asks."""
        seen.append(context)
        return str(context.user)

    agent = scripted("FUNCTION_CALL: who()", "Ann.", tools=[who])
    result = agent.run("who am I?", user="ann", thread="t1", context={"tenant": 7})
    assert (seen[0].user, seen[0].thread, seen[0].values) == ("ann", "t1", {"tenant": 7})
    assert seen[0].idempotency_key == result.messages[1].tool_calls[0]["id"]
    assert "tenant" not in str(prompts(agent))


def test_two_tools_of_one_name_are_refused():
    with pytest.raises(ToolDefinitionError, match="disk"):
        scripted(tools=[disk, tool(lambda: 1, name="disk", description="Other.")])


def test_an_agent_closes_its_backend():
    backend = ScriptedBackend(["never asked for"])
    with pytest.raises(AssertionError, match="never asked for"), Agent(Gemma(backend)):
        pass


def test_a_failure_inside_with_is_not_hidden_by_what_closing_finds():
    async def inside():
        async with Agent(Gemma(ScriptedBackend(["never asked for"]))):
            raise LookupError("the first failure")

    with pytest.raises(LookupError, match="the first failure"):
        asyncio.run(inside())
    with pytest.raises(LookupError), Agent(Gemma(ScriptedBackend(["never asked for"]))):
        raise LookupError


# --- where it runs --------------------------------------------------------------------------------------


def test_run_works_where_a_loop_is_running():
    async def cell():
        return scripted("Hi.").run("hello").text

    assert asyncio.run(cell()) == "Hi."


def test_run_works_in_threads_side_by_side():
    agent = scripted(*[lambda request: request.messages[-1]["content"]] * 8)
    answers = {}
    threads = [
        threading.Thread(target=lambda name=str(n): answers.update({name: agent.run(name).text})) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == {str(n): str(n) for n in range(8)}


def test_run_without_a_named_model_chooses_one_on_the_way(monkeypatch, tmp_path):
    script = tmp_path / "replies.jsonl"
    script.write_text('"Hi."\n')
    monkeypatch.setenv("GEMMAGRAPH_MODEL", f"scripted:{script}")
    assert Agent().run("hello").text == "Hi."


def test_run_without_model_and_server_is_answered_by_the_matcher(monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    result = Agent(tools=[disk]).run("how full is the disk?")
    assert [call.name for call in result.calls] == ["disk"]


# --- threads --------------------------------------------------------------------------------------------


def test_the_second_turn_sees_the_first():
    agent = scripted("Hi, Ann.", "Ann.")
    agent.run("I am Ann.", thread="t")
    result = agent.run("Who am I?", thread="t")
    assert prompts(agent)[1] == ["I am Ann.", "Hi, Ann.", "Who am I?"]
    assert [message.content for message in agent.history("t")] == ["I am Ann.", "Hi, Ann.", "Who am I?", "Ann."]
    assert result.thread == "t"


def test_without_a_thread_nothing_is_kept():
    agent = scripted("Hi, Ann.", "No idea.")
    agent.run("I am Ann.")
    agent.run("Who am I?")
    assert prompts(agent)[1] == ["Who am I?"]


def test_threads_do_not_mix():
    agent = scripted("One.", "Two.")
    agent.run("a", thread="1")
    agent.run("b", thread="2")
    assert prompts(agent)[1] == ["b"]
    with pytest.raises(AgentError, match="'3'"):
        agent.history("3")


def test_what_a_caller_does_with_messages_leaves_the_thread_alone():
    agent = scripted("One.", "Two.")
    said = HumanMessage("a")
    agent.run([said], thread="t").messages.clear()
    assert said.id is None
    agent.run([said], thread="t")
    assert [message.content for message in agent.history("t")] == ["a", "One.", "a", "Two."]


class Rendezvous(ScriptedBackend):
    """Answers when `most` runs ask at the same time; with fewer, when told to."""

    def __init__(self, replies: int) -> None:
        super().__init__(["ok"] * replies)
        self.now = 0
        self.most = 0
        self.go = threading.Event()
        self.came = threading.Semaphore(0)

    async def stream(self, request):
        self.now += 1
        self.most = max(self.most, self.now)
        self.came.release()
        await asyncio.to_thread(self.go.wait, PATIENCE)
        async for chunk in super().stream(request):
            yield chunk
        self.now -= 1


@pytest.mark.parametrize("one_loop", [True, False], ids=["one loop", "a loop each"])
def test_two_runs_on_one_thread_come_one_after_the_other(one_loop):
    backend = Rendezvous(2)
    agent = Agent(Gemma(backend))

    def ask(text):
        return agent.run(text, thread="t") if one_loop else asyncio.run(agent.arun(text, thread="t"))

    runs = [threading.Thread(target=ask, args=(text,)) for text in "ab"]
    for run in runs:
        run.start()
    assert backend.came.acquire(timeout=PATIENCE)
    assert not backend.came.acquire(timeout=0.1)
    backend.go.set()
    for run in runs:
        run.join(PATIENCE)
    assert backend.most == 1
    assert len(agent.history("t")) == 4
    assert len(backend.requests[1].messages) == 3


def test_two_threads_run_at_once():
    backend = Rendezvous(2)
    agent = Agent(Gemma(backend))

    async def both():
        runs = [asyncio.create_task(agent.arun("hi", thread=name)) for name in "ab"]
        for _ in runs:
            assert await asyncio.to_thread(backend.came.acquire, timeout=PATIENCE)
        backend.go.set()
        await asyncio.gather(*runs)

    asyncio.run(asyncio.wait_for(both(), PATIENCE))
    assert backend.most == 2


def test_a_run_that_is_cancelled_while_it_waits_for_its_thread_lets_the_next_one_in():
    backend = Rendezvous(2)
    agent = Agent(Gemma(backend))

    async def three():
        first, second, third = (asyncio.create_task(agent.arun(text, thread="t")) for text in "abc")
        assert await asyncio.to_thread(backend.came.acquire, timeout=PATIENCE)
        second.cancel()
        backend.go.set()
        await asyncio.gather(first, third)
        assert second.cancelled()

    asyncio.run(asyncio.wait_for(three(), PATIENCE))
    assert [message.content for message in agent.history("t")] == ["a", "ok", "c", "ok"]


def test_time_spent_waiting_for_a_thread_does_not_count():
    agent = scripted("One.", "Two.", limits=Limits(wall_time=0.5))
    agent.run("a", thread="t")  # so that everything is loaded

    async def late():
        async with agent._runs.threads.turn("t"):
            waiting = asyncio.create_task(agent.arun("b", thread="t"))
            await asyncio.sleep(0.6)
        return await waiting

    assert asyncio.run(asyncio.wait_for(late(), PATIENCE)).text == "Two."


# --- when the model cannot be asked ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [BackendUnavailable("Nothing answers."), TruncatedReply("Cut.")], ids=["server down", "reply cut"]
)
def test_the_conversation_goes_on_after_a_server_error(error):
    agent = scripted("FUNCTION_CALL: disk()", Step("Half an", error=error), "Full.", tools=[disk])
    with pytest.raises(type(error)):
        agent.run("full?", thread="t")
    assert [message.type for message in agent.history("t")] == ["human", "ai", "tool"]
    assert agent.run("well?", thread="t").text == "Full."


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"handover": [5]}, "handover= holds 5, which is no Agent"),
        ({"store": 5}, "store= is 5, which names no store"),
    ],
    ids=["handover", "store"],
)
def test_what_an_agent_cannot_be_made_of_is_told(options, said):
    with pytest.raises(AgentError, match=said):
        scripted(**options)


def test_a_stream_without_an_end_is_a_truncated_reply():
    class Breaking(ScriptedBackend):
        async def stream(self, request):
            yield Chunk(text="Half an")

    agent = Agent(Gemma(Breaking([])))
    with pytest.raises(TruncatedReply, match="7 characters"):
        agent.run("hello", thread="t")
    assert [message.content for message in agent.history("t")] == ["hello"]


def test_a_backend_that_gives_up_by_itself_is_no_limit_of_the_run():
    class Impatient(ScriptedBackend):
        async def stream(self, request):
            raise TimeoutError
            yield

    with pytest.raises(BackendTimeout):
        Agent(Gemma(Impatient([]))).run("hello")
