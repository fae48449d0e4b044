"""The parameters and the body of an operation -> the arguments of a tool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, cast

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.bodies.http_connection import check_header_name
from gemmagraph.tools.errors import Fault, ToolDefinitionError
from gemmagraph.tools.fields import as_text
from gemmagraph.tools.imports.openapi_contents import JSON_MEDIA, Wanted, contents_of
from gemmagraph.tools.imports.openapi_document import Part
from gemmagraph.tools.imports.openapi_request import Content
from gemmagraph.tools.imports.openapi_schemas import SchemaWriter
from gemmagraph.tools.imports.openapi_styles import DEFAULT, STYLES, Argument, Where
from gemmagraph.tools.imports.openapi_texts import argument_name, tidy

MOST_PARAMETERS: Final = 500
_MOST_OF_A_DEFAULT: Final = 100
_SAID_ELSEWHERE: Final = frozenset(("accept", "content-type", "authorization"))
"""Headers that are no parameters, by the specification."""


@dataclass(slots=True)
class Inputs:
    """What a tool takes, and where it goes."""

    arguments: list[Argument] = field(default_factory=list)
    schemas: dict[str, JSON] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    definitions: dict[str, JSON] = field(default_factory=dict)
    content: Content | None = None
    missing: str = ""
    """Why the operation cannot be asked for: it takes what cannot be sent from here."""

    @property
    def parameters(self) -> dict[str, JSON]:
        """The schema of the arguments."""
        schema: dict[str, JSON] = {"type": "object", "properties": self.schemas, "additionalProperties": False}
        if self.required:
            schema["required"] = self.required
        if self.definitions:
            schema["$defs"] = self.definitions
        return schema


def inputs_of(item: Part, operation: Part, *, old: bool, carried: Collection[tuple[str, str]]) -> Inputs:
    """
    Args:
        item: the path's own entry, whose parameters hold for each of its operations.
        old: whether the document is of OpenAPI 3.0.
        carried: places and names (of headers in lower case) that credentials fill.

    Raises:
        ToolDefinitionError: the document is wrong there.
    """
    inputs = Inputs()
    sent = contents_of(operation, old=old)
    wanted = [*_parameters(item, operation, carried, inputs), *sent.wanted]
    inputs.content = sent.content
    inputs.missing = inputs.missing or sent.missing
    if len(wanted) > MOST_PARAMETERS:
        raise ToolDefinitionError(f"It has {len(wanted):,} parameters; at most {MOST_PARAMETERS} are taken.")
    writer = SchemaWriter(old=old)
    for one, name in zip(wanted, _names(wanted), strict=True):
        argument = replace(one.argument, name=name)
        inputs.arguments.append(argument)
        inputs.schemas[name] = _schema(one, writer)
        if one.required:
            inputs.required.append(name)
        if inputs.content is not None and inputs.content.whole is one.argument:
            inputs.content = replace(inputs.content, whole=argument)
    inputs.definitions = writer.definitions()
    return inputs


def _schema(one: Wanted, writer: SchemaWriter) -> JSON:
    """The schema of one argument.

    A default in a body becomes words: a tool's defaults are sent, and what is sent to change a thing changes it.
    """
    schema = {"type": "string"} if one.schema is None else writer.schema(one.schema)
    if not isinstance(schema, dict):
        return {"description": one.description} if schema is True and one.description else schema
    said = one.description or schema.get("description", "")
    if one.argument.where == "body" and (default := schema.pop("default", None)) is not None:
        said = f"{said} (Default: {as_text(default)[:_MOST_OF_A_DEFAULT]}.)".strip()
    schema.pop("description", None)
    return {"description": said, **schema} if said else schema


def _names(wanted: list[Wanted]) -> Iterator[str]:
    """A name for each: its own, with its place in front where two have the same."""
    own = [argument_name(one.argument.wire) for one in wanted]
    count = Counter(own)
    taken = {name for name in own if count[name] == 1}
    for one, name in zip(wanted, own, strict=True):
        if count[name] == 1:
            yield name
            continue
        placed = name = f"{one.argument.where}_{name}"
        number = 1
        while placed in taken:
            number += 1
            placed = f"{name}_{number}"
        taken.add(placed)
        yield placed


def _parameters(
    item: Part, operation: Part, carried: Collection[tuple[str, str]], inputs: Inputs
) -> Iterator[Wanted]:
    found: dict[tuple[str, str], Part] = {}
    for holder in (item, operation):
        for part in holder.items("parameters"):
            place, name = part.text("in"), part.text("name")
            if place not in STYLES or not name:
                raise ToolDefinitionError(f"The parameter {name[:80]!r} has no name, or no place: in {place[:80]!r}.")
            found[place, name] = part
    for (place, name), part in found.items():
        lowered = name.lower() if place == "header" else name
        if (place, lowered) in carried or (place == "header" and lowered in _SAID_ELSEWHERE):
            continue
        if place == "header":
            faults: list[Fault] = []
            check_header_name(name, (), faults)
            if faults:
                raise ToolDefinitionError(faults[0].message)
        yield _parameter(cast(Where, place), name, part, inputs)


def _parameter(where: Where, name: str, part: Part, inputs: Inputs) -> Wanted:
    style = part.text("style") or DEFAULT[where]
    if style not in STYLES[where]:
        inputs.missing = f"the {where} parameter {name} has the style {style!r}, which is not written here"
        style = DEFAULT[where]
    explode = part.value.get("explode")
    media = next(part.entries("content"), None)
    schema = part.get("schema") if media is None else media[1].followed().get("schema")
    argument = Argument(
        name,
        where,
        name,
        style,
        explode if isinstance(explode, bool) else style == "form",
        part.value.get("allowReserved") is True,
        media is not None and JSON_MEDIA.fullmatch(media[0]) is not None,
    )
    said = tidy(part.text("description"))
    required = where == "path" or part.value.get("required") is True
    # As it stands in the document, so that a reference stays one.
    holder = part if media is None else media[1].followed()
    own = Part(holder.value.get("schema"), holder.resolver) if schema.value is not None else None
    return Wanted(argument, own, required, said)
