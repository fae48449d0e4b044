"""Forms that a model fills in: pydantic classes, any type that pydantic knows, JSON Schemas."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gemmagraph.prompts.checking.schemas import moved
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.errors import ToolDefinitionError
from gemmagraph.tools.hints import model_schema, schema_writer, untitled
from gemmagraph.tools.signature import refusal

ONLY_FIELD: Final = "answer"
"""The one field of a form for what is no object."""


@dataclass(frozen=True, slots=True)
class Form:
    """What is filled in, and what it is worth."""

    name: str
    description: str
    parameters: Mapping[str, JSON]
    """JSON Schema of an object."""
    value: Callable[[Mapping[str, JSON]], Any]
    """What was filled in, as the type it stands for; InvalidArguments if it refuses that."""


def form_of(kind: Any) -> Form:
    """The form for values of a type, or of a JSON Schema.

    Raises:
        ToolDefinitionError: it is neither.
    """
    if isinstance(kind, Mapping):
        return _of_schema(kind)
    from pydantic import PydanticUserError, TypeAdapter
    from pydantic.errors import PydanticSchemaGenerationError

    if hasattr(kind, "model_validate_json") and not getattr(kind, "__pydantic_root_model__", False):
        return form_of_model(kind)
    name = getattr(kind, "__name__", str(kind))
    try:
        adapter = TypeAdapter(kind)
        schema = untitled(adapter.json_schema(schema_generator=schema_writer()))
    except (PydanticUserError, PydanticSchemaGenerationError) as exc:
        raise ToolDefinitionError(
            f"{kind!r} cannot be filled in: {str(exc).partition(chr(10))[0]}",
            hint="Give a pydantic class, a type that pydantic knows, or a JSON Schema.",
        ) from exc
    read = _reads(adapter.validate_json)
    if _is_object(schema):
        return Form(name, schema.pop("description", ""), {"additionalProperties": False, **schema}, read)
    return Form(name, "", _wrapped(schema), lambda values: read(values[ONLY_FIELD]))


def form_of_model(model: Any) -> Form:
    """The form for values of a pydantic class.

    Raises:
        ToolDefinitionError: they are no objects.
    """
    schema = model_schema(model)
    return Form(model.__name__, schema.pop("description", ""), schema, _reads(model.model_validate_json))


def _of_schema(schema: Mapping[str, JSON]) -> Form:
    name, description = str(schema.get("title", "")), str(schema.get("description", ""))
    if _is_object(schema):
        return Form(name, description, schema, dict)
    return Form(name, description, _wrapped(schema), lambda values: values[ONLY_FIELD])


def _is_object(schema: Mapping[str, JSON]) -> bool:
    return schema.get("type") == "object" or ("type" not in schema and "properties" in schema)


def _wrapped(schema: Mapping[str, JSON]) -> dict[str, JSON]:
    """The schema as that of an object's only field."""
    return {
        "type": "object",
        "properties": {ONLY_FIELD: moved(schema, f"#/properties/{ONLY_FIELD}")},
        "required": [ONLY_FIELD],
        "additionalProperties": False,
    }


def _reads(validate: Callable[[str], Any]) -> Callable[[JSON], Any]:
    def read(value: JSON) -> Any:
        try:
            return validate(json.dumps(value))
        except ValueError as exc:  # pydantic's own is one
            raise InvalidArguments(refusal(exc)) from exc

    return read
