"""Tools as the native models were taught to be told of them, byte for byte as Google's own templates write it.

    <|tool>declaration:get_time{description:<|"|>The time.<|"|>,parameters:{properties:{city:{type:<|"|>STRING<|"|>}},
    required:[<|"|>city<|"|>],type:<|"|>OBJECT<|"|>}}<tool|>

(on one line). Keys are sorted, types in capitals. What those templates lose or garble is put right before: unions,
missing types, and parameters named like a keyword (`description`, `type`, …), which they leave out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.prompts.native.marks import FUNCTIONGEMMA, Marks
from gemmagraph.prompts.native.schema import simple
from gemmagraph.prompts.native.writing import delimited, in_order, value, write_calls
from gemmagraph.prompts.notations.wording import declared, wording
from gemmagraph.prompts.toolset import Toolset


def declare(marks: Marks, tools: Toolset) -> str:
    """What stands behind the system text: examples if the tools have some, then the declarations."""
    return declared(
        wording(marks.name), tools, partial(declaration, marks), partial(write_calls, marks), between=("", "\n", "\n")
    )


def declaration(marks: Marks, spec: ToolSpec) -> str:
    """One tool."""
    text = delimited(marks)
    schema = simple(spec.parameters)
    parts = []
    if schema.get("properties"):
        parts.append(f"properties:{_properties(marks, schema['properties'])}")
    if schema.get("required"):
        parts.append(f"required:{value(schema['required'], text)}")
    parts.append(f"type:{text(str(schema['type']).upper())}")
    head = f"declaration:{spec.name}{{description:{text(spec.description)}"
    return f"{marks.declaration}{head},parameters:{{{','.join(parts)}}}}}{marks.declaration_end}"


def _properties(marks: Marks, properties: Mapping[str, Mapping[str, JSON]]) -> str:
    return "{" + ",".join(f"{name}:{_property(marks, schema)}" for name, schema in in_order(properties)) + "}"


def _property(marks: Marks, schema: Mapping[str, JSON]) -> str:
    text = delimited(marks)
    kind = str(schema["type"])
    parts = []
    if schema.get("description") or marks == FUNCTIONGEMMA:  # which was taught to expect one, if only an empty one
        parts.append(f"description:{text(str(schema.get('description') or ''))}")
    if kind == "string" and schema.get("enum"):
        parts.append(f"enum:{value(schema['enum'], text)}")
    if kind == "array" and schema.get("items"):
        parts.append(f"items:{_items(marks, schema['items'])}")
    if schema.get("nullable"):
        parts.append("nullable:true")
    if kind == "object":
        properties = schema.get("properties") or {}
        parts.append(f"properties:{_properties(marks, properties)}")
        if schema.get("required"):
            parts.append(f"required:{value(schema['required'], text)}")
    parts.append(f"type:{text(kind.upper())}")
    return "{" + ",".join(parts) + "}"


def _items(marks: Marks, schema: Mapping[str, JSON]) -> str:
    """What an array holds: a schema of which everything is copied."""
    text = delimited(marks)
    parts = []
    for key, inner in in_order(schema):
        if key == "properties":
            parts.append(f"properties:{_properties(marks, inner)}")
        elif key == "type":
            parts.append(f"type:{text(str(inner).upper())}")
        elif inner is not None:
            parts.append(f"{key}:{_copied(marks, inner)}")
    return "{" + ",".join(parts) + "}"


def _copied(marks: Marks, item: JSON) -> str:
    """A value as the templates copy it, its keys between delimiters."""
    text = delimited(marks)
    if isinstance(item, Mapping):
        return "{" + ",".join(f"{text(key)}:{_copied(marks, inner)}" for key, inner in in_order(item)) + "}"
    if isinstance(item, list):
        return "[" + ",".join(_copied(marks, inner) for inner in item) + "]"
    return value(item, text)
