"""What the words of an OpenAI-compatible server mean: its address, and its refusals as errors of ours.

Servers agree on little here. The error is an object (OpenAI, llama.cpp), a string (LM Studio), the whole body (older
vLLM), `detail` (FastAPI), or stands in a list (Google); its status may be 200.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from gemmagraph.backends.network.http import Answer
from gemmagraph.backends.words import Place, hint_for, near_names, no_reply, page_shown, without_login
from gemmagraph.errors import (
    AgentError,
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    BadRequest,
    ContextOverflow,
    ModelNotFound,
    RateLimited,
    ServerError,
    Unauthorized,
)
from gemmagraph.prompts.messages import JSON

HOSTED: Final = "https://api.openai.com/v1"
_WRITE: Final = "Write it as OPENAI_BASE_URL is written: http://HOST:PORT/v1."
_PAGES: Final = ("/chat/completions", "/completions", "/models", "/responses")
"""What people copy along with the address."""


class UsageRefused(BadRequest):
    """The server knows no `stream_options`."""


class StillLoading(BackendUnavailable):
    """The server is up, and its model is not."""


class NoRoom(ContextOverflow):
    """The prompt fits the window, as far as the server says, and not all of the reply that is asked for."""

    room: int | None = None
    """Tokens that are left for the reply; None if the server does not say how many."""


def address(given: str | None = None) -> str:
    """The base URL of the server, as people write it in OPENAI_BASE_URL (read if nothing is given).

    Raises:
        AgentError: it is no URL, or one of a page behind the base URL.
    """
    url = (given if given is not None else os.environ.get("OPENAI_BASE_URL", "")).strip().strip("\"'").rstrip("/")
    if not url:
        return HOSTED
    shown = without_login(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise AgentError(f"{shown!r} is no address of a server.", hint=_WRITE) from exc
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or re.search(r"\s", url):
        raise AgentError(f"{shown!r} is no address of a server.", hint=_WRITE)
    if parts.query or parts.fragment:
        raise AgentError(f"{shown!r} has something behind its path.", hint=_WRITE)
    meant = re.sub(r"(/v1){2,}$", "/v1", next((url.removesuffix(page) for page in _PAGES if url.endswith(page)), url))
    if meant != url:
        raise AgentError(f"{shown!r} is no base URL.", hint=f"Did you mean {without_login(meant)!r}?")
    return url


def bare(text: str) -> tuple[str, Mapping[str, JSON]]:
    """What a server says about an error, and the facts beside it."""
    facts: Mapping[str, JSON] = {}
    try:
        said: JSON = json.loads(text) if text.lstrip()[:1] in ("{", "[") else text
    except (ValueError, RecursionError):
        said = text
    for _ in range(8):
        if isinstance(said, list) and said:
            said = said[0]
        elif isinstance(said, dict):
            facts = {**facts, **said}
            said = said.get("error") or said.get("message") or said.get("detail") or said.get("msg") or ""
        else:
            break
    place = facts.get("loc")  # FastAPI: what its words are about
    words = f"{said} ({'.'.join(map(str, place))})" if isinstance(place, list) else str(said)
    return " ".join(words.split()).rstrip(".")[:300], facts


def refusal(answer: Answer, place: Place) -> BackendError:
    """The error for an answer that is no reply."""
    text = place.masked(answer.text)
    if re.search(r"http request .*https (?:server|port)", text, re.IGNORECASE):
        return BackendUnavailable(
            f"{place.label} speaks HTTPS only.", hint=f"Write https://{without_login(place.url).partition('://')[2]}."
        )
    shown = page_shown(answer, text)
    if shown is not None:
        return BackendUnavailable(
            f"{place.label} answered with a page (status {answer.status}), not as a model server does: {shown!r}.",
            hint="Check the address; it ends in /v1 for most servers. A proxy or a login may be in between.",
        )
    if answer.status == 200 and "unexpected endpoint" in text.lower():  # LM Studio, of a wrong path
        return _elsewhere(place, bare(text)[0])
    if answer.status < 400 and not is_error(text):
        if not bare(text)[1].keys().isdisjoint({"choices", "content"}):
            return ServerError(
                f"{place.label} did not stream its reply.", hint="Use a server that streams chat completions."
            )
        return no_reply(answer, text, place.label, "Check the address; it ends in /v1 for most servers.")
    return named_error(None if answer.status == 200 else answer.status, text, place)


def named_error(status: int | None, text: str, place: Place) -> BackendError:
    """The error that the server's own words describe.

    Args:
        status: None for an error in the middle of a reply, whose status was 200.
    """
    words, facts = bare(place.masked(text))
    lower = words.lower()
    if _is_overflow(lower, facts):
        return _overflow(words, facts)
    if "stream_options" in text and status in (400, 422):
        return UsageRefused(f"{place.label} refuses stream_options: {words}.")
    no_such_model = re.search(r"model.*(?:not found|does not exist)|not a valid model", lower)
    if facts.get("code") == "model_not_found" or (no_such_model and status in (400, 404)):
        return ModelNotFound(f"{place.label}: {words}.")
    if status in (401, 403):
        return _unauthorized(status, words, place)
    if status == 503 and re.search(r"loading model|model\b.*\bloading", lower):
        return StillLoading(
            f"{place.label} is still loading its model (status 503): {words}.", hint="Wait until it has; try again."
        )
    if status != 429 and _NO_TOOLS.search(lower):
        return takes_no_tools(place.label, words)
    if status != 429 and _NO_IMAGES.search(lower):
        return cannot_see(place.label, words)
    if status in (404, 405):
        return _elsewhere(place, words)
    kind, hint = _BY_STATUS.get(status or 0, (None, ""))
    if kind is None:
        is_theirs = status is None or status >= 500
        kind, hint = (ServerError, "Look at the server's log.") if is_theirs else (BadRequest, hint_for(status))
    when = f"failed (status {status})" if status else "failed in the middle of the reply"
    return kind(f"{place.label} {when}: {words or 'it does not say why'}.", hint=hint)


_BY_STATUS: Final[Mapping[int, tuple[type[BackendError], str]]] = {
    402: (Unauthorized, "The account behind the key has to be paid up."),
    408: (BackendTimeout, "Try again."),
    429: (RateLimited, "Try again later; the account may also have no credit left."),
    502: (BackendUnavailable, "A gateway answers, but not the server behind it: is that running?"),
    503: (BackendUnavailable, "It is overloaded, or still loads its model: try again later."),
    504: (BackendTimeout, "Try again; a gateway in front of the server gave up waiting."),
    529: (RateLimited, "Try again later."),
}


_NO_TOOLS: Final = re.compile(
    r"does not support (?:tool|function)|enable-auto-tool-choice|tool-call-parser|requires --jinja|support tool use"
    r"|(?:tools?|functions?)(?:[ _-]?(?:call(?:ing|s)?|use|choice))?['\"`]? (?:is|are) not (?:supported|enabled)"
    r"|support the provided 'tool_choice'"
)
_NO_IMAGES: Final = re.compile(
    r"image input is not supported|is not a multimodal model|at most 0 image|not support image|support image input"
)
_TO_GET_TOOLS: Final = {
    "--tool-call-parser": "Start vLLM with --enable-auto-tool-choice --tool-call-parser gemma4 (or functiongemma)",
    "--jinja": "Start llama.cpp's server with --jinja",
    "chat template": "Start llama.cpp's server with a template that shows tools (--chat-template-file)",
}


def takes_no_tools(label: str, why: str) -> BadRequest:
    """The server declares no tools to the model, or reads no calls. Who asks looks for the words `does not support
    tools`, which Ollama was the first to use."""
    get = next((f"{hint}, or leave" for words, hint in _TO_GET_TOOLS.items() if words in why), "Leave")
    return BadRequest(
        f"{label} does not support tools as it runs now: {why}.",
        hint=f'{get} transport="tools" out: they are put into the prompt then.',
    )


def cannot_see(label: str, why: str) -> BadRequest:
    """The model has no eyes there."""
    return BadRequest(
        f"{label} does not take images: {why}.",
        hint="Take a model that can see, such as gemma3:4b. llama.cpp's server needs its second file, too: --mmproj.",
    )


def missing(model: str, there: Iterable[str], place: Place) -> ModelNotFound:
    """`model` is not on the server, which has those that are `there`."""
    names = list(there)
    if not names:
        return ModelNotFound(f"{place.label} has no model {model!r}.", hint="Ask whoever runs it what its name is.")
    near = near_names(model, names)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return ModelNotFound(
        f"{place.label} has no model {model!r}.", hint=f"{hint}It has: {', '.join(near or names[:8])}."
    )


def _elsewhere(place: Place, words: str) -> BackendUnavailable:
    return BackendUnavailable(
        f"{place.label} has no such page: {words or 'it does not say more'}.",
        hint="Check base_url: for most servers it ends in /v1, and nothing follows.",
    )


def _unauthorized(status: int, words: str, place: Place) -> Unauthorized:
    said = f": {words}" if words else ""
    if place.key:
        return Unauthorized(
            f"{place.label} refuses the key (status {status}){said}.",
            hint="Give the right key for this server: api_key=, or OPENAI_API_KEY.",
        )
    return Unauthorized(
        f"{place.label} wants a key, and there is none (status {status}){said}.",
        hint="Give one: api_key=, or OPENAI_API_KEY.",
    )


def _is_overflow(lower: str, facts: Mapping[str, JSON]) -> bool:
    """Whether an error says that the prompt is too long."""
    kinds = {str(facts.get("type")), str(facts.get("code"))}
    if kinds & {"exceed_context_size_error", "context_length_exceeded"}:
        return True
    return any(
        words in lower
        for words in (
            *("maximum context length", "maximum model length", "context length of only", "available context"),
            _MOST,
        )
    )


_WINDOW: Final = re.compile(
    r"(?:context length is|(?:context|model) length of(?: only)?|context size \(?|n_ctx:?) ?([\d,]*\d)", re.IGNORECASE
)
_ASKED: Final = re.compile(
    r"(?:you requested|your request has|resulted in|contains(?: at least)?|prompt \(length|request \() ?([\d,]*\d)"
    r"\b(?! output)",
    re.IGNORECASE,
)
_MOST: Final = "request fewer output tokens"
"""vLLM, of a reply that is longer than the window."""
_PARTS: Final = re.compile(r"([\d,]*\d) (?:tokens )?(?:in|for|from) (?:the|your) (?:input )?(\w+)")
"""What OpenAI, SGLang and older vLLM say that the tokens are for."""


def _overflow(words: str, facts: Mapping[str, JSON]) -> ContextOverflow:
    window, asked = facts.get("n_ctx"), facts.get("n_prompt_tokens")
    if not isinstance(window, int) or not isinstance(asked, int):
        window, asked = _number(_WINDOW, words), _asked(words)
    hint = "Shorten it, ask for fewer tokens of reply (max_tokens=), or start the server with a larger context."
    if _MOST in words:
        return NoRoom(f"The context window is smaller than the reply that is asked for: {words}.", hint=hint)
    if window is None or asked is None:
        return ContextOverflow(f"The prompt does not fit the context window: {words}.", hint=hint)
    if asked <= window:  # then it is the reply that has no room
        error = NoRoom(
            f"The prompt of {asked:,} tokens leaves too little of the context window of {window:,}: {words}.",
            hint=hint,
        )
        # Newer vLLM counts no further than it has to, to refuse.
        error.room = None if "at least" in words else window - asked
        return error
    return ContextOverflow(
        f"The prompt of {asked:,} tokens does not fit the context window of {window:,}.", hint=hint
    )


def _asked(words: str) -> int | None:
    """The tokens of the prompt."""
    parts = [int(number.replace(",", "")) for number, part in _PARTS.findall(words) if part != "completion"]
    return sum(parts) if parts else _number(_ASKED, words)


def _number(pattern: re.Pattern[str], words: str) -> int | None:
    found = pattern.search(words)
    return int(found[1].replace(",", "")) if found else None


def is_error(text: str) -> bool:
    """Whether a body says what went wrong, whatever its status."""
    _, facts = bare(text)
    return bool(facts.get("error")) or facts.get("object") == "error"
