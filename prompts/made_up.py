"""What a model makes up behind a call: its result, or what somebody else says next. Nothing behind that counts.

Before a call these are words as any others; and what is read too strictly here is only asked for again once the real
result is there.
"""

from __future__ import annotations

import re
from typing import Final

from gemmagraph.prompts.scan import is_short

_LONGEST_LINE: Final = 120
"""Characters of a line that are waited for."""
_WHO = (
    r"(?:the[ \t]{1,4})?(?:(?:function|tool|api|command|system|program|code)(?:['’]s)?[ \t_-]{0,2})?"
    r"(?:call(?:['’]s)?[ \t_-]{0,2})?"
)
_WHAT = r"(?:results?|outputs?|observations?|responses?|errors?|return(?:s|ed|[ _-]values?)?)"
_RESULT = re.compile(
    rf"(?i)[\[(]?[*_`]{{0,3}}(?:{_WHO}{_WHAT}\b[^\n:：=]{{0,40}}(?:[:：=]|\b(?:is|was|are|were|shows?|says?)\b)"
    r"|(?:the[ \t]{1,4})?(?:tool|function|call|command|api|system|it|this|that|which)[ \t](?:call[ \t])?(?:has[ \t])?"
    r"(?:return(?:s|ed)|respond(?:s|ed)|gives|gave|produced|printed|outputs?)\b"
    r"|invoking tool `[^`\n]{1,80}` produced:"
    r"|(?:user|human|model|assistant|system|developer|tool|function)[\])]?[*_`]{0,3}[ \t]{0,4}[:：])"
    r"|(?:=>|->|→|⇒|>>>)"
)
"""`Result: 12`, `**Tool output:** 12`, `[Tool result: 12]`, `The tool returned 12`, `User: yes`, `=> 12`."""
_TURN = re.compile(r"(?:user|model|assistant|system|tool|developer)[ \t\r]{0,8}")
"""A line that is the name of a role, as it stands behind the mark of a turn that a server has taken out."""
_VALUE = re.compile(
    r"(?i)(?:[-+]?\d[\d.,:/%°-]{0,40}[ \t]?[a-z°%/]{0,8}|\"[^\"]{0,100}\"|'[^']{0,100}'|\[[-\d][^\[\]()]{0,100}\]"
    r"|true|false|none|null)[.!]?[ \t\r]{0,8}"
)
"""A line that is a value and nothing else."""
_BEHIND = re.compile(r"[:：=][ \t]{0,8}[^ \t\r]")
"""In the line of the call: `now(): 12`."""


def is_made_up(text: str, pos: int, final: bool, directly: bool, same_line: bool = False) -> bool | None:
    """Whether what stands at `pos`, behind a call, is made up; None if more text is needed to tell.

    Args:
        text: what has been written.
        pos: the first character of a line, or of the rest of it, that is neither space nor decoration.
        final: whether no more text comes.
        directly: whether nothing but white space stands between the call and that line.
        same_line: whether the call ends in the same line.
    """
    line, newline, _ = text[pos : pos + _LONGEST_LINE].partition("\n")
    if not newline and is_short(text, pos, final, _LONGEST_LINE):
        return None
    if _RESULT.match(line) or (same_line and _BEHIND.match(line)):
        return True
    whole = newline or pos + len(line) == len(text)
    return bool(whole and (_TURN.fullmatch(line) or (directly and _VALUE.fullmatch(line))))
