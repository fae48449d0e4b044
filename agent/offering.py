"""Which of its tools an agent shows to the model: all, or of many those that the conversation seems to need."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

from gemmagraph.fallback import Model, Route
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.tools import Tool
from gemmagraph.tools.secrets import mask_all
from gemmagraph.tools.selection.ranking import Ranking

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage

_TURNS_READ: Final = 2
"""What a person said last, and before that: "yes, do it" alone names no tool."""
_CALLS_KEPT: Final = 4
"""Tools called last in the conversation, which stay at hand."""
_MOST_KEPT: Final = 32
"""Toolsets that are kept, with what was computed for each."""


class Offer:
    """The tools of an agent.

    Args:
        tools: those that the model may be shown.
        most: how many of them at once; None shows all.
        pinned: names of tools that are always shown, beside those that say so themselves. They count towards `most`.
    """

    def __init__(self, tools: Iterable[Tool], most: int | None, pinned: Iterable[str] = ()) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._most = most
        always = {*pinned, *(tool.name for tool in self._tools.values() if tool.pinned)}
        self._pinned = [name for name in self._tools if name in always]
        self._specs = {name: mask_all(tool.spec) for name, tool in self._tools.items()}
        self.all = Toolset(self._specs.values())
        self._made: OrderedDict[frozenset[str], Toolset] = OrderedDict()

    @property
    def picks(self) -> bool:
        """Whether there are more tools than may be shown."""
        return self._most is not None and len(self._tools) > self._most

    def toolset(self, messages: Sequence[AnyMessage]) -> Toolset:
        """What the model is shown for a request, the last of `messages`. The same tools are the same object."""
        if not self.picks:
            return self.all
        names = self._picked(messages)
        found = self._made.get(names)
        if found is None:
            # In the order of all tools, so that two toolsets that differ late have the same beginning.
            found = Toolset(spec for name, spec in self._specs.items() if name in names)
            self._made[names] = found
            if len(self._made) > _MOST_KEPT:
                self._made.popitem(last=False)
        else:
            self._made.move_to_end(names)
        return found

    def _picked(self, messages: Sequence[AnyMessage]) -> frozenset[str]:
        assert self._most is not None
        names = dict.fromkeys([*self._pinned, *self._called(messages)])
        room = self._most - len(names)
        if room > 0:
            said = [message.text for message in messages if message.type == "human"][-_TURNS_READ:]
            # What was said last has the first choice.
            ranked = [name for text in reversed(said) for name in self._fitting(text)]
            # What fits is found by words, which may be wrong or none: no room is left empty.
            for name in (*ranked, *self._tools):
                if len(names) < self._most:
                    names.setdefault(name)
        return frozenset(names)

    def _fitting(self, text: str) -> list[str]:
        return [picked.name for picked in self._ranking.best(text, self._most or 0)]

    def _called(self, messages: Sequence[AnyMessage]) -> list[str]:
        """The tools that were called last, the latest first."""
        names: dict[str, None] = {}
        for message in reversed(messages):
            if message.type == "ai":
                names |= dict.fromkeys(call["name"] for call in message.tool_calls if call["name"] in self._tools)
            if len(names) >= _CALLS_KEPT:
                break
        return list(names)[:_CALLS_KEPT]

    @cached_property
    def _ranking(self) -> Ranking:
        return Ranking(self.all.specs)


def offered(tools: Iterable[Tool], gemma: Model) -> list[Tool]:
    """The tools that a model is shown: what is no language model gets only those that change nothing."""
    return [tool for tool in tools if tool.reads or isinstance(gemma, Route) or not gemma.backend.read_only_tools]
