"""What stands behind the opening mark of a native call, up to its closing mark, while it is still arriving.

    <|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|>

A call is complete when its brackets are closed, even if the closing mark is missing. Several calls may stand between
two marks. What cannot be read is malformed, up to the next mark.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from gemmagraph.prompts.messages import BadCall, ToolCall
from gemmagraph.prompts.native.arguments import NativeArguments
from gemmagraph.prompts.native.marks import LONGEST_MARK, Marks
from gemmagraph.prompts.notation import ArgumentsRead, CallBegun
from gemmagraph.prompts.reading.behind import behind_call
from gemmagraph.prompts.reading.bodies import NAME, Bodies
from gemmagraph.prompts.reading.literals import WrittenCall
from gemmagraph.prompts.reading.outcomes import Outcome
from gemmagraph.prompts.reading.scan import is_short
from gemmagraph.prompts.reading.stretch import End, Stretch
from gemmagraph.prompts.toolset import Toolset

Trust: TypeAlias = Literal["full", "weak", "none"]
"""How far what stands in front of a native call speaks for it."""

_LONGEST_HEAD = 300
_LONGEST_REST = 300
"""Characters in which the closing mark is looked for behind the last bracket."""
_HEAD = re.compile(r"\s{0,80}(?:call\s{0,20}:|call\s{1,20}(?=[^\W\d])|:)?\s{0,80}")
_PLAIN_HEAD = re.compile(r"call:([^\W\d][\w.-]*)\{")
_HEAD_MAY_COME = re.compile(r"\s{0,80}(?:c|ca|cal|call\s{0,20}|call\s{0,20}:|:)?\s{0,80}")
_NAME_END = re.compile(r"[({<\n\[]")
_SPACE = re.compile(r"\s{0,80}")
_NEXT = re.compile(r"[\s,;]{0,80}call\s{0,20}:\s{0,20}(?=[^\W\d])")
_NEXT_MAY_COME = re.compile(r"[\s,;]{0,80}(?:c|ca|cal|call\s{0,20}|call\s{0,20}:\s{0,20})?")
_ONE_TOO_MANY = re.compile(r"[)\]}]\s{0,80}")
_GOES_ON = re.compile(r"[,:=)\]}]")
_KEY = re.compile(r"""([^\s,:={}\[\]()<"']{1,80})\s{0,20}[:=]""")
_GOES_ON_MAY_COME = re.compile(r"""\s{0,80}[^\s,:={}\[\]()<"']{1,80}\s{0,20}""")
_EXPRESSION = re.compile(r"\.\w|[\[(]|[ \t]?[+/%*]")
_NOT_DELIMITED = "a text in it is not delimited"
_UNSTRUCTURED = re.compile("<")


class NativeBlock(Stretch):
    """Reads one block. It ends as "calls"; as "text" with nothing but the mark given, if no native call begins there;
    or, if it is weak, as "text" with all of it given.

    Args:
        marks: of the family.
        bodies: judges the calls.
        tools: what may be called.
        opened: the opening mark; "" where it is missing.
        trust: "weak" if the sentence in front of it talks about calls: then it is one only if its line ends with it;
            "none" if it says that this is not to be called.
    """

    def __init__(self, marks: Marks, bodies: Bodies, tools: Toolset, opened: str, trust: Trust = "full") -> None:
        super().__init__(opened, "", self._head, tools)
        self.outcomes: list[Outcome] = []
        self.again = ""
        """Text of the block that stands behind its end, to be read once more."""
        self._marks = marks
        self._bodies = bodies
        self._trust = trust
        self._name = self._reason = ""
        self._known: str | None = None
        """The tool that is meant, if there is one."""
        self._arguments: NativeArguments | None = None
        self._from = 1
        """Index in `_given` at which the call at hand begins."""

    def feed(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        end, after = super().feed(text, pos, final)
        return ("text" if end == "calls" and self._trust == "none" else end), after

    @property
    def given(self) -> str:
        return "" if self.again else super().given

    @property
    def plain(self) -> re.Pattern[str] | None:
        return _UNSTRUCTURED if self._arguments is not None and self._arguments.is_text else None

    def more(self, text: str) -> None:
        assert self._arguments is not None
        self._arguments.more(text)
        self._given.append(text)
        self._show(text)

    def _head(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        """The name of the tool, up to its bracket."""
        if text.startswith(self._marks.call, pos):  # twice
            return "open", pos + len(self._marks.call)
        plain = _PLAIN_HEAD.match(text, pos)
        if plain and plain.group(1) in self._tools:
            self._name = plain.group(1)
            return self._begin_arguments(text, plain.end() - 1)
        if is_short(text, pos, final, _LONGEST_HEAD) and _HEAD_MAY_COME.fullmatch(text, pos):
            return "open", pos
        head = _HEAD.match(text, pos)
        assert head is not None
        at, sure = head.end(), ":" in head.group() or "call" in head.group() or not self._given[0]
        stop = _NAME_END.search(text, at, at + _LONGEST_HEAD)
        if stop is None and is_short(text, at, final, _LONGEST_HEAD):
            return "open", pos
        name, end = self._named(text, at, stop.start() if stop else len(text))
        gap = _SPACE.match(text, end)
        after = gap.end() if gap else end
        if is_short(text, end, final, 80) and after == len(text):
            return "open", pos
        mark = self._marks.at(text, after, final)
        if mark is None:
            return "open", pos
        self._name = name
        if name and text.startswith(("{", "(") if sure else "{", after):
            return self._begin_arguments(text, after)
        if mark == self._marks.call_end and name and (sure or self._tools.resolve(name)):
            self._from = len(self._given)
            self.outcomes += self._bodies.bare_name(text[at:end], name)
            return self._finish(after + len(mark), True)
        if (after == len(text) or mark not in ("", self._marks.quote)) and sure and text[pos:after].strip():
            self._add_unterminated(text[pos:after])
            return "calls", after
        if not sure or not name or self._is_doubtful:
            return "text", pos
        return self._break("the arguments must stand between braces behind the name", after)

    def _named(self, text: str, at: int, stop: int) -> tuple[str, int]:
        """The name that begins at `at`, and where it ends: a declared one if one stands there."""
        whole = text[at:stop].rstrip()
        if whole in self._tools:
            return whole, at + len(whole)
        named = NAME.match(text, at, stop)
        return (named.group().rstrip(":"), named.end()) if named else ("", at)

    def _begin_arguments(self, text: str, at: int) -> tuple[End, int]:
        self._known = known = self._tools.resolve(self._name)
        if known and not self._is_doubtful:
            self._news.append(CallBegun(known))
            self._show(text[at])
        declared = frozenset(self._bodies.parameters(known)) if known else frozenset()
        self._arguments = NativeArguments(self._marks, declared, text[at])
        self._step = self._body
        return "open", at + 1

    def _body(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        arguments = self._arguments
        assert arguments is not None
        state, after = arguments.feed(text, pos, final)
        self._show(text[pos:after])
        if state == "closed":
            self._step = self._behind
            return "open", after
        if state == "broken":
            return self._break(arguments.reason, after)
        if state == "open":
            return "open", after
        written = self._written(text[pos:after])
        if state == "mark":
            self._take(written, True)
            return self._finish(after + len(self._marks.call_end), True)
        if state == "earlier":
            self._take_earlier(written)
        else:
            self._cut_call(written)
        return "calls", after

    def _show(self, text: str) -> None:
        if self._known and text and not self._is_doubtful:
            self._news.append(ArgumentsRead(text))

    def _written(self, last: str = "") -> str:
        """The call at hand as far as it was written, with what the step at hand has read."""
        return "".join([*self._given[self._from :], last])

    def _take(self, written: str, has_mark: bool) -> None:
        """A call is whole."""
        arguments = self._arguments
        assert arguments is not None
        raw = written.strip()
        self._arguments = None
        if arguments.needs_mark and not has_mark:
            self._add_malformed(raw, _NOT_DELIMITED)
            return
        self._bodies.repaired |= arguments.repaired
        outcome = self._bodies.outcome(WrittenCall(self._name, arguments.positional, arguments.named), raw)
        if isinstance(outcome, ToolCall | BadCall):
            self.outcomes.append(outcome)

    def _take_earlier(self, written: str) -> None:
        """The call ended far back, at a closing mark that stands in its open text."""
        assert self._arguments is not None
        end = len(written) - self._arguments.rest
        self.again = written[end:]
        self._take(written[:end].removesuffix(self._marks.call_end), True)

    def _behind(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        """Behind the last bracket of a call."""
        if text.startswith(self._marks.call_end, pos):
            self._take(self._written(), True)
            return self._finish(pos + len(self._marks.call_end), True)
        gap = _SPACE.match(text, pos)
        after = gap.end() if gap else pos
        if is_short(text, pos, final, 160) and (
            _NEXT_MAY_COME.fullmatch(text, pos) or _ONE_TOO_MANY.fullmatch(text, after)
        ):
            return "open", pos
        extra = _ONE_TOO_MANY.match(text, after)
        mark = self._marks.at(text, extra.end() if extra else after, final)
        if mark is None:
            return "open", pos
        ends = self._marks.call_end
        if mark == ends or (extra and (mark not in ("", self._marks.quote) or extra.end() == len(text))):
            self._bodies.repaired |= extra is not None or mark != ends
            self._take(self._written(), mark == ends)
            after = extra.end() if extra else after
            return self._finish(after + len(ends), True) if mark == ends else ("calls", after)
        following = _NEXT.match(text, pos)
        if following:
            self._take(self._written(), False)
            self._bodies.repaired = True
            self._step = self._head
            self._from = len(self._given) + 1
            return "open", following.end() - len(following.group().lstrip(" \t\r\n,;"))
        if is_short(text, pos, final, 200) and _GOES_ON_MAY_COME.fullmatch(text, pos):
            return "open", pos
        if mark == self._marks.quote or self._goes_on(text, pos, after):
            return self._break("something stands behind its last bracket", pos)
        ends_later = self._marks.ends.search(text, after, after + _LONGEST_REST)
        if not ends_later and is_short(text, after, final, _LONGEST_REST):
            return "open", pos
        if ends_later and ends_later.group() == ends and "\n" not in text[pos : ends_later.start()]:
            return self._break("something stands behind its last bracket", pos)
        self._take(self._written(), False)
        self._bodies.repaired = True
        return self._finish(pos, False)

    def _goes_on(self, text: str, pos: int, after: int) -> bool:
        """Whether what stands at `after`, behind the bracket that ends at `pos`, still belongs to the call."""
        assert self._arguments is not None
        if _GOES_ON.match(text, after) or (self._arguments.is_round and _EXPRESSION.match(text, pos)):
            return True
        key = _KEY.match(text, after)
        return key is not None and ("\n" not in text[pos:after] or key.group(1) in self._tools.keys)

    def _finish(self, after: int, marked: bool) -> tuple[End, int]:
        """Behind the closing mark, or where it is missing. With it a call without its opening mark is one too."""
        if not self._is_doubtful or (marked and not self._given[0]):
            return "calls", after
        self._step = self._rest_of_line
        return "open", after

    @property
    def _is_doubtful(self) -> bool:
        """Whether what stands around it decides if it is a call."""
        return self._trust != "full"

    def _rest_of_line(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        return behind_call(text, pos, final, follows=False)

    def _break(self, reason: str, pos: int) -> tuple[End, int]:
        """The call cannot be read: the rest of it is passed over."""
        self._arguments = None
        self._reason = reason
        self._step = self._swallow
        return "open", pos

    def _swallow(self, text: str, pos: int, final: bool) -> tuple[End, int]:
        found = self._marks.ends.search(text, pos)
        if not found:
            return "open", len(text) if final else max(pos, len(text) - LONGEST_MARK)
        self._add_malformed(self._written(text[pos : found.start()]), self._reason)
        if found.group() != self._marks.call_end:
            return "calls", found.start()
        return self._finish(found.end(), True)

    def _add_malformed(self, written: str, reason: str) -> None:
        self.outcomes.append(self._bodies.malformed(written.strip(), self._name or None, reason))

    def _add_unterminated(self, written: str) -> None:
        self._bodies.repaired = True
        self.outcomes.append(self._bodies.unterminated(written.strip(), self._name or None))

    def _cut_call(self, written: str) -> None:
        """The call ends before its brackets are closed."""
        if self._arguments is not None and self._arguments.is_bare_and_closed:
            self._add_malformed(written, _NOT_DELIMITED)
        else:
            self._add_unterminated(written)

    def _cut(self, pos: int) -> tuple[End, int]:
        written = self._written()
        if self._step == self._swallow:
            self._add_malformed(written, self._reason)
        elif self._arguments is not None:
            state = self._arguments.end()
            if state == "earlier":
                self._take_earlier(written)
            elif state == "broken":
                self._add_malformed(written, self._arguments.reason)
            else:
                self._cut_call(written)
        return "calls", pos
