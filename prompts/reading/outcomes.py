"""What a written call comes to: a call that may run, or one that must not, with the reason in words for the model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from gemmagraph.prompts.checking.arguments import WriteCall, unknown_tool_message
from gemmagraph.prompts.errors import InvalidArguments
from gemmagraph.prompts.messages import BadCall, ToolCall
from gemmagraph.prompts.reading import spelling
from gemmagraph.prompts.reading.literals import Unreadable, WrittenCall, same
from gemmagraph.prompts.toolset import Toolset

Outcome: TypeAlias = ToolCall | BadCall

NOT_A_CALL: Final = object()
"""In place of an outcome: what was read is no call, but text."""
NO_CALL: Final = object()
"""In place of an outcome: the model says that it calls nothing."""

_NO_TOOL = frozenset({"none", "null", "n/a", "no_tool", "no_function"})
_LONGEST_MESSAGE = 240
_ESCAPED_END = re.compile(r"""\\["'][ \t]{0,8}[)\]}]""")
_CALLED = re.compile(
    spelling.NAME_AND_BRACKET.pattern
    + r"""|["'](?:function_|tool_)?name["']\s{0,8}:\s{0,8}["']([\w.:/-]{1,100})["']"""
)


class Outcomes:
    """Judges written calls for one toolset.

    `write_call` writes a call as the model is asked to write it, for the examples in messages.
    """

    def __init__(self, tools: Toolset, write_call: WriteCall) -> None:
        self.repaired = False
        """Whether anything had to be put right in what was read so far."""
        self.unclear = False
        """Whether a text was met whose end is not certain: what stands behind the call may belong to it."""
        self._tools = tools
        self._write_call = write_call

    def unterminated(self, raw: str, tool: str | None) -> BadCall:
        """A call that was cut before its end."""
        what = "The call was cut off before its end"
        if _ESCAPED_END.search(raw):
            what += ", or a backslash that is not doubled stands in front of the quote that closes a text"
        return self._bad("unterminated", tool, what, raw)

    def malformed(self, raw: str, name: str | None, reason: str) -> BadCall:
        """A call that cannot be read, and why."""
        return self._bad("malformed", name, f"This call can not be read: {reason}", raw)

    def last_refused(self, found: list[object], raw: str) -> list[object]:
        """What was found in `raw`, but with the last call refused: its last text may go on behind it."""
        last = found[-1] if found else None
        if isinstance(last, ToolCall):
            tool: str | None = last.name
        elif isinstance(last, BadCall) and last.kind == "invalid_arguments":
            tool = last.tool
        else:
            return found
        self.unclear = True
        reason = 'its last text has no clear end; write quotes inside a text as \\" and nothing behind a call'
        return [*found[:-1], self.malformed(raw, tool, reason)]

    def bare_name(self, raw: str, name: str) -> list[Outcome]:
        """A call that is a name and nothing more."""
        outcome = self.outcome(WrittenCall(name), raw)
        return [outcome] if isinstance(outcome, ToolCall | BadCall) else []

    def outcome(self, written: WrittenCall, raw: str) -> object:
        """The call as its tool declares it, or what is wrong with it."""
        name = self._tools.resolve(written.name)
        if name is None:
            return self.unknown(written.name, raw)
        self.repaired |= name != written.name
        try:
            arguments = self._tools.check(name, self._named_arguments(name, written), self._write_call)
        except InvalidArguments as problem:
            return BadCall("invalid_arguments", name, problem.message, raw)
        except Unreadable as problem:
            return self.malformed(raw, name, str(problem))
        return ToolCall("", name, arguments)

    def parameters(self, name: str) -> Mapping[str, object]:
        """The declared parameters of a tool, by name."""
        declared = self._tools[self._tools.resolve(name) or name].parameters.get("properties")
        return declared if isinstance(declared, Mapping) else {}

    def _named_arguments(self, name: str, written: WrittenCall) -> Mapping[str, object]:
        """The arguments by name: positional ones take the declared order; one mapping alone is all of them."""
        if not written.positional:
            return written.named
        declared = list(self.parameters(name))
        first = written.positional[0]
        if isinstance(first, dict) and len(written.positional) == 1 and not written.named:
            schema = self.parameters(name).get(declared[0]) if declared else None
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
                raise Unreadable(f"{key} is given twice with different values")
            arguments[key] = value
        return arguments

    def example(self, name: str) -> str:
        """A right call to a declared tool, as the model should write it."""
        return self._tools.checker(name, self._write_call).example

    def unknown(self, name: str, raw: str) -> object:
        """A call to a tool that is not declared, or the name with which a model says that it calls none."""
        if name.lower() in _NO_TOOL:
            return NO_CALL
        message = unknown_tool_message(name, self._tools.nearest(name), self._tools.names)
        return BadCall("unknown_tool", name, message, raw)

    def _first_tool(self, raw: str) -> str | None:
        """The first declared tool that is called in what was written, if only as a part of something else."""
        called = (found.group(1) or found.group(2) for found in _CALLED.finditer(raw, 0, 2000))
        return next((known for name in called if (known := self._tools.resolve(name))), None)

    def _bad(self, kind: Literal["malformed", "unterminated"], name: str | None, what: str, raw: str) -> BadCall:
        inside = self._first_tool(raw)
        known = self._tools.resolve(name) if name else None
        if name is None or name == "print":
            known = known or inside
        shown = known or inside or next(iter(self._tools.names), None)
        advice = f". Write it like this: {self.example(shown)}" if shown else "."
        if len(what) + len(advice) > _LONGEST_MESSAGE:
            what = what[: max(_LONGEST_MESSAGE - len(advice) - 1, 60)] + "…"
        return BadCall(kind, known or name, (what + advice)[:_LONGEST_MESSAGE], raw)
