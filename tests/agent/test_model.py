"""Gemma: from turns to a reply, asked for again when it cannot be used."""

import asyncio

import pytest

from gemmagraph import Agent, Gemma, tool
from gemmagraph.backends.base import Chunk
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.errors import AgentError, EmptyReply, NotationError
from gemmagraph.events import (
    CallProposed,
    CallRefused,
    Notice,
    PromptSent,
    Reasked,
    ReplyReceived,
    RunFinished,
    TextDelta,
    ThoughtDelta,
)
from gemmagraph.prompts.messages import Reply, Text, Turn, Usage
from gemmagraph.prompts.toolset import Toolset


@tool(read_only=True)
def disk(path: str, depth: int = 1) -> str:
    """How full a disk is."""
    return f"{path} is 40% full"


def scripted(*steps) -> Agent:
    return Agent(Gemma(ScriptedBackend(steps)), [disk])


def shown(agent: Agent, number: int) -> list[str]:
    return [message["content"] for message in agent.model.backend.requests[number].messages]


def watched(agent: Agent, said: str = "how full?"):
    async def watch():
        return [event async for event in agent.stream(said)]

    events = asyncio.run(asyncio.wait_for(watch(), 20))
    assert isinstance(events[-1], RunFinished)
    return events, events[-1].result


GOOD = 'FUNCTION_CALL: disk(path="/")'
BAD = "I will look.\nFUNCTION_CALL: disc()"


# --- asking again ---------------------------------------------------------------------------------------


def test_a_bad_call_is_asked_for_again_with_the_reason():
    agent = scripted(Step(BAD, usage=Usage(10, 5)), Step(GOOD, usage=Usage(20, 6)), Step("40%.", usage=Usage(30, 7)))
    events, result = watched(agent)
    assert (result.text, result.stop) == ("40%.", "answered")
    again = shown(agent, 1)
    assert again[-2] == BAD
    assert again[-1].startswith('FUNCTION_ERROR: disc\n"disc" is not a tool, did you mean "disk"?')
    assert [event for event in events if isinstance(event, Reasked)] == [Reasked(again[-1].split("\n")[1], 1)]
    assert [event.bad_call.kind for event in events if isinstance(event, CallRefused)] == ["unknown_tool"]
    assert result.usage == Usage(60, 18)


def test_what_was_asked_again_does_not_enter_the_conversation():
    agent = scripted(BAD, GOOD, "40%.", "Good.")
    result = agent.run("how full?", thread="t")
    assert [message.content for message in result.messages] == ["how full?", "", "/ is 40% full", "40%."]
    assert not any("disc" in content for content in shown(agent, 2)[1:])
    agent.run("thanks", thread="t")
    assert shown(agent, 3)[1:] == [GOOD, "FUNCTION_RESULT: disk\n/ is 40% full", "40%.", "thanks"]


def test_tokens_of_asking_again_are_in_the_message_too():
    agent = scripted(Step(BAD, usage=Usage(10, 5)), Step("Sorry.", usage=Usage(20, 6)))
    assert agent.run("go").messages[-1].usage_metadata["total_tokens"] == 41


def test_it_is_asked_again_twice_and_no_more():
    agent = scripted(
        Step(BAD, usage=Usage(1, 1)), Step(BAD, usage=Usage(1, 1)), Step(BAD, usage=Usage(1, 1)), "Fine."
    )
    events, result = watched(agent)
    assert [event.attempt for event in events if isinstance(event, Reasked)] == [1, 2]
    assert len(agent.model.backend.requests) == 3
    assert (result.text, result.stop, result.usage) == ("", "failed", Usage(3, 3))
    assert result.reason.startswith("the model's call could not be used: ")
    assert '"disc" is not a tool' in result.reason


def test_the_last_bad_try_is_kept_as_such_and_left_out_of_later_prompts():
    agent = scripted(BAD, BAD, BAD, "Fine.")
    result = agent.run("how full?", thread="t")
    last = result.messages[-1]
    assert [message.type for message in result.messages] == ["human", "ai"]
    assert (last.tool_calls, [call["name"] for call in last.invalid_tool_calls]) == ([], ["disc"])
    assert agent.run("never mind", thread="t").text == "Fine."
    assert len(shown(agent, 3)) == 1
    assert shown(agent, 3)[0].endswith("how full?\n\nnever mind")
    assert "disc" not in shown(agent, 3)[0]


def test_each_try_sees_the_ones_before_it():
    agent = scripted("FUNCTION_CALL: disk(path=)", 'FUNCTION_CALL: disk(path="/", depth="deep")', GOOD, "40%.")
    assert agent.run("go").text == "40%."
    assert len(shown(agent, 2)) == 5
    assert "depth" in shown(agent, 2)[-1]


def test_a_cut_call_is_asked_for_again():
    agent = scripted(Step('FUNCTION_CALL: disk(path="/ho', stop="length"), GOOD, "40%.")
    events, result = watched(agent)
    assert [event.bad_call.kind for event in events if isinstance(event, CallRefused)] == ["unterminated"]
    assert result.text == "40%."


@pytest.mark.parametrize("empty", ["", "  \n", Step(thought="Hm.")], ids=["nothing", "blank", "only thoughts"])
def test_an_empty_reply_is_asked_for_once_more(empty):
    agent = scripted(empty, "40%.")
    events, result = watched(agent)
    assert result.text == "40%."
    assert [event for event in events if isinstance(event, Reasked)] == [Reasked("The reply was empty.", 1)]
    assert shown(agent, 0) == shown(agent, 1)


def test_a_second_empty_reply_is_an_error_and_the_conversation_goes_on():
    agent = scripted("", "", "Fine.")
    with pytest.raises(EmptyReply, match="nothing at all, twice"):
        agent.run("go", thread="t")
    assert agent.run("and now?", thread="t").text == "Fine."


def test_replies_that_hold_nothing_to_read_are_an_error():
    agent = Agent(Gemma(ScriptedBackend(["{}", "{}", "{}", "Fine."]), notation="json"), [disk])
    with pytest.raises(EmptyReply, match="nothing that can be read"):
        agent.run("go", thread="t")
    assert agent.run("and now?", thread="t").text == "Fine."


def test_one_empty_reply_among_bad_ones_is_not_the_end():
    assert scripted(BAD, "", GOOD, "40%.").run("go").text == "40%."
    result = scripted("", BAD, BAD).run("go")
    assert (result.stop, len(result.messages[-1].invalid_tool_calls)) == ("failed", 1)
    result = scripted(BAD, BAD, "").run("go")
    assert (result.stop, len(result.messages[-1].invalid_tool_calls)) == ("failed", 1)


def test_an_integer_beyond_64_bits_is_an_invalid_argument():
    huge = f'FUNCTION_CALL: disk(path="/", depth={2**64})'
    agent = scripted(huge, GOOD, "40%.")
    events, result = watched(agent)
    assert shown(agent, 1)[-1] == (
        "FUNCTION_ERROR: disk\ndisk: the integer in depth is too big, of more than 64 bits. Give a smaller one."
    )
    assert [event.bad_call.kind for event in events if isinstance(event, CallRefused)] == ["invalid_arguments"]
    assert [event.call.arguments for event in events if isinstance(event, CallProposed)] == [{"path": "/"}]
    assert str(2**64) not in str(result.messages)


def test_an_integer_beyond_64_bits_beside_a_good_call_gets_its_error_as_result():
    agent = scripted(f'{GOOD}\nFUNCTION_CALL: disk(path="/", depth={-(2**64)})', "40%.")
    result = agent.run("go")
    assert [call["args"] for call in result.messages[1].tool_calls] == [{"path": "/"}]
    assert "of more than 64 bits" in result.messages[3].content


# --- events and requests --------------------------------------------------------------------------------


def test_events_tell_all_that_the_model_did():
    agent = scripted(Step("I will look.\n" + GOOD, thought="Hm.", chunk=5, usage=Usage(1, 2)), "40%.")
    events, _ = watched(agent)
    assert "".join(event.text for event in events if isinstance(event, ThoughtDelta)) == "Hm."
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "I will look.40%."
    assert [event.call.arguments for event in events if isinstance(event, CallProposed)] == [{"path": "/"}]
    sent = [event.prompt for event in events if isinstance(event, PromptSent)]
    assert [list(prompt) for prompt in sent] == [list(request.messages) for request in agent.model.backend.requests]
    received = [event.reply for event in events if isinstance(event, ReplyReceived)]
    assert [(reply.raw, reply.thoughts) for reply in received] == [("I will look.\n" + GOOD, "Hm."), ("40%.", "")]


def test_notices_of_the_backend_are_passed_on():
    class Loading(ScriptedBackend):
        async def stream(self, request):
            yield Chunk(notice="loading gemma3:4b")
            async for chunk in super().stream(request):
                yield chunk

    events, _ = watched(Agent(Gemma(Loading(["Hi."]))))
    assert Notice("loading gemma3:4b") in events


def test_a_request_holds_what_the_server_needs():
    backend = ScriptedBackend(["Hi."])
    agent = Agent(Gemma(backend, context=4096, max_tokens=100, temperature=0.2, seed=7), [disk])
    agent.run("hello")
    request = backend.requests[0]
    assert (request.context, request.max_tokens, request.options) == (4096, 100, {"temperature": 0.2, "seed": 7})
    assert "<end_of_turn>" in request.stop
    assert (request.prompt, request.tools.names) == (None, ("disk",))
    assert [turn.text for turn in request.turns] == ["hello"]


def test_a_gemma_alone_turns_turns_into_events_and_a_reply():
    async def ask():
        gemma = Gemma(ScriptedBackend(["Hi."]))
        return [event async for event in gemma.stream([Turn("user", (Text("hello"),))], Toolset())]

    events = asyncio.run(ask())
    assert isinstance(events[-1], Reply)
    assert events[-1].text == "Hi."


def test_the_notation_can_be_chosen():
    backend = ScriptedBackend(['{"name": "disk", "parameters": {"path": "/"}}', "40%."])
    agent = Agent(Gemma(backend, notation="json"), [disk])
    assert [call.name for call in agent.run("go").calls] == ["disk"]


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: Gemma("gemma3:4b"), AgentError, "ollama:gemma3:4b"),
        (lambda: Gemma("ollama:llama3"), NotationError, "llama3"),
        (lambda: Gemma("ollama:shieldgemma:2b"), AgentError, "does not hold conversations"),
        (lambda: Gemma("builtin", notation="xml"), NotationError, "xml"),
    ],
    ids=["no backend", "no Gemma", "no chat model", "no notation"],
)
def test_a_model_that_cannot_be_used_is_refused_at_once(make, kind, words):
    with pytest.raises(kind, match=words):
        make()


def test_a_gemma_serves_two_agents_with_other_tools():
    @tool(read_only=True)
    def load() -> str:
        """How busy it is."""
        return "busy"

    gemma = Gemma(ScriptedBackend(["One.", "Two.", "Three."]))
    first, second = Agent(gemma, [disk]), Agent(gemma, [load])
    for agent in (first, second, first):
        agent.run("go")
    declared = [tuple(request.tools.names) for request in gemma.backend.requests]
    assert declared == [("disk",), ("load",), ("disk",)]
    assert ["- load()" in content for content in (shown(first, n)[0] for n in range(3))] == [False, True, False]
