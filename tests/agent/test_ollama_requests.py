"""What a request to an Ollama server may ask beside chat: a schema, pictures, whole prompts; and what it may not."""

import asyncio

import pytest

from gemmagraph import errors
from gemmagraph.prompts.catalog import family_of
from gemmagraph.prompts.grammar.calls import grammar
from gemmagraph.prompts.messages import Image, Text, ToolSpec, Turn
from gemmagraph.prompts.notation import notation_named
from gemmagraph.prompts.prompt import PromptWriter, Transcript
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.turns import turn_format

SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
SEEN = (
    {"role": "user", "content": "What is it?", "images": (Image(b"cat", "image/png"), Image(b"dog", "image/jpeg"))},
)
TOOLS = Toolset([ToolSpec("now")])


def sent(ollama):
    return ollama.seen()["requests"][-1]["body"]


def prompt(model, notation, tools=TOOLS, said="What time is it?", thinking=False):
    family = family_of(model)
    writer = PromptWriter(turn_format(family.turn_format), notation_named(notation), tools, thinking=thinking)
    transcript = Transcript(writer)
    transcript.update((Turn("user", (Text(said),)),))
    return transcript.completion()


def test_a_schema_holds_the_reply(ollama, backend, ask):
    ollama.plays('{"answer": "noon"}')
    assert ask(backend, schema=SCHEMA).text == '{"answer": "noon"}'
    assert sent(ollama)["format"] == SCHEMA


def test_the_schema_counts_where_there_is_a_grammar_too(ollama, backend, ask):
    ollama.plays("{}")
    rules = grammar(notation_named("function_call"), TOOLS, "required")
    ask(backend, schema=SCHEMA, grammar=rules)
    assert sent(ollama)["format"] == SCHEMA


def test_a_schema_that_the_server_would_pass_over_is_refused(ollama, backend, ask):
    ollama.plays(mlx=["gemma3:4b"])
    assert asyncio.run(backend.info("gemma3:4b")).constraints == frozenset()
    with pytest.raises(errors.BadRequest, match="gemma3:4b to a JSON Schema"):
        ask(backend, schema=SCHEMA)


def test_pictures_are_sent_to_a_model_that_sees(ollama, backend, ask):
    ollama.plays("A cat and a dog.")
    assert ask(backend, messages=SEEN).text == "A cat and a dog."
    assert sent(ollama)["messages"] == [{"role": "user", "content": "What is it?", "images": ["Y2F0", "ZG9n"]}]


def test_pictures_for_a_model_that_sees_none_are_refused_with_one_that_does(ollama, backend, ask):
    with pytest.raises(errors.BadRequest, match=r"'gemma3:1b' .* no pictures. .*: gemma3:4b, gemma4:e4b"):
        ask(backend, model="gemma3:1b", messages=SEEN)
    assert ollama.seen()["requests"] == []


def test_pictures_that_only_the_server_knows_to_be_in_vain_are_refused_by_it(ollama, backend, ask):
    ollama.plays(no_show=True)
    with pytest.raises(errors.BadRequest, match="image input"):
        ask(backend, model="gemma3:1b", messages=SEEN)


@pytest.mark.parametrize("model", ["gemma4:e4b", "gemma3:4b"])
@pytest.mark.parametrize("thinking", [None, False])
def test_no_model_thinks_unasked(ollama, backend, ask, model, thinking):
    ollama.plays({"text": "Yes.", "thought": "Hm."})
    assert ask(backend, model=model, thinking=thinking).thought == ""
    assert sent(ollama).get("think") == (False if model == "gemma4:e4b" else None)


def test_a_whole_prompt_is_completed_as_it_is(ollama, backend, ask):
    ollama.plays('FUNCTION_CALL: now(zone="<escape>")')
    whole = prompt("gemma3:4b", "function_call")
    heard = ask(backend, messages=None, prompt=whole, stop=("<end_of_turn>",), max_tokens=20)
    assert heard.text == 'FUNCTION_CALL: now(zone="")', "control tokens vanish"
    assert heard.chunks[-1].usage is not None
    entry = ollama.seen()["requests"][0]
    assert entry["path"] == "/api/generate"
    assert entry["body"] == {
        "model": "gemma3:4b",
        "prompt": whole,
        "raw": True,
        "stream": True,
        "truncate": False,
        "shift": False,
        "options": {"num_ctx": 8192, "num_predict": 20, "stop": ["<end_of_turn>"]},
    }


PROMPTS = {
    "gemma4": ("gemma4:e4b", {"notation": "gemma4"}, "<|tool_call>"),
    "functiongemma": ("functiongemma:270m", {"notation": "functiongemma"}, "<start_function_call>"),
    "thoughts": ("gemma4:e4b", {"notation": "function_call", "thinking": True}, "<|channel>"),
    "no tools": ("gemma4:e4b", {"notation": "gemma4", "tools": Toolset()}, ""),
    "gemma4, prompted": ("gemma4:e4b", {"notation": "function_call"}, ""),
    "functiongemma, prompted": ("functiongemma:270m", {"notation": "json"}, ""),
    "quoted": ("gemma4:e4b", {"notation": "json", "said": "What do <|tool> and <|think|> mean?"}, ""),
    "quoted to another": ("gemma3:4b", {"notation": "json", "said": "And <start_function_declaration>?"}, ""),
}


@pytest.mark.parametrize(("model", "written", "mark"), PROMPTS.values(), ids=PROMPTS)
def test_a_prompt_whose_marks_would_vanish_is_refused(ollama, backend, ask, model, written, mark):
    whole = prompt(model, **written)
    ollama.plays("Yes.")
    if not mark:
        assert ask(backend, messages=None, prompt=whole).text == "Yes."
        return
    with pytest.raises(errors.BadRequest, match='drops control tokens.*transport="tools"') as caught:  # noqa: RUF043
        ask(backend, messages=None, prompt=whole)
    assert mark in caught.value.message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"schema": SCHEMA}, "no JSON Schema", id="schema"),
        pytest.param({"turns": (Turn("user", (Image(b"cat", "image/png"),)),)}, "no pictures", id="picture"),
    ],
)
def test_a_whole_prompt_holds_text_and_no_more(ollama, backend, ask, changes, words):
    with pytest.raises(errors.BadRequest, match=words):
        ask(backend, messages=None, prompt="Hello", **changes)
    assert ollama.seen()["requests"] == []


@pytest.mark.parametrize(
    "form",
    [{}, {"messages": None, "prompt": "Hi."}, {"messages": None, "turns": (Turn("user", (Text("Hi."),)),)}],
    ids=["chat", "completion", "tools"],
)
def test_a_grammar_is_refused(backend, ask, form):
    with pytest.raises(errors.BadRequest, match="takes no grammar"):
        ask(backend, grammar=grammar(notation_named("function_call"), TOOLS, "required"), **form)


@pytest.mark.parametrize("value", ["10", "", "m10", "10 m", "for ever", True, None, float("nan"), [5]])
def test_a_length_of_time_that_is_none_is_refused(backend, ask, value):
    with pytest.raises(errors.BadRequest, match="is no length of time"):
        ask(backend, options={"keep_alive": value})


@pytest.mark.parametrize("cut", ["line", "connection"])
def test_a_completion_that_is_cut_is_an_error(ollama, backend, ask, cut):
    ollama.plays({"text": "Hello", "cut": cut})
    with pytest.raises(errors.TruncatedReply, match="after 5 characters"):
        ask(backend, messages=None, prompt="Hi.")


def test_a_prompt_that_does_not_fit_is_an_error_with_the_numbers(ollama, backend, ask):
    ollama.plays("never said")
    with pytest.raises(errors.ContextOverflow, match=r"12,504 tokens .* window of 8,192"):
        ask(backend, messages=None, prompt="word " * 10_000)


def test_a_model_is_made_of_another(ollama, backend, ask):
    asyncio.run(backend.create("gemma3-sober", "gemma3:4b", parameters={"temperature": 0}))
    ollama.plays("Yes.")
    assert ask(backend, model="gemma3-sober").text == "Yes."
    with pytest.raises(errors.ServerError, match="file does not exist"):
        asyncio.run(backend.create("mine", "gemma9"))


def test_facts_that_have_become_old_are_asked_for_anew(ollama, backend, ask):
    asyncio.run(backend.create("mine", "gemma3:4b"))
    ollama.plays("Yes.", {"text": "Yes."})
    ask(backend, model="mine")
    ollama.reset()  # and now it is gone
    with pytest.raises(errors.ModelNotFound, match="ollama pull mine"):
        ask(backend, model="mine")
    with pytest.raises(errors.ModelNotFound, match="ollama pull mine"):
        ask(backend, model="mine")
    assert ollama.seen()["requests"][1:] == [], "the second time it is known at once"
