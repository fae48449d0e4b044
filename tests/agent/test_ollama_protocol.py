"""The stand-in speaks Ollama's protocol: the official client and langchain-ollama take it for the thing."""

import httpx
import ollama as official
import pytest
from langchain_ollama import ChatOllama

MESSAGES = [{"role": "user", "content": "Say hello."}]


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
    call = {"function": {"name": "now", "arguments": {"zone": "UTC"}}}
    ollama.plays({"text": "Wait.", "thought": "I must look.", "tool_calls": [call]})
    tool = {
        "type": "function",
        "function": {"name": "now", "parameters": {"type": "object", "properties": {}}},
    }
    message = client.chat("gemma4:e4b", MESSAGES, tools=[tool], think=True).message
    assert (message.content, message.thinking) == ("Wait.", "I must look.")
    assert message.tool_calls[0].function.arguments == {"zone": "UTC"}


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


def test_langchain_invokes_and_streams(ollama):
    ollama.plays("Hello there.", "Hello there.")
    closed = {"limits": httpx.Limits(max_keepalive_connections=0)}  # it never closes its connections itself
    model = ChatOllama(model="gemma3:4b", base_url=ollama.url, validate_model_on_init=True, client_kwargs=closed)
    answer = model.invoke("Say hello.")
    assert answer.content == "Hello there."
    assert answer.usage_metadata["input_tokens"] == 7
    assert "".join(chunk.content for chunk in model.stream("Say hello.")) == "Hello there."


def test_the_plain_pages_are_there(ollama):
    assert httpx.get(ollama.url).text == "Ollama is running"
    assert httpx.head(ollama.url).status_code == 200
    assert httpx.get(f"{ollama.url}/api/version").json() == {"version": "0.33.0"}
