"""A JSON Schema as the native declarations can hold it: one type in every part, and words for what has no place.

References and `allOf` are filled in by `schemas.flat`. A union with null becomes the other type with `nullable`;
any other union becomes the type that takes most, and its description says what is allowed. What a part leaves open
is a text. A schema that needs none of this stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from gemmagraph.prompts.checking import schemas
from gemmagraph.prompts.messages import JSON

_BY_WIDTH: Final = ("string", "object", "array", "number", "integer", "boolean")
"""Of the types of a union, the first of these stands for all: a text can hold whatever the others can."""


def simple(parameters: Mapping[str, JSON]) -> dict[str, JSON]:
    """The schema of a tool's arguments, every part with exactly one type."""
    return _part(schemas.flat(parameters, keep_null=True), told=False)


def _part(schema: Mapping[str, JSON], told: bool = True) -> dict[str, JSON]:
    """`schema` with one type; `told`: its description says what has no place."""
    found, words = _typed(schema)
    if "properties" in found and isinstance(found["properties"], Mapping):
        found["properties"] = {name: _part(inner) for name, inner in found["properties"].items()}
    if isinstance(found.get("items"), Mapping) and found["items"]:
        found["items"] = _part(found["items"], told=False)
    if told:
        words += _words(found)
    if words:
        found["description"] = f"{found.get('description') or ''} ({', '.join(words)})".strip()
    return found


def _typed(schema: Mapping[str, JSON]) -> tuple[dict[str, JSON], list[str]]:
    """`schema` with one type and no union, and the words for what that leaves out."""
    found = dict(schema)
    branches = [*found.pop("anyOf", ()), *found.pop("oneOf", ())]
    if isinstance(found.get("type"), list):
        branches += [{"type": kind} for kind in found.pop("type")]
    if "const" in found:
        found.setdefault("enum", [found.pop("const")])
    others = [branch for branch in branches if branch.get("type") != "null"]
    if len(others) < len(branches) or None in found.get("enum", ()):
        found["nullable"] = True
    if "enum" in found:
        found["enum"] = [value for value in found["enum"] if value is not None]
    words: list[str] = []
    if len(others) == 1:
        found = {**others[0], **found}
        return _typed(found) if {"anyOf", "oneOf", "const"} & found.keys() else (found, words)
    if others:
        choices = _choices(others)
        found["type"] = _widest(others)
        if choices is not None and found["type"] == "string":
            found.setdefault("enum", choices)
        else:
            words.append(schemas.type_words({"anyOf": others}))
    found.setdefault("type", _guessed(found))
    return found, words


def _choices(branches: Sequence[Mapping[str, JSON]]) -> list[JSON] | None:
    """All the values that the branches name one by one; None if one of them does not."""
    found: list[JSON] = []
    for branch in branches:
        if "const" in branch:
            found.append(branch["const"])
        elif "enum" in branch:
            found += branch["enum"]
        else:
            return None
    return found


def _widest(branches: Sequence[Mapping[str, JSON]]) -> str:
    kinds = {str(_typed(branch)[0]["type"]) for branch in branches}
    return next((kind for kind in _BY_WIDTH if kind in kinds), "string")


def _guessed(schema: Mapping[str, JSON]) -> str:
    """The type of a part that names none."""
    if "properties" in schema or "additionalProperties" in schema:
        return "object"
    if "items" in schema:
        return "array"
    kinds = {_kind(value) for value in schema.get("enum", ())}
    return next((kind for kind in _BY_WIDTH if kind in kinds), "string")


def _kind(value: JSON) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) else "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _words(schema: dict[str, JSON]) -> list[str]:
    """What a declaration has no place for, in words."""
    words = []
    values = schema.get("enum")
    if values and (schema["type"] != "string" or not all(isinstance(value, str) for value in values)):
        words.append(f"one of {', '.join(json.dumps(value, ensure_ascii=False) for value in values)}")
        del schema["enum"]
    bounds = schemas.note({**schema, "description": ""})
    if bounds:
        words.append(bounds[1:-1])
    if isinstance(schema.get("format"), str):
        words.append(f"format {schema['format']}")
    if schema["type"] == "object" and schema.get("additionalProperties"):
        inner = schema["additionalProperties"]
        words.append(f"any keys, values: {schemas.type_words(inner)}" if isinstance(inner, Mapping) else "any keys")
    if "default" in schema:
        words.append(f"default {json.dumps(schema['default'], ensure_ascii=False)}")
    return words
