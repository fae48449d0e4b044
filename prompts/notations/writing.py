"""Values as the prompted notations write them: literals that our own readers, and a model, read back exactly."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from gemmagraph.prompts.checking import schemas
from gemmagraph.prompts.defuse import Defuser
from gemmagraph.prompts.messages import JSON, ToolResult, ToolSpec
from gemmagraph.prompts.reading.escapes import is_half_escaped
from gemmagraph.prompts.turns import ALL_MARKS

NAME: Final = re.compile(r"[^\W\d][\w.:/-]{0,198}[\w./-]|[^\W\d]")
"""A tool's name that readers know in front of a bracket. Python takes less."""
KEY: Final = re.compile(r"[^\W\d]\w{0,63}")
"""A key that may stand bare. Python takes more (letters with combining marks), readers do not."""

_RETURN = re.compile(r"(?<!\\)((?:\\\\)*)\\r")
_READ_IN_TWO_WAYS = re.compile(r"(?<!\\)((?:\\\\)*)\\([bfnt])")
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "t": "\t"}
_SURROGATE = re.compile("[\ud800-\udfff]")
escape_marks = Defuser(ALL_MARKS, "\\u003c")
"""A written call with the control marks in its strings escaped: it can stand in any family's prompt, and still
reads back exactly."""


def quoted(text: str) -> str:
    """`text` in double quotes, with escapes that mean the same in Python and in JSON."""
    written = json.dumps(text, ensure_ascii=False)
    if "\r" in text:  # `docs\readme` is read as a path whose backslashes were not doubled
        written = _RETURN.sub(r"\g<1>\\u000d", written)
    if "\\" in written and is_half_escaped(written[1:-1], python=True):
        # `Q:\nwhat` would be taken for a path whose backslashes were not doubled, `\b` for a part of a pattern.
        written = _READ_IN_TWO_WAYS.sub(lambda escape: f"{escape[1]}\\u{ord(_CONTROLS[escape[2]]):04x}", written)
    return _without_lone(written)


def _without_lone(written: str) -> str:
    """Half a character, which no prompt can hold, as its escape."""
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


_plainly = json.JSONEncoder(ensure_ascii=False, default=dict).encode  # `json.dumps` makes one at each call


def shown_json(value: JSON) -> str:
    """A JSON value as JSON, on one line, for the model to read; nobody reads it back."""
    return _without_lone(_plainly(value))


def json_call(name: str, arguments: Mapping[str, JSON]) -> str:
    """A call as a JSON object."""
    return json_value({"name": name, "arguments": arguments})


def python_call(name: str, arguments: Mapping[str, JSON]) -> str:
    """A call as Python spells it; as a JSON object if nobody could tell where its name ends."""
    if not NAME.fullmatch(name):
        return json_call(name, arguments)
    return f"{name}({', '.join(_argument(key, value) for key, value in arguments.items())})"


def _argument(key: str, value: JSON) -> str:
    if KEY.fullmatch(key):
        return f"{key}={python_value(value)}"
    return f"**{{{quoted(key)}: {python_value(value)}}}"


def json_declaration(spec: ToolSpec) -> str:
    """A tool as JSON, on one line."""
    return shown_json(
        {"name": spec.name, "description": spec.description, "parameters": schemas.flat(spec.parameters)}
    )


def json_results(results: Sequence[ToolResult]) -> str:
    """Results as JSON, one on a line."""
    return "\n".join(
        shown_json({"name": result.name, "error" if result.is_error else "result": result.content})
        for result in results
    )
