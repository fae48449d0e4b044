"""The marks of the two families that write calls natively: one grammar, two spellings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

LONGEST_MARK: Final = 40
"""More characters than any mark has."""


@dataclass(frozen=True)
class Marks:
    """How a family spells what stands around declarations, calls, results and texts."""

    name: str
    """Of the notation and of the turn format."""
    declaration: str
    declaration_end: str
    call: str
    call_end: str
    result: str
    result_end: str
    quote: str
    """On both sides of a text. Nothing inside is escaped."""
    turn_ends: tuple[str, ...]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The marks that mean something inside a call; all else is plain text there."""
        return re.compile("|".join(map(re.escape, self._in_calls)))

    @cached_property
    def ends(self) -> re.Pattern[str]:
        """The marks at which a call ends, whatever it holds."""
        return re.compile("|".join(map(re.escape, self._in_calls[1:])))

    @cached_property
    def plain_argument(self) -> re.Pattern[str]:
        """An argument that can be read in one way only, and the comma or bracket behind it."""
        quote = re.escape(self.quote)
        return re.compile(
            rf"([^\W\d]\w*):(?:{quote}([^<\ud800-\udfff]*){quote}|(-?[0-9]+(?:\.[0-9]+)?|true|false|null))([,}})])"
        )

    @cached_property
    def joined(self) -> re.Pattern[str]:
        """Two texts that an operator joins, and a text of which a method is called."""
        quote = re.escape(self.quote)
        return re.compile(rf"{quote}\s{{0,8}}[+%*&|.]\s{{0,8}}{quote}|{quote}\.\w{{1,40}}\(")

    @property
    def _in_calls(self) -> tuple[str, ...]:
        return (self.quote, self.call_end, self.call, self.result, *self.turn_ends)

    def at(self, text: str, pos: int, final: bool) -> str | None:
        """The mark at `pos`, "" if none stands there; None if more text is needed to tell."""
        found = self.pattern.match(text, pos)
        if found:
            return found.group()
        if final or len(text) - pos >= LONGEST_MARK or not text.startswith("<", pos):
            return None if pos == len(text) and not final else ""
        return None if self._may_come(text[pos:]) else ""

    def search(self, text: str, pos: int, final: bool) -> tuple[str, int]:
        """The next mark from `pos` on, and where; "" and where the text ends that holds none."""
        found = self.pattern.search(text, pos)
        if found:
            return found.group(), found.start()
        at = -1 if final else text.rfind("<", max(pos, len(text) - LONGEST_MARK))
        return "", at if at >= 0 and self._may_come(text[at:]) else len(text)

    def _may_come(self, tail: str) -> bool:
        return any(mark.startswith(tail) for mark in self._in_calls)


GEMMA4: Final = Marks(
    name="gemma4",
    declaration="<|tool>",
    declaration_end="<tool|>",
    call="<|tool_call>",
    call_end="<tool_call|>",
    result="<|tool_response>",
    result_end="<tool_response|>",
    quote='<|"|>',
    turn_ends=("<turn|>", "<|turn>", "<eos>"),
)
FUNCTIONGEMMA: Final = Marks(
    name="functiongemma",
    declaration="<start_function_declaration>",
    declaration_end="<end_function_declaration>",
    call="<start_function_call>",
    call_end="<end_function_call>",
    result="<start_function_response>",
    result_end="<end_function_response>",
    quote="<escape>",
    turn_ends=("<end_of_turn>", "<start_of_turn>", "<eos>"),
)
BY_OPENING: Final = {marks.call: marks for marks in (GEMMA4, FUNCTIONGEMMA)}
