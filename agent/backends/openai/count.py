"""Tokens of a text, counted by the server's own tokenizer: a page beside OpenAI's protocol, which not all have."""

from __future__ import annotations

import json

from gemmagraph.backends.network.http import Answer, Http
from gemmagraph.backends.openai.probe import Server
from gemmagraph.backends.openai.request import as_json
from gemmagraph.backends.openai.words import missing, refusal
from gemmagraph.backends.words import Place
from gemmagraph.errors import BackendUnavailable, BadRequest, ModelNotFound


class CountsNone(BadRequest):
    """The server does not count tokens."""

    def __init__(self, label: str) -> None:
        super().__init__(
            f"{label} does not count tokens.", hint="They have to be estimated; llama.cpp's server and vLLM count."
        )


async def counted(http: Http, server: Server, model: str, text: str, place: Place) -> int:
    """The tokens of a text.

    Raises:
        CountsNone: the server has no page for that.
        BackendError: it cannot be asked.
    """
    if server.kind.tokenize is None:
        raise CountsNone(place.label)
    found = server.model(model)
    answer = await http.ask("/tokenize", as_json(server.kind.tokenize(found.name if found else model, text)))
    tokens = _number(answer)
    if tokens is not None:
        return tokens
    error = refusal(answer, place)
    if isinstance(error, ModelNotFound):
        raise missing(model, server.models, place) from error
    if answer.status == 200 or isinstance(error, BackendUnavailable):
        raise CountsNone(place.label) from error
    raise error


def _number(answer: Answer) -> int | None:
    """What vLLM says is the count; of what llama.cpp says, the length."""
    try:
        said = json.loads(answer.text) if answer.status == 200 else {}
        count = said.get("count", said.get("tokens"))
    except (ValueError, AttributeError, RecursionError):
        return None
    return len(count) if isinstance(count, list) else count if isinstance(count, int) else None
