"""The transport `tools` of the Ollama backend: the server declares the tools, and reads the calls."""

import asyncio
import json
import urllib.request

import pytest

from gemmagraph import Agent, Gemma, errors
from gemmagraph.backends.base import ServerCall
from gemmagraph.backends.network.http import Bounds
from gemmagraph.backends.ollama.backend import OllamaBackend
from gemmagraph.prompts.messages import Image, Text, Thought, ToolCall, ToolResult, ToolSpec, Turn
from gemmagraph.prompts.toolset import Toolset

WEATHER = ToolSpec(
    "get_weather",
    "The weather in a city.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Name of the city.", "minLength": 2},
            "days": {"type": "integer", "minimum": 1, "maximum": 14, "default": 3},
            "unit": {"enum": ["celsius", "fahrenheit"]},
            "near": {"$ref": "#/$defs/place"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "until": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        },
        "required": ["city", "until"],
        "additionalProperties": False,
        "$defs": {
            "place": {
                "type": "object",
                "properties": {"lat": {"type": "number", "minimum": -90, "description": "North is positive."}},
                "required": ["lat"],
            }
        },
    },
)
TOOLS = Toolset([WEATHER, ToolSpec("now")])
ASKED = (Turn("user", (Text("Is it raining in Paris?"),)),)
CALL = {"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}


@pytest.fixture
def called(ask, backend):
    """`called(**changes)`: the reply to a request with tools."""

    def asked(**changes):
        return ask(backend, **{"messages": None, "model": "gemma4:e4b", "turns": ASKED, "tools": TOOLS} | changes)

    return asked


@pytest.fixture
def functiongemma(ollama):
    """FunctionGemma as its makers publish it: with the server's own renderer and parser."""
    made = {
        "model": "functiongemma:270m",
        "from": "gemma3:1b",
        "renderer": "functiongemma",
        "parser": "functiongemma",
    }
    urllib.request.urlopen(f"{ollama.url}/api/create", json.dumps(made).encode(), timeout=10).close()
    return "functiongemma:270m"


def sent(ollama):
    return ollama.seen()["requests"][-1]["body"]


def calls_in(heard):
    return [call for chunk in heard.chunks for call in chunk.calls]


def test_calls_come_as_the_server_read_them(ollama, called):
    second = {"function": {"name": "now", "arguments": {}}}
    ollama.plays({"text": "I will look.", "thought": "Which city?", "tool_calls": [CALL, second]})
    heard = called(thinking=True)
    assert (heard.text, heard.thought, heard.notices) == ("I will look.", "Which city?", [])
    assert calls_in(heard) == [ServerCall("get_weather", {"city": "Paris"}), ServerCall("now", {})]
    assert heard.chunks[-1].stop == "stop"


def test_calls_in_the_last_frame_are_calls_too(ollama, called):
    ollama.plays({"tool_calls": [CALL], "calls_last": True})
    heard = called()
    assert calls_in(heard) == [ServerCall("get_weather", {"city": "Paris"})]
    assert (heard.chunks[-1].stop, heard.chunks[-1].usage is None) == ("stop", False)


@pytest.mark.parametrize(
    ("function", "read"),
    [
        pytest.param({"name": "now"}, ServerCall("now", {}), id="no arguments"),
        pytest.param({"name": "now", "arguments": '{"a": 1'}, ServerCall("now", '{"a": 1'), id="text"),
        pytest.param({"name": "now", "arguments": [1]}, ServerCall("now", "[1]"), id="list"),
        pytest.param({"arguments": {"a": 1}}, ServerCall("", {"a": 1}), id="no name"),
        pytest.param({"name": None}, ServerCall("", {}), id="null for a name"),
    ],
)
def test_a_call_is_passed_on_as_it_is(ollama, called, function, read):
    frame = json.dumps({"message": {"tool_calls": [{"function": function}]}})
    ollama.plays({"lines": [frame, '{"done": true, "done_reason": "stop"}']})
    assert calls_in(called()) == [read]


@pytest.mark.parametrize("function", [5, [1], {"name": 5}])
def test_a_call_that_is_none_is_an_error_of_the_server(ollama, called, function):
    ollama.plays({"lines": [json.dumps({"message": {"tool_calls": [{"function": function}]}})]})
    with pytest.raises(errors.ServerError, match="no frame of a reply"):
        called()


@pytest.mark.parametrize(
    ("ids", "often"), [(["a", "a"], 1), (["a", "b"], 2), ([None, None], 2)], ids=["one id", "two ids", "no id"]
)
def test_a_call_that_is_told_twice_is_one_call(ollama, called, ids, often):
    frames = [{"message": {"tool_calls": [{**CALL, **({"id": id} if id else {})}]}} for id in ids]
    ollama.plays({"lines": [*map(json.dumps, frames), '{"done": true, "done_reason": "stop"}']})
    assert [call for chunk in called().chunks for call in chunk.calls] == [
        ServerCall("get_weather", {"city": "Paris"})
    ] * often


def test_the_conversation_is_written_in_the_servers_fields(ollama, called):
    turns = (
        Turn("system", (Text("Be brief."),)),
        *ASKED,
        Turn("model", (Thought("Look."), Text("Wait."), ToolCall("c1", "get_weather", {"city": "Paris", "days": 2}))),
        Turn("tool", (ToolResult("c1", "get_weather", {"rain": True}),)),
    )
    ollama.plays("It is raining.")
    called(turns=turns)
    assert sent(ollama)["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Is it raining in Paris?"},
        {
            "role": "assistant",
            "content": "Wait.",
            "thinking": "Look.",
            "tool_calls": [
                {"id": "c1", "function": {"name": "get_weather", "arguments": {"city": "Paris", "days": 2}}}
            ],
        },
        {"role": "tool", "tool_name": "get_weather", "content": '{"rain": true}', "tool_call_id": "c1"},
    ]


RESULTS = {
    "text": ("It rains.", False, "It rains."),
    "number": (5, False, "5"),
    "nothing": (None, False, "null"),
    "list": (["a", {"b": "ä"}], False, '["a", {"b": "ä"}]'),
    "error": ("no such city", True, '{"error": "no such city"}'),
}


@pytest.mark.parametrize(("content", "is_error", "text"), RESULTS.values(), ids=RESULTS)
def test_a_result_is_text_with_the_name_of_its_tool(ollama, called, content, is_error, text):
    call, result = ToolCall("", "now", {}), ToolResult("", "now", content, is_error)
    ollama.plays("Yes.")
    called(turns=(*ASKED, Turn("model", (call,)), Turn("tool", (result,))))
    assert ollama.seen()["requests"][0]["shown"]["results"] == [["now", text]]


@pytest.mark.parametrize("model", ["gemma4:e4b", "functiongemma:270m"])
def test_each_result_is_shown_under_the_name_of_its_tool(ollama, called, functiongemma, model):
    calls = (ToolCall("c1", "now", {}), ToolCall("c2", "get_weather", {"city": "Paris"}))
    results = (ToolResult("c2", "get_weather", "rain"), ToolResult("c1", "now", "noon"))
    ollama.plays("Yes.")
    called(model=model, turns=(*ASKED, Turn("model", calls), Turn("tool", results)))
    assert ollama.seen()["requests"][0]["shown"]["results"] == [["now", "noon"], ["get_weather", "rain"]]


def test_what_the_server_drops_of_a_schema_is_said_in_the_descriptions(ollama, called):
    ollama.plays("Yes.")
    called()
    shown = ollama.seen()["requests"][0]["shown"]["tools"]
    assert shown["now"] == {"name": "now", "description": "", "properties": {}, "required": []}
    assert shown["get_weather"] == {
        "name": "get_weather",
        "description": "The weather in a city.",
        "required": ["city", "until"],
        "properties": {
            "city": {"type": "string", "description": "Name of the city. (at least 2 characters)"},
            "days": {"type": "integer", "description": "(1 to 14, default 3)"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "near": {
                "type": "object",
                "properties": {"lat": {"type": "number", "description": "North is positive. (at least -90)"}},
                "required": ["lat"],
            },
            "tags": {"type": "array", "items": {"type": "string"}},
            "until": {"type": "string", "description": "(format date) (null is possible)"},
        },
    }


def test_nothing_is_sent_that_the_server_would_drop(ollama, called):
    ollama.plays("Yes.")
    called()
    sent_tools = {tool["function"]["name"]: tool["function"]["parameters"] for tool in sent(ollama)["tools"]}
    shown = ollama.seen()["requests"][0]["shown"]["tools"]
    assert {name: each["properties"] for name, each in sent_tools.items()} == {
        name: each["properties"] for name, each in shown.items()
    }


def test_functiongemma_is_told_in_words_what_its_renderer_leaves_out(ollama, called, functiongemma):
    ollama.plays("Yes.")
    called(model=functiongemma)
    shown = ollama.seen()["requests"][0]["shown"]["tools"]["get_weather"]["properties"]
    assert {name: (part["type"], part["description"]) for name, part in shown.items()} == {
        "city": ("STRING", "Name of the city. (at least 2 characters)"),
        "days": ("INTEGER", "(1 to 14, default 3)"),
        "unit": ("STRING", '("celsius" | "fahrenheit")'),
        "near": ("OBJECT", "({lat: number}; near.lat: North is positive. (at least -90))"),
        "tags": ("ARRAY", "(list of string)"),
        "until": ("STRING", "(format date) (null is possible)"),
    }


def test_a_call_that_functiongemmas_parser_cannot_read_comes_without_a_name(ollama, called, functiongemma):
    said = "<start_function_call>call:now{zone:<escape>a\nb<escape>}<end_function_call>"
    ollama.plays({"says": said})
    assert calls_in(called(model=functiongemma)) == [ServerCall("", {})]


@pytest.mark.parametrize("says", ["<start_function_call>call:now{}", ""], ids=["unclosed", "nothing"])
def test_an_empty_reply_is_an_error_and_not_asked_for_again(ollama, called, functiongemma, says):
    ollama.plays({"says": says}, "Never asked for.")
    with pytest.raises(errors.EmptyReply, match=r'lost a call .*transport="chat"'):
        called(model=functiongemma)
    assert len(ollama.seen()["requests"]) == 1


def test_thoughts_without_an_answer_are_an_empty_reply(ollama, called):
    ollama.plays({"thought": "I call it."})
    with pytest.raises(errors.EmptyReply):
        called(thinking=True)


@pytest.mark.parametrize("fault", [{"done_reason": "load"}, {"no_done": True}], ids=["only loaded", "cut at once"])
def test_a_reply_that_never_began_is_asked_for_again(ollama, called, fault):
    ollama.plays(fault, {"tool_calls": [CALL]})
    heard = called()
    assert calls_in(heard) == [ServerCall("get_weather", {"city": "Paris"})]
    assert heard.notices == ["gemma4:e4b sent an empty reply; asking once more"]


def test_a_reply_that_is_cut_behind_a_call_is_not_asked_for_again(ollama, called):
    ollama.plays({"tool_calls": [CALL], "no_done": True}, "Never asked for.")
    with pytest.raises(errors.TruncatedReply):
        called()
    assert len(ollama.seen()["requests"]) == 1


def test_a_model_without_tools_is_refused_in_words_that_gemma_knows(ollama, called):
    with pytest.raises(errors.BadRequest, match=r'gemma3:4b does not support tools.*transport="chat"'):
        called(model="gemma3:4b")


def test_a_schema_and_tools_exclude_each_other(ollama, called):
    with pytest.raises(errors.BadRequest, match="not both"):
        called(schema={"type": "object"})
    assert ollama.seen()["requests"] == []


@pytest.mark.parametrize("choice", ["auto", "none", "required", "now"])
def test_a_choice_of_tools_is_not_pretended(ollama, called, choice):
    ollama.plays("Yes.")
    called(tool_choice=choice)
    assert "tool_choice" not in sent(ollama)
    assert [tool["function"]["name"] for tool in sent(ollama)["tools"]] == ["get_weather", "now"]


def test_pictures_in_turns_are_sent(ollama, called):
    ollama.plays("A cat.")
    called(turns=(Turn("user", (Text("What is it?"), Image(b"cat", "image/png"))),))
    assert sent(ollama)["messages"] == [{"role": "user", "content": "What is it?", "images": ["Y2F0"]}]


def test_a_slow_load_is_said(ollama, hear):
    ollama.plays({"tool_calls": [CALL]}, load_seconds=0.4)
    backend = OllamaBackend(ollama.url, bounds=Bounds(notice=0.05))
    heard = asyncio.run(hear(backend, model="gemma4:e4b", messages=None, turns=ASKED, tools=TOOLS))
    assert heard.notices[0] == "waiting for gemma4:e4b (the server may be loading it)"
    assert calls_in(heard)


def weather(city: str) -> str:
    """The weather in a city."""
    return f"It rains in {city}."


def test_an_agent_calls_tools_by_the_servers_fields(ollama):
    call = {"function": {"name": "weather", "arguments": {"city": "Paris"}}}
    ollama.plays({"text": "", "tool_calls": [call]}, "Take an umbrella.")
    with Agent(Gemma("ollama:gemma4:e4b", base_url=ollama.url), [weather]) as agent:
        result = agent.run("Is it raining in Paris?")
    assert result.text == "Take an umbrella."
    assert [(call.name, call.arguments) for call in result.calls] == [("weather", {"city": "Paris"})]
    seen = ollama.seen()
    assert seen["requests"][1]["shown"]["results"] == [["weather", "It rains in Paris."]]
    assert seen["loads"] == 1


def test_a_call_that_the_server_lost_is_asked_for_again_in_chat_and_the_model_stays_loaded(ollama):
    ollama.plays({"text": ""}, 'FUNCTION_CALL: weather(city="Paris")', "Take an umbrella.")
    with Agent(Gemma("ollama:gemma4:e4b", base_url=ollama.url), [weather]) as agent:
        assert agent.run("Is it raining in Paris?").text == "Take an umbrella."
    seen = ollama.seen()
    assert [bool(entry["body"].get("tools")) for entry in seen["requests"]] == [True, False, True]
    assert seen["loads"] == 1
