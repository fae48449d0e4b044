"""A tool's `parameters` as they are checked: one form of JSON Schema that coercion, the quick check and
jsonschema read alike.

In that form every `$ref` points to `#/$defs/N`, `const` is an `enum`, an `enum` has a `type`, `nullable` is
an `anyOf`, patterns are Python's, and undeclared arguments are forbidden unless the schema says otherwise.
What is no JSON Schema, or would keep a checker busy without end, is refused here, when the checker is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, NoReturn, TypeAlias
from urllib.parse import unquote

from gemmagraph.prompts.checking.formats import python_pattern
from gemmagraph.prompts.checking.number import NotPlain, identity, is_finite, plain
from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.messages import JSON, ToolSpec

Schema: TypeAlias = dict[str, JSON] | bool

MAX_SCHEMAS: Final = 5_000
"""Subschemas in one tool's parameters."""
MAX_NESTING: Final = 64
"""How deep subschemas may stand in each other, and how many may apply to one place one after the other."""

ECMA_PATTERN: Final = "x-ecma-pattern"
"""Beside a `pattern`: how its author wrote it, for messages."""

_TYPES: Final = ("string", "integer", "number", "boolean", "array", "object", "null")
_MEANT: Final[Mapping[str, str]] = MappingProxyType(
    {"str": "string", "int": "integer", "float": "number", "double": "number", "bool": "boolean",
     "list": "array", "tuple": "array", "set": "array", "dict": "object", "none": "null", "nonetype": "null"}
)  # fmt: skip

_IN_PLACE: Final = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
"""Keywords whose subschemas look at the same value as the schema they stand in, beside `$ref` and
`dependentSchemas`."""
_ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "example", "deprecated", "readOnly", "writeOnly"}
)
_DROPPED: Final = (
    "$schema", "$id", "$anchor", "$comment", "$vocabulary", "$defs", "definitions", "nullable",
)  # fmt: skip
_REFUSED: Final = ("$dynamicRef", "$recursiveRef")
_SCHEMA = frozenset(
    {"not", "if", "then", "else", "items", "contains", "additionalProperties", "propertyNames",
     "unevaluatedItems", "unevaluatedProperties"}
)  # fmt: skip
_SCHEMA_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SCHEMA_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas"})
_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_COUNTS = frozenset(
    {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains",
     "maxContains"}
)  # fmt: skip
_TEXTS = frozenset({"format", "title", "description"})
ASSERTIONS: Final = (
    _SCHEMA | _SCHEMA_LISTS | _SCHEMA_MAPS | _NUMBERS | _COUNTS
    | {"$ref", "type", "enum", "required", "dependentRequired", "uniqueItems", "pattern", "format"}
)  # fmt: skip
"""Keywords that a value can fail, or that help one to."""


def prepare(spec: ToolSpec) -> dict[str, JSON]:
    """The parameters of `spec` in the form described above; `spec` is not changed.

    Raises:
        NotationError: they are no JSON Schema of an object; the message names the tool and the key.
    """
    return _Preparation(spec).whole()


class _Preparation:
    def __init__(self, spec: ToolSpec) -> None:
        self._tool = spec.name
        self._root = spec.parameters
        self._count = 0
        self._names: dict[str, str] = {}
        self._pending: list[str] = []
        self._defs: dict[str, Schema] = {}
        self._steps: dict[str, int] = {}

    def whole(self) -> dict[str, JSON]:
        if not isinstance(self._root, Mapping):
            self._refuse("parameters", self._root, "an object")
        root = {key: value for key, value in self._inlined(self._root).items() if key != "nullable"}
        top: dict[str, JSON] = self._schema(root, "parameters", 0)
        if top.setdefault("type", "object") != "object":
            self._refuse("parameters.type", top["type"], '"object"')
        if not {"additionalProperties", "unevaluatedProperties"} & top.keys():
            applied = {*_IN_PLACE, "$ref", "dependentSchemas"} & top.keys()
            top["unevaluatedProperties" if applied else "additionalProperties"] = False
        while self._pending:
            pointer = self._pending.pop()
            self._defs[self._names[pointer]] = self._schema(self._target(pointer), pointer, 0)
        for name in self._defs:
            self._forbid_endless(name)
        if self._defs:
            top["$defs"] = self._defs
        return top

    def _inlined(self, root: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """The root with a lone `$ref`, as recursive models have it, replaced by what it leads to."""
        seen: set[str] = set()
        while isinstance(root.get("$ref"), str) and root.keys() <= {"$ref", *_ANNOTATIONS, *_DROPPED}:
            pointer = root["$ref"]
            target = self._target(pointer)
            if pointer in seen or not isinstance(target, Mapping):
                self._refuse("parameters.$ref", pointer, "a reference to an object")
            seen.add(pointer)
            root = {**target, **{key: value for key, value in root.items() if key != "$ref"}}
        return root

    def _schema(self, schema: JSON, where: str, depth: int) -> JSON:
        """One subschema in our form."""
        self._count += 1
        if self._count > MAX_SCHEMAS or depth > MAX_NESTING:
            raise NotationError(
                f"Tool {self._tool!r}: the parameters are too large at {where}.",
                hint=f"At most {MAX_SCHEMAS} subschemas, nested {MAX_NESTING} deep, can be checked.",
            )
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping):
            self._refuse(where, schema, "a schema: an object, true or false")
        found: dict[str, JSON] = {}
        for keyword, value in schema.items():
            if keyword not in _DROPPED:
                found[keyword] = self._keyword(keyword, value, f"{where}.{keyword}", depth)
        self._rewrite_patterns(found, where)
        self._rewrite_enum(found)
        if schema.get("nullable") is True:  # as OpenAPI 3.0 says it
            return {"anyOf": [found, {"type": "null"}]}
        return found

    def _keyword(self, keyword: str, value: JSON, where: str, depth: int) -> JSON:
        if keyword in _REFUSED:
            self._refuse(where, value, "a plain $ref")
        if keyword in _SCHEMA:
            return self._schema(value, where, depth + 1)
        if keyword in _SCHEMA_LISTS:
            if not isinstance(value, list) or not value:
                self._refuse(where, value, "a list of schemas")
            return [self._schema(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
        if keyword in _SCHEMA_MAPS:
            if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
                self._refuse(where, value, "an object of schemas")
            return {key: self._schema(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
        if keyword == "$ref":
            return f"#/$defs/{self._name(value, where)}"
        self._check_scalar(keyword, value, where)
        return value

    def _check_scalar(self, keyword: str, value: JSON, where: str) -> None:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if keyword == "type":
            self._check_type(value, where)
        elif keyword in _NUMBERS:
            if not number or not is_finite(value) or (keyword == "multipleOf" and value <= 0):
                self._refuse(where, value, "a number above 0" if keyword == "multipleOf" else "a number")
        elif keyword in _COUNTS:
            if not number or value < 0 or value != value // 1:
                self._refuse(where, value, "a whole number of at least 0")
        elif keyword in _TEXTS:
            if not isinstance(value, str):
                self._refuse(where, value, "a string")
        elif keyword == "uniqueItems":
            if not isinstance(value, bool):
                self._refuse(where, value, "true or false")
        elif keyword == "required":
            self._check_names(value, where)
        elif keyword == "dependentRequired":
            if not isinstance(value, Mapping):
                self._refuse(where, value, "an object of lists of names")
            for key, names in value.items():
                self._check_names(names, f"{where}.{key}")
        elif keyword in ("enum", "const", "default"):
            if keyword == "enum" and not isinstance(value, list):
                self._refuse(where, value, "a list of values")
            try:
                plain(value)
            except NotPlain as problem:
                self._refuse(where, problem.value, problem.expected)

    def _check_type(self, value: JSON, where: str) -> None:
        for word in value if isinstance(value, list) and value else [value]:
            if word not in _TYPES:
                meant = _MEANT.get(str(word).lower(), str(word).lower())
                self._refuse(where, word, f'"{meant}"' if meant in _TYPES else f"one of {', '.join(_TYPES)}")

    def _check_names(self, value: JSON, where: str) -> None:
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            self._refuse(where, value, "a list of names")

    def _rewrite_patterns(self, schema: dict[str, JSON], where: str) -> None:
        if "pattern" in schema:
            schema[ECMA_PATTERN] = schema["pattern"]
            schema["pattern"] = self._pattern(schema["pattern"], f"{where}.pattern")
        if "patternProperties" in schema:
            schema["patternProperties"] = {
                self._pattern(key, f"{where}.patternProperties"): value
                for key, value in schema["patternProperties"].items()
            }

    def _pattern(self, pattern: JSON, where: str) -> str:
        if not isinstance(pattern, str):
            self._refuse(where, pattern, "a pattern")
        try:
            return python_pattern(pattern)
        except (re.error, OverflowError, RecursionError) as problem:
            self._refuse(where, pattern, f"a pattern that Python can read ({problem})")

    def _rewrite_enum(self, schema: dict[str, JSON]) -> None:
        if "const" in schema:
            const = schema.pop("const")
            allowed = {identity(member) for member in schema.get("enum", [const])}
            schema["enum"] = [const] if identity(const) in allowed else []
        if "enum" in schema and "type" not in schema and "$ref" not in schema:
            types = dict.fromkeys(map(_type_of, schema["enum"]))
            if types:
                schema["type"] = list(types) if len(types) > 1 else next(iter(types))

    def _name(self, pointer: JSON, where: str) -> str:
        if not isinstance(pointer, str) or not (pointer == "#" or pointer.startswith("#/")):
            self._refuse(where, pointer, "a reference inside this schema, like #/$defs/NAME")
        if pointer not in self._names:
            self._target(pointer)
            self._names[pointer] = str(len(self._names))
            self._pending.append(pointer)
        return self._names[pointer]

    def _target(self, pointer: str) -> JSON:
        found: JSON = self._root
        for part in pointer.split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isascii() and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            else:
                self._refuse("$ref", pointer, "a reference to something in this schema")
        return found

    def _forbid_endless(self, name: str) -> None:
        """Refuses a reference that leads back to itself without going into the value, or on for too long."""
        if self._steps_from({"$ref": f"#/$defs/{name}"}, 0) > MAX_NESTING:
            raise NotationError(
                f"Tool {self._tool!r}: a $ref in the parameters leads back to itself, or on and on.",
                hint="A recursive schema must pass through a property or an item.",
            )

    def _steps_from(self, schema: Schema, depth: int) -> int:
        """How many schemas may apply to one place one after the other, from `schema` on."""
        if depth > MAX_NESTING:
            return 1
        longest = max((self._steps_from(part, depth + 1) for part in _in_place(schema)), default=0)
        if isinstance(schema, dict) and "$ref" in schema:
            name = schema["$ref"].removeprefix("#/$defs/")
            if name not in self._steps:
                self._steps[name] = self._steps_from(self._defs[name], depth + 1)
            longest = max(longest, self._steps[name])
        return 1 + longest

    def _refuse(self, where: str, value: JSON, expected: str) -> NoReturn:
        raise NotationError(
            f"Tool {self._tool!r}: {where[-200:]} is {_shown(value)}.", hint=f"It must be {expected}."
        )


def _in_place(schema: Schema) -> Iterator[Schema]:
    """The subschemas that look at the same value, without what `$ref` leads to."""
    if isinstance(schema, bool):
        return
    for keyword in _IN_PLACE:
        found = schema.get(keyword, ())
        yield from (found,) if isinstance(found, dict | bool) else found
    yield from schema.get("dependentSchemas", {}).values()


def _shown(value: JSON) -> str:
    try:
        return repr(value)[:200]
    except (ValueError, RecursionError):  # integers of many digits, values nested without end
        return f"a {type(value).__name__}"


def _type_of(value: JSON) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    kinds = {str: "string", float: "number", list: "array", dict: "object"}
    return kinds.get(type(value), "null")
