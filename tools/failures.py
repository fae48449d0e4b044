"""What the model is told of a call that failed: the words under `errors:`, else the failure's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Protocol

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.attempts import OUTCOME_UNKNOWN, Expired, Timed
from gemmagraph.tools.errors import BodyError, ToolError
from gemmagraph.tools.fields import Absent, Field

KIND: Final = r"^([1-5][0-9][0-9]|[1-5]xx|exit(_[0-9]{1,3})?|timeout|unreachable|database|other)$"
KINDS: Final = "a status (422, 4xx), exit, exit_3, timeout, unreachable, database or other"


def is_kind(name: str) -> bool:
    """Whether a failure may be called so under `errors`."""
    return re.fullmatch(KIND, name) is not None


class Explains(Timed, Protocol):
    """What must be known of the tool."""

    @property
    def errors(self) -> Mapping[str, Field]: ...


def explained(error: ToolError | Expired, tool: Explains, arguments: Mapping[str, JSON]) -> str:
    """The text for the model. Whether the call may have taken effect is always said, where it is so."""
    failure = error if isinstance(error, BodyError) else None
    kinds = failure.kinds if failure else ("timeout",) if isinstance(error, Expired) else ()
    unknown = failure is not None and failure.unknown
    chosen = next((tool.errors[kind] for kind in (*kinds, "other") if kind in tool.errors), None)
    text = chosen.text({"args": arguments, **(failure.scope if failure else {})}) if chosen is not None else None
    if text is None or isinstance(text, Absent):
        text = str(error)  # an expiry says by itself what is unknown
    else:
        unknown = unknown or isinstance(error, Expired)
    return f"{text} {OUTCOME_UNKNOWN}" if unknown and not tool.repeatable else text
