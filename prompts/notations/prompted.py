"""The reader that all prompted notations share: text in which calls may stand, in pieces of any size.

A prompted model spells its calls in more ways than it was asked to, so one reader knows every introducer (prefix,
fence, tags, list, object); `blocks` reads what an introducer opens. What is quoted (code spans, other fences, block
quotes) is text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from gemmagraph.prompts.checking.arguments import WriteCall
from gemmagraph.prompts.messages import Reply, StopReason
from gemmagraph.prompts.native.block import NativeBlock, Trust
from gemmagraph.prompts.native.marks import BY_OPENING, Marks
from gemmagraph.prompts.notation import ReadEvent
from gemmagraph.prompts.notations.tags import SENTENCE_ENDS, Tags
from gemmagraph.prompts.reading import plain, spelling
from gemmagraph.prompts.reading.behind import behind_prefix
from gemmagraph.prompts.reading.blocks import Block, Kind
from gemmagraph.prompts.reading.bodies import Bodies, may_start_body
from gemmagraph.prompts.reading.doubt import rest_of_text
from gemmagraph.prompts.reading.made_up import is_made_up
from gemmagraph.prompts.reading.plain import Plain, Road
from gemmagraph.prompts.reading.scan import first_visible
from gemmagraph.prompts.reading.spelling import Sure
from gemmagraph.prompts.reading.stretch import End
from gemmagraph.prompts.toolset import Toolset

_BLANK: Final = re.compile(r"[\s\ufeff]*")
_MOST_SPACES: Final = 80
"""Between a call and what follows in its line."""


class PromptedReader(Tags):
    """Reads one reply in a prompted notation.

    Args:
        tools: what may be called.
        write_call: how a call is written, for the messages of bad calls.
        bare: how sure an object at the start of a line, which nothing introduces, is a call.
        thought: whether the text is a thought: no thought begins inside it.
    """

    _roads: ClassVar[Mapping[str, Road]] = {
        "F": plain.prefixed,
        "[": plain.listed,
        "`": plain.fenced,
        "{": plain.an_object,
    }
    """Quick roads, by the character with which a line begins."""

    def __init__(self, tools: Toolset, write_call: WriteCall, bare: Sure, thought: bool = False) -> None:
        super().__init__(thought)
        self._tools = tools
        self._write_call = write_call
        self._bare: Sure = bare
        self._bodies = Bodies(tools, write_call)
        self._raw: list[str] = []
        self._held = ""
        self._block: Block | NativeBlock | None = None
        self._waits: Plain | None = None
        """Calls with which the text begins that is kept back."""
        self._mode = self._start

    def feed(self, chunk: str) -> Sequence[ReadEvent]:
        self._raw.append(chunk)
        if self._held:
            chunk = self._held + chunk
        elif self._block is not None:
            plain = self._block.plain
            if plain is not None and plain.search(chunk) is None:
                self._block.more(chunk)
                self._said.tell(self._block.news())
                return self._said.events()
        elif self._mode == self._inline and not spelling.MAY_MATTER.search(chunk):
            self._pass(chunk)
            return self._said.events()
        self._run(chunk, False)
        return self._said.events()

    def close(self, stop: StopReason = "stop") -> tuple[Sequence[ReadEvent], Reply]:
        self._run(self._held, True)
        if self._thought is not None:  # never closed: its calls are real
            _, inside = self._thought.inside.close()
            self._said.take((*inside.calls, *inside.bad_calls))
        self._said.changed |= self._bodies.repaired or (self._fence is not None and self._fence.ended_inside)
        del self._mode  # a method of its own: with it, only the garbage collector would free the reader
        return self._said.events(), self._said.reply(stop, "".join(self._raw))

    def _run(self, text: str, final: bool) -> None:
        """Lets the mode at hand go on, and those it hands over to. A mode returns the position behind what it has
        done with; the same position without handing over means that it waits for more text."""
        pos = 0
        while pos < len(text) or final:
            mode, block = self._mode, self._block
            after = mode(text, pos, final)
            if self._again:
                text, after = self._again + text[after:], 0
                self._again = ""
            elif after == pos and self._mode == mode and self._block is block:
                break
            pos = after
        self._held = text[pos:]

    def _start(self, text: str, pos: int, final: bool) -> int:
        """At the start of the reply, where a body needs no introducer."""
        blank = _BLANK.match(text, pos)
        pos = blank.end() if blank else pos
        if not final and "tool_code\n".startswith(text[pos:]):
            return pos
        if text.startswith("tool_code\n", pos):  # its marks were lost
            self._open("fence", "yes", "tool_code\n", "```")
            return pos + len("tool_code\n")
        if pos == len(text):
            self._mode = self._line if final else self._start
            return pos
        if text[pos] in "[{" and (after := self._at_once(text, pos, final, whole=True)) is not None:
            return after
        body = may_start_body(text, pos, final)
        if body:
            self._open("reply", "whole", "")
        elif body is not None:
            self._lone = text[pos] == "`"
            self._mode = self._line
        return pos

    def _line(self, text: str, pos: int, final: bool) -> int:
        """At the start of a line."""
        self._before = self._line_so_far = ""
        self._in_word = False
        self._dead.clear()
        if pos == len(text):
            self._mode = self._inline if final else self._line
            return pos
        if not self._said.any_calls and not spelling.LINE_STARTS.match(text, pos):
            self._mode = self._inline
            return pos
        if (after := self._at_once(text, pos, final)) is not None:
            return after
        if not final and spelling.LINE_MAY_GO_ON.fullmatch(text, pos):
            return pos
        fence = spelling.FENCE_LINE.match(text, pos)
        if fence:
            return self._fence_opens(text, pos, fence.start(1), final)
        decoration = spelling.LINE_DECORATION.match(text, pos)
        at = decoration.end() if decoration else pos
        prefix = spelling.PREFIX.match(text, at) or spelling.BACKTICKED_PREFIX.match(text, at)
        if prefix:
            self._open("prefix", "yes", text[pos : prefix.end()])
            return prefix.end()
        if spelling.RESULT_LINE.match(text, at):
            return self._end(text)
        first = at if text[at : at + 1] in ("{", "[") else first_visible(text, pos)
        return self._line_body(text, pos, first, at, final)

    def _at_once(self, text: str, pos: int, final: bool, whole: bool = False) -> int | None:
        """The quick road, for a call at the start of a line that is written as it was asked for; None if another road
        has to be taken. `whole`: it must be all of the reply."""
        calls, self._waits = self._waits, None
        if calls is None and (road := self._roads.get(text[pos])):
            calls = road(text, pos, self._tools)
        if calls is None:
            return None
        end = calls.end
        rest = text[end:] if whole else text[end : end + 1]
        if not final and not rest.strip() and (whole or not rest) and len(rest) < 60:
            self._waits = calls.moved(-pos)  # what stands behind decides
            return pos
        if rest[:1] not in ("", "\n") or (whole and (rest.strip() or not final)):
            return None
        rest_end = rest_of_text(text[pos:end], text, end, final, self._tools)
        if rest_end is None:
            self._waits = calls.moved(-pos)
            return pos
        if rest_end > end:
            return None
        if text[pos] == "F":
            behind, end = behind_prefix(text, end, final, self._tools, bad=False)
            if behind != "calls":
                return None
        news = self._bodies.plain(calls, text)
        if news is None:
            return None
        self._said.take_out()
        self._said.tell(news)
        self._before = ""
        self._in_word = False
        self._mode = self._line if text[end - 1] == "\n" else self._behind_call
        return end

    def _line_body(self, text: str, pos: int, at: int, quoted: int, final: bool) -> int:
        """At the first visible character, `at`, of a line that begins at `pos`."""
        body = may_start_body(text, at, final) if text[at : at + 1] in ("[", "{") else False
        if body is None:
            return pos
        if body:
            self._open("line", self._bare, text[pos:at])
            return at
        return self._line_text(text, pos, quoted, final)

    def _line_text(self, text: str, pos: int, quoted: int, final: bool) -> int:
        """At the start of a line that is text; its first character that is no decoration is at `quoted`."""
        if self._said.any_calls and text[quoted : quoted + 1] != "<":
            made_up = is_made_up(text, quoted, final, self._said.nothing_since_call)
            if made_up is None:
                return pos
            if made_up:
                return self._end(text)
        self._mode = self._quoted_line if text.startswith(">", quoted) else self._inline
        return pos

    def _inline(self, text: str, pos: int, final: bool) -> int:
        """Inside a line of text."""
        found = spelling.SPECIAL.search(text, pos)
        if found and found.start() == pos and self._in_word and found.group()[0].isalpha():
            found = spelling.SPECIAL.search(text, pos + 1)
        if not found or (found.group() == "`" and not final and self._prefix_may_come(text, pos, found.start())):
            return self._plain(text, pos, final)
        at = found.start()
        self._pass(text[pos:at])
        char = text[at]
        if char == "\n":
            self._said.say("\n")
            self._mode = self._line
            return at + 1
        if char == "`":
            return self._backticks(text, at, final)
        if char == "<":
            return self._mark(text, at, final)
        if spelling.talks(self._line_so_far):
            self._pass(found.group())
        else:
            ended = self._before in SENTENCE_ENDS
            self._open("prefix" if ended else "sentence", "yes" if ended else "declared", found.group())
        return found.end()

    def _prefix_may_come(self, text: str, pos: int, at: int) -> bool:
        """Whether the backtick at `at` could stand between the words of a prefix and its colon."""
        partial = spelling.PREFIX_MAY_COME.search(text, max(pos, len(text) - 40))
        return partial is not None and partial.start() < at and not (partial.start() == pos and self._in_word)

    def _plain(self, text: str, pos: int, final: bool) -> int:
        """Text without anything special, but for the start of a word that may become so."""
        end = len(text)
        if not final:
            partial = spelling.PREFIX_MAY_COME.search(text, max(pos, end - 40))
            if partial and not (partial.start() == pos and self._in_word):
                end = partial.start()
        self._pass(text[pos:end])
        return end

    def _open_native(self, marks: Marks, opened: str, trust: Trust = "full") -> None:
        self._block = NativeBlock(marks, self._bodies, self._tools, opened, trust)
        self._mode = self._in_block

    def _open(self, kind: Kind, sure: Sure, opened: str, fence: str = "") -> None:
        self._block = Block(kind, sure, self._bodies, self._tools, opened, fence, line=self._bare)
        self._mode = self._in_block

    def _in_block(self, text: str, pos: int, final: bool) -> int:
        assert self._block is not None
        block = self._block
        end, after = block.feed(text, pos, final)
        self._said.tell(block.news())
        if end == "open":
            return after
        self._block = None
        self._again = block.again
        given = block.given.removesuffix(block.again)
        if isinstance(block, NativeBlock) and end == "text" and given in BY_OPENING:
            self._tag_opens(given, native=False)
            return self._in_block(text, after, final)
        if self._is_data_behind_call(block, end, given):
            return self._end(text)
        if end == "quote":
            self._quote(given, block.fence)
            return after
        self._mode = self._line if given.rstrip(" \t").endswith("\n") else self._inline
        if end == "text":
            self._pass(given)
            return after
        self._said.take_out()
        self._before = ""
        self._in_word = given[-1:].isalnum() or given.endswith("_")
        self._said.take(block.outcomes)
        if end == "turn_end":
            return self._end(text)
        if end == "follow":
            self._open("follow", "declared", "")
        elif self._mode != self._line:
            self._mode = self._behind_call
        return after

    def _is_data_behind_call(self, block: Block | NativeBlock, end: End, given: str) -> bool:
        """Whether a block that holds no call is a result that is made up."""
        if end not in ("text", "quote") or not self._said.any_calls:
            return False
        if self._said.nothing_since_call and isinstance(block, Block) and block.kind == "fence":
            return True
        data = given.strip()
        if data[:1] == "[" and data[-1:] == "]" and self._said.nothing_since_call:
            return end == "text"
        return end == "text" and data[:1] == "{" and data[-1:] == "}"

    def _behind_call(self, text: str, pos: int, final: bool) -> int:
        """In the line of a call, where a model may begin to make up its result."""
        if not final and spelling.LINE_MAY_GO_ON.fullmatch(text, pos):
            return pos
        first = first_visible(text, pos)
        fence = spelling.FENCE_LINE.match(text, pos)
        if fence and fence.group(1)[0] == "`":
            return self._fence_opens(text, pos, fence.start(1), final)
        if text[first : first + 1] != "<" and first - pos <= _MOST_SPACES and not spelling.PREFIX.match(text, first):
            made_up = is_made_up(text, first, final, True, same_line=True)
            if made_up is None:
                return pos
            if made_up or spelling.RESULT_LINE.match(text, first):
                return self._end(text)
        self._mode = self._inline
        return pos

    def _another(self, thought: bool) -> PromptedReader:
        """A reader like this one, for a part of the reply."""
        return PromptedReader(self._tools, self._write_call, self._bare, thought)

    def _read_apart(self, text: str) -> Reply:
        reader = self._another(thought=False)
        reader.feed(text)
        return reader.close()[1]
