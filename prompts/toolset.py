"""The tools a model may call in a run: specs by name, each with its argument checker, made once.

Everything per tool is kept here, so that a step of the loop costs the same with one tool and with a thousand.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Final

from gemmagraph.prompts.checking.arguments import ArgumentChecker, WriteCall, write_plainly
from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.messages import JSON, ToolSpec

CALL_KEYS: Final = ("name", "arguments", "parameters", "args", "params", "input", "function", "type", "id")

_ALIKE = 0.55
"""How alike two names must be, from 0 to 1, for one to be meant by the other."""
_LESS_ALIKE = 0.1
_NOT_CALLED = ("response:", "declaration:")
"""With these, native notations write a result and a declaration."""


class Toolset:
    """An unchanging collection of `ToolSpec`s, indexed by name.

    Raises:
        NotationError: two specs have the same name.
    """

    def __init__(self, specs: Iterable[ToolSpec] = ()) -> None:
        self.specs = tuple(specs)
        self._by_name: dict[str, ToolSpec] = {}
        for spec in self.specs:
            if spec.name in self._by_name:
                raise NotationError(f"Two tools are named {spec.name!r}.", hint="Give one of them another name.")
            self._by_name[spec.name] = spec
        self._checkers: dict[tuple[str, WriteCall | None], ArgumentChecker] = {}

    @classmethod
    def of(cls, specs: Toolset | Iterable[ToolSpec]) -> Toolset:
        """`specs` itself if it is a toolset already, so that what it has computed is kept."""
        return specs if isinstance(specs, Toolset) else cls(specs)

    def __iter__(self) -> Iterator[ToolSpec]:
        return iter(self.specs)

    def __len__(self) -> int:
        return len(self.specs)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> ToolSpec:
        return self._by_name[name]

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(self._by_name)

    @cached_property
    def keys(self) -> frozenset[str]:
        """Every name that may stand as a key in a call to one of the tools."""
        found: set[str] = set(CALL_KEYS)
        for spec in self.specs:
            _collect_keys(spec.parameters, found, depth=6)
        return frozenset(found)

    def check(
        self, name: str, arguments: Mapping[str, object], write_call: WriteCall | None = None
    ) -> dict[str, JSON]:
        """The arguments as the tool declares them, coerced without loss.

        Raises:
            InvalidArguments: they do not fit; its message is for the model, its example written by `write_call`.
            KeyError: there is no such tool.
        """
        return self.checker(name, write_call).check(arguments)

    def checker(self, name: str, write_call: WriteCall | None = None) -> ArgumentChecker:
        checker = self._checkers.get((name, write_call))
        if checker is None:
            checker = ArgumentChecker(self._by_name[name], write_call or write_plainly)
            self._checkers[name, write_call] = checker
        return checker

    def resolve(self, name: str) -> str | None:
        """The declared name that `name` means: itself, or the one tool that an invented prefix hides
        (`default_api.get_weather`, `google:tool:get_weather`); None if there is no such tool."""
        if name in self._by_name:
            return name
        if name.startswith(_NOT_CALLED):
            return None
        last = name.replace(":", ".").replace("/", ".").rpartition(".")[2]
        return last if last != name and last in self._by_name else None

    def nearest(self, name: str, most: int = 3) -> list[str]:
        """Declared names that look like `name`, best first; none that looks much less like it than the best."""
        name = name[:200]
        close = difflib.get_close_matches(name, self._by_name, n=most, cutoff=_ALIKE)
        likeness = [difflib.SequenceMatcher(None, near, name).ratio() for near in close]
        return [near for near, ratio in zip(close, likeness, strict=True) if ratio > likeness[0] - _LESS_ALIKE]


def _collect_keys(schema: object, found: set[str], depth: int) -> None:
    if not isinstance(schema, Mapping) or depth == 0:
        return
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        for key, inner in properties.items():
            found.add(str(key))
            _collect_keys(inner, found, depth - 1)
    _collect_keys(schema.get("items"), found, depth - 1)
