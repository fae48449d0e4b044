"""The part of a reader that takes what is only text: words, code spans, block quotes, fences that quote.

Where calls may stand is in `prompted`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gemmagraph.prompts.messages import Reply
from gemmagraph.prompts.reading import spelling
from gemmagraph.prompts.reading.blocks import Kind
from gemmagraph.prompts.reading.quoting import LONGEST_RUN, CodeSpan, QuotedFence, fence_line, quoted_line, run_end
from gemmagraph.prompts.reading.said import Said
from gemmagraph.prompts.reading.spelling import Sure


class Quotes:
    """Reads text that calls nothing, from line to line."""

    def __init__(self) -> None:
        self._said = Said()
        self._before = ""
        """The last character of the line so far that is neither space nor decoration; "" at its start."""
        self._line_so_far = ""
        self._in_word = self._long_run = False
        """Whether the text so far ends inside a run of backticks too long to mean anything."""
        self._dead: set[int] = set()  # lengths of backtick runs that nothing closes in this line
        self._lone = False
        """Whether the reply begins with a code span."""
        self._span: CodeSpan | None = None
        self._fence: QuotedFence | None = None
        self._again = ""
        """Text that was looked at in vain and is read once more, in front of the rest."""
        self._mode: Callable[[str, int, bool], int] = self._line

    def _line(self, text: str, pos: int, final: bool) -> int:
        """At the start of a line."""
        raise NotImplementedError

    def _inline(self, text: str, pos: int, final: bool) -> int:
        """Inside a line of text."""
        raise NotImplementedError

    def _open(self, kind: Kind, sure: Sure, opened: str, fence: str = "") -> None:
        """A block that may hold calls begins."""
        raise NotImplementedError

    def _read_apart(self, text: str) -> Reply:
        """A text read by itself, as if it were a whole reply."""
        raise NotImplementedError

    def _pass(self, text: str) -> None:
        """Text of this line that is only text."""
        if not text:
            return
        self._said.say(text)
        self._line_so_far = (self._line_so_far + text)[-200:]
        self._long_run = False
        self._in_word = text[-1].isascii() and (text[-1].isalnum() or text[-1] == "_")
        shown = text.rstrip(" \t*_")
        if shown:
            self._before = shown[-1]

    def _quoted_line(self, text: str, pos: int, final: bool) -> int:
        end, pos = quoted_line(text, pos, final, self._said.say)
        if end == "turn_end":
            return self._end(text)
        if end == "closed":
            self._mode = self._line
        return pos

    def _backticks(self, text: str, at: int, final: bool) -> int:
        """A code span of this line, a fence, or plain backticks."""
        end = run_end(text, at)
        length = end - at
        goes_on = self._long_run and at == 0
        if end == len(text) and not final and length <= LONGEST_RUN and not goes_on:
            return at
        if length > LONGEST_RUN or length in self._dead or goes_on:
            self._pass(text[at:end])
            self._long_run = end == len(text)
            return end
        if length >= 3:
            if not final and len(text) - at < 60 and "\n" not in text[at:]:
                return at
            fence = spelling.FENCE.match(text, at)
            if fence:
                return self._fence_opens(text, at, at, final)
        self._span = CodeSpan(text[at:end])
        self._mode = self._in_span
        return end

    def _in_span(self, text: str, pos: int, final: bool) -> int:
        assert self._span is not None
        state, pos = self._span.feed(text, pos, final)
        if state == "never":
            self._dead.add(self._span.length)
            self._lone = False
            self._mode = self._inline
            self._pass("`" * self._span.length)
            self._again = self._span.inside
        elif state == "closed" and self._lone:
            self._mode = self._lone_span
        elif state == "closed":
            self._mode = self._inline
            self._pass(self._span.text)
        return pos

    def _lone_span(self, text: str, pos: int, final: bool) -> int:
        """Behind a code span that begins the reply. If it is all of it, it may be a call."""
        assert self._span is not None
        rest = text[pos:].strip()
        if not rest and not final and len(text) - pos < 300:
            return pos
        self._lone = False
        self._mode = self._inline
        if not rest and self._is_call(self._span.text.strip("`")):
            return len(text)
        self._pass(self._span.text)
        return pos

    def _is_call(self, text: str) -> bool:
        """Takes the calls that `text` is, if it is nothing else."""
        reply = self._read_apart(text)
        if reply.text or not (reply.calls or reply.bad_calls):
            return False
        self._said.changed = True
        self._said.take((*reply.calls, *reply.bad_calls))
        return True

    def _fence_opens(self, text: str, pos: int, at: int, final: bool) -> int:
        """A fence at `at`, in a line that begins or goes on at `pos`."""
        fence = fence_line(text, at, final)
        if fence is None:
            return pos
        if isinstance(fence, str):
            self._said.say(text[pos:at])
            self._span = CodeSpan(fence)
            self._mode = self._in_span
            return at + len(fence)
        if self._result_fence.fullmatch(fence.word):
            return self._end(text)
        if fence.may_call and fence.word in spelling.FENCES:
            self._open("fence", spelling.FENCES[fence.word], text[pos : fence.end], fence.marks)
        else:
            self._quote(text[pos : fence.end], fence.marks)
        return fence.end

    @property
    def _result_fence(self) -> re.Pattern[str]:
        """The word behind a fence in which the result of a call would stand."""
        if self._said.nothing_since_call:
            return spelling.RESULT_FENCE_DIRECTLY
        return spelling.RESULT_FENCE_AFTER_CALL if self._said.any_calls else spelling.RESULT_FENCE

    def _quote(self, opened: str, fence: str) -> None:
        """Goes on in a fence that only quotes."""
        self._said.say(opened)
        self._fence = QuotedFence(fence, self._said.say, opened.endswith("\n"))
        self._mode = self._in_fence

    def _in_fence(self, text: str, pos: int, final: bool) -> int:
        assert self._fence is not None
        closed, pos = self._fence.feed(text, pos, final)
        if closed:
            self._fence = None
            self._mode = self._line
        return pos

    def _end(self, text: str) -> int:
        """Nothing from here on counts."""
        self._said.changed = True
        self._mode = _ignore
        return len(text)


def _ignore(text: str, pos: int, final: bool) -> int:
    return len(text)
