"""Secrets, settings, and connections that tools share."""

from __future__ import annotations

from typing import Final

from gemmagraph.tools.declared.forms import DURATION, SIZE, Boolean, whole
from gemmagraph.tools.declared.structures import Key, Keys, Listing, MapOf
from gemmagraph.tools.declared.vocabulary import AUTH, HEADERS, NAMED, NAMES, SECRET, SOME_TEXT, URL, WRITTEN

SECRETS: Final = MapOf(
    Keys(
        "secret",
        {
            "env": Key(SOME_TEXT, "The environment variable that holds the value."),
            "file": Key(SOME_TEXT, "The file that holds the value."),
        },
        says="Where a secret's value is found; the value itself never stands in a file of tools.",
        one_of=("env", "file"),
        hidden=True,
    ),
    names=NAMES,
    named=NAMED,
)

SETTINGS: Final = MapOf(
    Keys(
        "setting",
        {
            "env": Key(SOME_TEXT, "The environment variable that holds the value."),
            "default": Key(WRITTEN, "The value where the variable is not set or empty."),
        },
        says="A value that differs from place to place, and may be seen.",
        some_of=("env", "default"),
    ),
    names=NAMES,
    named=NAMED,
)

REACH: Final = {
    "auth": Key(AUTH, "Credentials for the host of `base_url`."),
    "allow_hosts": Key(
        Listing(SOME_TEXT), "Hosts that may be reached beside that of `base_url`; private ones may not."
    ),
    "redirects": Key(whole(0, 20), "How many redirects are followed; 0 unless said."),
    "max_bytes": Key(SIZE, "The most bytes of a response, after decompression."),
}
"""What a connection says, and a tool that has none of its own."""

_HTTP = Keys(
    "http_connection",
    {
        "base_url": Key(URL, "What the path of each tool is appended to; its host may be private.", required=True),
        "headers": Key(HEADERS, "Headers of every request."),
        **REACH,
    },
    says="An HTTP service: its address, credentials and limits.",
)

_SQL = Keys(
    "sql_connection",
    {
        "dsn": Key(SECRET, "The database as a URL, mostly a secret.", required=True),
        "read_only": Key(Boolean(), "Whether the database itself refuses to write."),
        "max_rows": Key(whole(1), "The most rows of a result."),
        "max_bytes": Key(SIZE, "The most bytes of a result."),
        "timeout": Key(DURATION, "How long one statement may take."),
        "connections": Key(whole(1), "Statements that run at once; others wait."),
    },
    says="A database.",
)

CONNECTION: Final = Keys(
    "connection",
    {
        "http": Key(_HTTP, "An HTTP service."),
        "sql": Key(_SQL, "A database."),
    },
    says="A client that tools share: one pool, one set of rules.",
    one_of=("http", "sql"),
)
CONNECTIONS: Final = MapOf(CONNECTION, names=NAMES, named=NAMED)
