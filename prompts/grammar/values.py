"""JSON Schema as rules of a grammar: a value in the spelling of a style.

What the rules let through, the schema allows, but for what no grammar can say: patterns, `not`, `if`, `contains`,
`uniqueItems`, `multipleOf` in wide ranges, `oneOf` where two branches hold, dependencies between keys, keys by
pattern, the same undeclared key twice. There the check of the arguments decides. Some of what the schema allows
cannot be written: keys beside the declared ones of an object that declares some (a small model would make them up,
and one could be a declared key again), another order of keys, control marks in strings, and what `numbers`
and `texts` name. `docs/notations.md` lists all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeAlias

from gemmagraph.prompts.checking.parameters import ASSERTIONS, Schema
from gemmagraph.prompts.checking.verdict import Steps, Verdict
from gemmagraph.prompts.grammar import numbers as grammar_numbers
from gemmagraph.prompts.grammar.gbnf import (
    MOST_REPEATS,
    NOTHING,
    Rules,
    Units,
    behind,
    either,
    factored,
    literal,
    spelled,
)
from gemmagraph.prompts.grammar.merging import both, merged
from gemmagraph.prompts.grammar.texts import Strings
from gemmagraph.prompts.messages import JSON

_IMPLIED: Final = (
    ("object", {"properties", "required", "additionalProperties", "minProperties", "maxProperties"}),
    ("array", {"items", "prefixItems", "minItems", "maxItems", "contains", "uniqueItems"}),
    ("string", {"minLength", "maxLength", "pattern", "format"}),
    ("number", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
)
"""What a schema without a type speaks of."""
_COMPOSING: Final = {"$ref", "allOf", "anyOf", "oneOf"}
_DEEPEST: Final = 100
_MOST_COUNTED: Final = 400
_MOST_STEPS: Final = 20_000
Found: TypeAlias = dict[tuple[str, str], str | None]
"""Expressions of schemas, by the name of the style and how the schema is written; None if nothing fits."""
_NOTHING: Final = r'"\x01"'
"""The rule of a schema that nothing fits, which no other rule leads to in the end."""


@dataclass(frozen=True, slots=True)
class Members:
    """How the members of an object, or the arguments of a call, are spelled."""

    around: Callable[[str], tuple[str, str]]
    """The texts before and behind the value of a key."""
    undeclared: Callable[[str], str]
    """The expression of a member with any key, from the one of its value; it may use the rule `string`."""
    closer: str = "}"


@dataclass(frozen=True, slots=True)
class Style:
    """How values are spelled: as Python, as JSON, or natively."""

    name: str
    write: Callable[[JSON], str]
    """A value that is known already."""
    members: Members
    comma: str
    quote: str = ""
    """The mark that stands for a quote; "" for double quotes and escapes."""
    is_sorted: bool = False
    """Whether keys stand in the order of their letters, and not as they were declared."""

    def units(self, text: str) -> Units:
        """A written text, divided at its marks."""
        if not self.quote:
            return tuple(text)
        first, *rest = text.split(self.quote)
        found = [*first]
        for piece in rest:
            # Behind the beginning of a mark, as text, llama.cpp takes the whole mark for the rest of it: see
            # `gbnf.Text.end_begins`.
            found += self.quote if self._ends_in_beginning(found) else [self.quote]
            found += piece
        return tuple(found)

    def _ends_in_beginning(self, units: list[str]) -> bool:
        if not units or units[-1] not in self.quote[:-1]:
            return False
        end = "".join(units[-len(self.quote) :])
        return any(end.endswith(self.quote[:size]) for size in range(1, len(self.quote)))

    def fixed(self, text: str) -> str:
        """The expression of a written text."""
        if not text or (self.quote and self.quote in text):
            return spelled(self.units(text))
        return literal(text)


class Values:
    """The rules of the values of one schema.

    Args:
        rules: where they go.
        strings: the rules of strings among them, with the style's quotes.
        style: how values are spelled.
        root: the schema, as `parameters.prepare` gives it.
        shared: what was found already, for all schemas whose rules go to the same place, of those that refer to
            nothing. It is added to.
    """

    def __init__(
        self, rules: Rules, strings: Strings, style: Style, root: dict[str, JSON], shared: Found | None = None
    ) -> None:
        self._rules = rules
        self._strings = strings
        self._style = style
        self._root = root
        self._defs: dict[str, Schema] = root.get("$defs", {})
        self._found: Found = {}
        self._shared: Found = {} if shared is None else shared
        self._depth = 0
        self._was_too_deep = False

    def of(self, schema: Schema) -> str | None:
        """An expression of the values that `schema` allows, which needs no brackets; None if there are none."""
        if isinstance(schema, bool):
            return self.free() if schema else None
        composed = {keyword: value for keyword, value in schema.items() if keyword in ASSERTIONS}
        if not composed:
            return self.free()
        key = (self._style.name, repr(composed))
        if "$ref" in key[1]:
            return self._referring(key, composed)
        if key not in self._shared:
            found = self._one_of(merged(composed, {}) if composed.keys() & _COMPOSING else composed)
            if self._was_too_deep:
                return found
            self._shared[key] = found
        return self._shared[key]

    def _referring(self, key: tuple[str, str], schema: dict[str, JSON]) -> str | None:
        """The expression of a schema that may hold itself: then it comes by here again, and finds a rule's name."""
        if key not in self._found:
            name = self._found[key] = self._rules.reserve()
            found = self._one_of(merged(schema, self._defs))
            self._rules.define(name, found or _NOTHING)
            if found is None:
                self._found[key] = None
        return self._found[key]

    def _one_of(self, schema: dict[str, JSON]) -> str | None:
        if self._depth > _DEEPEST:  # merged with itself over and over
            self._was_too_deep = True
            return self.free()
        self._depth += 1
        options = self._options(schema)
        self._depth -= 1
        return either(options) if options else None

    def free(self) -> str:
        """Any value at all."""
        rules, comma, name = self._rules, literal(self._style.comma), self._style.name
        if name not in rules:
            rules.reserve(name)
            number, constants = self._number(None, None), self._fixed((True, False, None))
            several = f"{name} ({comma} {name})*"
            member = rules.rule(self._style.members.undeclared(name))
            members = f"{member} ({comma} {member})*"
            brackets = f'"[" ({several})? "]" | "{{" ({members})? "}}"'
            rules.define(name, f"{self._strings.any} | {number} | {constants} | {brackets}")
        return name

    def _options(self, schema: dict[str, JSON]) -> list[str]:
        """An expression for each way to fit a schema without `$ref` and `allOf`."""
        if "enum" in schema:
            return self._enum(schema)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                beside = {key: value for key, value in schema.items() if key != keyword}
                found = [self.of(both(beside, branch) if beside else branch) for branch in schema[keyword]]
                return [*dict.fromkeys(each for each in found if each is not None)]
        kinds = schema.get("type", [kind for kind, keywords in _IMPLIED if keywords & schema.keys()])
        if not kinds:
            return [] if "type" in schema else [self.free()]
        if isinstance(kinds, str):
            kinds = [kinds]
        if "number" in kinds:
            kinds = [kind for kind in kinds if kind != "integer"]
        found = [self._typed(kind, schema) for kind in kinds]
        return [each for each in found if each is not None]

    def _typed(self, kind: str, schema: dict[str, JSON]) -> str | None:
        if kind == "boolean":
            return self._fixed((True, False))
        if kind == "null":
            return self._fixed((None,))
        if kind == "string":
            return self._string(schema)
        if kind == "integer":
            return self._integer(schema)
        if kind == "number":
            return self._number(*grammar_numbers.bounds(schema, whole=False))
        if kind == "array":
            return self._array(schema)
        members = self._members(schema, self._style.members)
        return members and self._rules.rule(f'"{{" {members}')

    def members(self, schema: Schema, spelling: Members) -> str | None:
        """An expression of the members of an object, from behind its bracket to the one that closes it; None if
        there is no such object."""
        if isinstance(schema, bool):
            return self._members({}, spelling) if schema else None
        schema = merged(schema, self._defs)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                beside = {key: value for key, value in schema.items() if key != keyword}
                found = (self.members(both(beside, branch), spelling) for branch in schema[keyword])
                options = [each for each in found if each is not None]
                return either(options) if options else None
        return self._members(schema, spelling) if "object" in schema.get("type", "object") else None

    def _fixed(self, values: Iterable[JSON]) -> str:
        """One of some values."""
        return self._rules.rule(factored({self._style.units(self._style.write(value)): "" for value in values}))

    def _enum(self, schema: dict[str, JSON]) -> list[str]:
        kinds = schema.get("type", ())
        names = {kinds} if isinstance(kinds, str) else {*kinds}
        members = [member for member in schema["enum"] if not names or names & _kinds(member)]
        if schema.keys() - {"type", "enum"}:
            verdict = Verdict(self._root, Steps(_MOST_STEPS))
            members = [member for member in members if verdict.first_misfit(schema, member) is None]
        return [self._fixed(members)] if members else []

    def _string(self, schema: dict[str, JSON]) -> str | None:
        least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
        if most is not None and most < least:
            return None
        formatted = self._strings.of_format(schema.get("format", ""))
        if formatted is not None:
            return formatted
        if not least and most is None:
            return self._strings.any
        return self._strings.of_length(least, None if most is None else int(most))

    def _integer(self, schema: dict[str, JSON]) -> str | None:
        low, high = grammar_numbers.bounds(schema, whole=True)
        if "multipleOf" in schema:
            found = grammar_numbers.multiples(low, high, schema["multipleOf"])
            if found is not None:
                return self._fixed(found) if found else None
        body = grammar_numbers.integer(low, high)
        return body and self._rules.rule(body)

    def _number(self, low: Decimal | None, high: Decimal | None) -> str | None:
        body = grammar_numbers.number(low, high)
        return body and self._rules.rule(body)

    def _array(self, schema: dict[str, JSON]) -> str | None:
        least, most = int(schema.get("minItems", 0)), schema.get("maxItems")
        if most is not None and most < least:
            return None
        least = min(least, MOST_REPEATS)
        first: Sequence[Schema] = schema.get("prefixItems", ())
        first = first if most is None else first[: int(most)]
        item = self.of(schema.get("items", True)) if most is None or most > len(first) else None
        comma = literal(self._style.comma)
        most = None if most is None else int(most) - len(first)
        rest = self._list(item, comma, least - len(first), most, not first)
        for place in reversed(range(len(first))):
            value = self.of(first[place])
            begun = None if value is None or rest is None else behind(f"{f'{comma} ' if place else ''}{value}", rest)
            rest = begun if place < least else f"({begun})?" if begun else NOTHING
        return rest and self._rules.rule(behind('"["', rest, '"]"'))

    def _list(self, item: str | None, comma: str, least: int, most: int | None, is_first: bool) -> str | None:
        """Items from the first on, or behind others, with the commas in front of them."""
        if item is None or most == 0:
            return None if least > 0 else NOTHING
        if not is_first:
            return f"({comma} {item}){_times(max(least, 0), most)}"
        several = f"{item} ({comma} {item}){_times(max(least - 1, 0), most and most - 1)}"
        return several if least > 0 else f"({several})?"

    def _members(self, schema: dict[str, JSON], spelling: Members) -> str | None:
        others: Any = schema.get("additionalProperties", schema.get("unevaluatedProperties", True))
        required = dict.fromkeys(schema.get("required", ()))
        declared: dict[str, Schema] = dict(schema.get("properties", {}))
        declared |= {key: others for key in required if key not in declared}
        least, most = int(schema.get("minProperties", 0)), schema.get("maxProperties")
        if not declared:
            value = None if others is False else self.of(others)
            item = value and spelling.undeclared(value)
            items = self._list(item, literal(self._style.comma), least, None if most is None else int(most), True)
            return items and behind(items, literal(spelling.closer))
        keys = sorted(declared, key=str.lower) if self._style.is_sorted else list(declared)
        found = []
        for key in keys:
            value = self.of(declared[key])
            if value is not None:
                found.append(_Member(*spelling.around(key), value, key in required))
            elif key in required:
                return None
        return self._chain(found, least, most, literal(spelling.closer))

    def _chain(self, members: list[_Member], least: int, most: int | None, closer: str) -> str | None:
        """Members in their order, those that may be left out or not: two rules for each, one for where nothing is
        written yet and one for where something is. More only if the number of members matters."""
        if most is None or most >= len(members):
            last = max(least, 1)
            most = None
        else:
            last = int(most)
        if last * len(members) > _MOST_COUNTED:
            least, most, last = 0, None, 1
        rest: dict[int, str | None] = {count: closer if count >= least else None for count in range(last + 1)}
        comma = self._style.comma
        for place, member in reversed(list(enumerate(members))):
            needed = sum(before.is_required for before in members[:place])
            now: dict[int, str | None] = {}
            for count in range(min(needed, last), min(place, last) + 1):
                follows = None if count == most else rest.get(min(count + 1, last))
                start = self._style.fixed(f"{comma if count else ''}{member.before}")
                end = f" {self._style.fixed(member.behind)}" if member.behind else ""
                written = follows and f"{start} {member.value}{end} {follows}"
                if member.is_required:
                    now[count] = written
                else:
                    both_ways = [each for each in (written, rest.get(count)) if each]
                    now[count] = self._rules.rule(" | ".join(both_ways)) if both_ways else None
            rest = now
        return rest[0]


@dataclass(frozen=True, slots=True)
class _Member:
    before: str
    behind: str
    value: str
    is_required: bool


def _times(least: int, most: int | None) -> str:
    if most is None or most >= MOST_REPEATS:
        return "*" if not least and most is None else f"{{{least},{'' if most is None else MOST_REPEATS}}}"
    return f"{{{least},{most}}}"


def _kinds(value: JSON) -> set[str]:
    """The types that a value is of."""
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return {"integer", "number"}
    kinds = ((str, "string"), (float, "number"), (list, "array"), (dict, "object"))
    return {next((kind for type_, kind in kinds if isinstance(value, type_)), "null")}
