"""Each fault of an Ollama server is an error of its own kind, or mended by another try."""

import asyncio
import socket
from contextlib import aclosing

import pytest

from gemmagraph import errors
from gemmagraph.backends.base import Request
from gemmagraph.backends.network.http import Bounds
from gemmagraph.backends.ollama.backend import OllamaBackend
from gemmagraph.prompts.messages import Usage


def refusing(status, words, **headers):
    return {"status": status, "body": {"error": words}, "headers": headers}


def line(text):
    return {"text": "Hello", "lines": [text, "{}"]}


CALL = {"function": {"name": "now", "arguments": {}}}
ENGINE = '{"error":{"type":"exceed_context_size_error","message":"no","n_prompt_tokens":9000,"n_ctx":4096}}'
BUSY = "server busy, please try again.  maximum pending requests exceeded"
LOGIN = {"body": "<html><body><h1>Log in</h1></body></html>"}
MOVED = {"status": 308, "body": "", "headers": {"Location": "https://elsewhere.example/"}}

FAULTS = {
    # what happens: its error, words of its text, then what the server does with each request it should get
    "server error": (errors.ServerError, ["status 500", "oops", "server's log"], refusing(500, "oops")),
    "out of memory": (errors.ServerError, ["smaller model"], refusing(500, "it unexpectedly stopped")),
    "queue full": (
        errors.RateLimited,
        [BUSY.replace("  ", " "), "OLLAMA_MAX_QUEUE"],
        *[refusing(503, BUSY)] * 3,
    ),
    "bad gateway": (errors.BackendUnavailable, ["502", "Log in"], *[LOGIN | {"status": 502}] * 3),
    "gateway gave up": (errors.BackendTimeout, ["too slow"], *[refusing(504, "too slow")] * 3),
    "too many requests": (errors.RateLimited, ["slow down"], *[refusing(429, "slow down")] * 3),
    "long pause asked": (
        errors.RateLimited,
        ["slow down"],
        refusing(429, "slow down", **{"Retry-After": "999"}),
    ),
    "bad request": (errors.BadRequest, ["status 400", "invalid format"], refusing(400, "invalid format")),
    "key refused": (errors.Unauthorized, ["OLLAMA_API_KEY"], refusing(401, "unauthorized")),
    "no such page": (errors.BackendUnavailable, ["Check the address"], refusing(404, "page not found")),
    "moved": (errors.BackendUnavailable, ["308", "https://elsewhere.example/"], MOVED),
    "page instead of a reply": (errors.BackendUnavailable, ["with a page", "'Log in'", "proxy"], LOGIN),
    "engine's words": (
        errors.ContextOverflow,
        ["9,000 tokens", "4,096", "context=16384"],
        refusing(400, ENGINE),
    ),
    "engine's words after 200": (errors.ContextOverflow, ["9,000 tokens"], {"late_error": ENGINE}),
    "error line after 200": (
        errors.ServerError,
        ["in the middle of the reply", "the model stopped"],
        {"text": "Hello", "late_error": "the model stopped"},
    ),
    "no last frame": (errors.TruncatedReply, ["after 5 characters"], {"text": "Hello", "no_done": True}),
    "cut within a line": (errors.TruncatedReply, ["after 5 characters"], {"text": "Hello", "cut": "line"}),
    "broken connection": (
        errors.TruncatedReply,
        ["after 5 characters"],
        {"text": "Hello", "cut": "connection"},
    ),
    "nothing before the end": (errors.TruncatedReply, ["after 0 characters"], *[{"no_done": True}] * 2),
    "empty turn": (errors.EmptyReply, ["'gemma3:4b' sent an empty reply"], *[{"text": ""}] * 2),
    "only loaded": (errors.EmptyReply, ["only loaded 'gemma3:4b'"], *[{"done_reason": "load"}] * 2),
    "nothing within the token limit": (errors.EmptyReply, ["max_tokens"], {"done_reason": "length"}),
    "calls taken out": (errors.EmptyReply, ["took 1 tool call"], *[{"tool_calls": [CALL]}] * 2),
    "garbage line": (errors.ServerError, ["no frame of a reply", "'not json'"], line("not json")),
    "number for a line": (errors.ServerError, ["'5'"], line("5")),
    "list for a message": (errors.ServerError, ["[1]"], line('{"message": [1]}')),
    "number for the text": (errors.ServerError, ["no frame"], line('{"message": {"content": 5}}')),
    "deep nesting": (errors.ServerError, ["no frame"], line("[" * 200_000)),
    "8 MB line": (errors.ServerError, ["more than 8,388,608 bytes"], line("x" * (8 * 1024 * 1024 + 1))),
    "dropped before the answer": (
        errors.BackendUnavailable,
        ["closed the connection"],
        *[{"drop": True}] * 3,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_server_is_an_error_that_names_it(ollama, backend, ask, fault):
    kind, words, *replies = FAULTS[fault]
    ollama.plays(*replies, "Yes.")
    with pytest.raises(errors.BackendError) as caught:
        ask(backend)
    said = str(caught.value)
    assert type(caught.value) is kind
    assert [word for word in words if word not in said] == [], said
    assert "\n" not in said
    assert len(ollama.seen()["requests"]) == len(replies)
    assert ask(backend).text == "Yes.", "the backend goes on after it"


@pytest.mark.parametrize(
    ("fault", "usage"),
    [
        pytest.param({"drop": True}, Usage(7, 1), id="dropped"),
        pytest.param(refusing(503, "busy", **{"Retry-After": "0"}), Usage(7, 1), id="busy"),
        pytest.param({"text": ""}, Usage(14, 1), id="empty"),
        pytest.param({"no_done": True}, Usage(7, 1), id="nothing before the end"),
    ],
)
def test_what_another_try_mends_is_tried_again_and_said(ollama, backend, fault, usage, ask):
    ollama.plays(fault, "Yes.")
    heard = ask(backend)
    assert heard.text == "Yes."
    assert heard.chunks[-1].usage == usage
    assert len(heard.notices) == 1
    assert len(ollama.seen()["requests"]) == 2


def test_a_reply_that_has_begun_is_never_asked_for_again(ollama, backend):
    ollama.plays({"text": "Half", "cut": "connection"}, "Whole.")
    got = []

    async def run():
        asked = Request("gemma3:4b", messages=({"role": "user", "content": "Say hello."},))
        async with aclosing(backend.stream(asked)) as chunks:
            async for chunk in chunks:
                got.append(chunk.text)  # noqa: PERF401 - the error comes after the first

    with pytest.raises(errors.TruncatedReply):
        asyncio.run(run())
    assert got == ["Half"]
    assert len(ollama.seen()["requests"]) == 1


@pytest.fixture
def closed_port():
    with socket.socket() as bound:  # bound and not listening: nobody else gets the port meanwhile
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_a_server_that_is_down_is_named_with_how_to_start_it(closed_port, hear):
    backend = OllamaBackend(f"127.0.0.1:{closed_port}", bounds=Bounds(pause=0.01))
    for asked in (hear(backend), backend.models(), backend.info("gemma3:4b")):
        with pytest.raises(errors.BackendUnavailable) as caught:
            asyncio.run(asked)
        assert f"http://127.0.0.1:{closed_port} cannot be reached" in str(caught.value)
        assert "`ollama serve`" in str(caught.value)


def test_a_model_that_is_not_there_is_named_with_how_to_get_it(backend, hear):
    for asked in (hear(backend, model="gema3:4b"), backend.info("gema3:4b")):
        with pytest.raises(errors.ModelNotFound) as caught:
            asyncio.run(asked)
        assert "`ollama pull gema3:4b`" in str(caught.value)
        assert "gemma3:4b" in caught.value.hint.partition("It has:")[2]


def test_a_server_that_takes_no_such_host_name_is_told_apart_from_a_refused_key(ollama, backend, hear):
    ollama.plays(hosts=["ollama.internal"])
    for asked in (hear(backend), backend.models()):
        with pytest.raises(errors.BadRequest, match="host name in '127"):
            asyncio.run(asked)


def test_a_slow_load_is_said_and_waited_for(ollama, ask):
    backend = OllamaBackend(ollama.url, bounds=Bounds(notice=0.05))
    ollama.plays("Yes.", load_seconds=0.4)
    heard = ask(backend)
    assert heard.chunks[0].notice == "waiting for gemma3:4b (the server may be loading it)"
    assert heard.text == "Yes."


def test_a_load_that_takes_too_long_is_an_error_and_aborted_at_the_server(ollama, ask):
    backend = OllamaBackend(ollama.url, bounds=Bounds(notice=0.05, first_byte=0.2))
    ollama.plays("Yes.", load_seconds=20)
    with pytest.raises(
        errors.BackendTimeout, match=r"no reply began within 0.2 s.*may still be loading.*`ollama ps`"
    ):
        ask(backend)
    seen = ollama.seen(ended=1)
    assert [entry["ended"] for entry in seen["requests"]] == ["disconnected"]
    assert seen["loads"] == 0


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        pytest.param(Bounds(between=0.2), "nothing more came for 0.2 s", id="between two pieces"),
        pytest.param(Bounds(total=0.4), "not complete within 0.4 s", id="all together"),
    ],
)
def test_a_reply_that_stops_coming_is_an_error(ollama, ask, bounds, words):
    ollama.plays({"text": "Hello there.", "hang_after": 2})
    with pytest.raises(errors.BackendTimeout, match=words):
        ask(OllamaBackend(ollama.url, bounds=bounds))
    assert ollama.seen(ended=1)["requests"][0]["ended"] == "disconnected"


def test_a_slow_reply_is_no_error(ollama, ask):
    ollama.plays({"text": "Hello there.", "wait": 0.1})
    assert ask(OllamaBackend(ollama.url, bounds=Bounds(between=5))).text == "Hello there."
