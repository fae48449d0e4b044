"""What the Ollama backend asks, and what it makes of good replies."""

import asyncio

import pytest

from gemmagraph import errors
from gemmagraph.backends.ollama.backend import OllamaBackend
from gemmagraph.backends.ollama.words import address, label_of
from gemmagraph.prompts.messages import Usage


def test_a_reply_arrives_in_pieces_with_its_usage_at_the_end(ollama, backend, ask):
    ollama.plays({"text": "Hello there, you.", "thought": "Be kind."})
    heard = ask(backend, model="gemma4:e4b", thinking=True)
    assert (heard.text, heard.thought, heard.notices) == ("Hello there, you.", "Be kind.", [])
    assert [chunk.text for chunk in heard.chunks if chunk.text] == ["Hell", "o th", "ere,", " you", "."]
    assert (heard.chunks[-1].stop, heard.chunks[-1].usage) == ("stop", Usage(7, 5))
    assert {chunk.stop for chunk in heard.chunks[:-1]} == {None}


def test_a_reply_that_reached_its_token_limit_says_so(ollama, backend, ask):
    ollama.plays("Hello there, you.")
    heard = ask(backend, max_tokens=2)
    assert (heard.text, heard.chunks[-1].stop) == ("Hello th", "length")


def test_the_request_says_everything_by_ollamas_names(ollama, backend, ask):
    ollama.plays("Yes.")
    ask(
        backend,
        model="gemma4:e4b",
        stop=("END",),
        max_tokens=50,
        thinking=False,
        options={"temperature": 0.5, "repetition_penalty": 1.1, "seed": 7, "keep_alive": "10m"},
    )
    assert ollama.seen()["requests"][0]["body"] == {
        "model": "gemma4:e4b",
        "messages": [{"role": "user", "content": "Say hello."}],
        "stream": True,
        "truncate": False,
        "shift": False,
        "think": False,
        "keep_alive": "10m",
        "options": {
            "num_ctx": 8192,
            "num_predict": 50,
            "stop": ["END"],
            "temperature": 0.5,
            "repeat_penalty": 1.1,
            "seed": 7,
        },
    }


def test_what_was_not_asked_for_is_left_to_the_server(ollama, backend, ask):
    ollama.plays("Yes.")
    ask(backend, context=None)
    body = ollama.seen()["requests"][0]["body"]
    assert body["options"] == {}
    assert not {"think", "keep_alive", "tools", "format"} & set(body)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("one\u0085two\u2028three\u2029four\x0bfive\x1csix", id="line breaks of Unicode"),
        pytest.param('He said "ä €  \U0001f600" \\ \n\r\n\t.', id="escapes"),
        pytest.param("x" * 200_000, id="long"),
    ],
)
def test_text_arrives_character_for_character(ollama, backend, ask, said):
    ollama.plays({"text": said, "piece": 7 if len(said) < 100 else 100_000})
    assert ask(backend).text == said


def test_half_a_surrogate_pair_in_the_prompt_is_no_crash(ollama, backend, ask):
    ollama.plays("Yes.")
    ask(backend, messages=({"role": "user", "content": "broken \ud83d text"},))
    assert ollama.seen()["requests"][0]["body"]["messages"][0]["content"] == "broken ? text"


def test_calls_that_the_server_took_out_of_a_reply_are_noticed(ollama, backend, ask):
    call = {"function": {"name": "now", "arguments": {}}}
    ollama.plays({"text": "I will look.", "tool_calls": [call]})
    heard = ask(backend)
    assert heard.text == "I will look."
    assert [notice for notice in heard.notices if "took 1 tool call(s) out of the reply" in notice]


def test_a_prompt_that_does_not_fit_is_an_error_with_the_numbers(ollama, backend, ask):
    ollama.plays("never said")
    long = ({"role": "user", "content": "word " * 10_000},)
    with pytest.raises(errors.ContextOverflow, match=r"12,504 tokens .* window of 8,192.*context=16384"):
        ask(backend, messages=long)


def test_a_prompt_that_an_old_server_cut_to_the_window_is_an_error(ollama, backend, ask):
    ollama.plays("Yes.", "Yes.", cuts_silently=True)
    long = ({"role": "user", "content": "word " * 10_000},)
    for _ in range(2):  # the window is remembered from the first time
        with pytest.raises(errors.ContextOverflow, match="whole context window of 8,192"):
            ask(backend, messages=long)


def test_messages_that_an_old_server_dropped_are_noticed(ollama, backend, ask):
    ollama.plays("Yes.", cuts_silently=True)
    heard = ask(backend, context=512, messages=({"role": "user", "content": "word " * 380},) * 20)
    assert heard.text == "Yes."
    assert "tokens of a prompt of 38,000 characters: it was probably cut" in heard.notices[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"options": {"temprature": 1}}, "Did you mean 'temperature'", id="unknown option"),
        pytest.param({"options": {"num_ctx": 4096}}, "Say context= instead", id="context as an option"),
        pytest.param({"options": {"temperature": float("nan")}}, "cannot be written as JSON", id="NaN"),
        pytest.param({"options": {"seed": object()}}, "cannot be written as JSON", id="object"),
        pytest.param({"thinking": True}, "does not support thinking", id="thinking"),
    ],
)
def test_a_request_that_cannot_be_is_refused(backend, ask, changes, words):
    with pytest.raises(errors.BadRequest, match=words):
        ask(backend, **changes)


def test_the_models_are_listed_and_described(backend):
    listed = asyncio.run(backend.models())
    assert [model.name for model in listed] == ["gemma3:4b", "gemma3:1b", "gemma4:e4b"]
    assert listed[0].size == 3_338_801_804
    described = asyncio.run(backend.info("gemma3:1b"))
    assert (described.context, described.capabilities) == (32_768, ("completion",))
    assert described.constraints == {"schema"}


def test_the_key_is_sent_as_a_bearer_token(ollama, ask, monkeypatch):
    monkeypatch.setenv("OLLAMA_API_KEY", "from-environment")
    ollama.plays("Yes.", "Yes.")
    ask(OllamaBackend(ollama.url, "given"))
    ask(OllamaBackend(ollama.url))
    sent = [entry["headers"]["Authorization"] for entry in ollama.seen()["requests"]]
    assert sent == ["Bearer given", "Bearer from-environment"]


@pytest.mark.parametrize("key", ["sec\nret", "se\u00e7ret"])
def test_a_key_that_is_none_is_refused_and_not_shown(key):
    with pytest.raises(errors.AgentError) as caught:
        OllamaBackend("box", key)
    assert "ret" not in str(caught.value)


ADDRESSES = {
    "": "http://127.0.0.1:11434",
    "  ": "http://127.0.0.1:11434",
    "box": "http://box:11434",
    "box:8080": "http://box:8080",
    ":8080": "http://127.0.0.1:8080",
    "box/": "http://box:11434",
    "box:8080/ollama/": "http://box:8080/ollama",
    "10.0.0.5": "http://10.0.0.5:11434",
    "http://box": "http://box:80",
    "https://box": "https://box:443",
    "https://box:8443/path": "https://box:8443/path",
    '"box:8080"': "http://box:8080",
    " 'box' ": "http://box:11434",
    "0.0.0.0": "http://127.0.0.1:11434",
    "0.0.0.0:8080": "http://127.0.0.1:8080",
    "http://0.0.0.0:8080": "http://127.0.0.1:8080",
    "::": "http://[::1]:11434",
    "[::]:8080": "http://[::1]:8080",
    "::1": "http://[::1]:11434",
    "[::1]": "http://[::1]:11434",
    "[::1]:8080": "http://[::1]:8080",
    "https://[2001:db8::7]": "https://[2001:db8::7]:443",
    "https://me:secret@box": "https://me:secret@box:443",
}


@pytest.mark.parametrize(("written", "url"), ADDRESSES.items(), ids=[repr(key) for key in ADDRESSES])
def test_an_address_is_read_as_ollama_reads_it(written, url, monkeypatch):
    assert address(written) == url
    monkeypatch.setenv("OLLAMA_HOST", written)
    assert address() == url
    assert OllamaBackend().label == "Ollama at " + url.replace("me:secret@", "")


@pytest.mark.parametrize(
    "written", ["box:port", "box:0", "box:70000", "http://box:-1", "ftp://box", "http://[::1", "my box", "1:2:3:x"]
)
def test_an_address_that_is_none_is_refused(written):
    with pytest.raises(errors.AgentError, match=r"no valid|no address"):
        address(written)


def test_a_password_in_the_address_is_not_shown():
    assert label_of("https://me:se@cret@box:443/x@y") == "Ollama at https://box:443/x@y"


@pytest.mark.parametrize("written", ["http://me:s3cret@box:99999", "me:s3cret@box:99999", "ftp://me:s3cret@box"])
def test_a_password_in_an_address_that_is_none_is_not_shown(written):
    with pytest.raises(errors.AgentError, match="box") as caught:
        address(written)
    assert "s3cret" not in str(caught.value)
