"""What an Ollama server's words mean: its address as people write it, its refusals as errors of ours."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Iterable, Mapping

from gemmagraph.backends.network.http import Answer
from gemmagraph.backends.words import hint_for, near_names, no_reply, page_shown, without_login
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
from gemmagraph.prompts.catalog import family_of
from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.messages import JSON

PORT = 11434
_IN_BETWEEN = "Check the address, and whether a proxy or a login page is in between."


def address(given: str | None = None) -> str:
    """The URL of the server, from what people write in OLLAMA_HOST (read if nothing is given): a host, a
    port, both, a URL. It is this machine if that is empty, too.

    Raises:
        AgentError: the scheme or the port is none.
    """
    value = (given if given is not None else os.environ.get("OLLAMA_HOST", "")).strip().strip("\"'").strip()
    scheme, found, rest = value.rpartition("://")
    shown = without_login(value)
    if found and scheme not in ("http", "https"):
        raise AgentError(f"{shown!r} is no address of an Ollama server.", hint="Write http://HOST:PORT or HOST:PORT.")
    place, _, path = rest.partition("/")
    login, at, place = place.rpartition("@")
    host, port = _host_and_port(place)
    number = int(port) if port.isdecimal() else -1
    if re.search(r"[\s\[\]?#\\]", host) or (":" in host and not _reachable(host).startswith("[")):
        raise AgentError(f"{shown!r} has no valid host name.", hint="Write http://HOST:PORT or HOST:PORT.")
    if port and not 0 < number < 65536:
        raise AgentError(f"{shown!r} has no valid port.", hint=f"Ollama's own is {PORT}.")
    if not port:
        number = {"http": 80, "https": 443}.get(scheme, PORT)
    return f"{scheme or 'http'}://{login}{at}{_reachable(host)}:{number}{'/' + path if path else ''}".rstrip("/")


def label_of(url: str) -> str:
    """How errors call the server; a password in its address is left out."""
    return f"Ollama at {without_login(url)}"


def refusal(answer: Answer, label: str, url: str) -> BackendError:
    """The error for an answer that is no reply."""
    if answer.status == 403 and not answer.text.strip():
        host = url.rpartition("//")[2]
        return BadRequest(
            f"{label} refuses requests for the host name in {host!r}.",
            hint="Ask it as 127.0.0.1, or let it listen on all addresses: OLLAMA_HOST=0.0.0.0 ollama serve.",
        )
    shown = page_shown(answer, answer.text)
    if shown is not None:
        return BackendUnavailable(
            f"{label} answered with a page (status {answer.status}), not with Ollama's protocol: {shown!r}.",
            hint=_IN_BETWEEN,
        )
    if answer.status < 400 and not _words(answer.text)[1].get("error"):
        return no_reply(answer, answer.text, label, _IN_BETWEEN)
    return named_error(answer.status, answer.text, label)


def named_error(status: int | None, text: str, label: str) -> BackendError:
    """The error that the server's own words describe.

    Args:
        status: None for an error in the middle of a reply, whose status was 200.
        text: the body: JSON with `error`, or plain words.
    """
    words, facts = _words(text)
    lower = words.lower()
    if facts.get("type") == "exceed_context_size_error" or "longer than the context length" in lower:
        return _overflow(facts, words)
    if status == 404 and "model" in lower and "not found" in lower:
        return ModelNotFound(f"{label}: {words}.")
    if "does not support thinking" in lower:
        return BadRequest(f"{label}: {words}.", hint="Leave `thinking` unset, or take a model that thinks.")
    if "does not support tools" in lower:
        return BadRequest(f"{label}: {words}.", hint='Say transport="chat": then we write the tools into the prompt.')
    if "image input" in lower:
        return BadRequest(f"{label}: {words}.", hint="Take a model that sees, such as gemma3:4b.")
    if status == 503 and "busy" in lower:
        return RateLimited(
            f"{label} takes no more requests: {words}", hint="Try again later, or raise OLLAMA_MAX_QUEUE."
        )
    kind, hint = BY_STATUS.get(status or 0, (None, ""))
    if kind is None:
        is_ours = status is not None and 400 <= status < 500
        kind, hint = (BadRequest, hint_for(status)) if is_ours else (ServerError, "")
    if kind is ServerError:
        hint = "Look at the server's log (`ollama serve` prints it)."
        if "memory" in lower or "unexpectedly stopped" in lower:
            hint = "Take a smaller model or a smaller context; the server's log says more."
    when = f"failed (status {status})" if status else "failed in the middle of the reply"
    return kind(f"{label} {when}: {words or 'it does not say why'}.".replace("..", "."), hint=hint)


BY_STATUS: Mapping[int, tuple[type[BackendError], str]] = {
    401: (Unauthorized, "Give the right key: api_key=, or OLLAMA_API_KEY."),
    403: (Unauthorized, "Give the right key: api_key=, or OLLAMA_API_KEY."),
    404: (BackendUnavailable, "Check the address: is it Ollama that answers there?"),
    405: (BackendUnavailable, "Check the address: is it Ollama that answers there?"),
    408: (BackendTimeout, "Try again."),
    429: (RateLimited, "Try again later."),
    504: (BackendTimeout, "Try again; a gateway in front of the server gave up waiting."),
}


def missing(model: str, there: Iterable[str], label: str) -> ModelNotFound:
    """`model` is not on the server, which has those that are `there`."""
    names = list(there)
    near = near_names(model, names)
    known = ""
    if names:
        known = f" It has: {', '.join(near or names[:8])}."
    return ModelNotFound(f"{label} has no model {model!r}.", hint=f"Get it with `ollama pull {model}`.{known}")


def blind(model: str, there: Iterable[str], label: str) -> BadRequest:
    """`model` sees no pictures; of those that are `there`, others may."""
    seeing = [name for name in there if name != model and _sees(name)]
    hint = f"Ask one that does: {', '.join(seeing[:3])}." if seeing else "Get one that does: ollama pull gemma3:4b"
    return BadRequest(f"{model!r} on {label} sees no pictures.", hint=hint)


def _sees(model: str) -> bool:
    try:
        return family_of(model).images
    except NotationError:  # no Gemma
        return False


def _overflow(facts: Mapping[str, JSON], words: str) -> ContextOverflow:
    prompt, window = facts.get("n_prompt_tokens"), facts.get("n_ctx")
    if not isinstance(prompt, int) or not isinstance(window, int):
        return ContextOverflow(
            f"The prompt does not fit the context window: {words}.", hint="Shorten it, or raise context=."
        )
    return ContextOverflow(
        f"The prompt of {prompt:,} tokens does not fit the context window of {window:,}.",
        hint=f"Ask for a larger one (context={2 ** prompt.bit_length()}), or shorten the prompt.",
    )


def _words(text: str) -> tuple[str, Mapping[str, JSON]]:
    """The server's words, and the facts beside them. An error of the engine below is JSON in a string."""
    facts: Mapping[str, JSON] = {}
    words: JSON = text
    for _ in range(8):
        if isinstance(words, dict):
            facts = words
            words = words.get("error") or words.get("message") or ""
            continue
        if not str(words).lstrip().startswith("{"):
            break
        try:
            words = json.loads(words)
        except ValueError:
            break
    return " ".join(str(words).split()).rstrip(".")[:300], facts


def _host_and_port(place: str) -> tuple[str, str]:
    """`[::1]:80`, `::1`, `host:80`, `host`, `:80`, taken apart."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", place)
    if bracketed:
        return bracketed[1], bracketed[2] or ""
    if place.count(":") > 1:
        return place, ""
    host, _, port = place.partition(":")
    return host, port


def _reachable(host: str) -> str:
    """The host to ask: addresses that mean "all of mine" to a server are this machine to us."""
    try:
        ip = ipaddress.ip_address(host or "127.0.0.1")
    except ValueError:
        return host
    if ip.is_unspecified:
        ip = ipaddress.ip_address("127.0.0.1" if ip.version == 4 else "::1")
    return f"[{ip}]" if ip.version == 6 else str(ip)
