"""ChatGemma as LangChain's people use it: tools, choice, streaming, structured output."""

import asyncio
import json
from datetime import datetime, time
from typing import TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.tools import tool
from langgraph.graph import END, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from pydantic import BaseModel, Field, ValidationError

from gemmagraph import Gemma
from gemmagraph import tool as ours_tool
from gemmagraph.backends.base import ModelInfo
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.chat import ChatGemma
from gemmagraph.errors import (
    AgentError,
    BackendTimeout,
    BadRequest,
    ChoiceIgnored,
    RateLimited,
    ServerError,
    TruncatedReply,
    Unauthorized,
)
from gemmagraph.fallback import Escalate, Fallback
from gemmagraph.prompts.messages import Usage
from gemmagraph.prompts.tokens import estimate


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


def test_a_tool_node_runs_the_calls():
    model = chat(CALL, Step("3.", expect="3")).bind_tools([add])
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([add]))
    graph.set_entry_point("model")
    graph.add_conditional_edges("model", tools_condition, ["tools", END])
    graph.add_edge("tools", "model")
    *_, result, answer = graph.compile().invoke({"messages": [HumanMessage("1 + 2?")]})["messages"]
    assert (result.content, answer.content) == ("3", "3.")


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


class Node(BaseModel):
    """A node."""

    name: str
    children: list["Node"] = []


TREE = {
    "title": "Node",
    "type": "object",
    "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["name"],
}


@pytest.mark.parametrize("schema", [Node, TREE], ids=["class", "json schema"])
def test_a_schema_that_holds_itself_in_a_list_is_checked_all_the_way_down(schema):
    def said(deepest):
        return f'FUNCTION_CALL: Node(name="a", children=[{{"name": "b", "children": [{deepest}]}}])'

    model = chat(said('{"nam": "c"}'), said('{"name": "c"}'))
    found = model.with_structured_output(schema).invoke("A tree")
    as_dict = found if isinstance(found, dict) else found.model_dump(exclude_unset=True)
    assert as_dict == {"name": "a", "children": [{"name": "b", "children": [{"name": "c"}]}]}


def test_a_schema_without_properties_is_no_schema_without_arguments():
    counts = {"title": "Counts", "type": "object", "additionalProperties": {"type": "integer"}}
    assert chat("FUNCTION_CALL: Counts(a=1)").with_structured_output(counts).invoke("Count") == {"a": 1}
    with pytest.raises(AgentError, match="'Words' is not that of an object"):
        chat().with_structured_output({"title": "Words", "type": "array", "items": {"type": "string"}})


class When(BaseModel):
    """When."""

    at: datetime


def remind(at: datetime, daily: time) -> str:
    """Reminds."""
    return ""


def test_what_python_calls_a_time_needs_no_offset():
    model = chat('FUNCTION_CALL: When(at="2026-05-04T09:30:00")').with_structured_output(When)
    assert model.invoke("When?") == When(at=datetime(2026, 5, 4, 9, 30))
    said = chat('FUNCTION_CALL: remind(at="2026-05-04 09:30", daily="09:30")').bind_tools([remind]).invoke("?")
    assert said.tool_calls[0]["args"] == {"at": "2026-05-04 09:30", "daily": "09:30"}
    ours = ours_tool(remind).as_langchain()
    said = chat('FUNCTION_CALL: remind(at="2026-05-04 09:30", daily="09:30")').bind_tools([ours]).invoke("?")
    assert said.tool_calls[0]["args"] == {"at": "2026-05-04 09:30", "daily": "09:30"}
    assert [found["format"] for found in ours.args.values()] == ["date-time", "time"]
    plain = {"title": "When", "type": "object", "properties": {"at": {"type": "string", "format": "date-time"}}}
    model = chat('FUNCTION_CALL: When(at="2026-05-04T09:30:00")', 'FUNCTION_CALL: When(at="2026-05-04T09:30:00Z")')
    assert model.with_structured_output(plain).invoke("When?") == {"at": "2026-05-04T09:30:00Z"}


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


def test_json_mode_reads_what_is_no_object():
    schema = {"title": "Words", "type": "array", "items": {"type": "string"}}
    assert chat('["a", "b"]').with_structured_output(schema, method="json_mode").invoke("As JSON") == ["a", "b"]


def test_raw_comes_with_the_value_or_the_error():
    model = chat("no JSON", '{"setup": "a", "punchline": "b"}')
    structured = model.with_structured_output(Joke, method="json_mode", include_raw=True)
    failed, good = structured.invoke("Joke"), structured.invoke("Joke")
    assert (failed["raw"].content, failed["parsed"]) == ("no JSON", None)
    assert failed["parsing_error"] is not None
    assert (good["parsed"], good["parsing_error"]) == (Joke(setup="a", punchline="b"), None)


FORM = {"type": "json_schema", "json_schema": {"name": "Joke", "schema": JOKE_SCHEMA}}


def test_an_answer_has_the_form_of_openai_that_is_asked_for():
    model = chat("A joke? Sure!", JOKE, JOKE).bind(response_format=FORM)
    said = {"setup": "Knock", "punchline": "Who?"}
    message = model.invoke("Tell a joke")
    assert (json.loads(message.content), message.tool_calls) == (said, [])
    chunks = list(model.stream("Tell a joke"))
    assert json.loads("".join(chunk.content for chunk in chunks)) == said
    assert not any(chunk.tool_call_chunks for chunk in chunks)


def test_an_answer_of_a_form_waits_for_the_tools():
    model = chat(f"{CALL}\n{JOKE}", JOKE).bind_tools([add], response_format=FORM)
    calls = model.invoke("Tell a joke about 1 + 2").tool_calls
    assert [call["name"] for call in calls] == ["add"]
    assert json.loads(model.invoke("Tell a joke").content)["setup"] == "Knock"


def test_an_answer_of_a_form_may_be_all_that_is_called():
    model = chat(CALL, JOKE).bind_tools([add], tool_choice="none", response_format=FORM)
    assert json.loads(model.invoke("Tell a joke about 1 + 2").content)["setup"] == "Knock"


@pytest.mark.parametrize("form", [{"type": "json_object"}, "json", {"type": "json_schema", "json_schema": {}}])
def test_a_form_that_is_none_is_refused(form):
    with pytest.raises(AgentError, match="response_format is"):
        chat().invoke("Tell a joke", response_format=form)


def test_any_text_is_a_form_too():
    assert chat("Hello.").invoke("Hi", response_format={"type": "text"}).content == "Hello."


def test_a_method_that_is_none_is_refused():
    with pytest.raises(ValueError, match="There is no method 'magic'"):
        chat().with_structured_output(Joke, method="magic")


# --- itself ---------------------------------------------------------------------------------------------


def test_arguments_reach_the_model():
    model = ChatGemma(model="ollama:gemma3:4b", temperature=0.2, top_k=5, max_tokens=7, sampling={"min_p": 0.1})
    known = model._identifying_params
    assert known["model"].startswith("gemma3:4b on Ollama")
    assert (known["max_tokens"], known["sampling"]) == (7, {"temperature": 0.2, "top_k": 5, "min_p": 0.1})
    assert model.profile["tool_choice"]
    assert model.profile["max_output_tokens"] == 7


def test_a_key_is_never_shown():
    assert "s3cret" not in repr(ChatGemma(model="ollama:gemma3:4b", api_key="s3cret"))


def test_an_unknown_transport_is_refused():
    with pytest.raises(ValidationError, match="transport"):
        ChatGemma(model="ollama:gemma3:4b", transport="pigeon")


def test_a_name_that_is_no_field_is_refused():
    with pytest.raises(ValidationError, match="temprature"):
        ChatGemma(model="ollama:gemma3:4b", temprature=0.2)


def test_one_call_can_go_to_another_model_of_the_server(ollama):
    ollama.plays("Hello.", "Hi.", "Hey.")
    model = ChatGemma(model="ollama:gemma3:4b", base_url=ollama.url, max_tokens=9)
    names = [
        model.invoke("Hi", **more).response_metadata["model_name"]
        for more in ({"model": "gemma3:1b"}, {}, {"model": "ollama:gemma3:1b"})
    ]
    assert names == ["gemma3:1b", "gemma3:4b", "gemma3:1b"]
    chats = [request["body"] for request in ollama.seen()["requests"]]
    assert [request["model"] for request in chats] == names
    assert {request["options"]["num_predict"] for request in chats} == {9}


def test_one_call_can_have_options_of_its_own(ollama):
    ollama.plays("Hello.", "Hi.", "Hey.")
    model = ChatGemma(model="ollama:gemma3:4b", base_url=ollama.url, max_tokens=9, temperature=0.5)
    model.bind(temperature=0, seed=7, max_tokens=20).invoke("Hi")
    model.invoke("Hi", top_p=0.9)
    first, second = (request["body"]["options"] for request in ollama.seen()["requests"])
    assert (first["temperature"], first["seed"], first["num_predict"], "top_p" in first) == (0, 7, 20, False)
    assert (second["temperature"], second["top_p"], second["num_predict"], "seed" in second) == (0.5, 0.9, 9, False)
    with pytest.raises(BadRequest, match=r"no option 'temprature'.*Did you mean 'temperature'"):
        model.invoke("Hi", temprature=0)
    assert model.invoke("Hi", parallel_tool_calls=False, strict=True).text == "Hey."


def test_one_call_to_several_models_has_no_options_of_its_own():
    route = Fallback([Gemma(ScriptedBackend(["a"])), Gemma(ScriptedBackend(["b"]))])
    with pytest.raises(AgentError, match="no options of its own"):
        ChatGemma(gemma=route).invoke("Hi", temperature=0)


def test_a_call_cannot_say_what_a_model_is_made_of():
    with pytest.raises(AgentError, match="context, notation cannot be said for one call"):
        chat().bind(notation="json", context=100).invoke("Hi")


def test_one_call_can_have_a_time_limit_and_tries_of_its_own():
    with pytest.raises(BackendTimeout):
        chat(Step("Hello.", delay=60)).bind(timeout=0.05).invoke("Hi")
    down = Step(error=ServerError("It is down."))
    assert chat(down, "Hello.").bind(max_retries=1).invoke("Hi").content == "Hello."


def test_one_call_of_a_model_that_was_made_elsewhere_cannot_go_to_another():
    with pytest.raises(AgentError, match="model='gemma3:1b' is for"):
        chat().invoke("Hi", model="gemma3:1b")


# --- patience -------------------------------------------------------------------------------------------

DOWN = Step(error=ServerError("It is down.", hint="Start it."))


@pytest.mark.parametrize("error", [ServerError, RateLimited])
def test_a_reply_of_which_nothing_came_is_asked_for_again(error):
    model = chat(Step(error=error("No.")), DOWN, "Hello.", max_retries=2)
    assert model.invoke("Hi").content == "Hello."


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([DOWN, DOWN], ServerError),
        ([Step("Hel", error=TruncatedReply("It broke off."))], TruncatedReply),
        ([Step("Hello there. " * 20, chunk=8, error=ServerError("No more."))], ServerError),
        ([Step(error=Unauthorized("Who are you?"))], Unauthorized),
    ],
    ids=["too often", "cut", "begun", "refused"],
)
def test_other_failures_are_final(steps, error):
    model = chat(*steps, max_retries=1)
    with pytest.raises(error):
        model.invoke("Hi")
    assert len(asked(model)) == len(steps)


def test_a_reply_has_to_be_there_in_time():
    model = chat(Step("Hello.", delay=60), timeout=0.05, max_retries=3)
    with pytest.raises(BackendTimeout, match=r"not there in 0\.05 s"):
        model.invoke("Hi")
    with pytest.raises(BackendTimeout):
        list(chat(Step("Hello.", delay=60), timeout=0.05).stream("Hi"))
    assert chat("Hello.", timeout=60).invoke("Hi").content == "Hello."


# --- tokens ---------------------------------------------------------------------------------------------


class Counts(ScriptedBackend):
    async def count(self, model, text):
        return len(text)


class CountsNone(ScriptedBackend):
    async def count(self, model, text):
        raise BadRequest("It does not count.")


def test_tokens_are_those_that_the_server_counts():
    assert chat(backend=Counts).get_num_tokens("Hello.") == 6
    routed = ChatGemma(gemma=Fallback([Gemma(Counts([])), Gemma(ScriptedBackend([]))]))
    assert routed.get_num_tokens("Hello.") == 6


class CountsLater(ScriptedBackend):
    async def count(self, model, text):
        raise ServerError("It is down.")


@pytest.mark.parametrize("backend", [ScriptedBackend, CountsNone, CountsLater])
def test_tokens_are_estimated_where_nobody_counts(backend):
    assert chat(backend=backend).get_num_tokens("Hello, world.") == estimate("Hello, world.")


def test_the_tokens_of_messages_are_those_of_the_whole_prompt():
    model = chat(backend=Counts)
    alone = model.get_num_tokens_from_messages([HumanMessage("Hi")])
    assert alone == len("<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n")
    assert model.get_num_tokens_from_messages([HumanMessage("Hi")], [add]) > alone + 50
    picture = {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"}
    seen = model.get_num_tokens_from_messages([HumanMessage([{"type": "text", "text": "Hi"}, picture])])
    assert 256 <= seen - alone <= 300


def test_ids_are_those_of_a_function_of_ones_own():
    with pytest.raises(AgentError, match="ids of tokens"):
        chat().get_token_ids("Hi")
    model = chat(backend=Counts, custom_get_token_ids=lambda text: [1, 2, 3])
    assert (model.get_token_ids("Hi"), model.get_num_tokens("Hi")) == ([1, 2, 3], 3)


def test_the_profile_says_whether_it_sees():
    assert ChatGemma(model="ollama:gemma3:4b").profile["image_inputs"]
    assert not ChatGemma(model="ollama:gemma3:4b", transport="completion").profile["image_inputs"]


@pytest.mark.parametrize("streamed", [False, True])
def test_text_that_was_no_answer_is_not_in_the_message(streamed):
    """LangChain adds piece to piece, so what may be taken back is held until it is certain."""

    def said(model, **more):
        if not streamed:
            return model.invoke("What is 1 + 2?", **more).text
        whole = None
        for chunk in model.stream("What is 1 + 2?", **more):
            whole = chunk if whole is None else whole + chunk
        return whole.text

    route = Escalate(
        Gemma(ScriptedBackend(["The answer is 5."])),
        Gemma(ScriptedBackend(["The answer is 3."])),
        when=lambda reply: "5" in reply.text,
    )
    assert said(ChatGemma(gemma=route)) == "The answer is 3."
    forced = chat("I will add them.", "FUNCTION_CALL: add(a=1, b=2)").bind_tools([add], tool_choice="any")
    assert said(forced) == ""


def test_no_two_calls_at_a_time_where_that_is_asked_for():
    both = "FUNCTION_CALL: add(a=1, b=2)\nFUNCTION_CALL: add(a=3, b=4)"
    model = chat(both, both).bind_tools([add])
    assert len(model.invoke("?").tool_calls) == 2
    assert [call["args"] for call in model.invoke("?", parallel_tool_calls=False).tool_calls] == [{"a": 1, "b": 2}]


def test_what_a_gemma_says_already_cannot_be_said_beside_it():
    with pytest.raises(AgentError, match="temperature cannot be said beside gemma="):
        chat("?", temperature=0.3)
    later = chat("?")
    later.temperature = 0.3
    for changed in (later, chat("?").model_copy(update={"temperature": 0.3})):
        with pytest.raises(AgentError, match="temperature cannot be said beside gemma="):
            changed.invoke("Hi")
    named = chat("?")
    named.model = "ollama:gemma3:1b"
    with pytest.raises(AgentError, match="model cannot be said beside gemma="):
        named.invoke("Hi")


def test_a_tool_that_is_no_function_is_refused():
    with pytest.raises(AgentError, match="is no function"):
        chat("?").invoke("?", tools=[{"type": "web_search"}])
    chat("Hi.").invoke("?", tools=[{"function": {"name": "f", "description": None, "parameters": None}}])


def test_a_password_in_the_address_is_not_shown():
    assert "secret" not in repr(ChatGemma(base_url="http://me:secret@127.0.0.1:1"))


def test_a_cache_tells_models_with_other_options_apart():
    plain, hot, short = (ChatGemma(**more) for more in ({}, {"temperature": 0.9}, {"max_tokens": 3}))
    assert len({str(model._get_llm_string()) for model in (plain, hot, short)}) == 3
