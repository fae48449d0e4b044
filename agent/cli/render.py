"""The prompt that would be sent, as text."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from gemmagraph.choice import VARIABLE
from gemmagraph.cli.openai_json import specs_of, turns_of
from gemmagraph.cli.terminal import plain
from gemmagraph.cli.toolfiles import left_out, load_tools
from gemmagraph.errors import AgentError
from gemmagraph.model import Gemma
from gemmagraph.offering import offered
from gemmagraph.prompts.messages import JSON, Text, ToolSpec, Turn
from gemmagraph.prompts.prompt import Transcript
from gemmagraph.prompts.toolset import Toolset
from gemmagraph.transports import shown

DEFAULT_MODEL = "ollama:gemma3:4b"


def rendered(
    message: str | None,
    conversation: str | None,
    sources: Sequence[str],
    model: str | None,
    notation: str | None,
    system: str,
    transport: str | None,
) -> str:
    """The whole prompt as it is, or the chat messages as JSON; with the tools, where the server writes the prompt.

    Raises:
        GemmagraphError: model, notation, tools or conversation cannot be used.
    """
    name = model or os.environ.get(VARIABLE, "").strip() or DEFAULT_MODEL
    gemma = Gemma(name, notation=notation, transport=cast(Any, transport))  # click has checked it
    tools = load_tools(sources)
    specs: list[ToolSpec] = [tool.spec for tool in offered(tools, gemma)]
    if kept := left_out(tools, gemma):
        sys.stderr.write(f"{plain(kept)}\n")
    if conversation is None:
        turns = [Turn("user", (Text(message or ""),))]
    else:
        said = _read(conversation)
        if isinstance(said, dict):
            specs += specs_of(said.get("tools"))
            said = said.get("messages")
        turns = turns_of(said)
    if system.strip():
        turns.insert(0, Turn("system", (Text(system.strip()),)))
    request = gemma.request(Transcript(gemma.writer(Toolset(specs))), turns)
    if request.transport == "completion":
        return request.prompt or ""
    told: JSON = shown(request)
    if request.transport == "tools":  # the server makes a prompt of these
        told = {"messages": told, "tools": [_declared(spec) for spec in request.tools]}
    return json.dumps(told, ensure_ascii=False, indent=2)


def _declared(spec: ToolSpec) -> JSON:
    return {"name": spec.name, "description": spec.description, "parameters": dict(spec.parameters)}


def _read(path: str) -> JSON:
    try:
        written = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        return json.loads(written)
    except OSError as exc:
        raise AgentError(f"The conversation {path!r} cannot be read: {exc.strerror}.") from exc
    except (ValueError, RecursionError) as exc:
        raise AgentError(f"The conversation {path!r} is no JSON: {exc}.", hint="It is a list of messages.") from exc
