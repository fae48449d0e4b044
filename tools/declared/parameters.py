"""What is wrong with the JSON Schema of a tool's arguments, each fault at its key.

A word that JSON Schema does not know says nothing there. One that is nearly a word that it knows is a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from gemmagraph.prompts.checking.parameters import ASSERTIONS, prepare
from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.messages import ToolSpec
from gemmagraph.tools.declared.nodes import KeyPath
from gemmagraph.tools.declared.problems import nearest
from gemmagraph.tools.errors import Fault
from gemmagraph.tools.hints import closed

_NAME: Final = "x"
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_WORDS: Final = (*sorted(ASSERTIONS), "$defs", "const", "default", "description")
"""Those of which it matters that they are written right."""
_OTHER_WORDS: Final = (
    *("$anchor", "$comment", "$dynamicRef", "$id", "$recursiveRef", "$schema", "$vocabulary", "contentEncoding"),
    *("contentMediaType", "contentSchema", "definitions", "deprecated", "example", "examples", "nullable"),
    *("readOnly", "title", "writeOnly"),
)
_KNOWN: Final = frozenset((*_WORDS, *_OTHER_WORDS))
_LIKENESS: Final = 0.8
_OF_NAMES: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_OF_VALUES: Final = ("enum", "const", "default", "example", "examples", "required", "dependentRequired")
_MOST_LOOKED_AT: Final = 40


def misspelt_keywords(parameters: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str, str]]:
    """Where a word stands, the word, and the one that is meant."""
    strange = ((path, word) for path, schema in _schemas(parameters, ()) for word in _strange(schema))
    for path, word in islice(strange, _MOST_LOOKED_AT):
        if meant := _meant(word):
            yield path, word, meant


def misspelt(parameters: Any) -> bool:
    """Whether what a tool's arguments are may stand under another word."""
    return isinstance(parameters, Mapping) and any(map(_meant, islice(_strange(parameters), _MOST_LOOKED_AT)))


def _strange(schema: Mapping[str, Any]) -> Iterator[str]:
    return (word for word in schema if word not in _KNOWN and not word.startswith("x-"))


@lru_cache(maxsize=256)
def _meant(word: str) -> str | None:
    alike = [known for known in _WORDS if known[0] == word[:1].lower() or known[-1] == word[-1:].lower()]
    return nearest(word, alike, _LIKENESS)


def _schemas(schema: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """A schema, and all that stand in it."""
    if isinstance(schema, Mapping):
        yield path, schema
        for word, value in schema.items():
            if word in _OF_NAMES and isinstance(value, Mapping):
                for name, one in value.items():
                    yield from _schemas(one, (*path, word, name))
            elif word in _KNOWN and word not in _OF_VALUES:
                yield from _schemas(value, (*path, word))
    elif isinstance(schema, list):
        for index, one in enumerate(schema):
            yield from _schemas(one, (*path, index))


def schema_faults(parameters: Mapping[str, Any]) -> list[Fault]:
    """The first fault of each property, else the first of the whole."""
    if (wrong := _wrong(parameters)) is None:
        return []
    rest = {key: value for key, value in parameters.items() if key != "required"}
    each = ((name, _wrong({**rest, "properties": {name: one}})) for name, one in _properties(parameters).items())
    own = [_fault(problem) for name, problem in each if problem and f".properties.{name}" in problem.message]
    return own or [_fault(wrong)]


def _properties(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    found = parameters.get("properties")
    return found if isinstance(found, Mapping) else {}


def _wrong(parameters: Mapping[str, Any]) -> NotationError | None:
    try:
        prepare(ToolSpec(_NAME, "", closed(dict(parameters), _NAME)))
    except NotationError as problem:
        return problem
    return None


def _fault(problem: NotationError) -> Fault:
    """The key is taken out of the message, where it stands at the beginning."""
    said = problem.message.removeprefix(f"Tool {_NAME!r}: ")
    where, found, rest = said.partition(" is ")
    if not found or not where.startswith("parameters"):
        return Fault(("parameters",), said, problem.hint or "")
    steps = [name or int(index) for name, index in _STEP.findall(where.removeprefix("parameters"))]
    return Fault(("parameters", *steps), f"is {rest}", problem.hint or "")
