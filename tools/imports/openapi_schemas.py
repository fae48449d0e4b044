"""Schemas of an OpenAPI document -> JSON Schema 2020-12, for what is sent.

What is referred to becomes a definition of the result, so that circles stay circles. Kept is what a value can fail
and what a model can use; gone are properties that only answers have (`readOnly`), and what is not JSON Schema:
`discriminator`, `xml`, `example`, extensions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.errors import ToolDefinitionError
from gemmagraph.tools.imports.openapi_document import Part, reference_of
from gemmagraph.tools.imports.openapi_texts import tidy

MOST_PARTS: Final = 5_000
"""Schemas and values that the schema of one tool may be made of."""
MOST_DEPTH: Final = 40
_SCHEMAS: Final = frozenset(
    (
        *("not", "if", "then", "else", "items", "contains", "additionalProperties", "propertyNames"),
        *("unevaluatedItems", "unevaluatedProperties"),
    )
)
_LISTS: Final = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_MAPS: Final = frozenset(("patternProperties", "dependentSchemas"))
_PLAIN: Final = frozenset(
    (
        *("type", "enum", "const", "default", "format", "pattern", "minimum", "maximum", "multipleOf"),
        *("exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems"),
        *("minProperties", "maxProperties", "minContains", "maxContains", "dependentRequired"),
    )
)
_REFUSED: Final = ("$dynamicRef", "$recursiveRef")


class SchemaWriter:
    """Writes the schemas of one tool.

    Args:
        old: whether they are of OpenAPI 3.0.
    """

    def __init__(self, *, old: bool) -> None:
        self._old = old
        self._left = MOST_PARTS
        self._names: dict[int, str] = {}
        self._taken: set[str] = set()
        self._waiting: list[tuple[str, Part]] = []
        self._definitions: dict[str, JSON] = {}

    def schema(self, part: Part, depth: int = 0) -> JSON:
        """One schema. What it refers to is written by `definitions`.

        Raises:
            ToolDefinitionError: it is none, or too large.
        """
        self._spend(depth)
        value = part.value
        if isinstance(value, bool):
            return value
        if not isinstance(value, Mapping):
            raise ToolDefinitionError(f"A {type(value).__name__} stands where a schema is expected.")
        if wrong := next((key for key in _REFUSED if key in value), None):
            raise ToolDefinitionError(f"A schema has a {wrong}, which is not followed.")
        if reference_of(value):
            return self._referring(part, depth)
        found: dict[str, JSON] = {}
        if said := tidy(part.text("description")):
            found["description"] = said
        for keyword in value:
            if keyword in _SCHEMAS:
                found[keyword] = self.schema(part[keyword], depth + 1)
            elif keyword in _LISTS and isinstance(value[keyword], list):
                found[keyword] = [self.schema(Part(each, part.resolver), depth + 1) for each in value[keyword]]
            elif keyword in _MAPS and isinstance(value[keyword], Mapping):
                found[keyword] = {
                    name: self.schema(Part(each, part.resolver), depth + 1) for name, each in value[keyword].items()
                }
            elif keyword in _PLAIN:
                found[keyword] = self._copied(value[keyword], depth)
        if isinstance(value.get("properties"), Mapping):
            self._add_properties(found, part, depth)
        elif "required" in value:
            found["required"] = self._copied(value["required"], depth)
        return _modern(found, value) if self._old else found

    def definitions(self) -> dict[str, JSON]:
        """All that was referred to, by its name under `$defs`."""
        while self._waiting:
            name, part = self._waiting.pop()
            self._definitions[name] = self.schema(part)
        return self._definitions

    def _referring(self, part: Part, depth: int) -> dict[str, JSON]:
        """A reference to a definition, with what 3.1 lets stand beside it."""
        target = part.step()
        name = self._names.get(id(target.value))
        if name is None:
            name = self._named(reference_of(part.value))
            self._names[id(target.value)] = name
            self._waiting.append((name, target))
        found = {"$ref": f"#/$defs/{name}"}
        beside = {key: value for key, value in part.value.items() if key != "$ref"}
        if self._old:  # nothing stands beside a reference there, but many write a description
            beside = {key: value for key, value in beside.items() if key == "description"}
        rest = self.schema(Part(beside, part.resolver), depth + 1) if beside else {}
        return {**found, **rest}

    def _named(self, reference: str) -> str:
        name = re.sub(r"\W+", "_", reference.rpartition("/")[2][:60], flags=re.ASCII).strip("_") or "schema"
        if name in self._taken:
            name = f"{name}_{len(self._taken)}"
        self._taken.add(name)
        return name

    def _add_properties(self, found: dict[str, JSON], part: Part, depth: int) -> None:
        """`properties` and `required`, without what only answers have."""
        sent = {name: inner for name, inner in part.entries("properties") if not is_read_only(inner)}
        gone = part.value["properties"].keys() - sent.keys()
        found["properties"] = {str(name): self.schema(inner, depth + 1) for name, inner in sent.items()}
        required = self._copied(part.value.get("required", []), depth)
        if isinstance(required, list):
            required = [name for name in required if not (isinstance(name, str) and name in gone)]
        if required:
            found["required"] = required

    def _copied(self, value: JSON, depth: int) -> JSON:
        """A value as it is, counted: aliases can make a few lines endless."""
        self._spend(depth)
        if isinstance(value, Mapping):
            return {str(key): self._copied(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._copied(inner, depth + 1) for inner in value]
        return value

    def _spend(self, depth: int) -> None:
        self._left -= 1
        if self._left < 0 or depth > MOST_DEPTH:
            raise ToolDefinitionError(
                f"Its schemas are too large: more than {MOST_PARTS:,} parts, or nested more than {MOST_DEPTH} deep.",
                hint="Keep a copy of the document with less in it.",
            )


def is_read_only(part: Part) -> bool:
    """Whether a property is only in answers."""
    if isinstance(part.value, Mapping) and part.value.get("readOnly") is True:
        return True
    if not reference_of(part.value):
        return False
    target = part.followed().value
    return isinstance(target, Mapping) and target.get("readOnly") is True


def _modern(found: dict[str, JSON], value: Mapping[str, JSON]) -> dict[str, JSON]:
    """What OpenAPI 3.0 says otherwise than JSON Schema: `nullable`, and bounds that are excluded."""
    for excluded, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(found.get(excluded), bool) and found.pop(excluded) and bound in found:
            found[excluded] = found.pop(bound)
    if value.get("nullable") is not True:
        return found
    if isinstance(found.get("enum"), list) and None not in found["enum"]:
        found["enum"] = [*found["enum"], None]
    if isinstance(found.get("type"), str):
        return {**found, "type": [found["type"], "null"]}
    if not ({"allOf", "anyOf", "oneOf"} & found.keys()):
        return found
    said: dict[str, JSON] = {key: found.pop(key) for key in ("description", "default") if key in found}
    return {**said, "anyOf": [found, {"type": "null"}]}
