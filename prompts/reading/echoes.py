"""What a model repeats of what it was told: a tool's declaration looks like a call and is none."""

from __future__ import annotations

import re
from collections.abc import Mapping

_TYPE_WORDS = frozenset(
    [
        "str",
        "string",
        "int",
        "integer",
        "float",
        "number",
        "bool",
        "boolean",
        "list",
        "array",
        "dict",
        "object",
        "any",
        "none",
        "optional",
        "tuple",
        "set",
        "date",
        "datetime",
    ]
)
_ANNOTATED = re.compile(r"[^\W\d]\w*\s*(?::\s*([^\W\d]\w*)|\(\s*([^\W\d]\w*)\b[^)]*\))")


def is_declaration(item: Mapping[str, object]) -> bool:
    """Whether an object is a tool's own declaration, repeated: its parameters are a schema."""
    schema = item.get("parameters") or item.get("input_schema")
    if not isinstance(schema, Mapping):
        return False
    if schema.get("type") == "object" and isinstance(schema.get("properties"), Mapping):
        return True
    return "description" in item and bool(schema) and all(map(_is_type, schema.values()))


def _is_type(value: object) -> bool:
    """Whether a value is the name of a type, or a schema."""
    kind = value.get("type") if isinstance(value, Mapping) else value
    return isinstance(kind, str) and kind.lower() in _TYPE_WORDS


def is_signature(inside: str) -> bool:
    """Whether the inside of brackets names types in place of values: `city: str, days: int = 3`."""
    pieces = [piece.strip() for piece in inside.split(",") if piece.strip()]
    if not pieces:
        return False
    for piece in pieces:
        found = _ANNOTATED.match(piece)
        if not found or (found.group(1) or found.group(2)).lower() not in _TYPE_WORDS:
            return False
    return True
