"""A request as the JSON that an Ollama server takes."""

from __future__ import annotations

import json
import math
import re
from typing import Final, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from gemmagraph.backends.base import Request
from gemmagraph.backends.ollama.models import Facts
from gemmagraph.backends.ollama.tools import declared, encoded, messages_of
from gemmagraph.backends.words import no_option
from gemmagraph.errors import BadRequest
from gemmagraph.prompts import turns
from gemmagraph.prompts.messages import JSON
from gemmagraph.prompts.native import marks as native_marks
from gemmagraph.prompts.toolset import Toolset

Body: TypeAlias = dict[str, JSON]

OPTIONS: Final = frozenset(
    {
        *("seed", "temperature", "top_k", "top_p", "min_p", "typical_p"),
        *("repeat_last_n", "repeat_penalty", "presence_penalty", "frequency_penalty"),
        *("num_keep", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict"),
    }
)
"""What the server understands; it ignores other names without a word."""
ALIASES: Final = {"repetition_penalty": "repeat_penalty", "typical": "typical_p"}
_DURATION: Final = re.compile(r"[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+)")
"""Lengths of time as Go writes them."""


class Written(NamedTuple):
    """A request as it is sent."""

    page: str
    body: bytes


def written(request: Request, facts: Facts) -> Written:
    """The request for a server.

    `truncate` and `shift` are off, so that what does not fit is an error and not a silent cut. They and `num_ctx` are
    the same on every request, since another value makes the server load the model anew. The server lets a model think
    unless it is told not to.

    Raises:
        BadRequest: the server cannot do what is asked.
    """
    options = dict(request.options)
    body: Body = {"model": request.model, "stream": True, "truncate": False, "shift": False}
    if request.thinking or not facts.lacks("thinking"):
        body["think"] = bool(request.thinking)
    if "keep_alive" in options:
        body["keep_alive"] = _keep_alive(options.pop("keep_alive"))
    said: Body = {_option(name): value for name, value in options.items()}
    if request.context is not None:
        said["num_ctx"] = request.context
    if request.max_tokens is not None:
        said["num_predict"] = request.max_tokens
    if request.stop:
        said["stop"] = list(request.stop)
    page, asked = {"chat": _chat, "tools": _by_server, "completion": _raw}[request.transport](request, facts)
    try:
        whole = {**body, "options": said, **asked}
        text = json.dumps(whole, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as exc:
        raise BadRequest(f"The request cannot be written as JSON: {exc}.") from exc
    return Written(page, text.encode("utf-8", "replace"))  # half a surrogate pair is no text


def _chat(request: Request, facts: Facts) -> tuple[str, Body]:
    messages = []
    for message in request.messages or ():
        images = message.get("images")
        messages.append({**message, "images": encoded(images)} if images else dict(message))
    body: Body = {"messages": messages}
    if request.schema is not None:
        if facts.capabilities is not None and "schema" not in facts.constraints:
            raise BadRequest(
                f"Ollama holds no reply of {request.model} to a JSON Schema.",
                hint="Take a model in the GGUF format, or ask without.",
            )
        body["format"] = dict(request.schema)
    _refuse_grammar(request)
    return "/api/chat", body


def _by_server(request: Request, facts: Facts) -> tuple[str, Body]:
    if request.schema is not None:
        raise BadRequest(
            "Ollama holds a reply to a JSON Schema or lets the model call tools, not both at once.",
            hint='Say transport="chat": there the schema can have a place for calls.',
        )
    _refuse_grammar(request)
    body: Body = {"messages": list(messages_of(request.turns))}
    if request.tools:
        body["tools"] = _declared(request.tools, facts.plain_parameters)
    return "/api/chat", body


def _raw(request: Request, facts: Facts) -> tuple[str, Body]:
    prompt = request.prompt or ""
    mark = _native_mark(prompt)
    if mark:
        raise BadRequest(
            f"Ollama drops control tokens such as {mark} from what the model writes to a whole prompt, so calls in "
            "this notation would come back without their marks.",
            hint='Say transport="tools", where Ollama itself reads them; or take a notation of plain text, such as '
            "function_call.",
        )
    if request.has_images:
        raise BadRequest("A whole prompt holds no pictures.", hint='Leave transport out, or say transport="chat".')
    if request.schema is not None:
        raise BadRequest("A reply to a whole prompt is held to no JSON Schema.", hint='Say transport="chat".')
    _refuse_grammar(request)
    return "/api/generate", {"prompt": prompt, "raw": True}


def _refuse_grammar(request: Request) -> None:
    if request.grammar is not None and request.schema is None:
        raise BadRequest("Ollama takes no grammar.", hint="Give it a JSON Schema instead, or ask without.")


def _native_mark(prompt: str) -> str:
    """The control token around calls that a prompt asks for, or around thoughts; "" if all is plain text.

    Only marks of the family that the prompt is written for count: for another they are ordinary text.
    """
    begin = prompt.removeprefix("<bos>")
    if begin.startswith(turns.GEMMA4.open):
        marks, thought = native_marks.GEMMA4, turns.GEMMA4.think.strip()
        if thought in prompt:
            return turns.GEMMA4.thought[0].partition(">")[0] + ">"
    elif begin.startswith(turns.FUNCTIONGEMMA.open + turns.FUNCTIONGEMMA.system_role):
        marks = native_marks.FUNCTIONGEMMA
    else:
        return ""
    return marks.call if marks.declaration in prompt else ""


_DECLARED: WeakKeyDictionary[Toolset, dict[bool, list[JSON]]] = WeakKeyDictionary()
"""The tools of a toolset as the server takes them: written once, not at each step."""


def _declared(tools: Toolset, plain: bool) -> list[JSON]:
    kept = _DECLARED.setdefault(tools, {})
    if plain not in kept:
        kept[plain] = [declared(spec, plain=plain) for spec in tools]
    return kept[plain]


def _keep_alive(value: JSON) -> JSON:
    """How long the model stays in memory after a request, if that is such a length."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if is_number or (isinstance(value, str) and _DURATION.fullmatch(value)):
        return value
    raise BadRequest(
        f"keep_alive={value!r} is no length of time.",
        hint='Say seconds, or a text such as "10m" or "1h30m"; -1 is for ever, 0 not at all.',
    )


def _option(name: str) -> str:
    known = ALIASES.get(name, name)
    if known in OPTIONS:
        return known
    raise no_option(name, {*OPTIONS, "keep_alive"}, "Ollama")
