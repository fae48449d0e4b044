"""Lines of model output -> lines of calls."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

from gemmagraph.cli.openai_json import specs_of
from gemmagraph.errors import AgentError
from gemmagraph.prompts.errors import GemmagraphError
from gemmagraph.prompts.messages import JSON, Reply, StopReason
from gemmagraph.prompts.notation import Notation, notation_named
from gemmagraph.prompts.toolset import Toolset


def parsed_lines(lines: Iterable[bytes], notation: str, chunk: int | None = None) -> Iterator[str]:
    """The answer to each line, as JSON in ASCII.

    Args:
        lines: JSON objects with `output`, `tools` and perhaps `stop`; empty lines are passed over.
        notation: how calls are written.
        chunk: how many characters the reader is given at a time; all at once by default.

    Raises:
        NotationError: there is no such notation.
        AgentError: a line is not such an object; the lines before it were answered.
    """
    reading = notation_named(notation)
    written, tools = "null", Toolset()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            asked = _object(line)
            before, written = written, json.dumps(asked.get("tools"))
            if written != before:  # they are the same in most lines
                tools = Toolset(specs_of(asked.get("tools")))
            reply = _read(reading, asked, tools, chunk)
            answer = json.dumps(_answer(reply), allow_nan=False)
        except (GemmagraphError, ValueError, RecursionError) as exc:
            why = "it is nested too deep" if isinstance(exc, RecursionError) else str(exc).rstrip(".")
            raise AgentError(
                f"Line {number} cannot be read: {why}.",
                hint='A line is {"output": TEXT, "tools": [{"name": …, "description": …, "parameters": {…}}]}.',
            ) from exc
        yield answer


def _object(line: bytes) -> Mapping[str, JSON]:
    asked = json.loads(line.decode("utf-8-sig", "surrogatepass"))
    if not isinstance(asked, dict):
        raise ValueError(f"it is no object, but a JSON {type(asked).__name__}")
    if not isinstance(asked.get("output"), str):
        raise ValueError('it has no text as "output"')
    if asked.get("stop", "stop") not in get_args(StopReason):
        raise ValueError(f'"stop" is {asked["stop"]!r}, not "stop" or "length"')
    return asked


def _read(notation: Notation, asked: Mapping[str, JSON], tools: Toolset, chunk: int | None) -> Reply:
    output: str = asked["output"]
    reader = notation.reader(tools)
    size = chunk or len(output) or 1
    for start in range(0, len(output), size):
        reader.feed(output[start : start + size])
    return reader.close(asked.get("stop", "stop"))[1]


def _answer(reply: Reply) -> dict[str, JSON]:
    return {
        "calls": [{"name": call.name, "arguments": call.arguments} for call in reply.calls],
        "text": reply.text or None,
        "errors": [
            {"kind": bad.kind, "tool": bad.tool, "message": bad.message, "raw": bad.raw} for bad in reply.bad_calls
        ],
    }
