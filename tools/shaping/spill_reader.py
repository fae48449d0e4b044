"""`read_more`: the tool with which a model reads on in a result that was too long for it."""

from __future__ import annotations

from gemmagraph.tools.context import ToolContext
from gemmagraph.tools.results import MOST_CHARS
from gemmagraph.tools.shaping.spill import READER, SPILL, Owner, Spill
from gemmagraph.tools.tool import Tool, tool_from_schema

_PARAMETERS = {
    "type": "object",
    "properties": {
        "handle": {"type": "string", "description": "As the note at the result says."},
        "page": {"type": "integer", "minimum": 1, "default": 2, "description": "Which page; 1 is the beginning."},
    },
    "required": ["handle"],
}


def reader(store: Spill = SPILL) -> Tool:
    """The tool that reads the pages of `store`, for an agent any of whose tools keeps long results there."""

    def read_more(handle: str, context: ToolContext, page: int = 2) -> str:
        return store.page(handle, page, Owner.of(context))

    return tool_from_schema(
        READER,
        "Reads on in a result that was cut and gave a handle.",
        _PARAMETERS,
        read_more,
        read_only=True,
        idempotent=True,
        max_chars=MOST_CHARS,  # a page is as long as the tool that filled it allows
    )


def with_reader(tools: list[Tool]) -> list[Tool]:
    """The tools, and `read_more` if the results of one of them may have to be read on."""
    needed = any(tool.result is not None and tool.result.spills for tool in tools)
    return [*tools, reader()] if needed and all(tool.name != READER for tool in tools) else tools
