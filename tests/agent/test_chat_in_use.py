"""ChatGemma in LangChain's hands: streams, callbacks, caches, copies, and fields that change."""

from __future__ import annotations

import asyncio
import base64
import copy
import pickle
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.load import dumps
from langchain_core.messages import HumanMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool

from gemmagraph import Gemma
from gemmagraph.backends.base import Chunk
from gemmagraph.backends.scripted import ScriptedBackend, Step
from gemmagraph.chat import ChatGemma
from gemmagraph.errors import ServerError
from gemmagraph.fallback import Fallback
from gemmagraph.prompts.messages import Usage

CALL = "FUNCTION_CALL: add(a=1, b=2)"
BAD = "FUNCTION_CALL: add(a=one)"


def chat(*steps: Step | str, **options: Any) -> ChatGemma:
    return ChatGemma(gemma=Gemma(ScriptedBackend(steps)), **options)


@tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def whole(chunks):
    found = None
    for chunk in chunks:
        found = chunk if found is None else found + chunk
    return found


# --- what is streamed is the message --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "text", "calls"),
    [
        ([f"I add.\n{BAD}", f"I add it.\n{CALL}"], "I add.", 1),
        ([f"I add.\n{BAD}", CALL], "I add.", 1),
        ([BAD, f"I add it.\n{CALL}"], "I add it.", 1),
        ([f"I add.\n{BAD}", "It is 3."], "I add.\n\nIt is 3.", 0),
        ([BAD, "It is 3."], "It is 3.", 0),
        ([f"I add.\n{BAD}", f"So.\n{BAD}", f"Well.\n{BAD}"], "I add.", 0),
        ([f"I add.\n{CALL}\nThere."], "I add.\nThere.", 1),
        (["", "Hello."], "Hello.", 0),
    ],
    ids=["said twice", "said once", "said late", "answered", "only the answer", "bad to the end", "good", "empty"],
)
def test_a_stream_and_a_whole_reply_say_the_same_when_it_was_asked_for_again(said, text, calls):
    def bound():
        return chat(*(Step(each, chunk=3) for each in said)).bind_tools([add])

    streamed, message = whole(bound().stream("1 + 2?")), bound().invoke("1 + 2?")
    assert (streamed.content, message.content) == (text, text)
    assert len(streamed.tool_calls) == len(message.tool_calls) == calls
    assert len(streamed.invalid_tool_calls) == len(message.invalid_tool_calls)


def test_text_is_streamed_as_it_comes_where_tools_are_bound():
    pieces = [chunk.content for chunk in chat(Step("It is three.", chunk=4)).bind_tools([add]).stream("1 + 2?")]
    assert len([piece for piece in pieces if piece]) > 1


def test_what_was_said_before_a_bad_call_is_shown_to_the_model_with_the_good_one():
    model = chat(f"I add.\n{BAD}", f"Again.\n{CALL}", "3.").bind_tools([add])
    message = model.invoke("1 + 2?")
    model.invoke([HumanMessage("1 + 2?"), message, HumanMessage("And?")])
    assert model.bound.gemma.backend.requests[-1].messages[1]["content"] == f"I add.\n{CALL}"


class Thinks(ScriptedBackend):
    async def stream(self, request):
        for thought in ("Let me ", "see."):
            yield Chunk(thought=thought)
        async for chunk in super().stream(request):
            yield chunk


def test_thoughts_are_those_of_all_tries():
    def bound():
        return ChatGemma(gemma=Gemma(Thinks([BAD, CALL]))).bind_tools([add])

    for message in (whole(bound().stream("1 + 2?")), bound().invoke("1 + 2?")):
        assert message.additional_kwargs == {"reasoning_content": "Let me see.\n\nLet me see."}
        assert len(message.tool_calls) == 1


def test_all_pieces_of_a_stream_have_one_id():
    chunks = list(chat(Step(f"I add.\n{CALL}", chunk=3)).bind_tools([add]).stream("1 + 2?"))
    assert len(chunks) > 2
    assert len({chunk.id for chunk in chunks}) == 1


# --- Runnable -------------------------------------------------------------------------------------------

DOWN = Step(error=ServerError("It is down."))


def test_another_model_answers_where_one_fails():
    assert chat(DOWN).with_fallbacks([chat("Hello.")]).invoke("Hi").text == "Hello."
    bound = chat(DOWN).with_fallbacks([chat(CALL)]).bind_tools([add])
    assert bound.invoke("1 + 2?").tool_calls[0]["args"] == {"a": 1, "b": 2}


def test_it_is_asked_again_by_langchains_own_means():
    model = chat(DOWN, "Hello.").with_retry(retry_if_exception_type=(ServerError,), wait_exponential_jitter=False)
    assert model.invoke("Hi").text == "Hello."


def test_several_questions_are_answered_at_once():
    assert sorted(message.text for message in chat("a", "b", "c").batch(["1", "2", "3"])) == ["a", "b", "c"]
    assert sorted(message.text for message in asyncio.run(chat("a", "b").abatch(["1", "2"]))) == ["a", "b"]
    first, second = chat(DOWN, DOWN).batch(["1", "2"], return_exceptions=True)
    assert (type(first), type(second)) == (ServerError, ServerError)


def test_events_tell_the_pieces_and_the_calls():
    async def events():
        model = chat(Step(f"I add it.\n{CALL}", chunk=4)).bind_tools([add])
        return [event async for event in model.astream_events("1 + 2?", version="v2")]

    told = asyncio.run(events())
    chunks = [event["data"]["chunk"] for event in told if event["event"] == "on_chat_model_stream"]
    assert "".join(chunk.content for chunk in chunks) == "I add it."
    assert told[-1]["event"] == "on_chat_model_end"
    assert told[-1]["data"]["output"].tool_calls == whole(chunks).tool_calls != []


class Watcher(BaseCallbackHandler):
    def __init__(self) -> None:
        self.tags: list[str] = []
        self.metadata: dict[str, Any] = {}
        self.tokens: list[str] = []
        self.errors: list[BaseException] = []

    def on_chat_model_start(self, serialized, messages, *, tags=None, metadata=None, **kwargs):
        self.tags, self.metadata = tags, metadata

    def on_llm_new_token(self, token, **kwargs):
        self.tokens.append(token)

    def on_llm_error(self, error, **kwargs):
        self.errors.append(error)


def test_callbacks_hear_each_piece_once_and_what_is_asked():
    watcher = Watcher()
    model = chat(Step("Hello there.", chunk=4), DOWN)
    said = list(model.with_config(tags=["t"], metadata={"x": 1}).stream("Hi", config={"callbacks": [watcher]}))
    assert [token for token in watcher.tokens if token] == [chunk.content for chunk in said if chunk.content]
    assert (watcher.tags, watcher.metadata["x"], watcher.metadata["ls_model_name"]) == (["t"], 1, "scripted")
    with pytest.raises(ServerError) as failed:
        model.invoke("Hi", config={"callbacks": [watcher]})
    assert watcher.errors == [failed.value]


def test_usage_is_added_up_over_calls_and_tries():
    counted = UsageMetadataCallbackHandler()
    model = chat(Step(BAD, usage=Usage(3, 2)), Step(CALL, usage=Usage(5, 1)), Step("3.", usage=Usage(4, 4)))
    bound = model.bind_tools([add]).with_config(callbacks=[counted])
    bound.invoke("1 + 2?")
    list(bound.stream("1 + 2?"))
    assert counted.usage_metadata["scripted"] == {"input_tokens": 12, "output_tokens": 7, "total_tokens": 19}


def test_a_rate_limiter_is_asked_for_leave():
    limiter = InMemoryRateLimiter(requests_per_second=1e-9, check_every_n_seconds=0.001, max_bucket_size=2)
    limiter.available_tokens = 2
    model = chat("a", "b", rate_limiter=limiter)
    assert (model.invoke("1").text, whole(model.stream("2")).text) == ("a", "b")
    assert limiter.available_tokens < 1


def test_a_cache_answers_only_for_the_same_model():
    cache = InMemoryCache()
    first = chat("a", "b", cache=cache)
    assert [first.invoke("Hi").text, first.invoke("Hi").text, first.bind(temperature=0).invoke("Hi").text] == [
        *("a", "a", "b")
    ]

    def routed(temperature, said):
        models = [Gemma(ScriptedBackend([said]), temperature=temperature), Gemma(ScriptedBackend(["?"]))]
        return ChatGemma(gemma=Fallback(models), cache=cache)

    assert [routed(0, "c").invoke("Hi").text, routed(1, "d").invoke("Hi").text] == ["c", "d"]


def test_a_copy_and_a_pickled_one_are_the_same_model():
    model = ChatGemma(temperature=0.3, api_key="s3cret-key")
    bound = pickle.loads(pickle.dumps(model.bind_tools([add])))
    assert bound.kwargs["tools"][0]["function"]["name"] == "add"
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), model.model_copy(), bound.bound):
        assert twin == model
        assert twin._identifying_params == model._identifying_params


def test_what_is_written_of_it_holds_no_secret():
    model = ChatGemma(api_key="s3cret-key", base_url="http://me:pass-word@127.0.0.1:9")
    assert not any(secret in dumps(model) for secret in ("s3cret-key", "pass-word"))


@pytest.mark.parametrize(
    "block",
    [
        lambda data: {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        lambda data: {"type": "image_url", "image_url": f"data:image/png;base64,{data}"},
        lambda data: {"type": "image", "base64": data, "mime_type": "image/png"},
        lambda data: {"type": "image", "source_type": "base64", "data": data, "mime_type": "image/png"},
    ],
    ids=["image_url", "bare image_url", "standard", "standard of before"],
)
def test_a_picture_is_shown_in_every_form(block):
    picture = b"\x89PNG\r\n\x1a\n" + bytes(20)
    model = chat("A cat.")
    model.invoke([HumanMessage([{"type": "text", "text": "What?"}, block(base64.b64encode(picture).decode())])])
    (turn,) = model.gemma.backend.requests[0].turns
    assert [getattr(part, "data", None) for part in turn.parts] == [None, picture]


# --- fields ---------------------------------------------------------------------------------------------


def known(model: ChatGemma) -> tuple[str, Any]:
    return model._identifying_params["model"].partition(" ")[0], model._identifying_params["sampling"]


def test_a_field_that_is_set_counts_from_the_next_call_on(ollama):
    ollama.plays(*["Hello."] * 4)
    model = ChatGemma(base_url=ollama.url, temperature=0.5)
    model.invoke("Hi")
    model.temperature = 0.1
    model.max_tokens = 9
    model.invoke("Hi")
    model.temperature = None
    model.sampling["top_k"] = 3
    model.bind(seed=7).invoke("Hi")
    model.model_copy(update={"model": "ollama:gemma3:1b", "top_p": 0.9}).invoke("Hi")
    sent = [request["body"] for request in ollama.seen()["requests"]]
    assert [request["model"] for request in sent] == ["gemma3:4b"] * 3 + ["gemma3:1b"]
    names = ("temperature", "num_predict", "top_k", "seed", "top_p")
    assert [tuple(request["options"].get(name) for name in names) for request in sent] == [
        (0.5, 2048, None, None, None),
        (0.1, 9, None, None, None),
        (None, 9, 3, 7, None),
        (None, 9, 3, None, 0.9),
    ]


def test_a_field_can_be_left_to_the_configuration():
    field = ConfigurableField(id="warmth")
    made = ChatGemma().configurable_fields(temperature=field)
    prepared, _ = made._prepare({"configurable": {"warmth": 0.7}})
    assert known(prepared) == ("gemma3:4b", {"temperature": 0.7})
    given = chat("Hello.").configurable_fields(timeout=ConfigurableField(id="limit"))
    assert given.with_config(configurable={"limit": 60}).invoke("Hi").text == "Hello."


def test_it_is_known_by_the_model_that_answers():
    given = ChatGemma(gemma=Gemma(ScriptedBackend([]), temperature=0.2, max_tokens=9))
    described = given._get_ls_params()
    assert (given.model, described["ls_model_name"]) == ("scripted", "scripted")
    assert (described["ls_temperature"], described["ls_max_tokens"]) == (0.2, 9)
    assert ChatGemma(temperature=0.5)._get_ls_params(temperature=1)["ls_temperature"] == 1
    assert ChatGemma()._get_ls_params(model="gemma3:1b")["ls_model_name"] == "gemma3:1b"
    routed = ChatGemma(gemma=Fallback([given.gemma, Gemma(ScriptedBackend([]))]))
    assert routed._identifying_params["models"][0]["sampling"] == {"temperature": 0.2}


def test_replies_are_recorded_and_played_back(ollama, tmp_path):
    ollama.plays("Hello.", "Hi.")
    file = tmp_path / "talk.jsonl"
    model = ChatGemma(base_url=ollama.url, record=file)
    assert [model.invoke("Hi").text, model.invoke("Hi", model="gemma3:1b").text] == ["Hello.", "Hi."]
    again = ChatGemma(base_url=ollama.url, record=str(file), record_mode="none")
    assert [again.invoke("Hi", model="gemma3:1b").text, again.invoke("Hi").text] == ["Hi.", "Hello."]
