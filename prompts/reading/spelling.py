"""How models announce a call, a result, a thought, or quote: every spelling that prompted readers know.

Patterns only. Each is bounded, and each that may stand at the end of the text at hand has a partner that tells
whether more text could still make one of it. Sources of the spellings: the prompts that people give Gemma 2, 3
and 3n, the formats of their runtimes, and what the models make of them.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

Sure: TypeAlias = Literal["yes", "whole", "lists", "declared"]
"""How sure it is that a body is a call. "yes": an introducer says so, whatever is in it. "whole": it is all of a
reply or a fence; what looks like a call is one. "declared": only a call to a declared tool is one. "lists": the same,
but a list of calls with named arguments is one whatever it calls."""

PREFIX: Final = re.compile(r"(?i)(?:function|func|tool)(?:[ _-]|\\_)?calls?(?:[ \t]?#?\d{1,2})?[*_` \t]{0,8}[:：]")
"""`FUNCTION_CALL:`, `Function Calls:`, `**Tool call**:` …"""

BACKTICKED_PREFIX: Final = re.compile(f"`{PREFIX.pattern.removeprefix('(?i)')}`", re.IGNORECASE)

PREFIX_MAY_COME: Final = re.compile(
    r"(?i)(?<![A-Za-z0-9_])(?:"
    r"f(?:u(?:n(?:c(?:t(?:i(?:o(?:n)?)?)?)?)?)?)?"
    r"|t(?:o(?:o(?:l)?)?)?"
    r"|(?:function|func|tool)(?:[ _-]|\\_?)?(?:c(?:a(?:l(?:ls?)?)?)?)?"
    r"|(?:function|func|tool)(?:[ _-]|\\_)?calls?(?:[ \t]?#?\d{0,2})?[*_` \t]{0,8}"
    r")\Z"
)

MAY_MATTER: Final = re.compile(r"(?i)[\n`<]|(?<![A-Za-z0-9_])[ft]")
"""Text inside a line in which this finds nothing is only text, and so is the start of what follows it."""

SPECIAL: Final = re.compile(r"(?i)[\n`<]|(?<![A-Za-z0-9_])" + PREFIX.pattern.removeprefix("(?i)"))
"""What can end plain text inside a line."""

RESULT_LINE: Final = re.compile(
    r"(?:FUNCTION|TOOL)(?:_CALL)?_(?:RESULTS?|RESPONSES?|OUTPUTS?|ERRORS?|RETURNS?)[*_` \t]{0,8}[:：]"
)
"""A line with which a model begins to make up the result of a call."""
RESULT_IN_LINE: Final = re.compile(
    r"(?i)(?:function|tool)[ _-]?(?:results?|responses?|outputs?|errors?)[*_` \t]{0,8}[:：]"
)
"""The same, not in capitals: it may follow in the line of a call."""

LINE_DECORATION: Final = re.compile(r"[ \t]{0,80}(?:(?:[-*+•]|\d{1,3}[.)])[ \t]{1,20})?[*_#]{0,6}[ \t]{0,20}")
LINE_MAY_GO_ON: Final = re.compile(
    r"(?i)[ \t]{0,80}(?:(?:[-*+•]|\d{1,3}[.)]?)[ \t]{0,20})?[*_#]{0,6}[ \t]{0,20}"
    r"(?:f(?:u(?:n(?:c(?:t(?:i(?:o(?:n)?)?)?)?)?)?)?|t(?:o(?:o(?:l)?)?)?"
    r"|(?:function|func|tool)(?:[ _-]|\\_?)?[a-z]{0,9}(?:_[a-z]{0,9})?(?:[ \t]?#?\d{0,2})?[*_` \t]{0,8}"
    r"|`(?:f[a-z]{0,7}|func[a-z]{0,4}|t|too?"
    r"|(?:function|func|tool)(?:[ _-]|\\_?)?[a-z]{0,5}(?:[ \t]?#?\d{0,2})?[*_` \t]{0,8}[:：]?)"
    r"|[`~]{1,8})?"
)
"""The start of a line that could still become a prefix, a result line or a fence."""

LINE_STARTS: Final = re.compile(r"(?i)[ \t*+•\d_#`~>\[{ft-]")
"""A line that begins with anything else is text, but for marks."""

FENCE_LINE: Final = re.compile(r"[ \t]{0,80}(?:(?:[-*+•]|\d{1,3}[.)])[ \t]{1,20})?(`{3,8}|~{3,8})(?![`~])")
FENCE: Final = re.compile(
    r"(`{3,8}|~{3,8})[ \t]{0,8}([\w-]{0,40})"
    r"(?:[ \t]{0,20}(?:\r?\n|(?=[{\[]))|(?<=tool_code|tool_call)[ \t]{1,20}(?=\w))"
)
"""A fence that calls may stand in: its marks, and the word behind them."""

FENCES: Final[dict[str, Sure]] = {
    **dict.fromkeys(
        (
            "tool_code",
            "tool_call",
            "tool_calls",
            "tool",
            "tools",
            "function_call",
            "function_calls",
            "call",
            "calls",
        ),
        "yes",
    ),
    "json": "whole",
    "": "whole",
    "python": "declared",
    "py": "declared",
}
"""The word behind a fence: how sure it is that what it holds is a call. Every other language quotes."""

RESULT_FENCE: Final = re.compile(r"(?:tool|function)_(?:outputs?|results?|responses?)")
"""The word behind a fence in which a model makes up a result."""
RESULT_FENCE_AFTER_CALL: Final = re.compile(r"(?:\w*_)?(?:outputs?|results?|responses?|observations?|stdout)|console")
RESULT_FENCE_DIRECTLY: Final = re.compile(
    RESULT_FENCE_AFTER_CALL.pattern + "|text|txt|plaintext|yaml|yml|csv|xml|log"
)
"""The same, if nothing else stands between it and a call."""

TALK: Final = re.compile(
    r"(?i)\b(?:not|never|without|instead|cannot|syntax|format|form|example|like|such as|e\.g|should|would|could|might"
    r"|if|unless|when|whether)\b|n['’]t\b"
)
"""Words with which a sentence talks about a call in place of making it."""
_SENTENCE: Final = re.compile(r"(?:(?<=\w\w)[.!?]|[…。])[\"')\]]{0,3}\s")


def talks(line: str) -> bool:
    """Whether the last sentence of a line talks about calls."""
    return TALK.search(_SENTENCE.split(line)[-1]) is not None


_DENIAL: Final = re.compile(
    r"(?i)(?:(?:\b(?:never|not|cannot|without)|n['’]t)[ \t]{1,4}"
    r"(?:(?:ever|just|simply|directly|be|to|need to|want to|have to|try to)[ \t]{1,4}){0,2}"
    r"(?:run|call|us|writ|send|execut|do|mak|emit|output|need|print|typ|invok|say|try|issu|want|add|includ)(?:e|ing)?"
    r"(?:[ \t]{1,4}(?:the|a|an|this|that|something like))?"
    r"|\b(?:for example|an example(?: call)?(?: is| would be)?|e\.g\.|such as|written as|instead of|looks? like this"
    r"|(?:the|this) (?:format|syntax) (?:is|would be)))[ \t]{0,4}[:,]?[ \t]{0,4}\Z"
)


def denies(line: str) -> bool:
    """Whether the last words of a line say that what follows is not to be called, or is an example."""
    return _DENIAL.search(line, max(0, len(line) - 80)) is not None


CALL_TAG: Final = re.compile(r"(?i)<(?:tool|function)_(?:calls?|code)>|<\|tool_call>|<start_function_call>")
CALL_TAG_END: Final = re.compile(r"(?i)</(?:tool|function)_(?:calls?|code)>|<tool_call\|>|<end_function_call>")
RESULT_TAG_AFTER_CALL: Final = re.compile(r"(?i)</?(?:results?|outputs?|responses?|observations?)>")
RESULT_TAG: Final = re.compile(
    r"(?i)<(?:tool|function)_(?:responses?|results?|outputs?)>|<\|tool_response>|<start_function_response>"
)
THOUGHTS: Final = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<scratchpad>": "</scratchpad>",
    "<|channel>": "<channel|>",
}
CHANNEL_NAME: Final = re.compile(r"[a-z]{0,20}(?:\n|\Z)")
ANSWER_CHANNELS: Final = frozenset({"final", "answer", "response"})
"""Channels that hold no thoughts."""

DROPPED: Final = re.compile(
    r"(?i:</(?:think|thinking|thought|reasoning|scratchpad)>)|<channel\|>|<tool_response\|>|<tool\|>|<\|tool>|<\|think\|>|<\|\"\|>"
    r"|<end_function_(?:response|declaration)>|<start_function_declaration>|<escape>"
    r"|<(?:bos|pad|unk|mask)>|<unused\d{1,4}>|<(?:start|end)_of_(?:image|audio)>|<(?:image|audio)_soft_token>"
    r"|<\|(?:image|audio|video)\|?>|<(?:image|audio)\|>|<tool_call\|>|<end_function_call>"
)
"""Marks that mean nothing where they stand, and are no text either."""

MARK_MAY_COME: Final = re.compile(r"<(?:[/|]?[\w\"|]{0,40}|!-?|[a-z]{1,10}\s[^<>\n]{0,80})\Z")
QUOTING_TAG: Final = re.compile(
    r"(?i)<(?:(pre|code|samp|kbd|blockquote|q|s|del|script|style|textarea)(?:\s[^<>\n]{0,80})?>|!--)"
)
"""What begins a quotation in HTML."""

NONE: Final = re.compile(
    r"(?i)(?:(?:no|not|nothing)\b[^\n(.,;:!?]{0,60}"
    r"|(?:none|null|nil|n/a|empty)\b(?:[ \t](?:is )?(?:needed|required|necessary))?)[.,;:!?]?[ \t]*"
)
"""In the place of a call: that there is none. What follows is text."""
BODY_DECORATION: Final = re.compile(r"[ \t]{0,20}(?:(?:[-*+•]|\d{1,3}[.)])[ \t]{1,20})?[*_`]{0,3}[ \t]{0,20}")
BODY_DECORATION_MAY_COME: Final = re.compile(
    r"[ \t]{0,20}(?:(?:[-*+•]|\d{1,3}[.)]?)[ \t]{0,20})?[*_`]{0,3}[ \t]{0,20}"
)
BETWEEN_MAY_GO_ON: Final = re.compile(
    r"[ \t]{0,20}[`*_]{0,3}[ \t]{0,20}[,;]?\s{0,80}(?:(?:[-*+•]|\d{1,3}[.)]?)[ \t]{0,20})?[*_`]{0,3}"
    r"(?:[^\W\d][\w.:/-]{0,199}[ \t]{0,20})?"
)
BETWEEN: Final = re.compile(
    r"[ \t]{0,20}[`*_]{0,3}[ \t]{0,20}[,;]?\s{0,80}(?:(?:[-*+•]|\d{1,3}[.)])[ \t]{1,20})?(?:[*_]{1,3}|`(?!`))?"
)
SEPARATOR: Final = re.compile(r"[\s,;]+")
CODE_LINE: Final = re.compile(
    r"(?:(?:#|//)(?:[^\n<]|<(?!end_of_turn>|start_of_turn>|turn\|>|\|turn>|eos>)){0,2000}"
    r"|(?:import|from)\b[^\n<;]{0,2000})"
)
"""A comment or an import, up to the end of its line, of the turn, or the next statement."""
DEFINITION: Final = re.compile(r"(?:async\s+def|def|class|@)\b|@")
BODY_START: Final = re.compile(
    r"""\{\s{0,80}(?:["'}]|[^\W\d]\w{0,63}\s{0,80}:)|\[\s{0,80}(?:[\]{"'\[]|[^\W\d][\w.:/-]{0,99}\s{0,80}\()"""
    r"""|[^\W\d][\w.:/-]{0,99}\("""
)
BODY_START_MAY_COME: Final = re.compile(
    r"""\{\s{0,80}(?:[^\W\d]\w{0,63}\s{0,80})?|\[\s{0,80}(?:[^\W\d][\w.:/-]{0,99}\s{0,80})?|[^\W\d][\w.:/-]{0,99}"""
)
NAMED_LIST: Final = re.compile(r"\[\s{0,80}[^\W\d][\w.:/-]{0,99}\(\s{0,80}\w{1,64}\s{0,8}=(?!=)")
"""The start of a list of calls that can hardly be anything else."""
SPACE: Final = re.compile(r"\s+")
FEW_SPACES: Final = re.compile(r"\s{0,200}")
OPENING_BRACKET: Final = re.compile(r"[ \t]{0,20}\(")
CLOSING_DECORATION: Final = re.compile(r"[`*_]{0,3}[ \t\r]{0,80}(?:[`*_]{1,3}[ \t\r]{0,80}(?=\n|\Z))?")
EXPRESSION: Final = re.compile(r"\.\w|[\[(]|[ \t]?(?:\+|/(?!/)|%|\*{1,2}[ \t][\w(\"'])|\*{1,2}[\w(\"']")
"""Behind a call: it is part of an expression, which is never evaluated."""
BEHIND_LINK: Final = re.compile(r"\.\w|[\[(:]")
"""Behind a closing square bracket: a Markdown link, or a part of an expression."""
NAME_AND_BRACKET: Final = re.compile(r"\b([^\W\d][\w.:/-]{0,99})\(")
LEFT_OVER: Final = re.compile(r"[ \t]{0,20}[)\]};,.]{1,8}[ \t\r]{0,20}(?=\n|\Z)")
LEFT_OVER_MAY_COME: Final = re.compile(r"[ \t]{0,20}[)\]};,.]{0,8}[ \t\r]{0,20}")
NO_CALL_WORD: Final = re.compile(r"(?i)(?:none|null|n/a)\b")
