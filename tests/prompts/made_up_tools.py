"""Tools made up at random, arguments that fit them and arguments that do not: always the same from the same seed.

The arguments are such as a grammar offers: keys in the order in which they are declared, and no texts that are
written with an escape a grammar does not have (control marks, half characters), or that it does not let a model write
(see `spellable`).
"""

from __future__ import annotations

import copy
import math
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

from gemmagraph.prompts.defuse import Defuser
from gemmagraph.prompts.messages import ToolSpec
from gemmagraph.prompts.turns import ALL_MARKS

Schema = dict[str, Any]

KEYS = (
    "city", "days", "unit", "note", "to", "when", "limit", "items", "name", "type", "arguments", "description",
    "value", "Zone", "x-y", "a.b", "with space", "größe", "query", "f", "null", "_id", "2nd", 'k"q',
    "address", "tags", "next",
)  # fmt: skip
NAMES = (
    "get_weather", "get_time", "get_weather_forecast", "send_mail", "search", "fs.read", "create-file", "roll",
    "ns:tool", "get", "list_items", "find any thing",
)  # fmt: skip
WORDS = (
    "celsius", "fahrenheit", "high", "low", "a", "", "two words", "it's", 'say "hi"', "back\\slash", "line\nend", "ü",
    "<b>", "{x}", "[1]", "FUNCTION_CALL: f(", "null", "true", "5", "high-end",
)  # fmt: skip
BITS = (
    "a", "b", "Z", "7", " ", "é", "\U0001f600", "\u2028", "\t", "\n", '"', "'", "\\", "<", ">", "|", "<|", "|>",
    "<b>", "</p>", "`", "```", "{", "}", "[", "]", "(", ")", ",", ":", "=", "k=", "k:", "C:", "<unused",
    "<end_of_turn", "bos>", "FUNCTION_CALL:", "call:f{", "\x7f", "\r", "\x01", "\f", "None", "_", "-", ".", "/", "#",
)  # fmt: skip
_FORMATS: dict[str, Callable[[random.Random], str]] = {
    "date": lambda chance: f"20{chance.randrange(100):02}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
    "time": lambda chance: f"{chance.randrange(24):02}:{chance.randrange(60):02}:07{chance.choice(['Z', '+02:00'])}",
    "date-time": lambda chance: (
        f"2026-0{chance.randint(1, 9)}-{chance.randint(10, 28)}T09:{chance.randrange(60):02}:00Z"
    ),
    "date-time-local": lambda chance: f"2026-05-{chance.randint(10, 28)}T09:{chance.randrange(60):02}:00",
    "date-time-or-local": lambda chance: f"2026-05-{chance.randint(10, 28)}T09:30:00{chance.choice(['', 'Z'])}",
    "time-or-local": lambda chance: f"09:{chance.randrange(60):02}:07{chance.choice(['', '+02:00'])}",
    "uuid": lambda chance: "-".join(f"{chance.randrange(16**size):0{size}x}" for size in (8, 4, 4, 4, 12)),
    "email": lambda chance: f"ann{chance.randrange(1000)}@example.org",
    "uri": lambda chance: f"https://example.org/a/{chance.randrange(1000)}?q={chance.randrange(9)}#top",
    "ipv4": lambda chance: ".".join(str(chance.randrange(256)) for _ in range(4)),
}
_MARKS = Defuser(ALL_MARKS)
_KEY_AT_END = re.compile(r",\s*[^\s,:={}\[\]()<\"']+\s*[:=]\s*(?:<|\Z)")
NODE: Schema = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["next"],
    "additionalProperties": False,
}
BASE: Schema = {"type": "object", "properties": {"kind": {"enum": ["p", "q"]}}, "required": ["kind"]}


def typical_tool(place: int) -> ToolSpec:
    """A tool with five parameters, a little different in each place."""
    properties = {
        f"query_{place}": {"type": "string", "description": "What to look for."},
        "limit": {"type": "integer", "minimum": 1, "maximum": 100 + place},
        "order": {"enum": ["ascending", "descending", f"by field {place}"]},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 40}, "maxItems": 10},
        "area": {
            "type": "object",
            "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}, "name": {"type": "string"}},
            "required": ["lat", "lon"],
        },
    }
    required = [f"query_{place}", "area"]
    return ToolSpec(f"tool_number_{place}", "", {"type": "object", "properties": properties, "required": required})


def some_tools(chance: random.Random, most: int = 6, longest: int | None = None) -> list[ToolSpec]:
    """Tools of which no two are alike.

    Args:
        chance: where the chance comes from.
        most: how many there are at most.
        longest: how long any string may be, with nothing but ASCII in the schemas; None for without bounds.
    """
    names = chance.sample(NAMES, chance.randint(1, most))
    return [ToolSpec(name, "", _parameters(chance, longest)) for name in names]


def _parameters(chance: random.Random, longest: int | None) -> Schema:
    schema = _object(chance, 0, longest)
    schema.pop("additionalProperties", None)
    if "#/$defs/" in repr(schema):
        schema["$defs"] = {"node": _bounded(copy.deepcopy(NODE), longest), "base": BASE}
    return schema


def _bounded(schema: Schema, longest: int | None) -> Schema:
    if longest is not None:
        schema["properties"]["label"]["maxLength"] = longest
    return schema


def _object(chance: random.Random, depth: int, longest: int | None) -> Schema:
    keys = chance.sample(_writable(KEYS, longest), chance.randint(0 if depth == 0 and longest is None else 1, 5))
    schema: Schema = {"type": "object", "properties": {key: some_schema(chance, depth + 1, longest) for key in keys}}
    required = [key for key in keys if chance.random() < 0.5]
    if required:
        schema["required"] = required
    if depth:
        schema["additionalProperties"] = False
    elif chance.random() < 0.1 and len(keys) > 1:
        schema["minProperties"] = 2
    return schema


def some_schema(chance: random.Random, depth: int, longest: int | None) -> Schema:
    """The schema of a value."""
    kinds = [_string, _string, _enum, _enum, _integer, _integer, _number, _plain, _format, _union]
    if depth < 3:
        kinds += [_array, _array, _free, _reference, lambda *of: _object(of[0], of[1], of[2])]
    return chance.choice(kinds)(chance, depth, longest)


def _writable(words: tuple[str, ...], longest: int | None) -> list[str]:
    return [word for word in words if longest is None or word.isascii()]


def _string(chance: random.Random, depth: int, longest: int | None) -> Schema:
    schema: Schema = {"type": "string"}
    if chance.random() < 0.4:
        schema["minLength"] = chance.choice([0, 1, 2, 3, 6])
    if longest is not None or chance.random() < 0.4:
        schema["maxLength"] = schema.get("minLength", 0) + chance.choice([0, 1, 2, 3, 10, longest or 200])
    return schema


def _enum(chance: random.Random, depth: int, longest: int | None) -> Schema:
    if chance.random() < 0.2:
        return {"const": chance.choice([*_writable(WORDS, longest), 7, None, True])}
    members: list[Any] = chance.sample(_writable(WORDS, longest), chance.randint(1, 6))
    if chance.random() < 0.5:
        members += chance.sample([0, 1, 10, 12, -3, 1.5, 10**20, True, None, ["a", 1], {"a": [None]}], 3)
    return {"enum": members} if chance.random() < 0.7 else {"type": "string", "enum": [*members[:1], "one"]}


def _integer(chance: random.Random, depth: int, longest: int | None) -> Schema:
    schema: Schema = {"type": "integer"}
    low = chance.choice([-1000, -37, -1, 0, 1, 7, 99, 100, 12345])
    if chance.random() < 0.5:
        schema[chance.choice(["minimum", "exclusiveMinimum"])] = low
    if chance.random() < 0.5:
        schema[chance.choice(["maximum", "exclusiveMaximum"])] = low + chance.choice([2, 9, 10, 123, 10**6])
    if {"minimum", "maximum"} <= schema.keys() and schema["maximum"] - low < 200:
        schema["multipleOf"] = 2
    return schema


def _number(chance: random.Random, depth: int, longest: int | None) -> Schema:
    schema: Schema = {"type": "number"}
    low = chance.choice([-90, -1.5, 0, 0.25, 1, 99.9])
    if chance.random() < 0.5:
        schema[chance.choice(["minimum", "exclusiveMinimum"])] = low
    if chance.random() < 0.5:
        schema[chance.choice(["maximum", "exclusiveMaximum"])] = low + chance.choice([0.5, 1, 10.25, 1000])
    return schema


def _plain(chance: random.Random, depth: int, longest: int | None) -> Schema:
    return {"type": chance.choice(["boolean", "boolean", "null"])}


def _format(chance: random.Random, depth: int, longest: int | None) -> Schema:
    return {"type": "string", "format": chance.choice(list(_FORMATS))}


def _union(chance: random.Random, depth: int, longest: int | None) -> Schema:
    if chance.random() < 0.5:
        schema = _string(chance, depth, longest)
        return {**schema, "type": ["string", chance.choice(["null", "boolean"])]}
    branches = [some_schema(chance, depth + 1, longest), {"type": "null"}]
    if chance.random() < 0.4:
        branches.insert(1, _integer(chance, depth, longest))
    return {"anyOf": branches}


def _array(chance: random.Random, depth: int, longest: int | None) -> Schema:
    if chance.random() < 0.2:
        first = [some_schema(chance, depth + 1, longest) for _ in range(2)]
        return {"type": "array", "prefixItems": first, "items": False, "minItems": chance.randint(0, 2)}
    schema: Schema = {"type": "array", "items": some_schema(chance, depth + 1, longest)}
    if chance.random() < 0.5:
        schema["minItems"] = chance.randint(0, 2)
    if longest is not None or chance.random() < 0.5:
        schema["maxItems"] = chance.randint(schema.get("minItems", 0), 4)
    return schema


def _free(chance: random.Random, depth: int, longest: int | None) -> Schema:
    if longest is not None:
        return {"type": "object", "additionalProperties": _integer(chance, depth, longest), "maxProperties": 1}
    return chance.choice([{"type": "object"}, {}, {"type": "object", "additionalProperties": {"type": "integer"}}])


def _reference(chance: random.Random, depth: int, longest: int | None) -> Schema:
    own = {"properties": {"more": _integer(chance, depth, longest)}, "unevaluatedProperties": False}
    return chance.choice(
        [{"$ref": "#/$defs/node"}, {"$ref": "#/$defs/base", **own}, {"allOf": [{"$ref": "#/$defs/base"}], **own}]
    )


# Values


def some_arguments(chance: random.Random, spec: ToolSpec) -> dict[str, Any]:
    """Arguments that fit the tool, in the order in which it declares them."""
    value: dict[str, Any] = some_value(chance, dict(spec.parameters), spec.parameters.get("$defs", {}))
    return value


def some_value(chance: random.Random, schema: Schema, defs: Schema, depth: int = 0) -> Any:
    if "$ref" in schema or "allOf" in schema:
        return _merged_value(chance, schema, defs, depth)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        kinds = schema.get("type")
        return chance.choice([each for each in schema["enum"] if kinds != "string" or isinstance(each, str)])
    if "anyOf" in schema:
        branches = schema["anyOf"][-1:] if depth > 6 else schema["anyOf"]
        return some_value(chance, chance.choice(branches), defs, depth + 1)
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        kind = chance.choice(kind)
    return _MAKERS[kind](chance, schema, defs, depth)


def _merged_value(chance: random.Random, schema: Schema, defs: Schema, depth: int) -> Any:
    own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
    found = _some_object(chance, own, defs, depth) if "properties" in own else {}
    parts = [*schema.get("allOf", ()), *([{"$ref": schema["$ref"]}] if "$ref" in schema else [])]
    for part in parts:
        target = defs[part["$ref"].removeprefix("#/$defs/")]
        found |= some_value(chance, target, defs, depth + 1)
    return found


def _some_object(chance: random.Random, schema: Schema, defs: Schema, depth: int) -> dict[str, Any]:
    declared = schema.get("properties", {})
    if not declared and schema.get("additionalProperties", True) is not False and depth:
        extra = schema.get("additionalProperties", {})
        most = min(schema.get("maxProperties", 3), 3)
        keys = dict.fromkeys(some_text(chance, 1, 6, False) for _ in range(chance.randint(0, most)))
        return {key: some_value(chance, extra, defs, depth + 1) for key in keys}
    required = schema.get("required", ())
    given = [key for key in declared if key in required or chance.random() < 0.5]
    if len(given) < schema.get("minProperties", 0):
        given = list(declared)
    return {key: some_value(chance, declared[key], defs, depth + 1) for key in given}


def _some_array(chance: random.Random, schema: Schema, defs: Schema, depth: int) -> list[Any]:
    least = schema.get("minItems", 0)
    if "prefixItems" in schema:
        first = schema["prefixItems"][: chance.randint(least, 2)]
        return [some_value(chance, each, defs, depth + 1) for each in first]
    count = chance.randint(least, schema.get("maxItems", least + 3))
    return [some_value(chance, schema.get("items", {}), defs, depth + 1) for _ in range(count)]


def _some_string(chance: random.Random, schema: Schema, defs: Schema, depth: int) -> str:
    if "format" in schema:
        return _FORMATS[schema["format"]](chance)
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    return some_text(chance, least, most if most is not None else least + 12, most is not None or least > 1)


def some_text(chance: random.Random, least: int, most: int, is_bounded: bool) -> str:
    while True:
        text = "".join(chance.choices(BITS, k=chance.randint(0, most)))[: chance.randint(least, most)]
        if len(text) >= least and spellable(text, is_bounded) and not (least and text.startswith("<")):
            return text
        if chance.random() < 0.2 and spellable("x" * least, is_bounded):
            return "x" * least


def spellable(text: str, is_bounded: bool) -> bool:
    """Whether a grammar lets a model write it: without control marks, and, for the native notations, without `, key:`
    at its end or before a `<`. If its length is bounded, also without any `<`, and not with a comma and a colon or
    space at its end."""
    if is_bounded and ("<" in text or ("," in text and re.search(r"[:=\s]\Z", text))):
        return False
    return not _MARKS.finds(text) and not _KEY_AT_END.search(text)


def _some_integer(chance: random.Random, schema: Schema, defs: Schema, depth: int) -> int:
    low, high = _bounds(schema, 1)
    found = chance.randint(math.ceil(low), math.floor(high)) if chance.random() < 0.8 else math.ceil(low)
    step: int = schema.get("multipleOf", 1)
    found -= found % step
    return found if found >= low else found + step


def _some_number(chance: random.Random, schema: Schema, defs: Schema, depth: int) -> float:
    low, high = _bounds(schema, 0.001)
    if not schema.keys() & {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"} and chance.random() < 0.3:
        return chance.choice([1e300, 1e-320, -0.0, 1e-7, 1e16, 123456789.125, -2.5e-10])
    found = round(chance.uniform(low, high), chance.randint(0, 4))
    return float(min(max(found, low), high)) if chance.random() < 0.7 else chance.choice([low, high])


def _bounds(schema: Schema, step: float) -> tuple[float, float]:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf) + step)
    high = schema.get("maximum", schema.get("exclusiveMaximum", math.inf) - step)
    if low == -math.inf:
        low = (high if high < math.inf else 0) - 10**12
    return low, high if high < math.inf else low + 10**12


def _anything(chance: random.Random, schema: Schema, defs: Schema, depth: int) -> Any:
    kinds: list[Schema] = [
        {"type": "string"},
        {"type": "integer"},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "null"},
    ]
    if depth < 5:
        kinds += [{"type": "array"}, {"type": "object"}]
    return some_value(chance, chance.choice(kinds), defs, depth + 1)


_MAKERS: dict[str, Callable[[random.Random, Schema, Schema, int], Any]] = {
    "object": _some_object,
    "array": _some_array,
    "string": _some_string,
    "integer": _some_integer,
    "number": _some_number,
    "boolean": lambda chance, *_: chance.random() < 0.5,
    "null": lambda *_: None,
    "any": _anything,
}


# Arguments that do not fit


def mutations(
    chance: random.Random, spec: ToolSpec, arguments: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Arguments a little different from right ones, with what was done; some may still fit."""
    declared = spec.parameters["properties"]
    for key in [key for key in spec.parameters.get("required", ()) if key in arguments]:
        yield "missing key", {name: value for name, value in arguments.items() if name != key}
    yield "extra key", {**arguments, "zzz": 1}
    for key, schema in declared.items():
        if key not in arguments:
            continue
        if "enum" in schema or "const" in schema:
            for other in ("celsiu", "celsiuss", 11, -30, False, [], {}):
                yield "wrong enum", {**arguments, key: other}
        else:
            others: list[Any] = ["text", 5, 0.5, -(10**9), 10**9, True, None, [], [[]], {}, {"zzz": 1}, "x" * 300]
            yield "wrong type", {**arguments, key: chance.choice(others)}
        if isinstance(arguments[key], dict):
            yield "extra key inside", {**arguments, key: {**arguments[key], "zzz": []}}
        if isinstance(arguments[key], list):
            yield "too many items", {**arguments, key: [*arguments[key], *[{"zzz": 1}] * 5]}
