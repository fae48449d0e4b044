"""What a word in a YAML file is: a text, a number, true, false or null, by the core schema of YAML 1.2."""

from __future__ import annotations

import re
from typing import Final

_MOST_DIGITS: Final = 100
_SPECIAL: Final = frozenset("-+.0123456789~nNtTfF")
_WORDS: Final[dict[str, bool | None]] = {
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def core_value(text: str) -> str | int | float | bool | None:
    """What a plain scalar is in YAML 1.2's core schema.

    Raises:
        ValueError: a number that JSON does not have, or of absurd length.
    """
    if not text:
        return None
    if text[0] not in _SPECIAL:
        return text
    if text.isdecimal() and text.isascii() and len(text) <= _MOST_DIGITS:
        return int(text)
    if text in _WORDS:
        return _WORDS[text]
    if _FLOAT.fullmatch(text):
        if len(text) > _MOST_DIGITS:
            raise ValueError(f"this number has {len(text):,} digits; a text needs quotes")
        if _INTEGER.fullmatch(text):
            return int(text)
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ValueError(f"{text} is too large for a number")
        return number
    if _BASED.fullmatch(text):
        if len(text) > _MOST_DIGITS:
            raise ValueError(f"this number has {len(text):,} digits; a text needs quotes")
        return int(text, 0)
    if _ENDLESS.fullmatch(text):
        raise ValueError(f"{text} is no number that JSON has; a text needs quotes")
    return text
