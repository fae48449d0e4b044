"""Tools from somebody else's description: OpenAPI, MCP."""

from __future__ import annotations

from typing import Final

from gemmagraph.tools.declared.forms import Choice
from gemmagraph.tools.declared.structures import Key, Keys, Listing, MapOf, OneOf
from gemmagraph.tools.declared.tools import AROUND
from gemmagraph.tools.declared.vocabulary import (
    AUTH,
    ENVIRONMENT,
    HEADERS,
    METHOD,
    PIN,
    SOME_TEXT,
    TOOL_NAME,
    URL,
    WRITTEN,
)

_OVERRIDES = MapOf(
    Keys(
        "override",
        {
            "name": Key(TOOL_NAME, "Another name for the tool."),
            "description": Key(SOME_TEXT, "Another description."),
            **AROUND,
        },
        says="What this file says of an imported tool.",
    )
)

_OPERATION = Keys(
    "operation",
    {
        "operationId": Key(SOME_TEXT, "The operation of this id."),
        "tag": Key(SOME_TEXT, "Operations with this tag."),
        "method": Key(METHOD, "Operations with this method."),
        "path": Key(SOME_TEXT, "Operations of this path."),
    },
    says="Operations of an OpenAPI document: those that fit all that is said.",
    least=1,
)

_OPENAPI = Keys(
    "openapi_import",
    {
        "openapi": Key(SOME_TEXT, "The document: a file beside this one, or a URL that is pinned.", required=True),
        "include": Key(Listing(_OPERATION, least=1), "Which operations become tools.", required=True),
        "overrides": Key(_OVERRIDES, "What this file says of a tool, by its operationId."),
        "auth": Key(AUTH, "Credentials; parameters that carry them leave the schema."),
        "base_url": Key(URL, "The server, where the document names none or another."),
        "pin": Key(PIN, "The digest of the document; `gemmagraph tools pin` writes it."),
    },
    says="Tools from an OpenAPI document, chosen one by one.",
    why={"mcp": "An import is one of openapi and mcp."},
)

_SERVER = Keys(
    "mcp_server",
    {
        "command": Key(SOME_TEXT, "The program that is the server."),
        "args": Key(Listing(WRITTEN), "Its arguments."),
        "env": Key(ENVIRONMENT, "Its environment, beside PATH, LANG and HOME."),
        "cwd": Key(SOME_TEXT, "The folder it runs in."),
        "url": Key(URL, "The address of a server that is reached by streamable HTTP."),
        "headers": Key(HEADERS, "Headers of every request."),
        "type": Key(Choice("stdio", "http"), "Said already by `command` and `url`; other files of servers have it."),
    },
    says="An MCP server, in the usual words of `mcpServers`.",
    one_of=("command", "url"),
    excludes={"command": ("headers",), "url": ("args", "env", "cwd")},
)

_MCP = Keys(
    "mcp_import",
    {
        "mcp": Key(_SERVER, "The server.", required=True),
        "include": Key(Listing(SOME_TEXT, least=1), "Which of its tools, by name or glob; all unless said."),
        "overrides": Key(_OVERRIDES, "What this file says of a tool, by its name."),
        "pin": Key(PIN, "The digest of names, descriptions and schemas; `gemmagraph tools pin` writes it."),
    },
    says="Tools from an MCP server.",
)

IMPORT: Final = OneOf(openapi=_OPENAPI, mcp=_MCP)
