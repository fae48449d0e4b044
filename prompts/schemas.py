"""A JSON Schema in words that fit into a declaration: types, choices, bounds, defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from gemmagraph.prompts.messages import JSON, ToolSpec

_BOUNDS: Final = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "like {}",
}
_MAX_DEPTH = 5


def signature(spec: ToolSpec) -> str:
    """The tool as a line: `get_weather(city: string, days: integer = 3)`, required parameters as declared."""
    required = set(spec.parameters.get("required", ()))
    pieces = []
    for name, schema in properties(spec.parameters).items():
        piece = f"{name}: {type_words(schema, spec.parameters)}"
        if isinstance(schema, Mapping) and "default" in schema:
            piece += f" = {json.dumps(schema['default'], ensure_ascii=False)}"
        elif name not in required:
            piece += " (optional)"
        pieces.append(piece)
    return f"{spec.name}({', '.join(pieces)})"


def properties(schema: Mapping[str, JSON]) -> Mapping[str, JSON]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def notes(schema: JSON) -> str:
    """What a parameter's declaration says beside its type: description, bounds, format."""
    if not isinstance(schema, Mapping):
        return ""
    said = [str(schema.get("description") or "").strip()]
    limits = [words.format(schema[key]) for key, words in _BOUNDS.items() if key in schema]
    if limits:
        said.append("(" + ", ".join(limits) + ")")
    return " ".join(piece for piece in said if piece)


def type_words(schema: JSON, root: Mapping[str, JSON], depth: int = _MAX_DEPTH) -> str:
    """The type of a value in the words a model knows: `string`, `"a" | "b"`, `list of integer`, `{x: number}`."""
    if not isinstance(schema, Mapping) or depth == 0:
        return "any"
    schema = _resolved(schema, root)
    if "enum" in schema:
        return _choices(schema["enum"])
    if "const" in schema:
        return _choices([schema["const"]])
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), Sequence):
            return " | ".join(dict.fromkeys(type_words(each, root, depth - 1) for each in schema[key]))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(dict.fromkeys(type_words({**schema, "type": each}, root, depth - 1) for each in kind))
    if kind == "array":
        items = schema.get("items")
        return f"list of {type_words(items, root, depth - 1)}" if items else "list"
    if kind == "object" and properties(schema):
        return _object_words(schema, root, depth)
    if kind == "string" and isinstance(schema.get("format"), str):
        return f"string ({schema['format']})"
    return str(kind) if kind else "any"


def _object_words(schema: Mapping[str, JSON], root: Mapping[str, JSON], depth: int) -> str:
    required = set(schema.get("required", ()))
    inside = (
        f"{name}{'' if name in required else '?'}: {type_words(inner, root, depth - 1)}"
        for name, inner in properties(schema).items()
    )
    return "{" + ", ".join(inside) + "}"


def _choices(values: Sequence[JSON]) -> str:
    return " | ".join(json.dumps(value, ensure_ascii=False) for value in values)


def _resolved(schema: Mapping[str, JSON], root: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """`schema` with a local `$ref` followed, a few steps far."""
    for _ in range(_MAX_DEPTH):
        target = schema.get("$ref")
        if not isinstance(target, str) or not target.startswith("#/"):
            return schema
        found: JSON = root
        for step in target[2:].split("/"):
            found = found.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, Mapping) else {}
        if not isinstance(found, Mapping):
            return {}
        schema = {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
    return {}
