"""The backend `openai` against a real llama.cpp server, whose model says something else each time."""

import asyncio
import json
import re
import subprocess
import sys
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Literal

import httpx
import pytest
from forced import ENDLESS, forced

from gemmagraph import Agent, Gemma, errors
from gemmagraph.backends.base import Request
from gemmagraph.backends.network.http import Bounds
from gemmagraph.backends.openai.backend import OpenAIBackend
from gemmagraph.events import PromptSent
from gemmagraph.prompts.grammar.calls import grammar
from gemmagraph.prompts.grammar.reply import reply_schema
from gemmagraph.prompts.messages import Image, Text, ToolCall, ToolResult, ToolSpec, Turn
from gemmagraph.prompts.notation import notation_named, read
from gemmagraph.prompts.prompt import PromptWriter, Transcript
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.turns import turn_format

for package in ("gguf", "numpy", "xllamacpp"):
    pytest.importorskip(
        package, reason=f"{package} is not installed, or has no wheel here: no real llama.cpp server to test against"
    )

CONTEXT = 30_000
"""More than it writes in the seconds that a test waits."""
NOTATIONS = ("function_call", "json", "tool_code", "pythonic", "gemma4", "functiongemma")
WEATHER = ToolSpec(
    "get_weather",
    "Tells the weather.",
    {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 12}, "days": {"type": "integer"}},
        "required": ["city"],
    },
)
TOOLS = Toolset([WEATHER])
CITY = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"]}
CITIES = Toolset([ToolSpec("get_weather", "Tells the weather.", CITY), ToolSpec("get_time", "Tells the time.", CITY)])
HELLO = (Turn("user", (Text("What is the weather in Paris?"),)),)


def started(*arguments):
    command = [sys.executable, str(Path(__file__).with_name("llama_server.py")), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield json.loads(process.stdout.readline())
        process.communicate(timeout=10)


@pytest.fixture(scope="session")
def server():
    yield from started(str(CONTEXT))


@pytest.fixture(scope="session")
def server_with_tools():
    yield from started("8192", "tools")


@pytest.fixture(scope="session")
def url(server):
    return server["url"]


@pytest.fixture(scope="session")
def flat(server):
    return {**server["options"], "seed": 3}


def backend_at(url):
    return OpenAIBackend(f"{url}/v1", bounds=Bounds(connect=2, first_byte=10, between=10, total=20, pause=0.01))


@pytest.fixture
def backend(url):
    return backend_at(url)


@pytest.fixture
def offer(server_with_tools, ask):
    """`offer(seed=1, **changes)`: asks with the server's own fields for tools."""

    def asked(seed=1, **changes):
        options = {**server_with_tools["options"], "seed": seed}
        request = {"messages": None, "turns": HELLO, "tools": CITIES, "max_tokens": 400, "options": options}
        return ask(backend_at(server_with_tools["url"]), model="tiny-gemma", **request | changes)

    return asked


def prompt(notation: str) -> str:
    made = notation_named(notation)
    transcript = Transcript(PromptWriter(turn_format(made.turns or "gemma"), made, TOOLS))
    transcript.update(HELLO)
    return transcript.completion()


def test_it_says_what_it_is_and_what_it_can(backend):
    listed = asyncio.run(backend.models())
    assert [Path(model.name).name for model in listed] == ["tiny-gemma.gguf"]
    described = asyncio.run(backend.info("tiny-gemma"))
    assert (described.context, described.capabilities) == (32_768, ("completion",))
    assert described.constraints == {"grammar", "schema"}
    assert 400_000 < described.size < 600_000
    assert backend.label.startswith("llama.cpp ")


def test_a_chat_is_streamed_and_counted(backend, ask, flat):
    heard = ask(backend, model="tiny-gemma", context=CONTEXT, max_tokens=12, options=flat)
    assert len([chunk for chunk in heard.chunks if chunk.text]) > 3
    assert heard.notices == []
    assert heard.chunks[-1].stop == "length"
    assert heard.chunks[-1].usage.output_tokens == 12
    assert heard.chunks[-1].usage.input_tokens > 20


def test_a_whole_prompt_is_completed_and_begins_with_one_bos(backend, ask, flat, url):
    heard = ask(
        backend, model="tiny-gemma", messages=None, prompt="<bos>Hi", max_tokens=4, options=flat, context=CONTEXT
    )
    alone = httpx.post(f"{url}/tokenize", json={"content": "Hi", "add_special": True}).json()["tokens"]
    assert heard.chunks[-1].usage.input_tokens == len(alone)
    assert heard.chunks[-1].usage.output_tokens == 4


@pytest.mark.parametrize("notation", NOTATIONS)
def test_a_reply_held_to_a_grammar_is_a_call_that_our_reader_reads(backend, ask, flat, notation):
    made = notation_named(notation)
    stops = turn_format(made.turns or "gemma").stops
    complete = 0
    for seed in range(3):
        heard = ask(
            backend,
            model="tiny-gemma",
            messages=None,
            prompt=prompt(notation),
            grammar=grammar(notation, TOOLS, "required"),
            stop=stops,
            max_tokens=400,
            options={**flat, "seed": seed},
        )
        if heard.chunks[-1].stop == "length":
            continue
        complete += 1
        reply = read(made, heard.text, TOOLS)
        assert reply.calls, heard.text
        assert (reply.bad_calls, reply.repaired, reply.text) == ((), False, "")
        assert {call.name for call in reply.calls} == {"get_weather"}
    assert complete


@pytest.mark.parametrize("notation", ["function_call", "json"])
def test_a_chat_is_held_to_a_grammar_too(backend, ask, flat, notation):
    held = grammar(notation, TOOLS, "required", several=False)
    heard = ask(backend, model="tiny-gemma", grammar=held, max_tokens=200, options=flat)
    assert [call.name for call in read(notation_named(notation), heard.text, TOOLS).calls] == ["get_weather"]


def test_a_chat_is_held_to_a_schema(backend, ask, flat):
    properties = {"ok": {"enum": ["yes", "no"]}}
    schema = {"type": "object", "properties": properties, "required": ["ok"], "additionalProperties": False}
    heard = ask(backend, model="tiny-gemma", schema=schema, max_tokens=300, options=flat)
    assert json.loads(heard.text) in ({"ok": "yes"}, {"ok": "no"})


def test_a_schema_for_a_whole_prompt_is_refused_since_not_every_build_holds_to_it(backend, ask):
    with pytest.raises(errors.BadRequest, match=r"no reply to a whole prompt to a JSON Schema. Hold it to a grammar"):
        ask(backend, messages=None, prompt="Well?", schema={"type": "object"})


def test_a_grammar_with_marks_in_a_chat_is_refused_before_it_is_lost(backend, ask):
    with pytest.raises(errors.BadRequest) as caught:
        ask(backend, grammar=grammar("gemma4", TOOLS, "required"))
    assert "no reply in a chat to a grammar with control marks in it (<|tool_call>" in str(caught.value)
    assert 'llama.cpp with transport="completion"' in str(caught.value)


def test_control_marks_are_shown_and_end_a_reply_where_they_are_stop_strings(backend, ask, flat, server):
    """Also without a grammar: FunctionGemma makes up results unless it is stopped there."""
    stop, start = (server["ids"][mark] for mark in ("<start_function_response>", "<start_function_call>"))
    shown = 0
    for seed in range(8):
        heard = ask(
            backend,
            model="tiny-gemma",
            messages=None,
            prompt="Hi",
            stop=turn_format("functiongemma").stops,
            max_tokens=200,
            options={**flat, "seed": seed, "logit_bias": [*flat["logit_bias"], [stop, 3.0], [start, 4.0]]},
        )
        assert "<start_function_response>" not in heard.text
        assert heard.chunks[-1].stop == "stop"
        shown += "<start_function_call>" in heard.text
    assert shown >= 3


@pytest.mark.parametrize("way", ["chat", "completion"])
def test_a_prompt_that_does_not_fit_is_an_error_with_the_numbers(backend, ask, way):
    long = "word " * 7000
    asked = (
        {"messages": None, "prompt": long}
        if way == "completion"
        else {"messages": ({"role": "user", "content": long},)}
    )
    with pytest.raises(errors.ContextOverflow, match=r"35,0\d\d tokens does not fit the context window of 30,\d\d\d"):
        ask(backend, **asked)


def test_what_the_server_runs_and_allots_is_said_once(backend, ask, flat):
    asked = {"model": "gemma-3-27b", "context": 100_000, "max_tokens": 2, "options": flat}
    named, allotted = ask(backend, **asked).notices
    assert "tiny-gemma.gguf', whatever model is asked for" in named
    assert re.search(r"runs with 30,\d\d\d tokens of context, not with the 100,000 asked for", allotted)
    assert ask(backend, **asked).notices == []


@pytest.mark.parametrize("how", ["closed", "cancelled"])
def test_who_leaves_frees_the_slot(backend, url, flat, hear, leaves, how):
    async def leave():
        await leaves(
            backend, Request("tiny-gemma", prompt="Hi", max_tokens=100_000, options=flat, grammar=ENDLESS), how
        )
        async with httpx.AsyncClient() as client:
            for _ in range(200):
                slots = (await client.get(f"{url}/slots")).json()
                if not any(slot["is_processing"] for slot in slots):
                    return await hear(backend, model="tiny-gemma", max_tokens=2, options=flat)
                await asyncio.sleep(0.01)
        raise AssertionError("the slot is still busy")

    assert asyncio.run(asyncio.wait_for(leave(), 20)).chunks[-1].usage.output_tokens == 2


@pytest.mark.parametrize("transport", ["chat", "completion"])
def test_an_agent_calls_a_tool_and_answers_over_the_real_server(url, flat, transport):
    got = []

    def get_weather(city: Literal["Paris", "Rome"]) -> str:
        """Tells the weather.

        Args:
            city: where.
        """
        got.append(city)
        return "sunny"

    gemma = Gemma(
        forced(OpenAIBackend)(f"{url}/v1"), transport=transport, notation="function_call", max_tokens=400, **flat
    )
    with Agent(gemma, [get_weather]) as agent:
        result = agent.run("What is the weather in Paris?")
    assert result.stop == "answered"
    assert result.text.startswith("It is sunny in ")
    assert [call.result for call in result.calls] == ["sunny"]
    assert len(got) == 1


def test_a_grammar_that_is_none_is_refused_with_the_servers_words(backend, ask):
    broken = replace(grammar("function_call", TOOLS), gbnf="root ::= (")
    with pytest.raises(errors.BadRequest, match="failed to parse grammar"):
        ask(backend, messages=None, prompt="Hi", grammar=broken)


def test_the_schema_of_a_reply_is_one_that_the_server_takes(backend, ask, flat):
    heard = ask(backend, schema=reply_schema(TOOLS, "required", several=False), max_tokens=400, options=flat)
    assert heard.chunks[-1].stop in ("stop", "length")
    assert heard.text.lstrip().startswith("{")


@pytest.mark.parametrize(
    ("transport", "notation"),
    [("chat", "function_call"), ("completion", "function_call"), ("completion", "gemma4"), ("chat", "pythonic")],
)
@pytest.mark.parametrize("choice", ["get_weather", "none"])
def test_a_model_keeps_to_the_choice_because_the_server_holds_it_to_a_grammar(url, flat, transport, notation, choice):
    stop = ToolSpec("stop", "Stops.", {"type": "object", "properties": {}})
    weather = ToolSpec(
        "get_weather", "Tells the weather.", {"type": "object", "properties": {"city": {"enum": ["Oslo"]}}}
    )
    backend = OpenAIBackend(f"{url}/v1")
    if notation == "gemma4":
        backend.model = "gemma-4-e4b-it"
    gemma = Gemma(backend, transport=transport, notation=notation, max_tokens=400, **flat)

    async def ask():
        async with aclosing(gemma.stream(HELLO, Toolset([stop, weather]), tool_choice=choice)) as events:
            return [event async for event in events]

    *events, reply = asyncio.run(asyncio.wait_for(ask(), 20))
    assert [event.held_to for event in events if isinstance(event, PromptSent)] == ["grammar"]
    assert {call.name for call in reply.calls} == ({"get_weather"} if choice == "get_weather" else set())
    assert not reply.bad_calls
    assert bool(reply.text) is (choice == "none")


def calls(heard):
    return [call for chunk in heard.chunks for call in chunk.calls]


def test_calls_that_the_server_reads_come_whole(offer):
    complete = 0
    for seed in range(4):
        heard = offer(seed, tool_choice="required")
        found = calls(heard) if heard.chunks[-1].stop == "stop" else calls(heard)[:-1]
        assert {call.name for call in found} <= {"get_weather", "get_time"}
        assert all(call.arguments in ({"city": "Paris"}, {"city": "Rome"}) for call in found)
        assert heard.notices == []
        complete += bool(found)
    assert complete


def test_the_tool_that_is_named_is_the_one_that_is_called(offer):
    """In OpenAI's own form llama.cpp takes a name for `auto`."""
    found = [call for seed in range(4) for call in calls(offer(seed, tool_choice="get_time"))]
    assert {call.name for call in found} == {"get_time"}


def test_no_call_is_read_where_none_is_wanted(offer):
    heard = offer(seed=0, tool_choice="none")
    assert heard.text
    assert calls(heard) == []


def test_a_call_that_the_server_cut_is_text(offer):
    heard = offer(seed=0, tool_choice="required", max_tokens=25)
    assert heard.chunks[-1].stop == "length"
    (call,) = calls(heard)
    assert isinstance(call.arguments, str)
    assert call.arguments.startswith("{")


def test_calls_and_results_stand_in_the_prompt_that_the_server_writes(offer, server_with_tools):
    call, result = ToolCall("x", "get_time", {"city": "Rome"}), ToolResult("x", "get_time", {"time": "noon"})
    heard = offer(turns=(*HELLO, Turn("model", (call,)), Turn("tool", (result,))), tools=Toolset(), max_tokens=8)
    url = server_with_tools["url"]
    question = HELLO[0].text
    expected = (
        f"<start_of_turn>user\n{question}<end_of_turn>\n<start_of_turn>assistant\n"
        '<|tool_call>{"name": "get_time", "arguments": {"city": "Rome"}}<tool_call|><end_of_turn>\n'
        '<start_of_turn>tool\n{"time": "noon"}<end_of_turn>\n'
    )
    tokens = asyncio.run(backend_at(url).count("tiny-gemma", expected))
    assert heard.chunks[-1].usage.input_tokens == tokens + 1


def test_a_template_without_tools_is_known_before_they_are_lost(backend, ask):
    with pytest.raises(errors.BadRequest, match="does not support tools as it runs now: the chat template"):
        ask(backend, messages=None, turns=HELLO, tools=CITIES)


def test_the_template_tells_whether_tools_can_be_given(server_with_tools):
    described = asyncio.run(backend_at(server_with_tools["url"]).info("tiny-gemma"))
    assert described.capabilities == ("completion", "tools")
    assert described.constraints == {"grammar", "schema", "tool_choice"}


def test_a_model_without_its_second_file_is_shown_no_image(backend, ask):
    with pytest.raises(errors.BadRequest, match=r"does not take images.*--mmproj"):
        ask(backend, messages=({"role": "user", "content": "What is it?", "images": (Image(b"", "image/png"),)},))


@pytest.mark.parametrize(
    "text", ["Hi", "<start_of_turn>user\nHi <end_of_turn>", "<|tool_call>", "a\u2028b \U0001f600"]
)
def test_tokens_are_counted_as_the_prompt_has_them(backend, ask, flat, text):
    counted = asyncio.run(backend.count("tiny-gemma", text))
    heard = ask(backend, model="tiny-gemma", messages=None, prompt=text, max_tokens=8, options=flat)
    assert heard.chunks[-1].usage.input_tokens == counted + 1, "one for the beginning of all prompts"


def test_an_empty_text_has_no_tokens(backend):
    assert asyncio.run(backend.count("tiny-gemma", "")) == 0
