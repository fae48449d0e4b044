"""What the words of the Gemini API mean: address and key, what a Gemma can there, refusals as errors of ours."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from gemmagraph.backends.network.http import Answer
from gemmagraph.backends.openai.words import bare, is_error
from gemmagraph.backends.words import Place, hint_for, key_given, no_reply, page_shown, without_login
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
from gemmagraph.prompts.catalog import Family, family_of
from gemmagraph.prompts.errors import NotationError
from gemmagraph.prompts.messages import JSON

HOSTED: Final = "https://generativelanguage.googleapis.com"
_WRITE: Final = "Write it without a path, as GOOGLE_GEMINI_BASE_URL is written: https://HOST."
KEYS: Final = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
"""The variables of the key, in the order in which Google's own clients look."""
_KEY: Final = "api_key=, or GEMINI_API_KEY (aistudio.google.com makes one)."


class Quota(RateLimited):
    """A quota is used up."""

    seconds: float | None = None
    """Until there is more of it; infinite if that takes long. None if nothing was said."""


def address(given: str | None = None) -> str:
    """Where the API is: the given address, else that of GOOGLE_GEMINI_BASE_URL, else Google's own.

    Raises:
        AgentError: it is no address of a server.
    """
    url = (given if given is not None else os.environ.get("GOOGLE_GEMINI_BASE_URL", "")).strip().rstrip("/")
    url = url.removesuffix("/v1beta")
    if not url:
        return HOSTED
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits or re.search(r"[\s?#]", url):
        raise AgentError(f"{without_login(url)!r} is no address of the Gemini API.", hint=_WRITE)
    return url


def key(given: str | None = None) -> str:
    """The key: the given one, else that of the environment, else none.

    Raises:
        AgentError: it holds what no key does.
    """
    first, last = KEYS
    return key_given(given or os.environ.get(first), last, " of the Gemini API")


def family(model: str) -> Family | None:
    """The family of a model; None if it is no Gemma."""
    try:
        return family_of(model)
    except NotationError:
        return None


def takes_tools(model: str) -> bool:
    """Whether the API takes tools, system text and JSON Schemas for a model; for Gemma 3 and older it does not."""
    found = family(model)
    return found is None or found.system_turn


def refusal(answer: Answer, place: Place) -> BackendError:
    """The error for an answer that is no reply."""
    text = place.masked(answer.text)
    shown = page_shown(answer, text)
    if shown is not None:
        return BackendUnavailable(
            f"{place.label} answered with a page (status {answer.status}), not as the Gemini API does: {shown!r}.",
            hint="Check base_url. A proxy or a login may be in between.",
        )
    if answer.status < 400 and not is_error(text):
        return no_reply(answer, text, place.label, "Check base_url.")
    return named_error(answer.status, text, place)


def named_error(status: int, text: str, place: Place, *, late: bool = False) -> BackendError:
    """The error that Google's own words describe.

    Args:
        late: whether it came in the middle of a reply.
    """
    words, facts = bare(place.masked(text))
    words = words or "it does not say why"
    lower = words.lower()
    if status == 400 and "token" in lower and "exceeds" in lower:
        return _overflow(words)
    if status in (401, 403) or "api key" in lower:
        return _unauthorized(status, words, place)
    if re.search(r"(?:function calling|tool use).*(?:not enabled|not supported|unsupported)", lower):
        return BadRequest(
            f"The model does not support tools on {place.label}: {words}.", hint='Say transport="chat".'
        )
    if status == 404:
        if "model" in lower:
            return ModelNotFound(f"{place.label}: {words}.")
        return BackendUnavailable(f"{place.label} has no such page: {words}.", hint="Check base_url.")
    if status == 429:
        return _quota(words, facts, place)
    kind, hint = _BY_STATUS.get(
        status, (ServerError, "Ask again.") if status >= 500 else (BadRequest, hint_for(status))
    )
    if "modality is not enabled" in lower:
        hint = "Leave pictures out, or take a model that can look at them, such as gemma-3-27b-it."
    when = "failed in the middle of the reply" if late else f"failed (status {status})"
    return kind(f"{place.label} {when}: {words}.", hint=hint)


_BY_STATUS: Final[Mapping[int, tuple[type[BackendError], str]]] = {
    408: (BackendTimeout, "Try again."),
    500: (ServerError, "That is Google's own failure: ask again, or shorten the prompt."),
    502: (BackendUnavailable, "Try again later."),
    503: (BackendUnavailable, "The model is overloaded: try again later, or take another."),
    504: (BackendTimeout, "Try again; a long prompt may take the model too long."),
}


def _unauthorized(status: int, words: str, place: Place) -> Unauthorized:
    if place.key:
        return Unauthorized(
            f"{place.label} refuses the key (status {status}): {words}.", hint=f"Give the right one: {_KEY}"
        )
    return Unauthorized(
        f"{place.label} wants a key, and there is none (status {status}): {words}.", hint=f"Give one: {_KEY}"
    )


def _overflow(words: str) -> ContextOverflow:
    numbers = [int(found.replace(",", "")) for found in re.findall(r"\((\d[\d,]*)\)", words)]
    hint = "Shorten it, or take a model with a larger window."
    if len(numbers) != 2:
        return ContextOverflow(f"The prompt does not fit the context window: {words}.", hint=hint)
    asked, window = numbers
    return ContextOverflow(
        f"The prompt of {asked:,} tokens does not fit the context window of {window:,}.", hint=hint
    )


def _quota(words: str, facts: Mapping[str, JSON], place: Place) -> Quota:
    details = list(_details(facts))
    spent = [str(each.get("quotaId", "")) for detail in details for each in detail.get("violations") or ()]
    waits = [str(detail.get("retryDelay", "")) for detail in details]
    error = Quota(f"{place.label} takes no more requests for now: {words}.", hint="Try again later.")
    if any("PerDay" in each for each in spent):
        error.seconds = math.inf  # what Google says then is when the next minute begins
        error.hint = "The quota of the day is used up: try again tomorrow, or take another model or plan."
    elif re.search(r"limit: 0\b", words):
        error.seconds = math.inf
        error.hint = "The plan of the key does not hold this model: take another, or another plan."
    elif found := next(filter(None, (re.fullmatch(r"(\d+(?:\.\d+)?)s", wait) for wait in waits)), None):
        error.seconds = float(found[1])
        error.hint = f"Try again in {math.ceil(error.seconds)} s."
    return error


def _details(facts: Mapping[str, JSON]) -> Iterator[Mapping[str, JSON]]:
    details = facts.get("details")
    yield from (each for each in (details if isinstance(details, list) else ()) if isinstance(each, dict))
