"""The backend `openai` against a stand-in that plays vLLM, LM Studio, Ollama's `/v1` and hosted servers."""

import asyncio
import json
import socket
from contextlib import suppress
from types import SimpleNamespace

import pytest

from gemmagraph import errors
from gemmagraph.backends.base import Request
from gemmagraph.backends.network.closing import end
from gemmagraph.backends.network.http import Bounds
from gemmagraph.backends.openai import backend as module
from gemmagraph.backends.openai.backend import OpenAIBackend
from gemmagraph.backends.openai.words import address, named_error
from gemmagraph.backends.words import Place
from gemmagraph.prompts.grammar.calls import Grammar
from gemmagraph.prompts.messages import Usage

QUICK = Bounds(connect=2, first_byte=10, between=10, total=20, question=5, pause=0.01, notice=5)
SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
WORDS = Grammar('root ::= "yes"')
MARKED = Grammar("root ::= <|tool_call>", ("<|tool_call>",))


@pytest.fixture
def server(openai):
    """`plays(*replies, **settings)`, `seen(ended=0)`, `url`; nothing to say yet."""
    return SimpleNamespace(
        url=openai.url, plays=openai.plays, seen=lambda ended=0: SimpleNamespace(**openai.seen(ended=ended))
    )


@pytest.fixture
def backend(server):
    return OpenAIBackend(f"{server.url}/v1", bounds=QUICK)


def body(server, place=0):
    return server.seen().requests[place]["body"]


# What is asked


def test_a_reply_arrives_in_pieces_with_its_usage_at_the_end(server, backend, ask):
    server.plays("Hello there, you.")
    heard = ask(backend)
    assert [chunk.text for chunk in heard.chunks if chunk.text] == ["Hell", "o th", "ere,", " you", "."]
    assert (heard.chunks[-1].stop, heard.chunks[-1].usage) == ("stop", Usage(10, 5))
    assert {chunk.stop for chunk in heard.chunks[:-1]} == {None}
    assert heard.notices == []


def test_a_hosted_server_gets_no_field_that_openai_does_not_have(server, backend, ask):
    server.plays("Yes.")
    options = {"temperature": 0.5, "seed": 7}
    ask(backend, stop=("END",), max_tokens=50, options=options, schema=SCHEMA, thinking=False)
    assert body(server) == {
        "model": "gemma3:4b",
        "messages": [{"role": "user", "content": "Say hello."}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "stop": ["END"],
        "max_tokens": 50,
        "temperature": 0.5,
        "seed": 7,
        "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA}},
    }


def test_what_was_not_asked_for_is_left_to_the_server(server, backend, ask):
    server.plays("Yes.")
    ask(backend)
    assert set(body(server)) == {"model", "messages", "stream", "stream_options"}


ASKED = {
    "vllm, chat": ("vllm", {}, {"chat_template_kwargs": {"enable_thinking": False}}),
    "vllm, thinking": ("vllm", {"thinking": True}, {"chat_template_kwargs": {"enable_thinking": True}}),
    "vllm, schema": ("vllm", {"schema": SCHEMA}, {"structured_outputs": {"json": SCHEMA}}),
    "vllm, grammar": ("vllm", {"grammar": WORDS}, {"structured_outputs": {"grammar": WORDS.gbnf}}),
    "vllm, marks or schema": (
        "vllm", {"grammar": MARKED, "schema": SCHEMA}, {"structured_outputs": {"json": SCHEMA}},
    ),
    "vllm, marks shown": ("vllm", {}, {"skip_special_tokens": False, "spaces_between_special_tokens": False}),
    "vllm, option": ("vllm", {"options": {"repeat_penalty": 1.1}}, {"repetition_penalty": 1.1}),
    "vllm, whole prompt": (
        "vllm", {"messages": None, "prompt": "<bos>Hi"}, {"prompt": "<bos>Hi", "add_special_tokens": False},
    ),
    "hosted, whole prompt": ("plain", {"messages": None, "prompt": "<bos>Hi"}, {"prompt": "Hi"}),
    "hosted, thinking": ("plain", {"thinking": True}, {"reasoning_effort": "medium"}),
    "lm studio, option": ("lmstudio", {"options": {"repetition_penalty": 1.1}}, {"repeat_penalty": 1.1}),
    "ollama, not thinking": ("ollama", {}, {"reasoning_effort": "none"}),
    "half a surrogate pair": (
        "plain", {"messages": ({"role": "user", "content": "a \ud83d b"},)},
        {"messages": [{"role": "user", "content": "a ? b"}]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ASKED)
def test_each_sort_of_server_is_asked_by_its_own_names(server, backend, ask, case):
    kind, changes, fields = ASKED[case]
    server.plays("Yes.", kind=kind)
    assert ask(backend, **changes).text == "Yes."
    assert body(server) | fields == body(server)


REFUSED = {
    "unknown option": ("plain", {"options": {"temprature": 1}}, ["Did you mean 'temperature'"]),
    "option of another server": ("vllm", {"options": {"typical_p": 1}}, ["vLLM 0.14.1 at", "no option 'typical_p'"]),
    "window as an option": ("plain", {"options": {"num_ctx": 4096}}, ["no sampling option", "Say context= instead"]),
    "limit as an option": ("plain", {"options": {"max_completion_tokens": 5}}, ["Say max_tokens= instead"]),
    "not a number": ("plain", {"options": {"temperature": float("nan")}}, ["cannot be written as JSON"]),
    "no value of JSON": ("plain", {"options": {"seed": object()}}, ["cannot be written as JSON"]),
    "grammar, hosted": ("plain", {"grammar": WORDS}, ["no reply in a chat to a grammar", "JSON Schema instead"]),
    "grammar with marks": ("vllm", {"grammar": MARKED}, ["control marks in it (<|tool_call>)", "prompted notation"]),
    "schema of an old vllm": ("vllm 0.10.2", {"schema": SCHEMA}, ["vLLM 0.10.2", "in a chat to a JSON Schema"]),
    "schema of a whole prompt": (
        "plain", {"messages": None, "prompt": "Hi", "schema": SCHEMA}, ['Say transport="chat"'],
    ),
    "whole prompt, ollama": (
        "ollama", {"messages": None, "prompt": "Hi"}, ["takes chat messages, not a finished prompt", "its own turns"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_server_would_not_do_is_refused_before_it_is_asked(server, backend, ask, case):
    kind, changes, words = REFUSED[case]
    kind, _, version = kind.partition(" ")
    server.plays("never said", kind=kind, version=version or "0.14.1")
    with pytest.raises(errors.BadRequest) as caught:
        ask(backend, **changes)
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)
    assert server.seen().requests == []


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_takes_no_stream_options_is_asked_without_from_then_on(server, backend, ask, status):
    refusal = {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs"}]}
    server.plays({"status": status, "body": refusal}, "Yes.", "Yes.")
    for _ in range(2):
        heard = ask(backend)
        assert (heard.text, heard.notices, heard.chunks[-1].usage) == ("Yes.", [], None)
    assert ["stream_options" in entry["body"] for entry in server.seen().requests] == [True, False, False]


def test_the_key_is_sent_as_a_bearer_token_and_never_shown(server, ask, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
    server.plays("Yes.", "Yes.")
    ask(OpenAIBackend(f"{server.url}/v1", "given"))
    backend = OpenAIBackend(f"{server.url}/v1")
    ask(backend)
    sent = [entry["headers"]["Authorization"] for entry in server.seen().requests]
    assert sent == ["Bearer given", "Bearer from-environment"]
    assert "from-environment" not in f"{vars(backend)}{backend._place!r}"
    for refusal in ({"key": "other"}, {"key": ""}):
        server.plays({"status": 500, "body": {"error": "from-environment?"}}, **refusal)
        with pytest.raises(errors.BackendError, match=r"\*\*\*") as caught:
            ask(OpenAIBackend(f"{server.url}/v1"))
        assert "from-environment" not in str(caught.value)


@pytest.mark.parametrize("key", ["sec\nret", "se\u00e7ret"])
def test_a_key_that_is_none_is_refused_and_not_shown(key):
    with pytest.raises(errors.AgentError, match="holds a character that no key has") as caught:
        OpenAIBackend("http://box/v1", key)
    assert "ret" not in str(caught.value).replace("character", "")


# What it is

KINDS = {
    "vllm": ("vLLM 0.14.1 at {}", ["/v1/models", "/version"], 8192, {"grammar", "schema", "tool_choice"}, 3),
    "lmstudio": ("LM Studio at {}", ["/v1/models", "/api/v1/models"], 131_072, {"schema"}, 3),
    "ollama": ("Ollama 0.14.1 at {}", ["/v1/models", "/api/version"], None, {"schema"}, 2),
    "plain": ("Server at {}", ["/v1/models", "/api/version"], None, {"schema", "tool_choice"}, 3),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_answers_is_found_out_once_in_two_questions(server, backend, ask, kind):
    label, pages, context, constraints, transports = KINDS[kind]
    server.plays("Yes.", "Yes.", kind=kind)
    ask(backend)
    ask(backend)
    described = asyncio.run(backend.info("gemma3:4b"))
    assert [line for line in server.seen().asked if line.startswith("GET")] == [f"GET {page}" for page in pages]
    assert backend.label == label.format(f"{server.url}/v1")
    assert (described.name, described.context) == ("gemma3:4b", context)
    assert described.constraints == constraints
    assert len(backend.transports) == transports
    assert [model.name for model in asyncio.run(backend.models())] == ["gemma3:4b", "google/gemma-3-27b-it"]


def test_an_ollama_whose_models_have_other_owners_is_known_and_warned_of(server, backend, ask):
    server.plays("Yes.", kind="ollama", owner="someone")
    assert "without a word" in ask(backend).notices[0]
    assert backend.label.startswith("Ollama 0.14.1 at")


def test_an_old_vllm_holds_replies_to_nothing(server, backend):
    server.plays(kind="vllm", version="0.10.2")
    assert asyncio.run(backend.info("gemma3:4b")).constraints == set()


def test_requests_that_come_together_find_out_once(server, backend, hear):
    server.plays(*["Yes."] * 4)

    async def run():
        return await asyncio.gather(*(hear(backend) for _ in range(4)))

    assert {heard.text for heard in asyncio.run(asyncio.wait_for(run(), 20))} == {"Yes."}
    assert server.seen().asked.count("GET /v1/models") == 1


def test_a_bare_list_of_models_is_one_too(server, backend):
    server.plays(bare_list=True)
    assert [model.name for model in asyncio.run(backend.models())] == ["gemma3:4b", "google/gemma-3-27b-it"]


@pytest.mark.parametrize("settings", [{"no_list": True}, {"models_key": "models"}], ids=["404", "of another form"])
def test_a_server_without_a_list_is_asked_all_the_same(server, backend, ask, settings):
    server.plays("Yes.", **settings)
    assert ask(backend).text == "Yes."
    described = asyncio.run(backend.info("whatever"))
    assert (described.name, described.context, described.constraints) == ("whatever", None, {"schema", "tool_choice"})


def test_what_comes_up_after_a_failure_is_asked_anew(server, backend, ask):
    server.plays("Yes.", kind="vllm")
    ask(backend)
    server.plays({"status": 404, "body": {"detail": "Not Found"}}, "Yes.", kind="plain")
    with pytest.raises(errors.BackendUnavailable):
        ask(backend)
    ask(backend)
    assert backend.label.startswith("Server at")


def test_a_window_smaller_than_asked_for_is_said_once(server, backend, ask):
    server.plays("Yes.", "Yes.", kind="lmstudio", window=4096)
    said = "gemma3:4b runs with 4,096 tokens of context, not with the 8,192 asked for"
    assert ask(backend).notices == [said]
    assert ask(backend).notices == []


def test_a_prompt_that_was_cut_without_a_word_is_noticed(server, backend, ask):
    server.plays({"text": "Yes.", "counts": 100})
    heard = ask(backend, messages=({"role": "user", "content": "word " * 1000},))
    assert heard.notices == ["gemma3:4b read 100 tokens of a prompt of 5,000 characters: it was probably cut"]


# What is heard


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_are_told_apart(server, backend, ask, name):
    server.plays({"thought": "Be kind.", "text": "Hello.", "thought_field": name})
    heard = ask(backend)
    assert (heard.thought, heard.text) == ("Be kind.", "Hello.")


def test_a_reply_that_reached_its_token_limit_says_so(server, backend, ask):
    server.plays({"text": "Hello", "finish": "length"})
    assert ask(backend).chunks[-1].stop == "length"


def test_calls_that_the_server_took_out_of_a_reply_are_noticed(server, backend, ask):
    calls = [{"name": "now", "arguments": "{}"}, {"name": "then", "arguments": "{}"}]
    server.plays({"text": "I will look.", "tool_calls": calls}, kind="vllm")
    heard = ask(backend)
    assert heard.text == "I will look."
    assert heard.notices == [f"{backend.label} took 2 tool call(s) out of the reply; they were not run"]


def test_a_reply_that_a_filter_cut_is_noticed(server, backend, ask):
    server.plays({"text": "First", "finish": "content_filter"})
    assert ask(backend).notices == [f"{backend.label} cut the reply: its content filter did not let the rest through"]


TEXT = "a\u2028b\u0085c \U0001f600 \u00e9"
WHOLE = {
    "comments": {"ping": True},
    "one byte at a time": {"split": 1},
    "three bytes at a time, carriage returns": {"split": 3, "line_end": "\r\n", "ping": True},
    "only carriage returns": {"line_end": "\r", "split": 2},
    "no [DONE]": {"no_done": True},
    "no finish_reason": {"finish": None},
    "text behind the finish": {"text": TEXT[:3], "late_text": TEXT[3:]},
    "an unusual finish_reason": {"finish": "eos_token"},
    "an event in several lines": {
        "events": [
            json.dumps({"choices": [{"delta": {"content": TEXT}, "finish_reason": "stop"}]}, indent=1),
            "",
            "[DONE]",
        ]
    },
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_reply_is_whole_however_it_is_written(server, backend, ask, case):
    server.plays({"text": TEXT, "piece": 1} | WHOLE[case])
    heard = ask(backend)
    assert (heard.text, heard.notices, heard.chunks[-1].stop) == (TEXT, [], "stop")


def test_a_whole_reply_whose_stream_never_ends_is_not_waited_for(server, backend, ask, monkeypatch):
    monkeypatch.setattr(module, "TAIL", 0.1)
    server.plays({"text": "Yes.", "hang": True})
    assert ask(backend).text == "Yes."
    assert server.seen(ended=1).requests[0]["ended"] == "disconnected"


def test_a_whole_prompt_is_completed(server, backend, ask):
    server.plays("Hello there.", kind="vllm")
    heard = ask(backend, messages=None, prompt="<bos>Hi")
    assert (heard.text, heard.chunks[-1].usage, heard.chunks[-1].stop) == ("Hello there.", Usage(2, 3), "stop")
    assert server.seen().asked[-1] == "POST /v1/completions"


# What goes wrong


def refusing(status, words, **headers):
    return {"status": status, "body": {"error": {"message": words, "type": "x"}}, "headers": headers}


def event(text):
    return {"events": [text]}


CALL = {"name": "now", "arguments": "{}"}
LOGIN = {"body": "<html><body><h1>Log in</h1></body></html>"}
MOVED = {"status": 308, "body": "", "headers": {"Location": "https://elsewhere.example/"}}
ERROR = {"error": {"message": "the engine died", "type": "internal", "code": 500}}

FAULTS = {
    # what happens: its error, words of its text, then what the server does with each request it should get
    "error in band": (errors.ServerError, ["in the middle of the reply", "the engine died"], {"late_error": ERROR}),
    "error of an older vllm in band": (
        errors.ServerError, ["the engine died"], {"late_error": {"object": "error", "message": "the engine died"}},
    ),
    "error without words": (errors.ServerError, ["it does not say why"], {"text": "Hello", "finish": "error"}),
    "overflow in band": (
        errors.ContextOverflow, ["9,000 tokens", "4,096"],
        {"late_error": {"error": {"type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 4096}}},
    ),
    "given up": (errors.TruncatedReply, ["gave up the reply after 5 char"], {"text": "Hello", "finish": "abort"}),
    "neither [DONE] nor finish_reason": (
        errors.TruncatedReply, ["ended after 5 characters", "nothing said that it is whole"],
        {"text": "Hello", "finish": None, "no_done": True},
    ),
    "cut within an event": (errors.TruncatedReply, ["after 5 characters"], {"text": "Hello", "cut": "event"}),
    "broken connection": (errors.TruncatedReply, ["after 5 characters"], {"text": "Hello", "cut": "connection"}),
    "nothing before the end": (
        errors.TruncatedReply, ["after 0 characters"], *[{"finish": None, "no_done": True}] * 2,
    ),
    "empty turn": (errors.EmptyReply, ["'gemma3:4b' sent an empty reply"], *[{"text": ""}] * 2),
    "nothing within the token limit": (errors.EmptyReply, ["max_tokens"], {"finish": "length"}),
    "all of it filtered": (errors.EmptyReply, ["filter took it away"], *[{"finish": "content_filter"}] * 2),
    "calls taken out": (errors.EmptyReply, ["took 1 tool call", "tool parser"], *[{"tool_calls": [CALL]}] * 2),
    "page instead of a reply": (errors.BackendUnavailable, ["with a page", "'Log in'", "ends in /v1"], LOGIN),
    "moved": (errors.BackendUnavailable, ["308", "https://elsewhere.example/"], MOVED),
    "not streamed": (errors.ServerError, ["did not stream"], {"body": {"choices": []}}),
    "error with status 200": (errors.ServerError, ["no slot is free"], {"body": {"error": "no slot is free"}}),
    "bad request": (errors.BadRequest, ["status 400", "no such thing"], refusing(400, "no such thing")),
    "unprocessable": (
        errors.BadRequest, ["status 422", "Input should be less (body.n)"],
        {"status": 422, "body": {"detail": [{"loc": ["body", "n"], "msg": "Input should be less"}]}},
    ),
    "error in a list": (errors.BadRequest, ["Invalid"], {"status": 400, "body": [{"error": {"message": "Invalid"}}]}),
    "refused": (errors.Unauthorized, ["wants a key, and there is none (status 401)"], refusing(401, "no")),
    "forbidden": (errors.Unauthorized, ["status 403", "OPENAI_API_KEY"], refusing(403, "no")),
    "not paid": (errors.Unauthorized, ["status 402", "paid up"], refusing(402, "no credits")),
    "no such page": (errors.BackendUnavailable, ["no such page", "ends in /v1"], refusing(404, "Not Found")),
    "wrong method": (errors.BackendUnavailable, ["no such page", "base_url"], refusing(405, "not allowed")),
    "too many requests": (errors.RateLimited, ["slow down"], *[refusing(429, "slow down")] * 3),
    "long pause asked": (errors.RateLimited, ["slow down"], refusing(429, "slow down", **{"Retry-After": "999"})),
    "server error": (errors.ServerError, ["status 500", "oops", "server's log"], refusing(500, "oops")),
    "bad gateway": (errors.BackendUnavailable, ["502", "behind it"], *[refusing(502, "bad gateway")] * 3),
    "busy": (errors.BackendUnavailable, ["no slot", "try again"], *[refusing(503, "no slot")] * 3),
    "gateway gave up": (errors.BackendTimeout, ["too slow"], *[refusing(504, "too slow")] * 3),
    "dropped before the answer": (errors.BackendUnavailable, ["closed the connection"], *[{"drop": True}] * 3),
    "garbage": (errors.ServerError, ["no frame of a reply", "'not json'"], event("not json")),
    "number for a frame": (errors.ServerError, ["'5'"], event("5")),
    "list for the choices": (errors.ServerError, ["no frame"], event('{"choices": [1]}')),
    "number for the text": (errors.ServerError, ["no frame"], event('{"choices": [{"delta": {"content": 5}}]}')),
    "deep nesting": (errors.ServerError, ["no frame"], event("[" * 200_000)),
    "8 MB event": (errors.ServerError, ["more than 8,388,608 bytes"], event("x" * (8 * 1024 * 1024 + 1))),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_server_is_an_error_that_names_it(server, backend, ask, fault):
    kind, words, *replies = FAULTS[fault]
    server.plays(*replies, "Yes.")
    with pytest.raises(errors.BackendError) as caught:
        ask(backend)
    said = str(caught.value)
    assert type(caught.value) is kind, said
    assert [word for word in words if word not in said] == [], said
    assert "\n" not in said
    assert len(server.seen().requests) == len(replies)
    assert ask(backend).text == "Yes.", "the backend goes on after it"


@pytest.mark.parametrize(
    "fault",
    [{"drop": True}, refusing(503, "busy", **{"Retry-After": "0"}), {"text": ""}],
    ids=["drop", "busy", "empty"],
)
def test_what_another_try_mends_is_tried_again_and_said(server, backend, ask, fault):
    server.plays(fault, "Yes.")
    heard = ask(backend)
    assert (heard.text, len(heard.notices), len(server.seen().requests)) == ("Yes.", 1, 2)


def test_a_server_that_loads_its_model_is_waited_for_and_asked_what_it_is_anew(server, backend, ask):
    server.plays("Yes.", kind="llamacpp", loading=7, window=4096)
    heard = ask(backend)
    assert heard.text == "Yes."
    assert heard.notices == [
        f"Server at {server.url}/v1 is still loading its model; waiting",
        "gemma3:4b runs with 4,096 tokens of context, not with the 8,192 asked for",
    ]


def test_a_server_that_loads_a_model_anew_is_waited_for(server, backend, ask):
    server.plays("Yes.", kind="llamacpp")
    ask(backend)
    server.plays("Yes.", loading=4)
    assert ask(backend).notices == [f"{backend.label} is still loading its model; waiting"]
    assert server.seen().asked.count("GET /v1/models") > 1


def test_a_model_that_is_never_loaded_is_an_error_in_time(server, hear):
    server.plays("never said", kind="llamacpp", loading=1_000_000)
    backend = OpenAIBackend(f"{server.url}/v1", bounds=Bounds(first_byte=0.05, pause=0.001))
    with pytest.raises(errors.BackendTimeout, match=r"still loading its model.*Loading model.*It had 0\.05 s"):
        asyncio.run(asyncio.wait_for(hear(backend), 20))
    for question in (backend.info("gemma3:4b"), backend.models()):
        with pytest.raises(errors.BackendUnavailable, match="still loading its model"):
            asyncio.run(question)


OVERFLOWS = {
    "vllm": (
        "This model's maximum context length is 4096 tokens. However, your request has 9000 input tokens.",
        "The prompt of 9,000 tokens does not fit the context window of 4,096.",
    ),
    "vllm, with the reply": (
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the "
        "messages, 1000 in the completion).",
        "The prompt of 4,000 tokens leaves too little of the context window of 4,096",
    ),
    "vllm, newest": (
        "This model's maximum context length is 4096 tokens. However, you requested 2048 output tokens and your "
        "prompt contains at least 2049 input tokens, for a total of at least 4097 tokens.",
        "The prompt of 2,049 tokens leaves too little of the context window of 4,096",
    ),
    "vllm, newest, of the prompt": (
        "This model's maximum context length is 4096 tokens. However, you requested 0 output tokens and your "
        "prompt contains at least 4097 input tokens, for a total of at least 4097 tokens.",
        "The prompt of 4,097 tokens does not fit the context window of 4,096.",
    ),
    "vllm, of the reply alone": (
        "max_tokens=9000cannot be greater than max_model_len=max_total_tokens=4096. Please request fewer output "
        "tokens.",
        "The context window is smaller than the reply that is asked for: max_tokens=9000",
    ),
    "sglang": (
        "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of "
        "5000 tokens: 4000 tokens from the input messages and 1000 tokens for the completion.",
        "The prompt of 4,000 tokens leaves too little of the context window of 4,096",
    ),
    "openai, with functions": (
        "This model's maximum context length is 16385 tokens. However, your messages resulted in 29429 tokens (28993 "
        "in the messages, 436 in the functions).",
        "The prompt of 29,429 tokens does not fit the context window of 16,385.",
    ),
    "vllm, no room for the reply": (
        "This model's maximum context length is 4096 tokens and your request has 4000 input tokens (2048 > 96).",
        "The prompt of 4,000 tokens leaves too little of the context window of 4,096",
    ),
    "openai": (
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
        "The prompt of 130,000 tokens does not fit the context window of 128,000.",
    ),
    "vllm, older": (
        "The decoder prompt (length 9000) is longer than the maximum model length of 4096.",
        "The prompt of 9,000 tokens does not fit the context window of 4,096.",
    ),
    "lm studio": (
        "Trying to keep the first 9000 tokens, but the model is loaded with context length of only 4096 tokens.",
        "The prompt does not fit the context window: Trying to keep the first 9000",
    ),
}


@pytest.mark.parametrize("case", OVERFLOWS)
def test_words_of_an_overflow_become_numbers(case):
    words, said = OVERFLOWS[case]
    error = named_error(
        400, json.dumps({"error": {"message": words, "code": 400}}), Place("The server", "http://box")
    )
    assert isinstance(error, errors.ContextOverflow)
    assert error.message.startswith(said)
    assert "max_tokens=" in error.hint


NO_ROOM = {"oldest": [2000, 474], "between": [2000, 474], "newest": [2000, 1000, 500, 250]}
"""What is asked for after each refusal, of a window of 1,000 tokens in which 474 are free."""


@pytest.mark.parametrize("words", NO_ROOM)
@pytest.mark.parametrize("form", ["chat", "completion"])
def test_a_reply_is_asked_for_that_there_is_room_for(server, backend, ask, words, form):
    text = "word " * 420
    forms = {
        "chat": {"messages": ({"role": "user", "content": text[:-27]},)},
        "completion": {"messages": None, "prompt": f"{text}so"},
    }
    server.plays("Yes.", kind="vllm", window=1000, words=words)
    heard = ask(backend, max_tokens=2000, context=None, **forms[form])
    assert heard.text == "Yes."
    assert heard.notices == ["the prompt leaves less than the 2,000 tokens for the reply"]
    asked = [entry["body"]["max_tokens"] for entry in server.seen().requests]
    assert asked == NO_ROOM[words]


@pytest.mark.parametrize("words", NO_ROOM)
def test_a_prompt_that_leaves_room_for_no_reply_is_an_error(server, backend, ask, words):
    server.plays("never said", kind="vllm", window=1000, words=words)
    with pytest.raises(errors.ContextOverflow, match=r"leaves too little of the context window of 1,000"):
        ask(backend, max_tokens=2000, messages=({"role": "user", "content": "word " * 780},))
    assert len(server.seen().requests) <= 7


def test_a_prompt_that_does_not_fit_is_an_error_with_the_numbers(server, backend, ask):
    server.plays("never said", kind="vllm", window=1000)
    with pytest.raises(errors.ContextOverflow, match=r"12,5\d\d tokens does not fit the context window of 1,000"):
        ask(backend, messages=({"role": "user", "content": "word " * 10_000},))


@pytest.mark.parametrize("no_list", [False, True])
def test_a_model_that_is_not_there_is_named_with_those_that_are(server, backend, hear, no_list):
    server.plays(no_list=no_list)
    asked = [hear(backend, model="gema3:4b")] + ([] if no_list else [backend.info("gema3:4b")])
    for question in asked:
        with pytest.raises(errors.ModelNotFound, match="has no model 'gema3:4b'") as caught:
            asyncio.run(question)
        named = "whoever runs it" if no_list else "Did you mean 'gemma3:4b'? It has: gemma3:4b"
        assert named in caught.value.hint


def test_a_refused_key_is_told_apart_from_a_missing_one(server, hear):
    server.plays(key="right")
    for key, words in (("wrong", "refuses the key (status 401)"), (None, "wants a key, and there is none")):
        backend = OpenAIBackend(f"{server.url}/v1", key, bounds=QUICK)
        for question in (hear(backend), backend.models(), backend.info("gemma3:4b")):
            with pytest.raises(errors.Unauthorized) as caught:
                asyncio.run(question)
            assert words in caught.value.message
            assert "api_key=, or OPENAI_API_KEY" in caught.value.hint


def test_a_page_for_people_at_the_address_is_told(server, backend, hear):
    server.plays(page="<html><h1>Welcome</h1></html>")
    for question in (hear(backend), backend.models()):
        with pytest.raises(errors.BackendUnavailable, match=r"with a page \(status 200\).*'Welcome'"):
            asyncio.run(question)


@pytest.mark.parametrize("kind", ["plain", "lmstudio"])
def test_an_address_without_v1_is_told_the_right_one(server, ask, kind):
    server.plays("never said", kind=kind)
    with pytest.raises(errors.BackendUnavailable, match="one level below") as caught:
        ask(OpenAIBackend(server.url, bounds=QUICK))
    assert f"base_url='{server.url}/v1'" in caught.value.hint
    assert server.seen().requests == []


@pytest.mark.parametrize("kind", ["plain", "lmstudio"])
def test_a_wrong_path_is_told(server, ask, kind):
    server.plays("never said", kind=kind)
    with pytest.raises(errors.BackendUnavailable, match=r"has no such page.*ends in /v1"):
        ask(OpenAIBackend(f"{server.url}/api", bounds=QUICK))


def test_https_on_a_plain_server_is_told(server, ask):
    with pytest.raises(errors.BackendUnavailable, match=r"cannot be reached over HTTPS.*Try http://"):
        ask(OpenAIBackend(f"{server.url.replace('http', 'https')}/v1", bounds=QUICK))


def test_plain_http_on_an_https_server_is_told(server, backend, ask):
    server.plays({"status": 400, "body": "<html>The plain HTTP request was sent to HTTPS port</html>"})
    with pytest.raises(errors.BackendUnavailable, match=r"speaks HTTPS only.*Write https://127"):
        ask(backend)


def test_a_server_that_is_down_is_named_with_what_to_do(hear):
    with socket.socket() as bound:  # bound and not listening: nobody else gets the port meanwhile
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        backend = OpenAIBackend(url, bounds=QUICK)
        for question in (hear(backend), backend.models(), backend.info("gemma3:4b")):
            with pytest.raises(errors.BackendUnavailable, match=f"Server at {url} cannot be reached") as caught:
                asyncio.run(question)
            assert "base_url=, or OPENAI_BASE_URL" in caught.value.hint


def test_a_server_that_says_nothing_is_an_error_in_time(ask):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        backend = OpenAIBackend(f"http://127.0.0.1:{silent.getsockname()[1]}/v1", bounds=Bounds(question=0.1))
        with pytest.raises(errors.BackendTimeout, match=r"no answer came within 0\.1 s"):
            ask(backend)


@pytest.mark.parametrize("how", ["cancelled", "closed"])
def test_who_leaves_frees_the_server(server, backend, leaves, how):
    server.plays({"text": "Hello there.", "finish": None, "hang": True})

    async def run():
        await leaves(backend, Request("gemma3:4b", messages=({"role": "user", "content": "Say hello."},)), how)
        return await asyncio.to_thread(server.seen, ended=1)

    assert asyncio.run(run()).requests[0]["ended"] == "disconnected"


@pytest.mark.parametrize("times", [1, 2])
def test_who_leaves_while_it_is_found_out_frees_the_server(hear, swept, times):
    async def run():
        asked, left = asyncio.Event(), asyncio.Event()

        async def silent(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            assert await reader.read(1) == b""
            left.set()
            writer.close()

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            asking = asyncio.create_task(hear(OpenAIBackend(f"http://127.0.0.1:{port}/v1", bounds=QUICK)))
            await asyncio.wait_for(asked.wait(), 10)
            for _ in range(times):
                asking.cancel()
                await asyncio.sleep(0)
            await asyncio.wait_for(left.wait(), 10)
            await asyncio.wait({asking}, timeout=10)
            assert asking.cancelled()

    asyncio.run(run())


def test_work_that_loses_a_cancellation_is_cancelled_again():
    async def stubborn():
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(30)
        await asyncio.sleep(30)

    async def run():
        work = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        await asyncio.wait_for(end(work), 10)
        return work.cancelled()

    assert asyncio.run(run())


# Where it is

ADDRESSES = {
    "": "https://api.openai.com/v1",
    "http://box:8000/v1": "http://box:8000/v1",
    "http://box:8000/v1/": "http://box:8000/v1",
    "http://box:8000": "http://box:8000",
    '"https://host/api/v3"': "https://host/api/v3",
    "http://[::1]:8000/v1": "http://[::1]:8000/v1",
}


@pytest.mark.parametrize("written", ADDRESSES, ids=repr)
def test_an_address_is_taken_as_it_is_written(written, monkeypatch):
    assert address(written) == ADDRESSES[written]
    monkeypatch.setenv("OPENAI_BASE_URL", written)
    assert address() == ADDRESSES[written]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("http://box/v1/v1", "Did you mean 'http://box/v1'?"),
        ("http://box/v1/chat/completions", "Did you mean 'http://box/v1'?"),
        ("http://box/v1/models/", "Did you mean 'http://box/v1'?"),
        ("box:8000", "is no address of a server. Write it as"),
        ("ftp://box", "is no address of a server"),
        ("http://", "is no address of a server"),
        ("http://box:port/v1", "is no address of a server"),
        ("http://my box/v1", "is no address of a server"),
        ("http://[::1", "is no address of a server"),
        ("http://box/v1?key=1", "has something behind its path"),
    ],
)
def test_an_address_that_is_none_is_refused_with_what_was_meant(written, words):
    with pytest.raises(errors.AgentError) as caught:
        OpenAIBackend(written)
    assert words in str(caught.value)


def test_a_password_in_the_address_is_not_shown():
    assert OpenAIBackend("https://me:se@cret@box/v1").label == "Server at https://box/v1"
    with pytest.raises(errors.AgentError) as caught:
        OpenAIBackend("https://me:secret@box/v1/v1")
    assert "secret" not in str(caught.value)


def test_the_official_client_takes_the_stand_in_for_the_thing(server):
    official = pytest.importorskip("openai", reason="the official client is not installed: it is not compared")
    calls = [{"name": "now", "arguments": "{}"}]
    server.plays("Hello there.", {"text": "Hello there.", "tool_calls": calls}, kind="vllm", key="key")
    messages = [{"role": "user", "content": "Say hello."}]
    with official.OpenAI(base_url=f"{server.url}/v1", api_key="key", max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["gemma3:4b", "google/gemma-3-27b-it"]
        whole = client.chat.completions.create(model="gemma3:4b", messages=messages)
        assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == ("Hello there.", "stop")
        options = {"include_usage": True}
        stream = client.chat.completions.create(
            model="gemma3:4b", messages=messages, stream=True, stream_options=options
        )
        chunks = list(stream)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello there."
        assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == [3]
        assert any(chunk.choices[0].delta.tool_calls for chunk in chunks if chunk.choices)
        with pytest.raises(official.NotFoundError):
            client.chat.completions.create(model="gemma9", messages=messages)
    with (
        official.OpenAI(base_url=f"{server.url}/v1", api_key="other", max_retries=0) as client,
        pytest.raises(official.AuthenticationError),
    ):
        client.models.list()
