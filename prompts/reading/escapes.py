"""The escapes of quoted strings, as Python and as JSON read them."""

from __future__ import annotations

import re
import unicodedata

_ESCAPE = re.compile(
    r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|N\{([^}\n]{1,80})\}|(.))",
    re.DOTALL,
)
_JSON_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\\": "\\", "'": "'", '"': '"'}
_PYTHON_SIMPLE = {**_SIMPLE, "a": "\a", "v": "\v", "\n": ""}
_JSON_SIMPLE = {**_SIMPLE, "/": "/"}

_WHITE = frozenset(("\\n", "\\r", "\\t", "\\\n"))
_NEVER_MEANT = re.compile(r"\\(?:[abfv]|[0-7]{1,2})")
_IN_PATHS = re.compile(r"\\[^\\/'\"u\n]")
_SUSPICIOUS = re.compile(r"\\(?:[nt](?<=[:.]\\.)[a-z]|[^nt\"'])")
"""Without this, and without the next, all escapes are what they say."""
_FILE_BEGINS = re.compile(r'"[A-Za-z0-9_~$%-]*\\[^"]')
_FILE = re.compile(r"\A[A-Za-z0-9_~$%-]*(?=(?:\\[A-Za-z0-9_-]{2,})+\.[A-Za-z0-9]{1,5}\Z)")
_PATH = re.compile(
    r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))(?:[A-Za-z]:\\(?![\\'\"nrt]|u[0-9a-fA-F]{4})|[C-Hc-h]:\\[rt](?=[a-z])"
    r"|[C-Ec-e]:\\n(?=[a-z]))"
    r"|(?:\A|(?<=[ \t\n])|(?<=\\[nrt]))\.\.?\\(?![\\'\"n]|u[0-9a-fA-F]{4}|[rt](?![a-z]))"
    r"|\\\\[A-Za-z0-9_][A-Za-z0-9_-]*\\(?:[rt](?=[a-z])|n(?=[a-z][A-Za-z0-9_-]*(?:\.[A-Za-z0-9]|\\\\[A-Za-z0-9_])))"
    r"|(?:\A|(?<= ))\\\\[A-Za-z0-9_][A-Za-z0-9_-]+\\n(?=[a-z][A-Za-z0-9_-]*\Z)"
    r"|(?<!\\)\\[A-Z][A-Za-z0-9_.-]*(?=\\[nrt][a-z])"
    r"|(?<=[A-Za-z0-9_.:~-])(?=\\r[a-z])"
    r"|" + _FILE.pattern
)
r"""The start of a Windows path of which not all backslashes are doubled: `C:\new`, `..\temp`, `C:\\temp\new.txt`,
`HKLM\Software\new`, `src\test\new.py`. But `Q:\nwhat`, `git add .\ngit commit` and `cd C:\\temp\ndir` hold a
new line."""


def may_be_half_escaped(text: str, pos: int, end: int) -> bool:
    """Whether one of the strings between double quotes may be half escaped: a quick look, which says so too often."""
    return bool(_SUSPICIOUS.search(text, pos, end) or _FILE_BEGINS.search(text, pos, end))


def is_half_escaped(body: str, python: bool) -> bool:
    """Whether backslashes in a quoted string are plainly meant as they stand, and yet some would be read as escapes:
    a path (`C:\\new`) or a regular expression (`\\bfoo\\b`, `\\(a\\)\\1`) whose backslashes were not doubled."""
    if not _SUSPICIOUS.search(body) and not _FILE.match(body):
        return False
    path = _PATH.search(body)
    begin = path.start() if path else len(body)
    meant = control = False
    for found in (_ESCAPE if python else _JSON_ESCAPE).finditer(body):
        written = found.group()
        read = _python_escape(found) if python else _json_escape(found)
        if read == written:
            meant = True
        elif _NEVER_MEANT.fullmatch(written) or (found.start() >= begin and _IN_PATHS.match(written)):
            return True
        else:
            control |= read < " " and written not in _WHITE
    return meant and control


def unescaped(body: str, python: bool) -> str:
    """The inside of a quoted string with its escapes read. What is no escape stays as it is, backslash included."""
    body = _ESCAPE.sub(_python_escape, body) if python else _JSON_ESCAPE.sub(_json_escape, body)
    return _SURROGATES.sub(_join_surrogates, body)


def _python_escape(match: re.Match[str]) -> str:
    octal, x, u, long_u, name, char = match.groups()
    if octal:
        return chr(int(octal, 8))
    for digits in (x, u, long_u):
        if digits:
            code = int(digits, 16)
            return chr(code) if code < 0x110000 else match.group()
    if name:
        try:
            return unicodedata.lookup(name)
        except KeyError:
            return match.group()
    return _PYTHON_SIMPLE.get(char, match.group())


def _json_escape(match: re.Match[str]) -> str:
    digits, char = match.groups()
    return chr(int(digits, 16)) if digits else _JSON_SIMPLE.get(char, match.group())


def _join_surrogates(match: re.Match[str]) -> str:
    high, low = ord(match.group()[0]), ord(match.group()[1])
    return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)
