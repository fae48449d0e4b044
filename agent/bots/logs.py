"""The log of bots: a line for each thing that happens, for people or for programs. No texts of people, no secrets."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, Literal

from gemmagraph.tools.secrets import mask, mask_all

_FIELDS: Final = ("bot", "person", "conversation", "details")


def begin_log(form: Literal["text", "json"] | str, *, debug: bool = False, quiet: bool = False) -> None:
    """Sends the log to standard error.

    Args:
        form: `json`: one object a line, for programs.
        quiet: only what is wrong.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    log = logging.getLogger("gemmagraph.bots")
    log.handlers = [handler]
    log.setLevel(logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO)
    log.propagate = False


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        found = _facts(record)
        details = found.pop("details", {})
        said = [record.getMessage(), *map(str, found.values())]
        said += [f"{key}={value}" for key, value in details.items()] if isinstance(details, dict) else []
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        return mask(f"{time} {record.levelname.lower():<7} {'  '.join(said)}{trace}")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said = {"time": time, "level": record.levelname.lower(), "what": record.getMessage(), **_facts(record)}
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(mask_all(said), ensure_ascii=False, default=str)


def _facts(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name in _FIELDS if (value := getattr(record, name, None))}
