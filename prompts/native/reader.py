"""The reader of a native notation: that of the prompted ones, which believes the family's own marks before all else.

A model that was trained on its own marks means them wherever they stand. What else looks like a call is one only to
a declared tool behind an introducer; objects, lists and fences that nothing introduces are text.

A thought by itself leaves the reply as it is: `Reply.repaired` is not set, and the turn is replayed as it was
written. It is set where that text could not stand in a prompt, or would mislead: a closing mark is missing, a call is
cut or had to be put right, a thought is never closed, marks were dropped, something stands behind the turn's end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from gemmagraph.prompts.checking.arguments import WriteCall
from gemmagraph.prompts.messages import Reply, StopReason
from gemmagraph.prompts.native.marks import BY_OPENING, Marks
from gemmagraph.prompts.notation import ReadEvent
from gemmagraph.prompts.notations.prompted import PromptedReader
from gemmagraph.prompts.reading import spelling
from gemmagraph.prompts.reading.blocks import Kind
from gemmagraph.prompts.reading.bodies import may_start_body
from gemmagraph.prompts.reading.plain import Road
from gemmagraph.prompts.reading.spelling import Sure
from gemmagraph.prompts.toolset import Toolset

_DATA_FENCE = re.compile(spelling.RESULT_FENCE_DIRECTLY.pattern + "|json|")
_HALF_MARK = r"(?:\|?tool_call>|start_function_call>)\s{0,3}"
_CALL = re.compile(
    rf"[ \t]{{0,80}}({_HALF_MARK})?call\s{{0,3}}:\s{{0,3}}([^\W\d][\w.:/-]{{0,199}})[ \t]{{0,20}}(?=\{{)"
)
_CALL_MAY_COME = re.compile(
    rf"[ \t]{{0,80}}(?:\|?[a-z_]{{0,19}}|{_HALF_MARK}(?:c|ca|cal)?"
    rf"|(?:{_HALF_MARK})?call\s{{0,3}}(?::\s{{0,3}}(?:[^\W\d][\w.:/-]{{0,199}}[ \t]{{0,20}})?)?)"
)
_OTHER_TAG = re.compile(r"(?i)<(?:tool|function)_calls?>\s{0,20}(?=call\s{0,3}:)")
_OTHER_TAG_MAY_COME = re.compile(r"(?i)<(?:tool|function)_calls?>\s{0,20}(?:c|ca|cal|call\s{0,3})?\Z")
_HALF_END = re.compile(r"[ \t]{0,8}(?:/?\|?tool_call\|?>|end_function_call>|<(?:tool_call\|?|end_function_call)\Z)")
_HALF_END_MAY_COME = re.compile(r"[ \t]{0,8}<?/?\|?[a-z_]{0,17}\|?")
"""The mark in front of a call, or behind it, of which a part is missing."""


class NativeReader(PromptedReader):
    """Reads one reply in the notation that `marks` belong to."""

    _roads: ClassVar[Mapping[str, Road]] = {}

    def __init__(self, marks: Marks, tools: Toolset, write_call: WriteCall, thought: bool = False) -> None:
        super().__init__(tools, write_call, "declared", thought)
        self._marks = marks
        self._tagged = False
        """Whether a tag of another family stands directly in front."""

    def close(self, stop: StopReason = "stop") -> tuple[Sequence[ReadEvent], Reply]:
        self._run(self._held, True)
        self._said.changed |= self._thought is not None
        return super().close(stop)

    def _start(self, text: str, pos: int, final: bool) -> int:
        self._mode = self._line
        return pos

    def _line(self, text: str, pos: int, final: bool) -> int:
        """A call may stand there, also one whose opening mark is missing."""
        if text.startswith(self._marks.call, pos):
            self._before = self._line_so_far = ""
            self._in_word = False
            self._dead.clear()
            self._open_native(self._marks, self._marks.call)
            return pos + len(self._marks.call)
        if pos < len(text) and text[pos] not in " \tc|ts":
            return super()._line(text, pos, final)
        if not final and _CALL_MAY_COME.fullmatch(text, pos):
            return pos
        call = _CALL.match(text, pos)
        if call and self._tools.resolve(call.group(2)):
            self._line_so_far = self._before = ""
            self._bodies.repaired = True
            self._open_native(self._marks, "", "full" if self._tagged else "weak")
            self._tagged = False
            return max(pos, call.end(1))
        return super()._line(text, pos, final)

    def _mark(self, text: str, at: int, final: bool) -> int:
        """A call in the form of the family may stand in tags of another."""
        if not final and _OTHER_TAG_MAY_COME.match(text, at):
            return at
        tag = _OTHER_TAG.match(text, at)
        if not tag or self._before not in ("", "."):
            return super()._mark(text, at, final)
        self._said.changed = self._tagged = True
        self._mode = self._line
        return tag.end()

    def _behind_call(self, text: str, pos: int, final: bool) -> int:
        if not final and _HALF_END_MAY_COME.fullmatch(text, pos):
            return pos
        end = _HALF_END.match(text, pos)
        if end:
            self._said.changed = True
            return end.end()
        return super()._behind_call(text, pos, final)

    def _line_body(self, text: str, pos: int, at: int, quoted: int, final: bool) -> int:
        if self._said.nothing_since_call and text[at : at + 1] in ("{", "["):  # bare data is never a call
            data = may_start_body(text, at, final)
            if data is None:
                return pos
            if data:
                return self._end(text)
        return self._line_text(text, pos, quoted, final)

    @property
    def _result_fence(self) -> re.Pattern[str]:
        found = super()._result_fence
        return _DATA_FENCE if found is spelling.RESULT_FENCE_DIRECTLY else found

    def _open(self, kind: Kind, sure: Sure, opened: str, fence: str = "") -> None:
        if kind == "fence" and sure != "yes":
            self._quote(opened, fence)
        elif opened in BY_OPENING:
            super()._open(kind, sure, opened)
        else:
            super()._open("sentence" if kind == "prefix" else kind, "declared", opened, fence)

    def _is_own(self, marks: Marks) -> bool:
        return marks == self._marks

    def _another(self, thought: bool) -> PromptedReader:
        return NativeReader(self._marks, self._tools, self._write_call, thought)

    def _think(self, text: str, at: int, opener: str, final: bool) -> int:
        changed = self._said.changed
        after = super()._think(text, at, opener, final)
        self._said.changed = changed
        return after

    def _thinking(self, text: str, pos: int, final: bool) -> int:
        pos = super()._thinking(text, pos, final)
        if self._mode == self._inline:
            self._mode = self._line
        return pos
