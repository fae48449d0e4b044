"""A type hint -> the JSON Schema of its values, and how a JSON value becomes a value of that type.

What JSON has itself is done here, without a third-party package; the rest is left to pydantic, imported when
a hint needs it.
"""

from __future__ import annotations

import json
import types
import typing
from collections import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, Required, TypeAlias, Union

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.errors import ToolDefinitionError
from gemmagraph.tools.results import as_json, enum_words

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema
    from pydantic_core.core_schema import DatetimeSchema, TimeSchema

Convert: TypeAlias = Callable[[JSON], Any]


@dataclass(frozen=True, slots=True)
class Hint:
    """What a type hint means for a tool."""

    schema: dict[str, JSON]
    convert: Convert | None = None
    """JSON value -> Python value; None where they are the same. Raises ValueError if the type refuses it."""


_SCALARS: dict[object, Hint] = {
    str: Hint({"type": "string"}),
    int: Hint({"type": "integer"}),
    bool: Hint({"type": "boolean"}),
    float: Hint({"type": "number"}, float),
    type(None): Hint({"type": "null"}),
}
_LISTS = frozenset((list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable))
_OBJECTS = frozenset((dict, abc.Mapping, abc.MutableMapping))
_JSON_TYPES: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}


class HintReader:
    """Reads the hints of one function. The schemas are complete once `definitions` was called."""

    def __init__(self) -> None:
        self._pydantic: list[tuple[TypeAdapter[Any], dict[str, JSON]]] = []
        self._open: list[type] = []
        """TypedDicts being read, to notice one that contains itself."""

    def read(self, hint: Any) -> Hint:
        """What `hint` means.

        Raises:
            ToolDefinitionError: no JSON value can become a value of this type.
        """
        origin = typing.get_origin(hint)
        if origin is not None:
            return self._generic(hint, origin, typing.get_args(hint))
        if _is_anything(hint):
            return Hint({})
        if isinstance(hint, typing.NewType):
            return self.read(hint.__supertype__)
        if typing.is_typeddict(hint) or _is_foreign_typed_dict(hint):
            return self._typed_dict(hint)
        if isinstance(hint, type):
            if found := _SCALARS.get(hint):
                return Hint(dict(found.schema), found.convert)
            if hint in _LISTS:
                return Hint({"type": "array"})
            if hint in _OBJECTS:
                return Hint({"type": "object"})
            if issubclass(hint, Enum):
                words = enum_words(hint)
                return Hint(enum_schema(words), words.__getitem__)
        return self._by_pydantic(hint)

    def definitions(self) -> dict[str, JSON]:
        """The `$defs` of the schemas read so far, and completes those schemas."""
        if not self._pydantic:
            return {}
        from pydantic import TypeAdapter
        from pydantic.errors import PydanticUserError

        inputs: list[tuple[int, Literal["validation"], TypeAdapter[Any]]]
        inputs = [(number, "validation", adapter) for number, (adapter, _) in enumerate(self._pydantic)]
        try:
            schemas, shared = TypeAdapter.json_schemas(inputs, schema_generator=schema_writer())
        except PydanticUserError as exc:
            raise ToolDefinitionError(f"No JSON Schema can be made: {_first_line(exc)}") from exc
        for (number, _), found in schemas.items():
            for key, value in untitled(found).items():
                self._pydantic[number][1].setdefault(key, value)
        defs: dict[str, JSON] = untitled(shared).get("$defs", {})
        return defs

    def _generic(self, hint: Any, origin: Any, args: tuple[Any, ...]) -> Hint:
        if origin is Annotated:
            return self._annotated(args[0], args[1:])
        if origin in (Required, NotRequired):
            return self.read(args[0])
        if origin is Literal:
            words = [as_json(member) for member in args]
            is_enum = any(isinstance(member, Enum) for member in args)
            return Hint(enum_schema(words), dict(zip(words, args, strict=True)).__getitem__ if is_enum else None)
        if origin is Union or origin is types.UnionType:
            return self._union(hint, args)
        if origin in _LISTS:
            item = self.read(args[0]) if args else Hint({})
            # By the hint: the schema of an item is still empty if pydantic writes it.
            items = {"items": item.schema} if args and not _is_anything(args[0]) else {}
            return Hint({"type": "array", **items}, _each(item.convert))
        if origin in _OBJECTS and (not args or args[0] in (str, Any)):
            value = self.read(args[1]) if args else Hint({})
            values = {"additionalProperties": value.schema} if args and not _is_anything(args[1]) else {}
            return Hint({"type": "object", **values}, _each_value(value.convert))
        return self._by_pydantic(hint)

    def _annotated(self, base: Any, notes: tuple[Any, ...]) -> Hint:
        texts = [getattr(note, "documentation", note) for note in notes]
        description = next((text for text in texts if isinstance(text, str)), None)
        rules = tuple(note for note, text in zip(notes, texts, strict=True) if not isinstance(text, str))
        hint = self._by_pydantic(Annotated[(base, *rules)]) if rules else self.read(base)
        if description:
            hint.schema["description"] = description
        return hint

    def _union(self, hint: Any, members: tuple[Any, ...]) -> Hint:
        hints = [self.read(member) for member in members if member is not type(None)]
        converts = [found.convert for found in hints]
        if len(hints) > 1:
            if any(convert not in (None, float) for convert in converts):
                return self._by_pydantic(hint)
            # An integer is a fine value for `float | str`, and the right one for `float | int`.
            converts = [None]
        schemas = [found.schema for found in hints]
        if len(hints) < len(members):
            schemas.append({"type": "null"})
        return Hint({"anyOf": schemas}, _unless_none(converts[0]))

    def _typed_dict(self, kind: Any) -> Hint:
        # Not left to pydantic, which refuses `typing.TypedDict` on Python 3.11.
        if kind in self._open:
            raise ToolDefinitionError(
                f"The TypedDict {kind.__name__} contains itself.", hint="Use a pydantic model instead."
            )
        self._open.append(kind)
        try:
            hints = typing.get_type_hints(kind, include_extras=True)
        except NameError as exc:
            raise ToolDefinitionError(f"A hint of the TypedDict {kind.__name__} is unknown: {exc}.") from exc
        fields = {name: self.read(hint) for name, hint in hints.items()}
        self._open.pop()
        schema: dict[str, JSON] = {
            "type": "object",
            "properties": {name: found.schema for name, found in fields.items()},
            "required": [name for name, hint in hints.items() if _is_required(kind, name, hint)],
            "additionalProperties": False,
        }
        if kind.__doc__:
            schema["description"] = kind.__doc__.strip()
        converts = {name: found.convert for name, found in fields.items() if found.convert}
        return Hint(schema, _each_field(converts))

    def _by_pydantic(self, hint: Any) -> Hint:
        from pydantic import TypeAdapter
        from pydantic.errors import PydanticUserError

        try:
            adapter: TypeAdapter[Any] = TypeAdapter(hint)
        except (PydanticUserError, NameError, TypeError) as exc:
            name = hint.__name__ if isinstance(hint, type) else hint
            raise ToolDefinitionError(f"The type {name} has no JSON form: {_first_line(exc)}") from exc
        schema: dict[str, JSON] = {}
        self._pydantic.append((adapter, schema))
        # As JSON, since only there a date may be a string in strict mode too.
        return Hint(schema, lambda value: adapter.validate_json(json.dumps(value)))


def enum_schema(words: abc.Iterable[JSON]) -> dict[str, JSON]:
    """The schema of one of `words`, with their type if they share one."""
    values = list(words)
    kinds = {type(word) for word in values}
    kind = _JSON_TYPES.get(kinds.pop()) if len(kinds) == 1 else None
    return {"type": kind, "enum": values} if kind else {"enum": values}


def model_schema(model: Any) -> dict[str, JSON]:
    """The schema of a pydantic model class, as the parameters of a tool.

    Raises:
        ToolDefinitionError: it is not the schema of an object.
    """
    describe = getattr(model, "model_json_schema", None)
    found = describe(schema_generator=schema_writer()) if describe else model.schema()  # pydantic 1 says `schema`
    schema: dict[str, JSON] = untitled(found)
    if "$ref" in schema:
        # A model that contains itself stands among its own definitions.
        schema = {**schema["$defs"][schema.pop("$ref").rpartition("/")[2]], **schema}
    return closed(schema, model.__name__)


def closed(schema: dict[str, JSON], owner: str) -> dict[str, JSON]:
    """`schema` as parameters: an object without further properties, unless it says otherwise.

    Raises:
        ToolDefinitionError: it is the schema of something else.
    """
    if schema.get("type", "object") != "object" or not isinstance(schema.get("properties", {}), Mapping):
        raise ToolDefinitionError(
            f"The parameters of {owner} must be an object, not {schema.get('type')!r}.",
            hint="Put the value into a property.",
        )
    return {"type": "object", "properties": {}, "additionalProperties": False, **schema}


@cache
def schema_writer() -> type[GenerateJsonSchema]:
    """How pydantic is to write schemas: by itself it says that a `datetime` has an offset, which it need not have."""
    from pydantic.json_schema import GenerateJsonSchema

    def told(schema: dict[str, JSON], kind: Mapping[str, Any]) -> dict[str, JSON]:
        offset = kind.get("tz_constraint")
        ending = "-or-local" if offset is None else "-local" if offset == "naive" else ""
        return {**schema, "format": schema["format"] + ending} if "format" in schema else schema

    class SchemaWriter(GenerateJsonSchema):
        def datetime_schema(self, schema: DatetimeSchema) -> dict[str, JSON]:
            return told(super().datetime_schema(schema), schema)

        def time_schema(self, schema: TimeSchema) -> dict[str, JSON]:
            return told(super().time_schema(schema), schema)

    return SchemaWriter


def untitled(schema: Any) -> Any:
    """A schema without the titles that pydantic makes from names: the model would read each name twice."""
    if isinstance(schema, list):
        return [untitled(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {}
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions", "patternProperties") and isinstance(value, dict):
            result[key] = {name: untitled(found) for name, found in value.items()}
        elif key in ("default", "const", "enum", "examples"):
            result[key] = value
        elif key != "title" or not isinstance(value, str):
            result[key] = untitled(value)
    return result


def _is_anything(hint: Any) -> bool:
    return hint is Any or hint is object


def _is_foreign_typed_dict(hint: Any) -> bool:
    """Whether it is a TypedDict of `typing_extensions`, which `typing` does not know as one."""
    return isinstance(hint, type) and issubclass(hint, dict) and hasattr(hint, "__required_keys__")


def _is_required(kind: Any, name: str, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    # `__required_keys__` knows no marks that were written as strings.
    return origin is Required or (origin is not NotRequired and name in kind.__required_keys__)


def _unless_none(convert: Convert | None) -> Convert | None:
    return convert and (lambda value: None if value is None else convert(value))


def _each(convert: Convert | None) -> Convert | None:
    return convert and (lambda values: [convert(value) for value in values])


def _each_value(convert: Convert | None) -> Convert | None:
    return convert and (lambda values: {key: convert(value) for key, value in values.items()})


def _each_field(converts: dict[str, Convert]) -> Convert | None:
    if not converts:
        return None
    return lambda values: {key: converts[key](value) if key in converts else value for key, value in values.items()}


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
