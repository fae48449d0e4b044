"""Calls, results and values as the native notations spell them: no spaces, keys in order, texts without escapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from gemmagraph.prompts.defuse import Defuser
from gemmagraph.prompts.messages import JSON, ToolCall, ToolResult
from gemmagraph.prompts.native.bare import KEY_AT_END
from gemmagraph.prompts.native.marks import Marks
from gemmagraph.prompts.notations.writing import escape_marks, quoted
from gemmagraph.prompts.turns import ALL_MARKS

Spell: TypeAlias = Callable[[str], str]
"""How a text is written."""

_MARKS = Defuser(ALL_MARKS)
_KEY = re.compile(r"[^\W\d][\w.@$-]{0,79}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_KEY_LENGTH = 200


def write_call(marks: Marks, name: str, arguments: Mapping[str, JSON]) -> str:
    """A call as the model writes it: `<|tool_call>call:NAME{k:v}<tool_call|>`."""

    def spell(words: str) -> str:
        # A mark inside would be one there too, and what looks like a further key would be in doubt.
        doubtful = KEY_AT_END.search(words, max(0, len(words) - _KEY_LENGTH)) or _SURROGATE.search(words)
        return as_json(words) if doubtful or _MARKS.finds(words) else delimited(marks)(words)

    return f"{marks.call}call:{name}{value(arguments, spell)}{marks.call_end}"


def write_calls(marks: Marks, calls: Sequence[ToolCall]) -> str:
    return "".join(write_call(marks, call.name, call.arguments) for call in calls)


def show_call(name: str, arguments: Mapping[str, JSON]) -> str:
    """A call as a message to the model shows it: such a text can hold no marks, so there are quotes instead."""
    return f"call:{name}{value(arguments, as_json)}"


def write_results(marks: Marks, results: Sequence[ToolResult]) -> str:
    """Results as the model is shown them; what is no object is the `value` or the `error` of one."""
    spell = delimited(marks)
    return "".join(
        f"{marks.result}response:{result.name}{value(_mapping(result), spell)}{marks.result_end}"
        for result in results
    )


def _mapping(result: ToolResult) -> Mapping[str, JSON]:
    if result.is_error:
        return {"error": result.content}
    return result.content if isinstance(result.content, Mapping) else {"value": result.content}


def value(item: JSON, spell: Spell) -> str:
    """A JSON value, the keys in the order of `in_order`."""
    if isinstance(item, str):
        return spell(item)
    if isinstance(item, bool):
        return "true" if item else "false"
    if item is None:
        return "null"
    if isinstance(item, Mapping):
        pairs = (f"{_key(name, spell)}:{value(inner, spell)}" for name, inner in in_order(item))
        return "{" + ",".join(pairs) + "}"
    if isinstance(item, list | tuple):
        return "[" + ",".join(value(inner, spell) for inner in item) + "]"
    return repr(item)


def in_order(item: Mapping[str, JSON]) -> Iterable[tuple[str, JSON]]:
    """Keys by their letters, whatever their case: so the models' own templates sort them."""
    return sorted(((str(name), inner) for name, inner in item.items()), key=lambda pair: pair[0].lower())


def delimited(marks: Marks) -> Spell:
    """Texts as they are, between the delimiters of the family."""
    return lambda words: f"{marks.quote}{words}{marks.quote}"


def as_json(words: str) -> str:
    """A text in double quotes, with every mark in it escaped."""
    return escape_marks(quoted(words))


def _key(name: str, spell: Spell) -> str:
    return name if _KEY.fullmatch(name) else spell(name)
