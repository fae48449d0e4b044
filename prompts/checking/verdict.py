"""jsonschema's verdict on plain JSON values, within bounds. Only here is it imported, at first use."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from gemmagraph.prompts.checking.formats import is_format
from gemmagraph.prompts.checking.number import identity
from gemmagraph.prompts.checking.parameters import Schema
from gemmagraph.prompts.messages import JSON

if TYPE_CHECKING:
    from jsonschema import ValidationError

_MOST_INNER: Final = 200
_MOST_KNOWN: Final = 50
"""Faults under one reference."""
_SCANS_ALL_PAIRS: Final = ("unevaluatedItems", "unevaluatedProperties")


class TooMuchWork(Exception):
    """Checking takes more steps than any honest call needs."""


class Steps:
    """How many more steps the check of one call may take: a schema from elsewhere can ask for 2**100."""

    __slots__ = ("known", "left")

    def __init__(self, left: int) -> None:
        self.left = left
        self.known: dict[tuple[str, int], tuple[JSON, list[ValidationError]]] = {}
        """What jsonschema found where a reference was followed with a value, by the value's id; and that value, so
        that no other gets its id. References to references are followed once this way, not 2**30 times."""

    def spend(self, steps: int = 1) -> None:
        """Takes steps away.

        Raises:
            TooMuchWork: there are not so many left.
        """
        self.left -= steps
        if self.left < 0:
            raise TooMuchWork


@dataclass(frozen=True)
class Misfit:
    """One way in which a value does not fit its schema."""

    keyword: str | None
    """The keyword it fails; None if the schema is `false`."""
    wanted: JSON
    """What the schema says under that keyword."""
    value: JSON
    schema: JSON
    path: tuple[str | int, ...]
    """From the whole value to this one."""
    own_path: tuple[str | int, ...]
    """From the value of the choice in which it was found."""
    is_key: bool
    """Whether the value is a key of the object at `path`."""
    _inner: list[ValidationError] = field(repr=False)

    @functools.cached_property
    def branches(self) -> tuple[tuple[Misfit, ...], ...]:
        """Of a choice: why not, for each branch. Looked up when asked for: choices in choices are many."""
        branches: dict[object, list[Misfit]] = {}
        for inner in self._inner[:_MOST_INNER]:
            # A branch that is `false` leaves no path.
            branch = inner.schema_path[0] if inner.schema_path else None
            branches.setdefault(branch, []).append(_misfit(inner, self.path))
        return tuple(map(tuple, branches.values()))


class Verdict:
    """What jsonschema says about values under `root` and its subschemas."""

    def __init__(self, root: Schema, steps: Steps) -> None:
        # The format checker is the one thing that a validator hands down to all its parts. Our formats are
        # asked elsewhere, so the steps travel in its place.
        self._validator = _validator_class()(root, format_checker=steps)

    def misfits(self, value: JSON) -> Iterator[Misfit]:
        """What is wrong with `value` under the whole schema.

        Raises:
            TooMuchWork: the steps are used up.
        """
        return map(_misfit, self._validator.iter_errors(value))

    def first_misfit(self, schema: Schema, value: JSON) -> Misfit | None:
        """What is wrong with `value` under a subschema, if anything.

        Raises:
            TooMuchWork: the steps are used up.
        """
        return next(map(_misfit, self._validator.evolve(schema=schema).iter_errors(value)), None)


def _misfit(error: ValidationError, above: tuple[str | int, ...] = ()) -> Misfit:
    """
    Args:
        above: the path to the value of the choice in which it was found. The error's own parent is not asked: what
            is known already may have been found in several places.
    """
    own_path = tuple(error.path)
    keyword: Any = error.validator
    return Misfit(
        keyword,
        error.validator_value,
        error.instance,
        error.schema,
        (*above, *own_path),
        own_path,
        "propertyNames" in islice(error.schema_path, max(len(error.schema_path) - 2, 0), None),
        error.context,
    )


def is_multiple(number: int | float, of: int | float) -> bool:
    """Whether it is one as people count: 0.3 is a multiple of 0.1, though not in binary."""
    return (Fraction(str(number)) / Fraction(str(of))).denominator == 1


def are_unique(items: list[JSON]) -> bool:
    return len(set(map(identity, items))) == len(items)


@functools.cache
def _validator_class() -> Any:
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def unless(holds: Callable[[Any, JSON], bool]) -> Callable[..., Iterator[ValidationError]]:
        def keyword(validator: Any, wanted: Any, value: JSON, schema: Schema) -> Iterator[ValidationError]:
            if not holds(wanted, value):
                yield ValidationError("")

        return keyword

    ours = {
        "format": unless(lambda name, value: not isinstance(value, str) or is_format(name, value)),
        "uniqueItems": unless(lambda on, value: not on or not isinstance(value, list) or are_unique(value)),
        "multipleOf": unless(lambda of, value: not _is_number(value) or is_multiple(value, of)),
    }
    keywords = {**Draft202012Validator.VALIDATORS, **ours}
    counted = {name: _counted(name, check) for name, check in keywords.items()}
    return extend(Draft202012Validator, counted)  # type: ignore[no-untyped-call]  # its stubs leave it untyped


def _counted(name: str, check: Callable[..., Any]) -> Callable[..., Any]:
    def keyword(validator: Any, wanted: Any, value: JSON, schema: Schema) -> Any:
        steps = 1
        if name in _SCANS_ALL_PAIRS and isinstance(value, list | dict):
            steps += len(value) ** 2 // 100
        validator.format_checker.spend(steps)
        if name == "$ref":
            return _followed(validator, check, wanted, value, schema)
        return check(validator, wanted, value, schema)

    return keyword


def _followed(
    validator: Any, check: Callable[..., Any], wanted: str, value: JSON, schema: Schema
) -> Iterator[ValidationError]:
    """What is wrong with a value under what a reference leads to."""
    known, place = validator.format_checker.known, (wanted, id(value))
    if place not in known:
        known[place] = value, list(islice(check(validator, wanted, value, schema), _MOST_KNOWN))
    for error in known[place][1]:
        validator.format_checker.spend()
        yield error.create_from(error)  # whoever gets it writes its own path into it


def _is_number(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
