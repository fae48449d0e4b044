"""jsonschema's verdict on plain JSON values, within bounds. Only here is it imported, at first use."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
_SCANS_ALL_PAIRS: Final = ("unevaluatedItems", "unevaluatedProperties")


class TooMuchWork(Exception):
    """Checking takes more steps than any honest call needs."""


class Steps:
    """How many more steps the check of one call may take: a schema from elsewhere can ask for 2**100."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, steps: int = 1) -> None:
        """Takes steps away.

        Raises:
            TooMuchWork: there are not so many left.
        """
        self.left -= steps
        if self.left < 0:
            raise TooMuchWork


@dataclass(frozen=True, slots=True)
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
    branches: tuple[tuple[Misfit, ...], ...]
    """Of a choice: why not, for each branch."""
    is_key: bool
    """Whether the value is a key of the object at `path`."""


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


def _misfit(error: Any) -> Misfit:
    branches: dict[object, list[Misfit]] = {}
    for inner in error.context[:_MOST_INNER]:
        # A branch that is `false` leaves no path.
        branch = inner.schema_path[0] if inner.schema_path else None
        branches.setdefault(branch, []).append(_misfit(inner))
    return Misfit(
        error.validator,
        error.validator_value,
        error.instance,
        error.schema,
        tuple(error.absolute_path),
        tuple(error.path),
        tuple(map(tuple, branches.values())),
        "propertyNames" in islice(error.schema_path, max(len(error.schema_path) - 2, 0), None),
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
        return check(validator, wanted, value, schema)

    return keyword


def _is_number(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
