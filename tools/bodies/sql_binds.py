"""What a JSON Schema says about the type of a bind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.guards.databases_binds import BindType, Kind

_FORMATS: Final[Mapping[JSON, Kind]] = {"date": "date", "date-time": "datetime", "uuid": "uuid"}
_SMALLEST: Final = -(2**31)
_LARGEST: Final = 2**31 - 1
_NAMES: Final[Mapping[type, str]] = {bool: "boolean", int: "integer", float: "number", str: "string"}


def bind_type(schema: JSON) -> BindType:
    """The type that values of `schema` have; `unknown` where each value says it itself."""
    if not isinstance(schema, Mapping):
        return BindType("unknown")
    schema = _without_null(schema)
    match sorted(_names(schema)):
        case ["string"]:
            return BindType(_FORMATS.get(schema.get("format"), "text"))
        case ["integer"]:
            return BindType("integer" if _is_small(schema) else "biginteger")
        case ["number"] | ["integer", "number"]:
            return BindType("number")
        case ["boolean"]:
            return BindType("boolean")
        case ["object"]:
            return BindType("json")
        case ["array"]:
            item = bind_type(schema.get("items"))
            single = not item.array and item.kind not in ("json", "unknown")
            return BindType(item.kind, array=True) if single else BindType("json")
    return BindType("unknown")


def _without_null(schema: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Of "this or null", this."""
    for word in ("anyOf", "oneOf"):
        branches = schema.get(word)
        if isinstance(branches, list):
            rest = [branch for branch in branches if isinstance(branch, Mapping) and branch.get("type") != "null"]
            if len(rest) == 1:
                return rest[0]
    return schema


def _names(schema: Mapping[str, JSON]) -> set[str]:
    """The types that a value may have, null left out."""
    said = schema.get("type")
    if isinstance(said, str | list):
        return {str(name) for name in ([said] if isinstance(said, str) else said)} - {"null"}
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if not isinstance(values, list):
        return set()
    return {_NAMES.get(type(value), "other") for value in values if value is not None}


def _is_small(schema: Mapping[str, JSON]) -> bool:
    """Whether PostgreSQL's ordinary integer holds it, which more functions take than the big one."""
    values = schema.get("enum")
    if isinstance(values, list):
        bounds: list[JSON] = [value for value in values if value is not None]
    else:
        bounds = [schema.get("minimum"), schema.get("maximum")]
    return bool(bounds) and all(isinstance(bound, int) and _SMALLEST <= bound <= _LARGEST for bound in bounds)
