"""What is said in the same way of every server: addresses, keys, pages for people, prompts that were cut."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gemmagraph.errors import AgentError, BadRequest, ServerError
from gemmagraph.prompts.messages import JSON, ToolResult
from gemmagraph.prompts.notations.writing import shown_json

if TYPE_CHECKING:
    from gemmagraph.backends.base import Request
    from gemmagraph.backends.network.http import Answer

LETTERS_PER_TOKEN: Final = 12
"""No ordinary text has so many letters in a token, on average: fewer tokens were read than the prompt has."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is, and how errors call it."""

    label: str
    url: str
    key: str = field(default="", repr=False)

    def masked(self, text: str) -> str:
        """The text without the key: some servers say again what they refuse. A few characters are no secret, but may
        stand in any word."""
        return text.replace(self.key, "***") if len(self.key) >= 8 else text


def without_login(url: str) -> str:
    """An address as it may be shown: without a name and password in it."""
    return re.sub(r"(//|\A)[^/]*@", r"\1", url)


def key_given(api_key: str | None, variable: str, whose: str = "") -> str:
    """The key: the given one, else that of the environment, else none.

    Raises:
        AgentError: it holds what no key does.
    """
    key = (api_key or os.environ.get(variable, "")).strip()
    if not (key.isascii() and key.isprintable()):
        raise AgentError(f"The API key{whose} holds a character that no key has.", hint="Copy it anew.")
    return key


def bearer(key: str) -> dict[str, str]:
    """The header that shows a key, if there is one."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def page_shown(answer: Answer, text: str) -> str | None:
    """The words of a page for people, if the answer with that text is one."""
    if answer.media_type == "text/html" or text.lstrip()[:1] == "<" or 300 <= answer.status < 400:
        return " ".join(re.sub(r"<[^>]*>", " ", text).split())[:80]
    return None


def no_reply(answer: Answer, text: str, label: str, hint: str) -> ServerError:
    """The error for an answer with that text which says neither that it failed nor what a model would."""
    shown = " ".join(text.split())[:80]
    said = f"with {shown!r}" if shown else "with nothing"
    return ServerError(
        f"{label} answered {said} (status {answer.status}), which is no reply of a model server.", hint=hint
    )


def hint_for(status: int | None) -> str:
    """What to do about a refusal that says no more than its status."""
    return "" if status in _USUAL else "Check the address: model servers do not refuse like this."


_USUAL: Final = frozenset({400, 409, 413, 415, 422})
"""Refusals of requests, whose words say what is wrong with them."""

_SAID_ELSEWHERE: Final = {
    **dict.fromkeys(("num_ctx", "n_ctx"), "context"),
    **dict.fromkeys(("num_predict", "n_predict", "max_length", "max_new_tokens"), "max_tokens"),
    **dict.fromkeys(("max_output_tokens", "max_completion_tokens"), "max_tokens"),
    **dict.fromkeys(("stop", "stop_strings", "stop_sequences"), "stop"),
    **dict.fromkeys(("thinking_config", "thinking_level", "thinking_budget"), "thinking"),
}
"""Options of servers that are no sampling options of ours, and what we call them."""


def no_option(name: str, there: Collection[str], label: str) -> BadRequest:
    """That there is no such sampling option."""
    if name in _SAID_ELSEWHERE:
        return BadRequest(f"{name!r} is no sampling option.", hint=f"Say {_SAID_ELSEWHERE[name]}= instead.")
    near = difflib.get_close_matches(name, there, n=1, cutoff=0.8)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(there))}."
    return BadRequest(f"{label} has no option {name!r}.", hint=hint)


def result_text(result: ToolResult) -> str:
    """A result as text for a server, which takes nothing else."""
    content: JSON = {"error": result.content} if result.is_error else result.content
    return content if isinstance(content, str) else shown_json(content)


def near_names(model: str, there: Sequence[str]) -> list[str]:
    """Names of models that look like `model`, best first."""
    return difflib.get_close_matches(model, there, n=3, cutoff=0.5)


def smaller_window(request: Request, window: int) -> str:
    """That a model runs with fewer tokens of context than the request asks for; "" if it does not."""
    if not request.context or window >= request.context:
        return ""
    return f"{request.model} runs with {window:,} tokens of context, not with the {request.context:,} asked for"


def probably_cut(request: Request, counted: int) -> str:
    """That a server which counted so many tokens read much less than the prompt; "" if it did not."""
    letters = len(request.prompt or "") + sum(len(str(each.get("content", ""))) for each in request.messages or ())
    if request.transport == "tools":
        letters = sum(len(turn.text) for turn in request.turns)
    if not counted or counted * LETTERS_PER_TOKEN >= letters:
        return ""
    return f"{request.model} read {counted:,} tokens of a prompt of {letters:,} characters: it was probably cut"
