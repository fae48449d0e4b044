"""The graph inside somebody's own graph: people are asked through it, and its events are streamed by it."""

import asyncio

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import MemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command

from gemmagraph import Agent, Gemma, ToolContext, tool
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.errors import ServerError
from gemmagraph.events import (
    ApprovalDecided,
    PromptSent,
    RunFinished,
    StepStarted,
    SubagentEvent,
    TextDelta,
    ToolFinished,
    ToolProgress,
    ToolStarted,
)
from gemmagraph.prompts.messages import Usage

PATIENCE = 20
QUESTION = {"messages": [HumanMessage("go")]}
CONFIG = {"configurable": {"thread_id": "1"}}


def scripted(*steps, tools=(), **options) -> Agent:
    return Agent(Gemma(ScriptedBackend(steps)), tools, **options)


def within(work):
    return asyncio.run(asyncio.wait_for(work, PATIENCE))


def around(node, **compiled):
    graph = StateGraph(MessagesState)
    graph.add_node("assistant", node)
    graph.add_edge(START, "assistant")
    return graph.compile(**compiled)


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
BOTH = f'{WIPE}\nFUNCTION_CALL: wipe(disk="b")'


@pytest.fixture(params=["itself", "as a node"])
def graph_of(request):
    """`graph_of(agent, saver)`: the graph of an agent where its steps are saved."""

    def made(agent, saver):
        if request.param == "as a node":
            return around(agent.graph, checkpointer=saver)
        return agent.graph.copy({"checkpointer": saver})

    return made


def results(state) -> list[str]:
    return [message.content for message in state["messages"] if message.type == "tool"]


async def asked(graph) -> dict[str, str]:
    """The open questions: the disk that each is about, and its id."""
    state = await graph.aget_state(CONFIG, subgraphs=True)
    return {interrupt.value["args"]["disk"]: interrupt.id for interrupt in state.interrupts}


async def answer(graph, **answers):
    ids = await asked(graph)
    return await graph.ainvoke(Command(resume={ids[disk]: said for disk, said in answers.items()}), CONFIG)


def test_a_question_stops_the_graph_around_it_and_an_answer_by_its_id_lets_it_go_on(graph_of, wipe, wiped) -> None:
    graph = graph_of(scripted(WIPE, Step("Done.", expect="wiped a"), tools=[wipe]), MemorySaver())

    async def asks_and_goes_on():
        state = await graph.ainvoke(QUESTION, CONFIG)
        (interrupt,) = state["__interrupt__"]
        assert (wiped, interrupt.value["type"], interrupt.value["name"]) == ([], "tool_approval", "wipe")
        assert interrupt.value["description"] == 'wipe(disk="a")'
        return await graph.ainvoke(Command(resume={interrupt.id: {"type": "approve"}}), CONFIG)

    state = within(asks_and_goes_on())
    assert (wiped, results(state), state["messages"][-1].content) == (["a"], ["wiped a"], "Done.")


@pytest.mark.parametrize(
    ("said", "ran", "told"),
    [
        ({"type": "reject", "message": "not today"}, [], "Not run: a person refused it: not today"),
        ({"type": "respond", "message": "it is clean"}, [], "it is clean"),
        (
            {"type": "edit", "edited_action": {"name": "wipe", "args": {"disk": "c"}}},
            ["c"],
            'wiped c\n(A person changed the call to wipe(disk="c").)',
        ),
    ],
    ids=["reject", "respond", "edit"],
)
def test_each_answer_of_langchains_review_is_understood(graph_of, wipe, wiped, said, ran, told) -> None:
    graph = graph_of(scripted(WIPE, "Fine.", tools=[wipe]), MemorySaver())

    async def answered():
        await graph.ainvoke(QUESTION, CONFIG)
        return await answer(graph, a=said)

    assert results(within(answered())) == [told]
    assert wiped == ran


OTHER_TOOL = {"type": "edit", "edited_action": {"name": "count", "args": {"disk": "c"}}}
BAD = ["yes", {"type": "aprove"}, True, {"type": "edit", "edited_action": {}}, OTHER_TOOL]


@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_a_bad_answer_is_asked_again_and_spoils_nothing(graph_of, wipe, wiped, bad) -> None:
    graph = graph_of(scripted(WIPE, "Done.", tools=[wipe]), MemorySaver())

    async def answered():
        first = await graph.ainvoke(QUESTION, CONFIG)
        for _ in range(2):
            state = await answer(graph, a=bad)
            assert [each.value for each in state["__interrupt__"]] == [each.value for each in first["__interrupt__"]]
        assert wiped == []
        return await answer(graph, a={"type": "approve"})

    assert results(within(answered())) == ["wiped a"]
    assert wiped == ["a"]


def test_several_questions_are_answered_one_by_one_and_nothing_runs_before_the_last(graph_of, wipe, wiped) -> None:
    graph = graph_of(scripted(BOTH, "Done.", tools=[wipe]), MemorySaver())

    async def answered():
        state = await graph.ainvoke(QUESTION, CONFIG)
        assert len(state["__interrupt__"]) == 2
        state = await answer(graph, b={"type": "approve"})
        assert ([interrupt.value["args"] for interrupt in state["__interrupt__"]], wiped) == ([{"disk": "a"}], [])
        return await answer(graph, a={"type": "reject"})

    assert results(within(answered())) == ["Not run: a person refused it.", "wiped b"]
    assert wiped == ["b"]


def test_an_answer_that_comes_twice_answers_no_other_question(graph_of, wipe, wiped) -> None:
    graph = graph_of(scripted(WIPE, WIPE.replace('"a"', '"b"'), "Done.", tools=[wipe]), MemorySaver())

    async def answered():
        state = await graph.ainvoke(QUESTION, CONFIG)
        yes = Command(resume={state["__interrupt__"][0].id: {"type": "approve"}})
        for _ in range(3):
            await graph.ainvoke(yes, CONFIG)
        assert wiped == ["a"]
        return await answer(graph, b={"type": "approve"})

    assert results(within(answered())) == ["wiped a", "wiped b"]


def test_where_nothing_is_saved_and_nobody_is_at_hand_the_call_is_refused(wipe, wiped) -> None:
    for graph in (scripted(WIPE, "No.", tools=[wipe]).graph, around(scripted(WIPE, "No.", tools=[wipe]).graph)):
        assert results(within(graph.ainvoke(QUESTION))) == [
            "Not run: wipe is marked destructive, so a person must approve it, and nobody can be asked here."
        ]
    assert wiped == []


def test_the_answer_of_whoever_is_at_hand_needs_no_stop(graph_of, wipe, wiped) -> None:
    agent = scripted(WIPE, "Done.", tools=[wipe], approve=lambda approval: {"type": "approve"})
    state = within(graph_of(agent, MemorySaver()).ainvoke(QUESTION, CONFIG))
    assert (wiped, "__interrupt__" in state) == (["a"], False)


@pytest.mark.parametrize("nested", [False, True], ids=["itself", "as a node"])
def test_an_answer_without_the_id_of_its_question_is_not_taken(nested, wipe, wiped, caplog) -> None:
    inner = scripted(f"{WIPE}\n{WIPE.replace('a', 'b')}", "Done.", tools=[wipe]).graph
    graph = around(inner, checkpointer=MemorySaver()) if nested else inner.copy({"checkpointer": MemorySaver()})
    yes = {"type": "approve"}

    async def answered(resume):
        return await graph.ainvoke(Command(resume=resume), CONFIG)

    async def main():
        state = await graph.ainvoke(QUESTION, CONFIG)
        first, second = state["__interrupt__"]
        await answered({first.id: yes})
        for _ in range(2):  # one question is left, so LangGraph would take it
            state = await answered(yes)
            assert ([asked.id for asked in state["__interrupt__"]], wiped) == ([second.id], [])
        await answered({second.id: "nonsense"})
        state = await answered(yes)
        assert wiped == []
        assert "An answer without the id" in caplog.text
        caplog.clear()
        state = await answered({second.id: {"type": "reject"}})
        assert (state["messages"][-1].content, wiped) == ("Done.", [first.value["args"]["disk"]])

    within(main())
    assert caplog.text == ""  # the one that was not taken is not told of again


# --- streams ----------------------------------------------------------------------------------------------


@tool(read_only=True)
def count(context: ToolContext) -> str:
    """Counts."""
    context.progress("one")
    return "two" if context.watched else "unseen"


async def streamed(graph, modes, **options):
    return [part async for part in graph.astream(QUESTION, stream_mode=modes, **options)]


def test_all_that_a_run_tells_is_in_the_custom_stream() -> None:
    graph = scripted("FUNCTION_CALL: count()", Step("Two.", chunk=1), tools=[count]).graph
    parts = within(streamed(graph, ["custom", "updates", "messages", "values"]))
    assert {mode for mode, _ in parts} == {"custom", "updates", "messages", "values"}
    told = [part for mode, part in parts if mode == "custom"]
    assert {StepStarted, PromptSent, TextDelta, ToolStarted, ToolProgress, ToolFinished} <= {
        type(each) for each in told
    }
    assert "".join(each.text for each in told if isinstance(each, TextDelta)) == "Two."
    kinds = [type(each) for each in told]
    assert kinds.index(ToolStarted) < kinds.index(ToolProgress) < kinds.index(ToolFinished)
    assert [next(iter(part)) for mode, part in parts if mode == "updates"] == ["model", "tools", "model"]
    said = {part[0].id: part[0].type for mode, part in parts if mode == "messages"}
    assert [*said.values()] == ["AIMessageChunk", "tool", "AIMessageChunk"]
    assert [len(part["messages"]) for mode, part in parts if mode == "values"] == [1, 2, 3, 4]


def test_the_custom_stream_ends_with_what_it_came_to() -> None:
    usage = Usage(5, 2)
    steps = Step("Let me see.\nFUNCTION_CALL: count()", usage=usage), Step("Two.", usage=usage)
    (*_, last) = within(streamed(scripted(*steps, tools=[count]).graph, "custom"))
    assert isinstance(last, RunFinished)
    result = last.result
    assert (result.text, result.stop, result.usage) == ("Two.", "answered", Usage(10, 4))
    assert [(call.name, call.result, call.status) for call in result.calls] == [("count", "two", "ok")]
    assert [message.type for message in result.messages] == ["human", "ai", "tool", "ai"]
    graph = scripted('FUNCTION_CALL: final_answer(answer="two")', output=str).graph
    (*_, last) = within(streamed(graph, "custom"))
    assert (last.result.output, last.result.text) == ("two", '{"answer": "two"}')


def test_a_graph_that_waits_for_a_person_has_not_come_to_its_end(wipe) -> None:
    graph = scripted(WIPE, tools=[wipe]).graph.copy({"checkpointer": MemorySaver()})
    told = within(streamed(graph, "custom", config=CONFIG))
    assert not [event for event in told if isinstance(event, RunFinished)]


def whole(parts, state):
    """What the pieces of the stream mode `messages` are together, by their ids; they are those of the state."""
    found = {}
    for message, _ in parts:
        found[message.id] = found[message.id] + message if message.id in found else message
    assert list(found) == [message.id for message in state["messages"][-len(found) :]]
    return list(found.values())


@pytest.mark.parametrize("nested", [False, True], ids=["itself", "as a node"])
def test_a_reply_is_streamed_in_pieces_as_they_come(nested) -> None:
    steps = Step("Let me see.\nFUNCTION_CALL: count()", thought="Hm.", usage=Usage(5, 2)), Step("Two it is.", chunk=3)
    graph = scripted(*steps, tools=[count]).graph
    parts = within(streamed(around(graph) if nested else graph, ["messages", "values"], subgraphs=True))
    said = [part for _, mode, part in parts if mode == "messages"]
    first, _, last = whole(said, [part for _, mode, part in parts if mode == "values"][-1])
    assert (first.text, last.text) == ("Let me see.", "Two it is.")
    assert first.additional_kwargs["reasoning_content"] == "Hm."
    assert ([call["name"] for call in first.tool_calls], first.usage_metadata["total_tokens"]) == (["count"], 7)
    assert len([piece for piece, _ in said if piece.id == last.id and piece.content]) > 2
    assert {about["langgraph_node"] for _, about in said} == {"model", "tools"}


def test_what_may_be_no_answer_is_streamed_when_it_is_known_to_be_one() -> None:
    graph = scripted("It is two.", 'FUNCTION_CALL: final_answer(answer="two")', output=str).graph
    said = [message for message, _ in within(streamed(graph, "messages"))]
    assert [message.text for message in said] == ["", '{"answer": "two"}']


def test_a_reply_that_is_asked_for_again_has_another_id_than_what_was_said_before() -> None:
    graph = scripted("Let me see.\nFUNCTION_CALL: count(", "FUNCTION_CALL: count()", "Two.", tools=[count]).graph
    parts = within(streamed(graph, ["messages", "values"]))
    said = [part for mode, part in parts if mode == "messages"]
    before = said[0][0].id
    assert [piece.text for piece, _ in said if piece.id == before] == ["Let me see."]
    kept = whole([part for part in said if part[0].id != before], parts[-1][1])
    assert [message.text for message in kept] == ["", "unseen", "Two."]
    assert [call["name"] for call in kept[0].tool_calls] == ["count"]


def test_tokens_that_no_server_tells_are_none() -> None:
    (message,) = [message for message, _ in within(streamed(scripted(Step("Hi.", usage=Usage())).graph, "messages"))][
        -1:
    ]
    assert message.usage_metadata is None


def test_steps_of_a_graph_are_counted_from_what_was_said() -> None:
    graph = scripted("FUNCTION_CALL: count()", "FUNCTION_CALL: count()", "Two.", tools=[count]).graph
    told = within(streamed(graph, "custom"))
    assert [event.step for event in told if isinstance(event, StepStarted)] == [1, 2, 3]


def test_a_reply_that_fails_is_heard_to_fail() -> None:
    heard: list[str] = []

    class Listens(BaseCallbackHandler):
        def on_chat_model_start(self, *_: object, **__: object) -> None:
            heard.append("asked")

        def on_llm_end(self, *_: object, **__: object) -> None:
            heard.append("answered")

        def on_llm_error(self, error: BaseException, **_: object) -> None:
            heard.append(str(error))

    steps = "FUNCTION_CALL: count()", {"error": {"kind": "ServerError", "message": "It fell over."}}
    with pytest.raises(ServerError):
        within(scripted(*steps, tools=[count]).graph.ainvoke(QUESTION, {"callbacks": [Listens()]}))
    assert heard == ["asked", "answered", "asked", "It fell over."]


def test_a_graph_around_it_streams_it_with_its_subgraphs() -> None:
    inner = scripted("FUNCTION_CALL: count()", "Two.", tools=[count], name="ops")
    outer = around(scripted('FUNCTION_CALL: ops(request="count")', "Fine.", tools=[inner]).graph)
    parts = within(streamed(outer, ["custom"], subgraphs=True))
    nested = [part.event for _, _, part in parts if isinstance(part, SubagentEvent)]
    assert [type(event) for event in nested if isinstance(event, ToolProgress | ToolFinished)] == [
        ToolProgress,
        ToolFinished,
    ]


def test_a_decision_is_streamed_where_the_graph_goes_on(wipe) -> None:
    graph = scripted(WIPE, "Done.", tools=[wipe]).graph.copy({"checkpointer": MemorySaver()})

    async def resumed():
        state = await graph.ainvoke(QUESTION, CONFIG)
        yes = Command(resume={state["__interrupt__"][0].id: {"type": "approve"}})
        return [part async for part in graph.astream(yes, CONFIG, stream_mode="custom")]

    assert type(within(resumed())[0]) is ApprovalDecided


@pytest.mark.parametrize("modes", [["values"], ["updates", "messages"]], ids=str)
@pytest.mark.parametrize("nested", [False, True], ids=["itself", "as a node"])
def test_nothing_is_made_of_events_where_nobody_streams_them(modes, nested) -> None:
    agent = scripted("FUNCTION_CALL: count()", Step("Two.", expect="unseen"), tools=[count])
    within(streamed(around(agent.graph) if nested else agent.graph, modes))
    with agent:
        pass  # each reply was asked for, so the tool was not watched


def test_sync_code_streams_events_too() -> None:
    graph = scripted("FUNCTION_CALL: count()", "Two.", tools=[count]).graph
    told = list(graph.stream(QUESTION, stream_mode="custom"))
    assert {StepStarted, ToolProgress, ToolFinished} <= {type(each) for each in told}
