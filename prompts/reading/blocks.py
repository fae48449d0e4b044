"""One stretch of a reply that may hold calls, from its introducer to its end, while it is still arriving.

A block is what follows a prefix (`FUNCTION_CALL:`), what stands in a fence or a pair of tags, an object or list at
the start of a line, or a reply that begins with a body. It ends as calls, or is given back as plain text.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from gemmagraph.prompts.messages import BadCall, ToolCall
from gemmagraph.prompts.reading import spelling
from gemmagraph.prompts.reading.behind import behind_call, behind_prefix, next_call
from gemmagraph.prompts.reading.bodies import NAME, Bodies
from gemmagraph.prompts.reading.doubt import rest_of_text
from gemmagraph.prompts.reading.outcomes import Outcome
from gemmagraph.prompts.reading.scan import TURN_END, TURN_ENDS, is_short
from gemmagraph.prompts.reading.spelling import Sure
from gemmagraph.prompts.reading.stretch import End, Stretch
from gemmagraph.prompts.toolset import Toolset

Kind: TypeAlias = Literal["prefix", "follow", "sentence", "fence", "tag", "line", "reply"]
"""Where the block stands. "follow": behind a call that a prefix introduced. "sentence": a prefix in the middle of a
sentence. "line": a body at the start of a line."""

_SWALLOWED = {"tag": spelling.CALL_TAG_END, "prefix": re.compile(r"(?!)")}
"""Where a broken block without a fence ends."""
_LINE_END = re.compile(rf"\n|{TURN_END.pattern}")
_MAX_HELD = 300


class Block(Stretch):
    """Reads one block. Feed it until it says how it ends; then `outcomes` or `given` hold what came of it.

    Args:
        kind: where it stands.
        sure: how sure it is that a call is meant.
        opened: the introducer as it was written, to be given back if there was no call.
        fence: the closing fence, for kind "fence".
        line: for kind "reply": how sure it is that a body at the start of a line is a call, for the case that
            the reply turns out to hold more.
    """

    def __init__(
        self,
        kind: Kind,
        sure: Sure,
        bodies: Bodies,
        tools: Toolset,
        opened: str = "",
        fence: str = "",
        line: Sure | None = None,
    ) -> None:
        super().__init__(opened, fence, self._follow if kind == "follow" else self._head, tools)
        self.kind = kind
        self._sure: Sure = sure
        self._bodies = bodies
        self.again = ""
        """Text of the block that stands behind its end, to be read once more."""
        self._read = 0
        """Bodies read so far."""
        self._line: Sure | None = line
        self._line_outcomes: list[Outcome] | None = []
        self._broken = ""
        """Why a strong fence or tag holds no calls, once that is certain; the rest of it is swallowed."""
        self._broken_tool: str | None = None
        self._kept = 0
        """Characters of the block up to where it broke."""
        self._ticked = False
        """Whether the call at hand follows another, in a code span."""
        self._same_line = False
        """Whether the last body ended in the line at hand."""
        self._below = False
        """Whether the body of a prefix in a sentence does not stand in its line."""

    def _head(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        gap = spelling.SEPARATOR.match(text, pos) if self._read else spelling.SPACE.match(text, pos)
        if gap:
            self._same_line &= "\n" not in gap.group()
            if self.kind == "sentence" and "\n" in gap.group():
                self._below = True
            return "open", gap.end()
        if self.kind == "sentence" and self._below and text[pos : pos + 1] in ("`", "~", ">"):
            return "text", pos
        if pos == len(text):
            return "open", pos
        if self._read and text[pos] in ")]}":  # one closing bracket too many
            return "open", pos + 1
        if text[pos] == "<":
            return self._angle(text, pos, final)
        if self._fence and text[pos] == self._fence[0]:
            if is_short(text, pos, final, 16) and not text[pos:].strip(self._fence[0]):
                return "open", pos
            if text.startswith(self._fence, pos) or (final and not text[pos:].strip(self._fence[0])):
                return self._close(text, pos)
        if text[pos] == "`" and self.kind in ("prefix", "tag") and not self._read:
            if not final and text[pos:] in ("`", "``"):
                return "open", pos
            if text.startswith("```", pos):
                return self._inner_fence(text, pos, final)
        return self._body_or_word(text, pos, final)

    def _angle(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        if is_short(text, pos, final, 40) and ">" not in text[pos:]:
            return "open", pos
        closing = spelling.CALL_TAG_END.match(text, pos)
        if closing and self.kind == "tag":
            if self._sure != "yes" and self._read:  # tags in a sentence
                self._step = self._rest_of_line
                return "open", closing.end()
            return self._finish(closing.group()), closing.end()
        if self._fence:
            tag = closing or spelling.CALL_TAG.match(text, pos)
            if tag:
                return "open", tag.end()
        if text.startswith(TURN_ENDS, pos):
            return self._cut(pos)
        return self._nothing(text, pos)

    def _inner_fence(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        """A fence behind a prefix or inside tags."""
        fence = spelling.FENCE.match(text, pos)
        if fence:
            self._fence = fence.group(1)
            self.kind = "fence"
            return "open", fence.end()
        return ("open", pos) if is_short(text, pos, final, _MAX_HELD) else self._nothing(text, pos)

    def _body_or_word(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        if self.kind in ("prefix", "sentence", "follow") and not self._read:
            if is_short(text, pos, final, _MAX_HELD) and spelling.BODY_DECORATION_MAY_COME.fullmatch(text, pos):
                return "open", pos
            decoration = spelling.BODY_DECORATION.match(text, pos)
            if decoration and decoration.end() > pos:
                return "open", decoration.end()
        if text[pos] in "{[":
            return self._begin(pos)
        named = NAME.match(text, pos)
        if not named:
            return self._code_line(text, pos, final)
        after = named.end()
        while after < len(text) and text[after] in " \t" and after - named.end() < 20:
            after += 1
        if after == len(text) and is_short(text, pos, final, _MAX_HELD):
            return "open", pos
        if text[after] == "(" if after < len(text) else False:
            return self._begin(pos)
        if text.startswith("{", after) and self._tools.resolve(named.group().rstrip(":")):
            return self._begin(pos)
        if self._fence or self.kind == "tag":
            if not final and spelling.PREFIX_MAY_COME.match(text, pos):
                return "open", pos
            skipped = spelling.PREFIX.match(text, pos) or (
                None if self._read else spelling.NO_CALL_WORD.match(text, pos)
            )
            return ("open", skipped.end()) if skipped else self._code_line(text, pos, final)
        return self._word(text, pos, named, final)

    def _code_line(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        """A comment or an import, which a fence may hold beside its calls."""
        if not final and self._fence and text[pos:] == "/":
            return "open", pos
        line = spelling.CODE_LINE.match(text, pos) if self._fence else None
        if line and line.end() - pos < 2000:
            ends = line.end() < len(text) and (text[line.end()] in "\n;" or text.startswith(TURN_ENDS, line.end()))
            if ends or not final:
                return "open", line.end() + text.startswith(";", line.end()) if ends else pos
            return "open", len(text)
        return self._nothing(text, pos)

    def _word(self, text: str, pos: int, named: re.Match[str], final: bool) -> tuple[End, int]:
        """A word without brackets stands where a body should."""
        if self.kind != "prefix" or self._read:
            return self._nothing(text, pos)
        newline = text.find("\n", pos, pos + _MAX_HELD)
        if newline < 0 and is_short(text, pos, final, _MAX_HELD):
            return "open", pos
        end = min(len(text), pos + _MAX_HELD) if newline < 0 else newline
        mark = TURN_END.search(text, pos, end)
        end = mark.start() if mark else end
        known = self._tools.resolve(named.group().rstrip(":"))
        if spelling.PREFIX.match(text, pos):
            return "calls", pos
        nothing = None if known else spelling.NONE.match(text, pos, end)
        if nothing:
            return "calls", nothing.end()
        if re.match(r"[ \t]*=(?!=)", text[named.end() : end]):
            self.outcomes.append(self._bodies.malformed(text[pos:end], known, "only the call itself may stand there"))
            return "calls", end
        if not known:
            return self._nothing(text, pos)
        if text[named.end() : end].strip("`*_ \t.:"):
            self.outcomes.append(self._bodies.malformed(text[pos:end], known, "brackets are missing behind the name"))
        elif end == len(text):
            self.outcomes.append(self._bodies.unterminated(text[pos:end], known))
        else:
            return self._bare(text, pos, named, end, final)
        return "calls", end

    def _bare(self, text: str, pos: int, named: re.Match[str], end: int, final: bool) -> tuple[End, int]:
        """A name alone on its line: a call without arguments, unless they follow as an object."""
        gap = spelling.FEW_SPACES.match(text, end)
        following = gap.end() if gap else end
        if following == len(text) and is_short(text, end, final, 200):
            return "open", pos
        if text.startswith("{", following):
            return self._begin(pos)
        if named.group().endswith(":"):
            self._broken = "brackets are missing behind the name"
            self._broken_tool = named.group().rstrip(":")
            self._step = self._swallow
            return "open", pos
        self.outcomes += self._bodies.bare_name(text[pos:end], named.group())
        return "calls", end

    def _judge(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        assert self._extent is not None
        raw, strings = self._parts[0], self._extent.strings
        if raw[0] != "{":
            if is_short(text, pos, final, 5) and not text[pos:].strip(" \t./*"):
                return "open", pos
            goes_on = spelling.BEHIND_LINK if raw[0] == "[" else spelling.EXPRESSION
            if goes_on.match(text, pos):
                return self._expression(raw, pos)
        end: int | None = pos
        if raw[0] in "{[" or self.kind not in ("reply", "sentence"):  # those are text if anything else follows
            end = rest_of_text(raw, text, pos, final, self._tools)
        if end is None:
            return "open", pos
        self._extent = None
        rest = text[pos:end].rstrip()
        sure = "declared" if self._is_weak(raw) else self._sure
        if rest and self.kind == "reply" and self._line:
            sure = self._line
        found = self._bodies.read(raw, strings, sure, rest=rest)
        return self._take(found, raw, strings, rest), end if found else pos

    def _is_weak(self, raw: str) -> bool:
        """Whether a body that nothing announces is believed only if it calls a declared tool: code in a fence, a
        list of calls in a text."""
        if self._fence:
            return self._sure == "whole" and raw[0] not in "{["
        return self.kind == "line" and self._sure != "lists" and raw[0] == "[" and raw[1:].lstrip()[:1] != "{"

    def _expression(self, raw: str, pos: int) -> tuple[End, int]:
        """The body is only a part of an expression."""
        self._extent = None
        named = NAME.match(raw)
        if self.kind != "prefix":
            self._broken_tool = named.group() if named else None
            self._same_line = True
            return self._nothing("", 0)[0], pos
        what = self._bodies.malformed(raw, named.group() if named else None, "only the call itself may stand there")
        self.outcomes.append(what)
        self._step = self._drop_line
        return "open", pos

    def _drop_line(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        end = _LINE_END.search(text, pos)
        if not end and not final:
            return "open", max(pos, len(text) - 16)
        return "calls", end.start() if end else len(text)

    def _take(self, found: list[Outcome] | None, raw: str, strings: dict[int, int], rest: str) -> End:
        """What follows from one whole body. `rest`: what may belong to its last text."""
        if found is None and self.kind == "reply" and self._line_outcomes:
            self.outcomes, self.again = self._line_outcomes, raw
            return "calls"
        if found is None:
            return "quote" if self._fence else "text"
        unclear, self._bodies.unclear = self._bodies.unclear, False
        self._read += 1
        self.outcomes += found
        self._step = self._head
        self._same_line = True
        if self._bodies.made_up:
            return "turn_end"
        if self._fence and not found and self._sure != "yes":
            return "quote"
        if unclear and not rest and (self._fence or self.kind == "tag"):
            self._step = self._swallow
        elif (rest or unclear) and found and self.kind in ("prefix", "follow", "reply"):
            self._step = self._drop_line
        elif self.kind == "prefix":
            self._step = self._between
        elif self.kind in ("sentence", "follow"):
            self._step = self._rest_of_line
        elif self.kind == "line":
            return "calls" if found else "text"
        elif self.kind == "reply" and self._line_outcomes is not None:
            same = self._bodies.read(raw, strings, self._line, rest=rest) if raw[0] in "{[" and self._line else None
            self._line_outcomes = self._line_outcomes + same if same else None
        return "open"

    def _between(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        """Behind a body that a prefix introduced."""
        bad = bool(self.outcomes) and isinstance(self.outcomes[-1], BadCall)
        found, after = behind_prefix(text, pos, final, self._tools, bad)
        if found == "conditional" and self.outcomes:
            last = self.outcomes.pop()
            tool = last.name if isinstance(last, ToolCall) else None
            raw = self._parts[0] + text[pos:after]
            self.outcomes.append(self._bodies.malformed(raw, tool, "only the call itself may stand there"))
        if found == "conditional" or found == "dropped":
            self._step = self._drop_line
            return "open", pos
        gap = spelling.BETWEEN.match(text, pos)
        if not bad and gap is not None and "\n" in gap.group():
            self._settle()
        return found, after

    def _rest_of_line(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        """Behind a call in the middle of a text."""
        if self._ticked and (pos < len(text) or final) and not text.startswith("`", pos):
            return "text", pos
        return behind_call(text, pos, final, follows=self.kind == "follow")

    def _follow(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        """Between two calls of one prefix."""
        after = next_call(text, pos, final, self._tools)
        if after is None:
            return "open", pos
        if after < 0:
            return "text", pos
        self._ticked = text[after - 1 : after] == "`"
        self._step = self._head
        return "open", after

    def _nothing(self, text: str, pos: int) -> tuple[End, int]:
        """What stands at `pos` is no body."""
        if self._fence and (self._sure != "yes" or (spelling.DEFINITION.match(text, pos) and not self._read)):
            return "quote", pos
        if self.kind == "tag" and (self._read or self._sure != "yes"):
            return "calls" if self._read else "text", pos
        if self._fence or self.kind == "tag":
            self._broken = "only calls may stand in it" if self._fence else "it holds no call"
            self._kept = len(self.given)
            self._step = self._swallow
            return "open", pos
        if self.kind in ("reply", "line"):
            if self._line_outcomes:
                self.outcomes = self._line_outcomes
                return "calls", pos
            return "text", pos
        return "calls" if self._read else "text", pos

    def _swallow(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        """The rest of a fence or tag that holds something other than calls."""
        closing = re.compile(rf"\n[ \t]*{re.escape(self._fence)}") if self._fence else _SWALLOWED[self.kind]
        found = closing.search(text, pos)
        mark = TURN_END.search(text, pos, found.start() if found else len(text))
        if mark:
            return self._finish(text[pos : mark.start()]), mark.start()
        if found:
            return self._finish(text[pos : found.end()]), found.end()
        if final:
            return "open", len(text)
        return "open", max(pos, len(text) - 64)

    def _close(self, text: str, pos: int) -> tuple[End, int]:
        end = pos
        while end < len(text) and text[end] == self._fence[0] and end - pos < 16:
            end += 1
        return self._finish(text[pos:end]), end

    def _finish(self, closing: str = "") -> End:
        """The block is closed: its calls count, or it is broken."""
        if self._broken and self._read and not self._same_line:
            rest = (self.given + closing)[self._kept :]
            if any(self._tools.resolve(found.group(1)) for found in spelling.NAME_AND_BRACKET.finditer(rest)):
                self.outcomes.append(self._bodies.malformed(rest.strip(), None, self._broken))
        elif self._broken:
            self.outcomes = [self._bodies.malformed(self.given + closing, self._broken_tool, self._broken)]
        elif not self._read and self._fence and self._sure != "yes":
            return "text"
        return "calls"

    def _cut(self, pos: int) -> tuple[End, int]:
        """The output or the turn ends at `pos`, inside the block."""
        if self._extent:
            self._cut_body()
            if self.outcomes or self._read or self._sure == "yes":
                return "calls", pos
            return "text", pos
        if self.kind in ("sentence", "follow") or (self._fence and self._sure != "yes" and not self._read):
            return ("calls" if self._read else "text"), pos
        if not self._read and self.kind in ("prefix", "tag"):
            self.outcomes.append(self._bodies.unterminated(self.given, None))
        return self._finish(), pos

    def _cut_body(self) -> None:
        """The output or the turn ends inside a body: what is complete in it counts, the rest is unterminated."""
        assert self._extent is not None
        sure: Sure = "declared" if self.kind == "sentence" or self._is_weak("".join(self._parts)) else self._sure
        found = self._bodies.read("".join(self._parts), self._extent.strings, sure, cut=True)
        self.outcomes += found or []
        self._extent = None
