"""The stand-in speaks Ollama's protocol: the official client and langchain-ollama take it for the thing."""

from base64 import b64encode

import httpx
import ollama as official
import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_ollama import ChatOllama

MESSAGES = [{"role": "user", "content": "Say hello."}]
CALL = {"function": {"name": "now", "arguments": {"zone": "UTC"}}}
PARAMETERS = {"type": "object", "properties": {"zone": {"type": "string", "minLength": 3, "enum": ["UTC", "CET"]}}}
TOOL = {"type": "function", "function": {"name": "now", "description": "The time.", "parameters": PARAMETERS}}
PICTURE = b"\x89PNG"


@pytest.fixture
def client(ollama):
    with official.Client(ollama.url, timeout=10) as made:
        yield made


def test_client_lists_the_models(client):
    models = client.list().models
    assert [model.model for model in models] == ["gemma3:4b", "gemma3:1b", "gemma4:e4b"]
    assert models[0].details.parameter_size == "4B"
    assert models[0].size == 3_338_801_804


def test_client_shows_a_model(client):
    shown = client.show("gemma3:4b")
    assert shown.modelinfo["gemma3.context_length"] == 131_072
    assert shown.capabilities == ["completion", "vision"]


def test_client_is_told_that_a_model_is_missing(client):
    with pytest.raises(official.ResponseError, match="not found") as caught:
        client.show("gemma9")
    assert caught.value.status_code == 404


def test_client_pulls(client):
    assert client.pull("gemma3:4b").status == "success"
    states = [state.status for state in client.pull("gemma3:4b", stream=True)]
    assert (states[0], states[-1]) == ("pulling manifest", "success")
    assert any(state.startswith("pulling 0123") for state in states)


@pytest.mark.parametrize("stream", [False, True])
def test_client_is_told_that_a_pull_failed(client, stream):
    with pytest.raises(official.ResponseError, match="file does not exist"):
        list(client.pull("gemma9", stream=stream))


def test_client_chats_whole_and_streamed(ollama, client):
    ollama.plays("Hello there, you.", "Hello there, you.")
    whole = client.chat("gemma3:4b", MESSAGES)
    assert (whole.message.content, whole.done, whole.done_reason) == ("Hello there, you.", True, "stop")
    pieces = list(client.chat("gemma3:4b", MESSAGES, stream=True))
    assert "".join(piece.message.content for piece in pieces) == "Hello there, you."
    assert len(pieces) > 3
    assert (pieces[-1].done, pieces[-1].prompt_eval_count, pieces[-1].eval_count) == (True, 7, 5)


def test_client_gets_thoughts_and_calls(ollama, client):
    ollama.plays({"text": "Wait.", "thought": "I must look.", "tool_calls": [CALL]})
    message = client.chat("gemma4:e4b", MESSAGES, tools=[TOOL], think=True).message
    assert (message.content, message.thinking) == ("Wait.", "I must look.")
    assert message.tool_calls[0].function.arguments == {"zone": "UTC"}


def test_client_sees_a_model_think_unless_it_forbids_it(ollama, client):
    ollama.plays(*[{"text": "Yes.", "thought": "Hm."}] * 2)
    assert client.chat("gemma4:e4b", MESSAGES).message.thinking == "Hm."
    assert client.chat("gemma4:e4b", MESSAGES, think=False).message.thinking is None


@pytest.mark.parametrize("late", [False, True], ids=["in its own frame", "in the last frame"])
def test_client_streams_calls(ollama, client, late):
    ollama.plays({"text": "Wait.", "tool_calls": [CALL, CALL], "calls_last": late})
    frames = list(client.chat("gemma4:e4b", MESSAGES, tools=[TOOL], think=False, stream=True))
    told = [len(frame.message.tool_calls or ()) for frame in frames]
    assert told[-3:] == ([0, 0, 2] if late else [1, 1, 0])
    assert (frames[-1].done, frames[-1].done_reason) == (True, "stop")


def test_what_the_server_has_no_field_for_does_not_reach_the_model(ollama, client):
    ollama.plays("Yes.")
    results = [
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "TOOL", "content": "noon"},
        {"role": "tool", "tool_name": "now", "content": "noon"},
    ]
    client.chat("gemma4:e4b", [*MESSAGES, *results], tools=[TOOL])
    shown = ollama.seen()["requests"][0]["shown"]
    assert shown["tools"]["now"]["properties"] == {"zone": {"type": "string", "enum": ["UTC", "CET"]}}
    assert shown["results"] == [["unknown", "noon"], ["now", "noon"]]


def test_arguments_as_text_are_not_decoded(ollama):
    said = {"role": "assistant", "tool_calls": [{"function": {"name": "now", "arguments": "{}"}}]}
    asked = {"model": "gemma4:e4b", "messages": [*MESSAGES, said]}
    reply = httpx.post(f"{ollama.url}/api/chat", json=asked)
    assert (reply.status_code, "cannot unmarshal" in reply.json()["error"]) == (400, True)


def test_client_holds_a_reply_to_a_schema(ollama, client):
    ollama.plays("{}", {"text": "{}", "tool_calls": [CALL]})
    assert client.chat("gemma3:4b", MESSAGES, format=PARAMETERS).message.content == "{}"
    held = client.chat("gemma4:e4b", MESSAGES, format=PARAMETERS, tools=[TOOL], think=False).message
    assert held.tool_calls is None, "the grammar leaves no way to write a call"
    asked = {"model": "gemma3:4b", "messages": MESSAGES, "format": "yaml"}
    assert "invalid format" in httpx.post(f"{ollama.url}/api/chat", json=asked).json()["error"]


def test_client_sends_pictures(ollama, client):
    ollama.plays("A cat.")
    shown = [{"role": "user", "content": "What is it?", "images": [PICTURE]}]
    assert client.chat("gemma3:4b", shown).message.content == "A cat."
    with pytest.raises(official.ResponseError, match="image input"):
        client.chat("gemma3:1b", shown)


def test_client_completes_whole_prompts_without_their_control_tokens(ollama, client):
    said = '<|tool_call>call:now{zone:<|"|>UTC<|"|>}<tool_call|>'
    ollama.plays({"text": said}, {"text": "Hello there."})
    assert client.generate("gemma4:e4b", "Hi.", raw=True).response == "call:now{zone:UTC}"
    pieces = list(client.generate("gemma3:4b", "Hi.", raw=True, stream=True))
    assert "".join(piece.response for piece in pieces) == "Hello there."
    assert (pieces[-1].done, pieces[-1].done_reason, pieces[-1].eval_count) == (True, "stop", 3)
    with pytest.raises(official.ResponseError, match="raw mode does not support"):
        client.generate("gemma3:4b", "Hi.", raw=True, system="Be kind.")
    assert client.generate("gemma3:4b").done_reason == "load"


def test_client_decides_how_long_a_model_stays(ollama, client):
    ollama.plays("1", "2")
    client.chat("gemma3:4b", MESSAGES, keep_alive="10m")
    assert [model.model for model in client.ps().models] == ["gemma3:4b"]
    client.chat("gemma3:4b", MESSAGES, keep_alive=0)
    assert client.ps().models == []
    with pytest.raises(official.ResponseError, match="invalid duration"):
        client.chat("gemma3:4b", MESSAGES, keep_alive="soon")


def test_client_makes_a_model(client):
    assert client.create("mine", from_="gemma3:4b", system="Be kind.").status == "success"
    assert client.show("mine").capabilities == ["completion", "vision"]
    assert [state.status for state in client.create("mine", from_="gemma3:4b", stream=True)][-1] == "success"
    with pytest.raises(official.ResponseError, match="file does not exist"):
        client.create("mine", from_="gemma9")


def test_client_sees_what_lies_on_the_graphics_card(ollama, client):
    ollama.plays("Yes.", on_gpu=0.5)
    client.chat("gemma3:4b", MESSAGES)
    (model,) = client.ps().models
    assert model.size_vram == model.size // 2


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        pytest.param(
            {"tools": [{"type": "function", "function": {"name": "f"}}]}, "does not support tools", id="tools"
        ),
        pytest.param({"think": True}, "does not support thinking", id="thinking"),
    ],
)
def test_client_is_refused_what_the_model_cannot(client, asked, words):
    with pytest.raises(official.ResponseError, match=words):
        client.chat("gemma3:4b", MESSAGES, **asked)


def test_client_sees_the_running_model_with_its_context(ollama, client):
    assert client.ps().models == []
    ollama.plays("Yes.")
    client.chat("gemma3:4b", MESSAGES, options={"num_ctx": 2048})
    assert [(model.model, model.context_length) for model in client.ps().models] == [("gemma3:4b", 2048)]


def test_empty_messages_only_load_the_model(client):
    answer = client.chat("gemma3:4b", [])
    assert (answer.done_reason, answer.message.content) == ("load", "")


def test_a_long_prompt_is_cut_in_silence_unless_that_is_forbidden(ollama, client):
    turns = [{"role": "user", "content": f"{number} " * 200} for number in range(20)]
    ollama.plays("Cut.", "Refused.")
    answer = client.chat("gemma3:4b", turns, options={"num_ctx": 512})
    assert answer.prompt_eval_count <= 512
    assert ollama.seen()["requests"][0]["cut"] > 0
    reply = httpx.post(
        f"{ollama.url}/api/chat",
        json={"model": "gemma3:4b", "messages": turns, "options": {"num_ctx": 512}, "truncate": False},
    )
    assert (reply.status_code, "exceed_context_size_error" in reply.json()["error"]) == (400, True)


def test_the_model_is_loaded_anew_when_its_context_or_shift_changes(ollama):
    ollama.plays("1", "2", "3", "4")
    for context, shift in ((1024, True), (1024, True), (2048, True), (2048, False)):
        asked = {"model": "gemma3:4b", "messages": MESSAGES, "shift": shift, "options": {"num_ctx": context}}
        assert httpx.post(f"{ollama.url}/api/chat", json=asked).status_code == 200
    assert ollama.seen()["loads"] == 3


def test_stop_strings_and_token_limits_end_a_reply(ollama, client):
    ollama.plays("Hello END more", "Hello there, you.")
    assert client.chat("gemma3:4b", MESSAGES, options={"stop": ["END"]}).message.content == "Hello "
    short = client.chat("gemma3:4b", MESSAGES, options={"num_predict": 2})
    assert (short.message.content, short.done_reason) == ("Hello th", "length")


@pytest.fixture
def langchain(ollama):
    """`langchain(model, **changes)`: langchain-ollama on the stand-in."""
    closed = {"limits": httpx.Limits(max_keepalive_connections=0)}  # it never closes its connections itself
    return lambda model, **changes: ChatOllama(model=model, base_url=ollama.url, client_kwargs=closed, **changes)


def test_langchain_invokes_and_streams(ollama, langchain):
    ollama.plays("Hello there.", "Hello there.")
    model = langchain("gemma3:4b", validate_model_on_init=True)
    answer = model.invoke("Say hello.")
    assert answer.content == "Hello there."
    assert answer.usage_metadata["input_tokens"] == 7
    assert "".join(chunk.content for chunk in model.stream("Say hello.")) == "Hello there."


def test_langchain_calls_tools_and_goes_on_with_their_results(ollama, langchain):
    ollama.plays({"tool_calls": [CALL]}, "It is noon.")
    model = langchain("gemma4:e4b", reasoning=False, keep_alive="10m").bind_tools([TOOL])
    asked = model.invoke("What time is it?")
    assert [(call["name"], call["args"]) for call in asked.tool_calls] == [("now", {"zone": "UTC"})]
    result = ToolMessage("noon", tool_call_id=asked.tool_calls[0]["id"], name="now")
    assert model.invoke([HumanMessage("What time is it?"), asked, result]).content == "It is noon."
    first, second = ollama.seen()["requests"]
    assert (first["body"]["keep_alive"], list(first["shown"]["tools"])) == ("10m", ["now"])
    assert [content for _, content in second["shown"]["results"]] == ["noon"]


def test_langchain_holds_a_reply_to_a_schema_and_sends_pictures(ollama, langchain):
    ollama.plays('{"zone": "UTC"}', "A cat.")
    held = langchain("gemma3:4b").with_structured_output({"title": "Zone", **PARAMETERS}, method="json_schema")
    assert held.invoke("Which zone?") == {"zone": "UTC"}
    picture = {"type": "image_url", "image_url": f"data:image/png;base64,{b64encode(PICTURE).decode()}"}
    shown = HumanMessage([{"type": "text", "text": "What is it?"}, picture])
    assert langchain("gemma3:4b").invoke([shown]).content == "A cat."


def test_the_plain_pages_are_there(ollama):
    assert httpx.get(ollama.url).text == "Ollama is running"
    assert httpx.head(ollama.url).status_code == 200
    assert httpx.get(f"{ollama.url}/api/version").json() == {"version": "0.33.0"}
