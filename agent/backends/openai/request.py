"""A request as the JSON that a server takes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final, Literal, NamedTuple, TypeAlias

from gemmagraph.backends.base import Request
from gemmagraph.backends.openai.kinds import LLAMA_CPP, Body, Kind
from gemmagraph.backends.openai.messages import chat_messages, conversation, offer
from gemmagraph.backends.openai.probe import Server
from gemmagraph.backends.openai.words import cannot_see, takes_no_tools
from gemmagraph.backends.words import no_option
from gemmagraph.errors import BadRequest

Shape: TypeAlias = Literal["chat", "completion", "llama"]
"""Whose frames the reply is made of: `/v1/chat/completions`, `/v1/completions`, llama.cpp's own `/completion`."""


LEAST: Final = 32
"""Tokens of a reply that is worth having where there is no room for all that is asked for."""


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
        return as_json(body)

    def shorter(self, room: int | None) -> Written | None:
        """The same with a reply for which there is room, or half as long a one if that is not known; None if that is
        no reply any more."""
        asked = self.body.get("max_tokens") or 0
        most = room if room is not None and room < asked else asked // 2
        return self._replace(body={**self.body, "max_tokens": most}) if most >= LEAST else None


def as_json(body: Body) -> bytes:
    """The bytes of a body.

    Raises:
        BadRequest: some value in it is none of JSON.
    """
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
    is_whole = request.transport == "completion"
    if is_whole and kind.completion is None:
        raise BadRequest(
            f"{label} takes chat messages, not a finished prompt: it would write its own turns around it.",
            hint='Leave transport out, or say transport="chat".',
        )
    _refuse_what_it_lacks(request, server, label)
    request = _held(request, server, label)
    body: Body = {"model": request.model, "stream": True}
    body.update({_option(name, kind, label): value for name, value in request.options.items()})
    if request.stop:
        body["stop"] = list(request.stop)
    shape: Shape = "chat" if not is_whole else "llama" if kind is LLAMA_CPP else "completion"
    if request.max_tokens is not None:
        body["n_predict" if shape == "llama" else "max_tokens"] = request.max_tokens
    if request.messages is not None:
        body["messages"] = chat_messages(request.messages)
    elif request.prompt is None:
        body["messages"] = conversation(request.turns, kind.thoughts)
        body.update(offer(request, kind))
    else:
        body["prompt"] = request.prompt.removeprefix("<bos>") if server.adds_bos else request.prompt
    beside = kind.completion if is_whole and kind.completion else kind.chat
    body.update(beside(request))
    return Written(shape, body)


def _refuse_what_it_lacks(request: Request, server: Server, label: str) -> None:
    """Refuses what the server would leave out without a word.

    Raises:
        BadRequest: it would.
    """
    model = server.model(request.model)
    lacks = model.lacks if model else frozenset()
    if request.transport == "tools" and request.tools and "tools" in lacks:
        raise takes_no_tools(label, f"the chat template of {request.model!r} leaves them out")
    if not request.has_images:
        return
    if request.transport == "completion":
        raise BadRequest(f"{label} takes no images with a finished prompt.", hint='Say transport="chat".')
    if "vision" in lacks:
        raise cannot_see(label, f"{request.model!r} was loaded without what it takes")


def _held(request: Request, server: Server, label: str) -> Request:
    """The request with one constraint at most, one that the server can hold the reply to.

    Raises:
        BadRequest: it can hold it to none of those asked for.
    """
    grammar, schema = request.grammar, request.schema
    if request.transport == "tools" and (grammar or schema is not None):
        raise BadRequest(
            f"{label} holds no reply with tools of its own to a grammar or a JSON Schema.",
            hint='Say transport="chat".',
        )
    is_chat = request.transport == "chat"
    able = server.constraints if is_chat else server.constraints & server.kind.completion_constraints
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


def _option(name: str, kind: Kind, label: str) -> str:
    known = kind.aliases.get(name, name)
    if known in kind.options:
        return known
    raise no_option(name, kind.options, label)
