"""What a model makes up behind a call: its result, or what somebody else says next. Nothing behind that counts.

Before a call these are words as any others; and what is read too strictly here is only asked for again once the real
result is there.
"""

from __future__ import annotations

import re
from typing import Final

from gemmagraph.prompts.reading.scan import is_short

_LONGEST_LINE: Final = 120
"""Characters of a line that are waited for."""
_LEAD = r"(?:[^\w\s<>\[({`\"'*_]{1,3}[ \t])?(?:(?:ok|okay|great|good|perfect|alright|so|now|well)[,!.:]?[ \t]{1,3})?"
_WHO = (
    r"(?:the[ \t]{1,4})?(?:(?:function|tool|api|command|system|program|code)(?:['’]s)?[ \t_-]{0,2})?"
    r"(?:call(?:['’]s)?[ \t_-]{0,2})?"
)
_WHAT = (
    r"(?:results?|outputs?|observations?|responses?|return(?:s|ed|[ _-]values?)?"
    r"|ergebnis(?:se)?|ausgabe|r[ée]sultats?|sortie|resultados?|salida|sa[íi]da|risultat[oi]|результат|вывод"
    r"|结果|输出|結果|出力|결과|출력)"
)
_OF_WHAT = r"(?:[ \t](?:of|from|for|in)\b[^\n:：=]{0,40}|[ \t]?\([^\n)]{0,40}\))?[*_`]{0,3}[ \t]{0,4}"
_IS_VALUE = r"(?:is|was|are|were|shows?|says?)[ \t:]{1,4}(?:[*_`\"'“\[{]|[-+]?\d|[\w°%-]{1,40}[.!]?[ \t\r]{0,8}\Z)"
_RESULT = re.compile(
    rf"(?i){_LEAD}(?:[\[(]?[*_`]{{0,3}}{_WHO}{_WHAT}(?!\w){_OF_WHAT}(?:[:：=]|\b{_IS_VALUE})"
    r"|(?:tool|function|api|command)[ _-](?:call[ _-])?errors?[*_`]{0,3}[ \t]{0,4}[:：]"
    r"|(?:the[ \t]{1,4})?(?:tool|function|call|command|api|it)[ \t](?:call[ \t])?(?:has[ \t])?"
    r"(?:returned|responded|printed|(?:returns|outputs|gives|gave)(?=[ \t]{0,4}[:：\"'\d]))\b"
    r"|(?:assuming|suppos(?:e|ing)|imagine|let(?:['’]s| us) (?:say|assume|suppose))\b[^\n]{0,60}"
    r"\b(?:is|was|returns?|returned)\b"
    r"|invoking tool `[^`\n]{1,80}` produced:|traceback \(most recent call"
    r"|(?:user|human)[\])]?[*_`]{0,3}[ \t]{0,4}[:：])"
    r"|(?:=>|->|→|⇒|>>>)(?![ \t]{0,4}<|[ \t*_`]{0,8}"
    r"(?i:function|func|tool|(?:next|then|now|and|also|finally|returns?|gets?|the|an?)\b))"
)
"""`Result: 12`, `**Tool output:** 12`, `[Tool result: 12]`, `The tool returned 12`, `User: yes`, `=> 12`."""
_WHOLE = re.compile(
    rf"(?i)(?:user|model|assistant|system|tool|developer|[\[(]?{_WHO}{_WHAT}[\])]?)[*_`]{{0,3}}[ \t\r]{{0,8}}"
)
"""A line that is the name of a role, as it stands behind the mark of a turn that a server has taken out, or that is
the heading of a result."""
_DATE = r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6},?[ \t][^\n]{0,30}\d"
_VALUE = re.compile(
    r"(?i)(?:>[ \t]?)?[*_`]{0,3}(?!\d{1,3}[.)]|(?:#?\d:?|\d/\d|\[\d\])[*_`]{0,3}[ \t]{0,8}\Z)"
    r"(?:[-+]?\d[\dt.,:/% \t°-]{0,40}[a-z°%/]{0,8}"
    rf"|\"[^\"]{{0,100}}\"|'[^']{{0,100}}'|\[[-\d][^\[\]()]{{0,100}}\]|true|false|none|null|{_DATE})"
    r"[*_`.!]{0,4}[ \t\r]{0,8}"
)
"""A line that is a value and nothing else."""
_BEHIND = re.compile(r"(?i)[:：=][ \t]{0,8}(?:[-+]?\d|[\"'{\[]|(?:true|false|none|null)\b)|\{|\[(?!\d{1,2}\])")
"""In the line of the call: `now(): 12`, `now() {"time": 12}`."""


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
    before_mark, mark, _ = line.partition("<") if same_line else (line, "", "")
    if not newline and not mark and is_short(text, pos, final, _LONGEST_LINE):
        return None
    line = before_mark
    if same_line and line.startswith(("#", "//")):  # a comment
        return False
    if _RESULT.match(line) or (same_line and _BEHIND.match(line)):
        return True
    whole = newline or mark or pos + len(line) == len(text)
    return bool(whole and (_WHOLE.fullmatch(line) or (directly and _VALUE.fullmatch(line))))
