"""One request, one answer."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from gemmagraph.cli.options import INTERRUPTED
from gemmagraph.cli.session import Session
from gemmagraph.run import Result


def answer(session: Session, prompt: str, images: Sequence[str] = (), *, as_json: bool) -> int:
    """Answers `prompt`; returns the exit code."""
    try:
        result = session.take(prompt, images=images)
    except KeyboardInterrupt:
        session.terminal.note(session.display.stopped(), "yellow", 0)
        raise click.exceptions.Exit(INTERRUPTED) from None
    if as_json:
        session.terminal.answer(json.dumps(_as_json(result, session.name)) + "\n")
    return 0 if result.stop == "answered" else 1


def _as_json(result: Result, model: str) -> dict[str, object]:
    return {
        "text": result.text,
        "calls": [
            {
                "name": call.name,
                "arguments": dict(call.arguments),
                "result": call.result,
                "status": call.status,
                "seconds": round(call.seconds, 6),
            }
            for call in result.calls
        ],
        "stop": result.stop,
        "reason": result.reason,
        "usage": {"input_tokens": result.usage.input_tokens, "output_tokens": result.usage.output_tokens},
        "model": model,
    }
