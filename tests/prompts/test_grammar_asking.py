"""Who has a grammar, and what it costs to ask for one."""

from __future__ import annotations

import functools
import gc
import random
import weakref
from collections.abc import Callable, Sequence
from cProfile import Profile

import made_up_tools
import pytest
from grammars import TOOLS, each_notation, matcher, written

from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.grammar.calls import Choice, Grammar, grammar
from gemmagraph.prompts.messages import ToolCall, ToolSpec
from gemmagraph.prompts.notation import register_notation
from gemmagraph.prompts.notations.function_call import FunctionCall
from gemmagraph.prompts.toolset import Toolset


def test_unknown_names_are_refused() -> None:
    with pytest.raises(NotationError, match="'morse'"):
        grammar("morse", TOOLS)
    with pytest.raises(NotationError, match="'get_wether'") as caught:
        grammar("json", TOOLS, "required", tool="get_wether")
    assert "get_weather" in (caught.value.hint or "")


class Loud(FunctionCall):
    name = "loud"

    def declare(self, tools: Toolset) -> str:
        return super().declare(tools).upper()


class Arrow(FunctionCall):
    """Writes `-> now`, of tools that take no arguments."""

    name = "arrow"

    def write_calls(self, calls: Sequence[ToolCall]) -> str:
        return "".join(f"-> {call.name}\n" for call in calls)


class HeldArrow(Arrow):
    def grammar(self, tools: Toolset, choice: Choice, *, tool: str, several: bool, thoughts: bool) -> Grammar:
        names = " | ".join(f'"{name}"' for name in ([tool] if tool else tools.names))
        return Grammar(f'root ::= ("-> " ({names}) "\\n"){"+" if several else ""}\n')


def test_a_notation_of_a_users_own_has_the_grammar_of_the_one_whose_calls_it_writes() -> None:
    register_notation("loud", Loud)
    assert grammar("loud", TOOLS) == grammar(Loud(), TOOLS) == grammar("function_call", TOOLS)


def test_a_notation_that_writes_calls_in_its_own_way_is_asked_for_its_grammar() -> None:
    register_notation("arrow", HeldArrow)
    text = written("arrow", ("get_weather", {}), ("get_time", {}))
    assert matcher("arrow", TOOLS, "required").accepts(text)
    assert not matcher("arrow", TOOLS, "required", several=False).accepts(text)
    assert not matcher("arrow", TOOLS, "required", tool="get_time").accepts(text)
    with pytest.raises(NotationError, match="'get_tim'"):
        grammar("arrow", TOOLS, tool="get_tim")


def test_a_notation_that_takes_the_place_of_a_built_in_one_has_its_own_grammar() -> None:
    tools = Toolset(TOOLS)
    before = grammar("json", tools)
    register_notation("json", HeldArrow)
    assert grammar("json", tools) == grammar(HeldArrow(), tools) != before


def test_a_notation_without_a_grammar_says_so() -> None:
    with pytest.raises(NotationError, match="no grammar for the notation 'arrow'") as caught:
        grammar(Arrow(), TOOLS)
    assert "`grammar`" in (caught.value.hint or "")


def calls_made(run: Callable[[], object]) -> int:
    """How many functions of Python and C are called in a run."""
    profile = Profile()
    profile.runcall(run)
    return sum(each.callcount for each in profile.getstats())


def test_asked_again_a_grammar_costs_the_same_however_many_tools_there_are() -> None:
    work = []
    for count in (2, 40):
        tools = Toolset(map(made_up_tools.typical_tool, range(count)))
        asks = [
            functools.partial(grammar, "gemma4", tools, "required", several=several, tool=tool)
            for several, tool in ((True, ""), (False, ""), (True, "tool_number_1"))
        ]
        first = [ask() for ask in asks]
        assert all(ask() is made for ask, made in zip(asks, first, strict=True))
        assert len({made.gbnf for made in first}) == len(asks)
        work.append([calls_made(ask) for ask in asks])
    assert work[0] == work[1]
    assert max(work[0]) < 50


def test_only_so_many_grammars_are_kept_and_none_without_its_tools() -> None:
    tools = Toolset(map(made_up_tools.typical_tool, range(60)))
    made = [grammar("json", tools, "required", tool=name) for name in tools.names]
    kept = [
        grammar("json", tools, "required", tool=name) is each for name, each in zip(tools.names, made, strict=True)
    ]
    assert sum(kept) < 20
    gone = weakref.ref(tools)
    del tools
    gc.collect()
    assert gone() is None


@each_notation
def test_a_grammar_grows_no_faster_than_its_tools(notation: str) -> None:
    @functools.cache
    def size(count: int) -> int:
        chance = random.Random("tools to count")
        specs = [made_up_tools.some_tools(chance, 1)[0] for _ in range(count)]
        tools = Toolset([ToolSpec(f"tool_{place}", "", spec.parameters) for place, spec in enumerate(specs)])
        return len(grammar(notation, tools, "required").gbnf)

    assert size(200) - size(100) < 1.5 * (size(100) - size(10))
    keys = {f"key_{number}": {"type": "integer"} for number in range(400)}
    wide = ToolSpec("wide", "", {"type": "object", "properties": keys, "required": list(keys)[::7]})
    assert len(grammar(notation, [wide], "required").gbnf) < 80_000
