"""The name of a call and its arguments as they grow, told while the end of the call is still to come."""

from __future__ import annotations

import re
from typing import Final

from gemmagraph.prompts.notation import ArgumentsRead, CallBegun, ReadEvent
from gemmagraph.prompts.reading.scan import Extent
from gemmagraph.prompts.toolset import Toolset

_LONGEST_HEAD: Final = 300
_GAP: Final = re.compile(r"[\s,;\[]*")
_NAME: Final = re.compile(r"([^\W\d][\w.:/-]{0,199})\s{0,20}([({])?")
_NAMED: Final = re.compile(
    r"""\{\s{0,20}["'](?:(?:function_|tool_)?name|function|func|tool)["']\s{0,20}:\s{0,20}["']([\w.:/-]{1,200})["']"""
)
_ARGUMENTS: Final = re.compile(r"""\s{0,20},\s{0,20}["']\w{1,20}["']\s{0,20}:\s{0,20}([^\s])""")


class Progress:
    """Follows one body, a call or a list of calls, from its first character on. Told is only what is written in the
    usual order, a name and then its arguments, of a declared tool."""

    def __init__(self, tools: Toolset) -> None:
        self._tools = tools
        self._held = ""
        """Text of a call whose name is not known yet."""
        self._in_list = False
        self._extent: Extent | None = None
        """Of the call at hand in a list."""
        self._known = self._tells = False
        """Whether the name of the call at hand is known; whether the text at hand belongs to its arguments."""
        self._over = False

    def more(self, text: str) -> list[ReadEvent]:
        """Takes text of the body in which nothing begins or ends."""
        if self._over or self._held or not self._tells:
            return self.feed(text)
        if self._extent:
            self._extent.skip(len(text))
        return [ArgumentsRead(text)]

    def feed(self, text: str) -> list[ReadEvent]:
        """Takes what stands next in the body; returns what it shows."""
        events: list[ReadEvent] = []
        if self._over:
            return events
        text, self._held = self._held + text, ""
        while text and not self._over:
            text = self._arguments(text, events) if self._tells else self._head(text, events)
            if self._held:
                break
        return events

    def _head(self, text: str, events: list[ReadEvent]) -> str:
        """In front of a call's arguments; the text behind what has been read."""
        if not self._known:
            gap = _GAP.match(text)
            assert gap is not None
            self._in_list |= "[" in gap.group()
            text = text[gap.end() :]
        named = (_NAMED if text[:1] == "{" else _NAME).match(text)
        if named and not self._known and (text[:1] == "{" or named.group(2)):
            name = self._tools.resolve(named.group(1).rstrip(":"))
            self._over = name is None
            self._known = True
            if name is not None:
                events.append(CallBegun(name))
        begins = named.start(2) if named and text[:1] != "{" and named.group(2) else -1
        if named and text[:1] == "{":
            arguments = _ARGUMENTS.match(text, named.end())
            begins = arguments.start(1) if arguments else -1
        if self._over or not text:
            return ""
        if begins < 0:
            self._over = len(text) > 2 * _LONGEST_HEAD or text[0] == "]"
            self._held = "" if self._over else text
            return ""
        self._tells = True
        if not self._in_list:
            return text[begins:]
        self._extent = Extent(self._tools.keys)
        self._extent.feed(text[:begins], 0 if text[0] == "{" else begins, False)
        return text[begins:]

    def _arguments(self, text: str, events: list[ReadEvent]) -> str:
        if self._extent is None:
            events.append(ArgumentsRead(text))
            return ""
        state, after = self._extent.feed(text, 0, False)
        if after:
            events.append(ArgumentsRead(text[:after]))
        if state != "open":
            self._tells = self._known = False
            self._extent = None
            return text[after:]
        self._held = text[after:]
        return ""
