"""The reader of a native notation: that of the prompted ones, which believes the family's own marks before all else.

A model that was trained on its own marks means them wherever they stand. What else looks like a call is one only to
a declared tool behind an introducer; objects, lists and fences that nothing introduces are text.

A thought by itself leaves the reply as it is: `Reply.repaired` is not set, and the turn is replayed as it was
written. It is set where that text could not stand in a prompt, or would mislead: a closing mark is missing, a call is
cut or had to be put right, a thought is never closed, marks were dropped, something stands behind the turn's end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from typing import ClassVar

from gemmagraph.prompts.arguments import WriteCall
from gemmagraph.prompts.blocks import Kind
from gemmagraph.prompts.messages import Reply, StopReason
from gemmagraph.prompts.native_marks import BY_OPENING, Marks
from gemmagraph.prompts.notation import ReadEvent
from gemmagraph.prompts.plain import Road
from gemmagraph.prompts.prompted import PromptedReader
from gemmagraph.prompts.spelling import Sure
from gemmagraph.prompts.toolset import Toolset

_CALL = re.compile(r"[ \t]{0,80}call\s{0,3}:\s{0,3}([^\W\d][\w.:/-]{0,199})[ \t]{0,20}(?=\{)")
_CALL_MAY_COME = re.compile(
    r"[ \t]{0,80}(?:c|ca|cal|call\s{0,3}|call\s{0,3}:\s{0,3}(?:[^\W\d][\w.:/-]{0,199}[ \t]{0,20})?)?"
)


class NativeReader(PromptedReader):
    """Reads one reply in the notation that `marks` belong to."""

    _roads: ClassVar[Mapping[str, Road]] = {}

    def __init__(self, marks: Marks, tools: Toolset, write_call: WriteCall, thought: bool = False) -> None:
        super().__init__(tools, write_call, "declared", thought)
        self._marks = marks

    def close(self, stop: StopReason = "stop") -> tuple[Sequence[ReadEvent], Reply]:
        self._run(self._held, True)
        self._said.changed |= self._thought is not None
        return super().close(stop)

    def _start(self, text: str, pos: int, final: bool) -> int:
        self._mode = self._line
        return pos

    def _line(self, text: str, pos: int, final: bool) -> int:
        """A call may stand there whose opening mark is missing."""
        if pos < len(text) and text[pos] not in " \tc":
            return super()._line(text, pos, final)
        if not final and _CALL_MAY_COME.fullmatch(text, pos):
            return pos
        call = _CALL.match(text, pos)
        if call and self._tools.resolve(call.group(1)):
            self._line_so_far = self._before = ""
            self._bodies.repaired = True
            self._open_native(self._marks, "", weak=False)
            return pos
        return super()._line(text, pos, final)

    def _line_body(self, text: str, pos: int, at: int, quoted: int, final: bool) -> int:
        return self._line_text(text, pos, quoted, final)

    def _result_fences(self) -> Set[str]:
        found = super()._result_fences()
        return found | {"", "json"} if self._said.nothing_since_call else found

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
