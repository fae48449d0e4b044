"""Whether a model must call a tool, and what happens when it does not keep to it."""

import asyncio
from contextlib import aclosing

import pytest

from gemmagraph import Gemma
from gemmagraph.backends.base import ModelInfo
from gemmagraph.backends.scripted import ScriptedBackend
from gemmagraph.errors import AgentError, BackendUnavailable, ChoiceIgnored
from gemmagraph.events import PromptSent, Reasked, TextDelta
from gemmagraph.prompts.messages import Reply, Text, ToolSpec, Turn
from gemmagraph.prompts.toolset import Toolset

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = Toolset([ToolSpec("get_weather", "The weather.", CITY), ToolSpec("now", "The time.")])
HELLO = [Turn("user", (Text("Hello."),))]
WEATHER = 'FUNCTION_CALL: get_weather(city="Paris")'


class Able(ScriptedBackend):
    """A backend that says what it can hold a reply to."""

    def __init__(self, steps, *constraints, down=False):
        super().__init__(steps)
        self.constraints = frozenset(constraints)
        self.down = down

    async def info(self, model):
        if self.down:
            raise BackendUnavailable("It is down.")
        return ModelInfo(model, constraints=self.constraints)


def ask(backend, choice, tools=TOOLS, **options):
    async def heard():
        async with aclosing(Gemma(backend, **options).stream(HELLO, tools, tool_choice=choice)) as events:
            return [event async for event in events]

    events = asyncio.run(asyncio.wait_for(heard(), 20))
    assert isinstance(events[-1], Reply)
    return events, events[-1]


def names(reply):
    return [call.name for call in reply.calls]


# --- a server that can hold the model to nothing ----------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "said", "kept", "told"),
    [
        (
            "required",
            "Hello!",
            WEATHER,
            "Call a tool now. Write only the call, like this: FUNCTION_CALL: get_weather",
        ),
        ("any", "Hello!", WEATHER, "Call a tool now."),
        ("now", WEATHER, "FUNCTION_CALL: now()", "Call now and no other tool now."),
        ("now", "Hello!", "FUNCTION_CALL: now()", "like this: FUNCTION_CALL: now()"),
        ("none", WEATHER, "It is sunny.", "Do not call a tool now. Answer in plain words."),
    ],
)
def test_a_reply_that_does_not_keep_to_the_choice_is_asked_for_again(choice, said, kept, told):
    backend = ScriptedBackend([said, kept])
    events, reply = ask(backend, choice)
    assert [event.attempt for event in events if isinstance(event, Reasked)] == [1]
    again = backend.requests[1].messages
    assert [message["role"] for message in again] == ["user", "assistant", "user"]
    assert again[1]["content"] == said
    assert told in again[2]["content"]
    assert (names(reply), reply.text) == ((["now"] if choice == "now" else ["get_weather"]), "") or choice == "none"
    assert choice != "none" or (names(reply), reply.text) == ([], "It is sunny.")


@pytest.mark.parametrize(("choice", "said"), [("required", "Hello!"), ("now", WEATHER), ("none", WEATHER)])
def test_a_model_that_never_keeps_to_the_choice_is_an_error(choice, said):
    backend = ScriptedBackend([said] * 3)
    with pytest.raises(ChoiceIgnored, match=f"did not keep to tool_choice='{choice}'.*asked three times"):
        ask(backend, choice)
    assert len(backend.requests) == 3


@pytest.mark.parametrize(
    ("choice", "said"), [("auto", "Hello!"), ("auto", WEATHER), ("required", WEATHER), ("none", "Hello!")]
)
def test_a_reply_that_keeps_to_the_choice_is_asked_for_once(choice, said):
    backend = ScriptedBackend([said])
    events, reply = ask(backend, choice)
    assert len(backend.requests) == 1
    assert [event.held_to for event in events if isinstance(event, PromptSent)] == [""]
    assert bool(reply.calls) is (said == WEATHER)


def test_a_wrong_call_beside_the_one_that_was_asked_for_does_not_pass():
    _, reply = ask(ScriptedBackend([f"{WEATHER}\nFUNCTION_CALL: now()", "FUNCTION_CALL: now()"]), "now")
    assert names(reply) == ["now"]


@pytest.mark.parametrize(
    ("choice", "tools", "words"),
    [
        ("nothing", TOOLS, "tool_choice is 'nothing', which is no tool here.*auto, required, none.*get_weather, now"),
        ("required", Toolset(), "tool_choice is 'required', and there are no tools"),
        ("now", Toolset(), "tool_choice is 'now', and there are no tools"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_before_the_model_is_asked(choice, tools, words):
    backend = ScriptedBackend([])
    with pytest.raises(AgentError, match=words):
        ask(backend, choice, tools)
    assert not backend.requests


def test_a_tool_that_is_called_required_can_be_named():
    tools = Toolset([ToolSpec("required", "Odd."), ToolSpec("now", "The time.")])
    _, reply = ask(ScriptedBackend(["FUNCTION_CALL: now()", "FUNCTION_CALL: required()"]), "required", tools)
    assert names(reply) == ["required"]


# --- a server that can ------------------------------------------------------------------------------------


def test_a_grammar_holds_a_reply_to_the_tool_that_was_named():
    backend = Able(["FUNCTION_CALL: now()"], "grammar", "schema")
    events, _ = ask(backend, "now")
    assert [event.held_to for event in events if isinstance(event, PromptSent)] == ["grammar"]
    request = backend.requests[0]
    assert "now" in request.grammar.gbnf
    assert "get_weather" not in request.grammar.gbnf
    assert request.schema is None


def test_a_schema_holds_a_reply_where_there_is_no_grammar_and_is_read_as_json():
    backend = Able(['{"name": "get_weather", "arguments": {"city": "Paris"}}'], "schema")
    events, reply = ask(backend, "required")
    assert [event.held_to for event in events if isinstance(event, PromptSent)] == ["schema"]
    assert backend.requests[0].grammar is None
    assert names(reply) == ["get_weather"]
    assert reply.repaired, "or JSON would be replayed in the place of a FUNCTION_CALL"


def test_an_answer_under_a_schema_is_shown_without_the_json_around_it():
    backend = Able(['{"answer": "Say \\"hi\\"."}'], "schema")
    events, reply = ask(backend, "none")
    assert reply.text == 'Say "hi".'
    assert [event.text for event in events if isinstance(event, TextDelta)] == ['Say "hi".']


def test_what_is_asked_again_after_a_bad_call_is_held_to_a_grammar():
    backend = Able(["FUNCTION_CALL: new()", "FUNCTION_CALL: now()"], "grammar")
    events, _ = ask(backend, "auto")
    assert [event.held_to for event in events if isinstance(event, PromptSent)] == ["", "grammar"]


def test_a_server_that_cannot_say_what_it_can_is_asked_all_the_same():
    backend = Able([WEATHER], "grammar", down=True)
    events, _ = ask(backend, "required")
    assert [event.held_to for event in events if isinstance(event, PromptSent)] == [""]
