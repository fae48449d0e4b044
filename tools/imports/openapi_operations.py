"""The operations of an OpenAPI document, and which of them an import chooses."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.bodies.http_request import METHODS
from gemmagraph.tools.declared.problems import did_you_mean
from gemmagraph.tools.errors import Fault, ToolDefinitionError
from gemmagraph.tools.imports.openapi_document import Document, Part
from gemmagraph.tools.imports.openapi_texts import description, tool_name
from gemmagraph.tools.imports.texts import readable

_KEYS: Final = ("operationId", "tag", "method", "path")
_MOST_NAMED: Final = 8
MOST_SHOWN: Final = 80
"""Characters of the name of an operation."""


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str
    tags: tuple[str, ...]
    id: str
    """Its operationId; where it has none, one made of method and path."""
    item: Part = field(repr=False)
    """The entry of its path."""
    value: Part = field(repr=False)

    @property
    def name(self) -> str:
        """A tool's name for it."""
        return tool_name(self.id, self.method) or _made_up(self.method, self.path)

    @property
    def description(self) -> str:
        said = description(self.value.text("summary"), self.value.text("description"))
        said = said or description(self.item.text("summary"), self.item.text("description"))
        said = said or f"{self.method} {self.path}"[:200]
        return f"(Deprecated.) {said}" if self.value.value.get("deprecated") is True else said

    def fits(self, entry: Mapping[str, JSON]) -> bool:
        """Whether it is all that an entry of `include` says."""
        own = {"operationId": (self.id,), "tag": self.tags, "method": (self.method,), "path": (self.path,)}
        return all((value.upper() if key == "method" else value) in own[key] for key, value in entry.items())


def operations_of(document: Document, left_out: dict[str, str]) -> list[Operation]:
    """All of a document, in its order.

    Args:
        left_out: takes the paths whose entry leads nowhere, and why.
    """
    found: list[Operation] = []
    for path, entry in document.root.entries("paths"):
        try:
            item = entry.followed()
            values = [(method, item.get(method.lower())) for method in METHODS]
        except ToolDefinitionError as problem:
            left_out[readable(path, MOST_SHOWN)] = str(problem)
            continue
        found += (
            Operation(method, path, _tags(value), value.text("operationId") or _made_up(method, path), item, value)
            for method, value in values
            if isinstance(value.value, Mapping)
        )
    return found


def means_one(entry: Mapping[str, JSON]) -> bool:
    """Whether an entry of `include` names one operation. Else it chooses all that it fits."""
    return "operationId" in entry or {"method", "path"} <= entry.keys()


def chosen(operations: Sequence[Operation], include: Sequence[Mapping[str, JSON]]) -> list[tuple[int, Operation]]:
    """The operations that the entries of `include` choose, each with the index of the first that does.

    Raises:
        ToolDefinitionError: an entry chooses none, or says what none can be.
    """
    faults: list[Fault] = []
    found: dict[int, tuple[int, Operation]] = {}
    for index, entry in enumerate(include):
        wrong = [*_misread(index, entry)]
        fitting = [one for one in operations if one.fits(entry)] if not wrong else []
        if not fitting:
            faults += wrong or [_nothing(index, entry, operations)]
        for one in fitting:
            found.setdefault(id(one), (index, one))
    if not include:
        faults.append(Fault(("include",), "it chooses nothing.", "Say which operations are to be tools."))
    if faults:
        raise ToolDefinitionError("; ".join(map(str, faults)), faults=faults)
    return list(found.values())


def _misread(index: int, entry: object) -> Iterator[Fault]:
    if not isinstance(entry, Mapping) or not entry:
        yield Fault(("include", index), f"{entry!r} is no choice.", f"Write {{{_KEYS[0]}: …}}.")
        return
    for key, value in entry.items():
        if key not in _KEYS or not isinstance(value, str):
            said = did_you_mean(str(key), _KEYS) or f"It holds {', '.join(_KEYS)}, each a text."
            yield Fault(("include", index, str(key)), f"{key!r}: {value!r} says nothing of an operation.", said)


def _nothing(index: int, entry: Mapping[str, JSON], operations: Sequence[Operation]) -> Fault:
    """What to say of an entry that no operation fits."""
    said = ", ".join(f"{key} {value!r}" for key, value in entry.items())
    key: tuple[str | int, ...] = ("include", index)
    for name in entry:
        there = list(dict.fromkeys(_values(operations, name)))
        if (entry[name].upper() if name == "method" else entry[name]) not in there:
            hint = did_you_mean(entry[name], there).replace("did", "Did", 1) or _some(there)
            return Fault((*key, name), f"no operation has the {name} {entry[name]!r}.", hint)
    return Fault(key, f"no operation has {said} at once.", _some([one.id for one in operations]))


def _values(operations: Sequence[Operation], key: str) -> Iterator[str]:
    for one in operations:
        yield from {"operationId": (one.id,), "tag": one.tags, "method": (one.method,), "path": (one.path,)}[key]


def _some(names: Collection[str]) -> str:
    named = [repr(name[:60]) for name in names][:_MOST_NAMED]
    return f"There are {', '.join(named)}{' …' if len(names) > len(named) else ''}." if named else "There are none."


def _made_up(method: str, path: str) -> str:
    return tool_name(f"{method.lower()} {path}", method)


def _tags(value: Part) -> tuple[str, ...]:
    tags = value.value.get("tags") if isinstance(value.value, Mapping) else None
    return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
