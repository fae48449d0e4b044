"""The backend `gemini`: the real client of google-genai against a stand-in for the Gemini API."""

import asyncio
import base64
import json
import subprocess
import sys

import pytest

from gemmagraph import errors
from gemmagraph.agent import Agent
from gemmagraph.backends import backend_for
from gemmagraph.backends.base import Request, ServerCall
from gemmagraph.backends.gemini.backend import GeminiBackend
from gemmagraph.backends.gemini.words import address
from gemmagraph.backends.network.http import Bounds
from gemmagraph.model import Gemma
from gemmagraph.prompts.grammar.calls import Grammar
from gemmagraph.prompts.messages import Image, Text, Thought, ToolCall, ToolResult, ToolSpec, Turn, Usage
from gemmagraph.prompts.toolset import Toolset

QUICK = Bounds(connect=2, first_byte=10, between=10, total=20, question=5, pause=0.01, notice=5)
GEMMA_4, GEMMA_3 = "gemma-4-31b-it", "gemma-3-27b-it"
KEY = "AIza-not-a-real-key"
PNG = Image(b"\x89PNG\xff\xfe\xfb", "image/png")
SCHEMA = {"type": "object", "properties": {"is_ok": {"type": "boolean"}}, "required": ["is_ok"]}
WEATHER = {
    "type": "object",
    "properties": {"place_name": {"type": "string", "minLength": 1}, "days": {"$ref": "#/$defs/days"}},
    "required": ["place_name"],
    "$defs": {"days": {"type": "integer", "maximum": 7}},
}
TOOLS = Toolset([ToolSpec("weather", "Tells the weather.", WEATHER), ToolSpec("now", "Tells the time.")])
ASKED = Turn("user", (Text("Will it rain?"),))


@pytest.fixture
def backend(gemini):
    return GeminiBackend(GEMMA_4, gemini.url, KEY, bounds=QUICK)


@pytest.fixture
def say(backend, ask):
    """`say(**changes)`: the reply to a small request."""
    return lambda **changes: ask(backend, **{"model": GEMMA_4} | changes)


def by_tools(*turns, **changes):
    return {"messages": None, "turns": (ASKED, *turns), "tools": TOOLS} | changes


def sent(gemini, place=0):
    return gemini.seen()["requests"][place]["body"]


# What is asked


def test_a_reply_arrives_in_pieces_with_its_usage_at_the_end(gemini, say):
    gemini.plays({"text": "Hello there.", "thought": "They greet me."})
    heard = say()
    assert [chunk.text for chunk in heard.chunks if chunk.text] == ["Hell", "o th", "ere."]
    assert (heard.thought, heard.notices) == ("They greet me.", [])
    assert (heard.chunks[-1].stop, heard.chunks[-1].usage) == ("stop", Usage(13, 5))
    assert {chunk.stop for chunk in heard.chunks[:-1]} == {None}


def test_the_client_sends_the_key_in_a_header_to_the_page_of_the_model(gemini, say):
    gemini.plays("Yes.", key=KEY)
    say()
    request = gemini.seen()["requests"][0]
    assert request["path"] == f"/v1beta/models/{GEMMA_4}:streamGenerateContent?alt=sse"
    assert {name.lower(): value for name, value in request["headers"].items()}["x-goog-api-key"] == KEY


def test_chat_messages_become_contents(gemini, say):
    gemini.plays("Yes.")
    say(
        messages=(
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Look.", "images": (PNG,)},
            {"role": "assistant", "content": "I do."},
            {"role": "user", "content": "Half a \ud83d pair, a whole \U0001f600, a line\u2028end."},
        )
    )
    body = sent(gemini)
    assert body["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    first, second, third = body["contents"]
    assert (first["role"], second["role"], third["role"]) == ("user", "model", "user")
    image, words = first["parts"]
    assert base64.urlsafe_b64decode(image["inlineData"]["data"]) == PNG.data
    assert (words, second["parts"]) == ({"text": "Look."}, [{"text": "I do."}])
    assert third["parts"] == [{"text": "Half a ? pair, a whole \U0001f600, a line\u2028end."}]


def test_options_reach_the_api_by_its_own_names(gemini, say):
    gemini.plays('{"is_ok": true}')
    options = {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "seed": 7}
    say(options=options, stop=("END",), max_tokens=50, schema=SCHEMA, grammar=Grammar('root ::= "yes"'))
    asked = sent(gemini)["generationConfig"]
    assert asked.pop("thinkingConfig") == {"include_thoughts": False, "thinking_level": "MINIMAL"}
    assert asked == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "seed": 7,
        "stopSequences": ["END"],
        "maxOutputTokens": 50,
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }


@pytest.mark.parametrize(
    ("thinking", "level"), [(True, "HIGH"), (False, "MINIMAL"), (None, "MINIMAL")], ids=["on", "off", "unset"]
)
def test_gemma_4_thinks_only_when_it_should(gemini, say, thinking, level):
    gemini.plays("Yes.")
    say(thinking=thinking)
    assert sent(gemini)["generationConfig"]["thinkingConfig"]["thinking_level"] == level


def test_gemma_3_is_sent_nothing_that_it_does_not_take(gemini, ask):
    gemini.plays("Yes.")
    backend = GeminiBackend(GEMMA_3, gemini.url, KEY, bounds=QUICK)
    assert ask(backend, model=GEMMA_3, thinking=False).text == "Yes."
    assert {name for name, value in sent(gemini).items() if value} == {"contents"}


# Tools


def test_tools_are_declared_by_the_schema_that_is_validated(gemini, say):
    gemini.plays({"calls": [{"name": "weather", "args": {"place_name": "Oslo", "days": 2}}]})
    heard = say(**by_tools())
    assert [call for chunk in heard.chunks for call in chunk.calls] == [
        ServerCall("weather", {"place_name": "Oslo", "days": 2})
    ]
    assert (heard.text, heard.chunks[-1].stop) == ("", "stop")
    weather, now = sent(gemini)["tools"][0]["functionDeclarations"]
    assert (weather["name"], weather["description"]) == ("weather", "Tells the weather.")
    assert weather["parameters_json_schema"] == WEATHER
    assert now == {"name": "now", "description": "Tells the time."}


CHOICES = {
    "auto": {"mode": "AUTO"},
    "required": {"mode": "ANY"},
    "none": {"mode": "NONE"},
    "now": {"mode": "ANY", "allowedFunctionNames": ["now"]},
}


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_of_tools_is_held_by_the_api(gemini, say, choice):
    gemini.plays("No.")
    say(**by_tools(tool_choice=choice))
    assert sent(gemini)["toolConfig"]["functionCallingConfig"] == CHOICES[choice]


def test_without_tools_none_are_declared(gemini, say):
    gemini.plays("Yes.")
    say(**by_tools(tools=Toolset()))
    assert not {"tools", "toolConfig"} & sent(gemini).keys()


def test_a_conversation_with_calls_is_told_in_fields_of_the_api(gemini, say):
    gemini.plays("Yes.")
    calls = ToolCall("a", "weather", {"place_name": "Oslo"}), ToolCall("b", "now", {})
    results = ToolResult("a", "weather", {"rain_mm": 3}), ToolResult("b", "now", "no clock", True)
    turns = (
        Turn("model", (Thought("Two tools."), Text("I look."), *calls), raw="never sent"),
        Turn("tool", results),
        Turn("model", (Thought("nothing but a thought"),)),
    )
    say(**by_tools(*turns, turns=(Turn("system", (Text("Be brief."),)), ASKED, *turns)))
    body = sent(gemini)
    assert body["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    _, model, tool = body["contents"]
    assert model["parts"] == [
        {"text": "I look."},
        {"functionCall": {"id": "a", "name": "weather", "args": {"place_name": "Oslo"}}},
        {"functionCall": {"id": "b", "name": "now", "args": {}}},
    ]
    assert tool["parts"] == [
        {"functionResponse": {"id": "a", "name": "weather", "response": {"output": {"rain_mm": 3}}}},
        {"functionResponse": {"id": "b", "name": "now", "response": {"error": "no clock"}}},
    ]


def test_a_result_of_a_call_that_could_not_be_read_is_told_as_text(gemini, say):
    gemini.plays("Yes.")
    results = ToolResult("a", "now", 12), ToolResult("bad_0", "weather", "place_name is missing", True)
    say(**by_tools(Turn("model", (ToolCall("a", "now", {}),)), Turn("tool", results)))
    assert sent(gemini)["contents"][-1]["parts"] == [
        {"functionResponse": {"id": "a", "name": "now", "response": {"output": 12}}},
        {"text": "weather: place_name is missing"},
    ]


def test_several_calls_come_each_once_and_behind_their_text(gemini, say):
    gemini.plays({"text": "Both.", "calls": [{"name": "now"}, {"name": "weather", "args": {"place_name": "x"}}]})
    heard = say(**by_tools())
    assert heard.text == "Both."
    assert [call for chunk in heard.chunks for call in chunk.calls] == [
        ServerCall("now", {}),
        ServerCall("weather", {"place_name": "x"}),
    ]


@pytest.mark.parametrize("finish", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"])
def test_a_call_that_google_swallows_is_never_lost_in_silence(gemini, say, finish):
    gemini.plays({"finish": finish, "thought": "Now I call."}, {"finish": finish, "text": "I look."})
    with pytest.raises(errors.EmptyReply, match="could not read"):
        say(**by_tools())
    with pytest.raises(errors.ServerError, match="could not read"):
        say(**by_tools())
    gemini.plays({"finish": finish, "calls": [{"name": "now"}]})
    heard = say(**by_tools())
    assert [call.name for chunk in heard.chunks for call in chunk.calls] == ["now"]
    assert ["could not read one more call" in notice for notice in heard.notices] == [True]


def test_an_agent_runs_its_tools_over_the_api(gemini):
    def weather(place_name: str) -> str:
        """Tells the weather."""
        return f"rain in {place_name}"

    gemini.plays({"calls": [{"name": "weather", "args": {"place_name": "Oslo"}}]}, "Take an umbrella.")
    gemma = Gemma(f"gemini:{GEMMA_4}", base_url=gemini.url, api_key=KEY)
    assert gemma.transport == "tools"
    with Agent(gemma, [weather], instructions="Be brief.") as agent:
        result = agent.run("Do I need an umbrella in Oslo?")
    assert (result.text, [call.status for call in result.calls]) == ("Take an umbrella.", ["ok"])
    response = sent(gemini, 1)["contents"][-1]["parts"][0]["functionResponse"]
    assert (response["name"], response["response"]) == ("weather", {"output": "rain in Oslo"})


def test_an_agent_on_gemma_3_writes_its_tools_into_the_messages(gemini):
    def weather(place_name: str) -> str:
        """Tells the weather."""
        return f"rain in {place_name}"

    gemini.plays('FUNCTION_CALL: weather(place_name="Oslo")', "Take an umbrella.")
    gemma = Gemma(f"gemini:{GEMMA_3}", base_url=gemini.url, api_key=KEY)
    assert (gemma.transport, gemma.notation.name) == ("chat", "function_call")
    with Agent(gemma, [weather], instructions="Be brief.") as agent:
        assert agent.run("Do I need an umbrella in Oslo?").text == "Take an umbrella."
    assert "rain in Oslo" in json.dumps(sent(gemini, 1)["contents"][-1])


# Before anything is asked


REFUSED = {
    "whole prompt": ({"messages": None, "prompt": "<bos>Hi"}, ["not a finished prompt", 'transport="chat"']),
    "grammar": ({"grammar": Grammar('root ::= "yes"')}, ["to a grammar", "JSON Schema instead"]),
    "unknown option": ({"options": {"temprature": 1}}, ["no option 'temprature'", "Did you mean 'temperature'"]),
    "option of others": ({"options": {"repeat_penalty": 1}}, ["no option 'repeat_penalty'", "There are: "]),
    "limit as an option": ({"options": {"max_output_tokens": 5}}, ["no sampling option", "Say max_tokens= instead"]),
    "no number": ({"options": {"temperature": "hot"}}, ["google-genai refuses the request"]),
    "tools of gemma 3": (by_tools(model=GEMMA_3), ["does not support tools", 'transport="chat"']),
    "schema of gemma 3": ({"model": GEMMA_3, "schema": SCHEMA}, [GEMMA_3, "to a JSON Schema"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_api_would_not_do_is_refused_before_it_is_asked(gemini, say, case):
    changes, words = REFUSED[case]
    with pytest.raises(errors.BadRequest) as caught:
        say(**changes)
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)
    assert gemini.seen()["requests"] == []


@pytest.mark.parametrize("model", ["", "a b", "../files/x", "gemma?key=1", "gemma&x"])
def test_what_is_no_name_of_a_model_becomes_no_address(gemini, say, model):
    with pytest.raises(errors.ModelNotFound):
        say(model=model)
    assert gemini.seen()["asked"] == []


def test_transports_depend_on_the_model():
    assert backend_for(f"gemini:{GEMMA_4}")[0].transports == {"tools", "chat"}
    assert backend_for(f"gemini:{GEMMA_3}")[0].transports == {"chat"}
    assert backend_for("gemini:gemma-3n-e4b-it")[0].transports == {"chat"}


ADDRESSES = {
    "": "https://generativelanguage.googleapis.com",
    "https://generativelanguage.googleapis.com/": "https://generativelanguage.googleapis.com",
    "http://proxy:8080/gemini/v1beta": "http://proxy:8080/gemini",
}


@pytest.mark.parametrize("given", ADDRESSES)
def test_addresses_are_taken_as_people_write_them(given, monkeypatch):
    assert address(given) == ADDRESSES[given]
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", given)
    assert address() == ADDRESSES[given]


@pytest.mark.parametrize("given", ["proxy:8080", "ftp://x", "http://", "http://x:99999", "http://u:pw@h/a b"])
def test_what_is_no_address_is_said_without_its_password(given):
    with pytest.raises(errors.AgentError, match="no address of the Gemini API") as caught:
        address(given)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("names", [["GEMINI_API_KEY"], ["GOOGLE_API_KEY"], ["GOOGLE_API_KEY", "GEMINI_API_KEY"]])
def test_the_key_is_found_where_google_looks(gemini, ask, monkeypatch, names):
    for name, key in zip(names, [KEY, "another"], strict=False):
        monkeypatch.setenv(name, key)
    gemini.plays("Yes.", key=KEY)
    assert ask(GeminiBackend(GEMMA_4, gemini.url, bounds=QUICK), model=GEMMA_4).text == "Yes."


def test_without_google_genai_it_says_what_to_install():
    program = (
        "import sys; sys.modules['google.genai'] = None\n"
        "from gemmagraph import Gemma\n"
        f"try: Gemma('gemini:{GEMMA_4}')\n"
        "except Exception as exc: print(exc)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert 'pip install "gemmagraph[gemini]"' in done.stdout, done.stderr


def test_google_genai_is_loaded_with_the_first_request_only():
    program = (
        "import sys; from gemmagraph import Gemma\n"
        f"Gemma('gemini:{GEMMA_4}')\n"
        "assert not {'google.genai', 'httpx', 'pydantic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# Small questions


def test_the_gemmas_are_listed(backend):
    listed = asyncio.run(backend.models())
    assert [model.name for model in listed] == ["gemma-3-1b-it", GEMMA_3, "gemma-4-26b-a4b-it", GEMMA_4]


def test_a_model_is_described(backend):
    info = asyncio.run(backend.info(GEMMA_4))
    assert (info.name, info.context) == (GEMMA_4, 262_144)
    assert info.capabilities == ("completion", "tools", "vision", "thinking")
    assert info.constraints == {"schema", "tool_choice"}
    info = asyncio.run(backend.info("gemma-3-1b-it"))
    assert (info.context, info.capabilities, info.constraints) == (32_768, ("completion",), frozenset())


def test_tokens_are_counted_by_the_api(gemini, backend):
    assert asyncio.run(backend.count(GEMMA_4, "How many?")) > 0
    assert gemini.seen()["asked"] == [f"POST /v1beta/models/{GEMMA_4}:countTokens"]


def test_one_backend_serves_several_event_loops_and_requests_at_once(gemini, backend, hear):
    async def both():
        return await asyncio.gather(hear(backend, model=GEMMA_4), hear(backend, model=GEMMA_4))

    gemini.plays("one", "two", "three", "four")
    heard = [*asyncio.run(asyncio.wait_for(both(), 20)), *asyncio.run(asyncio.wait_for(both(), 20))]
    assert sorted(each.text for each in heard) == ["four", "one", "three", "two"]


@pytest.mark.parametrize("how", ["closed", "cancelled"])
def test_leaving_a_reply_closes_the_connection(gemini, backend, leaves, how):
    gemini.plays({"text": "On and on", "finish": None, "hang": True})
    asked = Request(GEMMA_4, messages=({"role": "user", "content": "Go on."},))
    asyncio.run(asyncio.wait_for(leaves(backend, asked, how), 20))
    assert gemini.seen(ended=1)["requests"][0]["ended"] == "disconnected"
