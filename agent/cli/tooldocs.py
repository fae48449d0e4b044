"""`gemmagraph tools docs`: a Markdown page of a file's tools, for the people who use them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gemmagraph.assistant import Assistant
from gemmagraph.cli.terminal import one_line, plain
from gemmagraph.cli.toolfiles import Opened
from gemmagraph.prompts.checking.arguments import write_plainly
from gemmagraph.prompts.messages import JSON
from gemmagraph.tools import Tool
from gemmagraph.tools.secrets import mask

_KINDS = {
    "python": "Python",
    "http": "HTTP",
    "shell": "a program",
    "sql": "SQL",
    "mcp": "an MCP server",
}


def page(found: Opened, assistant: Assistant | None, title: str) -> str:
    """The page."""
    return "\n".join([f"# {_text(title)}", "", *_toolsets(assistant), *_tools(found)]).rstrip() + "\n"


def _tools(found: Opened) -> Iterator[str]:
    for tool in found.tools:
        yield from _tool(tool, found.idle.get(tool.name))
    if lost := found.lost | found.left_out:
        yield "## Not available"
        yield ""
        for name, why in lost.items():
            yield f"- {_code(name)}: {_text(why)}"


def _tool(tool: Tool, unavailable: str | None) -> Iterator[str]:
    yield f"## {_code(tool.name)}"
    yield ""
    yield _text(tool.description) or "It says nothing of itself."
    yield ""
    properties: Mapping[str, Any] = tool.spec.parameters.get("properties") or {}
    if properties:
        yield "| argument | type | default | what it is |"
        yield "| --- | --- | --- | --- |"
        required = tool.spec.parameters.get("required") or ()
        for name, schema in properties.items():
            yield _row(name, schema if isinstance(schema, Mapping) else {}, name in required)
        yield ""
    yield f"{_says(tool)}"
    yield ""
    if unavailable:
        yield f"Not available here: {_text(unavailable)}."
        yield ""
    if tool.examples:
        yield "For example:"
        yield ""
        for example in tool.examples:
            arguments: Any = example["args"]
            call = _code(write_plainly(tool.name, arguments))
            yield f"- {_text(str(example['user']))} → {call}" if "user" in example else f"- {call}"
        yield ""


def _row(name: str, schema: Mapping[str, JSON], required: bool) -> str:
    default = "required" if required else _code(json.dumps(schema["default"])) if "default" in schema else ""
    return f"| {_code(name)} | {_text(_type(schema))} | {default} | {_text(str(schema.get('description') or ''))} |"


def _type(schema: Mapping[str, JSON]) -> str:
    choices = schema.get("enum")
    if isinstance(choices, list):
        return ", ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
    kind = schema.get("type")
    return " or ".join(map(str, kind)) if isinstance(kind, list) else str(kind or "any")


def _says(tool: Tool) -> str:
    """What it does to the world, and whether a person is asked."""
    verdict = {"allow": "runs without asking", "ask": "asks a person first", "deny": "never runs"}
    ruling = tool.own_ruling()
    does = "Changes nothing" if tool.reads else "May delete or overwrite" if tool.destructive else "May change things"
    kind = _KINDS.get(tool.kind, tool.kind)
    return f"{does}; {verdict[ruling.verdict]}, unless a policy says otherwise. Acts by {kind}."


def _toolsets(assistant: Assistant | None) -> Iterator[str]:
    toolsets: Mapping[str, Any] = (assistant.values.get("toolsets") if assistant else None) or {}
    if not toolsets:
        return
    yield "| toolset | tools |"
    yield "| --- | --- |"
    for name, said in toolsets.items():
        tools = ", ".join(map(_code, said.get("tools") or ()))
        also = f"those of {_code(said['extends'])}" if "extends" in said else ""
        yield f"| {_code(name)} | {', '.join(filter(None, (also, tools)))} |"
    yield ""


def _text(text: str) -> str:
    """Somebody's text, in which nothing is Markdown or HTML."""
    return re.sub(r"([\\`*_\[\]<>|#&~])", r"\\\1", one_line(mask(text)))


def _code(text: str) -> str:
    shown = one_line(plain(mask(text))).replace("|", "\\|")
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    space = " " if "`" in shown else ""
    return f"{fence}{space}{shown}{space}{fence}"
