"""The defaults that a schema declares, filled in before a tool is called: in the objects and lists inside, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property

from gemmagraph.prompts.messages import JSON


@dataclass(slots=True, eq=False)
class _Plan:
    """What values of one schema may lack."""

    absent: dict[str, JSON] = field(default_factory=dict)
    inside: dict[str, _Plan] = field(default_factory=dict)
    """Properties whose own values may lack something."""
    items: _Plan | None = None

    def __bool__(self) -> bool:
        return bool(self.absent or self.inside or self.items is not None)


@dataclass(frozen=True)
class Defaults:
    """What is filled into the arguments of a tool. Worked out at first use."""

    parameters: Mapping[str, JSON]
    """The JSON Schema of the arguments."""
    nulls: bool = False
    """Whether a null is filled in where null is no value. It is how many say that there is no default."""

    @cached_property
    def _plan(self) -> _Plan:
        return _Planning(self.parameters, self.nulls).plan()

    def fill(self, arguments: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """The arguments with what they lack. `arguments` is not changed; it is the answer if it lacks nothing."""
        found: Mapping[str, JSON] = _filled(arguments, self._plan) if self._plan else arguments
        return found


def _filled(value: JSON, plan: _Plan) -> JSON:
    if isinstance(value, Mapping):
        new = {name: deepcopy(default) for name, default in plan.absent.items() if name not in value}
        for name, inner in plan.inside.items():
            found = new.get(name, value.get(name))
            if (filled := _filled(found, inner)) is not found:
                new[name] = filled
        return {**value, **new} if new else value
    if isinstance(value, list) and plan.items is not None:
        items = [_filled(item, plan.items) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


class _Planning:
    def __init__(self, root: Mapping[str, JSON], nulls: bool) -> None:
        self._root, self._nulls = root, nulls
        self._known: dict[int, _Plan] = {}
        """By the `id` of a schema: one may hold itself."""

    def plan(self) -> _Plan:
        return self._made(_Plan(), self._root)

    def _made(self, plan: _Plan, schema: Mapping[str, JSON]) -> _Plan:
        for part in self._parts(schema, set()):
            self._add(plan, part)
        return plan

    def _add(self, plan: _Plan, schema: Mapping[str, JSON]) -> None:
        properties = schema.get("properties")
        for name, one in properties.items() if isinstance(properties, Mapping) else ():
            if isinstance(one, Mapping) and "default" in one and (self._nulls or not _means_none(one)):
                plan.absent[name] = one["default"]
            if (inner := self._inner(one)) is not None:
                plan.inside[name] = inner
        if "items" in schema:
            plan.items = self._inner(schema["items"])

    def _inner(self, schema: JSON) -> _Plan | None:
        """None where nothing is filled in. Of a schema that holds itself, that is not known yet."""
        if not isinstance(schema, Mapping):
            return None
        if id(schema) not in self._known:
            self._known[id(schema)] = _Plan()
            return self._made(self._known[id(schema)], schema) or None
        return self._known[id(schema)]

    def _parts(self, schema: JSON, seen: set[int]) -> Iterator[Mapping[str, JSON]]:
        """The schema, and those that hold for the same value whatever it is; of "this or null", this."""
        if not isinstance(schema, Mapping) or id(schema) in seen:
            return
        seen.add(id(schema))
        yield schema
        branches = [self._target(schema.get("$ref")), *_listed(schema.get("allOf"))]
        for word in ("anyOf", "oneOf"):
            found = [one for one in _listed(schema.get(word)) if not _is_null(one)]
            branches += found if len(found) == 1 else []
        for branch in branches:
            yield from self._parts(branch, seen)

    def _target(self, pointer: JSON) -> JSON:
        """What a reference inside the schema leads to; None if that is nothing."""
        found: JSON = self._root if isinstance(pointer, str) and pointer.startswith("#") else None
        for step in str(pointer).split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) else None
        return found


def _listed(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else []


def _is_null(schema: JSON) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def _means_none(schema: Mapping[str, JSON]) -> bool:
    return schema["default"] is None and isinstance(schema.get("type"), str) and schema["type"] != "null"
