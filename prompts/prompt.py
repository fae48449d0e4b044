"""Turns and declarations written as what a server takes: one whole prompt, or chat messages.

Each turn is written once, and the next step only adds to what is there, so that a server's prompt cache holds and
a step costs the same after ten turns and after a thousand. Untrusted text is defused here, on its way in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final, Literal, NotRequired, TypeAlias, TypedDict

from gemmagraph.prompts.defuse import defuser
from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.messages import JSON, Image, Part, Text, Thought, ToolCall, ToolResult, ToolSpec, Turn
from gemmagraph.prompts.notation import Notation
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.prompts.turns import TurnFormat

_Role: TypeAlias = Literal["user", "assistant"]
"""Who speaks as far as a template without a tool role knows."""
_MOST_PIECES: Final = 64


class _Message(TypedDict):
    """As servers take it. Never changed once it is made: requests hold it too."""

    role: _Role
    content: str
    images: NotRequired[tuple[Image, ...]]


class PromptWriter:
    """Writes conversations for one family in one notation with one toolset.

    Args:
        turns: how the family writes turns.
        notation: how calls are written.
        tools: what may be called.
        thinking: whether the model is asked to think before it speaks, where it can.
        empty_thought: whether a model that is not to think has to be shown a thought that is empty.

    Raises:
        NotationError: the notation belongs to another turn format.
    """

    def __init__(
        self,
        turns: TurnFormat,
        notation: Notation,
        tools: Toolset,
        *,
        thinking: bool = False,
        empty_thought: bool = False,
    ) -> None:
        if notation.turns not in (None, turns.name):
            raise NotationError(
                f"The notation {notation.name!r} is written with control tokens that a model with the turns of "
                f"{turns.name!r} does not have.",
                hint="Take a prompted notation, such as function_call.",
            )
        self.turns = turns
        self.notation = notation
        self.native = notation.turns is not None
        self.tools = tools
        self.defuse = defuser(turns.marks)
        self.think = turns.think if thinking else ""
        self.opening = f"{turns.open}model\n"
        """What the model goes on from."""
        if empty_thought and not thinking:
            self.opening += "".join(turns.thought)
        self._declaration: str | None = None

    @property
    def declaration(self) -> str:
        """The tools as the model is told of them. Names and descriptions may come from elsewhere."""
        if self._declaration is None:
            if self.native:
                self._declaration = self.notation.declare(self.defused_tools)
            else:
                self._declaration = self.defuse(self.notation.declare(self.tools))
        return self._declaration

    @cached_property
    def defused_tools(self) -> Toolset:
        """The tools without a control mark in names, descriptions and parameters."""
        return Toolset(map(self._defused, self.tools))

    def _defused(self, spec: ToolSpec) -> ToolSpec:
        clean = self.defuse.value
        return ToolSpec(
            clean(spec.name), clean(spec.description), clean(spec.parameters), tuple(clean(spec.examples))
        )

    def instructions(self, system: str) -> str:
        """System text and tools."""
        declared = self.declaration
        if not self.native:
            return "\n\n".join(filter(None, (system, declared)))
        return f"{system}\n{declared}" if system and declared and not declared.startswith("<") else system + declared

    def model_text(self, turn: Turn, thoughts: bool = False) -> str:
        """A turn of the model, as it was or as it should have been written; its thoughts only if asked for."""
        thought = "".join(part.text for part in turn.parts if isinstance(part, Thought)) if self.native else ""
        if turn.raw is not None and (thoughts or not thought):
            return turn.raw.strip()
        calls = [part for part in turn.parts if isinstance(part, ToolCall)]
        text = self.defuse(turn.text.strip())
        written = self.notation.write_calls(calls) if calls else ""
        if not self.native:
            return "\n".join(filter(None, (text, self.defuse(written))))
        opener, closer = self.turns.thought if thought and thoughts else ("", "")
        return f"{opener}{self.defuse(thought.strip())}\n{closer}{text}{written}" if opener else text + written

    def defused(self, turn: Turn) -> Turn:
        """A turn without a control mark in it, for servers that write turns themselves."""
        return Turn(turn.role, tuple(map(self._defused_part, turn.parts)))

    def _defused_part(self, part: Part) -> Part:
        clean = self.defuse
        match part:
            case Text(text) | Thought(text):
                return replace(part, text=clean(text))
            case ToolCall(name=name, arguments=arguments):
                return replace(part, name=clean(name), arguments=clean.value(arguments))
            case ToolResult(name=name, content=content):
                return replace(part, name=clean(name), content=clean.value(content))
        return part

    def results_text(self, turn: Turn, asked: Turn | None = None) -> str:
        """Results of tools, errors included, in the order of the calls in `asked`: not every notation names a call
        in its result."""
        results = [part for part in turn.parts if isinstance(part, ToolResult)]
        if asked is not None and len(results) > 1:
            places = {part.id: place for place, part in enumerate(asked.parts) if isinstance(part, ToolCall)}
            results.sort(key=lambda result: places.get(result.call_id, len(asked.parts)))
        if not self.native:
            return self.defuse(self.notation.write_results(results))
        return self.notation.write_results(
            [replace(each, name=self.defuse(each.name), content=self.defuse.value(each.content)) for each in results]
        )


class Transcript:
    """One conversation, written as it grows. Show it the turns again at each step: only new ones are written.

    What was written stays as it is, but for two things: with a native notation thoughts are left out as soon as
    the next question is asked, and the empty thought that a prompt may end with is not repeated in the next.
    """

    def __init__(self, writer: PromptWriter) -> None:
        self.writer = writer
        self._turns: list[Turn] = []
        self._defused: list[Turn] = []
        self._start()

    def _start(self) -> None:
        self._system = ""
        self._messages: list[_Message] = []
        self._written: list[str] = []
        """The prompt up to the last message, in few pieces."""
        self._count = 0
        """Messages in it."""
        self._thoughtless: str | None = None
        """The last message without its thoughts, if it holds some."""
        self._open = False
        """Whether the last message is a turn of the model that goes on."""
        self.has_images = False
        """Whether there is a picture in the conversation."""

    def update(self, turns: Sequence[Turn]) -> None:
        """Takes the whole conversation; what was written before and stands unchanged is kept."""
        known = len(self._turns)
        begun = list(turns[:known])
        if self._turns == begun:
            self._turns = begun  # the next time these are the same objects, which are compared at once
        else:
            self._turns, self._defused = [], []
            self._start()
            known = 0
        for turn in turns[known:]:
            self._add(turn)
            self._turns.append(turn)

    def turns(self) -> tuple[Turn, ...]:
        """The turns without a control mark in them, for a server that writes them itself."""
        self._defused += map(self.writer.defused, self._turns[len(self._defused) :])
        return tuple(self._defused)

    def chat(self) -> tuple[Mapping[str, JSON], ...]:
        """Chat messages with the roles `user` and `assistant`, strictly in turn, the user's first: what every
        server and every template of Gemma takes. System text and declarations stand in the first. Pictures that
        belong to a message are its `images`.

        Raises:
            NotationError: the notation is native; a server would not take control marks in a message.
        """
        if self.writer.native:
            raise NotationError(
                f"Calls in the notation {self.writer.notation.name!r} cannot be sent as chat messages.",
                hint="Use a server that completes a whole prompt, or a prompted notation, such as function_call.",
            )
        first = self.writer.instructions(self._system)
        messages = self._messages
        images: tuple[Image, ...] = ()
        if messages and messages[0]["role"] == "user":
            first = "\n\n".join(filter(None, (first, messages[0]["content"])))
            images = messages[0].get("images", ())
            messages = messages[1:]
        return (_message("user", first, images), *messages) if first or self._messages else ()

    def completion(self) -> str:
        """The whole prompt, up to where the model goes on.

        Raises:
            NotationError: there are pictures in the conversation, and text cannot hold them.
        """
        writer, messages = self.writer, self._messages
        if self.has_images:
            raise NotationError(
                "A prompt of text cannot hold pictures.", hint="Use a server that takes chat messages."
            )
        if not messages:
            return writer.turns.bos + self._head() + writer.opening
        written = self._written
        while self._count < len(messages) - 1:
            written.append(self._turn(self._count) + writer.turns.close)
            self._count += 1
        if len(written) > _MOST_PIECES:
            written[:] = ("".join(written),)
        end = "" if self._open else writer.turns.close + writer.opening
        return "".join((*written, self._turn(self._count), end))

    def _head(self) -> str:
        """The turn of the system text, where there is one."""
        writer, form = self.writer, self.writer.turns
        text = writer.think + writer.instructions(self._system)
        if not text:
            return ""
        if form.system_role:
            return f"{form.open}{form.system_role}\n{text}{form.close}"
        return f"{form.open}user\n{text}{form.close}"

    def _turn(self, place: int) -> str:
        """A message as a turn without its end; in front of the first, all that the prompt begins with."""
        form, message = self.writer.turns, self._messages[place]
        speaker, text = "model" if message["role"] == "assistant" else "user", message["content"]
        if place:
            return f"{form.open}{speaker}\n{text}"
        head = ""
        if form.system_role or speaker == "model":
            head = self._head()
        else:
            text = "\n\n".join(filter(None, (self.writer.instructions(self._system), text)))
        return f"{form.bos}{head}{form.open}{speaker}\n{text}"

    def _add(self, turn: Turn) -> None:
        writer = self.writer
        before = self._turns[-1] if self._turns else None
        if turn.role == "system" and not self._messages:
            self._system = f"{self._system}\n\n{writer.defuse(turn.text).strip()}".strip()
        elif turn.role == "model":
            self._model(turn)
        elif turn.role == "tool" and writer.native:
            results = writer.results_text(turn, before)
            self._say("assistant", results, results)
            self._open = True
        elif turn.role == "tool":
            self._say("user", writer.results_text(turn, before))
        else:
            if self._thoughtless is not None:
                self._messages[-1] = _Message(role="assistant", content=self._thoughtless)
            self._say("user", writer.defuse(turn.text), images=images_of(turn))

    def _model(self, turn: Turn) -> None:
        shown = self.writer.model_text(turn, thoughts=True)
        thinks = self.writer.native and any(isinstance(part, Thought) for part in turn.parts)
        self._say("assistant", shown, self.writer.model_text(turn) if thinks else shown)

    def _say(self, role: _Role, text: str, thoughtless: str = "", images: tuple[Image, ...] = ()) -> None:
        """Adds to what `role` says, or lets it begin to speak."""
        text, thoughtless = text.strip(), thoughtless.strip()
        goes_on = self._messages and self._messages[-1]["role"] == role
        if goes_on and (role == "assistant" or not self.writer.native):
            before_it = self._messages.pop()
            said, images = before_it["content"], (*before_it.get("images", ()), *images)
            between = "" if self._open or (self.writer.native and text.startswith("<")) else "\n\n"
            before = said if self._thoughtless is None else self._thoughtless
            thoughtless = between.join(filter(None, (before, thoughtless)))
            text = between.join(filter(None, (said, text)))
        self._thoughtless = thoughtless if role == "assistant" and thoughtless != text else None
        self._open = False
        self.has_images |= bool(images)
        self._messages.append(_message(role, text, images))


def _message(role: _Role, text: str, images: tuple[Image, ...]) -> _Message:
    return _Message(role=role, content=text, images=images) if images else _Message(role=role, content=text)


def images_of(turn: Turn) -> tuple[Image, ...]:
    """The pictures in a turn, in their order."""
    return tuple(part for part in turn.parts if isinstance(part, Image))
