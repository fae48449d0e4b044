"""What goes wrong with the Gemini API, and what is made of it: refusals, blocked and cut replies, retries."""

import asyncio
import json
import math
import socket
import time
from contextlib import aclosing

import pytest

from gemmagraph import errors
from gemmagraph.backends.base import Request
from gemmagraph.backends.gemini.backend import GeminiBackend
from gemmagraph.backends.gemini.words import Quota, named_error
from gemmagraph.backends.network.http import Bounds
from gemmagraph.backends.words import Place
from gemmagraph.prompts.messages import Image, Text, ToolSpec, Turn
from gemmagraph.prompts.toolset import Toolset

QUICK = Bounds(connect=2, first_byte=10, between=10, total=20, question=5, pause=0.01, notice=5)
MODEL = "gemma-4-31b-it"
KEY = "AIza-not-a-real-key"
BY_TOOLS = {"messages": None, "turns": (Turn("user", (Text("Hi"),)),), "tools": Toolset([ToolSpec("now")])}
TYPE = "type.googleapis.com/google.rpc."


@pytest.fixture
def backend(gemini):
    return GeminiBackend(MODEL, gemini.url, KEY, bounds=QUICK)


@pytest.fixture
def say(backend, ask):
    """`say(**changes)`: the reply to a small request."""
    return lambda **changes: ask(backend, **{"model": MODEL} | changes)


def refused(code, status, message, *details):
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def quota(per, delay="17s"):
    """What Google says when a quota is used up."""
    return refused(
        429,
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
        {"@type": f"{TYPE}QuotaFailure", "violations": [{"quotaId": f"GenerateRequestsPer{per}PerProject-FreeTier"}]},
        {"@type": f"{TYPE}Help", "links": []},
        {"@type": f"{TYPE}RetryInfo", "retryDelay": delay},
    )


REFUSALS = {
    "location": (400, refused(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
                 errors.BadRequest, ["User location is not supported"]),
    "no tools": (400, refused(400, "INVALID_ARGUMENT", f"Function calling is not enabled for models/{MODEL}"),
                 errors.BadRequest, ["does not support tools", "not enabled for", 'transport="chat"']),
    "no eyes": (400, refused(400, "INVALID_ARGUMENT", f"Image input modality is not enabled for models/{MODEL}"),
                errors.BadRequest, ["Image input modality", "Leave pictures out"]),
    "key expired": (400, refused(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.",
                                 {"@type": f"{TYPE}ErrorInfo", "reason": "API_KEY_INVALID"}),
                    errors.Unauthorized, ["refuses the key (status 400)", "GEMINI_API_KEY"]),
    "key leaked": (403, refused(403, "PERMISSION_DENIED", "Your API key was reported as leaked."),
                   errors.Unauthorized, ["refuses the key", "leaked"]),
    "too long": (400, refused(400, "INVALID_ARGUMENT", "The input token count (300000) exceeds the maximum number of "
                              "tokens allowed (262144)."),
                 errors.ContextOverflow, ["300,000 tokens", "window of 262,144", "Shorten it"]),
    "too long, other words": (400, refused(400, "INVALID_ARGUMENT", "Input token count exceeds the limit of 32768."),
                              errors.ContextOverflow, ["does not fit", "32768"]),
    "no page": (404, refused(404, "NOT_FOUND", "Requested entity was not found."),
                errors.BackendUnavailable, ["no such page", "Check base_url"]),
    "Google's own": (500, refused(500, "INTERNAL", "An internal error has occurred. Please retry."),
                     errors.ServerError, ["status 500", "Google's own failure"]),
    "list of errors": (500, [refused(500, "INTERNAL", "An internal error.")], errors.ServerError, ["internal error"]),
    "no words": (500, {}, errors.ServerError, ["it does not say why"]),
    "day's quota": (429, quota("Day"), errors.RateLimited, ["quota of the day", "tomorrow"]),
    "long wait": (429, quota("Minute", "4000s"), errors.RateLimited, ["Try again in 4000 s"]),
    "not in the plan": (429, refused(429, "RESOURCE_EXHAUSTED", "Quota exceeded for metric: requests, limit: 0"),
                        errors.RateLimited, ["does not hold this model"]),
    "a page": (200, "<html>Please <b>log in</b></html>", errors.BackendUnavailable, ["with a page", "log in"]),
    "another API": (200, {"object": "list"}, errors.ServerError, ["no reply of a model server", "Check base_url"]),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_an_error_that_says_what_to_do(gemini, say, case):
    status, body, kind, words = REFUSALS[case]
    gemini.plays({"status": status, "body": body}, "never asked for")
    with pytest.raises(errors.BackendError) as caught:
        say()
    assert isinstance(caught.value, kind), repr(caught.value)
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)
    assert len(gemini.seen()["requests"]) == 1


PASSING = {
    "quota of the minute": {"status": 429, "body": quota("Minute", "0.01s")},
    "quota, no time": {"status": 429, "body": refused(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted.")},
    "overloaded": {"status": 503, "body": refused(503, "UNAVAILABLE", "The model is overloaded.")},
    "too slow": {"status": 504, "body": refused(504, "DEADLINE_EXCEEDED", "Deadline expired.")},
    "no answer": {"drop": True},
}


@pytest.mark.parametrize("case", PASSING)
def test_what_passes_by_itself_is_asked_once_more(gemini, say, case):
    gemini.plays(PASSING[case], "Yes.")
    heard = say()
    assert heard.text == "Yes."
    assert ["Trying again." in notice for notice in heard.notices] == [True]


def test_the_next_try_waits_as_long_as_google_says(gemini, say):
    gemini.plays({"status": 429, "body": quota("Minute", "0.7s")}, "Yes.")
    begun = time.monotonic()
    say()
    assert time.monotonic() - begun >= 0.7


def test_a_quota_that_outlasts_the_deadline_is_final(gemini, ask):
    bounds = Bounds(connect=2, first_byte=5, total=5, pause=0.01)
    gemini.plays({"status": 429, "body": quota("Minute", "17s")}, "never asked for")
    with pytest.raises(errors.RateLimited, match="Try again in 17 s"):
        ask(GeminiBackend(MODEL, gemini.url, KEY, bounds=bounds), model=MODEL)


def test_after_three_tries_the_last_refusal_counts(gemini, say):
    gemini.plays(*[PASSING["overloaded"]] * 4)
    with pytest.raises(errors.BackendUnavailable, match="overloaded"):
        say()
    assert len(gemini.seen()["requests"]) == 3


@pytest.mark.parametrize(
    ("per", "delay", "seconds"),
    [("Minute", "36s", 36.0), ("Minute", "1.5s", 1.5), ("Minute", "soon", None), ("Day", "36s", math.inf)],
)
def test_how_long_a_quota_lasts_is_read_from_the_details(per, delay, seconds):
    error = named_error(429, json.dumps(quota(per, delay)), Place("Gemini API", ""))
    assert isinstance(error, Quota)
    assert error.seconds == seconds


# Keys


def test_a_wrong_key_is_told_without_it(gemini, ask):
    gemini.plays("never said", key="the right one")
    with pytest.raises(errors.Unauthorized, match="refuses the key") as caught:
        ask(GeminiBackend(MODEL, gemini.url, KEY, bounds=QUICK), model=MODEL)
    assert KEY not in str(caught.value)


def test_without_a_key_it_says_where_to_put_one(gemini, ask):
    with pytest.raises(errors.Unauthorized, match=r"there is none .*GEMINI_API_KEY"):
        ask(GeminiBackend(MODEL, gemini.url, bounds=QUICK), model=MODEL)


def test_no_error_and_no_repr_holds_the_key(gemini, say, backend):
    gemini.plays({"status": 400, "body": refused(400, "INVALID_ARGUMENT", f"Bad header: {KEY}")})
    gemini.plays({"frames": [f'{{"bad {KEY}']}, {"frames": [f'["{KEY}"]']}, {"frames": [refused(500, "X", KEY)]})
    for _ in range(4):
        with pytest.raises(errors.BackendError) as caught:
            say()
        # What Python shows below our error is cut off where a person reads it; ours may not hold it.
        assert KEY not in f"{caught.value} {caught.value!r}"
    assert KEY not in f"{backend!r} {backend.label} {vars(backend)!r}"


def test_a_key_that_is_none_is_refused(gemini):
    with pytest.raises(errors.AgentError, match="a character that no key has"):
        GeminiBackend(MODEL, gemini.url, "AIza\n\u201d")


# Replies


def test_a_missing_model_is_told_with_those_that_are_there(gemini, ask):
    backend = GeminiBackend("gemma-4-31b", gemini.url, KEY, bounds=QUICK)
    with pytest.raises(errors.ModelNotFound, match=r"no model 'gemma-4-31b'\. It has: gemma-4-31b-it"):
        ask(backend, model="gemma-4-31b")
    with pytest.raises(errors.ModelNotFound, match="It has: gemma-4-31b-it"):
        asyncio.run(backend.info("gemma-4-31b"))


def test_a_picture_for_a_model_without_eyes_is_refused(gemini, ask):
    backend = GeminiBackend("gemma-3-1b-it", gemini.url, KEY, bounds=QUICK)
    look = {"role": "user", "content": "Look.", "images": (Image(b"\x89PNG", "image/png"),)}
    with pytest.raises(errors.BadRequest, match="Leave pictures out"):
        ask(backend, model="gemma-3-1b-it", messages=(look,))


def test_a_prompt_that_is_too_long_is_told_in_numbers(gemini, say):
    gemini.plays("never said", window=100)
    with pytest.raises(errors.ContextOverflow, match="context window of 100"):
        say(messages=({"role": "user", "content": "word " * 500},))


def test_a_blocked_prompt_is_told(gemini, say):
    gemini.plays({"blocked": "PROHIBITED_CONTENT"}, "never asked for")
    with pytest.raises(errors.BadRequest, match="refuses the prompt: PROHIBITED_CONTENT"):
        say()
    assert len(gemini.seen()["requests"]) == 1


FINISHES = ["SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"]


@pytest.mark.parametrize("finish", FINISHES)
def test_a_reply_that_a_filter_cut_says_so(gemini, say, finish):
    gemini.plays({"text": "Once upon", "finish": finish})
    heard = say()
    assert (heard.text, heard.chunks[-1].stop) == ("Once upon", "stop")
    assert heard.notices == [
        f"Gemini API at {gemini.url} cut the reply: its filter did not let the rest through ({finish})"
    ]


def test_a_reply_that_a_filter_took_away_is_empty(gemini, say):
    gemini.plays(*[{"text": "", "finish": "SAFETY"}] * 2)
    with pytest.raises(errors.EmptyReply, match=r"Google's filter took it away \(SAFETY\)"):
        say()


@pytest.mark.parametrize(
    "finish", ["OTHER", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE", "TOO_MANY_TOOL_CALLS"]
)
def test_a_reply_that_google_gave_up_is_an_error(gemini, say, finish):
    gemini.plays({"text": "Once upon", "finish": finish})
    with pytest.raises(errors.ServerError, match=f"gave up the reply of .*{finish}"):
        say()


@pytest.mark.filterwarnings("ignore:.* is not a valid FinishReason")  # so google-genai says
def test_a_reason_that_nobody_knows_is_an_error(gemini, say):
    gemini.plays({"text": "Once upon", "finish": "SUNSET"})
    with pytest.raises(errors.ServerError, match="SUNSET"):
        say()


def test_a_reply_at_its_token_limit_says_so(gemini, say):
    gemini.plays({"text": "Once upon", "finish": "MAX_TOKENS"})
    assert say().chunks[-1].stop == "length"


def test_a_limit_that_leaves_no_text_is_told(gemini, say):
    gemini.plays({"text": "", "finish": "MAX_TOKENS"}, {"thought": "Hm", "finish": "MAX_TOKENS"})
    with pytest.raises(errors.EmptyReply, match="more tokens"):
        say()
    with pytest.raises(errors.EmptyReply, match="more tokens"):
        say(**BY_TOOLS)


def test_an_empty_reply_is_asked_for_once_more(gemini, say):
    gemini.plays("", "Yes.")
    heard = say()
    assert (heard.text, heard.notices) == ("Yes.", [f"{MODEL} sent an empty reply; asking once more"])
    assert heard.chunks[-1].usage.input_tokens == 2 * 13


def test_an_empty_reply_with_tools_is_left_to_who_asked(gemini, say):
    gemini.plays("", "never asked for")
    with pytest.raises(errors.EmptyReply, match="sent an empty reply"):
        say(**BY_TOOLS)
    assert len(gemini.seen()["requests"]) == 1


CUTS = {
    "no reason": {"text": "Once upon", "finish": None},
    "within an event": {"text": "Once upon", "cut": "event"},
    "connection": {"text": "Once upon", "cut": "connection"},
}


@pytest.mark.parametrize("case", CUTS)
def test_a_reply_that_ends_early_is_never_taken_for_a_whole_one(gemini, say, case):
    gemini.plays(CUTS[case], "never asked for")
    with pytest.raises(errors.TruncatedReply, match="ended after 9 characters"):
        say()


@pytest.mark.parametrize("changes", [{}, BY_TOOLS], ids=["chat", "tools"])
def test_a_reply_that_ends_before_it_began_is_asked_for_once_more(gemini, say, changes):
    gemini.plays({"finish": None}, "Yes.")
    assert say(**changes).text == "Yes."


def test_an_error_in_the_middle_of_a_reply_is_that_error(gemini, say):
    gemini.plays({"text": "Once upon", "late_error": refused(503, "UNAVAILABLE", "The model is overloaded.")})
    with pytest.raises(errors.BackendUnavailable, match=r"in the middle of the reply: The model is overloaded\."):
        say()


@pytest.mark.parametrize(
    "frame",
    ["no JSON", "[1, 2]", '"text"', "7", '{"candidates": 5}', '{"candidates": [{"content": {"parts": 5}}]}',
     '{"error": {"message": "no code"}}', '{"error": "words"}', "[" * 9_000],
    ids=["words", "list", "text", "number", "candidates", "parts", "error without code", "error in words", "depth"],
)  # fmt: skip
def test_an_event_that_is_no_frame_is_an_error_of_the_server(gemini, say, frame):
    gemini.plays({"frames": [frame]})
    with pytest.raises(errors.ServerError):
        say()


def test_an_event_without_end_is_given_up(gemini, ask):
    bounds = Bounds(connect=2, first_byte=10, line=10_000)
    gemini.plays({"frames": ["x" * 20_000]})
    with pytest.raises(errors.ServerError, match="more than 10,000 bytes"):
        ask(GeminiBackend(MODEL, gemini.url, KEY, bounds=bounds), model=MODEL)


def test_a_whole_reply_whose_stream_never_ends_is_whole(gemini, say, monkeypatch):
    monkeypatch.setattr("gemmagraph.backends.gemini.backend.TAIL", 0.1)
    gemini.plays({"text": "Yes.", "hang": True})
    heard = say()
    assert (heard.text, heard.chunks[-1].stop) == ("Yes.", "stop")


def test_silence_is_told_and_then_an_error(gemini, ask):
    bounds = Bounds(connect=2, first_byte=0.5, notice=0.05)
    gemini.plays({"slow": 20})
    asked = Request(MODEL, messages=({"role": "user", "content": "Hi"},))

    async def run():
        async with aclosing(GeminiBackend(MODEL, gemini.url, KEY, bounds=bounds).stream(asked)) as chunks:
            first = await anext(chunks)
            assert first.notice == f"waiting for {MODEL}"
            with pytest.raises(errors.BackendTimeout, match=r"no reply began within 0\.5 s"):
                await anext(chunks)

    asyncio.run(asyncio.wait_for(run(), 20))


def test_where_nobody_answers_it_says_so(ask):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        backend = GeminiBackend(MODEL, url, KEY, bounds=QUICK)
        with pytest.raises(errors.BackendUnavailable, match="cannot be reached"):
            ask(backend, model=MODEL)
        with pytest.raises(errors.BackendUnavailable, match="cannot be reached"):
            asyncio.run(backend.models())


@pytest.mark.parametrize("question", ["models", "info", "count"])
def test_a_small_question_is_refused_by_the_same_errors(gemini, question):
    backend = GeminiBackend(MODEL, gemini.url, "wrong", bounds=QUICK)
    gemini.plays(key=KEY)
    asked = {"models": (), "info": (MODEL,), "count": (MODEL, "words")}[question]
    with pytest.raises(errors.Unauthorized):
        asyncio.run(getattr(backend, question)(*asked))
