"""The arguments of a call, checked against a tool: coerced without loss, validated, or refused with a message
that a small model can act on.

The parts are elsewhere: what is coerced in `coerce.py`, the quick road in `quickcheck.py`, jsonschema in
`verdict.py`, the words in `faults.py` and `complaint.py`. Defaults are not filled in: the executor does that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final, NoReturn, TypeAlias

from gemmagraph.prompts.checking.coerce import Coercion
from gemmagraph.prompts.checking.complaint import Fault, message, unknown_tool_message
from gemmagraph.prompts.checking.example import Examples
from gemmagraph.prompts.checking.faults import Faults, not_plain_fault
from gemmagraph.prompts.checking.number import NotPlain, Number, plain
from gemmagraph.prompts.checking.parameters import prepare
from gemmagraph.prompts.checking.quickcheck import MISS, quick_check
from gemmagraph.prompts.checking.verdict import TooMuchWork
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import JSON, ToolSpec

__all__ = [
    "ArgumentChecker",
    "Number",
    "WriteCall",
    "example_arguments",
    "unknown_tool_message",
    "write_plainly",
]

WriteCall: TypeAlias = Callable[[str, Mapping[str, JSON]], str]
"""How a notation writes one call: name and arguments to text."""

_MOST_MISFITS: Final = 20
"""More are not looked at: a message has room for two."""
_TOO_MUCH: Final = Fault((), lambda width: "the arguments are too large or too deeply nested to be checked")


def write_plainly(name: str, arguments: Mapping[str, JSON]) -> str:
    """A call in no notation's own spelling: `name(k="v", n=3)`, values as JSON."""
    given = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in arguments.items())
    return f"{name}({given})"


class ArgumentChecker:
    """Checks the arguments of one tool's calls. Everything about its schema is worked out when it is made.

    Args:
        spec: the tool.
        write_call: writes the example of a right call that stands in messages.

    Raises:
        NotationError: the tool's parameters are no JSON Schema that can be checked.
    """

    def __init__(self, spec: ToolSpec, write_call: WriteCall = write_plainly) -> None:
        self.spec = spec
        self._write_call = write_call
        self._schema = prepare(spec)
        self._quick = quick_check(self._schema)
        self._example: dict[str, JSON] | None = None

    @property
    def example(self) -> str:
        """A right call as text; empty if none could be made up."""
        arguments = self.example_arguments()
        return self._write_call(self.spec.name, arguments) if self._is_right(arguments) else ""

    def example_arguments(self) -> dict[str, JSON]:
        """Arguments of a right call: those of the tool's own examples, or made up from the schema.

        If the schema is beyond that (a pattern may be), a guess that does not fit it.
        """
        if self._example is None:
            own = [dict(found) for found in map(_args_of, self.spec.examples) if isinstance(found, Mapping)]
            made_up = Examples(self._schema).arguments()
            self._example = next(filter(self._is_right, [*own, made_up, {}]), made_up)
        return dict(self._example)

    def check(self, arguments: Mapping[str, object]) -> dict[str, JSON]:
        """The arguments as the tool declares them, as plain JSON values.

        Args:
            arguments: JSON values, and `Number` for what the model wrote as a bare number.

        Raises:
            InvalidArguments: they do not fit; the message is for the model.
        """
        try:
            if self._quick is not None:
                found = self._quick(arguments)
                if found is not MISS:
                    return found  # type: ignore[return-value]  # the check of an object answers with one
            return self._check_slowly(dict(arguments))
        except NotPlain as problem:
            self._refuse([not_plain_fault(problem)])
        except (TooMuchWork, RecursionError):
            self._refuse([_TOO_MUCH])

    def _check_slowly(self, arguments: dict[str, object]) -> dict[str, JSON]:
        coercion = Coercion(self._schema, arguments)
        found: dict[str, JSON] = plain(coercion.coerce(arguments, self._schema))
        misfits = list(islice(coercion.verdict.misfits(found), _MOST_MISFITS))
        if misfits:
            self._refuse(Faults(self._schema).of(misfits))
        return found

    def _refuse(self, faults: list[Fault]) -> NoReturn:
        try:
            text = message(self.spec.name, faults, self._examples_for(faults))
        except RecursionError:  # the caller has nearly used up the stack
            text = message(self.spec.name, faults, ())
        raise InvalidArguments(text) from None

    def _examples_for(self, faults: list[Fault]) -> Iterator[str]:
        """Right calls to show, the most telling first: what was wrong stands in them if that can be."""
        examples = Examples(self._schema)
        wrong: dict[str, JSON] = {}
        for fault in faults[:2]:
            for path in (fault.instead, fault.path):
                wrong |= examples.argument(str(path[0])) if path else {}
        base, made_up = self.example_arguments(), examples.arguments()
        for arguments in (wrong | base, wrong | made_up, base, made_up):
            if self._is_right(arguments):
                declared = self._schema.get("properties", {})
                ordered = {name: arguments[name] for name in (*declared, *arguments) if name in arguments}
                yield self._write_call(self.spec.name, ordered)

    def _is_right(self, arguments: dict[str, JSON]) -> bool:
        """Whether the arguments may be shown as an example."""
        if self._quick is not None and self._quick(arguments) is not MISS:
            return True
        try:
            coercion = Coercion(self._schema, arguments)
            return next(coercion.verdict.misfits(plain(arguments)), None) is None
        except (NotPlain, TooMuchWork, RecursionError):
            return False


def example_arguments(spec: ToolSpec) -> dict[str, JSON]:
    """Arguments of a right call to a tool, for declarations and messages.

    Raises:
        NotationError: as `ArgumentChecker`.
    """
    return ArgumentChecker(spec).example_arguments()


def _args_of(example: Mapping[str, JSON]) -> JSON:
    return example.get("args")
