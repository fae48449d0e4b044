"""A JSON Schema as a declaration tells it: flattened, and in words for types, choices, bounds, defaults."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from gemmagraph.prompts.checking.formats import STANDARD
from gemmagraph.prompts.messages import JSON

_MAPS: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords whose value is an object of schemas."""
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_PARTS: Final = frozenset(
    {"items", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else", "unevaluatedItems",
     "unevaluatedProperties"}
)  # fmt: skip
_DEEPEST: Final = 8
_MOST_PARTS: Final = 500
"""A schema from elsewhere may hold, by reference, more parts than a prompt has room for."""
_LEFT_OUT: Final = frozenset({"title", "$schema", "$id", "$comment", "$defs", "definitions", "$ref", "allOf"})
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
_RANGES: Final = {
    ("minimum", "maximum"): "{} to {}",
    ("minLength", "maxLength"): "{} to {} characters",
    ("minItems", "maxItems"): "{} to {} items",
}


def flat(parameters: Mapping[str, JSON], keep_null: bool = False) -> dict[str, JSON]:
    """The schema of a tool's arguments for a model: every `$ref` and `allOf` filled in, without what only a
    validator needs. Where a part holds itself it ends, as a part that may be anything.

    Args:
        parameters: the schema.
        keep_null: whether to say of what may be left out that it may be null too.
    """
    return {"type": "object", "properties": {}, **_Flattening(parameters, keep_null).part(parameters, 0, ())}


def moved(schema: JSON, place: str) -> JSON:
    """A schema as it reads when its root stands at `place`, a JSON pointer such as `#/$defs/x`."""

    def pointed(part: dict[str, JSON]) -> dict[str, JSON]:
        target = part.get("$ref")
        return {**part, "$ref": place + target[1:]} if isinstance(target, str) and target[:1] == "#" else part

    if isinstance(schema, Mapping):
        schema = {key: value for key, value in schema.items() if key not in ("$schema", "$id")}
    return changed(schema, pointed)


def standard(parameters: Mapping[str, JSON]) -> dict[str, JSON]:
    """The schema of a tool's arguments for others: without formats that only we know."""

    def known(part: dict[str, JSON]) -> dict[str, JSON]:
        instead = STANDARD.get(part["format"]) if isinstance(part.get("format"), str) else None
        if instead is None:
            return part
        rest = {key: value for key, value in part.items() if key != "format"}
        return {**rest, "format": instead} if instead else rest

    found: dict[str, JSON] = changed(parameters, known)
    return found


def changed(schema: JSON, change: Callable[[dict[str, JSON]], dict[str, JSON]]) -> JSON:
    """A schema with `change` made to every schema in it and to itself, the inner ones first."""
    if not isinstance(schema, Mapping):
        return schema
    found: dict[str, JSON] = {}
    for keyword, value in schema.items():
        if keyword in _MAPS and isinstance(value, Mapping):
            found[keyword] = {key: changed(inner, change) for key, inner in value.items()}
        elif keyword in _LISTS and isinstance(value, list):
            found[keyword] = [changed(inner, change) for inner in value]
        else:
            found[keyword] = changed(value, change) if keyword in _PARTS else value
    return change(found)


class _Flattening:
    def __init__(self, root: Mapping[str, JSON], keep_null: bool) -> None:
        self._root = root
        self._keep_null = keep_null
        self._left = _MOST_PARTS

    def part(self, schema: JSON, depth: int, inside: tuple[str, ...]) -> dict[str, JSON]:
        """`schema` flattened; `inside` are the references that were followed to come here."""
        if not isinstance(schema, Mapping) or depth > _DEEPEST:
            return {}
        whole, inside = self._merged(schema, inside)
        found: dict[str, JSON] = {}
        for key, value in whole.items():
            if key in _LEFT_OUT or (key, value) in (("default", None), ("additionalProperties", False)):
                continue
            if key == "properties" and isinstance(value, Mapping):
                required = value if self._keep_null else whole.get("required", ())
                parts = {name: self.part(inner, depth + 1, inside) for name, inner in value.items()}
                found[key] = {name: part if name in required else _without_null(part) for name, part in parts.items()}
            elif key in ("items", "additionalProperties") and isinstance(value, Mapping):
                found[key] = self.part(value, depth + 1, inside)
            elif key in ("anyOf", "oneOf", "prefixItems"):
                found[key] = [self.part(each, depth + 1, inside) for each in value]
            elif key == "format":
                found[key] = STANDARD.get(str(value)) or value
            else:
                found[key] = value
        return found

    def _merged(self, schema: Mapping[str, JSON], inside: tuple[str, ...]) -> tuple[dict[str, JSON], tuple[str, ...]]:
        """`schema` with what its `$ref` and `allOf` add, and the references followed."""
        self._left -= 1
        target = schema.get("$ref")
        if self._left < 0 or target in inside:
            return {}, inside
        parts = list(schema.get("allOf", ()))
        if isinstance(target, str):
            inside = (*inside, target)
            parts.insert(0, self._target(target))
        whole: dict[str, JSON] = {}
        for part in parts:
            if isinstance(part, Mapping):
                merged, inside = self._merged(part, inside)
                whole = _both(whole, merged)
        return _both(whole, schema), inside

    def _target(self, reference: str) -> JSON:
        found: JSON = self._root if reference.startswith("#") else {}
        for step in reference[1:].split("/")[1:]:
            found = found.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, Mapping) else {}
        return found


def _both(schema: Mapping[str, JSON], other: Mapping[str, JSON]) -> dict[str, JSON]:
    """What two schemas say together; of a keyword in both the other's counts."""
    found = {**schema, **other}
    if "properties" in schema and "properties" in other:
        found["properties"] = {**schema["properties"], **other["properties"]}
    if "required" in schema and "required" in other:
        found["required"] = [*schema["required"], *other["required"]]
    return found


def _without_null(schema: dict[str, JSON]) -> dict[str, JSON]:
    """What may be left out need not be given as null: small models then write null, or "null", for no reason."""
    if isinstance(schema.get("type"), list):
        kinds = [kind for kind in schema["type"] if kind != "null"]
        return {**schema, "type": kinds[0] if len(kinds) == 1 else kinds}
    branches = [branch for branch in schema.get("anyOf", ()) if branch != {"type": "null"}]
    if len(branches) == 1:
        return {**branches[0], **{key: value for key, value in schema.items() if key != "anyOf"}}
    return {**schema, "anyOf": branches} if branches else schema


# The functions below take what `flat` gives.


def signature(name: str, parameters: Mapping[str, JSON]) -> str:
    """The tool as a line: `get_weather(city: string, days: integer = 3)`, parameters in the declared order."""
    required = parameters.get("required", ())
    pieces = []
    for key, schema in parameters["properties"].items():
        piece = f"{key}: {type_words(schema)}"
        if "default" in schema:
            piece += f" = {json.dumps(schema['default'], ensure_ascii=False)}"
        elif key not in required:
            piece += " (optional)"
        pieces.append(piece)
    return f"{name}({', '.join(pieces)})"


def notes(schema: Mapping[str, JSON], path: str = "") -> Iterator[tuple[str, str]]:
    """What is said of each parameter beside its type, as name and words; of a field inside one by its path:
    `to.street`, `items[].count`."""
    for name, inner in schema.get("properties", {}).items():
        words = note(inner)
        if words:
            yield path + name, words
        yield from notes(inner, f"{path}{name}.")
    if path and isinstance(schema.get("items"), Mapping):
        yield from notes(schema["items"], f"{path.removesuffix('.')}[].")


def note(schema: Mapping[str, JSON]) -> str:
    """A description and bounds, on one line."""
    ranges = {keys: words for keys, words in _RANGES.items() if all(key in schema for key in keys)}
    alone = (key for key in _BOUNDS if key in schema and not any(key in keys for keys in ranges))
    said = [words.format(*(schema[key] for key in keys)) for keys, words in ranges.items()]
    limits = ", ".join([*said, *(_BOUNDS[key].format(schema[key]) for key in alone)])
    return " ".join(f"{schema.get('description') or ''} {f'({limits})' if limits else ''}".split())


def type_words(schema: Mapping[str, JSON]) -> str:
    """The type of a value in the words a model knows: `string`, `"a" | "b"`, `list of integer`, `{x: number}`."""
    if "enum" in schema:
        return _choices(schema["enum"])
    if "const" in schema:
        return _choices([schema["const"]])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " | ".join(dict.fromkeys(map(type_words, schema[key])))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(dict.fromkeys(type_words({**schema, "type": each}) for each in kind))
    if kind == "array":
        items = schema.get("items")
        return f"list of {type_words(items)}" if isinstance(items, Mapping) and items else "list"
    if kind in ("object", None) and schema.get("properties"):
        required = schema.get("required", ())
        inside = (
            f"{name}{'' if name in required else '?'}: {type_words(inner)}"
            for name, inner in schema["properties"].items()
        )
        return "{" + ", ".join(inside) + "}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {type_words(schema['additionalProperties'])}"
    if kind == "string" and isinstance(schema.get("format"), str):
        return f"string ({schema['format']})"
    return str(kind) if kind else "any"


def _choices(values: Sequence[JSON]) -> str:
    return " | ".join(json.dumps(value, ensure_ascii=False) for value in values)
