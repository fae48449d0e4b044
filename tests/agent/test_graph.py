"""The graph in other people's hands: run by itself, streamed, as a node of another graph, beside a checkpointer."""

import asyncio
from contextvars import ContextVar
from typing import Annotated

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import MemorySaver
from langgraph.config import get_config
from langgraph.errors import GraphRecursionError
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from gemmagraph import Agent, Approve, Gemma, Limits, Reject, ToolContext, tool
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.errors import ServerError

PATIENCE = 20
QUESTION = {"messages": [HumanMessage("full?")]}


def scripted(*steps, tools=(), **options) -> Agent:
    return Agent(Gemma(ScriptedBackend(steps)), tools, **options)


def within(work):
    return asyncio.run(asyncio.wait_for(work, PATIENCE))


@tool(read_only=True)
def disk(path: str = "/") -> str:
    """How full a disk is."""
    return f"{path} is 40% full"


CALL = 'FUNCTION_CALL: disk(path="/home")'


def types_of(messages) -> list[str]:
    return [message.type for message in messages]


@pytest.mark.parametrize(
    "said", [[HumanMessage("full?")], [("user", "full?")], "full?", {"role": "user", "content": "full?"}]
)
def test_the_graph_answers_without_an_agent(said):
    agent = scripted(CALL, "40%.", tools=[disk], instructions="Be brief.", name="ops")
    state = within(agent.graph.ainvoke({"messages": said}))
    assert types_of(state["messages"]) == ["human", "ai", "tool", "ai"]
    assert state["messages"][-1].content == "40%."
    assert agent.model.backend.requests[0].messages[0]["content"].startswith("Be brief.")
    assert agent.graph.name == "ops"


def test_stream_modes_of_langgraph_show_the_steps():
    async def streamed(mode):
        graph = scripted(CALL, "40%.", tools=[disk]).graph
        return [part async for part in graph.astream(QUESTION, stream_mode=mode)]

    assert [len(value["messages"]) for value in within(streamed("values"))] == [1, 2, 3, 4]
    assert [next(iter(update)) for update in within(streamed("updates"))] == ["model", "tools", "model"]
    messages = [(message.type, about["langgraph_node"]) for message, about in within(streamed("messages"))]
    assert messages == [("AIMessageChunk", "model"), ("tool", "tools"), *[("AIMessageChunk", "model")] * 2]


def test_sync_code_runs_and_streams_it_too():
    graph = scripted(CALL, "40%.", tools=[disk]).graph
    assert types_of(graph.invoke(QUESTION)["messages"]) == ["human", "ai", "tool", "ai"]
    graph = scripted(CALL, "40%.", tools=[disk]).graph
    assert [next(iter(update)) for update in graph.stream(QUESTION, stream_mode="updates")] == [
        "model",
        "tools",
        "model",
    ]
    graph = scripted(CALL, "40%.", tools=[disk]).graph
    streamed = [message.type for message, _ in graph.stream(QUESTION, stream_mode="messages")]
    assert streamed == ["AIMessageChunk", "tool", "AIMessageChunk", "AIMessageChunk"]


def test_config_and_context_variables_of_sync_code_reach_the_tools():
    language = ContextVar("language", default="none")

    @tool(read_only=True)
    def where() -> str:
        """Tells where it runs."""
        return f"{language.get()} {get_config()['configurable']['place']}"

    outer = around(scripted("FUNCTION_CALL: where()", "There.", tools=[where]).graph)
    language.set("Gaelic")
    state = outer.invoke(QUESTION, {"configurable": {"place": "Skye"}})
    assert [message.content for message in state["messages"]] == ["full?", "", "Gaelic Skye", "There."]


def test_a_failure_of_the_model_is_raised_in_sync_code():
    broken = {"error": {"kind": "ServerError", "message": "It fell over."}}
    with pytest.raises(ServerError, match=r"It fell over\."):
        scripted(broken).graph.invoke(QUESTION)


def test_a_recursion_limit_holds_where_our_limits_do_not():
    agent = scripted(*[CALL] * 20, tools=[disk])
    with pytest.raises(GraphRecursionError):
        within(agent.graph.ainvoke(QUESTION, {"recursion_limit": 5}))


def test_approvals_are_asked_for_in_the_graph_too():
    ran = []

    @tool(destructive=True)
    def wipe(context: ToolContext, disk: str) -> str:
        """Wipes."""
        ran.append((disk, context.user, context.thread))
        return "wiped"

    agent = scripted(
        'FUNCTION_CALL: wipe(disk="a")\nFUNCTION_CALL: wipe(disk="b")',
        "Done.",
        tools=[wipe],
        approve=lambda approval: Approve() if approval.arguments["disk"] == "a" else Reject("no"),
    )
    state = within(agent.graph.ainvoke(QUESTION))
    assert ran == [("a", None, None)]
    assert [message.content for message in state["messages"][2:4]] == ["wiped", "Not run: a person refused it: no"]


def around(node, **compiled):
    graph = StateGraph(MessagesState)
    graph.add_node("assistant", node)
    graph.add_edge(START, "assistant")
    return graph.compile(**compiled)


def test_it_is_a_node_of_a_graph_with_a_checkpointer_of_its_own():
    agent = scripted(CALL, "40%.", "Still 40%.", tools=[disk])
    saver = MemorySaver()
    outer = around(agent.graph, checkpointer=saver)
    config = {"configurable": {"thread_id": "1"}}

    async def two_turns():
        await outer.ainvoke(QUESTION, config)
        return await outer.ainvoke({"messages": [("user", "and now?")]}, config)

    state = within(two_turns())
    assert types_of(state["messages"]) == ["human", "ai", "tool", "ai", "human", "ai"]
    asked = [message["content"] for message in agent.model.backend.requests[2].messages[1:]]
    assert asked == [CALL, "FUNCTION_RESULT: disk\n/home is 40% full", "40%.", "and now?"]
    kept = within(outer.aget_state(config)).values["messages"]
    assert kept == state["messages"]


def test_a_state_with_langgraphs_own_reducer_takes_its_messages_once():
    class Own(TypedDict):
        messages: Annotated[list, add_messages]
        other: int

    graph = StateGraph(Own)
    graph.add_node("assistant", scripted(CALL, "40%.", tools=[disk]).graph)
    graph.add_edge(START, "assistant")
    state = within(graph.compile().ainvoke({**QUESTION, "other": 5}))
    assert (types_of(state["messages"]), state["other"]) == (["human", "ai", "tool", "ai"], 5)


@pytest.mark.parametrize("context", [None, {"user": "ann"}, "anything"], ids=str)
def test_a_graph_around_may_have_a_context_of_its_own(context):
    outer = around(scripted(CALL, "40%.", tools=[disk]).graph)
    assert within(outer.ainvoke(QUESTION, context=context))["messages"][-1].content == "40%."


def test_the_graph_of_one_agent_in_a_tool_of_another_keeps_to_its_own_model_and_limits():
    inner = scripted("from the inner one", instructions="I am the inner one.")

    @tool(read_only=True)
    async def ask() -> str:
        """Asks the other."""
        state = await inner.graph.ainvoke(QUESTION)
        return state["messages"][-1].content

    outer = scripted("FUNCTION_CALL: ask()", "Done.", tools=[ask], limits=Limits(steps=2))
    result = outer.run("go")
    assert (result.text, result.calls[0].result, result.stop) == ("Done.", "from the inner one", "answered")
    assert len(outer.model.backend.requests) == 2


def test_an_agent_in_a_tool_of_another_has_a_run_of_its_own():
    inner = scripted(CALL, "40%.", tools=[disk])

    @tool(read_only=True)
    def ask(question: str) -> str:
        """Asks the other."""
        return inner.run(question).text

    outer = scripted('FUNCTION_CALL: ask(question="full?")', "It says 40%.", tools=[ask])
    result = outer.run("go", thread="t")
    assert (result.text, [call.name for call in result.calls]) == ("It says 40%.", ["ask"])


def test_runs_of_an_agent_inside_a_node_leave_nothing_with_the_checkpointer_around():
    agent = scripted("One.", "Two.")
    saver = MemorySaver()

    async def node(state):
        first = await agent.arun("first")
        second = await agent.arun("second")
        return {"messages": [AIMessage(f"{first} {second}")]}

    config = {"configurable": {"thread_id": "1"}}
    state = within(around(node, checkpointer=saver).ainvoke(QUESTION, config))
    assert state["messages"][-1].content == "One. Two."
    assert [len(request.messages) for request in agent.model.backend.requests] == [1, 1]
    assert {saved.config["configurable"]["checkpoint_ns"] for saved in saver.list(None)} == {""}


def test_langgraphs_tools_can_read_its_schemas_and_draw_it():
    graph = scripted(tools=[disk]).graph
    assert set(graph.get_graph().nodes) == {"__start__", "model", "approval", "tools", "__end__"}
    assert "messages" in graph.get_input_jsonschema()["properties"]
    assert graph.get_context_jsonschema() is None


def test_an_integer_beyond_64_bits_does_not_reach_a_checkpoint():
    @tool(read_only=True)
    def add(n: int) -> int:
        """Adds one."""
        return n + 1

    agent = scripted(f"FUNCTION_CALL: add(n={2**70})", f"FUNCTION_CALL: add(n={2**63 - 1})", "Done.", tools=[add])
    outer = around(agent.graph, checkpointer=MemorySaver())
    state = within(outer.ainvoke(QUESTION, {"configurable": {"thread_id": "1"}}))
    assert [message.content for message in state["messages"]] == ["full?", "", str(2**63), "Done."]
