"""The part of a reader that takes what stands in angle brackets: control marks, tags around calls and results,
thoughts, and the elements of HTML that quote."""

from __future__ import annotations

import re
from typing import Final

from gemmagraph.prompts.native.block import Trust
from gemmagraph.prompts.native.marks import BY_OPENING, Marks
from gemmagraph.prompts.notation import Reader
from gemmagraph.prompts.reading import spelling
from gemmagraph.prompts.reading.quotes import Quotes
from gemmagraph.prompts.reading.quoting import element_end, is_quoting
from gemmagraph.prompts.reading.scan import TURN_ENDS
from gemmagraph.prompts.reading.thoughts import OpenThought, thought_begins

SENTENCE_ENDS: Final = (".", "!", "?", ":", "…", ")", ";", "。", "")
"""The last character in front of what may be a call; there is none where a line begins."""
_OWN_TURN: Final = re.compile(r"(?:<start_of_turn>|<\|turn>)model\n")
_OWN_TURN_MAY_COME: Final = re.compile(r"(?:<start_of_turn>|<\|turn>)m?o?d?e?l?\Z")
"""The start of the model's own turn: a model that was not given it writes it itself."""
_THOUGHT_ENDS: Final = frozenset(spelling.THOUGHTS.values())
_RESULT_ENDS: Final = tuple(marks.result_end for marks in BY_OPENING.values())
"""Behind a call, what closes a result that the model made up."""


class Tags(Quotes):
    """Reads marks and tags in a text.

    Args:
        thought: whether the text is a thought: no thought begins inside it.
    """

    def __init__(self, thought: bool) -> None:
        super().__init__()
        self._is_thought = thought
        self._thought: OpenThought | None = None

    def _start(self, text: str, pos: int, final: bool) -> int:
        """At the start of the reply."""
        raise NotImplementedError

    def _open_native(self, marks: Marks, opened: str, trust: Trust = "full") -> None:
        """A native call begins."""
        raise NotImplementedError

    def _another(self, thought: bool) -> Reader:
        """A reader like this one, for a part of the reply."""
        raise NotImplementedError

    def _mark(self, text: str, at: int, final: bool) -> int:
        """A control mark, a tag, or a plain `<`."""
        if not final and spelling.MARK_MAY_COME.match(text, at):
            return at
        if self._said.nothing_yet and not self._line_so_far:
            own = _OWN_TURN.match(text, at)
            if own:
                self._mode = self._start
                return own.end()
            if not final and _OWN_TURN_MAY_COME.match(text, at):
                return at
        if text.startswith(TURN_ENDS, at) or spelling.RESULT_TAG.match(text, at):
            return self._end(text)
        if self._said.any_calls and spelling.RESULT_TAG_AFTER_CALL.match(text, at):
            return self._end(text)
        tag = spelling.CALL_TAG.match(text, at)
        if tag:
            self._tag_opens(tag.group())
            return tag.end()
        for opener in spelling.THOUGHTS:
            if text[at : at + len(opener)].lower() == opener:
                return at + len(opener) if self._is_thought else self._think(text, at, opener, final)
        quoting = spelling.QUOTING_TAG.match(text, at)
        if quoting:
            end = element_end(text, quoting, final)
            self._pass(text[at:end] if end else "")
            return end or at
        if self._said.any_calls and text.startswith(_RESULT_ENDS, at):
            return self._end(text)
        dropped = spelling.DROPPED.match(text, at)
        if not dropped and (self._said.any_calls or not self._line_so_far.strip()):
            dropped = spelling.CALL_TAG_END.match(text, at)
        if dropped:
            self._said.changed = True
            self._said.take_out()
            if dropped.group().lower() in _THOUGHT_ENDS or not self._line_so_far.strip():
                self._mode = self._line
            return dropped.end()
        self._pass("<")
        return at + 1

    def _tag_opens(self, tag: str, native: bool = True) -> None:
        """A tag, or the mark of a native call; `native`: whether the body may be a native one."""
        marks = BY_OPENING.get(tag) if native else None
        line = self._line_so_far
        talks = spelling.talks(line)
        strong = self._before in SENTENCE_ENDS and not talks
        if marks is None:
            self._open("tag", "yes" if strong else "declared", tag)
        elif spelling.denies(line):
            self._open_native(marks, tag, "none")
        elif talks or is_quoting(line) or not (strong or self._is_own(marks)):
            self._open_native(marks, tag, "weak")
        else:
            self._open_native(marks, tag)

    def _is_own(self, marks: Marks) -> bool:
        """Whether the model was asked to write these marks."""
        return False

    def _think(self, text: str, at: int, opener: str, final: bool) -> int:
        """A thought begins. What it says is read too, for the case that it is never closed."""
        begin = thought_begins(text, at + len(opener), opener, final)
        if begin is None:
            return at
        if text[at + len(opener) : begin].strip() in spelling.ANSWER_CHANNELS:
            self._said.take_out()
            self._said.changed = True
            self._mode = self._line
            return begin
        inside = self._another(thought=True)
        self._thought = OpenThought(spelling.THOUGHTS[opener], inside, self._said.think)
        self._said.take_out()
        self._said.changed = True
        self._mode = self._thinking
        return begin

    def _thinking(self, text: str, pos: int, final: bool) -> int:
        assert self._thought is not None
        end, pos = self._thought.feed(text, pos, final)
        if end == "turn_end":
            return self._end(text)
        if end == "closed":
            self._thought = None
            self._mode = self._start if self._said.nothing_yet else self._inline
        return pos
