"""Two JSON Schemas as one: what `allOf` and a `$ref` with something beside it say together.

Takes schemas as `parameters.prepare` gives them. Of two patterns, formats and the like only one is kept: what comes
out may allow more than both schemas would, never less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gemmagraph.prompts.checking.number import identity
from gemmagraph.prompts.checking.parameters import ASSERTIONS, Schema
from gemmagraph.prompts.messages import JSON

_MOST_BRANCHES: Final = 64


def merged(schema: dict[str, JSON], defs: Mapping[str, Schema]) -> dict[str, JSON]:
    """What a schema asserts, with what its `$ref` and `allOf` add in their place."""
    whole: Schema = {}
    waiting: list[Schema] = [schema]
    while waiting:  # ends: `prepare` refuses references that lead back without end
        part = waiting.pop(0)
        if isinstance(part, dict) and ("$ref" in part or "allOf" in part):
            target = [defs[_name(part["$ref"])]] if "$ref" in part else []
            waiting = [*target, *part.get("allOf", ()), *waiting]
            part = {keyword: value for keyword, value in part.items() if keyword not in ("$ref", "allOf")}
        whole = both(whole, part)
    if isinstance(whole, bool):
        return {} if whole else {"anyOf": []}
    return {keyword: value for keyword, value in whole.items() if keyword in ASSERTIONS}


def _name(reference: str) -> str:
    return reference.removeprefix("#/$defs/")


def both(one: Schema, other: Schema) -> Schema:
    """The schema of what both allow."""
    if one is False or other is False:
        return False
    if isinstance(one, bool):
        return other
    if isinstance(other, bool):
        return one
    found = {**other, **one}
    for keyword in one.keys() & other.keys() & _BOTH.keys():
        found[keyword] = _BOTH[keyword](one[keyword], other[keyword])
    if "allOf" in found or "$ref" in found:
        found["allOf"] = [*one.get("allOf", ()), *other.get("allOf", ())]
        references = [each["$ref"] for each in (one, other) if "$ref" in each]
        found["allOf"] += [{"$ref": reference} for reference in references]
        found.pop("$ref", None)
    if "properties" in one or "properties" in other:
        found["properties"] = _properties(one, other)
    return found


def _properties(one: dict[str, JSON], other: dict[str, JSON]) -> dict[str, Schema]:
    ours, theirs = one.get("properties", {}), other.get("properties", {})
    found = {}
    for key in (*ours, *(key for key in theirs if key not in ours)):
        mine = ours.get(key, one.get("additionalProperties", True))
        found[key] = _later(mine, theirs.get(key, other.get("additionalProperties", True)))
    return found


def _later(one: Schema, other: Schema) -> Schema:
    """As `both`, worked out only when somebody asks: a schema may hold itself."""
    if one is True or other is True or one is False or other is False:
        return both(one, other)
    return one if one == other else {"allOf": [one, other]}


def _types(one: JSON, other: JSON) -> JSON:
    ours, theirs = ([each] if isinstance(each, str) else each for each in (one, other))
    found = [each for each in ours if each in theirs or (each == "integer" and "number" in theirs)]
    return found + ["integer" for each in theirs if each == "integer" and "number" in ours and "integer" not in ours]


def _members(one: JSON, other: JSON) -> JSON:
    known = {identity(member) for member in other}
    return [member for member in one if identity(member) in known]


def _branches(one: JSON, other: JSON) -> JSON:
    if len(one) * len(other) > _MOST_BRANCHES:
        return one
    return [_later(mine, theirs) for mine in one for theirs in other]


_BOTH: Final[Mapping[str, Callable[[Any, Any], JSON]]] = {
    "type": _types,
    "enum": _members,
    "required": lambda one, other: [*dict.fromkeys([*one, *other])],
    "items": _later,
    "additionalProperties": _later,
    "anyOf": _branches,
    "oneOf": _branches,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"), min),
    "uniqueItems": lambda one, other: one or other,
}
