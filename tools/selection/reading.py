"""How a request and a tool are read: their words, what looks like a value, and which words count how much where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gemmagraph.prompts.messages import JSON, ToolSpec
from gemmagraph.tools.selection.hints import unaccented
from gemmagraph.tools.selection.words import STOP_WORDS, stem

_SPACELESS: Final = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORDS = re.compile(rf"([{_SPACELESS}]+)|([^\W_{_SPACELESS}]+(?:['’][^\W_{_SPACELESS}]+)*)")
_QUOTED = re.compile(r"[\"“”„«»]([^\"“”„«»]{1,2000})[\"“”„«»]")
_HUMPS = re.compile(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it is written, in lower case, and its stem."""

    plain: str
    stem: str
    small: bool
    """Whether it says nothing by itself."""


def words_of(text: str) -> Iterator[Word]:
    """The words of a text; of `camelCase` the parts and the whole; of writing without spaces each two letters."""
    for run, word in _WORDS.findall(unaccented(text)):
        if run:
            yield from (Word(pair, pair, False) for pair in (run[at : at + 2] for at in range(max(1, len(run) - 1))))
            continue
        parts = _HUMPS.split(word)
        for part in (word, *parts) if len(parts) > 1 else parts:
            plain = part.lower().replace("’", "'")
            yield Word(plain, stem(plain), plain.isdecimal() or plain.partition("'")[0] in STOP_WORDS)


def words_of_name(name: str) -> Iterator[Word]:
    """The words of a name, of `camelCase` the parts alone."""
    return words_of(_HUMPS.sub(" ", name))


def parted(text: str) -> tuple[str, str]:
    """What a text says itself, and what it quotes."""
    return _QUOTED.sub(" ", text), " ".join(_QUOTED.findall(text))


def values_in(text: str) -> Iterator[str]:
    """The words of parameters that take what looks like a value in the text."""
    for shape, stems in _SHAPES:
        if shape.search(text):
            yield from stems


_SHAPES: Final = tuple(
    (re.compile(shape), tuple(stem(word) for word in meant.split()))
    for shape, meant in (
        (r"https?://", "url link page"),
        (r"[\w.+-]@[\w-]{1,60}\.\w", "email mail"),
        (r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])", "ip host"),
        (r"(?<!\w)#[A-Za-z]", "channel tag"),
        (r"\w\.(?:org|com|net|io|de|dev)\b", "host domain"),
        (r"\w\.(?:pdf|docx?|xlsx?|csv|txt|md|png|jpe?g|mp[34]|zip|json|ya?ml)\b", "file"),
        (r"(?<!\w)~?/[\w.-]+", "path folder"),
        (r"[€$£¥]|\b(?:euros?|dollars?|pounds?|EUR|USD)\b", "amount currency"),
        (r"(?<!\d)\d{4}-\d\d-\d\d(?!\d)", "date"),
        (r"\+\d[\d ]{6,}|\b0\d{2,4}[ /-]?\d{5,}", "phone number"),
        (r"(?<![\w/+])(?=\w*\d)(?=\w*[A-Z])[\w/+]{8,}={1,2}(?!\w)", "base64 decode"),
        (r"-?\b\d{1,2}\.\d+, ?-?\d{1,3}\.\d+", "latitude longitude coordinate"),
        (r"(?<![\w/.~-])[a-z][\w-]*/[\w-]+(?![\w/.])", "repo repository"),
        (r"\b[A-Z]{2}\d{2}[A-Z\d]{11,30}\b", "iban"),
        (r"\b[A-Z][A-Z\d]+-\d+\b", "key issue ticket"),
        (r"(?<!\w)#\d+", "number issue"),
        (r"\bi-[0-9a-f]{4,17}\b", "instance virtual machine"),
        (r"\bv\d+\.\d|(?<![\d.])\d+\.\d+\.\d+(?![\d.])", "version revision release"),
        (r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}/\d", "cidr"),
        (r"(?i)\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b|\b\d{1,2}(?::\d\d)? ?[ap]m\b", "appointment"),
        (r"\d *[+*×÷^] *\d|\d +[-/] +\d|\d *% +of\b|\d (?:plus|minus|times|divided)\b", "arithmetic expression"),
        (r"\w\([^()]{0,200}\[\d+[smhdw]\]", "promql expression"),
        (r"(?i)\bselect\b.{1,200}?\bfrom\b", "sql statement"),
        (r"(?<!\w)\^\S|\S\$(?!\S)|\.\*|\[\w-\w\]|\\[dws]", "regular expression pattern regex"),
    )
)
"""What a value looks like, and the words of parameters that take such."""


# --- the words of a tool ----------------------------------------------------------------------------------

_IN_NAME: Final = 2.5
_IN_EXAMPLE: Final = 2.0
_IN_DESCRIPTION: Final = 2.0
_IN_PARAMETER: Final = 1.0
_IN_VALUES: Final = 1.0
_IN_PARAMETER_DESCRIPTION: Final = 0.6
"""What a word is worth by where a tool has it."""
_LONGEST_FIELD: Final = 2_000
_DEPTH: Final = 4


def words_of_tool(spec: ToolSpec) -> list[tuple[float, list[Word]]]:
    """The words of each field of a tool, with what each is worth there."""
    return [(weight, list(words_of(text[:_LONGEST_FIELD]))) for weight, text in _fields(spec)]


def _fields(spec: ToolSpec) -> Iterator[tuple[float, str]]:
    yield _IN_NAME, spec.name
    yield _IN_DESCRIPTION, spec.description
    for example in spec.examples:
        yield _IN_EXAMPLE, str(example.get("user", ""))
    yield from _schema_fields(spec.parameters, _DEPTH)


def _schema_fields(schema: JSON, depth: int) -> Iterator[tuple[float, str]]:
    """The names of properties, what is said of them, and the values they allow."""
    if not isinstance(schema, Mapping) or depth == 0:
        return
    allowed = schema.get("enum")
    if isinstance(allowed, list):
        yield _IN_VALUES, " ".join(value for value in allowed[:100] if isinstance(value, str))
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, Mapping) else ():
        yield _IN_PARAMETER, str(name)
        if isinstance(inner, Mapping):
            yield _IN_PARAMETER_DESCRIPTION, str(inner.get("description", ""))
        yield from _schema_fields(inner, depth - 1)
    for key in ("items", "anyOf", "oneOf", "allOf"):
        inner = schema.get(key)
        for one in inner if isinstance(inner, list) else (inner,):
            yield from _schema_fields(one, depth - 1)
