"""A tool's parameters as the built-in matcher sees them, and what was found for them so far."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from gemmagraph.backends.matcher.mentions import Piece, Said
from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.tools.selection.words import STOP_WORDS, concepts, stem, word_set

ParamKind: TypeAlias = Literal[
    "enum",
    "email",
    "url",
    "date",
    "day",
    "shape",
    "expression",
    "path",
    "unit",
    "currency",
    "boolean",
    "number",
    "list",
    "name",
    "text",
    "object",
]
"""What a parameter takes: values of a form of their own, the name of something, free text; an object cannot
be filled from a sentence."""


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter as the filler sees it."""

    name: str
    kind: ParamKind
    schema: Mapping[str, JSON]
    required: bool
    meaning: str
    """Its description without the examples in it."""
    words: frozenset[str]
    """Words of its name and of what its description says it is, lower case."""
    nouns: frozenset[str]
    """Stems and concepts of those words, without the ones that every parameter has."""
    shapes: tuple[re.Pattern[str], ...] = ()
    """What its values look like, by the example in its description: exactly so, then nearly so."""
    item: Param | None = None
    """For a list: what its elements are."""


@dataclass(slots=True)
class Filling:
    """The arguments found for a tool, and how much they speak for it."""

    said: Said
    matched: frozenset[int]
    """Pieces that name the tool: no values."""
    arguments: dict[str, JSON] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)
    """Pieces that became values."""
    evidence: float = 0.0
    missing: tuple[Param, ...] = ()

    def take(self, param: Param, value: JSON, pieces: Iterable[int], evidence: float) -> None:
        self.arguments[param.name] = value
        self.used.update(pieces)
        self.evidence += evidence

    def left(self, *kinds: str) -> Iterator[tuple[int, Piece]]:
        """The pieces of these kinds that are no value yet."""
        for at, piece in enumerate(self.said.pieces):
            if at not in self.used and piece.kind in kinds:
                yield at, piece

    def open(self, params: Sequence[Param]) -> list[Param]:
        return [param for param in params if param.name not in self.arguments]

    def plain(self, at: int) -> str:
        """The word at a place, "" where there is none."""
        return self.said.pieces[at].lower if 0 <= at < len(self.said.pieces) else ""

    def keys(self, at: int) -> set[str]:
        return keys_of(self.said.pieces[at]) if 0 <= at < len(self.said.pieces) else set()


def keys_of(piece: Piece) -> set[str]:
    return {key for part in piece.stems for key in (part, *concepts(part))}


_GENERIC = frozenset(
    stem(word)
    for word in word_set(
        "name number id text string value part title word kind list example look want wanted use left out "
        "which max maximum min minimum per highest lowest longest only amount"
    )
)
_FREE_TEXT = word_set(
    "text query message sentence content question words phrase pattern keyword keywords search term terms "
    "topic data string input body prompt needle regex"
)
_LINKS = word_set("at by from in of on to with")
"""Prepositions: in a name they say which values belong there (`from_unit`), in a description they do not."""
_EXAMPLE = re.compile(r"\b(?:such as|for example|for instance|e\.g\.)", re.IGNORECASE)
_SHAPED = re.compile(rf"(?:{_EXAMPLE.pattern}|like)[:,]?\s+[\"'`]?([\w#][\w./:#-]*(?: \d+)?)", re.IGNORECASE)


def params_of(spec: ToolSpec) -> tuple[Param, ...]:
    required = set(spec.parameters.get("required", ()))
    properties = spec.parameters.get("properties", {})
    return tuple(_param(name, schema, name in required) for name, schema in properties.items())


def _param(name: str, schema: JSON, required: bool) -> Param:
    schema = _plain_schema(schema)
    about = str(schema.get("description", ""))
    meaning = _EXAMPLE.split(about)[0]
    words = [word.lower() for word in re.findall(r"[A-Za-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name))]
    described = [word for word in re.findall(r"[a-z]+", meaning.lower()) if word not in _LINKS]
    meant = [stem(word) for word in (*words, *described) if word not in STOP_WORDS]
    stems = [word for word in meant if word not in _GENERIC] or [stem(word) for word in words]
    nouns = frozenset(stems) | {concept for word in stems for concept in concepts(word)}
    item = _param(name, schema.get("items", {}), True) if schema.get("type") == "array" else None
    shapes = _shapes(about)
    kind = _kind(words, schema, about.lower(), bool(shapes))
    return Param(name, kind, schema, required, meaning, frozenset((*words, *described)), nouns, shapes, item)


def _plain_schema(schema: JSON) -> Mapping[str, JSON]:
    """One schema for `X | None`, keeping what stands beside the union."""
    if not isinstance(schema, Mapping):
        return {}
    for union in ("anyOf", "oneOf"):
        options = [option for option in schema.get(union, ()) if option.get("type") != "null"]
        if options:
            return {**options[0], **{key: value for key, value in schema.items() if key != union}}
    if isinstance(schema.get("type"), list):
        return {**schema, "type": next((t for t in schema["type"] if t != "null"), "string")}
    return schema


_BY_TYPE: dict[str, ParamKind] = {
    "array": "list",
    "boolean": "boolean",
    "integer": "number",
    "number": "number",
}


def _kind(words: list[str], schema: Mapping[str, JSON], about: str, shaped: bool) -> ParamKind:
    type_, format_, named = schema.get("type", "string"), schema.get("format"), set(words)
    if "enum" in schema:
        return "enum"
    if type_ != "string":
        return _BY_TYPE.get(type_, "object")
    tests: list[tuple[ParamKind, bool]] = [
        ("email", format_ == "email" or bool(named & {"email", "mail"})),
        ("url", format_ in ("uri", "url") or bool(named & {"url", "uri", "link", "website"})),
        ("day", "tomorrow" in about),
        ("date", str(format_).startswith("date") or "date" in named or "yyyy-mm-dd" in about),
        ("expression", bool(named & {"expression", "formula", "expr"}) or "arithmetic" in about),
        ("unit", "unit" in named or "unit of" in about),
        ("currency", "currency" in named or "currency" in about),
        ("path", bool(named & {"path", "file", "folder", "directory", "dir", "filename"})),
        ("shape", shaped),
        ("text", bool(named & _FREE_TEXT)),
    ]
    return next((kind for kind, fits in tests if fits), "name")


def _shapes(about: str) -> tuple[re.Pattern[str], ...]:
    """Patterns made from the example in a description, if it has digits or is all capitals."""
    found = _SHAPED.search(about)
    example = found[1].rstrip(".,;:") if found else ""
    if not example or not re.search(r"\d|^[A-Z]{2,}$", example):
        return ()
    exact, loose = "", ""
    for run in re.findall(r"[A-Z]+|[a-z]+|\d+|[^A-Za-z\d]", example):
        like = next((kind for kind in (r"\d", "[A-Z]", "[a-z]") if re.match(kind, run)), "")
        exact += f"{like}{{{len(run)}}}" if like else re.escape(run)
        loose += f"{like}{{1,{len(run) + 3}}}" if like else re.escape(run)
    if example.isalpha():
        loose = "[A-Z]{2,5}"
    return tuple(re.compile(rf"(?<![\w-]){pattern}(?![\w-])") for pattern in (exact, loose))
