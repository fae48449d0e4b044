"""What a whole body means: calls that may run, calls that must not, or no call at all.

A body is `name(args)`, a list of calls, or JSON that names a tool. Prompted notations share it; where the body
was found says how sure it is that a call was meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

from gemmagraph.prompts import spelling
from gemmagraph.prompts.arguments import WriteCall, unknown_tool_message
from gemmagraph.prompts.echoes import is_declaration, is_signature
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.literals import Cut, Literals, Unreadable, WrittenCall, json_value, same
from gemmagraph.prompts.messages import BadCall, ToolCall
from gemmagraph.prompts.scan import Extent
from gemmagraph.prompts.spelling import Sure
from gemmagraph.prompts.toolset import Toolset

Outcome: TypeAlias = ToolCall | BadCall

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
WRAPPERS: Final = ("function", "function_call", "tool_call", "function_calls", "tool_calls", "calls")
_NO_TOOL = frozenset({"none", "null", "n/a", "no_tool", "no_function"})
_CALL_START = re.compile(
    r"""\s*[\[{][\s\[{]*["']?(?:""" + "|".join((*NAME_KEYS, *WRAPPERS)) + r""")["']?\s*:\s*["']?([\w.:/-]*)"""
)
_LONGEST_MESSAGE = 240

_NOT_A_CALL: Final = object()
_NO_CALL: Final = object()


def may_start_body(text: str, pos: int, final: bool) -> bool | None:
    """Whether what stands at `pos` could be a body that nothing introduces; None if more text is needed."""
    if spelling.BODY_START.match(text, pos):
        return True
    return None if not final and spelling.BODY_START_MAY_COME.fullmatch(text, pos) else False


class Bodies:
    """Reads bodies for one toolset in one notation.

    `write_call` writes a call as the model is asked to write it, for the examples in messages.
    """

    def __init__(self, tools: Toolset, write_call: WriteCall) -> None:
        self.repaired = False
        """Whether anything had to be put right in the bodies read so far."""
        self._tools = tools
        self._write_call = write_call

    def read(self, raw: str, strings: Mapping[int, int], sure: Sure, cut: bool = False) -> list[Outcome] | None:
        """The calls in one body, or None if it is none.

        Args:
            raw: the body with its name, if it has one.
            strings: where its strings end, by `Extent`.
            cut: whether the output ended inside it.
        """
        if raw[0] == "[":  # which of its calls are to declared tools is asked below, of all of them
            found = list(self._list(raw, strings, "whole" if sure == "declared" else sure, cut))
        elif raw[0] == "{":
            found = self._object(raw, strings, sure, cut)
        else:
            found = [self._call(raw, 0, strings, sure, cut)[0]]
        if sure != "yes" and _NOT_A_CALL in found:
            return None
        if sure == "declared" and not any(isinstance(item, ToolCall) or self._declared(item) for item in found):
            return None
        return [
            item
            if isinstance(item, ToolCall | BadCall)
            else self._malformed(raw, None, "it does not say which tool to call")
            for item in found
            if item is not _NO_CALL
        ]

    def unterminated(self, raw: str, tool: str | None) -> BadCall:
        return self._bad("unterminated", tool, "The call was cut off before its end", raw)

    def malformed(self, raw: str, tool: str | None, reason: str) -> BadCall:
        return self._malformed(raw, tool, reason)

    def bare_name(self, raw: str, name: str) -> list[Outcome]:
        """A call that is a name and nothing more."""
        outcome = self._outcome(WrittenCall(name), raw)
        return [outcome] if isinstance(outcome, ToolCall | BadCall) else []

    def _declared(self, item: object) -> bool:
        return isinstance(item, BadCall) and item.tool is not None and self._tools.resolve(item.tool) is not None

    def _list(self, raw: str, strings: Mapping[int, int], sure: Sure, cut: bool) -> Iterator[object]:
        literals = self._literals(raw, strings, python=True)
        pos = literals.gap(1)
        empty = True
        while pos < len(raw) and raw[pos] != "]":
            empty = False
            start = pos
            if raw[pos] == "{":
                try:
                    item, pos = self._literals(raw, strings, python=False).value(pos)
                except Cut:
                    yield self.unterminated(raw[start:], _named(raw[start:]))
                    return
                except Unreadable as problem:
                    pos = _element_end(raw, start, self._tools.keys)
                    yield self._unreadable(raw[start:pos], str(problem), sure)
                else:
                    yield from self._json(item, raw[start:pos], sure)
            elif NAME.match(raw, pos):
                outcome, pos = self._call(raw, pos, strings, sure, cut)
                yield outcome
            else:
                yield _NOT_A_CALL
                return
            pos = literals.gap(pos)
            if raw[pos : pos + 1] in (",", ";"):
                pos = literals.gap(pos + 1)
        if empty and cut and sure == "whole":
            yield _NOT_A_CALL
        elif empty and cut:
            yield self.unterminated(raw, None)

    def _object(self, raw: str, strings: Mapping[int, int], sure: Sure, cut: bool) -> list[object]:
        if cut:
            started = _CALL_START.match(raw)
            if sure == "yes" or (started and (sure == "whole" or self._may_be_declared(started.group(1)))):
                return [self.unterminated(raw, _named(raw))]
            return [_NOT_A_CALL]
        try:
            item, _ = self._literals(raw, strings, python=False).value(0)
        except Unreadable as problem:
            return [self._unreadable(raw, str(problem), sure)]
        return list(self._json(item, raw, sure))

    def _may_be_declared(self, start: str) -> bool:
        return any(spec.name.startswith(start) for spec in self._tools)

    def _literals(self, raw: str, strings: Mapping[int, int], python: bool) -> Literals:
        return Literals(raw, strings, self._tools.keys, python)

    def _unreadable(self, raw: str, reason: str, sure: Sure) -> object:
        name = _named(raw)
        if sure == "yes" or (name and self._tools.resolve(name)):
            return self._malformed(raw, name, reason)
        return _NOT_A_CALL

    def _json(self, item: object, raw: str, sure: Sure) -> Iterator[object]:
        """The calls that a JSON value means: one object, a list of them, or a wrapper around them."""
        if isinstance(item, list):
            for element in item:
                yield from self._json(element, raw, sure)
            return
        if not isinstance(item, dict):
            yield _NOT_A_CALL
            return
        if not item:
            yield _NO_CALL
            return
        for wrapper in WRAPPERS:
            inner = item.get(wrapper)
            if isinstance(inner, dict | list) and wrapper not in self._tools:
                yield from self._json(inner, raw, sure)
                return
        yield self._json_call(item, raw, sure)

    def _json_call(self, item: Mapping[str, object], raw: str, sure: Sure) -> object:
        name_key = next((key for key in NAME_KEYS if isinstance(item.get(key), str)), None)
        if name_key is None:
            if "name" in item and item["name"] is None:
                return _NO_CALL
            key, value = next(iter(item.items()))
            if len(item) == 1 and self._tools.resolve(key) and isinstance(value, dict):
                self.repaired = True
                return self._outcome(WrittenCall(key, named=dict(value)), raw)
            return _NOT_A_CALL
        name = str(item[name_key])
        if any(isinstance(item.get(key), str) and item[key] != name for key in NAME_KEYS):
            known_one = next((item[key] for key in NAME_KEYS if self._tools.resolve(str(item.get(key)))), None)
            if sure == "yes" or known_one:
                return self._malformed(raw, name, "it names two tools")
            return _NOT_A_CALL
        known = self._tools.resolve(name) is not None
        if is_declaration(item) and not (known and "properties" in self._parameters(name)):
            return _NO_CALL if sure == "yes" else _NOT_A_CALL
        given = [item[key] for key in ARGUMENT_KEYS if key in item]
        if not given:
            rest = {key: value for key, value in item.items() if key not in (name_key, "id", "type")}
            if known and (sure == "yes" or all(key in self._parameters(name) for key in rest)):
                self.repaired |= bool(rest)
                return self._outcome(WrittenCall(name, named=rest), raw)
            return self._unknown(name, raw) if sure == "yes" else _NOT_A_CALL
        if not known and sure == "declared":
            return _NOT_A_CALL
        if any(not same(given[0], other) for other in given[1:]):
            return self._malformed(raw, name, "the arguments are given twice with different values")
        return self._json_arguments(name, given[0], raw)

    def _json_arguments(self, name: str, given: object, raw: str) -> object:
        if isinstance(given, str):
            try:
                given = json_value(given, self._tools.keys) if given.strip() else {}
            except Unreadable as problem:
                return self._malformed(raw, name, f"its arguments can not be read: {problem}")
        if given is None:
            given = {}
        if isinstance(given, list):
            return self._outcome(WrittenCall(name, positional=given), raw)
        if not isinstance(given, dict):
            return self._malformed(raw, name, "its arguments must be an object")
        return self._outcome(WrittenCall(name, named=given), raw)

    def _call(self, text: str, pos: int, strings: Mapping[int, int], sure: Sure, cut: bool) -> tuple[object, int]:
        """The call `name(…)` at `pos`, and the position behind it."""
        named = NAME.match(text, pos)
        assert named is not None
        name, start = named.group().rstrip(":"), pos
        literals = self._literals(text, strings, python=True)
        pos = literals.gap(named.end())
        known = self._tools.resolve(name) is not None
        if text[pos : pos + 1] != "(":
            if text[pos : pos + 1] == "{" and known:
                return self._braces(name, text, start, pos, strings)
            end = _element_end(text, start, self._tools.keys)
            if cut and end == len(text):
                return (self.unterminated(text[start:], name) if sure == "yes" or known else _NOT_A_CALL), end
            return self._not_written(text[start:end], name, "brackets are missing behind the name", sure), end
        if name == "print" and not known:
            inner = literals.gap(pos + 1)
            if NAME.match(text, inner):
                return self._printed(text, start, inner, strings, sure, cut)
        try:
            written = literals.call(name, pos)
        except Cut:
            return (self.unterminated(text[start:], name) if sure == "yes" or known else _NOT_A_CALL), len(text)
        except Unreadable as problem:
            end = _element_end(text, start, self._tools.keys)
            if is_signature(text[pos + 1 : end - 1]):
                return (_NO_CALL if sure == "yes" else _NOT_A_CALL), end
            return self._not_written(text[start:end], name, str(problem), sure), end
        self.repaired |= written.repaired
        if not known and sure == "declared":
            return _NOT_A_CALL, written.end
        return self._outcome(written, text[start : written.end]), written.end

    def _braces(self, name: str, text: str, start: int, pos: int, strings: Mapping[int, int]) -> tuple[object, int]:
        """`name {"k": v}`: the arguments stand as an object."""
        self.repaired = True
        try:
            item, end = self._literals(text, strings, python=False).value(pos)
        except Cut:
            return self.unterminated(text[start:], name), len(text)
        except Unreadable as problem:
            end = _element_end(text, start, self._tools.keys)
            return self._malformed(text[start:end], name, str(problem)), end
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
            return _NOT_A_CALL
        return self._malformed(raw, name, reason)

    def _outcome(self, written: WrittenCall, raw: str) -> object:
        """The call as its tool declares it, or what is wrong with it."""
        name = self._tools.resolve(written.name)
        if name is None:
            return self._unknown(written.name, raw)
        self.repaired |= name != written.name
        try:
            arguments = self._tools.check(name, self._named_arguments(name, written), self._write_call)
        except InvalidArguments as problem:
            return BadCall("invalid_arguments", name, problem.message, raw)
        except Unreadable as problem:
            return self._malformed(raw, name, str(problem))
        return ToolCall("", name, arguments)

    def _parameters(self, name: str) -> Mapping[str, object]:
        declared = self._tools[self._tools.resolve(name) or name].parameters.get("properties")
        return declared if isinstance(declared, Mapping) else {}

    def _named_arguments(self, name: str, written: WrittenCall) -> Mapping[str, object]:
        """The arguments by name: positional ones take the declared order; one mapping alone is all of them."""
        if not written.positional:
            return written.named
        declared = list(self._parameters(name))
        first = written.positional[0]
        if isinstance(first, dict) and len(written.positional) == 1 and not written.named:
            schema = self._parameters(name).get(declared[0]) if declared else None
            takes_object = isinstance(schema, Mapping) and schema.get("type", "object") == "object"
            if not takes_object or all(key in declared for key in first):
                return first
        if len(written.positional) > len(declared):
            raise InvalidArguments(
                f"{name} takes {len(declared)} arguments, not {len(written.positional)}. "
                f"Example: {self.example(name)}"[:_LONGEST_MESSAGE]
            )
        arguments = dict(zip(declared, written.positional, strict=False))
        for key, value in written.named.items():
            if key in arguments and not same(arguments[key], value):
                raise Unreadable(f"{key!r} is given twice with different values")
            arguments[key] = value
        return arguments

    def example(self, name: str) -> str:
        """A right call to a declared tool, as the model should write it."""
        return self._tools.checker(name, self._write_call).example

    def _unknown(self, name: str, raw: str) -> object:
        if name.lower() in _NO_TOOL:
            return _NO_CALL
        message = unknown_tool_message(name, self._tools.nearest(name), self._tools.names)
        return BadCall("unknown_tool", name, message, raw)

    def _malformed(self, raw: str, name: str | None, reason: str) -> BadCall:
        return self._bad("malformed", name, f"This call can not be read: {reason}", raw)

    def _bad(self, kind: Literal["malformed", "unterminated"], name: str | None, what: str, raw: str) -> BadCall:
        known = self._tools.resolve(name) if name else None
        shown = known or next(iter(self._tools.names), None)
        advice = f". Write it like this: {self.example(shown)}" if shown else "."
        if len(what) + len(advice) > _LONGEST_MESSAGE:
            what = what[: max(_LONGEST_MESSAGE - len(advice) - 1, 60)] + "…"
        return BadCall(kind, known or name, (what + advice)[:_LONGEST_MESSAGE], raw)


def _named(raw: str) -> str | None:
    """The tool that an unreadable JSON body names, if that much can be seen."""
    found = _CALL_START.match(raw)
    return found.group(1) or None if found else None


def _element_end(text: str, start: int, keys: frozenset[str]) -> int:
    """Where the bracketed thing that begins at `start` ends, or the end of the text."""
    opened = re.compile(r"[(\[{]").search(text, start)
    stop = re.compile(r"[,;\]\n]").search(text, start)
    if stop and (not opened or stop.start() < opened.start()):
        return stop.start()
    if not opened:
        return len(text)
    state, end = Extent(keys).feed(text, opened.start(), True)
    return end if state == "closed" else len(text)
