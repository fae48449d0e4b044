"""ChatGemma as LangChain's people use it: tools, choice, streaming, structured output."""

import asyncio
from typing import TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.tools import tool
from pydantic import BaseModel, Field, ValidationError

from gemmagraph import Gemma
from gemmagraph.backends.base import ModelInfo
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.chat import ChatGemma
from gemmagraph.errors import AgentError, ChoiceIgnored
from gemmagraph.prompts.messages import Usage


class Schemas(ScriptedBackend):
    async def info(self, model):
        return ModelInfo(model, constraints=frozenset({"schema"}))


def chat(*steps, backend=ScriptedBackend, **options) -> ChatGemma:
    return ChatGemma(gemma=Gemma(backend(steps)), **options)


def asked(model) -> list:
    return getattr(model, "bound", model).gemma.backend.requests


@tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


class Joke(BaseModel):
    """A joke."""

    setup: str = Field(description="How it begins.")
    punchline: str


CALL = "FUNCTION_CALL: add(a=1, b=2)"


# --- what is said ---------------------------------------------------------------------------------------


def test_a_text_is_answered_with_usage_and_the_reason_for_its_end():
    model = chat(Step("Hello.", usage=Usage(10, 2)))
    message = model.invoke("Hi")
    assert message.content == "Hello."
    assert message.usage_metadata == {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
    assert message.response_metadata["finish_reason"] == "stop"
    assert asked(model)[0].messages[-1]["content"] == "Hi"


def test_a_stream_says_the_same_as_the_whole():
    message = None
    pieces = []
    for chunk in chat(Step("Hello.", usage=Usage(10, 2))).stream("Hi"):
        pieces.append(chunk.content)
        message = chunk if message is None else message + chunk
    assert [piece for piece in pieces if piece] == ["Hello."]
    assert (message.content, message.usage_metadata["output_tokens"]) == ("Hello.", 2)
    assert message.chunk_position == "last"


def test_calls_come_as_chunks_that_add_up_to_them():
    model = chat(CALL).bind_tools([add])
    message = None
    for chunk in model.stream("1 + 2?"):
        message = chunk if message is None else message + chunk
    (call,) = message.tool_calls
    assert (call["name"], call["args"]) == ("add", {"a": 1, "b": 2})
    assert call["id"]
    assert not message.invalid_tool_calls


def test_async_and_chains_work():
    async def both():
        model = chat("Hello.", "Bye.")
        return await model.ainvoke("Hi"), await (model | StrOutputParser()).ainvoke("Bye")

    message, text = asyncio.run(both())
    assert (message.content, text) == ("Hello.", "Bye.")


def test_stop_texts_are_sent_beside_those_of_the_family():
    model = chat("One.")
    model.invoke("Count", stop=["Two"])
    assert {"Two", "<end_of_turn>"} <= set(asked(model)[0].stop)


def test_a_whole_conversation_with_results_is_understood():
    model = chat("3.").bind_tools([add])
    messages = [
        SystemMessage("Be brief."),
        HumanMessage("1 + 2?"),
        AIMessage(
            [{"type": "text", "text": "I add."}, {"type": "tool_use", "id": "1", "name": "add", "input": {}}],
            tool_calls=[{"name": "add", "args": {"a": 1, "b": 2}, "id": "1", "type": "tool_call"}],
        ),
        ToolMessage("3", tool_call_id="1", name="add"),
    ]
    assert model.invoke(messages).content == "3."
    first, second, third = (message["content"] for message in asked(model)[0].messages)
    assert "Be brief." in first
    assert "1 + 2?" in first
    assert second == f"I add.\n{CALL}"
    assert "3" in third


# --- tools ----------------------------------------------------------------------------------------------


class AddTyped(TypedDict):
    """Adds two numbers."""

    a: int
    b: int


def add_function(a: int, b: int) -> int:
    """Adds two numbers.

    Args:
        a: one of them.
        b: the other.
    """
    return a + b


ONE = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    "form",
    [
        add,
        add_function,
        AddTyped,
        {"title": "add", "description": "Adds.", **ONE},
        {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": ONE}},
    ],
    ids=["tool", "function", "typeddict", "json-schema", "openai"],
)
def test_tools_are_taken_in_every_form(form):
    name = {"add": "add"}.get(getattr(form, "name", ""), getattr(form, "__name__", "add"))
    message = chat(f"FUNCTION_CALL: {name}(a=1)" if isinstance(form, dict) else f"FUNCTION_CALL: {name}(a=1, b=2)")
    (call,) = message.bind_tools([form]).invoke("1 + 2?").tool_calls
    assert (call["name"], call["args"]["a"]) == (name, 1)


@pytest.mark.parametrize(
    "choice", ["any", "required", True, "add", {"type": "function", "function": {"name": "add"}}, {"name": "add"}]
)
def test_a_choice_that_requires_a_call_is_honoured(choice):
    model = chat("Hello.", CALL)
    assert model.bind_tools([add], tool_choice=choice).invoke("Hi").tool_calls
    assert len(asked(model)) == 2


@pytest.mark.parametrize("choice", ["auto", None, False])
def test_a_choice_that_requires_nothing_takes_an_answer(choice):
    assert chat("Hello.").bind_tools([add], tool_choice=choice).invoke("Hi").content == "Hello."


def test_a_model_that_must_not_call_answers_in_words():
    model = chat(CALL, "It is 3.")
    message = model.bind_tools([add], tool_choice="none").invoke("1 + 2?")
    assert (message.content, message.tool_calls) == ("It is 3.", [])


def test_a_choice_that_is_never_kept_to_is_an_error():
    with pytest.raises(ChoiceIgnored):
        chat("No.", "No.", "No.").bind_tools([add], tool_choice="any").invoke("Hi")


@pytest.mark.parametrize("choice", ["subtract", {"type": "function"}, {"function": {"name": 3}}])
def test_a_choice_that_names_no_tool_is_refused(choice):
    with pytest.raises(AgentError, match="tool_choice is"):
        chat().bind_tools([add], tool_choice=choice).invoke("Hi")


def test_a_call_that_stays_bad_is_an_invalid_one():
    bad = "FUNCTION_CALL: add(a=one)"
    message = chat(bad, bad, bad).bind_tools([add]).invoke("1 + 2?")
    assert not message.tool_calls
    (invalid,) = message.invalid_tool_calls
    assert (invalid["name"], "one is not quoted" in invalid["error"]) == ("add", True)


def test_the_same_tools_are_declared_once():
    model = chat(CALL, CALL)
    bound = model.bind_tools([add])
    bound.invoke("1 + 2?")
    bound.invoke("1 + 2?")
    first, second = asked(model)
    assert first.tools is second.tools


# --- structured output ----------------------------------------------------------------------------------

JOKE = 'FUNCTION_CALL: Joke(setup="Knock", punchline="Who?")'
JOKE_SCHEMA = {
    "title": "Joke",
    "description": "A joke.",
    "type": "object",
    "properties": {"setup": {"type": "string"}, "punchline": {"type": "string"}},
    "required": ["setup", "punchline"],
}


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_a_pydantic_class_comes_back_as_its_instance(method):
    model = chat("A joke? Sure!", JOKE).with_structured_output(Joke, method=method)
    assert model.invoke("Tell a joke") == Joke(setup="Knock", punchline="Who?")


def test_a_json_schema_comes_back_as_a_dict():
    assert chat(JOKE).with_structured_output(JOKE_SCHEMA).invoke("Joke") == {"setup": "Knock", "punchline": "Who?"}


def test_a_server_that_takes_schemas_is_given_one():
    said = '{"name": "Joke", "arguments": {"setup": "Knock", "punchline": "Who?"}}'
    model = chat(said, backend=Schemas)
    assert model.with_structured_output(Joke).invoke("Joke") == Joke(setup="Knock", punchline="Who?")
    assert asked(model)[0].schema


@pytest.mark.parametrize("schema", [Joke, JOKE_SCHEMA])
def test_json_mode_reads_an_answer(schema):
    said = '```json\n{"setup": "Knock", "punchline": "Who?"}\n```'
    found = chat(said).with_structured_output(schema, method="json_mode").invoke("Joke, as JSON")
    assert (found if isinstance(found, dict) else found.model_dump()) == {"setup": "Knock", "punchline": "Who?"}


def test_raw_comes_with_the_value_or_the_error():
    model = chat("no JSON", '{"setup": "a", "punchline": "b"}')
    structured = model.with_structured_output(Joke, method="json_mode", include_raw=True)
    failed, good = structured.invoke("Joke"), structured.invoke("Joke")
    assert (failed["raw"].content, failed["parsed"]) == ("no JSON", None)
    assert failed["parsing_error"] is not None
    assert (good["parsed"], good["parsing_error"]) == (Joke(setup="a", punchline="b"), None)


def test_a_method_that_is_none_is_refused():
    with pytest.raises(ValueError, match="There is no method 'magic'"):
        chat().with_structured_output(Joke, method="magic")


# --- itself ---------------------------------------------------------------------------------------------


def test_arguments_reach_the_model():
    model = ChatGemma(model="ollama:gemma3:4b", temperature=0.2, top_k=5, max_tokens=7, sampling={"min_p": 0.1})
    gemma = model._asked
    assert (gemma.model, gemma.max_tokens, gemma.sampling) == (
        "gemma3:4b",
        7,
        {"temperature": 0.2, "top_k": 5, "min_p": 0.1},
    )
    assert model.profile["tool_choice"]
    assert model.profile["max_output_tokens"] == 7


def test_a_key_is_never_shown():
    assert "s3cret" not in repr(ChatGemma(model="ollama:gemma3:4b", api_key="s3cret"))


def test_an_unknown_transport_is_refused():
    with pytest.raises(ValidationError, match="transport"):
        ChatGemma(model="ollama:gemma3:4b", transport="pigeon")
