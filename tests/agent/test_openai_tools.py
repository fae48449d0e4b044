"""The backend `openai` where the server declares the tools and reads the calls, and where it looks at images."""

import asyncio
import base64
import json
from contextlib import aclosing

import pytest

from gemmagraph import errors
from gemmagraph.backends.base import Request, ServerCall
from gemmagraph.backends.network.http import Bounds
from gemmagraph.backends.openai.backend import OpenAIBackend
from gemmagraph.prompts.messages import Image, Text, Thought, ToolCall, ToolResult, ToolSpec, Turn
from gemmagraph.prompts.toolset import Toolset

QUICK = Bounds(connect=2, first_byte=10, between=10, total=20, question=5, pause=0.01, notice=5)
CITY = {"type": "object", "properties": {"city": {"type": "string", "minLength": 2}}, "required": ["city"]}
TOOLS = Toolset([ToolSpec("get_weather", "Tells the weather.", CITY), ToolSpec("now", "Tells the time.")])
DECLARED = [
    {
        "type": "function",
        "function": {"name": spec.name, "description": spec.description, "parameters": dict(spec.parameters)},
    }
    for spec in TOOLS
]
ASKED = (Turn("user", (Text("And in Rome?"),)),)
PIXEL = Image(b"\x89PNG...", "image/png")
SHOWN = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PIXEL.data).decode()}"}}


@pytest.fixture
def backend(openai):
    return OpenAIBackend(f"{openai.url}/v1", bounds=QUICK)


@pytest.fixture
def offer(ask):
    """`offer(backend, **changes)`: asks with the server's own fields for tools."""
    return lambda backend, **changes: ask(backend, **{"messages": None, "turns": ASKED, "tools": TOOLS} | changes)


def asked_last(openai):
    return openai.seen()["requests"][-1]["body"]


def calls(heard):
    return [(call.name, call.arguments) for chunk in heard.chunks for call in chunk.calls]


# What is asked


def test_a_conversation_with_calls_is_written_as_openai_writes_it(openai, backend, offer):
    openai.plays("It is sunny there, too.", kind="plain")
    turns = (
        Turn("system", (Text("Be brief."),)),
        Turn("user", (Text("What is the weather in Paris?"),)),
        Turn(
            "model",
            (
                Thought("Two tools."),
                Text("I will look."),
                ToolCall("m_1-0", "get_weather", {"city": "Köln"}),
                ToolCall("m_1-1", "now", {}),
            ),
            raw="whatever",
        ),
        Turn("tool", (ToolResult("m_1-0", "get_weather", {"sky": "clear", "wind": 3}),)),
        Turn("tool", (ToolResult("m_1-1", "now", "no clock", is_error=True),)),
        Turn("model", (Text("It is sunny."),)),
        *ASKED,
    )
    assert offer(backend, turns=turns).text == "It is sunny there, too."
    asked = asked_last(openai)
    assert asked["tools"] == DECLARED
    assert "tool_choice" not in asked
    calls = [("call_1", "get_weather", '{"city": "Köln"}'), ("call_2", "now", "{}")]
    assert asked["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is the weather in Paris?"},
        {
            "role": "assistant",
            "content": "I will look.",
            "tool_calls": [
                {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
                for id, name, arguments in calls
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "name": "get_weather", "content": '{"sky": "clear", "wind": 3}'},
        {"role": "tool", "tool_call_id": "call_2", "name": "now", "content": '{"error": "no clock"}'},
        {"role": "assistant", "content": "It is sunny."},
        {"role": "user", "content": "And in Rome?"},
    ]


@pytest.mark.parametrize("id", ["", "1", "i" * 100])
def test_ids_of_calls_may_be_long_and_used_twice(openai, backend, offer, id):
    openai.plays("Fine.")
    step = (Turn("model", (ToolCall(id, "now", {}),)), Turn("tool", (ToolResult(id, "now", "noon"),)))
    assert offer(backend, turns=(*ASKED, *step, *step)).text == "Fine."
    messages = asked_last(openai)["messages"]
    assert [message["tool_call_id"] for message in messages if message["role"] == "tool"] == ["call_1", "call_2"]
    assert [message["content"] for message in messages if message["role"] == "assistant"] == [None, None]


def test_calls_of_a_turn_with_one_id_get_their_results_in_order(openai, backend, offer):
    openai.plays("Fine.")
    calls = (ToolCall("", "now", {}), ToolCall("", "get_weather", {"city": "Rome"}))
    results = (ToolResult("", "now", "noon"), ToolResult("", "get_weather", "sunny"))
    offer(backend, turns=(*ASKED, Turn("model", calls), Turn("tool", results)))
    said = [(message["tool_call_id"], message["content"]) for message in asked_last(openai)["messages"][2:]]
    assert said == [("call_1", "noon"), ("call_2", "sunny")]


def test_a_result_without_its_call_is_said_behind_the_others(openai, backend, offer):
    openai.plays("Fine.")
    turns = (
        *ASKED,
        Turn("model", (ToolCall("a", "now", {}), ToolCall("b", "now", {}))),
        Turn("tool", (ToolResult("a", "now", "noon"), ToolResult("x", "get_weather", "city is missing.", True))),
        Turn("tool", (ToolResult("b", "now", "noon"),)),
    )
    assert offer(backend, turns=turns).text == "Fine."
    said = [(message["role"], message["content"]) for message in asked_last(openai)["messages"][2:]]
    assert said == [("tool", "noon"), ("tool", "noon"), ("user", '{"error": "city is missing."}')]


@pytest.mark.parametrize(
    ("kind", "field"),
    [("llamacpp", "reasoning_content"), ("vllm", "reasoning"), ("ollama", "reasoning"), ("plain", "")],
)
def test_thoughts_since_the_question_go_where_the_server_takes_them(openai, backend, offer, kind, field):
    openai.plays("Fine.", kind=kind)
    step = (
        Turn("model", (Thought("Hm."), ToolCall("a", "now", {}))),
        Turn("tool", (ToolResult("a", "now", "noon"),)),
    )
    offer(backend, turns=(*ASKED, *step, *ASKED, *step))
    old, new = (message for message in asked_last(openai)["messages"] if message["role"] == "assistant")
    assert set(old) == {"role", "content", "tool_calls"}
    assert new == old | {"tool_calls": new["tool_calls"]} | ({field: "Hm."} if field else {})


ONE = [DECLARED[1]]
NAMED = {"type": "function", "function": {"name": "now"}}
CHOICES = {
    # the server, the choice: the tools that it is told of, and the field
    ("plain", "auto"): (DECLARED, None),
    ("plain", "required"): (DECLARED, "required"),
    ("plain", "none"): (DECLARED, "none"),
    ("plain", "now"): (DECLARED, NAMED),
    ("vllm", "now"): (DECLARED, NAMED),
    ("llamacpp", "required"): (DECLARED, "required"),
    ("llamacpp", "none"): (DECLARED, "none"),
    ("llamacpp", "now"): (ONE, "required"),
    ("lmstudio", "now"): (ONE, "required"),
    ("ollama", "required"): (DECLARED, None),
    ("ollama", "now"): (ONE, None),
    ("ollama", "none"): (None, None),
}


@pytest.mark.parametrize("case", CHOICES, ids=" ".join)
def test_a_choice_is_told_in_the_words_of_the_server(openai, backend, offer, case):
    kind, choice = case
    openai.plays("Fine.", kind=kind)
    offer(backend, tool_choice=choice)
    asked = asked_last(openai)
    assert (asked.get("tools"), asked.get("tool_choice")) == CHOICES[case]


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_without_tools_nothing_is_said_of_them(openai, backend, offer, choice):
    openai.plays("Fine.")
    offer(backend, tools=Toolset(), tool_choice=choice)
    assert set(asked_last(openai)) == {"model", "messages", "stream", "stream_options"}


def test_thinking_and_control_marks_are_asked_for_as_in_a_chat(openai, backend, offer):
    openai.plays("Fine.", kind="vllm")
    offer(backend, thinking=True, max_tokens=5, stop=("END",), options={"temperature": 0})
    fields = {
        "chat_template_kwargs": {"enable_thinking": True}, "skip_special_tokens": False, "max_tokens": 5,
        "stop": ["END"], "temperature": 0,
    }  # fmt: skip
    assert asked_last(openai) | fields == asked_last(openai)


def test_a_reply_with_tools_is_not_held_to_anything_else(openai, backend, offer):
    openai.plays("never said", kind="vllm")
    with pytest.raises(errors.BadRequest, match=r'to a grammar or a JSON Schema. Say transport="chat"'):
        offer(backend, schema=CITY)
    assert openai.seen()["requests"] == []


# What is heard


def piece(arguments=None, name=None, id=None, index=0):
    """A piece of a call; what is None is not in it."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    fields = {"index": index, "id": id, "type": "function" if name else None, "function": function or None}
    return {key: value for key, value in fields.items() if value is not None}


ROME = [("get_weather", {"city": "Rome"})]
BOTH = [*ROME, ("now", {})]
TWICE = [*ROME, ("get_weather", {"city": "Oslo"})]
IN_ROME, IN_OSLO = '{"city": "Rome"}', '{"city": "Oslo"}'
PIECES = ["", '{"ci', 'ty": ', '"Rome"', "}"]
STREAMS = {
    "openai's own": (
        [[piece("", "get_weather", "a")], *([piece(each)] for each in PIECES), [piece("{}", "now", "b", 1)]],
        BOTH,
    ),
    "whole calls": ([[piece(IN_ROME, "get_weather", "a", 0)], [piece("{}", "now", "b", 1)]], BOTH),
    "whole calls in one event": ([[piece(IN_ROME, "get_weather", "a", 0), piece("{}", "now", "b", 1)]], BOTH),
    "index 0 for each": ([[piece(IN_ROME, "get_weather", "a")], [piece(IN_OSLO, "get_weather", "b")]], TWICE),
    "index 0 for each, in one event": (
        [[piece(IN_ROME, "get_weather", "a"), piece(IN_OSLO, "get_weather", "b")]], TWICE,
    ),
    "index 0 for each, in pieces": (
        [
            [piece("", "get_weather", "a")], *([piece(each)] for each in PIECES),
            [piece("", "get_weather", "b")], [piece('{"city": ')], [piece('"Oslo"}')],
        ],
        TWICE,
    ),
    "index 0 and no id": ([[piece(IN_ROME, "get_weather")], [piece(IN_OSLO, "get_weather")], [piece("{}", "now")]],
                          [*TWICE, ("now", {})]),
    "no arguments, index 0 for each": ([[piece("", "now", "a")], [piece("", "get_time", "b")]],
                                       [("now", {}), ("get_time", {})]),
    "no id": ([[piece("", "get_weather")], *([piece(each)] for each in PIECES), [piece("{}", "now", index=1)]], BOTH),
    "no index": (
        [
            [piece('{"city"', "get_weather", "a", None)], [piece(': "Rome"}', index=None)],
            [piece("", "now", "b", None)],
        ],
        BOTH,
    ),
    "no index, in one event": (
        [[piece('{"city"', "get_weather", index=None), piece("{", "now", index=None)],
         [piece(': "Rome"}', index=None), piece("}", index=None)]],
        BOTH,
    ),
    "neither index nor id": (
        [[piece(IN_ROME, "get_weather", index=None)], [piece("{}", "now", index=None)]], BOTH,
    ),
    "another index for each piece": (
        [[piece("", "get_weather", "a", 0)], [piece('{"city": ', index=1)], [piece('"Rome"}', index=2)]], ROME,
    ),
    "the id late": ([[piece("", "get_weather")], [piece('{"city": ', id="a")], [piece('"Rome"}', id="a")]], ROME),
    "the id in each piece": (
        [[piece("", "get_weather", "a")], *([piece(each, id="a")] for each in PIECES)], ROME,
    ),
    "another id in each piece": (
        [[piece("", "get_weather", "a")], *([piece(each, id=f"b{n}")] for n, each in enumerate(PIECES)),
         [piece("", id="z")]],
        ROME,
    ),
    "the name and another id in each piece": (
        [[piece(each, "get_weather", f"b{n}")] for n, each in enumerate([*PIECES, ""])], ROME,
    ),
    "the name in each piece": ([[piece(each, "get_weather", "a")] for each in PIECES], ROME),
    "one id for all": ([[piece(IN_ROME, "get_weather", "a")], [piece("{}", "now", "a", 1)]], BOTH),
    "a call told twice": (
        [[piece(IN_ROME, "get_weather", "a")], [piece("{}", "now", "b", 1)], [piece(IN_ROME, "get_weather", "a")]],
        BOTH,
    ),
    "the same call with another id": (
        [[piece(IN_ROME, "get_weather", "a")], [piece(IN_ROME, "get_weather", "b", 1)]], [*ROME, *ROME],
    ),
    "the name in pieces": ([[piece(None, "get_", "a")], [piece(None, "wea")], [piece(IN_ROME, "ther")]], ROME),
    "the name growing": ([[piece("", "get_", "a")], [piece("", "get_weather", "a")], [piece(IN_ROME)]], ROME),
    "the name last": ([[piece(IN_ROME, id="a")], [piece("", "get_weather", "a")]], ROME),
    "interleaved": (
        [
            [piece("", "get_weather", "a", 0)], [piece("", "get_weather", "b", 1)], [piece('{"city": "R', index=0)],
            [piece('{"city": ', index=1)], [piece('ome"}', index=0)], [piece('"Oslo"}', index=1)],
        ],
        TWICE,
    ),
    "interleaved in one event": (
        [
            [piece("", "get_weather", "a", 0), piece("", "get_weather", "b", 1)],
            [piece('{"city": "Os', index=1), piece('{"city": "R', index=0)],
            [piece('lo"}', index=1), piece('ome"}', index=0)],
        ],
        TWICE,
    ),
    "interleaved by ids": (
        [
            [piece("", "get_weather", "a", None)], [piece("", "now", "b", None)],
            [piece('{"city": "R', id="a", index=None)], [piece("{", id="b", index=None)],
            [piece('ome"}', id="a", index=None)], [piece("}", id="b", index=None)],
        ],
        BOTH,
    ),
    "arguments as an object": ([[piece({"city": "Rome"}, "get_weather", "a")], [piece({}, "now", "b")]], BOTH),
    "empty arguments": ([[piece("", "now", "a")], [piece(" ")]], [("now", {})]),
    "no arguments": ([[piece(None, "now", "a")]], [("now", {})]),
    "no name": ([[piece(IN_ROME, id="a")]], [("", {"city": "Rome"})]),
    "arguments that are no object": ([[piece('["Rome"]', "get_weather", "a")]], [("get_weather", '["Rome"]')]),
    "arguments that are no JSON": ([[piece("{city: Rome}", "get_weather", "a")]], [("get_weather", "{city: Rome}")]),
    "text in text": ([[piece('"{}"', "now", "a")]], [("now", '"{}"')]),
    "an integer of 100 digits": ([[piece('{"n": ' + "9" * 100 + "}", "now", "a")]], [("now", {"n": int("9" * 100)})]),
    "nothing": ([[], [piece("", id="a")]], []),
}  # fmt: skip


@pytest.mark.parametrize("late", [False, True], ids=["", "behind the finish"])
@pytest.mark.parametrize("case", STREAMS)
def test_calls_are_put_together_however_they_come(openai, backend, offer, case, late):
    deltas, expected = STREAMS[case]
    openai.plays({"text": "Well.", "late_deltas" if late else "deltas": deltas})
    heard = offer(backend)
    assert calls(heard) == expected
    assert (heard.text, heard.notices, heard.chunks[-1].stop) == ("Well.", [], "stop")


def test_a_call_is_a_reply_without_text_too(openai, backend, offer):
    openai.plays({"deltas": [[piece("{}", "now", "a")]], "counts": 7})
    heard = offer(backend)
    assert [chunk.calls for chunk in heard.chunks] == [(ServerCall("now", {}),), ()]
    assert heard.chunks[-1].usage.input_tokens == 7


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ([[piece('{"city": "Ro', "get_weather", "a")]], [("get_weather", '{"city": "Ro')]),
        ([[piece("", "get_weather", "a")]], [("get_weather", "")]),
        (
            [[piece("", "now", "a", 0)], [piece('{"', "get_weather", "b", 1)]],
            [("now", {}), ("get_weather", '{"')],
        ),
        ([[piece(IN_ROME, "get_weather", "a")]], ROME),
    ],
    ids=["within", "before the arguments", "the last of two", "behind it"],
)
def test_a_call_cut_by_the_token_limit_is_what_is_there_of_it(openai, backend, offer, deltas, expected):
    openai.plays({"deltas": deltas, "finish": "length"})
    heard = offer(backend)
    assert calls(heard) == expected
    assert heard.chunks[-1].stop == "length"


def test_text_that_hides_a_call_stays_text(openai, backend, offer):
    """vLLM returns what was required as content, at times."""
    said = '[{"name": "now", "parameters": {}}]'
    openai.plays({"text": said, "finish": "tool_calls"}, kind="vllm")
    heard = offer(backend, tool_choice="required")
    assert (heard.text, calls(heard)) == (said, [])


@pytest.mark.parametrize(
    ("finish", "words"), [("stop", "lost a call"), ("length", "max_tokens"), ("tool_calls", "lost a call")]
)
def test_an_empty_reply_is_not_asked_for_again(openai, backend, offer, finish, words):
    openai.plays({"finish": finish}, "never said")
    with pytest.raises(errors.EmptyReply, match="sent an empty reply") as caught:
        offer(backend)
    assert words in caught.value.hint
    assert len(openai.seen()["requests"]) == 1


def test_half_a_call_of_a_stream_that_broke_off_is_asked_for_again(openai, backend, offer):
    cut = {"deltas": [[piece('{"city": "Ro', "get_weather", "a")]], "cut": "connection"}
    openai.plays(cut, {"deltas": [[piece(IN_ROME, "get_weather", "a")]]})
    assert calls(offer(backend)) == ROME
    openai.plays(cut, cut)
    with pytest.raises(errors.TruncatedReply):
        offer(backend)


@pytest.mark.parametrize("deltas", ["5", '["x"]', '[{"function": 5}]', '[{"function": {"name": 5}}]'])
def test_pieces_that_are_none_are_an_error_of_the_server(openai, backend, offer, deltas):
    openai.plays({"events": [f'{{"choices": [{{"delta": {{"tool_calls": {deltas}}}}}]}}']})
    with pytest.raises(errors.ServerError, match="no frame of a reply"):
        offer(backend)


# Servers that take no tools

NO_TOOLS = {
    "vllm": (
        400,
        '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
        "vLLM with",
    ),
    "ollama": (400, "registry.ollama.ai/library/gemma3:4b does not support tools", "Leave transport"),
    "llama.cpp": (500, "tools param requires --jinja flag", "server with --jinja"),
    "google": (400, "Function calling is not enabled for models/gemma-3-27b-it", "Leave transport"),
    "openrouter": (404, "No endpoints found that support tool use.", "Leave transport"),
    "openrouter, choice": (404, "No endpoints found that support the provided 'tool_choice' value.", "Leave"),
    "openai": (400, "'tools' is not supported with this model.", "Leave transport"),
    "groq": (400, "`tool calling` is not supported with this model", "Leave transport"),
}


@pytest.mark.parametrize("case", NO_TOOLS)
def test_a_server_that_takes_no_tools_says_so_in_words_that_all_share(openai, backend, offer, case):
    status, words, hint = NO_TOOLS[case]
    openai.plays("never said", no_tools=(status, words))
    with pytest.raises(errors.BadRequest) as caught:
        offer(backend)
    assert "does not support tools" in caught.value.message
    assert words.rstrip(".") in caught.value.message
    assert hint in caught.value.hint


def test_a_template_that_leaves_tools_out_is_known_before_it_does(openai, backend, offer):
    openai.plays("never said", kind="llamacpp", abilities={"supports_tools": False})
    with pytest.raises(errors.BadRequest, match=r"does not support tools.*chat template.*--chat-template-file"):
        offer(backend)
    assert all(entry["path"] == "/tokenize" for entry in openai.seen()["requests"])
    assert asyncio.run(backend.info("gemma3:4b")).constraints == {"grammar", "schema"}


# Images


def test_images_go_along_in_a_chat_in_front_of_the_text(openai, backend, ask):
    openai.plays("A dog.")
    ask(backend, messages=({"role": "user", "content": "What is this?", "images": (PIXEL,)},))
    said = [SHOWN, {"type": "text", "text": "What is this?"}]
    assert asked_last(openai)["messages"] == [{"role": "user", "content": said}]


def test_images_go_along_with_tools_where_they_stand(openai, backend, offer):
    openai.plays("A dog.")
    offer(backend, turns=(Turn("user", (Text("Here:"), PIXEL, Text("what is it?"))),))
    said = [{"type": "text", "text": "Here:"}, SHOWN, {"type": "text", "text": "what is it?"}]
    assert asked_last(openai)["messages"] == [{"role": "user", "content": said}]


BLIND = {
    "vllm": (400, "google/gemma-3-1b-it is not a multimodal model"),
    "vllm, told so": (400, "At most 0 image(s) may be provided in one prompt."),
    "llama.cpp": (
        500,
        "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
    ),
    "openrouter": (404, "No endpoints found that support image input"),
}


@pytest.mark.parametrize("case", BLIND)
def test_a_model_without_eyes_is_named_by_the_words_of_its_server(openai, backend, ask, case):
    openai.plays("never said", no_images=BLIND[case])
    with pytest.raises(errors.BadRequest, match="does not take images") as caught:
        ask(backend, messages=({"role": "user", "content": "What is this?", "images": (PIXEL,)},))
    assert BLIND[case][1] in caught.value.message
    assert "--mmproj" in caught.value.hint


@pytest.mark.parametrize("kind", ["llamacpp", "lmstudio"])
def test_a_model_that_was_loaded_without_eyes_is_shown_nothing(openai, backend, ask, offer, kind):
    openai.plays("never said", kind=kind, abilities={"vision": False, "supports_tools": True})
    for asked in (
        lambda: ask(backend, messages=({"role": "user", "content": "What is this?", "images": (PIXEL,)},)),
        lambda: offer(backend, turns=(Turn("user", (PIXEL,)),)),
    ):
        with pytest.raises(errors.BadRequest, match="does not take images"):
            asked()
    assert not any("messages" in entry["body"] for entry in openai.seen()["requests"])


def test_a_finished_prompt_takes_no_images(openai, backend, ask):
    openai.plays("never said", kind="vllm")
    with pytest.raises(errors.BadRequest, match=r'no images with a finished prompt. Say transport="chat"'):
        ask(backend, messages=None, prompt="What is this?", turns=(Turn("user", (PIXEL,)),))


# What the models can, and how long a text is

ABLE = {
    "llamacpp": ("llamacpp", {}, ("completion", "vision", "tools")),
    "llamacpp, older": ("llamacpp", {"abilities": {"vision": False}}, ("completion",)),
    "lmstudio": ("lmstudio", {}, ("completion", "vision")),
    "lmstudio, trained for tools": (
        "lmstudio", {"abilities": {"vision": False, "trained_for_tool_use": True}}, ("completion", "tools"),
    ),
    "lmstudio, older": ("lmstudio", {"older": True}, ("completion", "vision")),
}  # fmt: skip


@pytest.mark.parametrize("case", ABLE)
def test_what_a_server_says_of_its_models_is_told(openai, backend, case):
    kind, settings, able = ABLE[case]
    openai.plays(kind=kind, **settings)
    assert asyncio.run(backend.info("gemma3:4b")).capabilities == able


@pytest.mark.parametrize("kind", ["llamacpp", "vllm"])
def test_tokens_are_counted_with_marks_and_without_a_beginning(openai, backend, kind):
    openai.plays(kind=kind)

    async def run():
        return [await backend.count("gemma3:4b", text) for text in ("<start_of_turn>user hi", "", "half \ud83d")]

    assert asyncio.run(run()) == [3, 0, 2]


@pytest.mark.parametrize(
    ("settings", "asked"),
    [({"kind": "plain"}, 0), ({"kind": "ollama"}, 0), ({"kind": "vllm", "no_tokenize": True}, 1)],
    ids=["hosted", "ollama", "without the page"],
)
def test_a_server_that_counts_no_tokens_is_asked_once_at_most(openai, backend, settings, asked):
    openai.plays(**settings)

    async def run():
        for _ in range(3):
            with pytest.raises(errors.BadRequest, match="does not count tokens"):
                await backend.count("gemma3:4b", "Hi")

    asyncio.run(run())
    assert openai.seen()["asked"].count("POST /tokenize") == asked


def test_a_model_that_is_not_there_is_not_counted_with_and_others_still_are(openai, backend):
    openai.plays(kind="vllm")

    async def run():
        with pytest.raises(errors.ModelNotFound, match="has no model 'gema3:4b'") as caught:
            await backend.count("gema3:4b", "Hi")
        return caught.value.hint, await backend.count("gemma3:4b", "Hi")

    hint, tokens = asyncio.run(run())
    assert "Did you mean 'gemma3:4b'" in hint
    assert tokens == 1


def test_who_leaves_while_a_model_is_loaded_leaves_at_once(openai, hear):
    openai.plays("never said", kind="llamacpp", loading=1_000_000)
    backend = OpenAIBackend(f"{openai.url}/v1", bounds=Bounds(pause=0.001))

    async def run():
        request = Request("gemma3:4b", messages=({"role": "user", "content": "Hi"},))
        async with aclosing(backend.stream(request)) as chunks:
            return (await anext(chunks)).notice

    assert "still loading" in asyncio.run(asyncio.wait_for(run(), 10))


def test_the_official_client_reads_the_same_calls(openai, backend, offer):
    official = pytest.importorskip("openai", reason="the official client is not installed: it is not compared")
    names = ("openai's own", "whole calls", "interleaved", "interleaved in one event")
    openai.plays(*({"deltas": STREAMS[name][0]} for name in names for _ in "ab"), kind="vllm")
    for name in names:
        offer(backend)
        asked = {key: value for key, value in asked_last(openai).items() if key in ("model", "messages", "tools")}
        with (
            official.OpenAI(base_url=f"{openai.url}/v1", api_key="key", max_retries=0) as client,
            client.chat.completions.stream(**asked) as stream,
        ):
            message = stream.get_final_completion().choices[0].message
        read = [(call.function.name, json.loads(call.function.arguments or "{}")) for call in message.tool_calls]
        assert read == STREAMS[name][1]
