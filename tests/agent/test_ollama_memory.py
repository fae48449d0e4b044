"""The context window that a model gets, and the memory that it takes: set alike on each request, and looked at."""

import asyncio

import pytest

from gemmagraph import errors
from gemmagraph.prompts.messages import Image, Text, ToolCall, ToolResult, ToolSpec, Turn
from gemmagraph.prompts.toolset import Toolset

ASKED = (Turn("user", (Text("What time is it?"),)),)
WENT_ON = (*ASKED, Turn("model", (ToolCall("c1", "now", {}),)), Turn("tool", (ToolResult("c1", "now", "noon"),)))
TOOLS = Toolset([ToolSpec("now")])
SAY = {"role": "user", "content": "Say hello."}
FORMS = {
    "chat": {},
    "longer chat": {"messages": (SAY, {"role": "assistant", "content": "Hi."}, SAY), "max_tokens": 10},
    "picture": {"messages": ({**SAY, "images": (Image(b"cat", "image/png"),)},)},
    "forced": {"schema": {"type": "object"}},
    "tools": {"messages": None, "turns": ASKED, "tools": TOOLS},
    "result": {"messages": None, "turns": WENT_ON, "tools": TOOLS},
    "thinking": {"messages": None, "turns": ASKED, "tools": TOOLS, "thinking": True},
    "whole prompt": {"messages": None, "prompt": "<bos><|turn>user\nHi.<turn|>\n<|turn>model\n"},
    "other sampling": {"options": {"temperature": 0.1, "seed": 7}, "stop": ("END",)},
}


def test_the_model_is_loaded_once_whatever_is_asked(ollama, backend, ask):
    ollama.plays(*["Yes."] * 2 * len(FORMS))
    for changes in [*FORMS.values(), *reversed(FORMS.values())]:
        assert ask(backend, model="gemma4:e4b", **changes).text == "Yes."
    seen = ollama.seen()
    assert {entry["path"] for entry in seen["requests"]} == {"/api/chat", "/api/generate"}
    assert {entry["body"]["options"]["num_ctx"] for entry in seen["requests"]} == {8192}
    assert seen["loads"] == 1


def test_options_of_loading_are_the_same_for_all_who_ask_alike(ollama, backend, ask):
    ollama.plays(*["Yes."] * 3)
    ask(backend, options={"num_batch": 256})
    ask(backend, messages=None, prompt="Hi.", options={"num_batch": 256})
    assert ollama.seen()["loads"] == 1
    ask(backend)
    assert ollama.seen()["loads"] == 2, "the stand-in does count it"


def test_no_more_context_is_asked_for_than_the_model_takes(ollama, backend, ask):
    ollama.plays("Yes.", "Yes.")
    said = "gemma3:1b takes 32,768 tokens of context, not the 65,536 asked for"
    assert ask(backend, model="gemma3:1b", context=65_536).notices == [said]
    assert ask(backend, model="gemma3:1b", context=65_536).notices == [], "said once"
    seen = ollama.seen()
    assert [entry["body"]["options"]["num_ctx"] for entry in seen["requests"]] == [32_768] * 2


@pytest.mark.parametrize("old", [False, True], ids=["refused", "cut by an old server"])
def test_a_prompt_beyond_all_that_the_model_takes_is_not_answered_with_a_larger_context(ollama, backend, ask, old):
    ollama.plays("Yes.", cuts_silently=old)
    long = ({"role": "user", "content": "word " * 30_000},)
    with pytest.raises(errors.ContextOverflow, match=r"gemma3:1b takes no more") as caught:
        ask(backend, model="gemma3:1b", context=65_536, messages=long)
    assert "context=" not in caught.value.hint


def test_a_server_that_cannot_say_what_a_model_takes_is_asked_all_the_same(ollama, backend, ask):
    ollama.plays("Yes.", no_show=True)
    assert ask(backend, model="gemma3:1b", context=65_536).notices == [
        "gemma3:1b runs with 32,768 tokens of context, not with the 65,536 asked for"
    ]


@pytest.mark.parametrize(
    ("beside", "missing", "what"),
    [
        (3 * 10**9, 2.5, "ask for a smaller context (context=), or take a smaller model"),
        (10**9, 1.7, "without any context it would not fit either, so take a smaller model"),
    ],
    ids=["a context too large", "a model too large"],
)
def test_a_model_that_is_partly_on_the_graphics_card_is_said_once(ollama, backend, ask, beside, missing, what):
    ollama.plays("Yes.", "Yes.", on_gpu=0.6, beside=beside)
    (said,) = ask(backend).notices
    about = "only 60% of gemma3:4b fits the memory of the graphics card"
    assert said == f"{about}, {missing} GB do not, which makes it slow: {what}"
    assert ask(backend).notices == []


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["no graphics card", "all of it"])
def test_a_model_in_one_place_is_no_news(ollama, backend, ask, share):
    ollama.plays("Yes.", on_gpu=share)
    assert ask(backend).notices == []


@pytest.mark.parametrize("keep_alive", [0, 600, -1, 1.5, "0", "10m", "1h30m", "-1s", "1.5h", "300ms"])
def test_a_model_is_kept_as_long_as_one_likes(ollama, backend, ask, keep_alive):
    forms = (FORMS["chat"], FORMS["tools"], FORMS["whole prompt"])
    ollama.plays(*["Yes."] * len(forms))
    for changes in forms:
        ask(backend, model="gemma4:e4b", options={"keep_alive": keep_alive}, **changes)
    seen = ollama.seen()
    assert [entry["body"]["keep_alive"] for entry in seen["requests"]] == [keep_alive] * 3
    assert [entry["body"]["options"] for entry in seen["requests"]] == [{"num_ctx": 8192}] * 3
    assert bool(asyncio.run(backend.loaded())) == (keep_alive not in (0, "0"))


def test_what_a_model_takes_is_asked_once(ollama, backend, ask):
    ollama.plays("Yes.", "Yes.")
    ask(backend)
    ollama.plays(no_show=True)
    assert ask(backend, context=200_000).notices == [
        "gemma3:4b takes 131,072 tokens of context, not the 200,000 asked for"
    ]


def test_a_context_smaller_than_asked_for_is_said_once(ollama, backend, ask):
    ollama.plays("Yes.", "Yes.", most_context=2048)
    said = "gemma3:4b runs with 2,048 tokens of context, not with the 8,192 asked for"
    assert ask(backend).notices == [said]
    assert ask(backend).notices == []


def test_a_window_that_others_changed_is_asked_for_again_before_it_is_called_full(ollama, backend, ask):
    ollama.plays("Yes.", "Yes.", context=256)
    ask(backend, context=None)
    ollama.plays(context=2048)
    long = ({"role": "user", "content": "word " * 400},)
    assert ask(backend, context=None, messages=long).text == "Yes."
