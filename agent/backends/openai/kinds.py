"""The sorts of servers behind OpenAI's protocol, and what sets each apart: a row of a table for each.

Sources: the README of llama.cpp's server; vLLM's documentation of its OpenAI-compatible server and of structured
outputs; LM Studio's documentation of its developer API; the source of Ollama's `openai` package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from gemmagraph.backends.base import Constraint, Request
from gemmagraph.prompts.messages import JSON
from gemmagraph.prompts.native.marks import BY_OPENING
from gemmagraph.prompts.turns import GEMMA4

Body: TypeAlias = dict[str, JSON]

_STANDARD: Final = frozenset({"temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "logit_bias"})
_ALL: Final[frozenset[Constraint]] = frozenset({"grammar", "schema", "tool_choice"})
_PENALTY: Final = MappingProxyType({"repetition_penalty": "repeat_penalty"})


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of server."""

    name: str
    options: frozenset[str]
    """Sampling options that it understands; many ignore other names without a word."""
    aliases: Mapping[str, str]
    """Usual names of options by which it does not know them."""
    chat: Callable[[Request], Body]
    """What a chat request holds beside the fields that all servers take."""
    completion: Callable[[Request], Body] | None = None
    """The same of a request with a whole prompt; None where the server has its template around each prompt."""
    constraints: frozenset[Constraint] = frozenset({"schema"})
    """What it can hold a reply to that is no completion of a whole prompt."""
    completion_constraints: frozenset[Constraint] = frozenset()
    """What it can hold a reply to a whole prompt to."""
    tool_choice: Literal["objects", "words", ""] = "objects"
    """How it is told whether to call a tool: in OpenAI's way, where a tool is named in an object; by words only; not
    at all."""
    thoughts: str = ""
    """The field of a message for what the model thought; some servers refuse a message with one they do not know."""
    tokenize: Callable[[str, str], Body] | None = None
    """What its page `/tokenize` gets for a model and a text, to count control marks as such and no BOS."""
    takes_marks: bool = False
    """Whether the grammar of a reply to a whole prompt may name control tokens."""
    warning: str = ""
    """What its users should know."""
    at_once: int = 16
    """How many requests it gets at a time from this process, when it does not say itself."""


def _response_format(request: Request) -> Body:
    if request.schema is None:
        return {}
    described = {"name": "reply", "schema": dict(request.schema)}
    return {"response_format": {"type": "json_schema", "json_schema": described}}


# llama.cpp: its own page `/completion` shows the control marks that it is told of, `/v1/completions` none.

_ENDS: Final = frozenset({"<eos>", "<end_of_turn>", "<turn|>", "<|tool_response>"})
"""Tokens at which generation ends. Told of them, the server writes them into the reply."""
_SHOWN: Final = (
    *(mark for marks in BY_OPENING.values() for mark in (marks.call, marks.call_end, marks.quote)),
    GEMMA4.thought[0].partition("thought")[0],
    GEMMA4.thought[1],
)
"""Marks that readers look for. A vocabulary without one of them is no error."""


def _thinking(request: Request) -> Body:
    """Their templates think unless they are told not to."""
    return {"chat_template_kwargs": {"enable_thinking": bool(request.thinking)}}


def _llama_chat(request: Request) -> Body:
    held = {"grammar": request.grammar.gbnf} if request.grammar else _response_format(request)
    return {"cache_prompt": True, **_thinking(request), **held}


def _llama_completion(request: Request) -> Body:
    body: Body = {"cache_prompt": True}
    # A stop string that is a control token is met only where it is shown.
    shown = [*_SHOWN, *(stop for stop in request.stop if stop not in _ENDS)]
    if request.grammar:
        body["grammar"] = request.grammar.gbnf
        shown += request.grammar.preserved_tokens
    body["preserved_tokens"] = list(dict.fromkeys(shown))
    return body


LLAMA_CPP: Final = Kind(
    name="llama.cpp",
    options=_STANDARD
    | {
        *("top_k", "min_p", "typical_p", "repeat_last_n", "repeat_penalty", "n_keep", "samplers", "min_keep"),
        *("dynatemp_range", "dynatemp_exponent", "mirostat", "mirostat_tau", "mirostat_eta", "top_n_sigma"),
        *("xtc_probability", "xtc_threshold"),
        *("dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers"),
    },
    aliases=MappingProxyType({**_PENALTY, "typical": "typical_p"}),
    chat=_llama_chat,
    completion=_llama_completion,
    constraints=_ALL,
    # Built with LLGuidance, it writes whatever it likes under the `json_schema` of this page, with status 200.
    completion_constraints=frozenset({"grammar"}),
    tool_choice="words",  # an object means `auto`, without a word
    thoughts="reasoning_content",
    tokenize=lambda model, text: {"content": text, "add_special": False, "parse_special": True},
    takes_marks=True,
    at_once=1,
)

# vLLM drops control tokens from the text, and puts spaces between those it is told to leave in.

_AS_IT_IS: Final[Mapping[str, JSON]] = {"skip_special_tokens": False, "spaces_between_special_tokens": False}


def _vllm_held(request: Request) -> Body:
    if request.grammar:
        return {"structured_outputs": {"grammar": request.grammar.gbnf}}
    return {} if request.schema is None else {"structured_outputs": {"json": dict(request.schema)}}


VLLM: Final = Kind(
    name="vLLM",
    options=_STANDARD
    | {"top_k", "min_p", "repetition_penalty", "min_tokens", "length_penalty", "stop_token_ids", "bad_words"},
    aliases=MappingProxyType({"repeat_penalty": "repetition_penalty"}),
    chat=lambda request: {**_AS_IT_IS, **_thinking(request), **_vllm_held(request)},
    completion=lambda request: {**_AS_IT_IS, "add_special_tokens": False, **_vllm_held(request)},
    constraints=_ALL,
    completion_constraints=frozenset({"grammar", "schema"}),
    thoughts="reasoning",
    tokenize=lambda model, text: {"model": model, "prompt": text, "add_special_tokens": False},
)


def _with_effort(request: Request) -> Body:
    return {**({"reasoning_effort": "medium"} if request.thinking else {}), **_response_format(request)}


LM_STUDIO: Final = Kind(
    name="LM Studio",
    options=_STANDARD | {"top_k", "min_p", "repeat_penalty"},
    aliases=_PENALTY,
    chat=_with_effort,
    completion=lambda request: {},
    # It refuses objects; told that a call is required, it may send an empty reply (its bug tracker, 1904).
    tool_choice="words",
    at_once=1,
)

OLLAMA: Final = Kind(
    name="Ollama",
    options=_STANDARD - {"logit_bias"},
    aliases=MappingProxyType({}),
    # A model that can think does, unless it is told not to.
    chat=lambda request: {"reasoning_effort": "medium" if request.thinking else "none", **_response_format(request)},
    tool_choice="",
    thoughts="reasoning",
    warning="cuts a prompt that is too long without a word when it is asked like this: say ollama:MODEL",
    at_once=1,
)

PLAIN: Final = Kind(
    name="",
    options=_STANDARD | {"top_k", "min_p", "top_a", "repetition_penalty"},
    aliases=MappingProxyType({"repeat_penalty": "repetition_penalty"}),
    chat=_with_effort,
    completion=lambda request: {},
    constraints=frozenset({"schema", "tool_choice"}),
)
"""A server that does not say what it is: hosted ones, gateways."""
