"""How a tool acts: `python`, `http`, `shell`, `sql`."""

from __future__ import annotations

from typing import Final

from gemmagraph.tools.declared.connections import REACH
from gemmagraph.tools.declared.forms import Anything, Boolean, Text, whole
from gemmagraph.tools.declared.structures import Either, Key, Keys, Listing, Short, alone
from gemmagraph.tools.declared.vocabulary import (
    ENVIRONMENT,
    HEADERS,
    METHOD,
    NAME,
    SOME_TEXT,
    TEMPLATE,
    URL,
    VALUES,
    WRITTEN,
)

PYTHON: Final = Text(
    pattern=r"^[\s\S]+:[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$",
    right="package.module:name or ./file.py:name",
)

HTTP: Final = Keys(
    "http",
    {
        "connection": Key(NAME, "The connection that carries the request."),
        "base_url": Key(URL, "Without a connection: what `path` is appended to."),
        "url": Key(URL, "The whole address; beside a connection, on one of its `allow_hosts`, without credentials."),
        "method": Key(METHOD, "The method; unless said, GET, or POST where something is sent."),
        "path": Key(TEMPLATE, "The path; each placeholder is one percent-encoded segment."),
        "query": Key(VALUES, "Query parameters; an absent argument drops its key."),
        "headers": Key(HEADERS, "Headers of the request."),
        "json": Key(Anything(), "A JSON body; a lone placeholder keeps its JSON type, an absent one drops its key."),
        "form": Key(VALUES, "A body of form fields."),
        "body": Key(TEMPLATE, "A body of text."),
        "expect": Key(
            Listing(
                Either(
                    whole(100, 599), Text(pattern=r"^[1-5]xx$", right="2xx"), right="a status: 201, or a class: 2xx"
                ),
                least=1,
            ),
            "The statuses that mean success; 2xx unless said.",
        ),
        **REACH,
    },
    says="An HTTP request.",
    some_of=("connection", "base_url", "url"),
    excludes={
        "connection": ("base_url", *REACH),
        "url": ("base_url", "path"),
        **alone("json", "form", "body"),
    },
)

_FLAG = Keys(
    "flag",
    {
        "if": Key(SOME_TEXT, "A placeholder alone, for a value that is true or false.", required=True),
        "then": Key(WRITTEN, "The argument, without placeholders; left out unless that is true.", required=True),
    },
    says="An argument that is there only if a value is true.",
)
_ARGV = Listing(
    Either(WRITTEN, _FLAG, right="a text, a number or a mapping with if and then"),
    least=1,
    right="a list: the program and its arguments",
)
_SANDBOX = Keys(
    "sandbox",
    {
        "network": Key(Boolean(), "Whether the network can be reached from inside."),
        "write": Key(Listing(SOME_TEXT), "Folders that can be written to from inside."),
    },
    says="bubblewrap around the program; refused where bubblewrap is missing.",
)
SHELL: Final = Either(
    Short(_ARGV, "argv"),
    Keys(
        "shell",
        {
            "argv": Key(_ARGV, "The program and its arguments; no shell reads them.", required=True),
            "stdin": Key(TEMPLATE, "What the program reads."),
            "env": Key(ENVIRONMENT, "Its environment, beside PATH, LANG and HOME; never from the model's arguments."),
            "cwd": Key(SOME_TEXT, "The folder it runs in."),
            "sandbox": Key(_SANDBOX, "bubblewrap around the program."),
            "ok_exit_codes": Key(Listing(whole(0, 255), least=1), "The exit codes that mean success; 0 unless said."),
        },
        says="A program, started without a shell.",
    ),
    right="a list (the program and its arguments) or a mapping with argv",
)

SQL: Final = Keys(
    "sql",
    {
        "connection": Key(NAME, "The database.", required=True),
        "statement": Key(SOME_TEXT, "One statement; values are named binds, as in `:customer`.", required=True),
    },
    says="One SQL statement.",
)
