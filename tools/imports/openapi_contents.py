"""The body of an operation: what kind of content it is, and the arguments that it is made of.

The properties of a body that is a plain object are arguments of their own: small models fill in a flat list better.
Any other body is one argument, `body`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gemmagraph.tools.imports.openapi_document import Part, reference_of
from gemmagraph.tools.imports.openapi_request import Content, Form
from gemmagraph.tools.imports.openapi_schemas import is_read_only
from gemmagraph.tools.imports.openapi_styles import STYLES, UNSAID, Argument
from gemmagraph.tools.imports.openapi_texts import tidy

JSON_MEDIA: Final = re.compile(r"(application|text)/(.*\+)?json(;.*)?|\*/\*|application/\*", re.IGNORECASE)
_FORM: Final = re.compile(r"application/x-www-form-urlencoded(;.*)?", re.IGNORECASE)
_TEXT: Final = re.compile(r"text/.*", re.IGNORECASE)
_OF_A_PLAIN_OBJECT: Final = frozenset(
    (
        *("type", "properties", "required", "additionalProperties", "allOf", "title", "description", "example"),
        *("examples", "xml", "externalDocs", "discriminator", "deprecated", "readOnly", "writeOnly", "default"),
        "nullable",
    )
)
_MOST_MERGED: Final = 50
"""Schemas of an `allOf`, and of those in it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An argument, before it has a name that no other has."""

    argument: Argument
    schema: Part | None
    """None: any text."""
    required: bool
    description: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a request's body takes."""

    wanted: Sequence[Wanted] = ()
    content: Content | None = None
    missing: str = ""
    """Why it cannot be sent."""


def contents_of(operation: Part, *, old: bool) -> Contents:
    """
    Args:
        old: whether the document is of OpenAPI 3.0.

    Raises:
        ToolDefinitionError: the document is wrong there.
    """
    body = operation.get("requestBody")
    medias = dict(body.entries("content"))
    if not medias:
        return Contents()
    chosen = _chosen(medias)
    if chosen is None:
        kinds = ", ".join(sorted(medias))[:200]
        return Contents(missing=f"it sends {kinds}, and only JSON, simple forms and texts are sent")
    form, media = chosen
    part = medias[media].followed()
    required = body.value.get("required") is True
    sent = "application/json" if "*" in media else media
    schema = Part(part.value.get("schema"), part.resolver) if isinstance(part.value, Mapping) else None
    properties = None
    if form != "body" and schema is not None:
        properties = _plain_properties(_unless_null(schema), old, set())
    if properties is None or (not required and any(needed for _, needed in properties.values())):
        if schema is None or schema.value is None:
            schema = Part({"type": "object"} if form == "form" else {}, body.resolver)
        whole = Argument("body", "body", "body")
        wanted = Wanted(whole, None if form == "body" else schema, required, tidy(body.text("description")))
        return Contents([wanted], Content(form, sent, whole, required))
    fields = [
        Wanted(_field(name, part) if form == "form" else Argument(name, "body", name), inner, needed)
        for name, (inner, needed) in properties.items()
    ]
    return Contents(fields, Content(form, sent, None, required))


def _chosen(medias: Mapping[str, Part]) -> tuple[Form, str] | None:
    """The kind of body that is sent, of those that the operation takes."""
    kinds: tuple[tuple[Form, re.Pattern[str]], ...] = (("json", JSON_MEDIA), ("form", _FORM), ("body", _TEXT))
    for form, pattern in kinds:
        for media in medias:
            if pattern.fullmatch(media) and media.isascii() and media.isprintable():
                return form, media
    return None


def _field(name: str, media: Part) -> Argument:
    """A field of a form, written as `encoding` says."""
    said = media.get("encoding").get(name)
    if not isinstance(said.value, Mapping) or not {"style", "explode", "contentType"} & said.value.keys():
        return Argument(name, "body", name, style=UNSAID)
    json = JSON_MEDIA.fullmatch(said.text("contentType")) is not None
    style = said.text("style") or "form"
    if style not in STYLES["query"]:
        return Argument(name, "body", name, style=UNSAID, json=json)
    explode = said.value.get("explode")
    return Argument(name, "body", name, style, explode if isinstance(explode, bool) else style == "form", json=json)


def _unless_null(part: Part) -> Part:
    """Of `anyOf: [schema, {type: "null"}]` the schema: what may be null is what may be left out."""
    value = part.value
    if not isinstance(value, Mapping) or not value.keys() <= {"anyOf", "title", "description", "default"}:
        return part
    branches = value.get("anyOf")
    others = [each for each in branches if each != {"type": "null"}] if isinstance(branches, list) else []
    return Part(others[0], part.resolver) if len(others) == 1 else part


def _plain_properties(part: Part, old: bool, met: set[int]) -> dict[str, tuple[Part, bool]] | None:
    """The properties of a plain object, each with whether it is required; None if it is more than that.

    Args:
        met: the schemas that were looked at already. None says the same twice.
    """
    value = part.value
    if reference_of(value):
        if not old and value.keys() - {"$ref", "description", "summary"}:
            return None
        part = part.followed()
        value = part.value
    if not isinstance(value, Mapping) or id(value) in met or len(met) > _MOST_MERGED:
        return None
    met.add(id(value))
    more = (key for key in value if key not in _OF_A_PLAIN_OBJECT and not str(key).startswith("x-"))
    if any(True for _ in more) or value.get("type", "object") != "object":
        return None
    if value.get("additionalProperties", False) is not False or not ({"properties", "allOf"} & value.keys()):
        return None
    found: dict[str, tuple[Part, bool]] = {}
    parts = value.get("allOf", [])
    for each in parts if isinstance(parts, list) else ():
        inner = _plain_properties(Part(each, part.resolver), old, met)
        if inner is None or inner.keys() & found.keys():
            return None
        found |= inner
    required = value.get("required", [])
    own = dict(part.entries("properties"))
    if own.keys() & found.keys():
        return None
    found |= {name: (inner, False) for name, inner in own.items() if not is_read_only(inner)}
    names = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
    if any(name not in found and name not in own for name in names):
        return None
    return {name: (inner, needed or name in names) for name, (inner, needed) in found.items()}
