"""The YAML of an OpenAPI document: larger than a file of ours may be, of the same types, and as wary.

Unlike in our own files an alias may stand for what was written before. It is the same object then, so that a few
lines of aliases of aliases cost no memory; whoever walks through the values counts its steps.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.declared.scalars import core_value

MOST_DEPTH: Final = 100
MOST_VALUES: Final = 500_000


def read_yaml(text: str) -> JSON:
    """The value of the one document that a text holds.

    Raises:
        ValueError: it is not YAML, or of a kind that is refused; the message says the line.
    """
    from yaml.error import YAMLError

    try:
        return _Reader(text).document()
    except YAMLError as problem:
        raise ValueError(" ".join(str(problem).split())) from None


class _Reader:
    def __init__(self, text: str) -> None:
        import yaml
        from yaml import events

        # libyaml's where it is there; the other is slower, and says the same.
        parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._next = parser(text).get_event
        self._scalar, self._alias = events.ScalarEvent, events.AliasEvent
        self._mapping, self._sequence = events.MappingStartEvent, events.SequenceStartEvent
        self._ends = (events.MappingEndEvent, events.SequenceEndEvent)
        self._stream_end = events.StreamEndEvent
        self._anchors: dict[str, JSON] = {}
        self._left = MOST_VALUES

    def document(self) -> JSON:
        self._next()
        if type(self._next()) is self._stream_end:
            raise ValueError("it is empty")
        value = self._value(self._next(), MOST_DEPTH)
        self._next()
        if type(after := self._next()) is not self._stream_end:
            _refuse(after, "a second document begins")
        return value

    def _value(self, event: Any, depth: int) -> JSON:
        kind = type(event)
        if kind is self._alias:
            if event.anchor not in self._anchors:
                _refuse(event, f"*{event.anchor[:60]} stands for nothing that was written before")
            return self._anchors[event.anchor]
        if event.tag is not None:
            _refuse(event, f"{event.tag[:60]!r} is a tag")
        self._left -= 1
        if depth == 0 or self._left < 0:
            _refuse(event, "it is nested too deeply, or holds too many values")
        if kind is self._scalar:
            value = self._scalar_value(event)
        else:
            value = self._entries(depth) if kind is self._mapping else self._items(depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _items(self, depth: int) -> list[JSON]:
        items: list[JSON] = []
        while type(event := self._next()) not in self._ends:
            items.append(self._value(event, depth - 1))
        return items

    def _entries(self, depth: int) -> dict[str, JSON]:
        entries: dict[str, JSON] = {}
        while type(event := self._next()) not in self._ends:
            if type(event) is not self._scalar or (event.value == "<<" and event.implicit[0]):
                _refuse(event, "a key is no text")
            if event.value in entries:
                _refuse(event, f"the key {event.value[:60]!r} is there twice")
            entries[event.value] = self._value(self._next(), depth - 1)
        return entries

    def _scalar_value(self, event: Any) -> JSON:
        if not event.implicit[0]:
            return event.value
        try:
            return core_value(event.value)
        except ValueError as problem:
            _refuse(event, str(problem))


def _refuse(event: Any, message: str) -> NoReturn:
    raise ValueError(f"line {event.start_mark.line + 1}: {message}")
