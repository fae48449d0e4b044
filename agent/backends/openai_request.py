"""A request as the JSON that a server takes."""

from __future__ import annotations

import difflib
import json
from dataclasses import replace
from typing import Final, Literal, NamedTuple, TypeAlias

from gemmagraph.backends.base import Request
from gemmagraph.backends.openai_kinds import LLAMA_CPP, Body, Kind
from gemmagraph.backends.openai_probe import Server
from gemmagraph.errors import BadRequest

Shape: TypeAlias = Literal["chat", "completion", "llama"]
"""Whose frames the reply is made of: `/v1/chat/completions`, `/v1/completions`, llama.cpp's own `/completion`."""


class Written(NamedTuple):
    """A request as it is sent."""

    shape: Shape
    body: Body

    def encoded(self, usage: bool) -> bytes:
        """The bytes of it.

        Args:
            usage: whether to ask that the stream ends with the counts of tokens.

        Raises:
            BadRequest: some value in it is none of JSON.
        """
        body = self.body
        if usage and self.shape != "llama":  # llama.cpp's own page counts always
            body = {**body, "stream_options": {"include_usage": True}}
        try:
            text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError) as exc:
            raise BadRequest(f"The request cannot be written as JSON: {exc}.") from exc
        return text.encode("utf-8", "replace")  # half a surrogate pair is no text


def written(request: Request, server: Server, label: str) -> Written:
    """The request for a server.

    Args:
        label: how errors call it.

    Raises:
        BadRequest: the server cannot do what is asked.
    """
    kind = server.kind
    is_chat = request.messages is not None
    if not is_chat and kind.completion is None:
        raise BadRequest(
            f"{label} takes chat messages, not a finished prompt: it would write its own turns around it.",
            hint='Leave transport out, or say transport="chat".',
        )
    request = _held(request, server, label)
    body: Body = {"model": request.model, "stream": True}
    body.update({_option(name, kind, label): value for name, value in request.options.items()})
    if request.stop:
        body["stop"] = list(request.stop)
    shape: Shape = "chat" if is_chat else "llama" if kind is LLAMA_CPP else "completion"
    if request.max_tokens is not None:
        body["n_predict" if shape == "llama" else "max_tokens"] = request.max_tokens
    if request.messages is not None:
        body["messages"] = [dict(message) for message in request.messages]
        body.update(kind.chat(request))
    elif kind.completion is not None:
        prompt = request.prompt or ""
        body["prompt"] = prompt.removeprefix("<bos>") if server.adds_bos else prompt
        body.update(kind.completion(request))
    return Written(shape, body)


def _held(request: Request, server: Server, label: str) -> Request:
    """The request with one constraint at most, one that the server can hold the reply to.

    Raises:
        BadRequest: it can hold it to none of those asked for.
    """
    is_chat = request.messages is not None
    able = server.constraints if is_chat else server.constraints & server.kind.completion_constraints
    grammar, schema = request.grammar, request.schema
    why = f"{label} holds no {'reply in a chat' if is_chat else 'reply to a whole prompt'} to a"
    if grammar and "grammar" in able and (not grammar.preserved_tokens or (server.kind.takes_marks and not is_chat)):
        return replace(request, schema=None)
    if schema is not None and "schema" in able:
        return replace(request, grammar=None)
    if schema is not None:
        instead = "Hold it to a grammar" if "grammar" in able else 'Say transport="chat"'
        raise BadRequest(f"{why} JSON Schema.", hint=f"{instead}, or ask without.")
    if grammar and "grammar" in able:
        marks = ", ".join(grammar.preserved_tokens)
        raise BadRequest(
            f"{why} grammar with control marks in it ({marks}).",
            hint='Take a prompted notation, such as function_call, or llama.cpp with transport="completion".',
        )
    if grammar:
        raise BadRequest(f"{why} grammar.", hint="Give it a JSON Schema instead, or ask without.")
    return request


_SAID_ELSEWHERE: Final = {
    "num_ctx": "context",
    "n_ctx": "context",
    "num_predict": "max_tokens",
    "n_predict": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "stop": "stop",
}
"""Options of servers that are no sampling options of ours, and what we call them."""


def _option(name: str, kind: Kind, label: str) -> str:
    known = kind.aliases.get(name, name)
    if known in kind.options:
        return known
    if name in _SAID_ELSEWHERE:
        raise BadRequest(f"{name!r} is no sampling option.", hint=f"Say {_SAID_ELSEWHERE[name]}= instead.")
    near = difflib.get_close_matches(name, {*kind.options, *kind.aliases}, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(kind.options))}."
    raise BadRequest(f"{label} has no option {name!r}.", hint=hint)
