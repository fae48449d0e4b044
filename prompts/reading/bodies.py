"""What a whole body means: calls that may run, calls that must not, or no call at all.

A body is `name(args)`, a list of calls, or JSON that names a tool. Prompted notations share it; where the body
was found says how sure it is that a call was meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from gemmagraph.prompts.checking.arguments import WriteCall
from gemmagraph.prompts.messages import BadCall, ToolCall
from gemmagraph.prompts.notation import ArgumentsRead, CallBegun, ReadEvent
from gemmagraph.prompts.reading import spelling
from gemmagraph.prompts.reading.doubt import rest_of_text
from gemmagraph.prompts.reading.echoes import is_declaration, is_signature
from gemmagraph.prompts.reading.literals import Cut, Literals, Unclear, Unreadable, WrittenCall, json_value, same
from gemmagraph.prompts.reading.outcomes import NO_CALL, NOT_A_CALL, Outcome, Outcomes
from gemmagraph.prompts.reading.plain import Plain
from gemmagraph.prompts.reading.scan import MAX_DEPTH, Extent
from gemmagraph.prompts.reading.spelling import Sure
from gemmagraph.prompts.toolset import Toolset

NAME: Final = re.compile(r"[^\W\d][\w.:/-]{0,199}")
NAME_KEYS: Final = ("name", "function_name", "tool_name", "function", "tool", "func")
ARGUMENT_KEYS: Final = (
    "arguments",
    "parameters",
    "args",
    "params",
    "input",
    "kwargs",
    "tool_input",
    "function_args",
    "tool_args",
)
RESULT_KEYS: Final = ("result", "error", "output", "response")
WRAPPERS: Final = ("function", "function_call", "tool_call", "function_calls", "tool_calls", "calls")
_TOOL_MODULES = ("default_api", "tool", "function", "api.")
"""What models put in front of a tool's name when they write it as code."""
_CALL_START = re.compile(
    r"""\s*[\[{][\s\[{]*["']?(?:""" + "|".join((*NAME_KEYS, *WRAPPERS)) + r""")["']?\s*:\s*["']?([\w.:/-]*)"""
)
_IN_LIST = re.compile(r"[\[{]|[^\W\d]")
_ARGUMENTS = re.compile(r"""["'](?:""" + "|".join(ARGUMENT_KEYS) + r""")["']\s*:""")


def may_start_body(text: str, pos: int, final: bool) -> bool | None:
    """Whether what stands at `pos` could be a body that nothing introduces; None if more text is needed."""
    if spelling.BODY_START.match(text, pos):
        return True
    return None if not final and spelling.BODY_START_MAY_COME.fullmatch(text, pos) else False


class Bodies(Outcomes):
    """Reads bodies for one toolset in one notation."""

    def __init__(self, tools: Toolset, write_call: WriteCall) -> None:
        super().__init__(tools, write_call)
        self.made_up = False
        """Whether the model has written the result of a call itself: what follows is made up too."""

    def read(
        self, raw: str, strings: Mapping[int, int], sure: Sure, cut: bool = False, rest: str = ""
    ) -> list[Outcome] | None:
        """The calls in one body, or None if it is none.

        Args:
            raw: the body with its name, if it has one.
            strings: where its strings end, by `Extent`.
            cut: whether the output ended inside it.
            rest: what stands behind it and may belong to its last text.
        """
        self.made_up = self.unclear = False
        if sure == "lists":
            sure = "whole" if spelling.NAMED_LIST.match(raw) else "declared"
        if raw[0] == "[":  # which of its calls are to declared tools is asked below, of all of them
            found = list(self._list(raw, strings, "whole" if sure == "declared" else sure, cut))
        elif raw[0] == "{":
            found = self._object(raw, strings, sure, cut)
        else:
            found = [self._call(raw, 0, strings, sure, cut)[0]]
        if rest:
            found = self.last_refused(found, raw + rest)
        known = any(isinstance(item, ToolCall) or self._declared(item) for item in found)
        if sure != "yes" and NOT_A_CALL in found and not (raw[0] == "[" and known):
            return None
        if sure == "declared" and not known:
            return None
        reason = "only whole calls may stand in a list" if known else "it does not say which tool to call"
        return [
            item if isinstance(item, ToolCall | BadCall) else self.malformed(raw, None, reason)
            for item in found
            if item is not NO_CALL
        ]

    def plain(self, found: Plain, text: str) -> list[ReadEvent | ToolCall] | None:
        """What there is to tell of calls on the quick road; None if one of them must not run."""
        news: list[ReadEvent | ToolCall] = []
        calls = []
        for call, start, arguments in zip(found.calls, found.starts, found.arguments, strict=True):
            outcome = self.outcome(call, text[start : call.end])
            if not isinstance(outcome, ToolCall):
                return None
            news += (CallBegun(outcome.name), ArgumentsRead(text[arguments : call.end]))
            calls.append(outcome)
        return [*news, *calls]

    def _declared(self, item: object) -> bool:
        return isinstance(item, BadCall) and item.tool is not None and self._tools.resolve(item.tool) is not None

    def _list(self, raw: str, strings: Mapping[int, int], sure: Sure, cut: bool) -> Iterator[object]:
        """The calls in a list, or in lists in it."""
        literals = self._literals(raw, strings, python=True)
        pos: int | None = literals.gap(1)
        empty, depth = True, 0
        while pos is not None and pos < len(raw) and (depth or raw[pos] != "]"):
            empty = False
            if raw[pos] == "[" and depth < MAX_DEPTH and _IN_LIST.match(raw, literals.gap(pos + 1)):
                depth, pos = depth + 1, literals.gap(pos + 1)
                continue
            if raw[pos] == "]":
                depth, pos = depth - 1, literals.gap(pos + 1)
                if raw[pos : pos + 1] not in ("", ",", ";", "]"):
                    yield NOT_A_CALL
                    return
            else:
                found, pos = self._element(raw, pos, strings, sure, cut)
                yield from found
                if self.unclear:
                    return
            if pos is not None and raw[pos : pos + 1] in (",", ";"):
                pos = literals.gap(pos + 1)
        if empty and cut and sure == "whole":
            yield NOT_A_CALL
        elif empty and cut:
            yield self.unterminated(raw, None)

    def _element(
        self, raw: str, start: int, strings: Mapping[int, int], sure: Sure, cut: bool
    ) -> tuple[list[object], int | None]:
        """The calls that one element of a list means, and where the next one may begin; None if nothing behind it
        counts."""
        if raw[start] == "{":
            try:
                item, pos = self._literals(raw, strings, python=False).value(start)
            except Cut:
                return [self.unterminated(raw[start:], _named(raw[start:]))], None
            except Unreadable as problem:
                self.unclear |= isinstance(problem, Unclear)
                pos = _element_end(raw, start, self._tools.keys)
                found = [self._unreadable(raw[start:pos], str(problem), sure)]
            else:
                found = list(self._json(item, raw[start:pos], sure))
        elif NAME.match(raw, start):
            outcome, pos = self._call(raw, start, strings, sure, cut)
            found = [outcome]
        else:
            return [NOT_A_CALL], None
        after = self._literals(raw, strings, python=True).gap(pos)
        if raw[start] != "{" and self._goes_on(raw, pos, after):
            reason = "only whole calls may stand in a list"
            return [self._not_written(raw[start:], _first_name(raw, start), reason, sure)], None
        rest = rest_of_text(raw[start:pos], raw, pos, True, self._tools)
        if rest is not None and rest > pos:
            return self.last_refused(found, raw[start:rest]), None
        return found, None if self.made_up else after

    def _goes_on(self, raw: str, end: int, pos: int) -> bool:
        """Whether a call that ends at `end` is only a part of an expression; `pos` is behind the gap."""
        if spelling.EXPRESSION.match(raw, end):
            return True
        if pos >= len(raw) or raw[pos] in ",;]{":
            return False
        named = NAME.match(raw, pos)
        return not (named and spelling.OPENING_BRACKET.match(raw, named.end()))

    def _object(self, raw: str, strings: Mapping[int, int], sure: Sure, cut: bool) -> list[object]:
        if cut:
            started = _CALL_START.match(raw)
            if sure == "yes" or (started and (self._may_be_declared(started.group(1)) or _ARGUMENTS.search(raw))):
                return [self.unterminated(raw, _named(raw))]
            return [NOT_A_CALL]
        try:
            item, _ = self._literals(raw, strings, python=False).value(0)
        except Unreadable as problem:
            self.unclear |= isinstance(problem, Unclear)
            return [self._unreadable(raw, str(problem), sure)]
        return list(self._json(item, raw, sure))

    def _may_be_declared(self, start: str) -> bool:
        return any(spec.name.startswith(start) for spec in self._tools)

    def _literals(self, raw: str, strings: Mapping[int, int], python: bool) -> Literals:
        return Literals(raw, strings, self._tools.keys, python)

    def _unreadable(self, raw: str, reason: str, sure: Sure) -> object:
        name = _named(raw)
        if sure == "yes" or (name and self._tools.resolve(name)):
            return self.malformed(raw, name, reason)
        return NOT_A_CALL

    def _json(self, item: object, raw: str, sure: Sure) -> Iterator[object]:
        """The calls that a JSON value means: one object, a list of them, or a wrapper around them."""
        if isinstance(item, list):
            for element in item:
                yield from self._json(element, raw, sure)
                if self.made_up:
                    return
            return
        if not isinstance(item, dict):
            yield NOT_A_CALL
            return
        if not item:
            yield NO_CALL
            return
        for wrapper in WRAPPERS:
            inner = item.get(wrapper)
            if isinstance(inner, dict | list) and wrapper not in self._tools:
                if not inner and any(isinstance(other, str) for other in item.values()):
                    yield NOT_A_CALL  # an answer in words
                    return
                yield from self._json(inner, raw, sure)
                return
        yield self._json_call(item, raw, sure)

    def _json_call(self, item: Mapping[str, object], raw: str, sure: Sure) -> object:
        name_key = next((key for key in NAME_KEYS if isinstance(item.get(key), str)), None)
        if name_key is None:
            if "name" in item and item["name"] is None and item.keys() <= {"name", "id", "type", *ARGUMENT_KEYS}:
                return NO_CALL
            key, value = next(iter(item.items()))
            if len(item) == 1 and self._tools.resolve(key) and isinstance(value, dict):
                self.repaired = True
                return self.outcome(WrittenCall(key, named=dict(value)), raw)
            return NOT_A_CALL
        name = str(item[name_key])
        if any(isinstance(item.get(key), str) and item[key] != name for key in NAME_KEYS):
            known_one = next((item[key] for key in NAME_KEYS if self._tools.resolve(str(item.get(key)))), None)
            if sure == "yes" or known_one:
                return self.malformed(raw, name, "it names two tools")
            return NOT_A_CALL
        known = self._tools.resolve(name) is not None
        if is_declaration(item) and not (known and "properties" in self.parameters(name)):
            return NO_CALL if sure == "yes" else NOT_A_CALL
        given = [item[key] for key in ARGUMENT_KEYS if key in item]
        if known and not given and any(key in item and key not in self.parameters(name) for key in RESULT_KEYS):
            self.made_up = True
            return NO_CALL
        if not given:
            rest = {key: value for key, value in item.items() if key not in (name_key, "id", "type")}
            if known and (sure == "yes" or all(key in self.parameters(name) for key in rest)):
                self.repaired |= bool(rest)
                return self.outcome(WrittenCall(name, named=rest), raw)
            return self.unknown(name, raw) if sure == "yes" else NOT_A_CALL
        if not known and sure == "declared":
            return NOT_A_CALL
        if any(not same(given[0], other) for other in given[1:]):
            return self.malformed(raw, name, "the arguments are given twice with different values")
        if known and self._beside(item, given[0], name):
            return self.malformed(raw, name, "an argument stands beside the arguments")
        outcome = self._json_arguments(name, given[0], raw)
        return (
            NOT_A_CALL
            if sure != "yes" and not known and isinstance(outcome, BadCall) and outcome.kind == "malformed"
            else outcome
        )

    def _beside(self, item: Mapping[str, object], given: object, name: str) -> bool:
        """Whether a declared argument stands outside of the arguments, with another value than inside."""
        inside = given if isinstance(given, dict) else {}
        outside = (key for key in item if key in self.parameters(name) and key not in (*NAME_KEYS, *ARGUMENT_KEYS))
        return any(key not in inside or not same(inside[key], item[key]) for key in outside)

    def _json_arguments(self, name: str, given: object, raw: str) -> object:
        if isinstance(given, str):
            try:
                given = json_value(given, self._tools.keys) if given.strip() else {}
            except Unreadable as problem:
                return self.malformed(raw, name, f"its arguments can not be read: {problem}")
        if given is None:
            given = {}
        if isinstance(given, list):
            return self.outcome(WrittenCall(name, positional=given), raw)
        if not isinstance(given, dict):
            return self.malformed(raw, name, "its arguments must be an object")
        return self.outcome(WrittenCall(name, named=given), raw)

    def _call(self, text: str, pos: int, strings: Mapping[int, int], sure: Sure, cut: bool) -> tuple[object, int]:
        """The call `name(…)` at `pos`, and the position behind it."""
        named = NAME.match(text, pos)
        assert named is not None
        name, start = named.group().rstrip(":"), pos
        literals = self._literals(text, strings, python=True)
        pos = literals.gap(named.end())
        known = self._tools.resolve(name) is not None
        if known and sure == "declared" and name not in self._tools and not name.startswith(_TOOL_MODULES):
            return NOT_A_CALL, _element_end(text, start, self._tools.keys)  # a library's function of that name
        if text[pos : pos + 1] != "(":
            if text[pos : pos + 1] == "{" and known:
                return self._braces(name, text, start, pos, strings)
            end = _element_end(text, start, self._tools.keys)
            if cut and end == len(text):
                return (self.unterminated(text[start:], name) if sure == "yes" or known else NOT_A_CALL), end
            return self._not_written(text[start:end], name, "brackets are missing behind the name", sure), end
        if name == "print" and not known:
            inner = literals.gap(pos + 1)
            if NAME.match(text, inner) and not text.startswith("print", inner):
                return self._printed(text, start, inner, strings, sure, cut)
        try:
            written = literals.call(name, pos)
        except Cut:
            return (self.unterminated(text[start:], name) if sure == "yes" or known else NOT_A_CALL), len(text)
        except Unreadable as problem:
            self.unclear |= isinstance(problem, Unclear)
            end = _element_end(text, start, self._tools.keys)
            if is_signature(text[pos + 1 : end - 1]):
                return (NO_CALL if sure == "yes" else NOT_A_CALL), end
            return self._not_written(text[start:end], name, str(problem), sure), end
        self.repaired |= written.repaired
        if not known and sure == "declared":
            return NOT_A_CALL, written.end
        return self.outcome(written, text[start : written.end]), written.end

    def _braces(self, name: str, text: str, start: int, pos: int, strings: Mapping[int, int]) -> tuple[object, int]:
        """`name {"k": v}`: the arguments stand as an object."""
        self.repaired = True
        try:
            item, end = self._literals(text, strings, python=False).value(pos)
        except Cut:
            return self.unterminated(text[start:], name), len(text)
        except Unreadable as problem:
            self.unclear |= isinstance(problem, Unclear)
            end = _element_end(text, start, self._tools.keys)
            return self.malformed(text[start:end], name, str(problem)), end
        return self._json_arguments(name, item, text[start:end]), end

    def _printed(
        self, text: str, start: int, inner: int, strings: Mapping[int, int], sure: Sure, cut: bool
    ) -> tuple[object, int]:
        """`print(name(…))`, as models write that were taught to run code."""
        outcome, pos = self._call(text, inner, strings, sure, cut)
        pos = self._literals(text, strings, python=True).gap(pos)
        if text[pos : pos + 1] == ")":
            self.repaired = True
            return outcome, pos + 1
        end = _element_end(text, start, self._tools.keys)
        if cut and end == len(text) and sure == "yes":
            return self.unterminated(text[start:], None), end
        return self._not_written(text[start:end], "print", "only a call may stand in print()", sure), end

    def _not_written(self, raw: str, name: str, reason: str, sure: Sure) -> object:
        if sure != "yes" and self._tools.resolve(name) is None:
            return NOT_A_CALL
        return self.malformed(raw, name, reason)


def _named(raw: str) -> str | None:
    """The tool that an unreadable JSON body names, if that much can be seen."""
    found = _CALL_START.match(raw)
    return found.group(1) or None if found else None


def _element_end(text: str, start: int, keys: frozenset[str]) -> int:
    """Where the bracketed thing that begins at `start` ends, or the end of the text."""
    opened = re.compile(r"[(\[{,;\]\n]").search(text, start)
    if not opened:
        return len(text)
    if opened.group() not in "([{":
        return opened.start()
    state, end = Extent(keys).feed(text, opened.start(), True)
    return end if state == "closed" else len(text)


def _first_name(raw: str, start: int) -> str:
    found = NAME.match(raw, start)
    return found.group() if found else ""
