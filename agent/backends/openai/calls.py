"""Calls that an OpenAI-compatible server read out of the model's output, put together from pieces.

    {"tool_calls": [{"index": 0, "id": "call_a", "function": {"name": "now", "arguments": ""}}]}
    {"tool_calls": [{"index": 0, "function": {"arguments": "{\\"zone\\": "}}]}
    {"tool_calls": [{"index": 0, "function": {"arguments": "\\"UTC\\"}"}}]}

That is OpenAI's own way. Others say 0 for every call (Ollama before 0.21), leave out the index, never send an id or a
new one with each piece (older vLLM), repeat the name in each piece, send a call whole, or its arguments as an object.
So index and id only tell which call may be meant. That a name comes when the arguments are whole tells that a new
call begins.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from gemmagraph.backends.base import ServerCall
from gemmagraph.prompts.messages import JSON


@dataclass(slots=True)
class _Call:
    """A call so far."""

    name: str = ""
    has_id: bool = False
    given: JSON = None
    """Arguments that came as a value of JSON and not as text."""
    pieces: list[str] = field(default_factory=list)
    is_doubtful: bool = False
    """Whether it may be an empty last piece of the call before it, of the same name."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def said(self) -> JSON:
        """Its arguments as they came."""
        return self.text if self.given is None else self.given

    @property
    def is_begun(self) -> bool:
        """Whether some of its arguments are here."""
        return self.given is not None or any(map(str.strip, self.pieces))

    @property
    def is_whole(self) -> bool:
        """Whether all of its arguments are here."""
        end = next((piece for piece in reversed(self.pieces) if piece.strip()), "")
        return self.given is not None or (end.rstrip().endswith("}") and _object(self.text) is not None)

    def arguments(self, *, is_cut: bool) -> JSON:
        """What it holds: the object; the text if it is none. No text is no arguments, unless it was cut."""
        if self.given is not None:
            return self.given
        found = _object(self.text)
        if found is not None:
            return found
        return self.text if self.text.strip() or is_cut else {}


class Calls:
    """The calls of one reply, so far."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._at: dict[int, _Call] = {}
        """The latest call of each index."""
        self._of: dict[str, _Call] = {}
        """Calls by the ids they came with."""

    def take(self, deltas: list[Mapping[str, JSON]]) -> None:
        """Takes the pieces of one event."""
        for place, delta in enumerate(deltas):
            index = delta.get("index")
            if not isinstance(index, int):
                index = place if len(deltas) > 1 else None
            function = delta.get("function") or {}
            self._add(index, delta.get("id") or "", function.get("name") or "", function.get("arguments"))

    def found(self, *, is_cut: bool = False) -> tuple[ServerCall, ...]:
        """The calls, in the order in which they began.

        Args:
            is_cut: whether the reply reached its limit of tokens, maybe within the last call.
        """
        calls = [call for call in self._calls if (call.is_begun or (call.name and not call.is_doubtful))]
        return tuple(ServerCall(call.name, call.arguments(is_cut=is_cut and call is calls[-1])) for call in calls)

    def _add(self, index: int | None, id: str, name: str, arguments: JSON) -> None:
        told = self._of.get(id)
        if told is not None and told.is_whole and (name, arguments) == (told.name, told.said):
            return  # the same call once more, which must not run twice
        call = self._meant(index, id, name)
        if id:
            self._of[id] = call
            call.has_id = True
        if index is not None:
            self._at[index] = call
        if not call.name or not call.is_begun:
            call.name = _joined(call.name, name)
        if isinstance(arguments, str):
            call.pieces.append(arguments)
        elif arguments is not None:
            call.given = arguments

    def _meant(self, index: int | None, id: str, name: str) -> _Call:
        """The call that a piece belongs to, maybe a new one."""
        last = self._calls[-1] if self._calls else None
        known = self._of.get(id)
        call = known or (last if index is None else self._at.get(index))
        if call is None and not id and not name:
            call = last  # a few servers count pieces instead of calls
        if call is None or _begins_another(call, name, is_new_id=bool(id) and known is None):
            another = _Call(is_doubtful=call is not None and call.name == name)
            self._calls.append(another)
            return another
        return call


def _begins_another(call: _Call, name: str, *, is_new_id: bool) -> bool:
    """Whether a piece that stands where `call` does is of another."""
    if not name and not is_new_id:
        return False
    if call.is_whole:
        return is_new_id or bool(call.name)
    if not name or not call.name or name == call.name:
        return False
    return call.is_begun or (is_new_id and call.has_id)


def _joined(name: str, piece: str) -> str:
    """A name and what comes next of it: nothing new, all of it again, or a piece."""
    return piece if piece.startswith(name) else name if name.startswith(piece) else name + piece


def _object(text: str) -> dict[str, JSON] | None:
    """The object that a text is in JSON; None if it is none, or not yet."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
