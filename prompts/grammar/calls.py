"""A grammar that lets a model write only calls as its notation writes them, with arguments as the tools declare them,
or an answer in plain words.

Every space is the one that `write_calls` writes. What may be said of values is in `values`, of strings and
answers in `texts`. `auto` needs no lazy mode: an answer cannot spell what begins a call, and calls may follow
it. The grammar ends with the last call, and so does the reply: no token that ends a turn stands in it, because an
engine ends there by itself and refuses a grammar that names such a token.

A grammar is made once for a toolset, and kept as long as the toolset is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias
from weakref import WeakKeyDictionary

from gemmagraph.prompts.checking.parameters import prepare
from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.grammar.gbnf import Rules, behind, factored, literal
from gemmagraph.prompts.grammar.texts import Strings, answer, thought
from gemmagraph.prompts.grammar.values import Found, Members, Style, Values
from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.prompts.native.marks import FUNCTIONGEMMA, GEMMA4, Marks
from gemmagraph.prompts.native.notations import FunctionGemma, Gemma4
from gemmagraph.prompts.native.writing import write_call as native_call
from gemmagraph.prompts.notation import Notation, notation_named
from gemmagraph.prompts.notations.function_call import FunctionCall
from gemmagraph.prompts.notations.json_call import JsonCall
from gemmagraph.prompts.notations.pythonic import Pythonic
from gemmagraph.prompts.notations.tool_code import ToolCode
from gemmagraph.prompts.notations.writing import KEY, NAME, escape_marks, json_value, python_value, quoted
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.turns import turn_format

Choice: TypeAlias = Literal["auto", "required", "none"]
"""An answer or calls; calls; an answer."""


@dataclass(frozen=True, slots=True)
class Grammar:
    gbnf: str
    """The grammar as llama.cpp takes it."""
    preserved_tokens: tuple[str, ...] = ()
    """Marks in it that are tokens: a server must be told to let them through as text."""


class WriteGrammar(Protocol):
    """The method `grammar` that a notation may have, where it writes calls as no built-in one does."""

    def __call__(self, tools: Toolset, choice: Choice, *, tool: str, several: bool, thoughts: bool) -> Grammar:
        """The grammar of a reply: what the function `grammar` gives of this notation. It is asked anew each time."""
        ...


def grammar(
    notation: str | Notation,
    tools: Toolset | Iterable[ToolSpec],
    choice: Choice = "auto",
    *,
    tool: str = "",
    several: bool = True,
    thoughts: bool = False,
) -> Grammar:
    """The grammar of a reply.

    Args:
        notation: how calls are written, or its name.
        tools: what may be called. Of the same `Toolset` the same grammar is made only once.
        choice: whether to call.
        tool: the only tool to call; "" for any.
        several: whether there may be more calls than one.
        thoughts: whether the reply may begin with a thought, as Gemma 4 marks it: for when thinking is switched on.

    Raises:
        NotationError: there is no grammar for the notation, no such tool, no call that could be written, or no way to
            mark a thought.
    """
    if isinstance(notation, str):
        notation = notation_named(notation)
    tools = Toolset.of(tools)
    if tool and tool not in tools:
        near = tools.nearest(tool)
        raise NotationError(f"There is no tool {tool!r}.", hint=f"Did you mean {near[0]!r}?" if near else "")
    own: WriteGrammar | None = getattr(notation, "grammar", None)
    if own is not None:
        return own(tools, choice, tool=tool, several=several, thoughts=thoughts)
    asked = _Asked(_written_as(notation), choice, tool, several, _around_thoughts(notation) if thoughts else None)
    kept = _kept.setdefault(tools, {})
    made = kept.get(asked)
    if made is None:
        if len(kept) >= _MOST_KEPT:
            kept.clear()
        made = kept[asked] = _made(tools, asked)
    return made


class _Asked(NamedTuple):
    """What of a toolset a grammar depends on. It must not lead to the toolset, which would then never be freed."""

    written_as: type[Notation]
    choice: Choice
    tool: str
    several: bool
    thought: tuple[str, str] | None


_kept: Final[WeakKeyDictionary[Toolset, dict[_Asked, Grammar]]] = WeakKeyDictionary()
_MOST_KEPT: Final = 16
"""Of one toolset: more than a run asks for, and less than one for each tool."""


def _written_as(notation: Notation) -> type[Notation]:
    """The built-in notation that writes calls as `notation` does: its class, or the one it has `write_calls` from."""
    for written_as in _SPELLINGS:
        if isinstance(notation, written_as) and type(notation).write_calls is written_as.write_calls:
            return written_as
    raise NotationError(
        f"There is no grammar for the notation {notation.name!r}.",
        hint="Give it a method `grammar`, as `WriteGrammar` in gemmagraph.prompts.grammar.calls says.",
    )


def _around_thoughts(notation: Notation) -> tuple[str, str]:
    marks = turn_format(notation.turns or GEMMA4.name).thought
    if not any(marks):
        raise NotationError(
            f"A model that writes calls in the notation {notation.name!r} does not think.",
            hint="Leave `thoughts` out.",
        )
    return marks


def _made(tools: Toolset, asked: _Asked) -> Grammar:
    spelling = _SPELLINGS[asked.written_as]
    callable_ = [tools[asked.tool]] if asked.tool else tools
    rules = Rules()
    calls = _calls(rules, spelling, callable_, asked.several) if asked.choice != "none" else None
    native, marks = bool(spelling.marks), spelling.marks
    if calls is None:
        if asked.choice == "required":
            raise NotationError("A call is required, but no tool can be called.", hint="Give some tools.")
        rules, marks = Rules(), ()
        root = answer(rules, native)
    elif asked.choice == "auto":
        follows = calls if native else f'"\\n" {calls}'
        root = f"{calls} | {answer(rules, native)} ({follows})?"
    else:
        root = calls
    if asked.thought:
        before, tokens = thought(rules, *asked.thought)
        root, marks = f"({before})? ({root})", (*marks, *tokens)
    return Grammar(rules.text(root), marks)


@dataclass(frozen=True, slots=True)
class _Call:
    """How the calls to one tool are spelled."""

    before: str
    """The text in front of the arguments."""
    arguments: Members
    style: Style


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How a notation spells calls. All but `call` are expressions."""

    call: Callable[[str], _Call]
    """From a tool's name."""
    between: str = ""
    around: tuple[str, str] = ("", "")
    """What stands before the first call and behind the last."""
    around_each: tuple[str, str] = ("", "")
    marks: tuple[str, ...] = ()
    """The tokens in all of it."""
    quote: str = ""
    """The one of them that stands for a quote."""


def _calls(rules: Rules, spelling: _Spelling, tools: Iterable[ToolSpec], several: bool) -> str | None:
    """The rule of calls to some tools; None if there is nothing to call."""
    strings = Strings(rules, spelling.quote)
    shared: Found = {}
    found = {}
    for spec in tools:
        call = spelling.call(spec.name)
        schema = prepare(spec)
        arguments = Values(rules, strings, call.style, schema, shared).members(schema, call.arguments)
        if arguments is not None:
            found[call.style.units(call.before)] = rules.rule(arguments)
    if not found:
        return None
    before, after = spelling.around_each
    rules.include([("call", behind(before, factored(found), after))])
    more = f"({spelling.between} call)*" if spelling.between else "call*"
    before, after = spelling.around
    return rules.rule(behind(before, "call", more if several else "", after), "calls")


# Values

_LETTERS: Final = "A-Za-zÀ-ÖØ-öø-ʯΑ-ΡΣ-ϵЀ-ҁҊ-ԯא-תؠ-يअ-हก-ะḀ-ἕぁ-ゖァ-ヺ一-鿿가-힣"
"""Of bare keys, for a class: not all that there are."""


def _json_key(key: str) -> tuple[str, str]:
    return f"{escape_marks(quoted(key))}: ", ""


def _argument(key: str) -> tuple[str, str]:
    if KEY.fullmatch(key):
        return f"{key}=", ""
    return f"**{{{_json_key(key)[0]}", "}"


def _any_argument(value: str) -> str:
    return f'([{_LETTERS}_] [0-9{_LETTERS}_]{{0,63}} "=" {value} | "**{{" string ": " {value} "}}")'


_MEMBERS: Final = Members(_json_key, lambda value: f'string ": " {value}')
_JSON: Final = Style("json", lambda value: escape_marks(json_value(value)), _MEMBERS, ", ")
_PYTHON: Final = Style("python", lambda value: escape_marks(python_value(value)), _MEMBERS, ", ")


# Calls


def _json_call(name: str) -> _Call:
    before = f'{{"name": {escape_marks(quoted(name))}, "arguments": {{'
    return _Call(before, replace(_MEMBERS, closer="}}"), _JSON)


def _python_call(name: str) -> _Call:
    if not NAME.fullmatch(name):
        return _json_call(name)
    return _Call(f"{name}(", Members(_argument, _any_argument, ")"), _PYTHON)


def _prefixed_call(name: str) -> _Call:
    call = _python_call(name)
    return replace(call, before=f"FUNCTION_CALL: {call.before}")


def _native(marks: Marks) -> _Spelling:
    def written(arguments: dict[str, JSON], before: str, behind: str) -> str:
        return native_call(marks, "", arguments).removeprefix(before).removesuffix(behind)

    start, end = f"{marks.call}call:{{", f"}}{marks.call_end}"
    members = Members(
        lru_cache(maxsize=4096)(lambda key: (written({key: None}, start, f"null{end}"), "")),
        lambda value: f'([{_LETTERS}_] [0-9{_LETTERS}_.@$\\x2D]{{0,79}} | string) ":" {value}',
    )
    style = Style(
        "native", lambda value: written({"k": value}, f"{start}k:", end), members, ",", marks.quote, is_sorted=True
    )
    return _Spelling(
        lambda name: _Call(f"call:{name}{{", members, style),
        around_each=(marks.call, marks.call_end),
        marks=(marks.call, marks.call_end, marks.quote),
        quote=marks.quote,
    )


_SPELLINGS: Final = MappingProxyType[type[Notation], _Spelling](
    {
        FunctionCall: _Spelling(_prefixed_call, between=literal("\n")),
        JsonCall: _Spelling(_json_call, between=literal("\n")),
        ToolCode: _Spelling(
            _python_call, between=literal("\n"), around=(literal("```tool_code\n"), literal("\n```"))
        ),
        Pythonic: _Spelling(_python_call, between=literal(", "), around=(literal("["), literal("]"))),
        Gemma4: _native(GEMMA4),
        FunctionGemma: _native(FUNCTIONGEMMA),
    }
)
