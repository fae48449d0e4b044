"""Turns and declarations written as what a server takes: one whole prompt, or chat messages.

Each turn is written once, and the next step only adds to what is there, so that a server's prompt cache holds and
a step costs the same after ten turns and after a thousand. Untrusted text is defused here, on its way in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import is_not
from typing import Literal, TypeAlias, TypedDict

from gemmagraph.prompts.defuse import defuser
from gemmagraph.prompts.messages import JSON, ToolCall, ToolResult, Turn
from gemmagraph.prompts.notation import Notation
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.turns import TurnFormat

_Role: TypeAlias = Literal["user", "assistant"]
"""Who speaks as far as a template without a tool role knows."""


class _Message(TypedDict):
    """As servers take it. Never changed once it is made: requests hold it too."""

    role: _Role
    content: str


class PromptWriter:
    """Writes conversations for one family in one notation with one toolset."""

    def __init__(self, turns: TurnFormat, notation: Notation, tools: Toolset) -> None:
        self.turns = turns
        self.notation = notation
        self.tools = tools
        self.defuse = defuser(turns.marks)
        self._declaration: str | None = None

    @property
    def declaration(self) -> str:
        """The tools as the model is told of them. Names and descriptions may come from elsewhere."""
        if self._declaration is None:
            self._declaration = self.defuse(self.notation.declare(self.tools))
        return self._declaration

    def model_text(self, turn: Turn) -> str:
        """A turn of the model, as it was or as it should have been written."""
        if turn.raw is not None:
            return turn.raw.strip()
        calls = [part for part in turn.parts if isinstance(part, ToolCall)]
        pieces = [turn.text.strip()]
        if calls:
            pieces.append(self.notation.write_calls(calls))
        return self.defuse("\n".join(piece for piece in pieces if piece))

    def results_text(self, turn: Turn) -> str:
        """Results of tools, errors included."""
        results = [part for part in turn.parts if isinstance(part, ToolResult)]
        return self.defuse(self.notation.write_results(results))


class Transcript:
    """One conversation, written as it grows. Show it the turns again at each step: only new ones are written."""

    def __init__(self, writer: PromptWriter) -> None:
        self.writer = writer
        self._turns: list[Turn] = []
        self._system = ""
        self._messages: list[_Message] = []

    def update(self, turns: Sequence[Turn]) -> None:
        """Takes the whole conversation; what was written before and stands unchanged is kept."""
        known = len(self._turns)
        if known > len(turns) or any(map(is_not, self._turns, turns)):
            self._turns, self._messages, self._system = [], [], ""
            known = 0
        for turn in turns[known:]:
            self._add(turn)
            self._turns.append(turn)

    def chat(self) -> tuple[Mapping[str, JSON], ...]:
        """Chat messages with the roles `user` and `assistant`, strictly in turn, the user's first: what every
        server and every template of Gemma takes. System text and declarations stand in the first."""
        return tuple(self._spoken())

    def completion(self) -> str:
        """The whole prompt, up to where the model goes on."""
        form = self.writer.turns
        pieces = [form.bos]
        for message in self._spoken():
            speaker = "model" if message["role"] == "assistant" else "user"
            pieces.append(f"{form.open}{speaker}\n{message['content']}{form.close}")
        pieces.append(f"{form.open}model\n")
        return "".join(pieces)

    def _spoken(self) -> list[_Message]:
        pieces = [self._system, self.writer.declaration]
        rest = self._messages
        if rest and rest[0]["role"] == "user":
            pieces.append(rest[0]["content"])
            rest = rest[1:]
        first = "\n\n".join(filter(None, pieces))
        return [_Message(role="user", content=first), *rest] if first or self._messages else []

    def _add(self, turn: Turn) -> None:
        writer = self.writer
        if turn.role == "system" and not self._messages:
            self._system = f"{self._system}\n\n{writer.defuse(turn.text).strip()}".strip()
        elif turn.role == "model":
            self._say("assistant", writer.model_text(turn))
        elif turn.role == "tool":
            self._say("user", writer.results_text(turn))
        else:
            self._say("user", writer.defuse(turn.text))

    def _say(self, role: _Role, text: str) -> None:
        text = text.strip()
        if self._messages and self._messages[-1]["role"] == role:
            said = self._messages.pop()["content"]
            text = f"{said}\n\n{text}" if said and text else said or text
        self._messages.append(_Message(role=role, content=text))
