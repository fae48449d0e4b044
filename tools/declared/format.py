"""The whole format: an assistant file, and the tools file that it may include."""

from __future__ import annotations

from typing import Any, Final

from gemmagraph.prompts.messages import JSON
from gemmagraph.tools.declared.bots import BOTS
from gemmagraph.tools.declared.connections import CONNECTIONS, SECRETS, SETTINGS
from gemmagraph.tools.declared.forms import SIZE, Boolean, Number, whole
from gemmagraph.tools.declared.imports import IMPORT
from gemmagraph.tools.declared.people import GROUPS, LIMITS, RULE, TOOLSETS
from gemmagraph.tools.declared.structures import Either, Key, Keys, Listing, Short
from gemmagraph.tools.declared.tools import DEFAULTS, TOOL
from gemmagraph.tools.declared.vocabulary import SECRET, SOME_TEXT, TEMPLATE, URL

_SAMPLING = {
    "temperature": Key(Number(0, 10), "How freely it chooses words; 0 is the likeliest each time."),
    "top_p": Key(Number(0, 1), "Only the likeliest words that together have this probability."),
    "top_k": Key(whole(0), "Only this many of the likeliest words."),
    "min_p": Key(Number(0, 1), "Only words with this share of the likeliest one's probability."),
    "seed": Key(whole(), "Makes the choice repeatable, where the server can."),
    "repeat_penalty": Key(Number(0), "How much words that were used already are held back."),
    "presence_penalty": Key(Number(), "How much words that were used at all are held back."),
    "frequency_penalty": Key(Number(), "How much words are held back for each time they were used."),
}

MODEL: Final = Either(
    Short(SOME_TEXT, "name"),
    Keys(
        "model",
        {
            "name": Key(SOME_TEXT, "Backend and model: `ollama:gemma3:4b`.", required=True),
            "base_url": Key(URL, "The server's address."),
            "api_key": Key(SECRET, "The server's key, as a secret."),
            "context": Key(SIZE, "Tokens of context."),
            "max_tokens": Key(SIZE, "The most tokens of one reply."),
            "thinking": Key(Boolean(), "Whether it thinks before it speaks, where it can."),
            "notation": Key(SOME_TEXT, "How it writes calls; its family's own unless said."),
            "fallback": Key(Listing(SOME_TEXT), "Models that are asked when it cannot be reached, in this order."),
            **_SAMPLING,
        },
        says="The model, and how it is asked.",
    ),
    right="the name of a model or a mapping with name",
)

_SHARED = {
    "version": Key(Number(1, 1, right="1, the version that is read here"), "The version of the format: 1."),
    "include": Key(Listing(SOME_TEXT), "Files of tools that belong to this one, relative to it."),
    "secrets": Key(SECRETS, "Where secrets are found; used as `{{ secrets.NAME }}`."),
    "settings": Key(SETTINGS, "Values that differ from place to place; used as `{{ settings.NAME }}`."),
    "connections": Key(CONNECTIONS, "Clients that tools share."),
    "defaults": Key(DEFAULTS, "What holds for each tool of this file that says nothing else."),
    "tools": Key(Listing(TOOL), "The tools."),
    "imports": Key(Listing(IMPORT), "Tools from OpenAPI documents and MCP servers."),
}

_OWN = {
    "model": Key(MODEL, "The model: its name, or a mapping."),
    "instructions": Key(TEMPLATE, "What the model is told before the conversation."),
    "store": Key(SECRET, "Where threads and approvals are kept: `sqlite:///agent.db`."),
    "groups": Key(GROUPS, "Groups of people, by ids that never change."),
    "toolsets": Key(TOOLSETS, "Some of the tools under a name."),
    "policy": Key(Listing(RULE), "Rules: `deny` first, then the first that fits, then the tool's own approval."),
    "limits": Key(LIMITS, "How much one run, and one user, may use."),
    "bots": Key(BOTS, "Chat services in which it answers."),
}

ASSISTANT: Final = Keys("assistant", {**_SHARED, **_OWN}, says="A whole assistant: model, tools, rules, bots.")
TOOLS: Final = Keys(
    "tools",
    _SHARED,
    says="Tools for assistant files to include.",
    why=dict.fromkeys(_OWN, "Only an assistant file has it, a file of tools has not."),
)

MERGED_LISTS: Final = ("tools", "imports")
MERGED_TABLES: Final = ("secrets", "settings", "connections")
"""What the files that are included add to."""


def assistant_schema() -> dict[str, JSON]:
    """The JSON Schema (2020-12) of an assistant file."""
    return _schema(ASSISTANT, "gemmagraph assistant file")


def tools_schema() -> dict[str, JSON]:
    """The JSON Schema (2020-12) of a tools file."""
    return _schema(TOOLS, "gemmagraph tools file")


def _schema(form: Keys, title: str) -> dict[str, JSON]:
    definitions: dict[str, Any] = {}
    root = form.schema(definitions)["$ref"].rpartition("/")[2]
    written = definitions.pop(root)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **written,
        "$defs": definitions,
    }
