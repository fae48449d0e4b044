"""Forms that hold others: mappings with known keys, mappings of names, lists, one thing or another."""

from __future__ import annotations

import re
from collections.abc import Collection
from collections.abc import Mapping as Table
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.declared.forms import UNFIT, Definitions, Flaw, Flaws, Form, Kind, Unfit, kind_of
from gemmagraph.tools.declared.nodes import Mapping, Node, Sequence, plain, shown
from gemmagraph.tools.declared.problems import nearest

_NONE: Final[Table[str, tuple[str, ...]]] = {}
_NO_REASONS: Final[Table[str, str]] = {}
_MOST_NAMED: Final = 12
"""Of more keys than this, not all are listed when one is unknown."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a mapping."""

    form: Form
    says: str
    """One sentence: what editors show, and the reference."""
    required: bool = False


class Keys(Form):
    """A mapping whose keys are known.

    Args:
        name: in the schema's `$defs`.
        one_of: of these keys exactly one must be there.
        some_of: of these keys at least one must be there.
        least: how many keys must be there.
        needs: a key that must not stand without others.
        excludes: a key that must not stand beside others.
        rest: the form of keys that are not known; without it they are a flaw.
        hidden: whether what stands there in its place may be a secret.
        why: what to say of a key that is not known here, by its name.
    """

    takes = frozenset[Kind](("mapping",))

    def __init__(
        self,
        name: str,
        keys: Table[str, Key],
        *,
        says: str = "",
        one_of: tuple[str, ...] = (),
        some_of: tuple[str, ...] = (),
        least: int = 0,
        needs: Table[str, tuple[str, ...]] = _NONE,
        excludes: Table[str, tuple[str, ...]] = _NONE,
        rest: Form | None = None,
        hidden: bool = False,
        why: Table[str, str] = _NO_REASONS,
    ) -> None:
        named = one_of or some_of or [key for key in keys if keys[key].required] or list(keys)
        self.right = f"a mapping with {'one of ' if one_of or some_of else ''}{_listed(named)}"
        self.keys, self.says = dict(keys), says
        self._name = name
        self._forms = {key: known.form for key, known in keys.items()}
        self._required = tuple(key for key, known in keys.items() if known.required)
        self._one_of, self._some_of, self._needs, self._excludes = one_of, some_of, dict(needs), dict(excludes)
        self._related = bool(one_of or some_of or needs or excludes)
        self.hidden = hidden
        self._least, self._rest, self._why = least, rest, why

    def read(self, node: Node, flaws: Flaws) -> JSON:
        if type(node) is not Mapping:
            return self.misfit(node, flaws)
        read: dict[str, JSON] = {}
        forms = self._forms
        for key, child in node.entries.items():
            form = forms.get(key, self._rest)
            if form is None or (key not in forms and self._meant(key, child)):
                flaws.append(self._unknown(node, key))
            else:
                read[key] = form.read(child, flaws)
        self._relate(node, flaws)
        return read

    def sound(self, node: Node) -> JSON | Unfit:
        kept, flaws = self._kept(node)
        enough = all(key in kept for key in self._required) and all(
            any(key in kept for key in keys) for keys in (self._one_of, self._some_of) if keys
        )
        return kept if enough and all(flaw.key is not None for flaw in flaws) else UNFIT

    def parts(self, node: Node) -> dict[str, JSON]:
        """The keys that have no flaw, whether or not they are all that is needed."""
        return self._kept(node)[0]

    def _kept(self, node: Node) -> tuple[dict[str, JSON], Flaws]:
        """The keys that have no flaw, and what is wrong with the others beside each other."""
        kept: dict[str, JSON] = {}
        flaws = Flaws()
        if type(node) is Mapping:
            self._relate(node, flaws)
            barred = {flaw.key for flaw in flaws}
            for key, child in node.entries.items():
                form = self._forms.get(key, self._rest)
                if form is not None and key not in barred and not isinstance(value := form.sound(child), Unfit):
                    kept[key] = value
        return kept, flaws

    def _unknown(self, node: Mapping, key: str) -> Flaw:
        known = list(self._forms)
        hint = self._why.get(key, f"Known here: {', '.join(known)}." if len(known) <= _MOST_NAMED else "")
        near = () if key in self._why else known
        return Flaw(node, "unknown key", hint, key=key, near=near, word=key)

    def _meant(self, key: str, child: Node) -> bool:
        """Whether a key that `rest` takes is likely to mean a known one: what stands there is nothing for `rest`."""
        if not isinstance(self._rest, Keys) or not isinstance(child, Mapping):
            return False
        lacking = any(needed not in child.entries for needed in self._rest._required)
        return lacking and nearest(key, self._forms) is not None

    def _relate(self, node: Mapping, flaws: Flaws) -> None:
        """What must be there, and what keys say about each other."""
        there = node.entries
        if len(there) < self._least:
            flaws.append(Flaw(node, f"must be {self.right}, not empty"))
        for key in self._required:
            if key not in there and not self._misspelt(node, key):
                flaws.append(Flaw(node, f"{key!r} is missing", self.keys[key].says))
        if not self._related:
            return
        for keys in filter(None, (self._one_of, self._some_of)):
            if not any(key in there for key in keys) and not self._misspelt(node, *keys):
                flaws.append(Flaw(node, f"one of {_listed(keys)} is missing"))
        found = [key for key in self._one_of if key in there]
        for other in found[1:]:
            flaws.append(Flaw(node, f"cannot stand beside {found[0]!r}", "Keep one of the two.", key=other))
        for key, needed in self._needs.items():
            if key in there:
                for other in needed:
                    if other not in there and not self._misspelt(node, other):
                        flaws.append(Flaw(node, f"{other!r} is missing", f"{key!r} needs it."))
        for key, barred in self._excludes.items():
            if key in there:
                for other in barred:
                    if other in there:
                        flaws.append(Flaw(node, f"cannot stand beside {key!r}", key=other))

    def _misspelt(self, node: Mapping, *missing: str) -> bool:
        """Whether a key that is not known is likely to mean one of these: then that is said of it."""
        unknown = (key for key in node.entries if key not in self._forms) if self._rest is None else ()
        return any(nearest(key, missing) for key in unknown)

    def schema(self, definitions: Definitions) -> dict[str, JSON]:
        if self._name not in definitions:
            definitions[self._name] = {}  # keeps its place in the order
            definitions[self._name] = self._written(definitions)
        return {"$ref": f"#/$defs/{self._name}"}

    def _written(self, definitions: Definitions) -> dict[str, JSON]:
        written: dict[str, JSON] = {"type": "object"}
        if self.says:
            written["description"] = self.says
        written["properties"] = {
            key: {**known.form.schema(definitions), "description": known.says} for key, known in self.keys.items()
        }
        written["additionalProperties"] = self._rest.schema(definitions) if self._rest else False
        if self._least:
            written["minProperties"] = self._least
        if self._required:
            written["required"] = list(self._required)
        if self._one_of:
            written["oneOf"] = [{"required": [key]} for key in self._one_of]
        if self._some_of:
            written["anyOf"] = [{"required": [key]} for key in self._some_of]
        if self._needs:
            written["dependentRequired"] = {key: list(needed) for key, needed in self._needs.items()}
        if self._excludes:
            written["dependentSchemas"] = {
                key: {"not": {"anyOf": [{"required": [other]} for other in barred]}}
                for key, barred in self._excludes.items()
            }
        return written


def alone(*keys: str) -> dict[str, tuple[str, ...]]:
    """`excludes` for keys of which at most one may be there."""
    table: dict[str, tuple[str, ...]] = {}
    for first, second in combinations(keys, 2):
        table[first] = (*table.get(first, ()), second)
    return table


class OneOf(Form):
    """A mapping that is of one or of another form: the first key found says which."""

    takes = frozenset[Kind](("mapping",))

    def __init__(self, **forms: Keys) -> None:
        self.right = f"a mapping with {' or '.join(forms)}"
        self._forms = forms

    def read(self, node: Node, flaws: Flaws) -> JSON:
        if type(node) is not Mapping:
            return self.misfit(node, flaws)
        if (form := self._of(node)) is not None:
            return form.read(node, flaws)
        meant = next((key for key in node.entries if nearest(key, self._forms)), None)
        if meant is None:
            flaws.append(Flaw(node, f"one of {_listed(self._forms)} is missing"))
        else:
            flaws.append(Flaw(node, "unknown key", key=meant, near=self._forms, word=meant))
        return None

    def sound(self, node: Node) -> JSON | Unfit:
        form = self._of(node)
        return form.sound(node) if form else UNFIT

    def parts(self, node: Node) -> dict[str, JSON]:
        """As of `Keys`."""
        form = self._of(node)
        return form.parts(node) if form else {}

    def _of(self, node: Node) -> Keys | None:
        there = node.entries if type(node) is Mapping else {}
        return next((form for key, form in self._forms.items() if key in there), None)

    def schema(self, definitions: Definitions) -> dict[str, JSON]:
        *most, last = self._forms.items()
        written: dict[str, JSON] = last[1].schema(definitions)
        for key, form in reversed(most):
            written = {"if": {"required": [key]}, "then": form.schema(definitions), "else": written}
        return {"type": "object", **written}


class MapOf(Form):
    """A mapping from names to values of one form.

    Args:
        names: a pattern that all names fit.
        named: what such a name is.
        nothing: the hint where nothing stands there.
    """

    takes = frozenset[Kind](("mapping",))

    def __init__(self, form: Form, *, names: str | None = None, named: str = "a name", nothing: str = "") -> None:
        self.right = "a mapping"
        self._nothing = nothing
        self._form, self._names, self._named = form, names, named
        self._fits = re.compile(names).fullmatch if names else None

    def read(self, node: Node, flaws: Flaws) -> JSON:
        if type(node) is not Mapping:
            return self.misfit(node, flaws)
        if self._fits is not None:
            for key in node.entries:
                if not self._fits(key):
                    flaws.append(Flaw(node, f"{shown(key)} must be {self._named}", key=key))
        read = self._form.read
        return {key: read(child, flaws) for key, child in node.entries.items()}

    def _hint(self, node: Node) -> str:
        return self._nothing if kind_of(node) == "null" else super()._hint(node)

    def sound(self, node: Node) -> JSON | Unfit:
        if type(node) is not Mapping:
            return UNFIT
        named = (key for key in node.entries if self._fits is None or self._fits(key))
        values = ((key, self._form.sound(node.entries[key])) for key in named)
        return {key: value for key, value in values if not isinstance(value, Unfit)}

    def schema(self, definitions: Definitions) -> dict[str, JSON]:
        written: dict[str, JSON] = {"type": "object", "additionalProperties": self._form.schema(definitions)}
        if self._names:
            written["propertyNames"] = {"pattern": self._names}
        return written


class Listing(Form):
    """A list of values of one form."""

    takes = frozenset[Kind](("list",))

    def __init__(self, form: Form, *, least: int = 0, right: str = "a list") -> None:
        self.right = right
        self._form, self._least = form, least

    def read(self, node: Node, flaws: Flaws) -> JSON:
        if type(node) is not Sequence:
            return self.misfit(node, flaws)
        if len(node.items) < self._least:
            flaws.append(Flaw(node, f"must be {self.right}, not empty"))
        read = self._form.read
        return [read(child, flaws) for child in node.items]

    def schema(self, definitions: Definitions) -> dict[str, JSON]:
        written: dict[str, JSON] = {"type": "array", "items": self._form.schema(definitions)}
        if self._least:
            written["minItems"] = self._least
        return written


class Either(Form):
    """One of several forms; the kind of the node says which."""

    def __init__(self, *forms: Form, right: str = "") -> None:
        self.right = right or " or ".join(form.right for form in forms)
        self._forms = forms
        self._by_kind = {kind: form for form in forms for kind in form.takes}
        assert len(self._by_kind) == sum(len(form.takes) for form in forms), "two forms for one kind of node"
        self.takes = frozenset(self._by_kind)

    def read(self, node: Node, flaws: Flaws) -> JSON:
        form = self._by_kind.get(kind_of(node))
        return self.misfit(node, flaws) if form is None else form.read(node, flaws)

    def sound(self, node: Node) -> JSON | Unfit:
        form = self._by_kind.get(kind_of(node))
        return UNFIT if form is None else form.sound(node)

    def schema(self, definitions: Definitions) -> dict[str, JSON]:
        return {"anyOf": [form.schema(definitions) for form in self._forms]}


class Short(Form):
    """A value that stands for a mapping with one key: `shell: [ls]` for `shell: {argv: [ls]}`."""

    def __init__(self, form: Form, key: str) -> None:
        self.takes, self.right = form.takes, form.right
        self._form, self._key = form, key

    def read(self, node: Node, flaws: Flaws) -> JSON:
        return {self._key: self._form.read(node, flaws)}

    def sound(self, node: Node) -> JSON | Unfit:
        value = self._form.sound(node)
        return value if isinstance(value, Unfit) else {self._key: value}

    def schema(self, definitions: Definitions) -> dict[str, JSON]:
        return self._form.schema(definitions)


class Plain(Form):
    """A JSON value of some kinds, as it is."""

    def __init__(self, *kinds: Kind, right: str) -> None:
        self.takes, self.right = frozenset(kinds), right
        self._kinds = kinds

    def read(self, node: Node, flaws: Flaws) -> JSON:
        return plain(node) if kind_of(node) in self.takes else self.misfit(node, flaws)

    def schema(self, definitions: Definitions) -> dict[str, JSON]:
        return {"type": [_JSON_TYPES[kind] for kind in self._kinds]}


_JSON_TYPES: Final[dict[Kind, str]] = {
    "text": "string",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
    "list": "array",
    "mapping": "object",
}


def _listed(keys: Collection[str]) -> str:
    return ", ".join(list(keys)[:_MOST_NAMED]) + (" …" if len(keys) > _MOST_NAMED else "")
