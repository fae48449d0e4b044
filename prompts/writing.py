"""Values as the prompted notations write them: literals that our own readers, and a model, read back exactly."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from gemmagraph.prompts.messages import JSON

_MARK = re.compile(r"<[|/]?[a-z_]+\d*\|?>|<\|\"\|>")
_SURROGATE = re.compile("[\ud800-\udfff]")


def quoted(text: str) -> str:
    """`text` in double quotes, with escapes that mean the same in Python and in JSON. What looks like a control
    mark is escaped, so that it can stand in a prompt without being one."""
    written = json.dumps(text, ensure_ascii=False)
    if "<" in written:
        written = _MARK.sub(lambda mark: "\\u003c" + mark.group()[1:], written)
    return _SURROGATE.sub(lambda lone: f"\\u{ord(lone.group()):04x}", written)


def python_value(value: JSON) -> str:
    """A JSON value as a Python literal."""
    if isinstance(value, str):
        return quoted(value)
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quoted(str(key))}: {python_value(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(map(python_value, value)) + "]"


def json_value(value: JSON) -> str:
    """A JSON value as JSON, on one line."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quoted(str(key))}: {json_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(json_value, value)) + "]"
    return json.dumps(value)
