"""What a `ChatGemma` keeps between calls: the Gemmas made of its fields, and the tools that were declared."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gemmagraph.backends.recorded.recording import Cassette, RecordMode
from gemmagraph.errors import AgentError
from gemmagraph.fallback import Model, Route
from gemmagraph.model import Gemma
from gemmagraph.openai_forms import function_of
from gemmagraph.prompts.messages import ToolSpec
from gemmagraph.prompts.toolset import Toolset

_MOST_TOOLSETS: Final = 16
_MOST_MODELS: Final = 8
_DESCRIBING: Final = ("sampling", "max_tokens", "context", "thinking", "transport")


class Kept:
    """Gemmas and toolsets, found again by what was said. A copy of it, pickled or not, begins with none."""

    def __init__(self) -> None:
        self._made: list[tuple[Mapping[str, Any], Gemma]] = []
        self._tuned: list[tuple[Model, Mapping[str, Any], Gemma]] = []
        self._toolsets: dict[str, Toolset] = {}
        self._cassettes: dict[tuple[str, RecordMode | None], Cassette] = {}

    def __reduce__(self) -> tuple[type[Kept], tuple[()]]:
        return Kept, ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kept)  # what is kept makes no model another

    def made(self, said: Mapping[str, Any]) -> Gemma:
        """The Gemma with these arguments, each of which has connections of its own.

        Raises:
            AgentError, NotationError: as `Gemma`.
        """
        for before, gemma in self._made:
            if before == said:
                return gemma
        record, mode = said["record"], said["record_mode"]
        if record is None or isinstance(record, Cassette):
            gemma = Gemma(**said)
        else:
            gemma = Gemma(**{**said, "record": self._cassette(os.fspath(record), mode), "record_mode": None})
        self._made = [*self._made[1 - _MOST_MODELS :], (said, gemma)]
        return gemma

    def _cassette(self, path: str, mode: RecordMode | None) -> Cassette:
        """What records in a file: one for all models, since a second would take what the first wrote for recorded."""
        if (path, mode) not in self._cassettes:
            self._cassettes[path, mode] = Cassette(path, mode=mode or "once")
        return self._cassettes[path, mode]

    def tuned(self, model: Model, options: Mapping[str, Any]) -> Model:
        """The same model with these options, on the same connections.

        Raises:
            AgentError: it is a route to several, each with options of its own.
        """
        if not options:
            return model
        if not isinstance(model, Gemma):
            raise AgentError(
                f"A call to {model.name} has no options of its own ({', '.join(options)}).",
                hint="Give them to the Gemmas that it is made of.",
            )
        for of, before, twin in self._tuned:
            if of is model and before == options:
                return twin
        twin = model.tuned(**options)
        self._tuned = [*self._tuned[1 - _MOST_MODELS :], (model, options, twin)]
        return twin

    def toolset(self, tools: Sequence[Mapping[str, Any]], answer: ToolSpec | None = None) -> Toolset:
        """The tools as they are declared; the same object for the same tools, since much is kept with it."""
        key = json.dumps([tools, answer and [answer.name, answer.description, answer.parameters]], sort_keys=True)
        found = self._toolsets.get(key)
        if found is None:
            declared = [function_of(tool) for tool in tools]
            found = Toolset([*declared, *([answer] if answer else [])])
            while len(self._toolsets) >= _MOST_TOOLSETS:
                self._toolsets.pop(next(iter(self._toolsets)))
            self._toolsets[key] = found
        return found


def described(model: Model) -> dict[str, Any]:
    """What a model is and how it is asked: a cache must not take one for another."""
    if isinstance(model, Route):
        return {"model": model.name, "models": [described(each) for each in model.models]}
    named = {"model": model.name, "notation": model.notation.name}
    return named | {name: getattr(model, name) for name in _DESCRIBING}
