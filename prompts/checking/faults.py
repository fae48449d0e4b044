"""What jsonschema found, as faults: which argument, what it was, what its schema expects, in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Final

from gemmagraph.prompts.checking.complaint import Fault, Path, closest, cut, listed, show
from gemmagraph.prompts.checking.formats import FORMAT_EXAMPLES
from gemmagraph.prompts.checking.number import NotPlain
from gemmagraph.prompts.checking.parameters import ECMA_PATTERN, Schema
from gemmagraph.prompts.checking.verdict import Misfit
from gemmagraph.prompts.messages import JSON

_MOST: Final = 20
_MOST_BRANCHES: Final = 20
_DEEPEST: Final = 4
_NOUNS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "string": ("a string", "strings"),
        "integer": ("an integer", "integers"),
        "number": ("a number", "numbers"),
        "boolean": ("true or false", "true or false"),
        "array": ("an array", "arrays"),
        "object": ("an object", "objects"),
        "null": ("null", "null"),
    }
)
_FORMAT_NOUNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "date": "a date",
        "date-time": "a date and time",
        "date-time-local": "a date and time without an offset,",
        "date-time-or-local": "a date and time",
        "time": "a time",
        "time-local": "a time without an offset,",
        "time-or-local": "a time",
        "email": "an e-mail address",
        "uuid": "a UUID",
        "uri": "a URI",
        "ipv4": "an IPv4 address",
        "ipv6": "an IPv6 address",
    }
)
_IMPLIED: Final[Mapping[str | None, str]] = MappingProxyType(
    {
        "minimum": "number",
        "maximum": "number",
        "exclusiveMinimum": "number",
        "exclusiveMaximum": "number",
        "multipleOf": "number",
        "pattern": "string",
        "format": "string",
    }
)
"""The type that a failed keyword speaks about, where a schema names none."""
_BOUND_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "exclusiveMinimum": "above",
        "minimum": "of at least",
        "exclusiveMaximum": "below",
        "maximum": "of at most",
    }
)


def not_plain_fault(problem: NotPlain) -> Fault:
    """The fault of a value that no schema could allow."""
    path = tuple(problem.path)
    return Fault(path, lambda width: f"{_named(path)} was {show(problem.value, width)}, expected {problem.expected}")


class Faults:
    """Words the errors under one prepared schema."""

    def __init__(self, root: dict[str, JSON]) -> None:
        self._defs = root.get("$defs", {})

    def of(self, misfits: Iterable[Misfit]) -> list[Fault]:
        """The faults behind the first misfits, one a place; a misspelt argument is not called missing too."""
        found: dict[Path, Fault] = {}
        for misfit in misfits:
            for fault in islice(self._of_misfit(_most_telling(misfit)), _MOST):
                found.setdefault(fault.path, fault)
        meant = {fault.instead for fault in found.values()}
        return [fault for fault in found.values() if fault.instead is not None or fault.path not in meant]

    def _of_misfit(self, misfit: Misfit) -> Iterator[Fault]:
        path, wanted, value = misfit.path, misfit.wanted, misfit.value
        if misfit.keyword == "required":
            yield from self._missing(path, [name for name in wanted if name not in value], misfit.schema)
        elif misfit.keyword == "dependentRequired":
            names = [name for key, names in wanted.items() if key in value for name in names]
            yield from self._missing(path, [name for name in names if name not in value], misfit.schema)
        elif misfit.keyword in ("additionalProperties", "unevaluatedProperties") and wanted is False:
            known = self._known(misfit.schema)
            patterns = misfit.schema.get("patternProperties", ())
            unknown = [key for key in value if key not in known and not _matches(key, patterns)]
            for key in unknown:
                yield _undeclared(path, key, list(known))
            if not unknown:
                yield Fault(
                    path, lambda width: f"{_named(path)} was {show(value, width)}, whose keys do not go together"
                )
        elif words := _words_by_field(misfit):
            field = next(iter(words))
            yield Fault((*path, field), partial(_wrong_word, (*path, field), value[field], words[field]))
        else:
            yield Fault(path, partial(self._wrong_value, misfit))

    def _missing(self, path: Path, names: Sequence[str], schema: Schema) -> Iterator[Fault]:
        known = self._known(schema)
        for name in names:
            yield Fault((*path, name), partial(self._missing_words, (*path, name), known.get(name, True)))

    def _missing_words(self, path: Path, schema: Schema, width: int) -> str:
        expected = self.describe(schema, None, width)
        return f"{_named(path)} is missing" + (f", expected {expected}" if expected != "a value" else "")

    def _wrong_value(self, misfit: Misfit, width: int) -> str:
        keyword, wanted, value, schema = misfit.keyword, misfit.wanted, misfit.value, misfit.schema
        name = _named(misfit.path)
        was = f"{'a key of ' if misfit.is_key else ''}{name} was {show(value, width)}"
        if keyword in ("minItems", "maxItems"):
            return f"{name} had {_count(len(value), 'item')}, expected {_between(schema, 'Items', 'item')}"
        if keyword == "items":
            most = len(schema.get("prefixItems", ()))
            return f"{name} had {_count(len(value), 'item')}, expected at most {_count(most, 'item')}"
        if keyword in ("minProperties", "maxProperties"):
            noun = "key" if misfit.path else "argument"
            return f"{name} had {_count(len(value), noun)}, expected {_between(schema, 'Properties', noun)}"
        if keyword in ("minLength", "maxLength"):
            length = f" ({_count(len(value), 'character')})" if value else ""
            return f"{was}{length}, expected {_between(schema, 'Length', 'character')}"
        if keyword == "uniqueItems":
            return f"{was}, expected each item only once"
        if keyword == "contains":
            return f"{was}, expected {self.describe(wanted, None, width)} among the items"
        if keyword == "not" or isinstance(schema, bool):
            return f"{was}, which is not allowed"
        if keyword == "oneOf" and not misfit.branches:
            return f"{was}, which fits more than one of the allowed forms"
        if keyword in ("anyOf", "oneOf"):
            if all(isinstance(branch, dict) and branch.keys() <= {"required"} for branch in wanted):
                needed = [" with ".join(f'"{name}"' for name in branch["required"]) for branch in wanted]
                return f"{name} needs {listed(needed, 2 * width, ' or ')}"
            schema = {keyword: wanted}
        elif "type" not in schema and keyword in _IMPLIED:
            schema = {**schema, "type": _IMPLIED[keyword]}
        return f"{was}, expected {self.describe(schema, value, width)}"

    def describe(self, schema: Schema, value: JSON, width: int, depth: int = 0) -> str:
        """What a schema expects, in words; an enum begins with what is nearest to `value`."""
        if isinstance(schema, bool) or depth > _DEEPEST:
            return "a value"
        if "enum" in schema:
            return _enum(schema["enum"], value, width)
        if "$ref" in schema:
            return self.describe(self._target(schema), value, width, depth + 1)
        types = schema.get("type", [])
        branches: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or []
        if not types and not branches:
            parts = (self.describe(part, value, width, depth + 1) for part in schema.get("allOf", ()))
            return next((words for words in parts if words != "a value"), "a value")
        if isinstance(types, list) and types:
            branches = [{**schema, "type": name} for name in types]
        elif types:
            return self._typed(types, schema, width)
        words = [self.describe(branch, value, width, depth + 1) for branch in branches[:_MOST_BRANCHES]]
        words.sort(key=lambda word: word == "null")
        return listed(list(dict.fromkeys(words)), 4 * width, " or ")

    def _typed(self, name: str, schema: dict[str, JSON], width: int) -> str:
        noun, _ = _NOUNS[name]
        if name == "string":
            asserted = schema.get("format", "")
            if asserted in _FORMAT_NOUNS:
                return f'{_FORMAT_NOUNS[asserted]} like "{FORMAT_EXAMPLES[asserted]}"'
            if "pattern" in schema:
                return f"{noun} matching {cut(schema[ECMA_PATTERN], width)}"
            length = _between(schema, "Length", "character")
            return noun if length in ("", "at least 1 character") else f"{noun} of {length}"
        if name in ("integer", "number"):
            return noun + _bounds(schema)
        if name == "array":
            items = schema.get("items")
            inner = items.get("type") if isinstance(items, dict) else None
            plural = _NOUNS[inner][1] if isinstance(inner, str) else "items"
            size = _between(schema, "Items", plural.removesuffix("s"))
            return f"{noun} of {size or plural}" if size or plural != "items" else noun
        if name == "object":
            names = schema.get("required") or list(schema.get("properties", ()))
            return f"{noun} with {listed([show(key, width) for key in names], 2 * width)}" if names else noun
        return noun

    def _known(self, schema: Schema, depth: int = 0) -> dict[str, Schema]:
        """The properties that a schema declares, also in those it is put together from."""
        if isinstance(schema, bool) or depth > _DEEPEST:
            return {}
        parts = [part for keyword in ("allOf", "anyOf", "oneOf") for part in schema.get(keyword, ())]
        if "$ref" in schema:
            parts.append(self._target(schema))
        found: dict[str, Schema] = {}
        for part in parts[:_MOST_BRANCHES]:
            found |= self._known(part, depth + 1)
        found |= schema.get("properties", {})
        return found

    def _target(self, schema: dict[str, JSON]) -> Schema:
        target: Schema = self._defs[schema["$ref"].removeprefix("#/$defs/")]
        return target


def _matches(key: str, patterns: Iterable[str]) -> bool:
    return any(re.search(pattern, key) for pattern in patterns)


def _most_telling(misfit: Misfit) -> Misfit:
    """The misfit inside the one branch of a choice that was meant, if one can tell which."""
    for _ in range(_DEEPEST):
        meant = [branch for branch in misfit.branches if not any(map(_is_other_kind, branch))]
        if len(meant) != 1:
            break
        misfit = meant[0][0]
    return misfit


def _is_other_kind(misfit: Misfit) -> bool:
    """Whether it says that another branch was meant: another type, or another fixed word in a field."""
    if _is_other_type(misfit):
        return True
    return misfit.keyword == "enum" and len(misfit.own_path) <= 1 and len(misfit.wanted) == 1


def _is_other_type(misfit: Misfit) -> bool:
    return misfit.keyword in ("type", None) and not misfit.own_path


def _words_by_field(misfit: Misfit) -> dict[str | int, list[JSON]]:
    """Of a choice whose branches are told apart by a fixed word in a field, when the value has none of them: the
    field with the words."""
    found: dict[str | int, list[JSON]] = {}
    branches = [branch for branch in misfit.branches if not any(map(_is_other_type, branch))]
    for branch in branches:
        for part in branch:
            if part.keyword == "enum" and len(part.own_path) == len(part.wanted) == 1:
                found.setdefault(part.own_path[0], []).extend(part.wanted)
    return {field: words for field, words in found.items() if len(words) == len(branches) > 1}


def _wrong_word(path: Path, value: JSON, words: list[JSON], width: int) -> str:
    return f"{_named(path)} was {show(value, width)}, expected {_enum(words, value, width)}"


def _undeclared(path: Path, key: str, known: list[str]) -> Fault:
    near = closest(key, known)

    def words(width: int) -> str:
        place = f"in {_named(path)} " if path else ""
        start = f"{place}there is no {'key' if path else 'argument'} {show(key, width)}"
        if near is not None:
            return f"{start}, did you mean {show(near, width)}?"
        names = listed([show(name, width) for name in known], 2 * width)
        return f"{start}, only {names}" if names else f"{start}, it takes none"

    return Fault((*path, key), words, None if near is None else (*path, near))


def _named(path: Path) -> str:
    if not path:
        return "the call"
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return show(text.removeprefix("."), 60)


def _enum(members: list[JSON], value: JSON, width: int) -> str:
    if not members:
        return "nothing"
    shown = [show(member, width) for member in members]
    if len(shown) == 1:
        return shown[0]
    if len(", ".join(shown)) > 2 * width and isinstance(value, str):
        near = [show(word, width) for word in _closest_words(value, members)]
        shown = list(dict.fromkeys([*near, *shown]))
    return f"one of {listed(shown, 2 * width)}"


def _closest_words(value: str, members: list[JSON]) -> list[str]:
    words = [member for member in members if isinstance(member, str)]
    found: list[str] = []
    while len(found) < 3 and (near := closest(value, words)) is not None:
        found.append(near)
        words.remove(near)
    return found


def _bounds(schema: dict[str, JSON]) -> str:
    shown = {key: show(schema[key], 24) for key in (*_BOUND_WORDS, "multipleOf") if key in schema}
    words = []
    if "minimum" in shown and "maximum" in shown:
        words.append(f"from {shown.pop('minimum')} to {shown.pop('maximum')}")
    words += [f"{_BOUND_WORDS[key]} {bound}" for key, bound in shown.items() if key in _BOUND_WORDS]
    multiple = f" that is a multiple of {shown['multipleOf']}" if "multipleOf" in shown else ""
    return f" {' and '.join(words)}{multiple}" if words else multiple


def _between(schema: dict[str, JSON], keyword: str, noun: str) -> str:
    """`5 to 120 characters` from `minLength` and `maxLength`; empty if there is neither."""
    low, high = schema.get(f"min{keyword}"), schema.get(f"max{keyword}")
    if high is None:
        return f"at least {_count(int(low), noun)}" if low else ""
    if low == high:
        return f"exactly {_count(int(high), noun)}"
    return f"{int(low)} to {_count(int(high), noun)}" if low else f"at most {_count(int(high), noun)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 or noun == 'true or false' else 's'}"
