"""The ids of a reply and its calls, given before it is whole: who watches it come can tell them apart."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from gemmagraph.events import CallProposed, Reasked
from gemmagraph.ids import call_id, new_id
from gemmagraph.model import ModelEvent


@dataclass(slots=True)
class Naming:
    """Of one reply. What is asked for again is another one, with another id."""

    id: str = field(default_factory=new_id)
    """That its message will have, unless it is asked for again."""
    _calls: int = 0

    async def named(self, events: AsyncGenerator[ModelEvent, None]) -> AsyncGenerator[ModelEvent, None]:
        """The same events, in which a call has the id that it will run with."""
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Reasked):
                    self.id, self._calls = new_id(), 0
                elif isinstance(event, CallProposed):
                    event = CallProposed(replace(event.call, id=call_id(self.id, self._calls)))
                    self._calls += 1
                yield event
