"""Grammars on a real engine: llama.cpp, in this process, with a tiny random model that says something else each time.

What such a model writes under a grammar is as wild as the grammar allows; our readers must read all of it, and every
call must fit its tool.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import jsonschema
import made_up_tools
import pytest
import tiny_gemma
from grammars import each_notation

from gemmagraph.prompts.grammar.calls import Choice, Grammar, grammar
from gemmagraph.prompts.messages import Reply, ToolSpec
from gemmagraph.prompts.notation import notation_named, read
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.turns import GEMMA4

NOT_THERE = "is not installed, or has no wheel for this platform: grammars are not tried on a real engine"
for package in ("gguf", "numpy", "xllamacpp"):
    pytest.importorskip(package, reason=f"{package} {NOT_THERE}")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_gemma.TinyGemma(tiny_gemma.write_tiny_gemma(tmp_path_factory.mktemp("model") / "tiny.gguf"))


@each_notation
@pytest.mark.parametrize(
    "numbers",
    [
        range(4),
        *(pytest.param(range(first, first + 20), marks=pytest.mark.long) for first in range(0, 200, 20)),
    ],
    ids=lambda numbers: f"{numbers[0]}-{numbers[-1]}",
)
def test_what_a_random_model_writes_is_read_and_valid(engine: Any, notation: str, numbers: range) -> None:
    tried = 0
    texts = []
    for number in numbers:
        tools = some_tools(number)
        for seed, (choice, tool, several) in enumerate(
            (
                ("required", "", False),
                ("required", "", True),
                ("required", tools.names[0], False),
                ("auto", "", True),
                ("none", "", True),
            )
        ):
            tried += 1
            text, finished = say(
                engine, grammar(notation, tools, choice, tool=tool, several=several), 5 * number + seed
            )
            if not finished:
                continue
            texts.append(text)
            reply = read(notation_named(notation), text, tools)
            assert reply.bad_calls == (), text
            assert not reply.repaired, text
            assert fits(reply, choice, tool, several), text
            for call in reply.calls:
                jsonschema.Draft202012Validator(dict(tools[call.name].parameters)).validate(dict(call.arguments))
    assert len(texts) >= 0.95 * tried
    assert len(set(texts)) >= 0.8 * len(texts)


def some_tools(number: int) -> Toolset:
    """Every second set without a bound on the length of strings."""
    specs = made_up_tools.some_tools(random.Random(f"tools {number}"), longest=24)
    if number % 2:
        specs = [ToolSpec(spec.name, "", unbounded(spec.parameters)) for spec in specs]
    return Toolset(specs)


def unbounded(schema: Any) -> Any:
    if isinstance(schema, list):
        return [unbounded(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: unbounded(each) for key, each in schema.items() if key != "maxLength"}


def fits(reply: Reply, choice: str, tool: str, several: bool) -> bool:
    if choice == "none":
        return not reply.calls and bool(reply.raw)
    if choice == "auto":
        return bool(reply.calls) or bool(reply.raw)
    named = all(call.name == tool for call in reply.calls) or not tool
    return bool(reply.calls) and named and not reply.text and (several or len(reply.calls) == 1)


ENDS = dict.fromkeys(("<eos>", '"', '<|"|>', "<escape>"), 2.0)


def say(
    engine: Any, made: Grammar, seed: int, most: int = 800, likely: Mapping[str, float] = ENDS
) -> tuple[str, bool]:
    """What the model says, flat and hot, but that some tokens are more likely: those that end strings and replies."""
    bias = [[tiny_gemma.ids(token)[0], more] for token, more in likely.items()]
    settings = {**tiny_gemma.FLAT_AND_HOT, "logit_bias": [*tiny_gemma.FLAT_AND_HOT["logit_bias"], *bias]}
    said: tuple[str, bool] = engine.complete(
        "Hello",
        grammar=made.gbnf,
        preserved_tokens=list(made.preserved_tokens),
        max_tokens=most,
        seed=seed,
        **settings,
    )
    return said


FIRST = {
    "function_call": "FUNCTION_CALL:",
    "json": '{"name":',
    "tool_code": "```tool_code",
    "gemma4": "<|tool_call>",
    "functiongemma": "<start_function_call>",
}
"""The token that begins a call and nothing else; `[` of the notation `pythonic` may begin an answer too."""


@pytest.mark.parametrize("notation", FIRST)
def test_a_model_may_call_where_it_may_answer(engine: Any, notation: str) -> None:
    properties = {"days": {"type": "integer"}, "city": {"type": "string"}}
    tools = Toolset([ToolSpec("get_time", "", {"type": "object", "properties": properties})])
    made = grammar(notation, tools, "auto")
    replies = []
    for seed in range(15):
        text, finished = say(engine, made, seed, 200, {**dict.fromkeys(ENDS, 4.0), FIRST[notation]: 6.0})
        if finished:
            replies.append(read(notation_named(notation), text, tools))
    assert [reply.raw for reply in replies if reply.bad_calls] == []
    assert sum(bool(reply.calls) for reply in replies) >= 3


@pytest.mark.parametrize("choice", ["auto", "required", "none"])
@pytest.mark.parametrize("notation", ["gemma4", "function_call"])
@pytest.mark.parametrize("tries", [6, pytest.param(20, marks=pytest.mark.long)])
def test_a_model_may_think_before_it_answers_or_calls(engine: Any, notation: str, choice: Choice, tries: int) -> None:
    opening, closing = GEMMA4.thought
    thoughtful = 0
    for seed in range(tries):
        tools = some_tools(seed)
        made = grammar(notation, tools, choice, thoughts=True)
        likely = {**ENDS, "<|channel>": 12.0 if seed % 2 else -12.0, closing: 4.0}
        text, finished = say(engine, made, seed, likely=likely)
        if not finished:
            continue
        reply = read(notation_named(notation), text, tools)
        assert reply.bad_calls == (), text
        assert fits(reply, choice, "", True), text
        for call in reply.calls:
            jsonschema.Draft202012Validator(dict(tools[call.name].parameters)).validate(dict(call.arguments))
        if text.startswith(opening):
            thoughtful += 1
            thought, _, said = text.removeprefix(opening).partition(closing)
            alone = read(notation_named(notation), said, tools)
            assert reply.thoughts.strip() == thought.strip()
            assert (reply.text.strip(), reply.calls) == (alone.text.strip(), alone.calls)
            assert not reply.repaired or notation != "gemma4", text
    assert tries / 4 <= thoughtful <= tries * 3 / 4


@pytest.mark.parametrize(("notation", "mark"), [("gemma4", '<|"|>'), ("functiongemma", "<escape>")])
def test_the_mark_behind_a_string_is_never_taken_for_text(engine: Any, notation: str, mark: str) -> None:
    """However likely it is: a string may not be empty, or end like a further key, or is a beginning of the mark."""
    properties = {"sign": {"enum": ["<", "<=", "a<", "<|"]}, "text": {"type": "string", "minLength": 1}}
    parameters = {"type": "object", "properties": properties, "required": ["sign", "text"]}
    tools = Toolset([ToolSpec("filter", "", parameters)])
    made = grammar(notation, tools, "required", several=False)
    for seed in range(40):
        likely = {mark: 5.0, ",": 6.0, ":": 5.0} if seed % 2 else {mark: 6.0}
        text, finished = say(engine, made, seed, 300, likely)
        reply = read(notation_named(notation), text, tools)
        assert [call.name for call in reply.calls] == ["filter"] * finished, text


@pytest.mark.long
@each_notation
@pytest.mark.parametrize("choice", ["required", "auto"])
def test_hundred_tools_are_built_and_compiled_in_fifty_milliseconds(
    engine: Any, notation: str, choice: Choice
) -> None:
    tools = list(map(made_up_tools.typical_tool, range(100)))  # no toolset, of which it would be kept
    made = grammar(notation, tools, choice)  # what is worked out once in a process is
    nothing = Grammar('root ::= "FUNCTION_CALL" [a-z]+')

    def once(sampled: Grammar) -> None:
        say(engine, sampled, 1, most=1)

    build = quickest(lambda: grammar(notation, tools, choice))
    compiling = quickest(lambda: once(made)) - quickest(lambda: once(nothing))
    print(
        f"{notation}, {choice}: built in {build * 1000:.1f} ms, compiled in {compiling * 1000:.1f} ms, "
        f"{len(made.gbnf)} characters"
    )
    assert build + compiling <= 0.05


def quickest(run: Callable[[], object]) -> float:
    """The seconds of processor time, the engine's threads included, of the quickest of some runs."""
    taken = []
    for _ in range(30):
        begun = time.process_time()
        run()
        taken.append(time.process_time() - begun)
    return min(taken)
